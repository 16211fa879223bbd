//! PSYNC: how the stream travels between servers, as state machines: both ends of a link.
//!
//! **Invariant:** no socket, no clock: bytes come in, decisions go out.
//!
//! Redis counts the bytes of a stream from 1 and asks for the next one it lacks; an
//! [`crate::base::position::Offset`] counts the bytes before a place. The two meet in this room
//! only.

mod hello;
mod asked;
mod replica_reader;
mod link_fault;
mod replica;
mod stream;

pub use asked::{Asked, Started};
pub use hello::{FileContents, HelloFault, ReplicaHello};
pub use link_fault::{LinkFault, REFUSALS, Refusal};
pub use replica::{Answer, Login, ReplicaConfig, ReplicaLink};
pub use replica_reader::{FromReplica, ReplicaReader};
pub use stream::{StreamBatch, StreamCommand, StreamReader, StreamWrite};
