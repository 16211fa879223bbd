//! Metrics of the data: keys, the log and who follows it, files.

use super::seen::Seen;
use crate::commands::info::expired as expired_keys;
use crate::commands::verbs::node_field::Field;
use crate::metrics::exposition::{Samples, Scale};
use crate::node::SpaceCounts;
use crate::runtime::clock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn count(it: &mut Samples<'_>, count: &AtomicU64) {
    it.value(&[], count.load(Relaxed));
}

/// Keys of databases that have some.
fn spaces(seen: &Seen<'_>, it: &mut Samples<'_>, of: fn(&SpaceCounts) -> usize) {
    let Some(counts) = &seen.counts else { return };
    for (at, space) in counts.spaces.iter().enumerate().filter(|it| it.0 == 0 || it.1.keys != 0) {
        it.value(&[&format!("db{at}")], of(space));
    }
}

pub fn keys(seen: &Seen<'_>, it: &mut Samples<'_>) {
    spaces(seen, it, |it| it.keys);
}

pub fn expiring(seen: &Seen<'_>, it: &mut Samples<'_>) {
    spaces(seen, it, |it| it.with_deadline);
}

pub fn expired(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], expired_keys(seen.server));
}

pub fn head(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let told = seen.server.set.told().filter(|_| seen.server.upstream.is_some());
    it.value(&[], told.map_or(seen.server.set.head(), |it| it.offset).bytes());
}

pub fn backlog(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.set.backlog().1);
}

pub fn wire_replicas(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let is_role = |it: &(&str, Field)| it.0 == "role" && it.1.text() == "wire-replica";
    it.value(&[], seen.nodes.iter().filter(|it| it.1.iter().any(is_role)).count());
}

pub fn full_resyncs(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let set = &seen.server.set;
    it.value(&[], set.full_resyncs.load(Relaxed) + set.wire.full_resyncs.load(Relaxed));
}

pub fn partial_resyncs(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let wire = &seen.server.set.wire;
    it.value(&["ok"], wire.partial_resyncs.load(Relaxed));
    it.value(&["refused"], wire.partial_resyncs_refused.load(Relaxed));
}

pub fn peer_faults(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.counters.peer_faults);
}

pub fn gate(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let Some(gate) = seen.settings.set.gate().filter(|_| seen.server.upstream.is_none()) else {
        return;
    };
    it.switch(&[], gate.allows(seen.server.set.fed(clock::mono_now())));
}

pub fn link(seen: &Seen<'_>, it: &mut Samples<'_>) {
    if let Some(remote) = seen.server.set.remote() {
        it.switch(&[], remote.is_connected());
    }
}

pub fn panics(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.set.panics);
}

pub fn quarantines(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.set.quarantines);
}

pub fn loading(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.switch(&[], seen.server.set.is_loading());
}

pub fn unsaved(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.changes().saturating_sub(seen.disk.save.changes));
}

pub fn last_save(seen: &Seen<'_>, it: &mut Samples<'_>) {
    if seen.server.disk().is_some() {
        it.switch(&[], seen.disk.save.is_ok);
    }
}

pub fn fsyncs(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.histogram(&[], &seen.snapshot.disk.fsync_us, Scale::MICROS);
}
