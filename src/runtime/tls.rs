//! TLS of sockets: what both ends of a connection show and ask for, and the records between them.
//!
//! **Invariant:** a connection keeps no more than [`channel::INCOMING_BYTES_MAX`] of what its peer
//! has sent, and of what its peer does not take no more than one write.

mod certificate;
pub mod channel;
mod context;
mod fault;
mod files;
mod socket;
mod verifier;

pub use certificate::UserField;
pub use context::{TlsClient, TlsServer};
pub use fault::TlsFault;
pub use files::{ClientAuth, TlsFiles};
pub use socket::{Handshake, TlsSocket};
