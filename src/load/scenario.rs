//! A scenario: settings that have been checked, with what they did not say filled in.

use super::check::Checks;
use super::control::Greeting;
use super::faults::{Fault, faults};
use super::form::{FOLLOWED, Followed, Form, Meaning};
use super::keys::Distribution;
use super::mix::{Command, Style};
use super::pace::Phase;
use super::settings::Settings;
use super::times::{TIME_MAX, duration, time};
use super::values::{CHECKED_BYTES_MIN, Sizes, filling};
use crate::runtime::process;
use crate::runtime::tls::{TlsClient, TlsFiles};
use std::time::Duration;

const DEFAULT_TARGET: &str = "127.0.0.1:6379";
const DEFAULT_COMMANDS: [&str; 2] = ["9 GET {key}", "1 SET {key} {value}"];
const CONNECTIONS_MAX: u32 = 50_000;
const DEPTH_MAX: u32 = 10_000;
const THREADS_MAX: u32 = 64;
const KEYS_MAX: u64 = 1 << 40;
/// Zipfian shares are summed up key by key before the run.
const ZIPFIAN_KEYS_MAX: u64 = 100_000_000;
const FILLED_KEYS_MAX: u64 = 100_000_000;
const RATE_MAX: u64 = 100_000_000;
/// Threads where as many are asked for as there are cores.
const OWN_THREADS_MAX: usize = 4;

/// What is run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The settings that it was made of.
    pub settings: Settings,
    /// What it is called.
    pub name: String,
    /// The target, then those that are read from.
    pub targets: Vec<String>,
    /// The commands.
    pub commands: Vec<Command>,
    /// What kind of values the checks follow.
    pub form: Form,
    /// What their requests have in common.
    pub style: Style,
    /// How many keys there are.
    pub keys: u64,
    /// How they are chosen.
    pub distribution: Distribution,
    /// Whether each is set before.
    pub fills: bool,
    /// By this command.
    pub filling: Command,
    /// Clients.
    pub connections: u32,
    /// Threads.
    pub threads: u32,
    /// Requests under way of each client.
    pub depth: u32,
    /// The stretches of the measured part.
    pub phases: Vec<Phase>,
    /// Whether only their count ends the requests, and no time.
    pub is_timeless: bool,
    /// Time before it.
    pub warmup: Duration,
    /// Requests after which it ends; 0 for none.
    pub count: u64,
    /// Where randomness begins.
    pub seed: u64,
    /// What is said first on each connection.
    pub greeting: Greeting,
    /// What is checked.
    pub checks: Checks,
    /// Replicas that WAIT waits for behind writes; 0 is no WAIT.
    pub wait: u32,
    /// Whether it is sent on a connection of its own.
    pub waits_elsewhere: bool,
    /// Whether clients pass tokens on.
    pub passes_tokens: bool,
    /// What is done to the target meanwhile.
    pub faults: Vec<Fault>,
    /// What whoever reads the results should know.
    pub notes: Vec<String>,
}

impl Scenario {
    /// Checks settings. What is wrong is told with its key.
    pub fn new(settings: Settings) -> Result<Scenario, String> {
        let s = &settings;
        let checks = s.check.as_deref().map_or(Ok(Checks::default()), Checks::parse);
        let checks = checks.map_err(|it| format!("check: {it}"))?;
        let (mut checks, mut notes) = (checks, Vec::new());
        let mut asked = s.check.as_deref().unwrap_or_default().split(',').map(str::trim);
        let is_all = asked.any(|it| it == "all");
        if checks.linearizable && is_all && !promises_order(s) {
            checks.linearizable = false;
            notes.push("linearizable is not promised here, and was not checked".to_owned());
        }
        let (passes_tokens, waits) = (s.tokens.unwrap_or(false), s.wait.unwrap_or(0) != 0);
        if passes_tokens && !s.read_from.is_empty() {
            return Err("tokens: with read-from nobody takes them".to_owned());
        }
        // What is asked for by name must have something to compare.
        if checks.tokens && !passes_tokens && !is_all {
            return Err("check: tokens needs --tokens: nobody passes one on".to_owned());
        }
        if checks.no_lost_confirmed_write && !waits && !is_all {
            let why = "check: no-lost-confirmed-write needs --wait: nothing is confirmed";
            return Err(why.to_owned());
        }
        checks.tokens &= passes_tokens;
        checks.no_lost_confirmed_write &= waits;
        let has_versions = !checks.is_none();
        let style = style(s, has_versions)?;
        let commands = commands(s, &style)?;
        let connections = within("connections", s.connections, 50, 1, CONNECTIONS_MAX)?;
        let threads = match within("threads", s.threads, 1, 0, THREADS_MAX)? {
            0 => process::cores().min(OWN_THREADS_MAX) as u32,
            threads => threads,
        };
        let threads = threads.min(connections);
        let keys = within("keys", s.keys, 100_000, 1, KEYS_MAX)?;
        let (phases, is_timeless) = phases(s, connections)?;
        if has_versions && commands.iter().all(|it| it.meaning == Meaning::Unchecked) {
            return Err(format!("check: no command is checked; checks follow {FOLLOWED}"));
        }
        if has_versions && keys < u64::from(connections) {
            return Err(format!(
                "keys: {keys} are too few for checks: each of {connections} connections writes \
                 keys of its own"
            ));
        }
        // Whatever else writes may write keys that are checked, by whatever name.
        let may_write = |it: &Command| it.meaning == Meaning::Unchecked && !it.is_read;
        if let Some(other) = commands.iter().find(|it| has_versions && may_write(it)) {
            return Err(format!(
                "check: \"{}\" may write keys in a way that checks cannot follow; they follow \
                 {FOLLOWED}, beside commands that only read",
                other.text
            ));
        }
        let followed: Vec<Followed<'_>> = commands.iter().map(Command::followed).collect();
        let form = if has_versions { Form::of_all(&followed)? } else { Form::Text };
        if form == Form::Counter && checks.linearizable {
            if !is_all {
                return Err(
                    "check: linearizable does not follow INCR: what an unanswered one has \
                            counted to is not known"
                        .to_owned(),
                );
            }
            checks.linearizable = false;
            notes.push("linearizable does not follow INCR, and was not checked".to_owned());
        }
        let distribution = s.distribution.as_deref().unwrap_or("uniform");
        let distribution =
            Distribution::parse(distribution).map_err(|it| format!("distribution: {it}"))?;
        let is_zipfian = matches!(distribution, Distribution::Zipfian(_) | Distribution::Latest(_));
        if is_zipfian && ZIPFIAN_KEYS_MAX < keys {
            return Err(format!(
                "keys: {keys} are too many for zipfian; {ZIPFIAN_KEYS_MAX} at most"
            ));
        }
        let fills = s.fill.unwrap_or(s.fill_with.is_some()) || has_versions;
        if fills && FILLED_KEYS_MAX < keys {
            return Err(format!("keys: {keys} are too many to fill; {FILLED_KEYS_MAX} at most"));
        }
        Ok(Scenario {
            name: s.name.clone().unwrap_or_else(|| "load".to_owned()),
            targets: targets(s)?,
            keys,
            distribution,
            fills,
            filling: filling_command(s, &form, &style, has_versions)?,
            connections,
            threads,
            depth: within("depth", s.depth, 1, 1, DEPTH_MAX)?,
            warmup: duration("warmup", s.warmup.as_deref().unwrap_or("1s"))?,
            count: s.count.unwrap_or(0),
            seed: s.seed.unwrap_or(1),
            greeting: Greeting { words: greeting(s)?, tls: tls(s)? },
            checks,
            wait: within("wait", s.wait, 0, 0, 100)?,
            waits_elsewhere: waits_elsewhere(s)?,
            passes_tokens,
            faults: faults(s, &phases, is_timeless)?,
            phases,
            is_timeless,
            style,
            form,
            commands,
            notes,
            settings,
        })
    }

    /// Connections of a client: one to each target, and one for WAIT where it has its own.
    pub fn lanes(&self) -> usize {
        self.targets.len() + usize::from(self.waits_elsewhere)
    }

    /// How long the measured part is at most.
    pub fn duration(&self) -> Duration {
        self.phases.iter().map(|it| it.time).sum()
    }

    /// Targets whose reads show that a write is lost; `None` for all.
    pub fn authoritative(&self) -> Option<Vec<u16>> {
        match (promises_order(&self.settings), self.targets.len()) {
            (true, _) => None,
            (false, 1) => Some(Vec::new()),
            (false, _) => Some(vec![0]),
        }
    }

    /// Whether any request has a time at which it should be sent.
    pub fn is_open(&self) -> bool {
        self.phases.iter().any(|it| it.from != 0.0 || it.to != 0.0)
    }
}

/// Whether a read sees every write that was acknowledged before it, by whomever.
fn promises_order(s: &Settings) -> bool {
    let word = s.level.as_deref().and_then(|it| it.split_whitespace().next());
    s.read_from.is_empty() && !["sticky", "bounded", "eventual"].map(Some).contains(&word)
}

fn within<T: PartialOrd + Copy + std::fmt::Display>(
    key: &str,
    given: Option<T>,
    default: T,
    least: T,
    most: T,
) -> Result<T, String> {
    let value = given.unwrap_or(default);
    if value < least || most < value {
        return Err(format!("{key}: {value} is not accepted; write {least} to {most}"));
    }
    Ok(value)
}

fn style(s: &Settings, has_versions: bool) -> Result<Style, String> {
    let sizes = Sizes::parse(s.value_size.as_deref().unwrap_or("64"));
    let sizes = sizes.map_err(|it| format!("value-size: {it}"))?;
    let sizes = if has_versions { sizes.at_least(CHECKED_BYTES_MIN) } else { sizes };
    let prefix = s.key_prefix.clone().unwrap_or_else(|| "key:".to_owned()).into_bytes();
    let filling = filling(sizes.most().max(CHECKED_BYTES_MIN), s.seed.unwrap_or(1));
    Ok(Style { prefix, sizes, has_versions, filling })
}

fn commands(s: &Settings, style: &Style) -> Result<Vec<Command>, String> {
    let texts: Vec<&str> = match s.commands.len() {
        0 => DEFAULT_COMMANDS.to_vec(),
        _ => s.commands.iter().map(String::as_str).collect(),
    };
    let commands = texts.iter().map(|it| Command::parse(it, style));
    let commands: Vec<Command> = commands.collect::<Result<_, _>>()?;
    if commands.iter().all(|it| it.weight == 0) {
        return Err("commands: all weights are 0".to_owned());
    }
    Ok(commands.into_iter().filter(|it| it.weight != 0).collect())
}

/// What sets a key before the run.
fn filling_command(
    s: &Settings,
    form: &Form,
    style: &Style,
    has_versions: bool,
) -> Result<Command, String> {
    match &s.fill_with {
        Some(_) if has_versions => {
            Err("fill-with: checks set the keys that they follow themselves".to_owned())
        }
        Some(text) => Command::parse(text, style).map_err(|it| format!("fill-with: {it}")),
        None => Command::parse(&form.filling(), style),
    }
}

fn waits_elsewhere(s: &Settings) -> Result<bool, String> {
    match s.wait_on.as_deref() {
        None | Some("same") => Ok(false),
        Some("other") if s.wait.unwrap_or(0) == 0 => {
            Err("wait-on: other needs a wait of 1 at least".to_owned())
        }
        Some("other") => Ok(true),
        Some(odd) => Err(format!("wait-on: {odd} is not accepted; write same or other")),
    }
}

/// The phases, and whether nothing but a count ends them.
fn phases(s: &Settings, connections: u32) -> Result<(Vec<Phase>, bool), String> {
    let each = match s.rate_per.as_deref() {
        None | Some("all") => 1.0,
        Some("client") => f64::from(connections),
        Some(other) => {
            return Err(format!("rate-per: {other} is not accepted; write all or client"));
        }
    };
    let mut phases = s.phases.iter().map(|it| Phase::parse(it, time));
    let mut phases: Vec<Phase> = phases.by_ref().collect::<Result<_, _>>()?;
    let ends_by_count = s.count.is_some_and(|it| it != 0);
    let is_timeless = ends_by_count && phases.is_empty() && s.duration.is_none();
    if phases.is_empty() {
        let time = match is_timeless {
            true => TIME_MAX,
            false => duration("duration", s.duration.as_deref().unwrap_or("10s"))?,
        };
        if time.is_zero() {
            return Err("duration: 0 measures nothing".to_owned());
        }
        let rate = within("rate", s.rate, 0, 0, RATE_MAX)? as f64;
        phases.push(Phase { name: "run".to_owned(), from: rate, to: rate, time });
    }
    phases.iter_mut().for_each(|it| (it.from, it.to) = (it.from * each, it.to * each));
    let most = phases.iter().map(|it| it.from.max(it.to)).fold(0.0, f64::max);
    if (RATE_MAX as f64) < most {
        return Err(format!("rate: more than {RATE_MAX} in all is not accepted"));
    }
    let whole = phases.iter().map(|it| it.time).fold(Duration::ZERO, Duration::saturating_add);
    if TIME_MAX < whole {
        return Err("phases: more than a year in all is not accepted".to_owned());
    }
    Ok((phases, is_timeless))
}

fn targets(s: &Settings) -> Result<Vec<String>, String> {
    let target = s.target.clone().unwrap_or_else(|| DEFAULT_TARGET.to_owned());
    let all: Vec<String> = [target].into_iter().chain(s.read_from.iter().cloned()).collect();
    for (at, it) in all.iter().enumerate() {
        let key = if at == 0 { "target" } else { "read-from" };
        check_address(it).map_err(|it| format!("{key}: {it}"))?;
    }
    Ok(all)
}

/// Whether this is a port of a host, or a path.
pub fn check_address(text: &str) -> Result<(), String> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let is_of_tcp = !host.is_empty() && port.parse::<u16>().is_ok_and(|it| it != 0);
    let is_path = text.contains('/') && !text.contains("://");
    if is_path || is_of_tcp && !text.contains('/') {
        return Ok(());
    }
    Err(format!("{text} is no address; write HOST:PORT, or the path of a unix socket"))
}

/// HELLO or AUTH, SELECT and PROXY CONSISTENCY.
fn greeting(s: &Settings) -> Result<Vec<Vec<String>>, String> {
    let mut greeting: Vec<Vec<String>> = Vec::new();
    let words = |text: &[&str]| text.iter().map(|it| (*it).to_owned()).collect::<Vec<String>>();
    let login = s.password.as_deref().map(|it| (s.user.as_deref().unwrap_or("default"), it));
    if s.user.is_some() && login.is_none() {
        return Err("user: a user needs a password".to_owned());
    }
    match (s.protocol.unwrap_or(2), login) {
        (2, None) => {}
        (2, Some((user, password))) if s.user.is_some() => {
            greeting.push(words(&["AUTH", user, password]));
        }
        // As a server before version 6 takes it, too.
        (2, Some((_, password))) => greeting.push(words(&["AUTH", password])),
        (3, None) => greeting.push(words(&["HELLO", "3"])),
        (3, Some((user, password))) => {
            greeting.push(words(&["HELLO", "3", "AUTH", user, password]));
        }
        (other, _) => return Err(format!("protocol: {other} is not accepted; write 2 or 3")),
    }
    if let Some(database) = s.database.filter(|it| *it != 0) {
        greeting.push(words(&["SELECT", &database.to_string()]));
    }
    if let Some(level) = &s.level {
        let level = level.split_whitespace().map(str::to_owned);
        greeting.push(words(&["PROXY", "CONSISTENCY"]).into_iter().chain(level).collect());
    }
    Ok(greeting)
}

/// What is shown and trusted, if TLS is spoken. Reads files.
fn tls(s: &Settings) -> Result<Option<TlsClient>, String> {
    let named = [("cacert", &s.cacert), ("cert", &s.cert), ("key", &s.key)];
    if !s.tls.unwrap_or(false) {
        let alone = named.iter().find(|it| it.1.is_some());
        return alone.map_or(Ok(None), |it| Err(format!("{}: it needs --tls", it.0)));
    }
    if s.cert.is_some() != s.key.is_some() {
        return Err("cert: a certificate and its key go together".to_owned());
    }
    let path = |it: &Option<String>| it.clone().unwrap_or_default();
    let files = TlsFiles {
        cert: path(&s.cert),
        key: path(&s.key),
        ca_file: path(&s.cacert),
        speaks_12: true,
        speaks_13: true,
        checks_name: true,
        ..TlsFiles::default()
    };
    TlsClient::read_or_system(&files).map(Some).map_err(|it| format!("tls: {it}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Scenario::new(Settings::read("a", text).unwrap()).unwrap_err()
    }

    #[test]
    fn no_settings_do_something_useful() {
        let scenario = Scenario::new(Settings::default()).unwrap();
        assert_eq!(scenario.targets, ["127.0.0.1:6379"]);
        assert_eq!(scenario.commands.len(), 2);
        assert_eq!(scenario.duration(), Duration::from_secs(10));
        assert!(!scenario.is_open() && scenario.greeting.words.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key() {
        assert_eq!(refused("depth = 0"), "depth: 0 is not accepted; write 1 to 10000");
        assert_eq!(refused("protocol = 4"), "protocol: 4 is not accepted; write 2 or 3");
        assert!(refused("duration = 'long'").starts_with("duration: long is no time"));
        assert!(refused("distribution = 'odd'").starts_with("distribution: write uniform"));
        assert!(refused("check = 'odd'").starts_with("check: unknown check"));
        assert!(refused("check = 'all'\nkeys = 3").starts_with("keys: 3 are too few"));
        assert!(refused("check = 'tokens'").contains("needs --tokens"));
        assert!(refused("check = 'no-lost-confirmed-write'").contains("needs --wait"));
        let lists = "check = 'all'\ncommands = ['LPUSH {key} {value}', 'GET {key}']";
        assert!(refused(lists).contains("cannot follow"));
        for other in ["DEL {other}", "FLUSHALL", "SET {key} {value} NX", "NOSUCH"] {
            let text = format!("check = 'all'\ncommands = ['GET {{key}}', '{other}']");
            assert!(refused(&text).contains("cannot follow"), "{other}");
        }
        let reads = "check = 'all'\ncommands = ['GET {key}', 'EXPIRETIME {key}', 'PING']";
        assert!(Scenario::new(Settings::read("a", reads).unwrap()).is_ok());
        let both = "check = 'all'\ncommands = ['INCR {key}', 'SET {key} {value}']";
        assert!(refused(both).contains("are of values of two kinds"));
        let both = "check = 'all'\ncommands = ['HSET {key} f {value}', 'GET {key}']";
        assert!(refused(both).contains("does not read what HSET writes"));
        let counters = "check = 'linearizable'\ncommands = ['INCR {key}', 'GET {key}']";
        assert!(refused(counters).contains("does not follow INCR"));
        for odd in ["here", ":1", "h:0", "h:66000", "redis://h:1", ""] {
            let why = refused(&format!("target = '{odd}'"));
            assert!(why.starts_with(&format!("target: {odd} is no address")), "{why}");
        }
        assert!(refused("rate = 100000001").starts_with("rate: 100000001 is not accepted"));
        assert!(refused("rate = 90000000\nrate-per = 'client'").starts_with("rate: more than"));
        assert!(refused("warmup = '9999999h'").starts_with("warmup: 9999999h is too long"));
        assert!(refused("phases = ['ramp up']").starts_with("phase \"ramp up\""));
        assert!(refused("[[fault]]\nat = '1s'\nwhat = 'explode'").starts_with("fault: explode"));
        assert!(refused("fill-with = 'SET {kye} 1'").starts_with("fill-with: command"));
        assert!(refused("fill-with = 'SET {key} 1'\ncheck = 'all'").starts_with("fill-with:"));
        assert_eq!(refused("cacert = 'a'"), "cacert: it needs --tls");
        assert!(refused("tls = true\ncert = 'a'").starts_with("cert: a certificate and its key"));
        assert!(refused("tls = true\ncacert = '/no/such'").starts_with("tls: /no/such: "));
        assert!(refused("user = 'u'").starts_with("user: a user needs"));
    }

    #[test]
    fn all_within_a_list_means_the_same_as_all_alone() {
        let of = |check: &str| {
            let text = format!("check = '{check}'\nlevel = 'sticky'");
            Scenario::new(Settings::read("a", &text).unwrap()).unwrap().checks
        };
        assert_eq!(of("all"), of("staleness, all"));
        assert!(!of("all").linearizable && !of("all").tokens && of("all").staleness);
    }

    #[test]
    fn a_count_without_a_duration_has_no_end_by_time() {
        let of = |text: &str| Scenario::new(Settings::read("a", text).unwrap()).unwrap();
        assert!(of("count = 5").is_timeless && of("count = 5").duration() == TIME_MAX);
        assert!(!of("count = 5\nduration = '2s'").is_timeless && !of("count = 0").is_timeless);
    }

    #[test]
    fn a_greeting_is_what_the_settings_ask_for() {
        let text = "protocol = 3\nuser = 'u'\npassword = 'p'\ndatabase = 2\nlevel = 'bounded 5ms'";
        let scenario = Scenario::new(Settings::read("a", text).unwrap()).unwrap();
        let told: Vec<String> = scenario.greeting.words.iter().map(|it| it.join(" ")).collect();
        assert_eq!(told, ["HELLO 3 AUTH u p", "SELECT 2", "PROXY CONSISTENCY bounded 5ms"]);
    }
}
