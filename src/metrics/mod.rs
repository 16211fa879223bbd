//! What the house has seen, as exact counts and histograms, and how that reads as text.
//!
//! ```text
//! connection → Batch → Shards::flush → a shard per worker → Snapshot → render
//!              no lock  the worker's own lock                merged     INFO, LATENCY, PROXY STATS
//! ```
//!
//! **Invariant:** no clock and no socket. Durations come in as numbers, names come in at rendering.
//! **Invariant:** a shard's lock is taken for recording by its own worker alone; readers borrow it
//! for as long as one merge takes, and a worker that finds it taken goes on gathering.
//! **Invariant:** calls, totals and maxima are exact; only percentiles are rounded, to two digits.

pub mod distribution;
pub mod batch;
pub mod snapshot;
pub mod shards;
pub mod render;

/// No such member (the proxy answered by itself), or no such route.
pub const NONE: u16 = u16::MAX;

/// Rungs a ladder can have, with room to grow (design section 4 names six).
pub const LADDER_STEPS_MAX: usize = 8;

/// What one histogram of service times is about. The numbers are the caller's; names are given
/// when a [`snapshot::Snapshot`] is rendered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Label {
    pub route: u16,
    pub member: u16,
    /// The row of the command, or of the subcommand where the command has them.
    pub command: u16,
}

impl Label {
    pub(crate) fn packed(self) -> u64 {
        u64::from(self.route) << 32 | u64::from(self.member) << 16 | u64::from(self.command)
    }
}

impl std::hash::Hash for Label {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.packed());
    }
}

/// Where a read was served, which is all that staleness depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    pub route: u16,
    pub member: u16,
}

/// Times that are waited, not worked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delay {
    /// A read waited for a replica to reach its floor.
    FloorWait,
    /// A client or a route waited for acknowledgements (WAIT, `acks`).
    Wait,
    /// A write was acknowledged at the master but not yet applied at a replica.
    PushLag,
}

impl Delay {
    /// Every delay, in the order of its discriminant.
    pub const ALL: [Delay; 3] = [Delay::FloorWait, Delay::Wait, Delay::PushLag];
}
