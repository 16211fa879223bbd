//! A connection to another server, at either end of it: on async-std's reactor, or watched by a
//! worker.

use super::stream::{Socket, Stream};
use super::tls::{Handshake, TlsClient};
use async_io::Async;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};

/// A connected socket.
pub struct Link(Async<Socket>);

/// A connected socket that a worker watches: whoever uses it is a task of that worker.
pub struct WorkerLink(Stream);

/// What is done with either.
pub trait Exchange {
    /// Sends all of it.
    fn send(&self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Reads what has come, once something has. `UnexpectedEof` at the end.
    fn read(&self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
}

impl Link {
    /// Connects to the unix socket at this path.
    pub async fn connect_path(path: &str) -> io::Result<Link> {
        let socket = Async::<UnixStream>::connect(path).await?;
        Link::of(Socket::Unix(socket.into_inner()?))
    }

    /// Connects to a port of another machine, or of this one.
    pub async fn connect(host: &str, port: u16) -> io::Result<Link> {
        Link::of(Socket::tcp(connect(host, port).await?)?)
    }

    /// The same, with TLS if that is said; the handshake is over then.
    pub async fn connect_as(host: &str, port: u16, tls: Option<&TlsClient>) -> io::Result<Link> {
        let Some(tls) = tls else { return Link::connect(host, port).await };
        let link = Link::of(Socket::to_server(connect(host, port).await?, tls, host)?)?;
        loop {
            match link.0.get_ref().shake()? {
                Handshake::Done => return Ok(link),
                Handshake::Reads => link.0.readable().await?,
                Handshake::Writes => link.0.writable().await?,
            }
        }
    }

    /// A socket that has been a client's until now.
    pub fn of(socket: Socket) -> io::Result<Link> {
        Ok(Link(Async::new(socket)?))
    }

    /// Gives the socket up, for a worker to watch.
    pub fn into_socket(self) -> io::Result<Socket> {
        self.0.into_inner()
    }
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.to_owned();
    // Names are looked up by the system, which takes its time.
    let found = super::tasks::apart(move || (host.as_str(), port).to_socket_addrs()).await?;
    let mut last = io::Error::new(ErrorKind::NotFound, "no such address");
    for address in found {
        match Async::<TcpStream>::connect(address).await {
            Ok(socket) => return socket.into_inner(),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Exchange for Link {
    async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.0.write_with(|it| it.try_write(&bytes[sent..])).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => sent += count,
            }
        }
        Ok(())
    }

    async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read_with(|it| it.try_read(into)).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

impl WorkerLink {
    /// Reads what is there into the room behind `bytes`, without waiting.
    pub fn try_read_more(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.0.try_read_more(bytes)
    }

    /// Writes what fits, without waiting.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    /// Ready when something has arrived since this was last ready.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_readable(context)
    }

    /// Ready when there is room again after a write that would have blocked.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_writable(context)
    }

    /// Has the calling worker watch it.
    pub fn of(socket: Socket) -> io::Result<WorkerLink> {
        Ok(WorkerLink(Stream::new(socket)?))
    }
}

impl Exchange for WorkerLink {
    async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.0.try_write(&bytes[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll_fn(|context| self.0.poll_writable(context)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.try_read(into) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll_fn(|context| self.0.poll_readable(context)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
