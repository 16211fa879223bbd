//! Files at rest: what an append-only file is made of, what of it is to be loaded, and what its
//! bytes say.
//!
//! ```text
//! <dir>/dump.rdb                                     a snapshot
//! <dir>/appendonlydir/appendonly.aof.manifest        which parts there are, in their order
//!                     appendonly.aof.1.base.rdb      a snapshot
//!                     appendonly.aof.1.incr.aof      the stream from there on
//! ```
//!
//! An incr part is the stream byte for byte. It begins with an annotation that says at which
//! position its first byte stands, so that every byte of it has a position: a restart knows where
//! the stream goes on, and what replicas may lack of it.
//!
//! **Invariant:** no file handle, no clock: bytes and names come in as arguments.
//! **Invariant:** whatever the bytes, reading them ends with data or with a fault that says where.

mod manifest;
mod annotation;
mod plan;
mod stream_tail;
mod fault;
mod replay;

pub use annotation::{end_note, position_note, read_end_note, time_note};
pub use fault::{AofFault, AofWhy};
pub use manifest::{AofNames, Manifest, ManifestFault, Part, PartKind};
pub use plan::{Found, Plan, plan};
pub use replay::{AofEnd, Replay, Replayed, position_of};
