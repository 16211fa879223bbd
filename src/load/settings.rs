//! What a scenario file may say, and what the command line may: the same settings.

use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The settings of a run, as they are written. What is not written is `None` or empty. Flags win
/// over the file, setting by setting.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// What the run is called
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What the scenario is like, in a sentence; shown in reports
    #[arg(long, value_name = "TEXT")]
    pub about: Option<String>,
    /// Load this server: HOST:PORT, or the path of a unix socket [default: 127.0.0.1:6379]
    #[arg(long, value_name = "HOST:PORT")]
    pub target: Option<String>,
    /// Send reads here instead of to the target, to each in turn; may be given more than once
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_from: Vec<String>,
    /// A command and its weight, like "95 GET {key}"; may be given more than once. Fields: {key},
    /// {other}, {new}, {value}, {score}, {member}, {count}, {number}, {client}, {prefix}
    /// [default: "9 GET {key}" and "1 SET {key} {value}"]
    #[arg(long = "command", value_name = "WEIGHT COMMAND")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// How many keys there are [default: 100000]
    #[arg(long, value_name = "N")]
    pub keys: Option<u64>,
    /// What keys begin with [default: "key:"]
    #[arg(long, value_name = "TEXT")]
    pub key_prefix: Option<String>,
    /// How keys are chosen: uniform, "zipfian 0.99", sequential, "hot 0.2 0.8" (a fifth of the keys
    /// has four fifths of the requests) or "latest 0.99" (the last that {new} made, above all)
    /// [default: uniform]
    #[arg(long, value_name = "HOW")]
    pub distribution: Option<String>,
    /// Bytes of a value: "100", "10..1000" (each size as likely), or sizes with weights like
    /// "64:9 4096:1" [default: 64]
    #[arg(long, value_name = "SIZES")]
    pub value_size: Option<String>,
    /// Set each key once before the run [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub fill: Option<bool>,
    /// What is sent for each key to fill, where no checks need a way of their own
    /// [default: "SET {key} {value}"]
    #[arg(long, value_name = "COMMAND")]
    pub fill_with: Option<String>,
    /// Clients, each with a connection to the target and one to each --read-from [default: 50]
    #[arg(long, value_name = "N")]
    pub connections: Option<u32>,
    /// Threads of the load generator; 0 is one per core, four at most [default: 1]
    #[arg(long, value_name = "N")]
    pub threads: Option<u32>,
    /// Requests that a client has under way at a time [default: 1]
    #[arg(long, value_name = "N")]
    pub depth: Option<u32>,
    /// Requests per second, and latency from the time at which each should have been sent; 0 sends
    /// the next when the last is answered [default: 0]
    #[arg(long, value_name = "N")]
    pub rate: Option<u64>,
    /// Whether the rate is that of all clients or of each: all or client [default: all]
    #[arg(long, value_name = "all|client")]
    pub rate_per: Option<String>,
    /// A stretch of the run with a rate of its own: "ramp 1000..20000 5s", "step 5000 5s" or
    /// "spike 50000 1s"; may be given more than once, and then stands for rate and duration;
    /// these as flags stand for the phases of a file
    #[arg(long = "phase", value_name = "PHASE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<String>,
    /// Time before anything is measured [default: 1s]
    #[arg(long, value_name = "TIME")]
    pub warmup: Option<String>,
    /// Time that is measured [default: 10s; with --count no end by time]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// End after so many requests; 0 is no end by count [default: 0]
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Where randomness begins [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// RESP version: 2 or 3 [default: 2]
    #[arg(long, value_name = "2|3")]
    pub protocol: Option<u8>,
    /// Authenticate as this user
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Authenticate with this password
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing)]
    pub password: Option<String>,
    /// Speak TLS to all targets [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub tls: Option<bool>,
    /// Trust the authorities in this file [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<String>,
    /// Show this certificate
    #[arg(long, value_name = "FILE")]
    pub cert: Option<String>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE")]
    pub key: Option<String>,
    /// Database number [default: 0]
    #[arg(long, value_name = "N")]
    pub database: Option<u32>,
    /// Ask for this consistency (PROXY CONSISTENCY): master, linearizable, global, sticky, "bounded
    /// 50ms 1mb" or eventual
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Check while loading: read-your-writes, monotonic-reads, monotonic-writes,
    /// writes-follow-reads, no-lost-write, no-lost-confirmed-write, tokens, linearizable,
    /// staleness; commas between several, all or none [default: none]
    #[arg(long, value_name = "CHECKS")]
    pub check: Option<String>,
    /// Send WAIT for so many replicas behind writes, which are confirmed then [default: 0]
    #[arg(long, value_name = "N")]
    pub wait: Option<u32>,
    /// Where WAIT is sent: behind the writes, or on another connection once they are answered, as a
    /// pool of connections may do it, where it confirms nothing: same or other [default: same]
    #[arg(long, value_name = "same|other")]
    pub wait_on: Option<String>,
    /// Pass tokens: who has written gives a token (PROXY TOKEN) to the next client, which reads at
    /// least what the token stands for (PROXY ATLEAST) [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub tokens: Option<bool>,
    /// Do this to Entourage while loading: "3s pause n2", or "3s pause n2 for 1s"; or resume,
    /// drain, undrain NODE, cut, or failover [NODE]; "random" for the time, or "random*5" for
    /// five, lets the seed choose; may be given more than once
    #[arg(long = "fault", value_name = "FAULT", value_parser = parse_fault)]
    #[serde(rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultSetting>,
}

/// Something that is done to the target while it is loaded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSetting {
    /// When, since the measured part began.
    pub at: String,
    /// What.
    pub what: String,
}

fn parse_fault(text: &str) -> Result<FaultSetting, String> {
    let (at, what) = text.split_once(' ').ok_or("write a time and what is done then")?;
    Ok(FaultSetting { at: at.to_owned(), what: what.to_owned() })
}

/// What the command line of `entourage load` says beside the settings.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// Read this scenario: a file, or the name of a ready one (see --list)
    #[arg(long, value_name = "FILE|NAME")]
    pub scenario: Option<PathBuf>,
    /// List the ready scenarios
    #[arg(long)]
    pub list: bool,
    /// Load this server, too, in turns with the target, and compare the two
    #[arg(long, value_name = "HOST:PORT")]
    pub compare: Option<String>,
    /// Write what the target is asked (MONITOR) to this file, in redis-cli's format: for the time
    /// of --duration, or while it is loaded if there is a --scenario or a --command
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Send what such a file holds instead of a scenario, each client's commands in their order
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// How much faster than it was recorded: 2 is twice as fast, 0 as fast as possible [default: 1]
    #[arg(long, value_name = "N")]
    pub speed: Option<String>,
    /// Write results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write latencies of each second as a HdrHistogram V2 log
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// Write a report with plots that needs no network
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// No line per second
    #[arg(long)]
    pub quiet: bool,
    /// The settings that win over the scenario's.
    #[command(flatten)]
    pub settings: Settings,
}

impl Settings {
    /// Reads a scenario; `file` is its name in what is wrong with it.
    pub fn read(file: &str, text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |it| it.start).min(text.len());
            let line = text.as_bytes()[..before].iter().filter(|it| **it == b'\n').count() + 1;
            let key = text.lines().nth(line - 1).and_then(|it| it.split_once('='));
            let key = key.map_or(String::new(), |it| format!("{}: ", it.0.trim()));
            let why = error.message().lines().next().unwrap_or_default();
            format!("{file}:{line}: {key}{why}")
        })
    }

    /// These, and `below` where these say nothing.
    pub fn over(self, below: Settings) -> Settings {
        fn list<T>(above: Vec<T>, below: Vec<T>) -> Vec<T> {
            if above.is_empty() { below } else { above }
        }
        // A rate or a time that is given stands for the phases below, as phases do for these.
        let keeps_phases = self.rate.is_none() && self.duration.is_none();
        let phases_below = if keeps_phases { below.phases } else { Vec::new() };
        Settings {
            name: self.name.or(below.name),
            about: self.about.or(below.about),
            target: self.target.or(below.target),
            read_from: list(self.read_from, below.read_from),
            commands: list(self.commands, below.commands),
            keys: self.keys.or(below.keys),
            key_prefix: self.key_prefix.or(below.key_prefix),
            distribution: self.distribution.or(below.distribution),
            value_size: self.value_size.or(below.value_size),
            fill: self.fill.or(below.fill),
            fill_with: self.fill_with.or(below.fill_with),
            connections: self.connections.or(below.connections),
            threads: self.threads.or(below.threads),
            depth: self.depth.or(below.depth),
            rate: self.rate.or(below.rate),
            rate_per: self.rate_per.or(below.rate_per),
            phases: list(self.phases, phases_below),
            warmup: self.warmup.or(below.warmup),
            duration: self.duration.or(below.duration),
            count: self.count.or(below.count),
            seed: self.seed.or(below.seed),
            protocol: self.protocol.or(below.protocol),
            user: self.user.or(below.user),
            password: self.password.or(below.password),
            tls: self.tls.or(below.tls),
            cacert: self.cacert.or(below.cacert),
            cert: self.cert.or(below.cert),
            key: self.key.or(below.key),
            database: self.database.or(below.database),
            level: self.level.or(below.level),
            check: self.check.or(below.check),
            wait: self.wait.or(below.wait),
            wait_on: self.wait_on.or(below.wait_on),
            tokens: self.tokens.or(below.tokens),
            faults: list(self.faults, below.faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_line_and_key() {
        let why = Settings::read("a.toml", "depth = 2\ncolour = 'red'\n").unwrap_err();
        assert!(why.starts_with("a.toml:2: colour: unknown field `colour`"), "{why}");
        let why = Settings::read("a.toml", "depth = 'deep'\n").unwrap_err();
        assert!(why.starts_with("a.toml:1: depth: invalid type"), "{why}");
        let why = Settings::read("a.toml", "[[fault]]\nat = '1s'\nwho = 'n2'\n").unwrap_err();
        assert!(why.starts_with("a.toml:3: who: unknown field `who`"), "{why}");
    }

    #[test]
    fn flags_win_setting_by_setting() {
        let file = Settings::read("a", "depth = 2\nkeys = 5\n").unwrap();
        let flags = Settings { depth: Some(9), ..Settings::default() };
        let both = flags.over(file);
        assert_eq!((both.depth, both.keys, both.rate), (Some(9), Some(5), None));
        let file = Settings::read("a", "phases = ['step 5 1s']\nkeys = 5").unwrap();
        let rate = Settings { rate: Some(9), ..Settings::default() }.over(file.clone());
        assert_eq!((rate.phases.len(), rate.rate, rate.keys), (0, Some(9), Some(5)));
        let phases = vec!["step 7 1s".to_owned()];
        let duration = Some("2s".to_owned());
        let given = Settings { duration, phases: phases.clone(), ..Settings::default() };
        assert_eq!(given.over(file.clone()).phases, phases);
        assert_eq!(Settings::default().over(file).phases, ["step 5 1s"]);
    }
}
