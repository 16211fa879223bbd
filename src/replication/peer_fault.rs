//! What a peer can do wrong: it ends the link, with a name.

use crate::base::position::Offset;
use crate::resp::Malformed;
use std::fmt;

/// A peer's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerFault {
    /// It acknowledged bytes that it was never sent.
    AckBeyondSent { acked: Offset, sent: Offset },
    /// It acknowledged something before it was sent anything.
    AckBeforeOnline,
    /// What it acknowledged is no number.
    AckNotANumber,
    /// Its bytes are no request.
    Malformed(Malformed),
    /// It has not taken what it was sent, or said anything, for `repl-timeout`.
    Silent,
}

impl fmt::Display for PeerFault {
    /// A word for log lines, with its numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerFault::AckBeyondSent { acked, sent } => {
                write!(f, "ack-beyond-sent acked={acked} sent={sent}")
            }
            PeerFault::AckBeforeOnline => f.write_str("ack-before-online"),
            PeerFault::AckNotANumber => f.write_str("ack-not-a-number"),
            PeerFault::Malformed(why) => write!(f, "malformed text={:?}", why.to_string()),
            PeerFault::Silent => f.write_str("silent"),
        }
    }
}
