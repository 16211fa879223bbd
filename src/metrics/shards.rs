//! One shard of the metrics per worker, merged when somebody asks.

use parking_lot::Mutex;

use crate::metrics::batch::Batch;
use crate::metrics::snapshot::Snapshot;

/// Notes a batch gathers past a reader that holds its shard; then it waits for the reader.
const PENDING_MAX: usize = 256;

/// All that has been recorded since the start or the last reset.
pub struct Shards {
    shards: Box<[Shard]>,
}

/// A worker's own: alone on its cache lines, so that workers do not slow each other down.
#[repr(align(128))]
#[derive(Default)]
struct Shard {
    recorded: Mutex<Snapshot>,
}

impl Shards {
    /// A shard for each of `workers` threads, and at least one.
    pub fn new(workers: usize) -> Self {
        Shards { shards: (0..workers.max(1)).map(|_| Shard::default()).collect() }
    }

    /// Records what `batch` has gathered, unless a reader is looking at this worker's shard: then
    /// the batch keeps it (up to a bound) for the next flush. Untimed calls stay in the batch.
    #[inline]
    pub fn flush(&self, worker: usize, batch: &mut Batch) {
        if !batch.noted {
            return;
        }
        let recorded = self.recorded(worker);
        match recorded.try_lock() {
            Some(mut it) => it.take(batch),
            None if batch.len() < PENDING_MAX => (),
            None => recorded.lock().take(batch),
        }
    }

    /// Records all of `batch`, even if that means waiting for a reader: the batch is about to go,
    /// or its owner to sleep. Calls that nobody has timed count as having taken no time.
    pub fn settle(&self, worker: usize, batch: &mut Batch) {
        batch.spread(0);
        if batch.noted {
            self.recorded(worker).lock().take(batch);
        }
    }

    /// The sum over all workers. Each shard is held only while it is added.
    pub fn snapshot(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        self.shards.iter().for_each(|it| sum.add(&it.recorded.lock()));
        sum
    }

    /// Forgets everything recorded (CONFIG RESETSTAT), histograms and their memory included.
    pub fn reset(&self) {
        for it in &self.shards {
            let forgotten = std::mem::take(&mut *it.recorded.lock());
            drop(forgotten);
        }
    }

    /// Threads beyond the last share its shard: slower, never wrong.
    fn recorded(&self, worker: usize) -> &Mutex<Snapshot> {
        &self.shards[worker.min(self.shards.len() - 1)].recorded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::batch::Tally;
    use crate::metrics::distribution::Distribution;
    use crate::metrics::{Delay, Label, Place};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const GET: Label = Label::new(0, 1, 7);

    #[test]
    fn nothing_is_lost_while_a_reader_holds_the_shard() {
        let (shards, mut batch) = (Shards::new(1), Batch::default());
        let reader = shards.recorded(0).lock();
        for nanos in [100, 200] {
            batch.command(GET, 1, nanos);
            shards.flush(0, &mut batch);
        }
        drop(reader);
        assert_eq!(shards.snapshot().calls(), 0);
        shards.flush(0, &mut batch);
        let all = shards.snapshot().command(GET.command());
        assert_eq!((all.count(), all.sum(), all.max()), (2, 300, 200));
    }

    #[test]
    fn a_full_batch_waits_for_the_reader() {
        let shards = Shards::new(1);
        let mut batch = Batch::default();
        let notes = PENDING_MAX as u64;
        (0..notes).for_each(|it| batch.command(GET, 1, it % 2));
        let reader = shards.recorded(0).lock();
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| shards.flush(0, &mut batch));
            drop(reader);
            flush.join().expect("the flush ends once the reader is gone");
        });
        assert_eq!(shards.snapshot().calls(), notes);
        assert_eq!(batch.len(), 0);
    }

    #[test]
    fn settling_also_records_calls_that_nobody_has_timed() {
        let (shards, mut batch) = (Shards::new(1), Batch::default());
        batch.count(GET, 3);
        shards.flush(0, &mut batch);
        assert_eq!(shards.snapshot().calls(), 0);
        shards.settle(0, &mut batch);
        assert_eq!(shards.snapshot().calls(), 3);
    }

    #[test]
    fn a_reset_leaves_zeroes() {
        let (shards, mut batch) = (Shards::new(2), Batch::default());
        for worker in 0..4 {
            note_everything(&mut batch);
            shards.flush(worker, &mut batch);
        }
        assert_eq!(shards.snapshot().calls(), 4);
        shards.reset();
        let empty = shards.snapshot();
        assert_eq!((empty.calls(), *empty.tally()), (0, Tally::default()));
        assert!(empty.services().is_empty() && empty.staleness().is_empty());
        assert!(empty.refusals().is_empty() && empty.steps().is_empty());
        Delay::ALL.iter().for_each(|it| assert_eq!(empty.delay(*it).count(), 0));
    }

    fn note_everything(batch: &mut Batch) {
        batch.command(GET, 1, 100);
        batch.staleness(Place { route: 0, member: 1 }, 9, 9, 1);
        batch.rejected(1);
        batch.failed(1);
        batch.floor_wait(1);
        batch.wait(1);
        batch.push_lag(1, 1);
        batch.ladder(Place { route: 0, member: 1 }, 1, 1);
        batch.hits(1);
        batch.misses(1);
    }

    #[test]
    fn workers_and_readers_at_once_add_up() {
        const EACH: u64 = 5000;
        let shards = Shards::new(2);
        std::thread::scope(|scope| {
            let record = |worker| {
                let mut batch = Batch::default();
                for nanos in 0..EACH {
                    batch.command(GET, 1, nanos);
                    shards.flush(worker, &mut batch);
                }
                shards.settle(worker, &mut batch);
            };
            (0..3).for_each(|worker| drop(scope.spawn(move || record(worker))));
            (0..50).for_each(|_| assert!(shards.snapshot().calls() <= 3 * EACH));
        });
        let all = shards.snapshot().command(GET.command());
        assert_eq!((all.count(), all.sum()), (3 * EACH, 3 * EACH * (EACH - 1) / 2));
    }

    /// One thing that can happen to a worker.
    #[derive(Clone, Debug)]
    enum Event {
        Command(Label, u32, u64),
        Counted(Label, u32),
        Clock(u64),
        Stale(Place, u64, u64, u32),
        Delayed(u64, u32),
        Failed(u16),
        Stepped(Place, u8, u32),
        Flush,
        FlushUnderReader,
    }

    fn label() -> impl Strategy<Value = Label> {
        let made = |(route, member, command)| Label::new(route, member, command);
        (0u16..3, 0u16..3, 0u16..5).prop_map(made)
    }

    fn event() -> impl Strategy<Value = Event> {
        let place = (0u16..3, 0u16..3).prop_map(|(route, member)| Place { route, member });
        prop_oneof![
            (label(), 0u32..99, 0u64..9999).prop_map(|(it, n, t)| Event::Command(it, n, t)),
            (label(), 0u32..99).prop_map(|(it, n)| Event::Counted(it, n)),
            (0u64..99_999).prop_map(Event::Clock),
            (place.clone(), 0u64..3, 0u64..3, 0u32..9)
                .prop_map(|(p, b, m, n)| Event::Stale(p, b, m, n)),
            (0u64..99, 0u32..9).prop_map(|(it, n)| Event::Delayed(it, n)),
            (0u16..5).prop_map(Event::Failed),
            (place.clone(), 0u8..6, 0u32..9).prop_map(|(p, step, n)| Event::Stepped(p, step, n)),
            Just(Event::Flush),
            Just(Event::FlushUnderReader),
        ]
    }

    /// The same sums, kept the plainest way.
    #[derive(Default, PartialEq, Debug)]
    struct Sums {
        services: BTreeMap<Label, u64>,
        nanos: u64,
        stale: BTreeMap<Place, (u64, u64, u64)>,
        push_lag: (u64, u64),
        failed: BTreeMap<u16, u64>,
        ladder: [u64; 8],
        steps: BTreeMap<(Place, u8), u64>,
    }

    impl Sums {
        fn expect(&mut self, event: &Event, untimed: &mut bool) {
            match *event {
                Event::Command(label, n, nanos) if 0 < n => {
                    *self.services.entry(label).or_default() += u64::from(n);
                    self.nanos += nanos;
                }
                Event::Counted(label, n) if 0 < n => {
                    *self.services.entry(label).or_default() += u64::from(n);
                    *untimed = true;
                }
                Event::Clock(nanos) if *untimed => {
                    self.nanos += nanos;
                    *untimed = false;
                }
                Event::Stale(place, bytes, micros, n) if 0 < n => {
                    let n = u64::from(n);
                    let it = self.stale.entry(place).or_default();
                    *it = (it.0 + n, it.1 + n * bytes, it.2 + n * micros);
                }
                Event::Delayed(micros, n) => {
                    self.push_lag.0 += u64::from(n);
                    self.push_lag.1 += u64::from(n) * micros;
                }
                Event::Failed(command) => *self.failed.entry(command).or_default() += 1,
                Event::Stepped(place, step, n) if 0 < n => {
                    self.ladder[usize::from(step)] += u64::from(n);
                    *self.steps.entry((place, step)).or_default() += u64::from(n);
                }
                _ => (),
            }
        }

        fn found(snapshot: &Snapshot) -> Sums {
            let counted = |it: &Distribution| (it.count(), it.sum());
            let services = snapshot.services();
            let stale = snapshot
                .staleness()
                .into_iter()
                .map(|(place, it)| (place, (it.bytes.count(), it.bytes.sum(), it.micros.sum())));
            let failed = snapshot.refusals().into_iter().map(|(id, it)| (id, it.failed));
            Sums {
                nanos: services.values().map(|it| it.sum()).sum(),
                services: services.into_iter().map(|(label, it)| (label, it.count())).collect(),
                stale: stale.collect(),
                push_lag: counted(snapshot.delay(Delay::PushLag)),
                failed: failed.collect(),
                ladder: snapshot.tally().ladder,
                steps: snapshot.steps(),
            }
        }
    }

    fn play(event: &Event, worker: usize, shards: &Shards, batch: &mut Batch) {
        match *event {
            Event::Command(label, n, nanos) => batch.command(label, n, nanos),
            Event::Counted(label, n) => batch.count(label, n),
            Event::Clock(nanos) => batch.spread(nanos),
            Event::Stale(place, bytes, micros, n) => batch.staleness(place, bytes, micros, n),
            Event::Delayed(micros, n) => batch.push_lag(micros, n),
            Event::Failed(command) => batch.failed(command),
            Event::Stepped(place, step, n) => batch.ladder(place, step, n),
            Event::Flush => shards.flush(worker, batch),
            Event::FlushUnderReader => {
                let reader = shards.recorded(worker).lock();
                if batch.len() < PENDING_MAX {
                    shards.flush(worker, batch);
                }
                drop(reader);
            }
        }
    }

    proptest! {
        #[test]
        fn a_snapshot_is_the_sum_of_all_that_was_noted(
            events in prop::collection::vec((0usize..3, event()), 0..300)
        ) {
            let shards = Shards::new(2);
            let mut batches = [(); 3].map(|_| (Batch::default(), false));
            let mut expected = Sums::default();
            for (worker, event) in &events {
                let (batch, untimed) = &mut batches[*worker];
                expected.expect(event, untimed);
                play(event, *worker, &shards, batch);
            }
            for (worker, (batch, _)) in batches.iter_mut().enumerate() {
                shards.settle(worker, batch);
            }
            prop_assert_eq!(Sums::found(&shards.snapshot()), expected);
        }
    }
}
