//! What ends a connection over TLS.

use std::{fmt, io};

/// What ends a connection over TLS, or keeps it from being there.
#[derive(Clone, PartialEq, Debug)]
pub enum TlsFault {
    /// What the peer has sent first is no TLS.
    NotTls,
    /// The peer broke the protocol, or one end does not trust the other.
    Broken(rustls::Error),
    /// The peer sends a message without an end.
    Endless,
    /// The peer asks for answers that it does not take.
    Unread,
}

impl From<rustls::Error> for TlsFault {
    fn from(error: rustls::Error) -> TlsFault {
        TlsFault::Broken(error)
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFault::NotTls => f.write_str("it does not speak TLS"),
            TlsFault::Broken(error) => error.fmt(f),
            TlsFault::Endless => f.write_str("it sends a message without an end"),
            TlsFault::Unread => f.write_str("it does not take what it asks for"),
        }
    }
}

impl std::error::Error for TlsFault {}

impl From<TlsFault> for io::Error {
    fn from(fault: TlsFault) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }
}
