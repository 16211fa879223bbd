//! A client's end of a connection, over TCP or over a unix socket.

use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// A server that takes nothing for so long takes nothing more.
const STALL: Duration = Duration::from_secs(20);

/// Where a server can be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A port of this machine.
    Tcp(u16),
    /// A unix socket.
    Unix(PathBuf),
}

/// A connected socket.
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects; no read waits longer than `patience`, and no write longer than a peer may stall.
    pub fn dial(address: &Address, patience: Duration) -> io::Result<Socket> {
        Ok(match address {
            Address::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(STALL))?;
                Socket::Tcp(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(STALL))?;
                Socket::Unix(stream)
            }
        })
    }

    /// Sends no more, and goes on reading.
    pub fn half_close(&self) {
        // The server may have closed the connection first.
        let _ = match self {
            Socket::Tcp(it) => it.shutdown(Shutdown::Write),
            Socket::Unix(it) => it.shutdown(Shutdown::Write),
            Socket::Tls(it) => it.sock.shutdown(Shutdown::Write),
        };
    }

    /// Closes a TCP connection with a reset instead of an orderly end; a unix socket, which knows no
    /// reset, is closed.
    pub fn reset(self) {
        if let Socket::Tcp(it) = &self {
            let set = socket2::SockRef::from(it).set_linger(Some(Duration::ZERO));
            set.expect("a socket takes SO_LINGER");
        }
    }

    /// Asks the system to keep no more than so many bytes for either direction.
    pub fn set_buffers(&self, bytes: usize) {
        let set = |it: socket2::SockRef<'_>| {
            it.set_send_buffer_size(bytes).and_then(|()| it.set_recv_buffer_size(bytes))
        };
        let done = match self {
            Socket::Tcp(it) => set(socket2::SockRef::from(it)),
            Socket::Unix(it) => set(socket2::SockRef::from(it)),
            Socket::Tls(it) => set(socket2::SockRef::from(&it.sock)),
        };
        done.expect("a socket takes sizes of its buffers");
    }

    /// Whether a read or a write that cannot be done at once answers `WouldBlock`.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        let set = match self {
            Socket::Tcp(it) => it.set_nonblocking(nonblocking),
            Socket::Unix(it) => it.set_nonblocking(nonblocking),
            Socket::Tls(it) => it.sock.set_nonblocking(nonblocking),
        };
        set.expect("a socket takes O_NONBLOCK");
    }

    /// A second handle of the same connection.
    pub fn try_clone(&self) -> io::Result<Socket> {
        Ok(match self {
            Socket::Tcp(it) => Socket::Tcp(it.try_clone()?),
            Socket::Unix(it) => Socket::Unix(it.try_clone()?),
            Socket::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(it) => it.read(into),
            Socket::Unix(it) => it.read(into),
            Socket::Tls(it) => it.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(it) => it.write(bytes),
            Socket::Unix(it) => it.write(bytes),
            Socket::Tls(it) => it.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Socket::Tls(it) = self {
            it.flush()?;
        }
        Ok(())
    }
}
