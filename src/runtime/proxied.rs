//! The header of the PROXY protocol in front of a client's own bytes, at the client's worker.

use super::proxy_header::{HeaderFault, ProxyHeader, parse};
use super::stream::{Socket, Stream};
use crate::base::limits::PROXY_HEADER_BYTES_MAX;
use rustix::net::{RecvFlags, recv};
use std::future::poll_fn;
use std::io::{self, ErrorKind};

/// Why there is no header.
#[derive(Debug)]
pub enum Unproxied {
    /// What has come is none.
    Fault(HeaderFault),
    /// The socket has failed, or was closed before anything came: so do those who only look
    /// whether somebody listens.
    Socket(io::Error),
}

impl From<HeaderFault> for Unproxied {
    fn from(fault: HeaderFault) -> Unproxied {
        Unproxied::Fault(fault)
    }
}

impl From<io::Error> for Unproxied {
    fn from(error: io::Error) -> Unproxied {
        Unproxied::Socket(error)
    }
}

/// Takes the header out of a socket, and nothing behind it: where TLS is spoken, its handshake is
/// next. Takes as long as the peer likes; the calling worker watches the socket meanwhile. Where
/// there is none, the socket is closed after `last_word`.
pub async fn take_header(
    socket: Socket,
    last_word: impl FnOnce(&Socket),
) -> Result<(Socket, ProxyHeader), Unproxied> {
    let stream = Stream::new(socket)?;
    let mut taken = Vec::new();
    loop {
        match take_some(stream.socket(), &mut taken) {
            Ok(Some(header)) => return Ok((stream.into_socket()?, header)),
            Ok(None) => {}
            Err(Unproxied::Socket(error)) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| stream.poll_readable(context)).await;
            }
            Err(why) => {
                last_word(stream.socket());
                return Err(why);
            }
        }
    }
}

/// Takes what is there of a header; answers it once it is whole.
fn take_some(socket: &Socket, taken: &mut Vec<u8>) -> Result<Option<ProxyHeader>, Unproxied> {
    let mut ahead = [0; PROXY_HEADER_BYTES_MAX];
    let count = match receive(socket, &mut ahead, RecvFlags::PEEK)? {
        0 if taken.is_empty() => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
        0 => return Err(HeaderFault::Cut.into()),
        count => count,
    };
    let before = taken.len();
    taken.extend_from_slice(&ahead[..count]);
    let parsed = parse(taken);
    let length = match &parsed {
        Ok(Some((length, _))) => length - before,
        // What is no header is taken as well: whoever has said it and is told why gets to read that
        // only if nothing is left unread.
        Ok(None) | Err(_) => count,
    };
    // It has been seen there, so that it comes at once.
    receive(socket, &mut ahead[..length], RecvFlags::empty())?;
    Ok(parsed?.map(|it| it.1))
}

fn receive(socket: &Socket, into: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    let (count, _) = rustix::io::retry_on_intr(|| recv(socket, &mut *into, flags))?;
    Ok(count)
}
