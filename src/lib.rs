//! Entourage: a RESP proxy that hosts a replica set and never serves a client a stale read of its
//! own writes. This file is the map of the house; rooms name only rooms above them in the list, and
//! `tests/house.rs` holds them to that.
//!
//! ```text
//! bytes → resp → command → session → route → node → engine → replication log → followers
//!         decode  look up   floor     plan    member  execute  append             push
//! ```

pub mod base;
pub mod resp;
pub mod command;
pub mod metrics;
pub mod runtime;
pub mod engine;
pub mod replication;
pub mod route;
pub mod session;
pub mod node;
pub mod config;
pub mod state;
pub mod commands;
pub mod server;
pub mod cli;
