//! Why the link to a replica on the wire ends.

use crate::node::Overtaken;
use crate::replication::{DisconnectReason, PeerFault};
use std::fmt;
use std::io;

/// Why a link ends.
pub enum LinkEnd {
    /// The socket.
    Io(io::Error),
    /// The replica broke the protocol.
    Peer(PeerFault),
    /// It is sent nothing any more.
    Disconnected(DisconnectReason),
    /// The member that its file is of has other data by now: it has to ask again.
    Overtaken,
    /// The history goes on under another name, which the replica learns when it asks again.
    Renamed,
    /// CLIENT KILL.
    Killed,
    /// It has what it asked for, or the proxy shuts down.
    Done,
}

impl From<io::Error> for LinkEnd {
    fn from(error: io::Error) -> LinkEnd {
        LinkEnd::Io(error)
    }
}

impl From<Overtaken> for LinkEnd {
    fn from(_: Overtaken) -> LinkEnd {
        LinkEnd::Overtaken
    }
}

impl From<PeerFault> for LinkEnd {
    fn from(fault: PeerFault) -> LinkEnd {
        LinkEnd::Peer(fault)
    }
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkEnd::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("replica-closed")
            }
            LinkEnd::Io(error) => write!(f, "{error}"),
            LinkEnd::Peer(fault) => fault.fmt(f),
            LinkEnd::Disconnected(DisconnectReason::FeedLimit) => f.write_str("output-limit"),
            LinkEnd::Disconnected(why) => why.fmt(f),
            LinkEnd::Overtaken => f.write_str("data-replaced"),
            LinkEnd::Renamed => f.write_str("history-renamed"),
            LinkEnd::Killed => f.write_str("killed"),
            LinkEnd::Done => f.write_str("done"),
        }
    }
}
