//! Results as a table.

use crate::load::measure::Errors;
use crate::load::outcome::Outcome;
use crate::load::scenario::Scenario;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// The results of a run, for people.
pub fn table(scenario: &Scenario, outcome: &Outcome) -> String {
    let Outcome { totals, time, cpu_s, .. } = outcome;
    let seconds = time.as_secs_f64();
    let mut out = String::new();
    let mut line = |it: String| writeln!(out, "{it}").expect("a String takes all that is written");
    line(format!(
        "{:<28} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "requests", "per s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "mean ms"
    ));
    for (class, histogram) in &totals.classes {
        let command = scenario.commands.get(usize::from(class.command));
        let name = command.map_or("WAIT", |it| it.text.as_str());
        let name = match scenario.targets.len() {
            1 => name.to_owned(),
            _ => format!("{name} @{}", class.target),
        };
        line(row(&name, histogram, seconds));
    }
    line(row("all", &totals.all, seconds));
    if let Some(due) = outcome.all_due() {
        line(row("all that was due", &due, seconds));
    }
    line(String::new());
    for (at, (target, server)) in scenario.targets.iter().zip(&outcome.servers).enumerate() {
        let what = if at == 0 { "target" } else { "reads from" };
        line(format!("{what} @{at}: {target} ({server})"));
    }
    let per_cpu_s = totals.all.len() as f64 / cpu_s.max(1e-3);
    line(format!(
        "{seconds:.1} s, {cpu_s:.2} s of the load generator's own processor time: {per_cpu_s:.0} \
         requests per second of it"
    ));
    if let Some(served) = outcome.served.as_ref().filter(|it| !it.reads.is_empty()) {
        let each = served.reads.iter().map(|(member, reads)| format!("{member} {reads}"));
        let each = each.collect::<Vec<_>>().join(", ");
        let share = served
            .share_of_replicas()
            .map_or_else(String::new, |it| format!(" ({:.2} % at replicas)", it * 100.0));
        line(format!("reads by member, warm-up included: {each}{share}"));
    }
    if !outcome.unsent.is_empty() {
        line(format!(
            "due, not sent: {} (in the last row, as if they had been answered at the end: the \
             least that they can have taken)",
            outcome.unsent.len()
        ));
    }
    errors(&totals.errors).into_iter().for_each(&mut line);
    for it in &outcome.faults {
        line(format!("fault at {:.3} s: {}: {}", it.at as f64 / 1e9, it.what, it.answer));
    }
    outcome.notes.iter().for_each(|it| line(format!("note: {it}")));
    out + &checks(outcome)
}

/// What went wrong, and what the checks say.
pub fn wrongs(outcome: &Outcome) -> String {
    let errors = errors(&outcome.totals.errors).into_iter();
    let notes = outcome.notes.iter().map(|it| format!("note: {it}"));
    let lines: Vec<String> = errors.chain(notes).collect();
    lines.join("\n") + &checks(outcome)
}

fn errors(errors: &Errors) -> Vec<String> {
    if errors.count() == 0 {
        return Vec::new();
    }
    let each = errors.0.iter().map(|(word, it)| format!("{word} {}", it.count));
    let all = format!("errors: {}", each.collect::<Vec<_>>().join(", "));
    let says_more = errors.0.iter().filter(|(word, it)| **word != it.example);
    let examples = says_more.map(|(_, it)| format!("  such as: {}", it.example));
    [all].into_iter().chain(examples).collect()
}

fn row(name: &str, histogram: &Histogram<u64>, seconds: f64) -> String {
    let ms = |ns: u64| format!("{:.3}", ns as f64 / 1e6);
    format!(
        "{:<28} {:>10} {:>10.0} {:>9} {:>9} {:>9} {:>9} {:>9}",
        shortened(name, 28),
        histogram.len(),
        histogram.len() as f64 / seconds,
        ms(histogram.value_at_quantile(0.5)),
        ms(histogram.value_at_quantile(0.99)),
        ms(histogram.value_at_quantile(0.999)),
        ms(histogram.max()),
        ms(histogram.mean() as u64),
    )
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn checks(outcome: &Outcome) -> String {
    let Some(verdict) = &outcome.verdict else { return String::new() };
    let mut out = String::from("\n");
    let mut line = |it: String| writeln!(out, "{it}").expect("a String takes all that is written");
    line(format!("{:<28} {:>12} {:>12}", "check", "pairs", "violations"));
    for (check, pairs, violations) in &verdict.counts {
        line(format!("{:<28} {pairs:>12} {violations:>12}", check.name()));
    }
    if let Some(it) = &verdict.staleness {
        line(format!(
            "stale reads: {} of {} ({:.4} %); versions behind p50 {} p99 {} max {}; ms behind p50 \
             {:.3} p99 {:.3} max {:.3}",
            it.stale(),
            it.reads(),
            it.stale_share() * 100.0,
            it.versions_behind.value_at_quantile(0.5),
            it.versions_behind.value_at_quantile(0.99),
            it.versions_behind.max(),
            it.us_behind.value_at_quantile(0.5) as f64 / 1e3,
            it.us_behind.value_at_quantile(0.99) as f64 / 1e3,
            it.us_behind.max() as f64 / 1e3,
        ));
    }
    if verdict.undecided != 0 {
        line(format!("{} events could not be decided (linearizable)", verdict.undecided));
    }
    if verdict.not_checked != 0 {
        line(format!("{} events were not checked: too many keys", verdict.not_checked));
    }
    for violation in &verdict.violations {
        line(format!("\nVIOLATION {violation}"));
    }
    out
}
