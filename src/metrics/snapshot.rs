//! Everything recorded, as plain values: by one worker, or by all of them together.

use crate::base::ids::CommandId;
use std::collections::BTreeMap;

use crate::metrics::batch::{Batch, Refusals, Tally};
use crate::metrics::distribution::Distribution;
use crate::metrics::services::{Services, Table};
use crate::metrics::worst::{Measure, Worst};
use crate::metrics::{Delay, Label, Place};

/// One instant of the metrics.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    services: Services,
    staleness: Table<Place, Behind>,
    delays: Table<(Delay, Place), Distribution>,
    worst: Table<(Measure, Place), Worst>,
    refusals: Table<CommandId, Refusals>,
    steps: Table<(Place, u8), u64>,
    tally: Tally,
    /// Who waits for threads for long work; known only to who is asked for all of it.
    pub long_work: LongWork,
    /// The append-only file, likewise.
    pub disk: DiskUse,
}

/// Who waits for threads for long work.
#[derive(Clone, Copy, Default, Debug)]
pub struct LongWork {
    /// Connections that wait now.
    pub waiting: u64,
    /// Requests that were refused because too many waited.
    pub refused: u64,
}

/// The append-only file.
#[derive(Clone, Default, Debug)]
pub struct DiskUse {
    /// How long it took to get it on disk, in microseconds.
    pub fsync_us: Distribution,
    /// Times that this failed.
    pub failed_fsyncs: u64,
    /// Bytes of the file.
    pub aof_bytes: u64,
    /// What it has grown by since it was rewritten.
    pub aof_grown_bytes: u64,
}

/// How far behind the master reads were, when they were served.
#[derive(Clone, Default, Debug)]
pub struct Behind {
    pub bytes: Distribution,
    pub micros: Distribution,
}

impl Snapshot {
    /// Service times in nanoseconds, in the order of routes, members and commands.
    pub fn services(&self) -> BTreeMap<Label, &Distribution> {
        self.services.iter().collect()
    }

    /// Service times of one command in nanoseconds, whatever its route and member.
    pub fn command(&self, command: CommandId) -> Distribution {
        let mut sum = Distribution::default();
        let same = self.services.iter().filter(|(label, _)| label.command() == command);
        same.for_each(|(_, it)| sum.add(it));
        sum
    }

    /// Service times of every command that was called, in nanoseconds.
    pub fn commands(&self) -> BTreeMap<CommandId, Distribution> {
        self.services_by(Label::command)
    }

    /// Service times in nanoseconds, put together by what `key` makes of their labels.
    pub fn services_by<K: Ord>(&self, key: impl Fn(Label) -> K) -> BTreeMap<K, Distribution> {
        let mut sums = BTreeMap::<K, Distribution>::new();
        for (label, it) in self.services.iter() {
            sums.entry(key(label)).or_default().add(it);
        }
        sums
    }

    /// Calls of all commands together.
    pub fn calls(&self) -> u64 {
        self.services.iter().map(|(_, it)| it.count()).sum()
    }

    /// How stale reads were, by where they were served.
    pub fn staleness(&self) -> BTreeMap<Place, &Behind> {
        self.staleness.iter().map(|(place, it)| (*place, it)).collect()
    }

    /// Waiting times in microseconds, wherever somebody waited.
    pub fn delay(&self, delay: Delay) -> Distribution {
        let mut sum = Distribution::default();
        self.delays_of(delay).for_each(|(_, it)| sum.add(it));
        sum
    }

    /// Waiting times in microseconds, by where somebody waited.
    pub fn delays(&self, delay: Delay) -> BTreeMap<Place, &Distribution> {
        self.delays_of(delay).collect()
    }

    /// The worst of each series of a measure.
    pub fn worst(&self, measure: Measure) -> BTreeMap<Place, &Worst> {
        let same = self.worst.iter().filter(|((it, _), _)| *it == measure);
        same.map(|((_, place), it)| (*place, it)).collect()
    }

    /// Rejected and failed calls, by command.
    pub fn refusals(&self) -> BTreeMap<CommandId, Refusals> {
        self.refusals.iter().map(|(command, it)| (*command, *it)).collect()
    }

    /// How many reads took each step of their ladder, by where it led.
    pub fn steps(&self) -> BTreeMap<(Place, u8), u64> {
        self.steps.iter().map(|(taken, reads)| (*taken, *reads)).collect()
    }

    /// Plain counts.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Records what `batch` has gathered and leaves it empty.
    pub(super) fn take(&mut self, batch: &mut Batch) {
        batch.runs.iter().for_each(|run| self.services.record(run));
        batch.runs.clear();
        batch.noted = false;
        if batch.more {
            self.take_more(batch);
        }
    }

    /// Counts everything that `other` has counted.
    pub(super) fn add(&mut self, other: &Snapshot) {
        self.services.add(&other.services);
        for (place, it) in &other.staleness {
            let behind = self.staleness.entry(*place).or_default();
            behind.bytes.add(&it.bytes);
            behind.micros.add(&it.micros);
        }
        for (series, it) in &other.delays {
            self.delays.entry(*series).or_default().add(it);
        }
        other.worst.iter().for_each(|(series, it)| self.keep_worst(*series, it));
        for (command, more) in &other.refusals {
            self.refusals.entry(*command).or_default().add(*more);
        }
        for (taken, reads) in &other.steps {
            *self.steps.entry(*taken).or_default() += reads;
        }
        self.tally.add(&other.tally);
    }

    fn delays_of(&self, delay: Delay) -> impl Iterator<Item = (Place, &Distribution)> {
        let same = self.delays.iter().filter(move |((it, _), _)| *it == delay);
        same.map(|((_, place), it)| (*place, it))
    }

    fn keep_worst(&mut self, series: (Measure, Place), found: &Worst) {
        self.worst.entry(series).and_modify(|it| it.merge(found)).or_insert(*found);
    }

    fn take_more(&mut self, batch: &mut Batch) {
        for it in batch.staleness.drain(..) {
            let behind = self.staleness.entry(it.place).or_default();
            behind.bytes.record(it.bytes, it.reads);
            behind.micros.record(it.micros, it.reads);
        }
        for it in batch.delays.drain(..) {
            self.delays.entry((it.delay, it.place)).or_default().record(it.micros, it.n);
        }
        for (series, it) in batch.worst.drain(..) {
            self.keep_worst(series, &it);
        }
        for (command, more) in batch.refusals.drain(..) {
            self.refusals.entry(command).or_default().add(more);
        }
        for (taken, reads) in batch.steps.drain(..) {
            *self.steps.entry(taken).or_default() += u64::from(reads);
        }
        self.tally.add(&batch.tally);
        batch.tally = Tally::default();
        batch.more = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{MemberId, RouteId};
    use crate::metrics::services::SERIES_MAX;

    #[test]
    fn too_many_series_fall_together_by_command_and_lose_no_call() {
        let (mut snapshot, mut batch) = (Snapshot::default(), Batch::default());
        let labels = || {
            let commands = |member| (0..4).map(move |command| (member, command));
            (0..1000).flat_map(commands)
        };
        for (member, command) in labels() {
            batch.command(Label::new(RouteId(0), MemberId(member), CommandId(command)), 1, 500);
        }
        snapshot.take(&mut batch);
        assert_eq!(snapshot.services().len(), SERIES_MAX + 4);
        assert_eq!(snapshot.calls(), 4000);
        assert_eq!(snapshot.command(CommandId(3)).count(), 1000);
    }
}
