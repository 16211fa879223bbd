//! Writes that are about to be forwarded.

use crate::resp::OwnedRequest;
use crate::state::Forwarded;

/// Writes that were gathered, and the first of them, which stands for all in the slow log and for
/// their route.
pub struct Gathered {
    /// The writes.
    pub forwarded: Forwarded,
    /// The first of them.
    pub first: OwnedRequest,
}
