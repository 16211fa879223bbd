//! Bytes to requests and replies to bytes: RESP2, RESP3 and inline commands.
//!
//! **Invariant:** knows neither sockets nor commands. Whatever arrives, decoding allocates no more
//! than what has arrived plus a constant.

mod reply;
mod request;

pub use reply::{Mark, Protocol, Reply};
pub use request::{OwnedRequest, Request, Span, encode_command};
