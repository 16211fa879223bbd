//! Requests of one client that go to one member together, and may go to another afterwards.

use crate::base::ids::MemberId;
use crate::base::places::Places;
use crate::base::position::Position;
use crate::base::time::MonoUs;
use crate::node::Awaited;
use crate::resp::Protocol;
use crate::route::{Allowed, Ladder, MinReplicas};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Requests of one client, in their order.
#[derive(Clone, Debug)]
pub struct Run {
    /// The database they are for.
    pub db: usize,
    /// They say SELECT themselves, and nobody knows whether the server has done that.
    pub selects: bool,
    /// What they are answered in.
    pub protocol: Protocol,
    /// The encoded requests.
    pub bytes: Vec<u8>,
    /// The replies, in their order.
    pub replies: VecDeque<Awaited>,
    /// What they are.
    pub kind: RunKind,
    /// Until when it may wait to be sent.
    pub unsent_until: MonoUs,
    /// Who must have its writes before it is answered.
    pub acks: Option<RunAcks>,
    /// How many replicas must be near when its writes are sent.
    pub gate: Option<MinReplicas>,
    /// What its session has seen, if it has written: when that is lost, it is told so instead.
    pub floor: Option<Position>,
    /// It is one request of SCAN or its kin.
    pub scan: Option<ScanRun>,
    /// It is one script, for a server that does not know it by its name.
    pub script: Option<Arc<[u8]>>,
    /// Another replica is asked for the same: what comes of this matters only if it is an answer.
    pub is_hedge: bool,
    /// It checks another, and is not checked itself.
    pub is_check: bool,
}

/// A SCAN, whose cursor means something to one server alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanRun {
    /// That server, unless the SCAN begins.
    pub pinned: Option<MemberId>,
}

/// Replicas that must have what a run has written before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunAcks {
    /// How many.
    pub replicas: usize,
    /// How long to wait for them; zero for ever.
    pub timeout: Duration,
}

/// What the requests of a run are.
// In a box of its own, each read would cost an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug)]
pub enum RunKind {
    /// They are the master's. What only reads may be sent again, whatever became of it.
    Master {
        /// How many of the replies there are up to that of the last write.
        written: usize,
        /// Whether it matters where the stream stood: nobody asks that of eventual reads.
        wants_place: bool,
    },
    /// They are reads that a replica may serve.
    Read(ReadRun),
}

/// Reads that a replica may serve, and how far they have come on their ladder.
#[derive(Clone, Copy, Debug)]
pub struct ReadRun {
    /// What the replica must have; without it whatever a replica has will do.
    pub needs: Option<Position>,
    /// Who may serve them.
    pub allowed: Option<Allowed>,
    /// What to try when their replica is behind.
    pub ladder: Ladder,
    /// The step of that ladder on which they stand.
    pub step: u8,
    /// When that step's wait ends, if it is one that has begun.
    pub waits_until: Option<MonoUs>,
    /// Who has been tried on this step.
    pub tried: Places,
}

impl Run {
    /// One request for database 0, of which nothing else is asked; it is to be sent at once.
    pub fn one(kind: RunKind, protocol: Protocol, bytes: Vec<u8>) -> Run {
        Run {
            db: 0,
            selects: false,
            protocol,
            bytes,
            replies: VecDeque::from([Awaited::Last(1)]),
            kind,
            unsent_until: MonoUs::default(),
            acks: None,
            gate: None,
            floor: None,
            scan: None,
            script: None,
            is_hedge: false,
            is_check: false,
        }
    }

    /// Whether it may be sent again though it was sent and not answered: it only reads.
    pub fn only_reads(&self) -> bool {
        match self.kind {
            RunKind::Read(_) => true,
            RunKind::Master { written, .. } => written == 0,
        }
    }

    /// Whether where the stream stands behind it is to be asked.
    pub fn wants_place(&self) -> bool {
        match self.kind {
            RunKind::Read(ReadRun { needs, .. }) => needs.is_some(),
            RunKind::Master { wants_place, .. } => wants_place,
        }
    }

    /// What a replica must have to serve it.
    pub fn needs(&self) -> Option<Position> {
        match self.kind {
            RunKind::Read(ReadRun { needs, .. }) => needs,
            RunKind::Master { .. } => None,
        }
    }

    /// Whether it is the master's.
    pub fn is_for_master(&self) -> bool {
        matches!(self.kind, RunKind::Master { .. })
    }

    /// How many replies the server sends.
    pub fn server_replies(&self) -> usize {
        self.replies.iter().map(Awaited::count).sum()
    }

    /// The same reads for the master: whatever the master has is enough.
    pub fn for_master(self) -> Run {
        let wants_place = self.wants_place();
        match self.kind {
            RunKind::Master { .. } => self,
            RunKind::Read(_) => Run { kind: RunKind::Master { written: 0, wants_place }, ..self },
        }
    }
}
