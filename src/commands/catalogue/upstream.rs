//! Metrics of a set of real servers that are no member's.

use super::seen::Seen;
use crate::metrics::exposition::Samples;
use std::sync::atomic::Ordering::Relaxed;

pub fn hedges(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let Some(upstream) = &seen.server.upstream else { return };
    let sent = (0..upstream.workers()).map(|at| upstream.hedges(at).sent.load(Relaxed));
    it.value(&[], sent.sum::<u64>());
}

pub fn heartbeats(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let Some(upstream) = &seen.server.upstream else { return };
    it.value(&[], upstream.head.beats.load(Relaxed));
}

pub fn checks(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let Some(upstream) = &seen.server.upstream else { return };
    let checks = &upstream.checks;
    for (name, check) in [("audit", &checks.audit), ("shadow", &checks.shadow)] {
        for (outcome, count) in check.counts() {
            it.value(&[name, outcome], count);
        }
    }
}
