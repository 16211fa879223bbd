//! INFO: what the server is and what it has done, as text in sections.

mod alerts;
mod data;
mod follows;
mod lines;
mod persistence;
mod process;
mod upstream;

pub use data::expired;

use super::context::Table;
use crate::metrics::render;
use crate::state::Server;
use lines::Lines;
use std::sync::Arc;

/// A section: its name in lower case, its heading, and what writes its lines.
struct Section {
    name: &'static str,
    heading: &'static str,
    when: When,
    tell: Tell,
}

/// What writes the lines of a section.
#[derive(Clone, Copy)]
enum Tell {
    /// From what the server knows.
    Server(fn(&Server, &mut Lines)),
    /// By the names of commands, too.
    ByCommand(fn(&Server, &[&str], &mut Lines)),
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
    section("server", "Server", When::Always, Tell::Server(process::server)),
    section("clients", "Clients", When::Always, Tell::Server(process::clients)),
    section("memory", "Memory", When::Always, Tell::Server(process::memory)),
    section("persistence", "Persistence", When::Always, Tell::Server(persistence::persistence)),
    section("stats", "Stats", When::Always, Tell::Server(process::stats)),
    section("replication", "Replication", When::Always, Tell::Server(data::replication)),
    section("alerts", "Alerts", When::Always, Tell::Server(alerts::alerts)),
    section("cpu", "CPU", When::Always, Tell::Server(process::cpu)),
    section("modules", "Modules", When::Always, Tell::Server(|_, _| {})),
    section("commandstats", "Commandstats", When::All, Tell::ByCommand(commandstats)),
    section("errorstats", "Errorstats", When::Always, Tell::Server(errorstats)),
    section("latencystats", "Latencystats", When::All, Tell::ByCommand(latencystats)),
    section(
        "cluster",
        "Cluster",
        When::Always,
        Tell::Server(|_, it| it.line("cluster_enabled", 0)),
    ),
    section("keyspace", "Keyspace", When::Always, Tell::Server(data::keyspace)),
];

const fn section(name: &'static str, heading: &'static str, when: When, tell: Tell) -> Section {
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
pub fn info<'a>(
    server: &Server,
    table: &Table,
    words: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> String {
    let is_wanted = |it: &&Section| match words.len() {
        0 => it.when == When::Always,
        _ => words.clone().any(|word| it.is_named(word)),
    };
    let (names, mut lines) = (table.names(), Lines::default());
    for section in SECTIONS.iter().filter(is_wanted) {
        lines.begin(section.heading);
        match section.tell {
            Tell::Server(tell) => tell(server, &mut lines),
            Tell::ByCommand(tell) => tell(server, &names, &mut lines),
        }
    }
    lines.into_text()
}

fn commandstats(server: &Server, names: &[&str], lines: &mut Lines) {
    lines.text(&render::commandstats(&server.snapshot(), names));
}

fn latencystats(server: &Server, names: &[&str], lines: &mut Lines) {
    let settings: Arc<_> = server.settings();
    if settings.server.latency_tracking {
        let percentiles = &settings.server.latency_percentiles;
        lines.text(&render::latencystats(&server.snapshot(), names, percentiles));
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
