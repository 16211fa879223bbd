//! What the server has seen, as exact counts and histograms, and how that reads as text.
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
pub mod worst;
pub mod batch;
mod services;
pub mod snapshot;
pub mod shards;
pub mod render;
pub mod json;
pub mod render_json;
pub mod exposition;
pub mod recent;
pub mod latency_events;

use crate::base::ids::{CommandId, MemberId, RouteId};

/// Steps a ladder can have, with room to grow (design section 4 names six).
pub const LADDER_STEPS_MAX: usize = 8;

/// What one histogram of service times is about: route, member and the row of the command (or of
/// the subcommand, where a command has them). The numbers are the caller's; names are given when a
/// [`snapshot::Snapshot`] is rendered. One word, because every call compares it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label(u64);

impl Label {
    /// The calls of `command` that went this way; `NONE` where there was no route or member.
    pub const fn new(route: RouteId, member: MemberId, command: CommandId) -> Self {
        Label((route.0 as u64) << 32 | (member.0 as u64) << 16 | command.0 as u64)
    }

    /// Where the calls went.
    pub fn place(self) -> Place {
        Place { route: RouteId((self.0 >> 32) as u16), member: MemberId((self.0 >> 16) as u16) }
    }

    /// Which command it was.
    pub fn command(self) -> CommandId {
        CommandId(self.0 as u16)
    }
}

/// Where a read was served or somebody waited, which is all that staleness and waits depend on;
/// `NONE` where there was no route or member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    pub route: RouteId,
    pub member: MemberId,
}

impl Place {
    /// Of no route and no member.
    pub const NOWHERE: Place = Place { route: RouteId::NONE, member: MemberId::NONE };
}

/// Times that are waited, not worked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Delay {
    /// A read waited for a replica to reach its floor.
    FloorWait,
    /// A client or a route waited for acknowledgements (WAIT, `acks`).
    Wait,
    /// A write was acknowledged at the master but not yet applied at a replica.
    PushLag,
    /// Writers were held while the master changed.
    FailoverPause,
    /// A worker waited for a replica to apply before it went on writing.
    SoftLag,
}

impl Delay {
    /// Every delay.
    pub const ALL: [Delay; 5] =
        [Delay::FloorWait, Delay::Wait, Delay::PushLag, Delay::FailoverPause, Delay::SoftLag];
}
