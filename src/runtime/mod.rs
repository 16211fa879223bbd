//! Everything that touches the world: the executor, sockets, clocks, files and signals. The only
//! room that names async-std and its reactor, so that a sibling could take their place.

pub mod allocation;
pub mod clock;
pub mod disk;
pub mod handshake;
pub mod http;
mod inbox;
pub mod link;
mod local;
mod maps;
pub mod poller;
pub mod process;
pub mod replace;
pub mod signals;
mod slots;
mod registration;
mod sockets;
pub mod steps;
pub mod stream;
pub mod tasks;
pub mod tls;
pub mod lazyfree;
pub mod worker;
