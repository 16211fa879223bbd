//! Where a run goes next: to a member's connection, to those who wait, or back to its client.

use crate::base::ids::MemberId;
use crate::base::position::{Coverage, Offset, Position, ReplId};
use crate::base::time::MonoUs;
use crate::command::{Fault, codes};
use crate::node::upstream::{
    Done, NextTry, ReadRun, Run, RunAcks, RunKind, Sample, UpstreamView, Verdict, name_cursor,
    next_try,
};
use crate::node::{Answering, Awaited, NOSCRIPT_REPLIES, Told};
use crate::resp::encode_command;
use crate::runtime::{clock, tasks};
use crate::server::question::found;
use crate::state::{
    AckAsk, AckWaiter, Acked, Aim, AimedRun, HeadAsk, Hedge, JobReply, RunWaiter, Upstream,
    UpstreamMember, WaitingRun, Wrote, shared,
};
use futures::channel::oneshot::channel;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Sends a run to where it is to go.
pub fn submit(upstream: &Upstream, aimed: AimedRun, waiter: RunWaiter) {
    let AimedRun { run, aim, worker } = aimed;
    match aim {
        Aim::Master => to_master(upstream, worker, (run, waiter)),
        Aim::Replica(member) => first_try(upstream, worker, member, (run, waiter)),
        Aim::Ladder => try_next(upstream, worker, None, (run, waiter)),
        Aim::Head { bytes } => {
            let (ask, bytes_max) =
                (HeadAsk { run, waiter, worker, bytes }, upstream.settings.queue_bytes_max);
            if let Err(full) = upstream.head.push(ask, bytes_max) {
                overflow((full.run, full.waiter), THE_MASTER);
            }
        }
    }
}

/// What a run is answered that nobody's connection waits for; `None` without an answer in time.
pub async fn answer_to(
    upstream: &Upstream,
    run: Run,
    aim: Aim,
    patience: Duration,
) -> Option<Vec<u8>> {
    let (answer, answered) = channel();
    submit(upstream, AimedRun { run, aim, worker: 0 }, RunWaiter::Task(answer));
    tasks::within(patience, answered).await?.ok()?.reply.ok()
}

/// When a run that a switchover holds looks again, where nobody tells it that it may go on.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// To the master; while there is none it waits, as long as it may.
fn to_master(upstream: &Upstream, worker: usize, (mut run, waiter): WaitingRun) {
    if let Some(until) = upstream.switchover.waits_until() {
        // The time that it takes is not the client's.
        let buffered = until.plus(upstream.settings.buffer_for);
        run.unsent_until = run.unsent_until.max(buffered);
        // It may be over already, but for the word of it.
        let looks_at = until.max(clock::mono_now().plus(LOOK_AGAIN));
        wait(upstream, worker, looks_at, Aim::Master, (run, waiter));
        if upstream.switchover.waits_until().is_none() {
            // It may have ended before this one waited.
            upstream.waiting(worker).tell();
        }
        return;
    }
    let view = upstream.view();
    if let Some(lost) = lost_of(&run, &view) {
        return answer(waiter, fault(run, &lost.to_string()));
    }
    if let Some(master) = view.master {
        // It may have waited for a master.
        if run.gate.is_some_and(|it| !view.lets_through(it, clock::mono_now())) {
            return answer(waiter, fault(run, &Fault::NoReplicas.to_string()));
        }
        if let Some(pinned) = run.scan.and_then(|it| it.pinned).filter(|it| *it != master) {
            let lost = scan_lost(upstream, pinned);
            return answer(waiter, fault(run, &lost));
        }
        return to_member(upstream, worker, master, (run.for_master(), waiter));
    }
    if run.unsent_until <= clock::mono_now() {
        return answer(waiter, fault(run, &codes::NO_REAL_MASTER.to_string()));
    }
    let until = run.unsent_until;
    wait(upstream, worker, until, Aim::Master, (run, waiter));
    if upstream.epoch() != view.epoch {
        // What it waits for may have been told before it waited.
        upstream.waiting(worker).tell();
    }
}

/// The master has told where it stands, to reads that may lack so many bytes of that.
pub fn headed(upstream: &Upstream, ask: HeadAsk, at: Position) {
    let HeadAsk { mut run, waiter, worker, bytes } = ask;
    let view = upstream.view();
    let RunKind::Read(read) = &mut run.kind else {
        return to_master(upstream, worker, (run, waiter));
    };
    if !carry_over(read, &view) {
        return to_master(upstream, worker, (run, waiter));
    }
    let needs = Position { offset: at.offset.before(bytes), ..at };
    let is_more = |it: &Position| it.replid == needs.replid && needs.offset < it.offset;
    read.needs = Some(read.needs.filter(is_more).unwrap_or(needs));
    let may = upstream.near(&view, read.allowed).or(read.allowed);
    match view.replica(may, clock::entropy(), |_| true) {
        Some(replica) => first_try(upstream, worker, replica, (run, waiter)),
        None => try_next(upstream, worker, None, (run, waiter)),
    }
}

/// Nobody tells where the master stands: nobody but the master can serve these.
pub fn unheaded(upstream: &Upstream, HeadAsk { run, waiter, worker, .. }: HeadAsk) {
    to_master(upstream, worker, (run, waiter));
}

/// What a failover has cut off of what the session had seen that has sent this: it was sent before
/// that was known, and is not done as if nothing were lost.
fn lost_of(run: &Run, view: &UpstreamView) -> Option<Fault> {
    let floor = run.floor?;
    match view.history.as_ref()?.cover(floor) {
        Coverage::Lost(from) => {
            Some(Fault::LostWrite { from: from.bytes(), to: floor.offset.bytes() })
        }
        Coverage::To(_) | Coverage::Foreign => None,
    }
}

fn wait(upstream: &Upstream, worker: usize, until: MonoUs, aim: Aim, waiting: WaitingRun) {
    let bytes_max = upstream.settings.queue_bytes_max;
    if let Err(full) = upstream.waiting(worker).push(until, aim, waiting, bytes_max) {
        overflow(full, THE_MASTER);
    }
}

fn to_member(upstream: &Upstream, worker: usize, id: MemberId, waiting: WaitingRun) {
    let member = upstream.member(id);
    let lane = member.lane(worker, waiting.0.protocol);
    member.load.begin();
    if let Err(full) = lane.push(waiting, upstream.settings.queue_bytes_max) {
        member.load.end();
        overflow(full, &member.described.name);
    }
    if member.is_gone() {
        // It was one when it was chosen, and nobody serves its connections any more.
        for waiting in lane.take() {
            not_sent(upstream, worker, &member, waiting);
        }
    }
}

/// The longest run that is asked of two: it is kept until then.
const HEDGED_BYTES_MAX: usize = 64 << 10;

/// A read goes to its replica; if that takes too long to answer, another is asked, too.
fn first_try(upstream: &Upstream, worker: usize, first: MemberId, (run, waiter): WaitingRun) {
    let tuning = &upstream.settings.tuning;
    let may_be_hedged = matches!(run.kind, RunKind::Read(_))
        && run.scan.is_none()
        && run.script.is_none()
        && run.bytes.len() <= HEDGED_BYTES_MAX;
    let is_shared = matches!(waiter, RunWaiter::Shared(_));
    if tuning.hedge_after.is_zero() || is_shared || !may_be_hedged {
        return to_member(upstream, worker, first, (run, waiter));
    }
    let (waiter, shared) = shared(waiter);
    let due = clock::mono_now().plus(tuning.hedge_after);
    let hedge = Hedge { due, run: run.clone(), first, waiter: shared };
    let bytes_max = upstream.settings.queue_bytes_max;
    upstream.hedges(worker).push(hedge, tuning.hedge_percent, bytes_max);
    to_member(upstream, worker, first, (run, waiter));
}

/// Nobody has answered this read yet: another replica is asked.
pub fn hedge(upstream: &Upstream, worker: usize, Hedge { mut run, first, waiter, .. }: Hedge) {
    let view = upstream.view();
    let RunKind::Read(read) = &mut run.kind else { return };
    if !carry_over(read, &view) {
        return;
    }
    let other = view.replica(read.allowed, clock::entropy(), |it| it != first);
    if let Some(other) = other {
        upstream.hedges(worker).sent.fetch_add(1, Relaxed);
        run.is_hedge = true;
        to_member(upstream, worker, other, (run, RunWaiter::Shared(waiter)));
    }
}

/// How a queue is named in which nobody knows yet who the master will be.
const THE_MASTER: &str = "the master";

/// Nobody goes on with a cursor of this member.
fn scan_lost(upstream: &Upstream, pinned: MemberId) -> String {
    codes::scan_lost_at(&upstream.member(pinned).described.name).to_string()
}

fn overflow((run, waiter): WaitingRun, of: &str) {
    if run.is_hedge {
        return;
    }
    answer(waiter, fault(run, &codes::queue_at(of).to_string()));
}

/// The replies of requests that are not sent.
fn fault(run: Run, text: &str) -> JobReply {
    JobReply { reply: Ok(Answering::new(run.replies).failed(text)), wrote: None }
}

fn answer(waiter: RunWaiter, reply: JobReply) {
    waiter.answer(reply);
}

/// A run was not sent to this member, which cannot be reached or is not what it was.
pub fn not_sent(upstream: &Upstream, worker: usize, member: &UpstreamMember, waiting: WaitingRun) {
    member.load.end();
    if waiting.1.has_gone() || waiting.0.is_hedge {
        return;
    }
    again(upstream, worker, member.id, waiting);
}

/// A run has come to an end at this member.
pub fn settle(upstream: &Upstream, worker: usize, member: &UpstreamMember, done: Done<RunWaiter>) {
    member.load.end();
    let Done { run, waiter, replies, verdict } = done;
    if waiter.has_gone() {
        return;
    }
    if run.is_hedge {
        if !matches!(verdict, Verdict::Answered | Verdict::AnsweredAt(_)) {
            return;
        }
        upstream.hedges(worker).won.fetch_add(1, Relaxed);
    }
    let is_unknown = NOSCRIPT_REPLIES.iter().any(|it| replies.begins_with(it));
    if let Some(script) = run.script.clone().filter(|_| is_unknown) {
        let run = with_script(run, &script);
        return to_member(upstream, worker, member.id, (run, waiter));
    }
    let counts = &member.counts;
    match verdict {
        Verdict::Behind => {
            counts.refused.fetch_add(1, Relaxed);
            return try_next(upstream, worker, Some(member.id), (run, waiter));
        }
        Verdict::Bounced => {
            upstream.doubt(member);
            if clock::mono_now() < run.unsent_until {
                return again(upstream, worker, member.id, (run, waiter));
            }
        }
        Verdict::NotMaster => {
            upstream.doubt(member);
            if run.only_reads() {
                return again(upstream, worker, member.id, (run, waiter));
            }
        }
        Verdict::Lost if run.only_reads() => {
            return again(upstream, worker, member.id, (run, waiter));
        }
        Verdict::Answered | Verdict::AnsweredAt(_) | Verdict::Untold | Verdict::Lost => {}
    }
    let view = upstream.view();
    let is_overtaken = run.is_for_master() && is_overtaken(&view, member.id);
    if is_overtaken && run.only_reads() && verdict != Verdict::Answered {
        return again(upstream, worker, member.id, (run, waiter));
    }
    counts.answered.fetch_add(1, Relaxed);
    counts.accepted.fetch_add(u64::from(run.needs().is_some()), Relaxed);
    let wrote = |at: Position| Wrote::There(Told { offset: at.offset, by: found(Some(at.replid)) });
    if let (Verdict::AnsweredAt(at), Some(acks), false) = (verdict, run.acks, is_overtaken) {
        return confirm(upstream, acks, at, wrote(at), (replies, waiter));
    }
    // Some of it may have been answered, and is to be seen by who asks next.
    let somewhere = (!run.only_reads()).then_some(UNKNOWN);
    let (reply, place) = match verdict {
        Verdict::AnsweredAt(at) if is_overtaken => (overtaken(replies, member), Some(at)),
        _ if is_overtaken => (overtaken(replies, member), somewhere),
        Verdict::Lost => (lost(replies, member), somewhere),
        Verdict::Untold | Verdict::NotMaster if run.acks.is_some() && !run.only_reads() => {
            let (offset, wanted) = (0, run.acks.map_or(0, |it| it.replicas));
            let fault = Fault::NotDurable { offset, acked: 0, wanted };
            (replies.each_done_is(&fault.to_string()), Some(UNKNOWN))
        }
        Verdict::AnsweredAt(at) => (replies.into_bytes(), Some(at)),
        Verdict::NotMaster => {
            let RunKind::Master { written, .. } = run.kind else { unreachable!("it was a write") };
            let fault = codes::master_no_more(&member.described.name).to_string();
            (replies.trusted_up_to(written, &fault), Some(UNKNOWN))
        }
        Verdict::Untold => (replies.into_bytes(), Some(UNKNOWN)),
        Verdict::Answered | Verdict::Bounced | Verdict::Behind => (replies.into_bytes(), None),
    };
    let wrote = place.map(wrote);
    sample(upstream, &run, &reply, member);
    let reply = match run.scan {
        Some(_) => {
            let life = view.members[member.id.index()].life;
            let too_long = || format!("-{}\r\n", codes::LONG_CURSOR).into_bytes();
            name_cursor(reply, member.id, life).unwrap_or_else(too_long)
        }
        None => reply,
    };
    answer(waiter, JobReply { reply: Ok(reply), wrote });
}

/// Keeps this read to be checked, if it is one of those.
fn sample(upstream: &Upstream, run: &Run, reply: &[u8], member: &UpstreamMember) {
    let checks = &upstream.checks;
    if !checks.audit.is_on() && !checks.shadow.is_on() {
        return;
    }
    let is_proved = run.needs().is_some() && checks.audit.wants_next();
    let is_compared = matches!(run.kind, RunKind::Read(_)) && checks.shadow.wants_next();
    let Some(sample) = (is_proved || is_compared).then(|| Sample::of(run, reply, member.id)) else {
        return;
    };
    if let Some(sample) = sample {
        if is_compared {
            checks.shadow.push(sample.clone());
        }
        if is_proved {
            checks.audit.push(sample);
        }
    }
}

/// A script's run with the script itself ahead, for a server that does not know it.
fn with_script(run: Run, script: &[u8]) -> Run {
    let mut bytes = Vec::new();
    encode_command(&mut bytes, [&b"SCRIPT"[..], b"LOAD", script].into_iter());
    bytes.extend_from_slice(&run.bytes);
    Run { bytes, replies: VecDeque::from([Awaited::Last(2)]), script: None, ..run }
}

/// Writes that end at `written` are answered once so many replicas have them, or time is up.
fn confirm(
    upstream: &Upstream,
    RunAcks { replicas, timeout }: RunAcks,
    written: Position,
    wrote: Wrote,
    (replies, waiter): (Answering, RunWaiter),
) {
    let until = (!timeout.is_zero()).then(|| clock::mono_now().plus(timeout));
    let reply = move |acked: Acked| {
        let acked = acked.unwrap_or(0);
        let offset = written.offset.bytes();
        let reply = match replicas <= acked {
            true => replies.into_bytes(),
            false => {
                let fault = Fault::NotDurable { offset, acked, wanted: replicas };
                replies.each_done_is(&fault.to_string())
            }
        };
        JobReply { reply: Ok(reply), wrote: Some(wrote) }
    };
    let waiter = AckWaiter::Run(waiter, Box::new(reply));
    upstream.acks.push(AckAsk { written, replicas, until, waiter });
}

/// A place that no member ever has: whoever needs it is served by the master, until that tells of
/// another.
const UNKNOWN: Position = Position { replid: ReplId::new([0; 20]), offset: Offset::ZERO };

fn lost(replies: Answering, member: &UpstreamMember) -> Vec<u8> {
    member.counts.lost.fetch_add(1, Relaxed);
    replies.failed(&codes::lost_at(&member.described.name).to_string())
}

/// The replies of one that is the master no more: its writes are gone, as far as anybody knows.
fn overtaken(replies: Answering, member: &UpstreamMember) -> Vec<u8> {
    member.counts.lost.fetch_add(1, Relaxed);
    replies.all_lost(&codes::lost_at(&member.described.name).to_string())
}

/// Whether another has become the master: what this one has answered as the master may be old.
fn is_overtaken(view: &UpstreamView, member: MemberId) -> bool {
    view.master.is_some_and(|it| it != member)
}

/// Nothing of a run counts: it is sent again, while it may wait.
fn again(upstream: &Upstream, worker: usize, by: MemberId, waiting: WaitingRun) {
    match waiting.0.kind {
        RunKind::Master { .. } => to_master(upstream, worker, waiting),
        RunKind::Read(_) => try_next(upstream, worker, Some(by), waiting),
    }
}

/// Reads go on to the next step of their ladder.
fn try_next(upstream: &Upstream, worker: usize, by: Option<MemberId>, waiting: WaitingRun) {
    let (mut run, waiter) = waiting;
    let (view, now) = (upstream.view(), clock::mono_now());
    let RunKind::Read(read) = &mut run.kind else {
        return to_master(upstream, worker, (run, waiter));
    };
    if !carry_over(read, &view) {
        return to_master(upstream, worker, (run, waiter));
    }
    let random = clock::entropy();
    match next_try(read, by, &view, now, random) {
        NextTry::Replica(member) => to_member(upstream, worker, member, (run, waiter)),
        NextTry::Stale(member) => {
            read.needs = None;
            to_member(upstream, worker, member, (run, waiter));
        }
        NextTry::Later(member, at) => {
            wait(upstream, worker, at, Aim::Replica(member), (run, waiter));
        }
        NextTry::Again(at) => wait(upstream, worker, at, Aim::Ladder, (run, waiter)),
        NextTry::Master => to_master(upstream, worker, (run, waiter)),
        NextTry::Lagged => {
            if let Some(pinned) = run.scan.and_then(|it| it.pinned) {
                let lost = scan_lost(upstream, pinned);
                return answer(waiter, fault(run, &lost));
            }
            let behind_bytes = behind_bytes(read, &view);
            let fault = self::fault(run, &Fault::Lagged { behind_bytes, eta_ms: None }.to_string());
            answer(waiter, fault);
        }
    }
}

/// What reads need is a place in the history of today. `false` when that cannot be told: then the
/// master serves them.
fn carry_over(read: &mut ReadRun, view: &UpstreamView) -> bool {
    let (Some(needs), Some(history)) = (read.needs, &view.history) else { return true };
    match history.cover(needs) {
        Coverage::To(offset) => {
            read.needs = Some(Position { replid: history.replid, offset });
            true
        }
        Coverage::Lost(_) | Coverage::Foreign => false,
    }
}

/// How far the freshest replica is behind what reads need, as far as is known.
fn behind_bytes(read: &ReadRun, view: &UpstreamView) -> u64 {
    let Some(needs) = read.needs else { return 0 };
    let places = view.members.iter().filter_map(|it| it.at);
    let here =
        places.filter(|it| it.replid == needs.replid).map(|it| needs.offset.since(it.offset));
    here.min().unwrap_or(needs.offset.bytes())
}
