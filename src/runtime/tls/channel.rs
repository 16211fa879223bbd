//! One connection's TLS without its socket: what has come is made plain, what is to be sent is
//! made ciphertext.

use super::context::{TlsClient, TlsServer};
use super::fault::TlsFault;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use std::mem::take;

/// Most bytes that have come and could not be made plain yet: a handshake message of 64 kB, and
/// what is read at a time.
pub const INCOMING_BYTES_MAX: usize = 192 << 10;
/// Most bytes of answers of TLS itself that a peer may leave in our hands.
const OUTGOING_BYTES_MAX: usize = 64 << 10;
/// Most plaintext that is made ciphertext at a time: four whole records.
pub const WRITE_BYTES_MAX: usize = 64 << 10;
/// What records take beside four of them full.
const RECORDS_BYTES: usize = 512;
/// The first byte of a handshake.
const HANDSHAKE: u8 = 22;

/// Where plaintext is put.
pub enum Room<'r> {
    /// Here, from the beginning.
    Slice(&'r mut [u8], usize),
    /// Behind these, where there is room already.
    Spare(&'r mut Vec<u8>, usize),
}

impl<'r> Room<'r> {
    /// The whole slice.
    pub fn slice(bytes: &'r mut [u8]) -> Room<'r> {
        Room::Slice(bytes, 0)
    }

    /// What is behind `bytes` without their moving.
    pub fn spare(bytes: &'r mut Vec<u8>) -> Room<'r> {
        let before = bytes.len();
        Room::Spare(bytes, before)
    }

    /// How many bytes have been put there.
    pub fn filled(&self) -> usize {
        match self {
            Room::Slice(_, filled) => *filled,
            Room::Spare(bytes, before) => bytes.len() - before,
        }
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.left() == 0
    }

    fn left(&self) -> usize {
        match self {
            Room::Slice(bytes, filled) => bytes.len() - filled,
            Room::Spare(bytes, _) => bytes.capacity() - bytes.len(),
        }
    }

    /// Puts what fits; answers how much.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.left());
        match self {
            Room::Slice(room, filled) => {
                room[*filled..*filled + count].copy_from_slice(&bytes[..count]);
                *filled += count;
            }
            Room::Spare(room, _) => room.extend_from_slice(&bytes[..count]),
        }
        count
    }
}

/// Bytes of which some have been dealt with.
#[derive(Default)]
struct Rest {
    bytes: Vec<u8>,
    from: usize,
}

impl Rest {
    fn left(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    fn is_empty(&self) -> bool {
        self.from == self.bytes.len()
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.from != 0 {
            self.bytes.drain(..take(&mut self.from));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// So many have been dealt with. Keeps no memory once that is all.
    fn skip(&mut self, count: usize) {
        self.from += count;
        if self.is_empty() {
            *self = Rest::default();
        }
    }
}

/// One connection's TLS.
pub struct Channel {
    side: Side,
    /// Ciphertext that has come: an unfinished message, or what waits for room.
    incoming: Rest,
    /// Plaintext for which there was no room.
    plain: Rest,
    /// Ciphertext to be sent.
    outgoing: Rest,
    /// Bytes that a writer has given and that count as written once `outgoing` has left.
    owed: usize,
    has_begun: bool,
    is_open: bool,
    has_peer_ended: bool,
    fault: Option<TlsFault>,
}

enum Side {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// What comes next.
enum Next {
    /// There may be more to do.
    Again,
    /// More has to come.
    Blocked,
    /// Nothing is left to do, and plaintext may be sent.
    Open,
    /// The peer sends no more.
    PeerEnded,
    /// Neither end sends any more.
    Closed,
}

/// Where a step puts what it makes.
struct Made<'m, 'r> {
    room: &'m mut Room<'r>,
    plain: &'m mut Rest,
    outgoing: &'m mut Rest,
}

impl Made<'_, '_> {
    fn plaintext(&mut self, payload: &[u8]) {
        let put = if self.plain.is_empty() { self.room.put(payload) } else { 0 };
        if put < payload.len() {
            self.plain.push(&payload[put..]);
        }
    }

    /// Does what one state asks for; answers how many bytes that came are done with, too.
    fn step<D>(&mut self, status: UnbufferedStatus<'_, '_, D>) -> (usize, Result<Next, TlsFault>) {
        let UnbufferedStatus { discard, state } = status;
        let mut used = discard;
        let next = match state {
            Err(error) => Err(error.into()),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        used += record.discard;
                        self.plaintext(record.payload);
                    }
                    Some(Err(error)) => break Err(error.into()),
                    None => break Ok(Next::Again),
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut message)) => {
                let needed = match message.encode(&mut []) {
                    Err(EncodeError::InsufficientSize(it)) => it.required_size,
                    Ok(_) | Err(EncodeError::AlreadyEncoded) => 0,
                };
                let mut bytes = vec![0; needed];
                if needed != 0 && message.encode(&mut bytes).is_ok() {
                    self.outgoing.push(&bytes);
                }
                match self.outgoing.left().len() {
                    ..=OUTGOING_BYTES_MAX => Ok(Next::Again),
                    _ => Err(TlsFault::Unread),
                }
            }
            // It leaves before anything else does.
            Ok(ConnectionState::TransmitTlsData(message)) => {
                message.done();
                Ok(Next::Again)
            }
            Ok(ConnectionState::BlockedHandshake) => Ok(Next::Blocked),
            Ok(ConnectionState::WriteTraffic(_)) => Ok(Next::Open),
            Ok(ConnectionState::PeerClosed) => Ok(Next::PeerEnded),
            Ok(ConnectionState::Closed) => Ok(Next::Closed),
            // Nobody may send data before the handshake here.
            Ok(_) => Err(rustls::Error::General("unexpected state".to_owned()).into()),
        };
        (used, next)
    }
}

impl Channel {
    /// The end that connects, to a server of this name.
    pub fn client(tls: &TlsClient, host: &str) -> Result<Channel, TlsFault> {
        Ok(Channel::of(Side::Client(Box::new(tls.connection(host)?))))
    }

    /// The end that accepts.
    pub fn server(tls: &TlsServer) -> Result<Channel, TlsFault> {
        Ok(Channel::of(Side::Server(Box::new(tls.connection()?))))
    }

    fn of(side: Side) -> Channel {
        // Whoever connects speaks first, and it knows what it speaks.
        let has_begun = matches!(side, Side::Client(_));
        Channel {
            side,
            incoming: Rest::default(),
            plain: Rest::default(),
            outgoing: Rest::default(),
            owed: 0,
            has_begun,
            is_open: false,
            has_peer_ended: false,
            fault: None,
        }
    }

    /// The certificate that the peer has shown, if it has: one that is trusted.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let shown = match &self.side {
            Side::Client(it) => it.peer_certificates(),
            Side::Server(it) => it.peer_certificates(),
        };
        shown?.first().map(AsRef::as_ref)
    }

    /// Whether the handshake is over.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the peer has said that it sends no more.
    pub fn has_peer_ended(&self) -> bool {
        self.has_peer_ended
    }

    /// What has ended it, if anything has.
    pub fn fault(&self) -> Option<&TlsFault> {
        self.fault.as_ref()
    }

    /// Whether something has come that nobody has read.
    pub fn has_unread(&self) -> bool {
        !self.incoming.is_empty() || !self.plain.is_empty()
    }

    /// Ciphertext to be sent before anything else.
    pub fn to_send(&self) -> &[u8] {
        self.outgoing.left()
    }

    /// So much of it has been.
    pub fn sent(&mut self, count: usize) {
        self.outgoing.skip(count);
    }

    /// How many bytes given to [`Channel::encrypt`] have been sent since and are not told of yet,
    /// at most `count`. They are told of now.
    pub fn take_owed(&mut self, count: usize) -> usize {
        let told = self.owed.min(count);
        self.owed -= told;
        told
    }

    /// Keeps what a socket has not taken of the ciphertext of `count` bytes.
    pub fn keep(&mut self, unsent: &[u8], count: usize) {
        self.outgoing.push(unsent);
        self.owed = count;
    }

    /// Goes on with the handshake, without anything new that has come.
    pub fn shake(&mut self) -> Result<(), TlsFault> {
        self.process_kept(&mut Room::slice(&mut []))
    }

    /// Puts plaintext that is there into `room`. `Err` once the channel is broken and everything
    /// before that has been read.
    pub fn read(&mut self, room: &mut Room<'_>) -> Result<(), TlsFault> {
        let put = room.put(self.plain.left());
        self.plain.skip(put);
        if room.is_full() || self.incoming.is_empty() {
            return match &self.fault {
                Some(fault) if self.plain.is_empty() && room.filled() == 0 => Err(fault.clone()),
                _ => Ok(()),
            };
        }
        self.process_kept(room)
    }

    /// Takes ciphertext that has come, in place; `room` is for what it holds.
    pub fn take(&mut self, bytes: &mut [u8], room: &mut Room<'_>) -> Result<(), TlsFault> {
        if !self.has_begun
            && let Some(first) = bytes.first()
        {
            self.has_begun = true;
            if *first != HANDSHAKE {
                return Err(self.broken(TlsFault::NotTls));
            }
        }
        if !self.incoming.is_empty() {
            self.incoming.push(bytes);
            return self.process_kept(room);
        }
        let (used, done) = self.process(bytes, room);
        self.incoming.push(&bytes[used..]);
        self.checked(done)
    }

    fn process_kept(&mut self, room: &mut Room<'_>) -> Result<(), TlsFault> {
        let mut incoming = take(&mut self.incoming);
        let from = incoming.from;
        let (used, done) = self.process(&mut incoming.bytes[from..], room);
        incoming.skip(used);
        self.incoming = incoming;
        self.checked(done)
    }

    fn checked(&mut self, done: Result<(), TlsFault>) -> Result<(), TlsFault> {
        match done {
            Ok(()) if self.incoming.left().len() <= INCOMING_BYTES_MAX => Ok(()),
            Ok(()) => Err(self.broken(TlsFault::Endless)),
            Err(fault) => Err(self.broken(fault)),
        }
    }

    fn broken(&mut self, fault: TlsFault) -> TlsFault {
        if self.fault.is_none() {
            self.say_why();
            self.fault = Some(fault.clone());
        }
        self.incoming = Rest::default();
        fault
    }

    /// What TLS has to say of a fault is to be sent, too. It is asked once: asked again, it would
    /// look at the bytes that were wrong again.
    fn say_why(&mut self) {
        let mut incoming = take(&mut self.incoming);
        let bytes = &mut incoming.bytes[incoming.from..];
        let _ = self.step(bytes, &mut Room::slice(&mut []));
    }

    /// Does what can be done with these bytes while there is room; answers how many are done with.
    fn process(&mut self, bytes: &mut [u8], room: &mut Room<'_>) -> (usize, Result<(), TlsFault>) {
        let mut used = 0;
        if let Some(fault) = &self.fault {
            return (bytes.len(), Err(fault.clone()));
        }
        // What has come waits for whoever has no room for it.
        while !self.is_open || (self.plain.is_empty() && !room.is_full()) {
            let (count, next) = self.step(&mut bytes[used..], room);
            used += count;
            match next {
                Ok(Next::Again) => self.is_open |= !self.plain.is_empty(),
                Ok(Next::PeerEnded) => self.has_peer_ended = true,
                Ok(Next::Open) => {
                    self.is_open = true;
                    break;
                }
                Ok(Next::Blocked | Next::Closed) => break,
                Err(fault) => return (used, Err(fault)),
            }
        }
        (used, Ok(()))
    }

    fn step(&mut self, bytes: &mut [u8], room: &mut Room<'_>) -> (usize, Result<Next, TlsFault>) {
        let Channel { side, plain, outgoing, .. } = self;
        let mut made = Made { room, plain, outgoing };
        match side {
            Side::Client(it) => made.step(it.process_tls_records(bytes)),
            Side::Server(it) => made.step(it.process_tls_records(bytes)),
        }
    }

    /// Makes ciphertext of some of these bytes, in `into`, which grows to what that takes. Answers
    /// how many of them, and how long it is. Only while nothing else is to be sent.
    pub fn encrypt(
        &mut self,
        bytes: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<(usize, usize), TlsFault> {
        assert!(self.outgoing.is_empty(), "what was encrypted before leaves before");
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        if into.len() < bytes.len() + RECORDS_BYTES {
            into.resize(WRITE_BYTES_MAX + RECORDS_BYTES, 0);
        }
        let done = self.with_traffic(|traffic| match traffic.encrypt(bytes, into) {
            Err(EncryptError::InsufficientSize(it)) => {
                into.resize(it.required_size, 0);
                traffic.encrypt(bytes, into)
            }
            done => done,
        });
        let len = done.and_then(|it| it.map_err(|_| rustls::Error::EncryptError.into()));
        let len = len.map_err(|it| self.broken(it))?;
        Ok((bytes.len(), len))
    }

    /// Says that nothing more will be sent; what says it is to be sent.
    pub fn end(&mut self) {
        if !self.is_open || self.fault.is_some() {
            return;
        }
        let mut words = vec![0; RECORDS_BYTES];
        let said = self.with_traffic(|traffic| traffic.queue_close_notify(&mut words));
        if let Ok(Ok(len)) = said {
            self.outgoing.push(&words[..len]);
        }
    }

    fn with_traffic<T>(&mut self, act: impl FnOnce(&mut dyn Traffic) -> T) -> Result<T, TlsFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        // What has come is shown again, since parts of it may be known already.
        let mut incoming = take(&mut self.incoming);
        let mut room = Room::slice(&mut []);
        let done = loop {
            let Channel { side, plain, outgoing, .. } = self;
            let mut made = Made { room: &mut room, plain, outgoing };
            let bytes = &mut incoming.bytes[incoming.from..];
            macro_rules! step {
                ($connection:expr) => {
                    match $connection.process_tls_records(bytes) {
                        UnbufferedStatus {
                            discard,
                            state: Ok(ConnectionState::WriteTraffic(mut it)),
                        } => {
                            let done = act(&mut it);
                            incoming.skip(discard);
                            break Ok(done);
                        }
                        status => made.step(status),
                    }
                };
            }
            let (used, next) = match side {
                Side::Client(it) => step!(it),
                Side::Server(it) => step!(it),
            };
            incoming.skip(used);
            match next {
                Ok(Next::Again) => {}
                Ok(Next::PeerEnded) => self.has_peer_ended = true,
                Ok(Next::Blocked | Next::Open | Next::Closed) => {
                    break Err(rustls::Error::HandshakeNotComplete.into());
                }
                Err(fault) => break Err(fault),
            }
        };
        self.incoming = incoming;
        done
    }
}

/// What may be done once the handshake is over, at either end.
trait Traffic {
    fn encrypt(&mut self, bytes: &[u8], into: &mut [u8]) -> Result<usize, EncryptError>;
    fn queue_close_notify(&mut self, into: &mut [u8]) -> Result<usize, EncryptError>;
}

impl<D> Traffic for rustls::unbuffered::WriteTraffic<'_, D> {
    fn encrypt(&mut self, bytes: &[u8], into: &mut [u8]) -> Result<usize, EncryptError> {
        self.encrypt(bytes, into)
    }

    fn queue_close_notify(&mut self, into: &mut [u8]) -> Result<usize, EncryptError> {
        self.queue_close_notify(into)
    }
}

#[cfg(test)]
mod tests;
