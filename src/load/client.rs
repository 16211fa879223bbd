//! One client's connections: what was asked on each and has not been answered.

use super::check::WriteEvent;
use super::control::{Control, Greeting};
use crate::resp::ReplyScanner;
use crate::runtime::poller::Poller;
use crate::runtime::stream::Socket;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// What a request is for, in the place of its command's number.
pub const FILL: u16 = u16::MAX;
/// A client asks for its token.
pub const TOKEN: u16 = u16::MAX - 1;
/// A client hands in the token of another: the key is that one, the version when it was taken.
pub const ATLEAST: u16 = u16::MAX - 2;

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// Place of its command in the mix; one past the last is WAIT.
    pub command: u16,
    /// Its key.
    pub key: u64,
    /// The version that it writes.
    pub version: u64,
    /// When it should have been sent: ns since the run began.
    pub intended: u64,
    /// When it was handed to the system.
    pub began: u64,
}

/// A client's token, on its way to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// The token.
    pub token: Vec<u8>,
    /// Whose.
    pub from: u32,
    /// When it was asked for: ns since the run began.
    pub taken: u64,
}

/// A connection of a client to one of the targets.
pub struct Lane {
    /// `None` while it is down.
    pub socket: Option<Socket>,
    /// Which client's.
    pub client: u32,
    /// Which target.
    pub target: u16,
    /// What is not sent yet.
    pub out: Vec<u8>,
    /// What of `out` has been sent.
    pub sent: usize,
    /// What has come of a reply that is not whole.
    pub rest: Vec<u8>,
    /// Knows where that reply goes on.
    pub scanner: ReplyScanner,
    /// What is not answered, oldest first.
    pub pending: VecDeque<Pending>,
    /// Writes that WAIT will confirm.
    pub unconfirmed: Vec<WriteEvent>,
    /// Where WAIT has a connection of its own, this is it: what each of its WAITs is to confirm.
    pub confirming: VecDeque<Vec<WriteEvent>>,
    /// A token to be handed in before the next read.
    pub token: Option<Passed>,
    /// Whether something was written since the last WAIT.
    pub has_written: bool,
}

/// A client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// Requests on their way.
    pub under_way: u32,
    /// The closed loop: it could send nothing, and tries again in a while.
    pub is_resting: bool,
    /// Which target its next read goes to, counted from the first of those.
    pub next_target: u16,
}

impl Lane {
    /// Connects, and waits no longer than this for anything.
    pub fn connect(
        address: &str,
        greeting: &Greeting,
        client: u32,
        target: u16,
        patience: Duration,
    ) -> Result<Lane, String> {
        let socket = Control::dial_within(address, greeting, patience)?.into_socket();
        Ok(Lane {
            socket: Some(socket),
            client,
            target,
            out: Vec::new(),
            sent: 0,
            rest: Vec::new(),
            scanner: ReplyScanner::default(),
            pending: VecDeque::new(),
            unconfirmed: Vec::new(),
            confirming: VecDeque::new(),
            token: None,
            has_written: false,
        })
    }

    /// Has a thread's poller watch it.
    pub fn watch(&self, poller: &Poller, number: usize) -> io::Result<()> {
        self.socket.as_ref().map_or(Ok(()), |it| poller.watch(it, number as u64))
    }

    /// Sends what fits.
    #[inline]
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        while self.sent < self.out.len() {
            match socket.try_write(&self.out[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(it) if it.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(it) => return Err(it),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// The connection is lost. Answers what was not answered.
    pub fn lose(&mut self) -> VecDeque<Pending> {
        self.socket = None;
        self.out.clear();
        self.sent = 0;
        self.rest.clear();
        self.scanner = ReplyScanner::default();
        self.has_written = false;
        self.token = None;
        std::mem::take(&mut self.pending)
    }
}
