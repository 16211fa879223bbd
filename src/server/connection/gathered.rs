//! Requests that are about to be sent to another server.

use crate::base::ids::RouteId;
use crate::node::upstream::{RunAcks, RunKind, ScanRun};
use crate::resp::OwnedRequest;
use crate::route::Reason;
use crate::state::{Aim, Forwarded};
use std::sync::Arc;

/// Requests that were gathered, and the first of them, or the first write among them, which stands
/// for all in the slow log and for their route.
pub struct Gathered {
    /// The requests.
    pub forwarded: Forwarded,
    /// The first of them.
    pub first: OwnedRequest,
    /// What they are to members that are real servers; `None` for writes that go to the master that
    /// the set follows.
    pub upstream: Option<GatheredFor>,
    /// They are one SCAN.
    pub scan: Option<ScanRun>,
    /// They are one script, for a server that does not know it by its name.
    pub script: Option<Arc<[u8]>>,
    /// There is a write among them that the gate holds back. Of a script nobody knows whether it
    /// writes: it counts as one.
    pub is_gated: bool,
}

/// Requests for a member that is a real server.
#[derive(Clone, Copy)]
pub struct GatheredFor {
    /// Where they go.
    pub aim: Aim,
    /// What they are.
    pub kind: RunKind,
    /// The route of the first.
    pub route: RouteId,
    /// Why they go there.
    pub because: Reason,
    /// Who must have what they write.
    pub acks: Option<RunAcks>,
}

impl GatheredFor {
    /// Writes of this route, none so far.
    pub fn writes(route: RouteId, acks: Option<RunAcks>) -> GatheredFor {
        let kind = RunKind::Master { written: 0, wants_place: true };
        GatheredFor { aim: Aim::Master, kind, route, because: Reason::Write, acks }
    }
}

impl Gathered {
    /// These requests, which are neither a SCAN nor a script.
    pub fn new(
        forwarded: Forwarded,
        first: OwnedRequest,
        upstream: Option<GatheredFor>,
    ) -> Gathered {
        Gathered { forwarded, first, upstream, scan: None, script: None, is_gated: false }
    }

    /// The last of them writes.
    pub fn note_write(&mut self) {
        if let Some(GatheredFor { kind: RunKind::Master { written, wants_place }, .. }) =
            &mut self.upstream
        {
            (*written, *wants_place) = (self.forwarded.replies.len(), true);
        }
    }

    /// Whether they only read so far.
    pub fn only_reads(&self) -> bool {
        matches!(
            &self.upstream,
            Some(GatheredFor { kind: RunKind::Master { written: 0, .. } | RunKind::Read(_), .. })
        )
    }
}
