//! What a set knows of its replicas on the wire, beside what stands in the log.

use crate::base::position::Position;
use crate::engine::Engine;
use crate::route::CountHosted;
use crate::runtime::lazyfree;
use event_listener::Event;
use parking_lot::Mutex;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Acquire};

/// What the set knows of its replicas on the wire, beside what stands in the log.
#[derive(Default)]
pub struct Wire {
    /// The stream has grown, or a follower has been disconnected.
    pub(super) news: Event,
    /// The last snapshot that was taken, while somebody still reads it.
    pub(super) snapshot: Mutex<Weak<Snapshot>>,
    /// Where the stream ended when replicas were last asked what they have applied.
    pub(super) asked_at: AtomicU64,
    /// When that was, in µs.
    pub(super) asked_when: AtomicU64,
    /// When a replica last left, in µs; 0 when none has since the backlog was released.
    pub(super) last_left: AtomicU64,
    /// A replica has synced in this history.
    pub(super) has_synced: AtomicBool,
    /// What [`CountHosted`] is.
    pub(super) count_hosted: AtomicU8,
    /// Full resyncs that were begun.
    pub full_resyncs: AtomicU64,
    /// Partial resyncs.
    pub partial_resyncs: AtomicU64,
    /// Replicas that asked for a partial resync and got a full one.
    pub partial_resyncs_refused: AtomicU64,
}

impl Wire {
    pub(super) fn counted(&self) -> CountHosted {
        CountHosted::ALL[self.count_hosted.load(Acquire) as usize].0
    }
}

/// The keys of a member at one offset.
pub struct Snapshot {
    pub(super) engine: Option<Engine>,
    /// The place in the stream that they are as of.
    pub at: Position,
    /// The database that is selected there, unless the stream says it next.
    pub stream_db: Option<usize>,
}

impl Snapshot {
    /// The keys.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is given away only by the drop")
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        lazyfree::free_async(self.engine.take());
    }
}
