//! Everything that can happen to a connection, and everything it wants.

use crate::base::ids::{BlockId, SlotId};
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::commands::{BlockOn, Job};
use crate::replication::Asked;
use crate::state::Message;
use std::fmt;

/// Everything that can happen to a connection.
#[derive(Debug)]
pub enum Event<'e> {
    /// The peer has sent these bytes.
    Bytes(&'e [u8]),
    /// The peer has sent these, and nothing is to be served before it is seen whether it has gone.
    Unserved(&'e [u8]),
    /// The peer has sent this many bytes, which were added to [`Connection::room`].
    Received {
        /// How many.
        count: usize,
    },
    /// Others have had their turn, or replies have left: what waits to be served may go on.
    Proceed,
    /// A message from the mailbox.
    Message(Message),
    /// It is this late.
    Time(MonoUs),
    /// The peer sends no more.
    PeerClosed,
    /// More was handed to it than its mailbox holds.
    MailboxOverflow,
}

/// What a connection wants done.
#[derive(Debug)]
pub enum Action {
    /// To be told when this wait has ended.
    Block(BlockId, BlockOn),
    /// This job done on a thread of its own, and the slot filled with what comes of it.
    Apart(Job, SlotId),
    /// To be told when the stream is on disk up to here.
    Sync(Offset),
    /// These jobs done one after another; nobody waits for what comes of them.
    Later(Vec<Job>),
    /// To be served as a replica's, once its replies are out.
    Follow(Box<Asked>),
    /// To be closed now.
    Close(Why),
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The peer has gone.
    PeerClosed,
    /// It asked for it, or broke the protocol, and its replies are out.
    Done,
    /// CLIENT KILL, or it was idle for too long.
    Killed,
    /// It has sent more than may wait to be executed.
    QueryLimit,
    /// It does not take its replies.
    OutputLimit,
    /// It does not take what it is handed.
    MailboxOverflow,
    /// The proxy shuts down.
    ServerClosing,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::PeerClosed => "peer-closed",
            Why::Done => "done",
            Why::Killed => "killed",
            Why::QueryLimit => "query-buffer-limit",
            Why::OutputLimit => "output-limit",
            Why::MailboxOverflow => "mailbox-overflow",
            Why::ServerClosing => "shutdown",
        })
    }
}
