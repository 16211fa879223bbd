//! A snapshot as JSON: PROXY STATS JSON. Its fields are described in `config/docs/stats.md`.

use crate::base::ids::{CommandId, MemberId, RouteId};
use crate::metrics::distribution::Distribution;
use crate::metrics::json::Json;
use crate::metrics::render::{Names, heading};
use crate::metrics::snapshot::Snapshot;
use crate::metrics::worst::{Measure, Worst};
use crate::metrics::{Delay, Place};
use std::collections::BTreeMap;

/// The answer to PROXY STATS JSON.
pub fn stats_json(snapshot: &Snapshot, names: &Names) -> String {
    let mut json = Json::default();
    json.object(|it| {
        it.name("service").array(snapshot.services(), |it, (label, calls)| {
            it.object(|it| {
                place(it, names, label.place());
                it.name("command").string(&known(names.commands, label.command().0));
                it.name("calls").number(calls.count());
                spread(it.name("us"), calls, |ns| format!("{:.3}", ns as f64 / 1000.0));
            });
        });
        staleness(it.name("staleness"), snapshot, names);
        it.name("waits").object(|it| {
            Delay::ALL.iter().for_each(|delay| waits(it, *delay, snapshot, names));
        });
        it.name("ladder").object(|it| ladder(it, snapshot, names));
        it.name("long-work").object(|it| {
            it.name("waiting").number(snapshot.long_work.waiting);
            it.name("refused").number(snapshot.long_work.refused);
        });
        it.name("disk").object(|it| {
            let disk = &snapshot.disk;
            it.name("fsyncs").number(disk.fsync_us.count());
            spread(it.name("fsync-us"), &disk.fsync_us, |it| it.to_string());
            it.name("failed-fsyncs").number(disk.failed_fsyncs);
            it.name("aof-bytes").number(disk.aof_bytes);
            it.name("aof-grown-bytes").number(disk.aof_grown_bytes);
        });
        it.name("keyspace").object(|it| {
            it.name("hits").number(snapshot.tally().hits);
            it.name("misses").number(snapshot.tally().misses);
        });
    });
    json.into_text()
}

fn staleness(json: &mut Json, snapshot: &Snapshot, names: &Names) {
    let worst = snapshot.worst(Measure::Staleness);
    json.array(snapshot.staleness(), |it, (at, behind)| {
        it.object(|it| {
            place(it, names, at);
            it.name("reads").number(behind.bytes.count());
            spread(it.name("bytes"), &behind.bytes, |it| it.to_string());
            spread(it.name("us"), &behind.micros, |it| it.to_string());
            tell_worst(it, worst.get(&at).copied());
        });
    });
}

/// One kind of wait: all of it, then by place where it has any.
fn waits(json: &mut Json, delay: Delay, snapshot: &Snapshot, names: &Names) {
    let worst = match delay {
        Delay::FloorWait => snapshot.worst(Measure::FloorWait),
        Delay::Wait | Delay::PushLag | Delay::FailoverPause | Delay::SoftLag => BTreeMap::new(),
    };
    json.name(heading(delay)).object(|it| {
        let all = snapshot.delay(delay);
        it.name("count").number(all.count());
        spread(it.name("us"), &all, |it| it.to_string());
        let placed = snapshot.delays(delay).into_iter().filter(|it| it.0 != Place::NOWHERE);
        it.name("places").array(placed, |it, (at, waited)| {
            it.object(|it| {
                place(it, names, at);
                it.name("count").number(waited.count());
                spread(it.name("us"), waited, |it| it.to_string());
                tell_worst(it, worst.get(&at).copied());
            });
        });
    });
}

fn ladder(json: &mut Json, snapshot: &Snapshot, names: &Names) {
    let steps = snapshot.steps();
    for (number, (step, taken)) in names.ladder.iter().zip(snapshot.tally().ladder).enumerate() {
        json.name(step).object(|it| {
            it.name("reads").number(taken);
            let these = steps.iter().filter(|it| usize::from(it.0.1) == number);
            it.name("places").array(these, |it, ((at, _), reads)| {
                it.object(|it| {
                    place(it, names, *at);
                    it.name("reads").number(reads);
                });
            });
        });
    }
}

/// The fields `route` and `member`.
fn place(json: &mut Json, names: &Names, place: Place) {
    for (field, names, number) in
        [("route", names.routes, place.route.0), ("member", names.members, place.member.0)]
    {
        let name = (number != u16::MAX).then(|| known(names, number));
        json.name(field).string_or_null(name.as_deref());
    }
}

/// The name of a number, and the number itself once its name is gone.
fn known(names: &[&str], number: u16) -> String {
    names.get(usize::from(number)).map_or_else(|| number.to_string(), |it| (*it).to_owned())
}

fn spread(json: &mut Json, of: &Distribution, shown: impl Fn(u64) -> String) {
    json.object(|it| {
        for (name, percentile) in [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9)] {
            it.name(name).number(shown(of.shown(percentile)));
        }
        it.name("max").number(shown(of.max()));
    });
}

/// Times of calls by route and class, with the buckets that hold some: the largest nanoseconds of
/// each, and its calls. Who asks twice can tell what came between.
pub fn latency(
    json: &mut Json,
    snapshot: &Snapshot,
    names: &Names,
    class: impl Fn(CommandId) -> &'static str,
) {
    let by = snapshot.services_by(|it| (it.place().route, class(it.command())));
    json.array(by, |it, ((route, class), calls)| {
        it.object(|it| {
            let name = (route != RouteId::NONE).then(|| known(names.routes, route.0));
            it.name("route").string_or_null(name.as_deref());
            it.name("class").string(class);
            it.name("calls").number(calls.count());
            it.name("ns").number(calls.sum());
            it.name("buckets").array(calls.buckets(), |it, (edge, calls)| {
                it.array([edge, calls], |it, number| it.number(number));
            });
        });
    });
}

/// Calls by member and class.
pub fn calls(
    json: &mut Json,
    snapshot: &Snapshot,
    names: &Names,
    class: impl Fn(CommandId) -> &'static str,
) {
    let by = snapshot.services_by(|it| (it.place().member, class(it.command())));
    json.array(by, |it, ((member, class), calls)| {
        it.object(|it| {
            let name = (member != MemberId::NONE).then(|| known(names.members, member.0));
            it.name("member").string_or_null(name.as_deref());
            it.name("class").string(class);
            it.name("calls").number(calls.count());
        });
    });
}

/// The field `worst`, where there is one.
fn tell_worst(json: &mut Json, worst: Option<&Worst>) {
    let Some(worst) = worst else { return };
    json.name("worst").object(|it| {
        it.name("us").number(worst.micros);
        it.name("bytes").number(worst.bytes);
        let key = worst.key.as_ref().map(|it| it.text());
        it.name("key").string_or_null(key.as_deref());
    });
}
