//! Bytes to requests and replies to bytes: RESP2, RESP3 and inline commands.
//!
//! **Invariant:** knows neither sockets nor commands. Whatever arrives, decoding allocates in
//! proportion to what has arrived, never to what was announced.

mod decode;
mod inline;
mod limits;
mod malformed;
mod reply;
mod reply_scanner;
mod request;

pub use decode::{Decoder, Step};
pub use inline::words_of_line;
pub use limits::{AuthState, Limits};
pub use malformed::Malformed;
pub use reply::{Mark, Protocol, Reply};
pub use reply_scanner::{BrokenReply, ReplyScanner};
pub use request::{
    OwnedRequest, Request, Span, encode_command, encode_header, encode_length, encode_word,
};
