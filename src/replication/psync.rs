//! PSYNC: how the stream travels between servers, as state machines without sockets.

mod link_fault;
mod replica;
mod stream;

pub use link_fault::{LinkFault, Refusal};
pub use replica::{Answer, Login, ReplicaConfig, ReplicaLink};
pub use stream::{StreamBatch, StreamCommand, StreamReader, StreamWrite};
