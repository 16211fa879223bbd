//! The reference of all settings as a table in Markdown, made from what reads them.

use super::Config;
use super::param::{Param, Section, When};
use super::slot::Slot;
use super::table::PARAMS;
use crate::base::size::{format_duration, format_size};
use std::fmt::Write;
use std::time::Duration;

/// A key of a table that serde reads. What it takes is asked of whatever reads it; its name, that
/// test compares with what the file may say.
struct Key {
    name: &'static str,
    default: &'static str,
    is_reloaded: bool,
    what: &'static str,
}

const fn key(name: &'static str, default: &'static str, what: &'static str) -> Key {
    Key { name, default, is_reloaded: true, what }
}

impl Key {
    const fn needs_restart(mut self) -> Key {
        self.is_reloaded = false;
        self
    }
}

/// What a listener or a route does not say is as `[consistency]` has it.
const INHERITED: &str = "that of `[consistency]`";

const LISTENER: &[Key] = &[
    key("name", "its address", "What routes and metrics call it.").needs_restart(),
    key("bind", "`127.0.0.1:6379`", "Where it listens; `*` is every address.").needs_restart(),
    key("unix", "", "The path where it listens, in the place of `bind`.").needs_restart(),
    key("unixsocketperm", "as the umask says", "The mode of that path, from its first moment on.")
        .needs_restart(),
    key("tls", "`false`", "Clients speak TLS there; see `server.tls-cert-file`.").needs_restart(),
    key(
        "proxy-protocol",
        "`false`",
        "Who connects there is a proxy, which says for whom: the PROXY protocol, version 1 or 2.",
    ),
    key(
        "proxy-trusted",
        "none: it must have some",
        "The networks of the proxies that are believed.",
    ),
    key("level", INHERITED, "The level of the reads that come in here."),
    key("sticky-scope", INHERITED, "Who shares a floor at level `sticky`, of who comes in here."),
];

const HTTP: &[Key] = &[
    key("bind", "`\"\"`: nowhere", "Where the status page and the metrics are served.")
        .needs_restart(),
    key("allow-remote", "`false`", "Lets `bind` be an address that other machines reach.")
        .needs_restart(),
    key("password", "`\"\"`: none", "What a browser is asked for, under any name."),
    key("admin", "`false`", "Lets the page pause, resume and drain members, and fail over."),
];

const USER: &[Key] = &[
    key("name", "none: it must have one", "What it is called; `default` is who says nothing."),
    key(
        "rules",
        "none: it must have some",
        "What it may do: rules as ACL SETUSER takes them, `#` and a hash for a password too.",
    ),
];

/// What of `[alerts]` no client may set.
const ALERTS: &[Key] = &[
    key("command", "`[]`: none", "What is run for each alert, raised or cleared."),
    key("webhook", "`\"\"`: none", "Where each alert is posted as JSON, raised or cleared."),
];

const MEMBER: &[Key] = &[
    key("name", "`n1`, `n2`, … by its place", "What it is called.").needs_restart(),
    key("tags", "`[]`", "What a route may call it, and others like it: `tag:…`.").needs_restart(),
    key("zone", "", "Where it is; of real servers those of `upstream.zone` are read first.")
        .needs_restart(),
    key("weight", "`1`", "How much of the reads a real server gets, beside others; up to 1000.")
        .needs_restart(),
    key("dedicated", "`false`", "It serves only reads of routes that name it or one of its tags.")
        .needs_restart(),
    key("address", "", "Where it is, if it is a real server (see `[upstream]`).").needs_restart(),
];

/// Of a set whose members are real servers.
const UPSTREAM: &[Key] = &[
    key("sentinels", "", "Sentinels that say who the members are.").needs_restart(),
    key("master-name", "`\"mymaster\"`", "What they call the master.").needs_restart(),
    key("quorum", "more than half", "How many must name the same master.").needs_restart(),
    key("sentinel-user", "", "Who logs in at sentinels.").needs_restart(),
    key("sentinel-password", "", "With this password.").needs_restart(),
    key("user", "", "Who logs in at members.").needs_restart(),
    key("password", "", "With this password.").needs_restart(),
    key("zone", "", "Where Entourage is: reads go to replicas of this zone first.").needs_restart(),
    key("connect-timeout", "`\"1s\"`", "How long a connection may take to be there.")
        .needs_restart(),
    key("replica-timeout", "`\"1s\"`", "How long a read waits for a replica that does not answer.")
        .needs_restart(),
    key(
        "reply-timeout",
        "`\"10s\"`",
        "How long a request waits for a master that does not answer.",
    )
    .needs_restart(),
    key("probe-every", "`\"250ms\"`", "How often each member is asked how it stands.")
        .needs_restart(),
    key("buffer-for", "`\"2s\"`", "How long requests wait to be sent while nobody takes them.")
        .needs_restart(),
    key("tls", "`false`", "Reaches members and sentinels with TLS.").needs_restart(),
    key("tls-ca-cert-file", "", "The file of the authorities that they are trusted by.")
        .needs_restart(),
    key("tls-ca-cert-dir", "", "A directory of such files.").needs_restart(),
    key("tls-cert-file", "`\"\"`: none", "The certificate that they are shown.").needs_restart(),
    key("tls-key-file", "", "The file of its key.").needs_restart(),
    key("tls-check-name", "`true`", "Their certificates must be for the names in `address`.")
        .needs_restart(),
    key("tls-server-name", "that of `address`", "The name that their certificates must be for.")
        .needs_restart(),
    key("queue-limit", "`\"64mb\"`", "Bytes that may wait for one member at each worker.")
        .needs_restart(),
    key(
        "heartbeat-channel",
        "`\"__entourage:heartbeat\"`, while reads are bounded in time",
        "What is published at the master to know how old replicas are.",
    )
    .needs_restart(),
    key("heartbeat-key", "", "The key that is set for that, in the place of a channel.")
        .needs_restart(),
    key("heartbeat-every", "a quarter of the least bound", "How often.").needs_restart(),
    key(
        "eject-for",
        "`\"1s\"`",
        "How long a replica is spared that fails or is slow, doubled each time; 0 for never.",
    )
    .needs_restart(),
    key(
        "hedge-after",
        "`\"0s\"`: never",
        "How long a read waits for its replica before another is asked, too.",
    )
    .needs_restart(),
    key("hedge-percent", "`5`", "How many reads of a hundred may be asked twice.").needs_restart(),
    key("audit-one-in", "`0`: none", "One in so many reads of replicas is checked at the master.")
        .needs_restart(),
    key("shadow", "", "A server of another set: what it answers is compared.").needs_restart(),
    key("shadow-one-in", "`100`", "One in so many reads is compared with that.").needs_restart(),
];

const CONSISTENCY: &[Key] = &[
    key("level", "`\"global\"`", "What reads promise."),
    key("on-lag", "`[\"catch-up\", \"master\"]`", "What a read tries when no replica is fresh."),
    key("members", "`[]`: all that are not dedicated", "Who may serve reads: names and `tag:…`."),
    key("acks", "`0`", "Replicas that must confirm a write before its reply."),
    key("acks-timeout", "`\"1s\"`", "How long they may take; then the reply is -NOTDURABLE."),
    key("sticky-for", "`\"0s\"`", "After a write, reads go to the master for this long; 0 is off."),
    key("prefer-master", "`false`", "Reads go to the real master while there is one."),
];

/// What `[consistency]` has and no route.
const SCOPE: Key = key(
    "sticky-scope",
    "`\"connection\"`",
    "Who shares a floor at level `sticky`: a connection alone, or all of a client name or user.",
);

const ROUTE: &[Key] = &[
    key("name", "none: it must have one", "What metrics and PROXY EXPLAIN call it."),
    key("keys", "`[]`: all", "Globs of keys."),
    key("groups", "`[]`: all", "Groups of commands."),
    key("commands", "`[]`: all", "Commands; a container's name stands for all that it holds."),
    key("class", "both", "Reads or writes."),
    key("dbs", "`[]`: all", "Databases."),
    key("users", "`[]`: all", "Users."),
    key("clients", "`[]`: all", "Globs of client names; `\"\"` is for clients without one."),
    key("listeners", "`[]`: all", "Listeners by name."),
    key("refuse", "`false`", "Its commands are answered -REFUSED, in MULTI too, and do nothing."),
];

const HEAD: &str = "\
# Configuration

<!-- Made by `entourage config-reference`; a test fails when it differs from the code. -->

A file is TOML and needs only what it changes. `entourage check FILE` says what is wrong with one,
and what is allowed and does not do what it seems to (`--strict` makes that an error). Flags win
over the file. Where a list stands, one entry may stand without it. A reloadable setting changes
with `PROXY RELOAD` or SIGHUP; those of `[server]`, `[set]` and `[engine]` with `CONFIG SET`, too,
and those of `[alerts]` as `alerts.lag` and so on.
";

/// The whole reference.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    table(&mut text, "`[[listener]]`", LISTENER.iter().map(|it| of_key("[[listener]]", it)));
    table(&mut text, "`[server]`", of_section(Section::Server));
    table(&mut text, "`[http]`", HTTP.iter().map(|it| of_key("[http]", it)));
    table(&mut text, "`[[user]]`", USER.iter().map(|it| of_key("[[user]]", it)));
    table(&mut text, "`[set]`", of_section(Section::Set));
    table(&mut text, "`[[member]]`", MEMBER.iter().map(|it| of_key("[[member]]", it)));
    table(&mut text, "`[upstream]`", UPSTREAM.iter().map(|it| of_key("[upstream]", it)));
    let consistency = || CONSISTENCY.iter().map(|it| of_key("[consistency]", it));
    let scope = of_key("[consistency]", &SCOPE);
    table(&mut text, "`[consistency]`", consistency().chain([scope]));
    let inherited = consistency().map(|it| Row { default: INHERITED.to_owned(), ..it });
    table(
        &mut text,
        "`[[route]]`",
        ROUTE.iter().map(|it| of_key("[[route]]", it)).chain(inherited),
    );
    table(&mut text, "`[engine]`", of_section(Section::Engine));
    let ways = ALERTS.iter().map(|it| of_key("[alerts]", it));
    table(&mut text, "`[alerts]`", of_section(Section::Alerts).chain(ways));
    text
}

struct Row {
    key: &'static str,
    takes: String,
    default: String,
    is_reloaded: bool,
    what: &'static str,
}

fn table(text: &mut String, heading: &str, rows: impl Iterator<Item = Row>) {
    let _ = write!(text, "\n## {heading}\n\n");
    text.push_str("| key | takes | default | reloadable | what it does |\n");
    text.push_str("|---|---|---|---|---|\n");
    for Row { key, takes, default, is_reloaded, what } in rows {
        let reloaded = if is_reloaded { "yes" } else { "no" };
        let _ = writeln!(text, "| `{key}` | {takes} | {default} | {reloaded} | {what} |");
    }
}

fn of_section(section: Section) -> impl Iterator<Item = Row> {
    PARAMS.iter().filter(move |it| it.section == section).map(of_param)
}

fn of_param(param: &'static Param) -> Row {
    let default = match &param.slot {
        Slot::Secret(_) => "`\"\"`".to_owned(),
        Slot::Switch(at) => format!("`{}`", (at.of)(&Config::default())),
        Slot::Percentiles(_) => {
            format!("`[{}]`", param.slot.show(&Config::default()).replace(' ', ", "))
        }
        Slot::Size { at, .. } => match *(at.of)(&Config::default()) {
            few @ ..1024 => format!("`{few}`"),
            bytes => format!("`\"{}\"`", format_size(bytes as u64)),
        },
        Slot::Time { at, .. } => match *(at.of)(&Config::default()) {
            Duration::ZERO => "`0`".to_owned(),
            time => format!("`\"{}\"`", format_duration(time)),
        },
        Slot::Limits(_) => {
            "`{ normal = \"0 0 0\", replica = \"256mb 64mb 60\", pubsub = \"32mb 8mb 60\" }`"
                .to_owned()
        }
        Slot::Count { .. } | Slot::Signed { .. } => {
            format!("`{}`", param.slot.show(&Config::default()))
        }
        _ => format!("`\"{}\"`", param.slot.show(&Config::default())),
    };
    let is_reloaded = param.when == When::Live;
    Row {
        key: param.in_section(),
        takes: param.slot.accepted(),
        default,
        is_reloaded,
        what: param.what,
    }
}

fn of_key(table: &str, key: &Key) -> Row {
    let Key { name, default, is_reloaded, what } = *key;
    Row { key: name, takes: taken(table, name), default: default.to_owned(), is_reloaded, what }
}

/// What a key takes, in the words of the refusal of what none takes: a date.
fn taken(table: &str, key: &str) -> String {
    const DATE: &str = "1979-05-27";
    let is_named = matches!(table, "[[route]]" | "[[user]]") && key != "name";
    let name = if is_named { "name = \"r\"\n" } else { "" };
    let refusal = |value: &str| {
        let why = Config::parse("", &format!("{table}\n{name}{key} = {value}\n")).err()?;
        why.split_once("is not accepted; write ").map(|it| it.1.to_owned())
    };
    // Of what is any text to serde, the next to read it says more.
    if let Some(address) = refusal("\"?\"").filter(|_| key == "bind") {
        return address;
    }
    match (refusal(DATE), refusal(&format!("[{DATE}]"))) {
        (Some(one), _) => one,
        (None, Some(entry)) => format!("a list of: {entry}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../config/docs/configuration.md");

    #[test]
    fn the_reference_is_what_the_code_says() {
        let reference = reference();
        assert!(FILE == reference, "entourage config-reference > config/docs/configuration.md");
        for line in reference.lines().filter(|it| it.starts_with("| `")) {
            assert!(!line.contains("|  |  |") && !line.ends_with("|  |"), "{line}");
        }
    }

    #[test]
    fn every_key_that_a_file_may_say_is_there() {
        for (table, keys) in [
            ("[[listener]]", LISTENER.iter().collect::<Vec<_>>()),
            ("[http]", HTTP.iter().collect()),
            ("[[member]]", MEMBER.iter().collect()),
            ("[[user]]", USER.iter().collect()),
            ("[upstream]", UPSTREAM.iter().collect()),
            ("[consistency]", CONSISTENCY.iter().chain([&SCOPE]).collect()),
            ("[[route]]", ROUTE.iter().chain(CONSISTENCY).collect()),
        ] {
            let why = Config::parse("", &format!("{table}\nnothing = 1\n")).unwrap_err();
            let mut known: Vec<&str> = why.split('`').skip(3).step_by(2).collect();
            let mut told: Vec<&str> = keys.iter().map(|it| it.name).collect();
            known.sort();
            told.sort();
            assert_eq!(told, known, "{table}");
            for key in keys {
                assert_ne!(taken(table, key.name), "", "{table} {}", key.name);
            }
        }
    }

    #[test]
    fn every_default_is_one_that_a_file_may_say() {
        for param in PARAMS.iter().filter(|it| it.section != Section::Nowhere) {
            let default = of_param(param).default;
            let (section, name) =
                param.key().split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
            let text = format!("[{section}]\n{name} = {}\n", default.trim_matches('`'));
            assert_eq!(Config::parse("", &text), Ok(Config::default()), "{text}");
        }
    }

    #[test]
    fn every_parameter_says_what_it_does() {
        for param in PARAMS.iter() {
            assert!(param.what.ends_with('.') && !param.what.contains('|'), "{}", param.name);
        }
    }
}
