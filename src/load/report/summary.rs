//! Results as JSON.

use super::machine;
use crate::load::compare::Comparison;
use crate::load::measure::Point;
use crate::load::outcome::Outcome;
use crate::load::scenario::Scenario;
use crate::metrics::json::Json;
use hdrhistogram::Histogram;

/// The results of a run, for programs.
pub fn summary(scenario: &Scenario, outcome: &Outcome, comparison: Option<&Comparison>) -> String {
    let mut json = Json::default();
    let seconds = outcome.time.as_secs_f64();
    json.object(|it| {
        it.name("scenario").string(&scenario.name);
        it.name("settings").string(&settings(scenario));
        it.name("seed").number(scenario.seed);
        it.name("generator").string(concat!("entourage ", env!("CARGO_PKG_VERSION")));
        it.name("machine").string(&machine());
        let targets = scenario.targets.iter().zip(&outcome.servers);
        it.name("targets").array(targets, |it, (address, server)| {
            it.object(|it| {
                it.name("address").string(address);
                it.name("server").string(server);
            });
        });
        it.name("seconds").number(seconds);
        it.name("not_sent").number(outcome.unsent.len());
        it.name("own_cpu_seconds").number(outcome.cpu_s);
        it.name("all").object(|it| latencies(it, &outcome.totals.all, seconds));
        if let Some(due) = outcome.all_due() {
            it.name("all_due").object(|it| latencies(it, &due, seconds));
        }
        it.name("commands").array(&outcome.totals.classes, |it, (class, histogram)| {
            it.object(|it| {
                let command = scenario.commands.get(usize::from(class.command));
                it.name("command").string(command.map_or("WAIT", |it| &it.text));
                it.name("target").number(class.target);
                latencies(it, histogram, seconds);
            });
        });
        it.name("per_second")
            .array(&outcome.totals.points, |it, point| it.object(|it| of(it, point)));
        it.name("replica_lag").array(&outcome.lags, |it, point| {
            it.object(|it| {
                it.name("at_s").number(point.at);
                it.name("lags").array(&point.lags, |it, lag| {
                    it.object(|it| {
                        it.name("member").string(&lag.member);
                        it.name("bytes").number(lag.bytes);
                        if let Some(us) = lag.us {
                            it.name("us").number(us);
                        }
                    });
                });
            });
        });
        wrongs(it, outcome);
        if let Some(served) = &outcome.served {
            it.name("reads_by_member").object(|it| {
                served.reads.iter().for_each(|(member, reads)| it.name(member).number(reads));
            });
            it.name("master").string(&served.master);
        }
        it.name("faults").array(&outcome.faults, |it, done| {
            it.object(|it| {
                it.name("at_s").number(done.at as f64 / 1e9);
                it.name("what").string(&done.what);
                it.name("answer").string(&done.answer);
            });
        });
        checks(it, outcome);
        if let Some(comparison) = comparison {
            it.name("comparison").object(|it| {
                it.name("with").string(&comparison.other);
                let theirs = &comparison.theirs;
                let seconds = theirs.time.as_secs_f64();
                it.name("seconds").number(seconds);
                it.name("all").object(|it| latencies(it, &theirs.totals.all, seconds));
                wrongs(it, theirs);
                checks(it, theirs);
                it.name("pairs").number(comparison.pairs);
                it.name("pairs_left_out").number(comparison.pairs_without);
                it.name("rows").array(&comparison.rows, |it, row| {
                    it.object(|it| {
                        it.name("what").string(row.what);
                        it.name("ratio").number(row.ratio);
                        it.name("from").number(row.from);
                        it.name("to").number(row.to);
                        it.name("differs").number(row.differs());
                    });
                });
            });
        }
    });
    json.into_text() + "\n"
}

/// The settings, as a scenario file has them.
pub fn settings(scenario: &Scenario) -> String {
    toml::to_string(&scenario.settings).unwrap_or_default()
}

fn latencies(json: &mut Json, histogram: &Histogram<u64>, seconds: f64) {
    json.name("requests").number(histogram.len());
    json.name("per_second").number(histogram.len() as f64 / seconds);
    json.name("latency_ns").object(|it| {
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            it.name(name).number(histogram.value_at_quantile(quantile));
        }
        it.name("max").number(histogram.max());
        it.name("mean").number(histogram.mean());
    });
}

fn of(json: &mut Json, point: &Point) {
    json.name("second").number(point.second);
    json.name("seconds").number(point.length);
    json.name("requests").number(point.count);
    json.name("errors").number(point.errors);
    json.name("p50_ns").number(point.p50);
    json.name("p99_ns").number(point.p99);
    json.name("p99.9_ns").number(point.p999);
    json.name("max_ns").number(point.max);
}

fn wrongs(json: &mut Json, outcome: &Outcome) {
    json.name("errors").object(|it| {
        let errors = outcome.totals.errors.0.iter();
        errors.for_each(|(word, of)| it.name(word).number(of.count));
    });
    json.name("error_examples").array(outcome.totals.errors.0.values(), |it, of| {
        it.string(&of.example);
    });
    json.name("notes").array(&outcome.notes, |it, note| it.string(note));
    json.name("shortcomings").array(&outcome.shortcomings, |it, why| it.string(why));
}

fn checks(json: &mut Json, outcome: &Outcome) {
    let Some(verdict) = &outcome.verdict else { return };
    json.name("checks").array(&verdict.counts, |it, (check, pairs, violations)| {
        it.object(|it| {
            it.name("check").string(check.name());
            it.name("pairs").number(pairs);
            it.name("violations").number(violations);
        });
    });
    json.name("violations").array(&verdict.violations, |it, one| it.string(&one.to_string()));
    json.name("undecided").number(verdict.undecided);
    json.name("not_checked").number(verdict.not_checked);
    if let Some(staleness) = &verdict.staleness {
        json.name("staleness").object(|it| {
            it.name("reads").number(staleness.reads());
            it.name("stale").number(staleness.stale());
            it.name("versions_behind_p99")
                .number(staleness.versions_behind.value_at_quantile(0.99));
            it.name("versions_behind_max").number(staleness.versions_behind.max());
            it.name("us_behind_p99").number(staleness.us_behind.value_at_quantile(0.99));
            it.name("us_behind_max").number(staleness.us_behind.max());
            it.name("per_second").array(&staleness.seconds, |it, (second, of)| {
                it.object(|it| {
                    let at = *second as f64 - outcome.measured_from as f64 / 1e9;
                    it.name("from_s").number(at);
                    it.name("reads").number(of.reads);
                    it.name("stale").number(of.stale);
                    it.name("us_behind_max").number(of.us_behind_max);
                });
            });
        });
    }
}
