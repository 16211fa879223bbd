//! Files: what is loaded at the start, and the thread that keeps them afterwards.
//!
//! ```text
//!   log ──▶ stream_part ──▶ incr file       one follower of the log; aof_parts says who writes
//!   snapshot ──▶ generation ──▶ base + incr    a rewrite, and whatever begins anew
//!   snapshot ──▶ save ──▶ dump.rdb
//! ```
//!
//! A file whose fsync has failed is not written again, and nothing of it counts that was not on
//! disk before: what is in memory begins a new base, and until that is there no write is taken.

mod stream_part;
mod aof_parts;
mod snapshot_file;
mod reload;
mod generation;
mod store;
mod load;
mod group_commit;
mod keeper;
mod check;

pub use check::{AofRepair, check_aof};
pub use keeper::{go_on as go_on_with_files, start};
pub use reload::{load_aof, reload};
pub use snapshot_file::{save_begun, save_now};
pub use store::Store;
