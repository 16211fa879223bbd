//! What the integration tests share: servers that end with the test, a raw client, scripts.
#![allow(dead_code, unused_imports)] // Each test binary uses a part of it.

pub mod expect;
pub mod members;
pub mod parse;
pub mod patience;
pub mod script;
pub mod servers;
pub mod suite;
pub mod value;
pub mod wire;

pub use expect::{ok, starts};
pub use members::{BOTH, node, order, until_behind};
pub use patience::until;
pub use servers::Server;
pub use suite::Suite;
pub use value::Value;
pub use wire::{Wire, Words, words};
