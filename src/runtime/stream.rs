//! One client's socket, TCP or unix: read what is there, write what fits, wait for either.

use super::proxy_header::ProxyHeader;
use super::registration::Registration;
use super::tls::channel::Room;
use super::tls::{Handshake, TlsClient, TlsServer, TlsSocket, UserField};
use crate::base::network::Network;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::SendFlags;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

/// A connected socket, which does not block. Both directions end when it is dropped.
pub enum Socket {
    /// Over the network.
    Tcp(TcpStream),
    /// Over the network, with TLS.
    Tls(Box<TlsSocket>),
    /// On this machine.
    Unix(UnixStream),
}

/// A socket that its worker watches.
pub struct Stream {
    // Dropped before the socket, whose closing ends the watch.
    registration: Registration,
    socket: Socket,
}

/// The two ends of a client's socket, as text and as what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The peer's address.
    pub address: String,
    /// Our own address.
    pub local_address: String,
    /// Over a unix socket.
    pub is_unix: bool,
    /// On this machine.
    pub is_local: bool,
    /// It came by the socket for upgrades: it may do everything, and has no password to say.
    pub is_trusted: bool,
    /// Number of the file descriptor.
    pub descriptor: i32,
}

impl Peer {
    /// The peer whom a proxy in front has connected for, where this is the proxy.
    pub fn behind(self, header: ProxyHeader) -> Peer {
        match header {
            ProxyHeader::Own => self,
            // Whoever it is may be anywhere.
            ProxyHeader::Unknown => Peer { is_local: false, ..self },
            ProxyHeader::For { from, to } => Peer {
                address: from.to_string(),
                local_address: to.to_string(),
                is_unix: false,
                // What is local to a proxy elsewhere is not here.
                is_local: self.is_local && from.ip().to_canonical().is_loopback(),
                ..self
            },
        }
    }
}

/// Whether the peer of this socket has hung up, or the socket has failed: asked of the system, amid
/// a turn that reads nothing. 0 is no socket.
pub fn has_hung_up(descriptor: i32) -> bool {
    if descriptor <= 0 {
        return false;
    }
    let ends = PollFlags::HUP | PollFlags::ERR | PollFlags::RDHUP;
    // SAFETY: it is only asked about, and of one that is not open nothing is told.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let mut asked = [PollFd::new(&socket, ends)];
    let told = rustix::event::poll(&mut asked, Some(&Timespec::default()));
    told.is_ok() && asked[0].revents().intersects(ends)
}

impl Stream {
    /// Has the calling worker watch a socket.
    pub fn new(socket: Socket) -> io::Result<Stream> {
        let registration = Registration::new(&socket)?;
        // It has come before the watch began.
        if socket.has_unread() {
            registration.note_unread();
        }
        Ok(Stream { registration, socket })
    }

    /// Takes the socket back, for another worker to watch.
    pub fn into_socket(self) -> io::Result<Socket> {
        let Stream { registration, socket } = self;
        registration.end(&socket)?;
        Ok(socket)
    }

    /// Reads once, without waiting. `WouldBlock` when nothing is there; 0 at the end.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.noting_end(self.socket.try_read(into))
    }

    /// As [`Stream::try_read`], into the room behind `bytes`, which is not cleared before.
    pub fn try_read_more(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.noting_end(self.socket.try_read_more(bytes))
    }

    /// Of an end that has come with the last bytes nobody else will tell.
    #[inline]
    fn noting_end(&self, read: io::Result<usize>) -> io::Result<usize> {
        if let (Socket::Tls(it), Ok(1..)) = (&self.socket, &read)
            && it.is_over()
        {
            self.registration.note_unread();
        }
        read
    }

    /// Writes what fits, without waiting.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.try_write(bytes)
    }

    /// Ready when something has arrived since this was last ready.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.registration.poll_readable(context)
    }

    /// Ready when there is room again after a write that would have blocked.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.registration.poll_writable(context)
    }

    /// Goes on with the handshake of TLS, without waiting.
    pub(super) fn shake(&self) -> io::Result<Handshake> {
        self.socket.shake()
    }

    /// The socket that is watched.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether the peer has hung up, or the socket has failed: then everything is to be read until
    /// a read says so, however little a read before it brought.
    pub fn has_ended(&self) -> bool {
        self.registration.has_ended()
    }
}

/// A socket that does not block, connected to the first address of `host:port` that accepts.
fn connect_tcp(address: &str, within: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "no such address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, within) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Socket {
    /// Connects to `host:port`, or to a path with a `/` in it, within this time for each address.
    /// The calling thread waits.
    pub fn connect(address: &str, within: Duration) -> io::Result<Socket> {
        if address.contains('/') {
            let socket = UnixStream::connect(address)?;
            socket.set_nonblocking(true)?;
            return Ok(Socket::Unix(socket));
        }
        Socket::tcp(connect_tcp(address, within)?)
    }

    /// The same to `host:port`, where TLS is spoken: before its handshake; see [`Socket::shake`].
    pub fn connect_tls(address: &str, within: Duration, tls: &TlsClient) -> io::Result<Socket> {
        let host = address.rsplit_once(':').map_or(address, |it| it.0);
        let socket = connect_tcp(address, within)?;
        Socket::to_server(socket, tls, host.trim_matches(['[', ']']))
    }

    /// As [`Socket::try_read`], into the room behind `bytes`, which is not cleared before.
    pub fn try_read_more(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Socket::Tls(it) => it.try_read(Room::spare(bytes)),
            _ => retry(|| Ok(rustix::io::read(self, spare_capacity(bytes))?)),
        }
    }

    /// One that was accepted where TLS is spoken, before its handshake.
    pub(super) fn accepted(socket: TcpStream, tls: &TlsServer) -> io::Result<Socket> {
        socket.set_nodelay(true)?;
        Ok(Socket::Tls(Box::new(TlsSocket::server(socket, tls)?)))
    }

    /// One that has connected to a server of this name, before its handshake.
    pub(super) fn to_server(socket: TcpStream, tls: &TlsClient, host: &str) -> io::Result<Socket> {
        socket.set_nodelay(true)?;
        Ok(Socket::Tls(Box::new(TlsSocket::client(socket, tls, host)?)))
    }

    /// Goes on with the handshake of TLS, without waiting.
    pub fn shake(&self) -> io::Result<Handshake> {
        match self {
            Socket::Tls(it) => it.shake(),
            Socket::Tcp(_) | Socket::Unix(_) => Ok(Handshake::Done),
        }
    }

    /// One over the network.
    pub(super) fn tcp(socket: TcpStream) -> io::Result<Socket> {
        socket.set_nodelay(true)?;
        Ok(Socket::Tcp(socket))
    }

    fn is_unix(&self) -> bool {
        matches!(self, Socket::Unix(_))
    }

    /// Reads once, without waiting. `WouldBlock` when nothing is there; 0 at the end.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tls(it) => it.try_read(Room::slice(into)),
            _ => retry(|| Ok(rustix::io::read(self, &mut *into)?)),
        }
    }

    /// Writes what fits, without waiting. After `WouldBlock` the same bytes are to be written next.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tls(it) => it.try_write(bytes),
            // A peer that has gone is an error, and no signal.
            _ => retry(|| Ok(rustix::net::send(self, bytes, SendFlags::NOSIGNAL)?)),
        }
    }

    /// Says that nothing more will be written.
    pub fn end_writing(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(it) => it.shutdown(Shutdown::Write),
            Socket::Tls(it) => {
                it.end_writing();
                it.tcp.shutdown(Shutdown::Write)
            }
            Socket::Unix(it) => it.shutdown(Shutdown::Write),
        }
    }

    /// Probes an idle peer this often, and gives it up after three probes without an answer; zero
    /// for never.
    pub fn keep_alive(&self, every: Duration) {
        let Some(stream) = self.network() else { return };
        if every.is_zero() {
            return;
        }
        let between = (every / 3).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(every).with_interval(between).with_retries(3);
        // Without probes a dead peer is only noticed later.
        let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
    }

    fn is_local(&self) -> bool {
        let is_loopback =
            |it: &TcpStream| it.peer_addr().is_ok_and(|it| it.ip().to_canonical().is_loopback());
        self.network().is_none_or(is_loopback)
    }

    /// Whether its peer is in one of these networks, or on this machine over a unix socket.
    pub fn comes_from(&self, networks: &[Network]) -> bool {
        let is_in = |ip| networks.iter().any(|it| it.has(ip));
        self.network().is_none_or(|it| it.peer_addr().is_ok_and(|it| is_in(it.ip())))
    }

    /// What it is over the network, if it is.
    fn network(&self) -> Option<&TcpStream> {
        match self {
            Socket::Tcp(it) => Some(it),
            Socket::Tls(it) => Some(&it.tcp),
            Socket::Unix(_) => None,
        }
    }

    /// Whether something has come that was taken out of the socket and not read.
    fn has_unread(&self) -> bool {
        matches!(self, Socket::Tls(it) if it.has_unread())
    }

    fn addresses(&self) -> (String, String) {
        let text =
            |it: io::Result<SocketAddr>| it.map_or_else(|_| "?:0".to_string(), |it| it.to_string());
        let of_network = |it: &TcpStream| (text(it.peer_addr()), text(it.local_addr()));
        match self {
            Socket::Tcp(it) => of_network(it),
            Socket::Tls(it) => of_network(&it.tcp),
            Socket::Unix(it) => {
                let local = it.local_addr().ok();
                let path = local.as_ref().and_then(|it| it.as_pathname());
                let text = format!("{}:0", path.unwrap_or(Path::new("")).display());
                (text.clone(), text)
            }
        }
    }

    /// The two ends, as CLIENT LIST shows them.
    pub fn peer(&self) -> Peer {
        let (address, local_address) = self.addresses();
        Peer {
            is_trusted: false,
            address,
            local_address,
            is_unix: self.is_unix(),
            is_local: self.is_local(),
            descriptor: self.descriptor(),
        }
    }

    /// The names that stand there in the certificate of a peer that has shown one.
    pub fn peer_names(&self, field: UserField) -> Vec<String> {
        match self {
            Socket::Tls(tls) => tls.peer_names(field),
            Socket::Tcp(_) | Socket::Unix(_) => Vec::new(),
        }
    }

    /// Number of its file descriptor.
    fn descriptor(&self) -> i32 {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(it) => it.as_fd(),
            Socket::Tls(it) => it.tcp.as_fd(),
            Socket::Unix(it) => it.as_fd(),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that has ended by itself cannot be ended again, which is as good.
        let _ = match self {
            Socket::Tcp(it) => it.shutdown(Shutdown::Both),
            Socket::Tls(it) => {
                it.end_writing();
                it.tcp.shutdown(Shutdown::Both)
            }
            Socket::Unix(it) => it.shutdown(Shutdown::Both),
        };
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
