//! INFO: what the server is and what it has done, as text in sections.

mod data;
mod process;

use super::table::table;
use crate::metrics::render;
use crate::state::Server;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A section: its name in lower case, its heading, and what writes its lines.
struct Section {
    name: &'static str,
    heading: &'static str,
    when: When,
    tell: fn(&Server, &mut Lines),
}

/// Which of the collective names a section goes by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// `default`, `all` and `everything`.
    Always,
    /// `all` and `everything`.
    All,
}

/// In the order they are shown.
const SECTIONS: &[Section] = &[
    section("server", "Server", When::Always, process::server),
    section("clients", "Clients", When::Always, process::clients),
    section("memory", "Memory", When::Always, process::memory),
    section("persistence", "Persistence", When::Always, data::persistence),
    section("stats", "Stats", When::Always, process::stats),
    section("replication", "Replication", When::Always, data::replication),
    section("cpu", "CPU", When::Always, process::cpu),
    section("modules", "Modules", When::Always, |_, _| {}),
    section("commandstats", "Commandstats", When::All, commandstats),
    section("errorstats", "Errorstats", When::Always, errorstats),
    section("latencystats", "Latencystats", When::All, latencystats),
    section("cluster", "Cluster", When::Always, |_, it| it.line("cluster_enabled", 0)),
    section("keyspace", "Keyspace", When::Always, data::keyspace),
];

const fn section(
    name: &'static str,
    heading: &'static str,
    when: When,
    tell: fn(&Server, &mut Lines),
) -> Section {
    Section { name, heading, when, tell }
}

impl Section {
    fn is_named(&self, word: &[u8]) -> bool {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match self.when {
            When::Always if is("default") => true,
            _ => is("all") || is("everything") || is(self.name),
        }
    }
}

/// The sections that any of `words` names; the default ones when there are no words.
pub fn info<'a>(server: &Server, words: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> String {
    let is_wanted = |it: &&Section| match words.len() {
        0 => it.when == When::Always,
        _ => words.clone().any(|word| it.is_named(word)),
    };
    let mut lines = Lines(String::new());
    for section in SECTIONS.iter().filter(is_wanted) {
        if !lines.0.is_empty() {
            lines.0.push_str("\r\n");
        }
        lines.push(format_args!("# {}", section.heading));
        (section.tell)(server, &mut lines);
    }
    lines.0
}

/// The text as it grows.
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        self.push(format_args!("{name}:{value}"));
    }

    /// A count of bytes, and the same for humans.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.line(name, bytes);
        self.push(format_args!("{name}_human:{}", human(bytes)));
    }

    /// What nothing here adds to. INFO's readers look for it all the same.
    fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|it| self.line(it, 0));
    }

    fn push(&mut self, line: std::fmt::Arguments<'_>) {
        write!(self.0, "{line}\r\n").expect("a String takes all that is written");
    }
}

/// `1.50M`.
fn human(bytes: u64) -> String {
    let units = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while 1024.0 <= size && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2}{}", units[unit])
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Relaxed)
}

/// Lower-case names of all commands, by number.
pub(super) fn command_names() -> Vec<&'static str> {
    table().all().iter().map(|it| it.name.as_str()).collect()
}

fn commandstats(server: &Server, lines: &mut Lines) {
    lines.0.push_str(&render::commandstats(&server.snapshot(), &command_names()));
}

fn latencystats(server: &Server, lines: &mut Lines) {
    let settings: Arc<_> = server.settings();
    if settings.server.latency_tracking {
        let percentiles = &settings.server.latency_percentiles;
        let text = render::latencystats(&server.snapshot(), &command_names(), percentiles);
        lines.0.push_str(&text);
    }
}

fn errorstats(server: &Server, lines: &mut Lines) {
    for (kind, count) in server.counters.kinds() {
        lines.push(format_args!("errorstat_{kind}:count={count}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_humans() {
        let facts = [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1_572_864, "1.50M")];
        facts.iter().for_each(|(bytes, text)| assert_eq!(human(*bytes), *text));
        assert_eq!(human(25_276_510_208), "23.54G");
    }

    #[test]
    fn collective_names_name_their_sections() {
        let named = |word: &str| -> Vec<&str> {
            let by = SECTIONS.iter().filter(|it| it.is_named(word.as_bytes()));
            by.map(|it| it.name).collect()
        };
        assert_eq!(named("CPU"), ["cpu"]);
        assert_eq!(named("all").len(), SECTIONS.len());
        assert_eq!(named("default").len(), SECTIONS.len() - 2);
        assert!(named("nonsense").is_empty());
    }
}
