//! Replies as they come over a link, one after the other.

use crate::resp::ReplyScanner;
use crate::runtime::link::{Exchange, Link};
use std::fmt;
use std::io;

const READ_BYTES: usize = 16 << 10;

/// What has come over a link and is not taken yet.
pub struct LinkReplies {
    scanner: ReplyScanner,
    bytes: Vec<u8>,
    /// So many of them have been taken.
    taken: usize,
    buffer: Vec<u8>,
    /// The longest reply, in bytes.
    most: usize,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum NoReply {
    /// The socket.
    Io(io::Error),
    /// What came is no reply.
    Broken,
    /// It has no end within what a reply may have.
    TooLong,
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoReply::Io(error) => error.fmt(f),
            NoReply::Broken => f.write_str("its bytes are no reply"),
            NoReply::TooLong => f.write_str("it sends a reply without an end"),
        }
    }
}

impl From<NoReply> for io::Error {
    fn from(fault: NoReply) -> io::Error {
        match fault {
            NoReply::Io(error) => error,
            NoReply::Broken | NoReply::TooLong => io::Error::other(fault.to_string()),
        }
    }
}

impl LinkReplies {
    /// Of which none is longer than so many bytes.
    pub fn up_to(most: usize) -> LinkReplies {
        let scanner = ReplyScanner::default();
        LinkReplies { scanner, bytes: Vec::new(), taken: 0, buffer: vec![0; READ_BYTES], most }
    }

    /// The next reply, as it came.
    pub async fn next(&mut self, link: &Link) -> Result<Vec<u8>, NoReply> {
        loop {
            let rest = &self.bytes[self.taken..];
            if let Some(len) = self.scanner.poll(rest).map_err(|_| NoReply::Broken)? {
                let reply = rest[..len].to_vec();
                self.taken += len;
                return Ok(reply);
            }
            if self.most < rest.len() {
                return Err(NoReply::TooLong);
            }
            self.bytes.drain(..std::mem::take(&mut self.taken));
            let count = link.read(&mut self.buffer).await.map_err(NoReply::Io)?;
            self.bytes.extend_from_slice(&self.buffer[..count]);
        }
    }
}
