//! Results as one page with plots, which opens without a network.

use super::machine;
use super::plots::{Mark, Scale, Series, by_percentile, escaped, latencies, over_time, throughput};
use super::summary::settings;
use crate::load::beside::LagPoint;
use crate::load::check::Staleness;
use crate::load::outcome::Outcome;
use crate::load::scenario::Scenario;
use std::collections::BTreeMap;
use std::fmt::Write;

const STYLE: &str = "body{font:14px/1.5 sans-serif;max-width:940px;margin:2em auto;padding:0 1em;\
                     color:#222}pre{background:#f5f5f5;padding:1em;overflow:auto;font-size:12px}\
                     h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}svg{max-width:100%;\
                     height:auto}.names span{margin:0 1.2em 0 0}\
                     .names{margin:0 0 0 80px}.bad{color:#b00020;font-weight:bold}\
                     .good{color:#1b7f3b}";

/// The page; `table` is the results as text.
pub fn page(scenario: &Scenario, outcome: &Outcome, table: &str) -> String {
    let mut out = String::new();
    let mut add = |it: String| out.push_str(&it);
    add(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\
         <style>{STYLE}</style><h1>entourage load: {name}</h1>",
        name = escaped(&scenario.name)
    ));
    if let Some(about) = &scenario.settings.about {
        add(format!("<p>{}</p>", escaped(about)));
    }
    if let Some(verdict) = &outcome.verdict {
        let violations: u64 = verdict.counts.iter().map(|it| it.2).sum();
        let (class, text) = if violations == 0 {
            ("good", "every check was kept".to_owned())
        } else {
            ("bad", format!("{violations} violations"))
        };
        add(format!("<p class=\"{class}\">{text}</p>"));
    }
    add(format!("<h2>Results</h2><pre>{}</pre>", escaped(table)));
    let (marks, seconds) = (marks(scenario, outcome), outcome.time.as_secs_f64());
    let mut all: Vec<_> = outcome
        .totals
        .classes
        .iter()
        .map(|(class, histogram)| {
            let command = scenario.commands.get(usize::from(class.command));
            let name = command.map_or("WAIT", |it| it.text.as_str());
            (format!("{name} @{}", class.target), histogram)
        })
        .collect();
    if all.len() != 1 {
        all.push(("all".to_owned(), &outcome.totals.all));
    }
    let due = outcome.all_due();
    all.extend(due.as_ref().map(|it| ("all that was due".to_owned(), it)));
    add(format!("<h2>Latency by percentile</h2>{}", by_percentile(&all)));
    let plot = over_time(
        "requests per second",
        Scale::Linear,
        &throughput(&outcome.totals),
        &marks,
        seconds,
    );
    add(format!("<h2>Throughput over time</h2>{plot}"));
    let lines = latencies(&outcome.totals);
    let plot = over_time("ms", Scale::Logarithmic, &lines, &marks, seconds);
    add(format!("<h2>Latency over time</h2>{plot}"));
    let (unit, lines) = lag_lines(&outcome.lags);
    if !lines.is_empty() {
        let plot = over_time(unit, Scale::Linear, &lines, &marks, seconds);
        add(format!("<h2>Lag of replicas over time</h2>{plot}"));
    }
    if let Some(staleness) = outcome.verdict.as_ref().and_then(|it| it.staleness.as_ref()) {
        let lines = stale_lines(staleness, outcome.measured_from as f64 / 1e9);
        let plot = over_time("ms", Scale::Linear, &lines, &marks, seconds);
        let stale = staleness.stale();
        add(format!("<h2>How old the oldest read was, over time</h2><p>{stale} stale reads</p>"));
        add(if stale == 0 { String::new() } else { plot });
    }
    add(format!("<h2>How to repeat it</h2><pre>{}</pre>", escaped(&repeat(scenario, outcome))));
    add("</html>\n".to_owned());
    out
}

/// How far each replica was behind: in ms where that is known, else in bytes.
fn lag_lines(points: &[LagPoint]) -> (&'static str, Vec<Series>) {
    let all = || points.iter().flat_map(|it| it.lags.iter().map(|lag| (it.at, lag)));
    let has_time = all().all(|(_, lag)| lag.us.is_some());
    let mut lines: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (at, lag) in all() {
        let value = match lag.us {
            Some(us) if has_time => us as f64 / 1e3,
            _ => lag.bytes as f64,
        };
        lines.entry(&lag.member).or_default().push((at, value));
    }
    let lines = lines.into_iter().map(|(name, points)| Series { name: name.to_owned(), points });
    (if has_time { "ms" } else { "bytes" }, lines.collect())
}

fn stale_lines(staleness: &Staleness, measured_from: f64) -> Vec<Series> {
    let seconds = staleness.seconds.iter();
    let points = seconds
        .map(|(second, it)| (*second as f64 + 0.5 - measured_from, it.us_behind_max as f64 / 1e3));
    let points = points.filter(|it| 0.0 <= it.0).collect();
    vec![Series { name: "oldest".to_owned(), points }]
}

/// Phases and faults.
fn marks(scenario: &Scenario, outcome: &Outcome) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut at = 0.0;
    for phase in scenario.phases.iter().filter(|_| 1 < scenario.phases.len()) {
        marks.push(Mark { at, text: phase.name.clone() });
        at += phase.time.as_secs_f64();
    }
    let faults = outcome.faults.iter();
    marks.extend(faults.map(|it| Mark { at: it.at as f64 / 1e9, text: it.what.clone() }));
    marks
}

fn repeat(scenario: &Scenario, outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut line = |it: String| writeln!(text, "{it}").expect("a String takes all that is written");
    line(format!("# entourage {}", env!("CARGO_PKG_VERSION")));
    line(format!("# {}", machine()));
    for (target, server) in scenario.targets.iter().zip(&outcome.servers) {
        line(format!("# {target}: {server}"));
    }
    line(format!("# seed {}", scenario.seed));
    text + &settings(scenario)
}
