//! Bytes that are no request.

use std::fmt;

/// Why a client's bytes cannot be read any further. The text is Redis'; the connection answers it
/// as an error and closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// The number behind `*` is no number, or beyond the limit.
    MultibulkLength,
    /// This byte stands where an argument's `$` should.
    NoBulk(u8),
    /// The number behind `$` is no number, negative, or beyond the limit.
    BulkLength,
    /// The line that begins with `*` does not end.
    MultibulkLine,
    /// The line that begins with `$` does not end.
    BulkLine,
    /// The inline request does not end.
    InlineLine,
    /// It is the beginning of TLS, which is not spoken here.
    Tls,
    /// A quote is not closed, or something sticks to its end.
    Quotes,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulkLength,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            Malformed::MultibulkLength => "invalid multibulk length",
            Malformed::NoBulk(byte) => return write!(f, "expected '$', got '{}'", *byte as char),
            Malformed::BulkLength => "invalid bulk length",
            Malformed::MultibulkLine => "too big mbulk count string",
            Malformed::BulkLine => "too big bulk count string",
            Malformed::InlineLine => "too big inline request",
            Malformed::Tls => "this port does not speak TLS",
            Malformed::Quotes => "unbalanced quotes in request",
            Malformed::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Malformed::UnauthenticatedBulkLength => "unauthenticated bulk length",
        })
    }
}

impl std::error::Error for Malformed {}
