//! A hosted member: an engine behind a lock, how far it has applied the stream, and whether it
//! serves.

use super::counts::SeenCounts;
use super::member_state::{MemberFlags, MemberState, StateCell};
use crate::base::ids::MemberId;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::engine::{Effects, Engine, KeySlot, Thresholds};
use crate::replication::{FollowerId, FollowerKind, Log, PendingRecord};
use crate::resp::{AuthState, Decoder, Limits, Protocol, Reply};
use crate::route::MemberConfig;
use futures::task::AtomicWaker;
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// A hosted member.
pub struct Member {
    /// `n1`, `n2`, … or what it was given: not its role, which changes.
    pub name: String,
    /// What an operator says of it, which may be something else once it was removed and added
    /// again; the name stays.
    described: RwLock<MemberConfig>,
    /// Its feed has a task.
    pub(super) has_feed: AtomicBool,
    /// Its place in the member list.
    pub id: MemberId,
    follower: OnceLock<FollowerId>,
    /// Batches that read it or wait to: what it is busy with, for plans that have a choice.
    pub(super) readers: AtomicU32,
    pub(super) hosted: RwLock<Hosted>,
    /// All marks of its data are copies of this.
    data: DataMark,
    pub(super) feed: FeedSignal,
    pub(super) state: StateCell,
    /// It may lack something of the log, which whoever comes first applies.
    pub(super) has_work: AtomicBool,
    /// Walks over it have ended, and what was kept for them may be there still.
    has_ended_walks: AtomicBool,
    applied: AtomicU64,
    paused_at: AtomicU64,
    applying_since: AtomicU64,
    /// What its data came to when somebody looked.
    pub(super) seen: Mutex<SeenCounts>,
    /// For whoever holds it for long now to leave behind.
    put_off: Mutex<Option<Thresholds>>,
    /// Full resyncs it has had.
    pub full_resyncs: AtomicU64,
}

/// Of [`Member::applying_since`]: it is not applying.
const AT_REST: u64 = u64::MAX;

/// A mark that some of a member's data is still there. Dropped behind the data.
#[derive(Clone, Default)]
pub(super) struct DataMark(Arc<()>);

/// What a member's lock protects.
pub(super) struct Hosted {
    pub engine: Engine,
    pub apply_state: ApplyState,
    /// `None` while it has no data at all.
    pub mark: Option<DataMark>,
}

/// What applying the stream needs, kept from one batch to the next.
pub(super) struct ApplyState {
    /// Taken from the log and not yet applied: what the last batch had no time for.
    pub due: VecDeque<PendingRecord<KeySlot>>,
    pub decoder: Decoder,
    pub effects: Effects,
    pub reply: Reply,
}

impl ApplyState {
    /// An empty state.
    pub fn new() -> ApplyState {
        ApplyState {
            due: VecDeque::new(),
            decoder: Decoder::new(Limits::of(AuthState::Known)),
            effects: Effects::default(),
            reply: Reply::new(Protocol::Resp2),
        }
    }
}

impl Member {
    /// A member with this engine, described like this.
    pub fn new(id: MemberId, config: MemberConfig, engine: Engine) -> Member {
        let (data, apply_state) = (DataMark::default(), ApplyState::new());
        let mark = Some(data.clone());
        Member {
            name: config.name.clone(),
            described: RwLock::new(config),
            has_feed: AtomicBool::new(false),
            id,
            follower: OnceLock::new(),
            readers: AtomicU32::new(0),
            hosted: RwLock::new(Hosted { engine, apply_state, mark }),
            data,
            feed: FeedSignal::default(),
            state: StateCell::default(),
            has_work: AtomicBool::new(false),
            has_ended_walks: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            paused_at: AtomicU64::new(0),
            applying_since: AtomicU64::new(AT_REST),
            seen: Mutex::default(),
            put_off: Mutex::default(),
            full_resyncs: AtomicU64::new(0),
        }
    }

    /// A mark for data that becomes its own.
    pub(super) fn mark_data(&self) -> DataMark {
        self.data.clone()
    }

    /// Whether it has data: in its place, being copied, or on its way to be freed.
    pub(super) fn holds_data(&self) -> bool {
        1 < Arc::strong_count(&self.data.0)
    }

    /// What an operator says of it.
    pub fn described(&self) -> MemberConfig {
        self.described.read().clone()
    }

    /// It is described anew; its name stays as it was written first.
    pub(super) fn describe(&self, config: MemberConfig) {
        *self.described.write() = MemberConfig { name: self.name.clone(), ..config };
    }

    /// Whether it serves reads only of routes that name it or one of its tags. As the master it
    /// serves as any master does.
    pub fn is_dedicated(&self) -> bool {
        self.described.read().dedicated
    }

    /// Changes when its collections leave their compact forms: now, or once nobody holds it for
    /// long any more.
    pub(super) fn set_thresholds(&self, thresholds: Thresholds) {
        *self.put_off.lock() = Some(thresholds);
        self.settle_thresholds();
    }

    /// Does what was put off, unless somebody holds it for long, who does it then.
    pub(super) fn settle_thresholds(&self) {
        if self.put_off.lock().is_none() {
            return;
        }
        let Some(mut hosted) = self.write_unless_long() else { return };
        if let Some(thresholds) = self.put_off.lock().take() {
            hosted.engine.shared_mut().thresholds = thresholds;
        }
    }

    /// What it is to the log; `None` of a master that was never a replica.
    pub fn follower(&self) -> Option<FollowerId> {
        self.follower.get().copied()
    }

    /// Makes it a follower of the log, unless it is one.
    pub(super) fn make_follower(&self, log: &mut Log<KeySlot>) -> FollowerId {
        let add = || log.add_follower(FollowerKind::Hosted, self.name.clone());
        *self.follower.get_or_init(add)
    }

    /// How far it has applied the stream, which is what it has acknowledged as a follower. Never
    /// more than it really has.
    #[inline]
    pub fn applied(&self) -> Offset {
        Offset::new(self.applied.load(Acquire))
    }

    pub(super) fn set_applied(&self, at: Offset) {
        self.applied.store(at.bytes(), Release);
    }

    /// Whether it is in any of these states.
    #[inline]
    pub fn is(&self, flags: MemberFlags) -> bool {
        self.state().is(flags)
    }

    /// Its state now, for who asks more than one thing.
    #[inline]
    pub(super) fn state(&self) -> MemberState {
        self.state.get()
    }

    /// Whether reads may go to it.
    #[inline]
    pub fn in_service(&self) -> bool {
        self.state().in_service()
    }

    /// Whether its data follows the stream, drained or not.
    pub fn is_sound(&self) -> bool {
        !self.is(MemberFlags::UNSOUND)
    }

    /// Whether writes that want every replica in sync wait for it: it serves, and is fed.
    pub fn is_in_sync(&self) -> bool {
        let state = self.state();
        state.in_service() && !state.is(MemberFlags::PAUSED)
    }

    /// Whether it applies what it is fed.
    #[inline]
    pub fn is_moving(&self) -> bool {
        self.state().is_moving()
    }

    /// Whether somebody holds it for long, or will as soon as it is its turn.
    pub fn is_busy(&self) -> bool {
        let state = self.state();
        state.is_long_held() || state.is_replaying()
    }

    /// When the oldest write taken and not applied was appended, if it has one: that write is no
    /// longer in the log's keeping and not yet applied.
    pub(super) fn applying_since(&self) -> Option<MonoUs> {
        let since = self.applying_since.load(Acquire);
        (since != AT_REST).then_some(MonoUs(since))
    }

    pub(super) fn set_applying_since(&self, since: Option<MonoUs>) {
        self.applying_since.store(since.map_or(AT_REST, |it| it.0), Release);
    }

    /// Enters a state.
    pub fn enter(&self, flag: MemberFlags, now: MonoUs) {
        let before = self.state.set(flag);
        if flag == MemberFlags::PAUSED && !before.is(flag) {
            self.paused_at.store(now.0, Release);
        }
    }

    /// Leaves a state.
    pub fn leave(&self, flag: MemberFlags) {
        self.state.clear(flag);
    }

    /// When it was paused; meaningful while it is.
    pub fn paused_at(&self) -> MonoUs {
        MonoUs(self.paused_at.load(Acquire))
    }

    /// The words of its states, `ok` without any.
    pub fn flags(&self) -> String {
        let names = self.state().flags().iter_names();
        let words: Vec<String> = names.map(|(name, _)| name.to_lowercase()).collect();
        if words.is_empty() { "ok".into() } else { words.join(",") }
    }

    /// A walk over it has ended.
    pub(super) fn note_ended_walk(&self) {
        self.has_ended_walks.store(true, SeqCst);
    }

    /// Whether a walk over it has ended since this was last forgotten.
    pub(super) fn has_ended_walks(&self) -> bool {
        self.has_ended_walks.load(SeqCst)
    }

    /// What was kept for walks that have ended is being freed.
    pub(super) fn forget_ended_walks(&self) {
        self.has_ended_walks.store(false, SeqCst);
    }

    /// There is something to apply, and whoever says so will see to it.
    #[inline]
    pub(super) fn note_work(&self) {
        // Whoever applies takes this back before it looks at the log, and that is locked: what was
        // noted before is seen there.
        if !self.has_work.load(Relaxed) {
            self.has_work.store(true, SeqCst);
        }
    }

    /// There is something to apply, or to sync, for its feed's task.
    pub(super) fn call_feed(&self) {
        self.note_work();
        self.feed.call();
    }
}

/// How a feed's task is called.
#[derive(Default)]
pub(super) struct FeedSignal {
    waker: AtomicWaker,
    is_called: AtomicBool,
}

impl FeedSignal {
    fn call(&self) {
        if !self.is_called.swap(true, AcqRel) {
            self.waker.wake();
        }
    }

    /// Ready when the task has been called since this was last ready.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_called.swap(false, AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }
}
