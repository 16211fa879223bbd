//! PSYNC as it is spoken on a link: what a replica asks for and says, what a master answers.
//!
//! **Invariant:** no socket, no clock: bytes come in, decisions go out.
//!
//! Redis counts the bytes of a stream from 1 and asks for the next one it lacks; an
//! [`crate::base::position::Offset`] counts the bytes before a place. The two meet in this room
//! only.

mod hello;
mod asked;
mod replica_reader;

pub use asked::{Asked, Started};
pub use hello::{FileContents, HelloFault, ReplicaHello};
pub use replica_reader::{FromReplica, ReplicaReader};
