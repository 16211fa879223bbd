//! A TCP socket whose bytes are TLS: as a plain one to whoever reads and writes it.

use super::certificate::{UserField, names_in};
use super::channel::{Channel, Room, WRITE_BYTES_MAX};
use super::context::{TlsClient, TlsServer};
use super::fault::TlsFault;
use parking_lot::Mutex;
use rustix::io::retry_on_intr;
use rustix::net::SendFlags;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::TcpStream;

/// Ciphertext read at a time.
const READ_BYTES: usize = 64 << 10;
/// Said to whoever does not speak TLS.
const NOT_TLS: &[u8] = b"-ERR this port speaks TLS, and your first bytes are none\r\n";

thread_local! {
    /// What is being read or written.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A TCP socket whose bytes are TLS.
pub struct TlsSocket {
    /// The socket, which does not block.
    pub tcp: TcpStream,
    // For the two directions, which may be different tasks of one thread.
    channel: Mutex<Channel>,
}

/// How far a handshake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handshake {
    /// It is over.
    Done,
    /// It goes on when something has come.
    Reads,
    /// It goes on when there is room again.
    Writes,
}

impl TlsSocket {
    /// The end that has connected to a server of this name.
    pub fn client(tcp: TcpStream, tls: &TlsClient, host: &str) -> Result<TlsSocket, TlsFault> {
        Ok(TlsSocket { tcp, channel: Mutex::new(Channel::client(tls, host)?) })
    }

    /// The end that has accepted.
    pub fn server(tcp: TcpStream, tls: &TlsServer) -> Result<TlsSocket, TlsFault> {
        Ok(TlsSocket { tcp, channel: Mutex::new(Channel::server(tls)?) })
    }

    /// Goes on with the handshake, without waiting.
    pub fn shake(&self) -> io::Result<Handshake> {
        let mut channel = self.channel.lock();
        loop {
            channel.shake()?;
            match self.flush(&mut channel) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Handshake::Writes);
                }
                Err(error) => return Err(error),
            }
            if channel.is_open() {
                return Ok(Handshake::Done);
            }
            match self.receive(&mut channel, &mut Room::slice(&mut [])) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Handshake::Reads),
                Err(error) => return Err(error),
            }
        }
    }

    /// The names that stand there in the certificate that the peer has shown.
    pub fn peer_names(&self, field: UserField) -> Vec<String> {
        let channel = self.channel.lock();
        channel.peer_certificate().map_or_else(Vec::new, |it| names_in(it, field))
    }

    /// Reads plaintext, without waiting: until the room is full or nothing more is there.
    /// `WouldBlock` when nothing was; 0 at the end.
    pub fn try_read(&self, mut room: Room<'_>) -> io::Result<usize> {
        let mut channel = self.channel.lock();
        let channel = &mut *channel;
        loop {
            let read = channel.read(&mut room);
            if room.filled() == 0 {
                read?;
            }
            if room.is_full() || channel.has_peer_ended() {
                return Ok(room.filled());
            }
            let received = self.receive(channel, &mut room);
            match (room.filled(), received) {
                (0, Ok(0)) => return Ok(0),
                (0, Ok(_)) => {}
                (0, Err(error)) => return Err(error),
                // A whole buffer may not have been all.
                (_, Ok(READ_BYTES)) => {}
                // An error or the end is told of the next time.
                (count, _) => return Ok(count),
            }
        }
    }

    /// Whether a read may bring something without anything new from the peer.
    pub fn has_unread(&self) -> bool {
        let channel = self.channel.lock();
        channel.has_unread() || channel.has_peer_ended() || channel.fault().is_some()
    }

    /// Whether the next read tells of the end, without anything new from the peer.
    pub fn is_over(&self) -> bool {
        let channel = self.channel.lock();
        channel.has_peer_ended() || channel.fault().is_some()
    }

    /// Writes what fits, without waiting. Bytes count as written once all of their ciphertext has
    /// left: after `WouldBlock` the same bytes are to be written again.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut channel = self.channel.lock();
        self.flush(&mut channel)?;
        let owed = channel.take_owed(bytes.len());
        if owed != 0 {
            return Ok(owed);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let (count, len) = channel.encrypt(bytes, scratch)?;
            let mut sent = 0;
            // What TLS itself has had to say meanwhile goes before.
            let mut send = || -> io::Result<()> {
                self.flush(&mut channel)?;
                while sent < len {
                    sent += self.send(&scratch[sent..len])?;
                }
                Ok(())
            };
            match send() {
                Ok(()) => Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    channel.keep(&scratch[sent..len], count);
                    Err(error)
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Says that nothing more will be written, if there is room to say it.
    pub fn end_writing(&self) {
        let mut channel = self.channel.lock();
        // What is still to be sent is for nobody any more: the last word cannot stand behind it.
        if channel.to_send().is_empty() {
            channel.end();
        }
        let _ = self.flush(&mut channel);
    }

    /// Sends what TLS has to send.
    fn flush(&self, channel: &mut Channel) -> io::Result<()> {
        while !channel.to_send().is_empty() {
            let sent = self.send(channel.to_send())?;
            channel.sent(sent);
        }
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match retry_on_intr(|| rustix::net::send(&self.tcp, bytes, SendFlags::NOSIGNAL)) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            done => Ok(done?),
        }
    }

    /// Reads ciphertext once; answers how much there was, 0 at the end.
    fn receive(&self, channel: &mut Channel, room: &mut Room<'_>) -> io::Result<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.len() < READ_BYTES {
                scratch.resize(WRITE_BYTES_MAX.max(READ_BYTES), 0);
            }
            let bytes = &mut scratch[..READ_BYTES];
            let count = retry_on_intr(|| rustix::io::read(&self.tcp, &mut *bytes))?;
            if count == 0 {
                return Ok(0);
            }
            if let Err(fault) = channel.take(&mut bytes[..count], room) {
                self.tell(channel, &fault);
                return Err(fault.into());
            }
            // Answers of TLS itself; whoever does not take them is told with the next write.
            match self.flush(channel) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                _ => Ok(count),
            }
        })
    }

    /// Tells the peer what it has done wrong, if there is room for that.
    fn tell(&self, channel: &mut Channel, fault: &TlsFault) {
        if *fault == TlsFault::NotTls {
            let _ = self.send(NOT_TLS);
        }
        let _ = self.flush(channel);
    }
}
