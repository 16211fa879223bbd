//! One shard of the metrics per worker, merged when somebody asks.

use parking_lot::Mutex;

use crate::metrics::Delay;
use crate::metrics::batch::{Batch, Tally};
use crate::metrics::distribution::Distribution;
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

    /// Waiting times in microseconds over all workers and places.
    pub fn delay(&self, delay: Delay) -> Distribution {
        let mut sum = Distribution::default();
        self.shards.iter().for_each(|it| sum.add(&it.recorded.lock().delay(delay)));
        sum
    }

    /// Plain counts over all workers, which costs little.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.shards.iter().for_each(|it| sum.add(it.recorded.lock().tally()));
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
    use crate::base::ids::{CommandId, MemberId, RouteId};
    use crate::metrics::batch::Tally;
    use crate::metrics::worst::{Key, Measure, Worst};
    use crate::metrics::{Label, Place};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const GET: Label = Label::new(RouteId(0), MemberId(1), CommandId(7));
    const MEASURES: [Measure; 2] = [Measure::Staleness, Measure::FloorWait];

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
        assert_eq!(MEASURES.map(|it| empty.worst(it).len()), [0, 0]);
    }

    fn note_everything(batch: &mut Batch) {
        let place = Place { route: RouteId(0), member: MemberId(1) };
        batch.command(GET, 1, 100);
        batch.stale(place, 9, 9, Some(b"k"));
        batch.rejected(CommandId(1));
        batch.failed(CommandId(1));
        batch.floor_wait(place, 1, None);
        batch.wait(RouteId(0), 1);
        batch.push_lag(MemberId(1), 1, 1);
        batch.failover_pause(1);
        batch.ladder(place, 1, 1);
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
        Fresh(Place, u32),
        Stale(Place, u64, u64, u8),
        FloorWaited(Place, u64, u8),
        Waited(RouteId, u64),
        Pushed(MemberId, u64, u32),
        Paused(u64),
        Failed(CommandId),
        Stepped(Place, u8, u32),
        Flush,
        FlushUnderReader,
    }

    fn route() -> impl Strategy<Value = RouteId> + Clone {
        (0u16..3).prop_map(RouteId)
    }

    fn member() -> impl Strategy<Value = MemberId> + Clone {
        (0u16..3).prop_map(MemberId)
    }

    fn command() -> impl Strategy<Value = CommandId> {
        (0u16..5).prop_map(CommandId)
    }

    fn label() -> impl Strategy<Value = Label> {
        let made = |(route, member, command)| Label::new(route, member, command);
        (route(), member(), command()).prop_map(made)
    }

    fn event() -> impl Strategy<Value = Event> {
        let place = (route(), member()).prop_map(|(route, member)| Place { route, member });
        prop_oneof![
            (label(), 0u32..99, 0u64..9999).prop_map(|(it, n, t)| Event::Command(it, n, t)),
            (label(), 0u32..99).prop_map(|(it, n)| Event::Counted(it, n)),
            (0u64..99_999).prop_map(Event::Clock),
            (place.clone(), 0u32..9).prop_map(|(p, n)| Event::Fresh(p, n)),
            (place.clone(), 1u64..3, 0u64..3, any::<u8>())
                .prop_map(|(p, b, m, key)| Event::Stale(p, b, m, key)),
            (place.clone(), 0u64..9, any::<u8>())
                .prop_map(|(p, m, key)| Event::FloorWaited(p, m, key)),
            (route(), 0u64..99).prop_map(|(route, m)| Event::Waited(route, m)),
            (member(), 0u64..99, 0u32..9).prop_map(|(it, m, n)| Event::Pushed(it, m, n)),
            (0u64..99).prop_map(Event::Paused),
            command().prop_map(Event::Failed),
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
        delays: BTreeMap<(Delay, Place), (u64, u64)>,
        worst: BTreeMap<(u8, Place), (u64, u64)>,
        failed: BTreeMap<CommandId, u64>,
        ladder: [u64; 8],
        steps: BTreeMap<(Place, u8), u64>,
    }

    impl Sums {
        fn expect(&mut self, event: &Event, pending: &mut bool) {
            match *event {
                Event::Command(label, n, nanos) if 0 < n => {
                    *self.services.entry(label).or_default() += u64::from(n);
                    self.nanos += nanos;
                }
                Event::Counted(label, n) if 0 < n => {
                    *self.services.entry(label).or_default() += u64::from(n);
                    *pending = true;
                }
                Event::Clock(nanos) if *pending => {
                    self.nanos += nanos;
                    *pending = false;
                }
                Event::Fresh(place, n) if 0 < n => self.read(place, 0, 0, u64::from(n)),
                Event::Stale(place, bytes, micros, _) => {
                    self.read(place, bytes, micros, 1);
                    self.keep_worst(Measure::Staleness, place, (micros, bytes));
                }
                Event::FloorWaited(place, micros, _) => {
                    self.delay(Delay::FloorWait, place, micros, 1);
                    self.keep_worst(Measure::FloorWait, place, (micros, 0));
                }
                Event::Waited(route, micros) => {
                    self.delay(Delay::Wait, Place { route, member: MemberId::NONE }, micros, 1);
                }
                Event::Pushed(member, micros, n) if 0 < n => {
                    self.delay(
                        Delay::PushLag,
                        Place { route: RouteId::NONE, member },
                        micros,
                        u64::from(n),
                    );
                }
                Event::Paused(micros) => {
                    self.delay(Delay::FailoverPause, Place::NOWHERE, micros, 1);
                }
                Event::Failed(command) => *self.failed.entry(command).or_default() += 1,
                Event::Stepped(place, step, n) if 0 < n => {
                    self.ladder[usize::from(step)] += u64::from(n);
                    *self.steps.entry((place, step)).or_default() += u64::from(n);
                }
                _ => (),
            }
        }

        fn read(&mut self, place: Place, bytes: u64, micros: u64, n: u64) {
            let it = self.stale.entry(place).or_default();
            *it = (it.0 + n, it.1 + n * bytes, it.2 + n * micros);
        }

        fn delay(&mut self, delay: Delay, place: Place, micros: u64, n: u64) {
            let it = self.delays.entry((delay, place)).or_default();
            *it = (it.0 + n, it.1 + n * micros);
        }

        fn keep_worst(&mut self, measure: Measure, place: Place, size: (u64, u64)) {
            let it = self.worst.entry((measure as u8, place)).or_default();
            *it = size.max(*it);
        }

        fn found(snapshot: &Snapshot) -> Sums {
            let counted = |it: &Distribution| (it.count(), it.sum());
            let delays = Delay::ALL.into_iter().flat_map(|delay| {
                let of = snapshot.delays(delay).into_iter();
                of.map(move |(place, it)| ((delay, place), counted(it)))
            });
            let worst = MEASURES.into_iter().flat_map(|measure| {
                let of = snapshot.worst(measure).into_iter();
                of.map(move |(place, it)| ((measure as u8, place), (it.micros, it.bytes)))
            });
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
                delays: delays.collect(),
                worst: worst.collect(),
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
            Event::Fresh(place, n) => batch.fresh(place, n),
            Event::Stale(place, bytes, micros, key) => {
                batch.stale(place, bytes, micros, Some(&[key]));
            }
            Event::FloorWaited(place, micros, key) => {
                batch.floor_wait(place, micros, Some(&Key::new(&[key])));
            }
            Event::Waited(route, micros) => batch.wait(route, micros),
            Event::Pushed(member, micros, n) => batch.push_lag(member, micros, n),
            Event::Paused(micros) => batch.failover_pause(micros),
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

    /// Whether `event` is as bad as what is told of a series, and happened to the key told.
    fn is_worst(event: &Event, measure: Measure, at: Place, told: &Worst) -> bool {
        let key = |key: u8| told.key == Some(Key::new(&[key]));
        match (measure, event) {
            (Measure::Staleness, Event::Stale(place, bytes, micros, it)) => {
                *place == at && (*micros, *bytes) == (told.micros, told.bytes) && key(*it)
            }
            (Measure::FloorWait, Event::FloorWaited(place, micros, it)) => {
                *place == at && *micros == told.micros && key(*it)
            }
            _ => false,
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
                let (batch, pending) = &mut batches[*worker];
                expected.expect(event, pending);
                play(event, *worker, &shards, batch);
            }
            for (worker, (batch, _)) in batches.iter_mut().enumerate() {
                shards.settle(worker, batch);
            }
            let snapshot = shards.snapshot();
            for it in Delay::ALL {
                prop_assert_eq!(shards.delay(it).sum(), snapshot.delay(it).sum());
            }
            prop_assert_eq!(Sums::found(&snapshot), expected);
            for measure in MEASURES {
                for (place, worst) in snapshot.worst(measure) {
                    let is_it = |(_, it): &(usize, Event)| is_worst(it, measure, place, worst);
                    prop_assert!(events.iter().any(is_it), "no {measure:?} {place:?} {worst:?}");
                }
            }
        }
    }
}
