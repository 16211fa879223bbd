//! A connection to another server, at either end of it, on async-std's reactor.

use super::stream::Socket;
use async_io::Async;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};

/// A connected socket.
pub struct Link(Async<Socket>);

impl Link {
    /// Connects to a port of another machine, or of this one.
    pub async fn connect(host: &str, port: u16) -> io::Result<Link> {
        let host = host.to_owned();
        // Names are looked up by the system, which takes its time.
        let found = super::tasks::apart(move || (host.as_str(), port).to_socket_addrs()).await?;
        let mut last = io::Error::new(ErrorKind::NotFound, "no such address");
        for address in found {
            match Async::<TcpStream>::connect(address).await {
                Ok(socket) => return Link::of(Socket::tcp(socket.into_inner()?)?),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A socket that has been a client's until now.
    pub fn of(socket: Socket) -> io::Result<Link> {
        Ok(Link(Async::new(socket)?))
    }

    /// Sends all of it.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.0.write_with(|it| it.try_write(&bytes[sent..])).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => sent += count,
            }
        }
        Ok(())
    }

    /// Reads what has come, once something has. `UnexpectedEof` at the end.
    pub async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read_with(|it| it.try_read(into)).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}
