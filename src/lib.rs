//! Entourage: a RESP proxy that hosts a replica set and never serves a client a stale read of its
//! own writes. This file is the map of the house; the rooms stand in the order a request walks them.
//!
//! ```text
//! bytes → resp → command → session → route → node → engine → replication log → feeds
//!         decode  look up   floor     plan    member  execute  append             push
//! ```
//!
//! Each room names only rooms above it in this list; `tests/house.rs` holds them to that.

pub mod base;
pub mod resp;
pub mod command;
pub mod engine;
pub mod route;
