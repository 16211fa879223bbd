//! Bytes to requests and replies to bytes: RESP2, RESP3 and inline commands.
//!
//! **Invariant:** knows neither sockets nor commands. Whatever arrives, decoding allocates in
//! proportion to what has arrived, never to what was announced.

mod decode;
mod inline;
mod malformed;
mod reply;
mod request;

pub use decode::{AuthState, Decoder, Limits, Step};
pub use malformed::Malformed;
pub use reply::{Mark, Protocol, Reply};
pub use request::{OwnedRequest, Request, Span, encode_command};
