//! What an operator writes, checked once: TOML, flags and CONFIG SET into one tree of plain types.
//!
//! **Invariant:** what is in the tree cannot be wrong. Text and serde stay in this room.
//! **Invariant:** reads no file and no environment; text comes in, a tree or a refusal goes out.

mod tree;
mod slot;
mod table;
mod fixed;
mod live;
mod place;
mod leaf;
mod file;
mod overrides;
mod reload;

pub use overrides::Overrides;
pub use tree::{
    Address, CompatSettings, Config, DebugAccess, Eviction, Listener, LogLevel, OutputLimit,
    OutputLimits, ReplicaSet, Server,
};
