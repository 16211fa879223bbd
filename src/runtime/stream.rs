//! One client's socket, TCP or unix: read what is there, write what fits, wait for either.

use async_io::Async;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

/// A connected socket. All calls take `&self`, so that others may close it while its task waits.
pub enum Stream {
    /// Over the network.
    Tcp(Async<TcpStream>),
    /// On this machine.
    Unix(Async<UnixStream>),
}

impl Stream {
    /// Reads once, without waiting. `WouldBlock` when nothing is there; 0 at the end.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        retry(|| match self {
            Stream::Tcp(it) => it.get_ref().read(into),
            Stream::Unix(it) => it.get_ref().read(into),
        })
    }

    /// Writes what fits, without waiting.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| match self {
            Stream::Tcp(it) => it.get_ref().write(bytes),
            Stream::Unix(it) => it.get_ref().write(bytes),
        })
    }

    /// Ready when a read will not block.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(it) => it.poll_readable(context),
            Stream::Unix(it) => it.poll_readable(context),
        }
    }

    /// Ready when a write will not block.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(it) => it.poll_writable(context),
            Stream::Unix(it) => it.poll_writable(context),
        }
    }

    /// Waits until there is something to read.
    pub async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_readable(context)).await
    }

    /// Waits until something can be written.
    pub async fn writable(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_writable(context)).await
    }

    /// Whether the peer has closed, as far as is known here.
    pub fn is_hung_up(&self) -> bool {
        let mut one = [0];
        let peeked = match self {
            Stream::Tcp(it) => it.get_ref().peek(&mut one),
            // A unix stream cannot be peeked at without unsafe; its peer is taken to be there.
            Stream::Unix(_) => return false,
        };
        matches!(peeked, Ok(0)) || peeked.is_err_and(|it| it.kind() != ErrorKind::WouldBlock)
    }

    /// Takes no more from the peer: what has arrived can still be read and answered, then the stream
    /// ends.
    pub fn close_reading(&self) {
        // A socket that is already gone cannot be closed again, which is as good.
        let _ = match self {
            Stream::Tcp(it) => it.get_ref().shutdown(Shutdown::Read),
            Stream::Unix(it) => it.get_ref().shutdown(Shutdown::Read),
        };
    }

    /// Probes an idle peer this often, and gives it up after three probes without an answer; zero for
    /// never.
    pub fn keep_alive(&self, every: Duration) {
        let Stream::Tcp(stream) = self else { return };
        if every.is_zero() {
            return;
        }
        let between = (every / 3).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(every).with_interval(between).with_retries(3);
        // Without probes a dead peer is only noticed later.
        let _ = SockRef::from(stream.get_ref()).set_tcp_keepalive(&probes);
    }

    /// Whether the peer is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Stream::Tcp(it) => it.get_ref().peer_addr().is_ok_and(|it| it.ip().is_loopback()),
            Stream::Unix(_) => true,
        }
    }

    /// Ends both directions; its task sees the end of the stream.
    pub fn close(&self) {
        // A socket that is already gone cannot be closed again, which is as good.
        let _ = match self {
            Stream::Tcp(it) => it.get_ref().shutdown(Shutdown::Both),
            Stream::Unix(it) => it.get_ref().shutdown(Shutdown::Both),
        };
    }

    /// Peer and own address as CLIENT LIST shows them.
    pub fn addresses(&self) -> (String, String) {
        match self {
            Stream::Tcp(it) => {
                let text = |it: io::Result<std::net::SocketAddr>| {
                    it.map_or_else(|_| "?:0".to_string(), |it| it.to_string())
                };
                (text(it.get_ref().peer_addr()), text(it.get_ref().local_addr()))
            }
            Stream::Unix(it) => {
                let local = it.get_ref().local_addr().ok();
                let path = local.as_ref().and_then(|it| it.as_pathname());
                let text = format!("{}:0", path.unwrap_or(Path::new("")).display());
                (text.clone(), text)
            }
        }
    }

    /// Number of its file descriptor.
    pub fn descriptor(&self) -> i32 {
        use std::os::fd::AsRawFd;
        match self {
            Stream::Tcp(it) => it.as_raw_fd(),
            Stream::Unix(it) => it.as_raw_fd(),
        }
    }
}

fn retry(mut io: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match io() {
            Err(it) if it.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A socket that accepts.
pub enum Acceptor {
    /// On a TCP port.
    Tcp(Async<TcpListener>),
    /// At a path.
    Unix(Async<UnixListener>),
}

impl Acceptor {
    /// Listens at `address` (`host:port`).
    pub fn tcp(address: &str) -> io::Result<Acceptor> {
        let mut last = io::Error::new(ErrorKind::InvalidInput, "no such address");
        for address in address.to_socket_addrs()? {
            match Async::<TcpListener>::bind(address) {
                Ok(listener) => return Ok(Acceptor::Tcp(listener)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Listens at `path`. A socket left behind by a process that has ended is replaced.
    pub fn unix(path: &Path) -> io::Result<Acceptor> {
        if path.exists() && UnixStream::connect(path).is_err() {
            std::fs::remove_file(path)?;
        }
        Ok(Acceptor::Unix(Async::<UnixListener>::bind(path)?))
    }

    /// Waits for the next client.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Acceptor::Tcp(it) => {
                let (stream, _) = it.accept().await?;
                stream.get_ref().set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Acceptor::Unix(it) => it.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }

    /// Takes its path away, for others to see that nobody listens.
    pub fn leave(&self) {
        if let Acceptor::Unix(_) = self {
            super::process::remove_socket(Path::new(&self.address()));
        }
    }

    /// Its port; `None` at a path.
    pub fn port(&self) -> Option<u16> {
        match self {
            Acceptor::Tcp(it) => it.get_ref().local_addr().ok().map(|it| it.port()),
            Acceptor::Unix(_) => None,
        }
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> String {
        match self {
            Acceptor::Tcp(it) => {
                it.get_ref().local_addr().map_or_else(|it| it.to_string(), |it| it.to_string())
            }
            Acceptor::Unix(it) => match it.get_ref().local_addr() {
                Ok(at) => at.as_pathname().unwrap_or(Path::new("?")).display().to_string(),
                Err(error) => error.to_string(),
            },
        }
    }
}
