//! A connection to another server, of which we are the client, on async-std's reactor.

use async_io::Async;
use futures::{AsyncReadExt, AsyncWriteExt};
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};

/// A connected socket.
pub struct Link(Async<TcpStream>);

impl Link {
    /// Connects to a port of another machine, or of this one.
    pub async fn connect(host: &str, port: u16) -> io::Result<Link> {
        let host = host.to_owned();
        // Names are looked up by the system, which takes its time.
        let found = super::tasks::apart(move || (host.as_str(), port).to_socket_addrs()).await?;
        let mut last = io::Error::new(ErrorKind::NotFound, "no such address");
        for address in found {
            match Async::<TcpStream>::connect(address).await {
                Ok(socket) => {
                    socket.get_ref().set_nodelay(true)?;
                    return Ok(Link(socket));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends all of it.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Reads what has come, once something has. `UnexpectedEof` at the end.
    pub async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}
