//! Sockets that accept clients: opened here, or by whoever has started this process.

use super::passed_sockets::PassedSocket;
use super::process::{is_socket, remove_socket};
use super::stream::Socket;
use super::tls::TlsServer;
use crate::base::limits::LISTEN_BACKLOG;
use async_io::Async;
use rustix::fs::{Mode, chmod, fchmod, lstat};
use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{Domain, SockAddr, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// As the standard library does, but with room for a crowd that comes at once.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Listens at a path that has this mode from its first moment on, whatever the umask.
pub(super) fn listen_with_mode(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let (socket, mode) = (socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?, mode.into());
    // The system makes the path with the mode of its socket, less the umask: never with more.
    fchmod(&socket, mode)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // What the umask has taken away. Nobody can connect yet.
    if Mode::from_raw_mode(lstat(path)?.st_mode) != mode {
        chmod(path, mode)?;
    }
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// A socket that accepts.
pub enum Acceptor {
    /// On a TCP port.
    Tcp(Async<TcpListener>),
    /// At a path.
    Unix(Async<UnixListener>),
    /// At a path that is another's, who has opened it for us.
    Passed(Async<UnixListener>),
}

impl Acceptor {
    /// Listens at `address` (`host:port`).
    pub fn tcp(address: &str) -> io::Result<Acceptor> {
        let mut last = io::Error::new(ErrorKind::InvalidInput, "no such address");
        for address in address.to_socket_addrs()? {
            match listen(address).and_then(Async::new) {
                Ok(listener) => return Ok(Acceptor::Tcp(listener)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Listens at `path`, which gets this mode, if it is to have one. A socket left behind by a
    /// process that has ended is replaced; anything else that is there stays.
    pub fn unix(path: &Path, mode: Option<u32>) -> io::Result<Acceptor> {
        if is_socket(path) && UnixStream::connect(path).is_err() {
            remove_socket(path);
        }
        let listener = match mode {
            None => UnixListener::bind(path)?,
            Some(mode) => listen_with_mode(path, mode)?,
        };
        Ok(Acceptor::Unix(Async::new(listener)?))
    }

    /// Accepts at a socket that was passed to this process.
    pub fn passed(socket: PassedSocket) -> io::Result<Acceptor> {
        let owns_path = socket.owns_path;
        let socket = socket2::Socket::from(socket.descriptor);
        let wrong = |why| Err(io::Error::new(ErrorKind::InvalidInput, why));
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return wrong("it does not listen for connections");
        }
        // Programs that are run from here have no use for it.
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        match socket.domain()? {
            Domain::IPV4 | Domain::IPV6 => {
                Ok(Acceptor::Tcp(Async::new(TcpListener::from(socket))?))
            }
            Domain::UNIX => {
                let listener = Async::new(UnixListener::from(socket))?;
                Ok(if owns_path { Acceptor::Unix(listener) } else { Acceptor::Passed(listener) })
            }
            _ => wrong("it is neither of TCP nor of unix"),
        }
    }

    /// Waits for the next client.
    pub async fn accept(&self) -> io::Result<Socket> {
        match self {
            Acceptor::Tcp(it) => {
                let (stream, _) = it.accept().await?;
                Socket::tcp(stream.into_inner()?)
            }
            Acceptor::Unix(it) | Acceptor::Passed(it) => {
                let (stream, _) = it.accept().await?;
                Ok(Socket::Unix(stream.into_inner()?))
            }
        }
    }

    /// Waits for the next client, which speaks TLS; what it is shown then is asked for once it is
    /// there. Its handshake has yet to be made.
    pub async fn accept_tls(&self, tls: impl FnOnce() -> TlsServer) -> io::Result<Socket> {
        let Acceptor::Tcp(it) = self else { return self.accept().await };
        let (stream, _) = it.accept().await?;
        Socket::accepted(stream.into_inner()?, &tls())
    }

    /// The same socket under this name, and with the address that the configuration has for it, for
    /// another process.
    pub fn share(&self, name: &str, configured: String) -> io::Result<PassedSocket> {
        let descriptor = match self {
            Acceptor::Tcp(it) => it.as_fd().try_clone_to_owned(),
            Acceptor::Unix(it) | Acceptor::Passed(it) => it.as_fd().try_clone_to_owned(),
        };
        let owns_path = matches!(self, Acceptor::Unix(_));
        Ok(PassedSocket { name: name.to_owned(), configured, owns_path, descriptor: descriptor? })
    }

    /// Takes its path away, for others to see that nobody listens.
    pub fn leave(&self) {
        if let Acceptor::Unix(_) = self {
            remove_socket(Path::new(&self.address()));
        }
    }

    /// Its port; `None` at a path.
    pub fn port(&self) -> Option<u16> {
        match self {
            Acceptor::Tcp(it) => it.get_ref().local_addr().ok().map(|it| it.port()),
            Acceptor::Unix(_) | Acceptor::Passed(_) => None,
        }
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Acceptor::Tcp(it) => {
                it.get_ref().local_addr().is_ok_and(|it| it.ip().to_canonical().is_loopback())
            }
            Acceptor::Unix(_) | Acceptor::Passed(_) => true,
        }
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> String {
        match self {
            Acceptor::Tcp(it) => {
                it.get_ref().local_addr().map_or_else(|it| it.to_string(), |it| it.to_string())
            }
            Acceptor::Unix(it) | Acceptor::Passed(it) => match it.get_ref().local_addr() {
                Ok(at) => at.as_pathname().unwrap_or(Path::new("?")).display().to_string(),
                Err(error) => error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use std::mem::MaybeUninit;

    /// What happens to the paths of a directory from here on.
    fn changes(reader: &mut Reader<'_, impl rustix::fd::AsFd>) -> ReadFlags {
        let mut all = ReadFlags::empty();
        while let Ok(event) = reader.next() {
            all |= event.events();
        }
        all
    }

    #[test]
    fn a_path_is_never_wider_than_it_is_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let watch = inotify::init(CreateFlags::NONBLOCK).unwrap();
        let flags = WatchFlags::CREATE | WatchFlags::ATTRIB;
        inotify::add_watch(&watch, dir.path(), flags).unwrap();
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = Reader::new(&watch, &mut buffer);
        let mode = |path: &Path| lstat(path).unwrap().st_mode & 0o777;
        // The umask is that of all tests, so it is what it is: from the owner it takes nothing.
        for owner in [0o700, 0o600, 0o400] {
            let path = dir.path().join(format!("{owner:o}"));
            let acceptor = Acceptor::unix(&path, Some(owner)).unwrap();
            assert_eq!(mode(&path), owner);
            let seen = changes(&mut reader);
            assert!(seen.contains(ReadFlags::CREATE), "{seen:?}");
            assert!(
                !seen.contains(ReadFlags::ATTRIB),
                "it had this mode when it was made: {seen:?}"
            );
            acceptor.leave();
            assert!(!path.exists());
        }
        for wide in [0o777, 0o770, 0o666] {
            let path = dir.path().join(format!("{wide:o}"));
            let _acceptor = Acceptor::unix(&path, Some(wide)).unwrap();
            assert_eq!(mode(&path), wide, "whatever the umask");
        }
    }
}
