//! Metrics of what was recorded: times of commands, staleness, waits, steps of ladders.

use super::seen::Seen;
use crate::metrics::batch::Refusals;
use crate::metrics::distribution::Distribution;
use crate::metrics::exposition::{Samples, Scale};
use crate::metrics::{Delay, Place};
use std::collections::BTreeMap;

impl Seen<'_> {
    fn route(&self, place: Place) -> String {
        self.names.route(place).into_owned()
    }

    fn member(&self, place: Place) -> String {
        self.names.member(place).into_owned()
    }
}

pub fn durations(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let by = |label: crate::metrics::Label| {
        let place = label.place();
        (place.route, place.member, seen.class(label.command()))
    };
    for ((route, member, class), calls) in seen.snapshot.services_by(by) {
        let place = Place { route, member };
        it.histogram(&[&seen.route(place), &seen.member(place), class], &calls, Scale::NANOS);
    }
}

/// By class, whatever was refused or not.
fn refusals(seen: &Seen<'_>, it: &mut Samples<'_>, of: fn(&Refusals) -> u64) {
    let mut classes = BTreeMap::from([("read", 0), ("session", 0), ("write", 0)]);
    for (command, refused) in seen.snapshot.refusals() {
        *classes.entry(seen.class(command)).or_default() += of(&refused);
    }
    classes.into_iter().for_each(|(class, count)| it.value(&[class], count));
}

pub fn rejected(seen: &Seen<'_>, it: &mut Samples<'_>) {
    refusals(seen, it, |it| it.rejected);
}

pub fn failed(seen: &Seen<'_>, it: &mut Samples<'_>) {
    refusals(seen, it, |it| it.failed);
}

pub fn staleness_time(seen: &Seen<'_>, it: &mut Samples<'_>) {
    for (place, behind) in seen.snapshot.staleness() {
        it.histogram(&[&seen.route(place), &seen.member(place)], &behind.micros, Scale::MICROS);
    }
}

pub fn staleness_bytes(seen: &Seen<'_>, it: &mut Samples<'_>) {
    for (place, behind) in seen.snapshot.staleness() {
        it.histogram(&[&seen.route(place), &seen.member(place)], &behind.bytes, Scale::BYTES);
    }
}

pub fn steps(seen: &Seen<'_>, it: &mut Samples<'_>) {
    for ((place, step), reads) in seen.snapshot.steps() {
        let step = seen.names.ladder.get(usize::from(step)).copied().unwrap_or("-");
        it.value(&[&seen.route(place), &seen.member(place), step], reads);
    }
}

pub fn floor_waits(seen: &Seen<'_>, it: &mut Samples<'_>) {
    for (place, waits) in seen.snapshot.delays(Delay::FloorWait) {
        it.histogram(&[&seen.route(place), &seen.member(place)], waits, Scale::MICROS);
    }
}

pub fn ack_waits(seen: &Seen<'_>, it: &mut Samples<'_>) {
    for (place, waits) in seen.snapshot.delays(Delay::Wait) {
        it.histogram(&[&seen.route(place)], waits, Scale::MICROS);
    }
}

pub fn push_lag(seen: &Seen<'_>, it: &mut Samples<'_>) {
    for (place, lags) in seen.snapshot.delays(Delay::PushLag) {
        it.histogram(&[&seen.member(place)], lags, Scale::MICROS);
    }
}

pub fn failover_pauses(seen: &Seen<'_>, it: &mut Samples<'_>) {
    whole(it, &seen.snapshot.delay(Delay::FailoverPause));
}

pub fn writer_waits(seen: &Seen<'_>, it: &mut Samples<'_>) {
    whole(it, &seen.snapshot.delay(Delay::SoftLag));
}

fn whole(it: &mut Samples<'_>, waits: &Distribution) {
    it.histogram(&[], waits, Scale::MICROS);
}
