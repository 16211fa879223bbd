//! Everything recorded, as plain values: by one worker, or by all of them together.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use crate::metrics::batch::{Batch, Refusals, Run, Tally};
use crate::metrics::distribution::Distribution;
use crate::metrics::{Delay, Label, NONE, Place};

/// Histograms of service time that are kept apart by route and member. Beyond it, calls are counted
/// by command alone, so that no mix of routes, members and commands can eat the memory.
const SERIES_MAX: usize = 1024;

/// Unkeyed, for no client chooses these keys.
type Table<K, V> = HashMap<K, V, BuildHasherDefault<ahash::AHasher>>;

/// One instant of the metrics.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    services: Table<Label, Distribution>,
    staleness: Table<Place, Behind>,
    delays: [Distribution; Delay::ALL.len()],
    refusals: Table<u16, Refusals>,
    tally: Tally,
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
        self.services.iter().map(|(label, it)| (*label, it)).collect()
    }

    /// Service times of one command in nanoseconds, whatever its route and member.
    pub fn command(&self, command: u16) -> Distribution {
        let mut sum = Distribution::default();
        let same = self.services.iter().filter(|(label, _)| label.command == command);
        same.for_each(|(_, it)| sum.add(it));
        sum
    }

    /// Service times of every command that was called, in nanoseconds.
    pub fn commands(&self) -> BTreeMap<u16, Distribution> {
        let mut sums = BTreeMap::<u16, Distribution>::new();
        for (label, it) in &self.services {
            sums.entry(label.command).or_default().add(it);
        }
        sums
    }

    /// Calls of all commands together.
    pub fn calls(&self) -> u64 {
        self.services.values().map(Distribution::count).sum()
    }

    /// How stale reads were, by where they were served.
    pub fn staleness(&self) -> BTreeMap<Place, &Behind> {
        self.staleness.iter().map(|(place, it)| (*place, it)).collect()
    }

    /// Waiting times in microseconds.
    pub fn delay(&self, delay: Delay) -> &Distribution {
        &self.delays[delay as usize]
    }

    /// Rejected and failed calls, by command.
    pub fn refusals(&self) -> BTreeMap<u16, Refusals> {
        self.refusals.iter().map(|(command, it)| (*command, *it)).collect()
    }

    /// Plain counts.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Records what `batch` has gathered and leaves it empty.
    pub(super) fn take(&mut self, batch: &mut Batch) {
        batch.runs.drain(..).for_each(|run| self.serve(&run));
        for it in batch.staleness.drain(..) {
            let behind = self.staleness.entry(it.place).or_default();
            behind.bytes.record(it.bytes, it.reads);
            behind.micros.record(it.micros, it.reads);
        }
        for (delay, micros, n) in batch.delays.drain(..) {
            self.delays[delay as usize].record(micros, n);
        }
        for (command, more) in batch.refusals.drain(..) {
            self.refusals.entry(command).or_default().add(more);
        }
        self.tally.add(&batch.tally);
        batch.tally = Tally::default();
        batch.noted = false;
    }

    /// Counts everything that `other` has counted.
    pub(super) fn add(&mut self, other: &Snapshot) {
        for (label, it) in &other.services {
            self.services.entry(*label).or_default().add(it);
        }
        for (place, it) in &other.staleness {
            let behind = self.staleness.entry(*place).or_default();
            behind.bytes.add(&it.bytes);
            behind.micros.add(&it.micros);
        }
        self.delays.iter_mut().zip(&other.delays).for_each(|(sum, it)| sum.add(it));
        for (command, more) in &other.refusals {
            self.refusals.entry(*command).or_default().add(*more);
        }
        self.tally.add(&other.tally);
    }

    fn serve(&mut self, run: &Run) {
        match self.services.get_mut(&run.label) {
            Some(it) => it.record_run(run.nanos_each, run.calls, run.nanos),
            None => self.serve_first(run),
        }
    }

    #[cold]
    fn serve_first(&mut self, run: &Run) {
        let label = match self.services.len() < SERIES_MAX {
            true => run.label,
            false => Label { route: NONE, member: NONE, ..run.label },
        };
        let it = self.services.entry(label).or_default();
        it.record_run(run.nanos_each, run.calls, run.nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_series_fall_together_by_command_and_lose_no_call() {
        let (mut snapshot, mut batch) = (Snapshot::default(), Batch::default());
        let labels = || {
            let commands = |member| (0..4).map(move |command| (member, command));
            (0..1000).flat_map(commands)
        };
        for (member, command) in labels() {
            batch.command(Label { route: 0, member, command }, 1, 500);
        }
        snapshot.take(&mut batch);
        assert_eq!(snapshot.services().len(), SERIES_MAX + 4);
        assert_eq!(snapshot.calls(), 4000);
        assert_eq!(snapshot.command(3).count(), 1000);
    }
}
