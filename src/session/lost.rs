//! What a failover has taken from a session.

use crate::base::position::Offset;

/// The end of a session's past that a failover cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Up to here the stream still shares it.
    pub from: Offset,
    /// Where it ended.
    pub to: Offset,
}
