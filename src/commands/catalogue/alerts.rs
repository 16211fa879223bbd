//! Metrics of the alerts.

use super::seen::Seen;
use crate::metrics::exposition::Samples;
use std::sync::atomic::Ordering::Relaxed;

pub fn raised(seen: &Seen<'_>, it: &mut Samples<'_>) {
    for (kind, subject, is_raised) in seen.server.alerts.all() {
        it.switch(&[kind.as_str(), subject.member(), subject.route()], is_raised);
    }
}

pub fn deliveries(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let counters = &seen.server.counters;
    it.value(&["ok"], counters.alerts_delivered.load(Relaxed));
    it.value(&["failed"], counters.alerts_undelivered.load(Relaxed));
}
