//! The `[alerts]` table as it is written and set.

use super::Config;
use super::alerts::Webhook;
use super::param::{Param, Section, live};
use super::place::Wrong;
use super::slot::{Beyond, Slot, lens};
use toml::{Spanned, Value};

const PERCENT_MAX: i64 = 100;

macro_rules! count {
    ($max:expr, $($path:tt)+) => {
        Slot::Count { at: lens!(alerts.$($path)+), min: 0, max: $max, beyond: Beyond::Refuse }
    };
}

/// The table's thresholds. What runs programs or reaches other machines is no row: clients cannot
/// set it.
pub const ROWS: &[Param] = &[
    live(
        Section::Alerts,
        "alerts.lag-bytes",
        "A replica that is this far behind the master; 0 is never.",
        Slot::Size { at: lens!(alerts.lag_bytes), min: 0, max: i64::MAX, beyond: Beyond::Refuse },
    ),
    live(
        Section::Alerts,
        "alerts.lag",
        "A replica that has been behind the master for this long; 0 is never.",
        Slot::Time { at: lens!(alerts.lag), min: 0 },
    ),
    live(
        Section::Alerts,
        "alerts.staleness-p99",
        "One in a hundred reads of a route, of those of the last minute, that was this far behind \
         the master; 0 is never.",
        Slot::Time { at: lens!(alerts.staleness_p99), min: 0 },
    ),
    live(
        Section::Alerts,
        "alerts.no-replica-in-service",
        "There are replicas, and none of them serves reads.",
        Slot::Switch(lens!(alerts.no_replica_in_service)),
    ),
    live(
        Section::Alerts,
        "alerts.gate-closed",
        "Writes are refused, because fewer replicas than min-replicas-to-write are near enough.",
        Slot::Switch(lens!(alerts.gate_closed)),
    ),
    live(
        Section::Alerts,
        "alerts.failover",
        "The master has changed in the last five minutes.",
        Slot::Switch(lens!(alerts.failover)),
    ),
    live(
        Section::Alerts,
        "alerts.resync-storm",
        "More replicas than these were copied in the last ten minutes; 0 is never.",
        count!(i64::MAX, resync_storm),
    ),
    live(
        Section::Alerts,
        "alerts.memory",
        "Percent of the machine's memory that this process has; 0 is never.",
        count!(PERCENT_MAX, memory_percent),
    ),
    live(
        Section::Alerts,
        "alerts.fsync-late",
        "In the last five minutes the append-only file was not on disk when it should have been.",
        Slot::Switch(lens!(alerts.fsync_late)),
    ),
    live(
        Section::Alerts,
        "alerts.backlog-window",
        "Percent of repl-backlog-size that a replica on the wire lacks, or of replica-feed-limit \
         that a hosted one does; 0 is never.",
        count!(PERCENT_MAX, backlog_percent),
    ),
    live(
        Section::Alerts,
        "alerts.repl-timeout",
        "repl-timeout is below five periods of repl-ping-replica-period.",
        Slot::Switch(lens!(alerts.repl_timeout)),
    ),
    live(
        Section::Alerts,
        "alerts.deep-chain",
        "The master that this set follows follows another.",
        Slot::Switch(lens!(alerts.deep_chain)),
    ),
    live(
        Section::Alerts,
        "alerts.link-down",
        "The link to the master that this set follows has been down for this long; 0 is never.",
        Slot::Time { at: lens!(alerts.link_down), min: 0 },
    ),
    live(
        Section::Alerts,
        "alerts.timeout",
        "How long the command and the webhook may take for one alert.",
        Slot::Time { at: lens!(alerts.timeout), min: 1 },
    ),
];

/// The keys that are no rows.
pub const OTHERS: &[&str] = &["command", "webhook"];

const COMMAND: &str = "a program and its arguments in quotes, like [\"/usr/local/bin/page\", \
                       \"--team\", \"db\"]";
/// Words of a command.
const WORDS_MAX: usize = 64;

/// Takes a key that is no row, or says what is wrong with it. Answers whether it is one.
pub fn take_other(config: &mut Config, key: &str, value: &Spanned<Value>) -> Result<bool, Wrong> {
    let refused = |accepted: &str| Wrong::value(value.span(), accepted.to_owned());
    match key {
        "command" => {
            let words = words(value.get_ref()).ok_or_else(|| refused(COMMAND))?;
            config.alerts.command = words;
        }
        "webhook" => {
            let webhook = value.get_ref().as_str().and_then(|it| match it {
                "" => Some(None),
                it => Webhook::parse(it).map(Some),
            });
            config.alerts.webhook = webhook.ok_or_else(|| refused(Webhook::ACCEPTED))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A list of texts; one text is a program without arguments, and an empty one nothing.
fn words(value: &Value) -> Option<Vec<String>> {
    let word = |it: &Value| it.as_str().filter(|it| !it.contains('\0')).map(str::to_owned);
    let words: Vec<String> = match value {
        Value::Array(all) => all.iter().map(word).collect::<Option<_>>()?,
        one => Some(word(one)?).filter(|it| !it.is_empty()).into_iter().collect(),
    };
    let is_program = words.first().is_none_or(|it| !it.is_empty());
    (is_program && words.len() <= WORDS_MAX).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Alerts;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Alerts, String> {
        Config::parse("e.toml", text).map(|it| it.alerts)
    }

    #[test]
    fn a_file_says_thresholds_and_whom_to_tell() {
        let text = "[alerts]\nlag-bytes = \"1mb\"\nlag = 0\ngate-closed = false\nmemory = 90\n\
                    command = [\"/bin/page\", \"-t\"]\nwebhook = \"http://h:1/p\"\n";
        let alerts = parse(text).unwrap();
        assert_eq!((alerts.lag_bytes, alerts.lag), (1 << 20, Duration::ZERO));
        assert_eq!((alerts.gate_closed, alerts.memory_percent), (false, 90));
        assert_eq!(alerts.command, ["/bin/page", "-t"]);
        assert_eq!(alerts.webhook.unwrap().place(), "h:1");
        assert_eq!(parse("[alerts]\ncommand = \"page\"\n").unwrap().command, ["page"]);
        assert_eq!(parse("[alerts]\ncommand = []\nwebhook = \"\"\n"), Ok(Alerts::default()));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        let why = |text: &str| parse(&format!("[alerts]\n{text}\n")).unwrap_err();
        let webhook = why("webhook = \"ftp://a/\"");
        assert!(webhook.starts_with("e.toml:2: alerts.webhook = \"ftp://a/\" is not accepted"));
        assert!(
            why("command = [1]").contains("alerts.command = [1] is not accepted; write a prog")
        );
        assert!(why("command = [\"\"]").contains("is not accepted"));
        assert!(why("memory = 101").contains("a whole number from 0 to 100"));
        assert!(why("lagg = 1").contains("unknown key `lagg`"), "{}", why("lagg = 1"));
    }

    #[test]
    fn clients_change_thresholds_and_not_what_is_run() {
        let mut config = Config::default();
        config.set(&[(&b"alerts.LAG-bytes"[..], &b"1kb"[..])]).unwrap();
        assert_eq!(config.alerts.lag_bytes, 1024);
        assert_eq!(config.value("alerts.lag-bytes").as_deref(), Some("1024"));
        assert_eq!(config.get([&b"alerts.*"[..]].into_iter()).len(), ROWS.len());
        for name in ["alerts.command", "alerts.webhook", "command", "webhook"] {
            assert!(config.set(&[(name.as_bytes(), b"x")]).is_err(), "{name}");
        }
    }

    #[test]
    fn a_reload_changes_all_of_it() {
        let before = Config::default();
        let file = "[alerts]\nlag = \"1s\"\ncommand = \"page\"\n";
        let after = Config::parse("e.toml", file).unwrap();
        let after = before.reloaded(after, &before.all_members()).unwrap();
        assert_eq!(before.changes(&after), ["alerts.lag", "alerts.command"]);
    }
}
