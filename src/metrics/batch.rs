//! What a worker notes between two flushes, without any lock.

use crate::base::ids::{CommandId, MemberId, RouteId};
use crate::metrics::distribution::same_bucket;
use crate::metrics::worst::{Key, Measure, Worst};
use crate::metrics::{Delay, LADDER_STEPS_MAX, Label, Place};

/// How far back a note looks for one like itself; pipelines alternate between a few commands.
const NEARBY: usize = 8;

/// Gathers notes in plain memory until [`Shards::flush`](super::shards::Shards::flush) takes them.
/// Owned by one worker (or connection) and reused: it allocates only while it grows.
#[derive(Debug)]
pub struct Batch {
    on: bool,
    /// Something waits to be flushed.
    pub(super) noted: bool,
    /// Something other than runs is among it.
    pub(super) more: bool,
    pending: Vec<PendingCalls>,
    pub(super) runs: Vec<Run>,
    pub(super) staleness: Vec<Staleness>,
    pub(super) delays: Vec<Delayed>,
    pub(super) worst: Vec<((Measure, Place), Worst)>,
    pub(super) refusals: Vec<(CommandId, Refusals)>,
    pub(super) steps: Vec<((Place, u8), u32)>,
    pub(super) tally: Tally,
}

/// Calls that have run and whose time is not known yet.
#[derive(Debug)]
struct PendingCalls {
    label: Label,
    calls: u32,
}

/// Calls of one kind whose times share a bucket of the histogram.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) label: Label,
    pub(super) calls: u32,
    pub(super) nanos_each: u64,
    pub(super) nanos: u64,
}

/// Reads that were this far behind the master.
#[derive(Debug)]
pub(super) struct Staleness {
    pub(super) place: Place,
    pub(super) bytes: u64,
    pub(super) micros: u64,
    pub(super) reads: u32,
}

/// As many waits of this length.
#[derive(Debug)]
pub(super) struct Delayed {
    pub(super) delay: Delay,
    pub(super) place: Place,
    pub(super) micros: u64,
    pub(super) n: u32,
}

/// Calls of one command that did not go well.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Refusals {
    /// Refused before execution (arity, permissions, state); not among the calls.
    pub rejected: u64,
    /// Executed and answered with an error; among the calls.
    pub failed: u64,
}

/// Counts that need no histogram.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    pub hits: u64,
    pub misses: u64,
    /// Ladder steps taken, by the caller's index of the step.
    pub ladder: [u64; LADDER_STEPS_MAX],
}

impl Default for Batch {
    fn default() -> Self {
        Batch {
            on: true,
            noted: false,
            more: false,
            pending: Vec::new(),
            runs: Vec::new(),
            staleness: Vec::new(),
            delays: Vec::new(),
            worst: Vec::new(),
            refusals: Vec::new(),
            steps: Vec::new(),
            tally: Tally::default(),
        }
    }
}

impl Batch {
    /// A batch that notes nothing (metrics switched off).
    pub fn off() -> Self {
        Batch { on: false, ..Batch::default() }
    }

    /// Whether it notes anything.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// `calls` of one command that took `nanos` together.
    #[inline]
    pub fn command(&mut self, label: Label, calls: u32, nanos: u64) {
        if self.on && 0 < calls {
            let nanos_each = each(nanos, calls);
            self.run(Run { label, calls, nanos_each, nanos });
        }
    }

    /// `calls` of one command that have run; the next [`spread`](Batch::spread) says for how long.
    #[inline]
    pub fn count(&mut self, label: Label, calls: u32) {
        if !self.on || calls == 0 {
            return;
        }
        match self.pending.last_mut() {
            Some(last) if last.label == label => last.calls += calls,
            _ => self.count_nearby(label, calls),
        }
    }

    /// Divides `nanos`, one reading of the clock, evenly among the calls counted since the last.
    pub fn spread(&mut self, nanos: u64) {
        let calls = self.pending.iter().map(|it| it.calls).sum::<u32>();
        if calls == 0 {
            return;
        }
        let nanos_each = each(nanos, calls);
        // What division leaves over goes to the first run, so that totals stay exact.
        let mut left_over = nanos - nanos_each * u64::from(calls);
        for index in 0..self.pending.len() {
            let PendingCalls { label, calls } = self.pending[index];
            let nanos = nanos_each * u64::from(calls) + left_over;
            left_over = 0;
            self.run(Run { label, calls, nanos_each, nanos });
        }
        self.pending.clear();
    }

    /// A call that was refused before it ran.
    pub fn rejected(&mut self, command: CommandId) {
        self.refuse(command, Refusals { rejected: 1, failed: 0 });
    }

    /// A call that ran (it is counted as such by itself) and answered with an error.
    pub fn failed(&mut self, command: CommandId) {
        self.refuse(command, Refusals { rejected: 0, failed: 1 });
    }

    /// `reads` that had all the master had.
    #[inline]
    pub fn fresh(&mut self, place: Place, reads: u32) {
        if self.on && 0 < reads {
            self.staleness(Staleness { place, bytes: 0, micros: 0, reads });
        }
    }

    /// A read that was `bytes` and `micros` behind the master, and the first key it named.
    pub fn stale(&mut self, place: Place, bytes: u64, micros: u64, key: Option<&[u8]>) {
        if !self.on {
            return;
        }
        self.staleness(Staleness { place, bytes, micros, reads: 1 });
        self.keep_worst((Measure::Staleness, place), micros, bytes, || key.map(Key::new));
    }

    /// A read on a route waited `micros` for a member to reach its floor; the first key it named.
    pub fn floor_wait(&mut self, place: Place, micros: u64, key: Option<&Key>) {
        if self.on {
            self.delay(Delay::FloorWait, place, micros, 1);
            self.keep_worst((Measure::FloorWait, place), micros, 0, || key.copied());
        }
    }

    /// A client waited `micros` for acknowledgements of what it wrote on a route.
    pub fn wait(&mut self, route: RouteId, micros: u64) {
        self.delay(Delay::Wait, Place { route, member: MemberId::NONE }, micros, 1);
    }

    /// `n` effects reached a replica `micros` after the master had acknowledged them.
    pub fn push_lag(&mut self, member: MemberId, micros: u64, n: u32) {
        self.delay(Delay::PushLag, Place { route: RouteId::NONE, member }, micros, n);
    }

    /// Writers were held for `micros` while the master changed.
    pub fn failover_pause(&mut self, micros: u64) {
        self.delay(Delay::FailoverPause, Place::NOWHERE, micros, 1);
    }

    /// A worker waited for a replica for `micros` before it went on writing.
    pub fn soft_lag(&mut self, micros: u64) {
        self.delay(Delay::SoftLag, Place::NOWHERE, micros, 1);
    }

    /// `n` reads took this step of their ladder, which led to `place`. Panics if there can be no
    /// such step.
    #[inline]
    pub fn ladder(&mut self, place: Place, step: u8, n: u32) {
        if !self.on || n == 0 {
            return;
        }
        self.note_more();
        self.tally.ladder[usize::from(step)] += u64::from(n);
        match self.steps.last_mut() {
            Some((last, reads)) if *last == (place, step) => *reads += n,
            _ => self.steps.push(((place, step), n)),
        }
    }

    /// `n` keys looked up for reading were there.
    #[inline]
    pub fn hits(&mut self, n: u32) {
        if self.on && n != 0 {
            self.note_more();
            self.tally.hits += u64::from(n);
        }
    }

    /// `n` keys looked up for reading were not there.
    #[inline]
    pub fn misses(&mut self, n: u32) {
        if self.on && n != 0 {
            self.note_more();
            self.tally.misses += u64::from(n);
        }
    }

    /// Notes that wait to be flushed; what a bound on gathering is measured in.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
            + self.staleness.len()
            + self.delays.len()
            + self.refusals.len()
            + self.steps.len()
    }

    fn note_more(&mut self) {
        (self.noted, self.more) = (true, true);
    }

    #[inline]
    fn run(&mut self, run: Run) {
        self.noted = true;
        let like = |it: &Run| it.label == run.label && same_bucket(it.nanos_each, run.nanos_each);
        match self.runs.last_mut() {
            Some(last) if like(last) => {
                last.calls += run.calls;
                last.nanos += run.nanos;
                last.nanos_each = last.nanos_each.max(run.nanos_each);
            }
            _ => self.runs.push(run),
        }
    }

    fn count_nearby(&mut self, label: Label, calls: u32) {
        match self.pending.iter_mut().rev().take(NEARBY).find(|it| it.label == label) {
            Some(like) => like.calls += calls,
            None => self.pending.push(PendingCalls { label, calls }),
        }
    }

    #[inline]
    fn staleness(&mut self, note: Staleness) {
        self.note_more();
        let like = |it: &Staleness| {
            it.place == note.place && (it.bytes, it.micros) == (note.bytes, note.micros)
        };
        match self.staleness.last_mut() {
            Some(last) if like(last) => last.reads += note.reads,
            _ => self.staleness.push(note),
        }
    }

    fn delay(&mut self, delay: Delay, place: Place, micros: u64, n: u32) {
        if self.on && 0 < n {
            self.note_more();
            self.delays.push(Delayed { delay, place, micros, n });
        }
    }

    /// Looks at the key only if this is the worst of the series that the batch has met.
    fn keep_worst(
        &mut self,
        series: (Measure, Place),
        micros: u64,
        bytes: u64,
        key: impl FnOnce() -> Option<Key>,
    ) {
        match self.worst.iter_mut().find(|(it, _)| *it == series) {
            Some((_, worst)) if !worst.yields_to(micros, bytes) => (),
            Some((_, worst)) => *worst = Worst { micros, bytes, key: key() },
            None => self.worst.push((series, Worst { micros, bytes, key: key() })),
        }
    }

    fn refuse(&mut self, command: CommandId, more: Refusals) {
        if !self.on {
            return;
        }
        self.note_more();
        match self.refusals.last_mut() {
            Some((last, so_far)) if *last == command => so_far.add(more),
            _ => self.refusals.push((command, more)),
        }
    }
}

impl Refusals {
    pub(super) fn add(&mut self, more: Refusals) {
        self.rejected += more.rejected;
        self.failed += more.failed;
    }
}

impl Tally {
    pub(super) fn add(&mut self, more: &Tally) {
        self.hits += more.hits;
        self.misses += more.misses;
        self.ladder.iter_mut().zip(more.ladder).for_each(|(sum, it)| *sum += it);
    }
}

/// The share of one call, without a division where there is only one.
fn each(nanos: u64, calls: u32) -> u64 {
    match calls {
        1 => nanos,
        _ => nanos / u64::from(calls),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Label = label(0, 1, 7);
    const SET: Label = label(0, 0, 8);

    const fn label(route: u16, member: u16, command: u16) -> Label {
        Label::new(RouteId(route), MemberId(member), CommandId(command))
    }

    fn at(route: u16, member: u16) -> Place {
        Place { route: RouteId(route), member: MemberId(member) }
    }

    fn runs(batch: &Batch) -> Vec<(Label, u32, u64)> {
        batch.runs.iter().map(|it| (it.label, it.calls, it.nanos)).collect()
    }

    #[test]
    fn a_pipeline_of_one_command_is_one_run() {
        let mut batch = Batch::default();
        (0..64).for_each(|_| batch.command(GET, 1, 300));
        assert_eq!(runs(&batch), [(GET, 64, 64 * 300)]);
    }

    #[test]
    fn a_slow_call_keeps_a_run_of_its_own() {
        let mut batch = Batch::default();
        [300, 9_000_000, 301].iter().for_each(|nanos| batch.command(GET, 1, *nanos));
        assert_eq!(runs(&batch), [(GET, 1, 300), (GET, 1, 9_000_000), (GET, 1, 301)]);
    }

    #[test]
    fn one_reading_of_the_clock_is_spread_evenly_and_exactly() {
        let mut batch = Batch::default();
        (0..3).for_each(|_| {
            batch.count(GET, 1);
            batch.count(SET, 2);
        });
        batch.spread(1000);
        assert_eq!(runs(&batch), [(GET, 3, 334), (SET, 6, 666)]);
        batch.spread(1000);
        assert_eq!(batch.len(), 2, "there was nothing left to time");
    }

    #[test]
    fn equal_staleness_is_one_note() {
        let mut batch = Batch::default();
        let place = at(0, 1);
        (0..5).for_each(|_| batch.fresh(place, 2));
        (0..3).for_each(|_| batch.stale(place, 1, 0, None));
        assert_eq!(batch.staleness.iter().map(|it| it.reads).collect::<Vec<_>>(), [10, 3]);
    }

    #[test]
    fn the_first_of_the_worst_reads_gives_its_key_and_fresh_ones_give_none() {
        let (mut batch, place) = (Batch::default(), at(0, 1));
        batch.fresh(place, 9);
        assert!(batch.worst.is_empty());
        for (micros, bytes, key) in [(1, 9, "a"), (2, 8, "b"), (2, 8, "c"), (2, 7, "d")] {
            batch.stale(place, bytes, micros, Some(key.as_bytes()));
        }
        let worst = Worst { micros: 2, bytes: 8, key: Some(Key::new(b"b")) };
        assert_eq!(batch.worst, [((Measure::Staleness, place), worst)]);
    }

    #[test]
    fn nothing_is_noted_when_off_or_when_nothing_happened() {
        for mut batch in [Batch::off(), Batch::default()] {
            let n = u32::from(!batch.on);
            batch.command(GET, n, 9);
            batch.count(GET, n);
            batch.spread(9);
            batch.fresh(Place::NOWHERE, n);
            batch.push_lag(MemberId(0), 9, n);
            assert!(!batch.noted);
            assert_eq!(batch.len(), 0);
        }
        let mut off = Batch::off();
        off.rejected(CommandId(1));
        off.failed(CommandId(1));
        off.stale(Place::NOWHERE, 9, 9, Some(b"k"));
        off.floor_wait(Place::NOWHERE, 1, None);
        off.wait(RouteId(0), 1);
        off.failover_pause(1);
        off.ladder(at(0, 0), 1, 1);
        off.hits(1);
        off.misses(1);
        assert!(!off.noted && off.worst.is_empty());
        assert_eq!((off.len(), off.tally), (0, Tally::default()));
    }
}
