//! What a peer can do wrong: it ends the link, with a name.

use crate::base::position::Offset;
use std::fmt;

/// A peer's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerFault {
    /// It acknowledged bytes that it was never sent.
    AckBeyondSent { acked: Offset, sent: Offset },
    /// It acknowledged something before it was sent anything.
    AckBeforeOnline,
}

impl fmt::Display for PeerFault {
    /// A word for log lines, with its numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerFault::AckBeyondSent { acked, sent } => {
                write!(f, "ack-beyond-sent acked={acked} sent={sent}")
            }
            PeerFault::AckBeforeOnline => f.write_str("ack-before-online"),
        }
    }
}
