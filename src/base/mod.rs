//! Words every room shares: positions, places, times, limits, randomness, globs, numbers as text,
//! prefetching.
//!
//! **Invariant:** pure. No clock, no socket, no task; names no other room.

pub mod random;
pub mod reached;
pub mod block;
pub mod count;
pub mod extended;
pub mod glob;
pub mod hysteresis;
pub mod ids;
pub mod planted;
pub mod limits;
pub mod lowered;
mod literal;
pub mod log_kinds;
pub mod log_limit;
pub mod log_line;
pub mod monitor_line;
pub mod network;
pub mod number;
pub mod places;
pub mod position;
pub mod prefetch;
pub mod remote_address;
pub mod secret;
pub mod size;
pub mod time;
