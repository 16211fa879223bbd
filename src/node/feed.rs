//! The replica's end of the log inside one process: apply what is new, in batches. Who applies, and
//! when, stands in `turn.rs`.

use super::apply_budget::{ApplyBudget, BudgetClock};
use super::member::{ApplyState, Hosted, Member};
use super::member_state::Hold;
use super::replica_set::ReplicaSet;
use super::sync::Synced;
use crate::base::limits::APPLY_RECORDS_MAX;
use crate::base::lowered::long_elements;
use crate::base::position::Offset;
use crate::base::time::WallMs;
use crate::command::Fault;
use crate::engine::table::Slot;
use crate::engine::{Engine, KeySlot, verbs};
use crate::replication::{DisconnectReason, PendingRecord};
use crate::resp::{Request, Step};
use crate::runtime::{clock, lazyfree, steps, tasks};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, SeqCst};

/// What one round of applying came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// All there was.
    All,
    /// A batch; there may be more.
    Some,
    /// Nothing: what is next takes long, and is done apart.
    Long,
    /// Nothing: paused, disconnected, or held by somebody for long.
    Nothing,
}

/// How a catch-up ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CaughtUp {
    /// The member has what was asked for.
    Yes,
    /// Not yet: it lacks more than may be applied at once.
    NotYet,
    /// It applies nothing now: it is paused, disconnected, or busy for long.
    Never,
}

impl ReplicaSet {
    /// Applies the part of the stream that `member` lacks before `floor`, right here: the price of
    /// a sticky read that lands on a replica behind the session. Ends with `budget` at the latest,
    /// for whoever does this has other clients to serve; what will take longer is not begun.
    pub fn catch_up(&self, member: &Member, floor: Offset, budget: ApplyBudget) -> CaughtUp {
        if budget.is_too_short_for(floor.since(member.applied()), &self.rate) {
            return CaughtUp::NotYet;
        }
        let began = clock::mono_now();
        while member.applied() < floor {
            let done = self.apply(member, budget.of_one_batch());
            match done {
                _ if floor <= member.applied() => break,
                Applied::Some if budget.is_over(began) => return CaughtUp::NotYet,
                Applied::Some => {}
                Applied::All | Applied::Long | Applied::Nothing => return CaughtUp::Never,
            }
        }
        CaughtUp::Yes
    }

    /// Applies one batch of what `member` has not applied yet.
    pub fn apply(&self, member: &Member, budget: ApplyBudget) -> Applied {
        // Looked at before the lock as well: a writer in line for it would keep readers out for as
        // long as the member is being copied.
        if !member.is_moving() {
            return Applied::Nothing;
        }
        let Some(mut hosted) = member.write_unless_long() else { return Applied::Nothing };
        let applied = self.apply_locked(member, &mut hosted, budget);
        drop(hosted);
        if applied == Applied::Some {
            // After the lock: there may be many to wake, and the member has readers.
            self.wake_waiters();
        }
        applied
    }

    pub(super) fn apply_locked(
        &self,
        member: &Member,
        hosted: &mut Hosted,
        budget: ApplyBudget,
    ) -> Applied {
        if !member.is_moving() || !member.is_sound() || member.id == self.master() {
            return Applied::Nothing;
        }
        // Taken back before the log is looked at: what is appended after that is noted again.
        member.has_work.store(false, SeqCst);
        let mut due = std::mem::take(&mut hosted.apply_state.due);
        if due.is_empty() {
            self.take(member, &mut due);
        }
        if budget.is_short() && is_long_next(hosted, &mut due) {
            hosted.apply_state.due = due;
            return self.leave_long(member);
        }
        let taken = due.len();
        let oldest = due.front().map(|it| it.at);
        prefetch(&hosted.engine, &due);
        let began = clock::mono_now();
        let applied =
            apply_some(hosted, &mut due, BudgetClock::new(budget, began), clock::wall_now());
        let count = taken - due.len();
        let next = due.front().map(|it| it.at);
        hosted.apply_state.due = due;
        let deferred_frees = &mut hosted.engine.written_mut().deferred_frees;
        if !deferred_frees.is_empty() {
            lazyfree::free_async(std::mem::take(deferred_frees));
        }
        let Ok(end) = applied else {
            self.disconnect(member, DisconnectReason::NotApplicable);
            hosted.apply_state.due.clear();
            member.set_applying_since(None);
            return Applied::Nothing;
        };
        let (Some(end), Some(oldest)) = (end, oldest) else { return Applied::All };
        let now = clock::mono_now();
        self.rate.note(end.since(member.applied()), now.since(began));
        member.set_applied(end);
        member.set_applying_since(next);
        if end < self.head() {
            member.note_work();
        }
        self.seen.lock().push_lag(member.id, now.since(oldest), count as u32);
        Applied::Some
    }

    /// The next write takes long: its feed does it apart. Until then plans do without the member.
    #[cold]
    fn leave_long(&self, member: &Member) -> Applied {
        member.state.set_replaying(true);
        member.call_feed();
        Applied::Long
    }

    /// Applies one write that takes long. Never do two members at once: one of them serves.
    pub(crate) fn apply_long(&self, member: &Member) {
        let _alone = steps::lock(|| self.replaying.try_lock(), || self.replaying.lock());
        let long = self.hold_long(member, Hold::Write);
        let mut hosted = member.lock_to_write();
        steps::works();
        let applied = self.apply_locked(member, &mut hosted, ApplyBudget::Writes(1));
        drop(hosted);
        member.state.set_replaying(false);
        drop(long);
        if applied == Applied::Some {
            self.wake_waiters();
        }
    }

    /// Takes a batch out of the log. From then on `Member::applying_since`
    /// is when the oldest write of it was appended.
    fn take(&self, member: &Member, due: &mut VecDeque<PendingRecord<KeySlot>>) {
        let Some(follower) = member.follower() else { return };
        let mut log = self.log.lock();
        log.take(follower, member.applied(), APPLY_RECORDS_MAX, due);
        member.set_applying_since(due.front().map(|it| it.at));
    }
}

/// Asks for the table lines of a whole batch before the first is needed.
fn prefetch(engine: &Engine, due: &VecDeque<PendingRecord<KeySlot>>) {
    for record in due {
        if let Ok(hash) = record.what.as_ref().map(Slot::hash) {
            hash.into_iter().for_each(|it| engine.space(record.db).table().prefetch(it));
        }
    }
}

/// Applies whole writes until the budget is over; answers where the last one ends. `Err` when the
/// stream makes no sense here, which is a broken promise of ours: the member must be synced anew.
fn apply_some(
    hosted: &mut Hosted,
    due: &mut VecDeque<PendingRecord<KeySlot>>,
    mut budget_clock: BudgetClock,
    now: WallMs,
) -> Result<Option<Offset>, ()> {
    let mut end = None;
    let is_short = budget_clock.is_short();
    let all = AssertUnwindSafe(|| {
        while let Some(record) = due.pop_front() {
            end = Some(record.end);
            apply_one(hosted, record, now)?;
            let is_whole = due.front().is_none_or(|it| Some(it.end) != end);
            if !is_whole {
                continue;
            }
            if is_short && is_long_next(hosted, due) || budget_clock.is_over() {
                break;
            }
        }
        Ok(())
    });
    catch_unwind(all).unwrap_or(Err(())).map(|()| end)
}

/// Whether the next write takes long.
#[inline]
fn is_long_next(hosted: &mut Hosted, due: &mut VecDeque<PendingRecord<KeySlot>>) -> bool {
    if hosted.engine.is_walked() {
        note_copies(hosted, due);
    }
    due.front().is_some_and(|it| it.is_long)
}

/// A write that changes what a walk is to find as it is takes as long as copying that.
#[cold]
fn note_copies(hosted: &mut Hosted, due: &mut VecDeque<PendingRecord<KeySlot>>) {
    let Hosted { engine, apply_state: ApplyState { decoder, .. }, .. } = hosted;
    let Some(end) = due.front().map(|it| it.end) else { return };
    let mut cost = 0_usize;
    for record in due.iter().take_while(|it| it.end == end) {
        // An entry that is stored whole takes the place of the one that is kept.
        let Err(words) = &record.what else { continue };
        let Ok(Step::Ready { .. }) = decoder.poll(words) else { continue };
        let request = decoder.request(words);
        let Some(found) = verbs::find_for(request) else { continue };
        let keys = found.row.spec.keys;
        cost = cost.saturating_add(engine.copy_cost(record.db, keys, request));
    }
    if let Some(first) = due.front_mut().filter(|_| long_elements() < cost) {
        first.is_long = true;
    }
}

#[inline]
fn apply_one(hosted: &mut Hosted, record: PendingRecord<KeySlot>, now: WallMs) -> Result<(), ()> {
    let Hosted { engine, apply_state: ApplyState { decoder, effects, reply, .. }, .. } = hosted;
    match record.what {
        Ok(entry) => engine.db_mut_at(record.db, WallMs::NEVER_EXPIRES).apply_shared(entry),
        Err(words) if words.is_empty() => {}
        Err(words) => {
            let Ok(Step::Ready { .. }) = decoder.poll(&words) else { return Err(()) };
            let request = decoder.request(&words);
            let done = engine.repeat(record.db, now, request, effects, reply);
            done.map_err(|why| tell_not_applicable(request, &why))?;
            reply.clear();
        }
    }
    Ok(())
}

/// The master has done what a replica cannot do: a fault of ours, of which the log must say enough
/// to find it.
#[cold]
fn tell_not_applicable(request: Request<'_>, why: &Fault) {
    const SHOWN_BYTES_MAX: usize = 64;
    let shown = |it: &[u8]| it[..it.len().min(SHOWN_BYTES_MAX)].escape_ascii().to_string();
    let words: Vec<String> = request.iter().take(4).map(shown).collect();
    log::error!("event=not-applicable command={:?} why={:?}", words.join(" "), why.text());
}

/// Starts the task that feeds `member`, or calls the one there is: a member that was removed and
/// added again has it still. It idles while its member is the master, or is removed.
pub fn start_feed(set: &Arc<ReplicaSet>, member: &Arc<Member>) {
    member.call_feed();
    if member.has_feed.swap(true, AcqRel) {
        return;
    }
    tasks::spawn(feed(set.clone(), member.clone()));
}

/// The task of one replica: waits to be woken, applies, and syncs anew when it was disconnected.
/// Never ends.
async fn feed(set: Arc<ReplicaSet>, member: Arc<Member>) {
    loop {
        poll_fn(|context| member.feed.poll(context)).await;
        loop {
            match set.apply(&member, ApplyBudget::SHORT) {
                Applied::Some => tasks::give_way().await,
                Applied::Long => apply_long_apart(&set, &member).await,
                Applied::All | Applied::Nothing => break,
            }
        }
        set.let_go_unsynced(&member);
        if set.needs_sync(&member) && sync_apart(&set, &member).await != Synced::NoSource {
            member.call_feed();
        }
    }
}

async fn apply_long_apart(set: &Arc<ReplicaSet>, member: &Arc<Member>) {
    let (set, member) = (set.clone(), member.clone());
    tasks::apart(move || set.apply_long(&member)).await;
}

/// Copies on a thread of its own: the worker has clients to serve.
async fn sync_apart(set: &Arc<ReplicaSet>, member: &Arc<Member>) -> Synced {
    let (set, member) = (set.clone(), member.clone());
    tasks::apart(move || set.sync(&member, clock::mono_now())).await
}
