//! Everything that touches the world: the executor, sockets, clocks, files and signals. The only
//! room that names async-std and its reactor, so that a sibling could take their place.

pub mod acceptor;
pub mod sent_sockets;
pub mod allocation;
pub mod clock;
pub mod disk;
pub mod handshake;
pub mod hooks;
pub mod http;
mod inbox;
pub mod link;
mod local;
pub mod log_output;
mod maps;
pub mod notify;
pub mod passed_sockets;
pub mod pid_file;
pub mod poller;
pub mod process;
pub mod replace;
pub mod signals;
mod slots;
mod registration;
pub mod proxied;
pub mod proxy_header;
mod sockets;
pub mod steps;
pub mod stream;
pub mod tasks;
pub mod tls;
pub mod lazyfree;
pub mod worker;
