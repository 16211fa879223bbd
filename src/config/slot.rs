//! How one parameter is read from text and shown as text: Redis' formats, Redis' refusals.

use super::disk::{Fsync, SavePoints};
use super::memory::MemoryShare;
use super::{AccessFrom, Config, FollowWrites, LogFormat, LogLevel, OutputLimit, OutputLimits};
use crate::base::number::{parse_f64, parse_i64};
use crate::base::remote_address::RemoteUrl;
use crate::base::size::{format_duration, parse_duration, parse_size};
use crate::command::EventClasses;
use crate::engine::Policy;
use crate::route::CountHosted;
use std::time::Duration;

/// A place in the tree.
pub struct Lens<T> {
    pub of: fn(&Config) -> &T,
    pub of_mut: fn(&mut Config) -> &mut T,
}

/// The place with this path: `lens!(server.maxclients)`.
macro_rules! lens {
    ($($path:tt)+) => {
        $crate::config::slot::Lens { of: |it| &it.$($path)+, of_mut: |it| &mut it.$($path)+ }
    };
}
pub(super) use lens;

/// What becomes of a number beyond its bounds.
#[derive(Clone, Copy)]
pub enum Beyond {
    /// It is refused.
    Refuse,
    /// The nearest bound is taken, as Redis does for this one.
    Clamp,
}

/// What kind of value a parameter has, and where it is kept.
pub enum Slot {
    /// A whole number from `min` to `max`.
    Count { at: Lens<usize>, min: i64, max: i64, beyond: Beyond },
    /// A whole number of either sign.
    Signed { at: Lens<i64>, min: i64, max: i64 },
    /// Bytes, from `min` to `max`.
    Size { at: Lens<usize>, min: i64, max: i64, beyond: Beyond },
    /// A duration; a bare number counts seconds, and may not be less than `min`.
    Time { at: Lens<Duration>, min: i64 },
    /// Yes or no.
    Switch(Lens<bool>),
    /// Any text.
    Text(Lens<String>),
    /// The name of a file, without a path.
    FileName(Lens<String>),
    /// A text that is never shown: long enough that nobody guesses it, or none.
    Secret(Lens<String>),
    /// A log level.
    Loglevel(Lens<LogLevel>),
    /// The form of the log's lines.
    LogFormat(Lens<LogFormat>),
    /// Who may do something.
    Access(Lens<AccessFrom>),
    /// What becomes of writes.
    Writes(Lens<FollowWrites>),
    /// Whether hosted replicas count as replicas.
    CountHosted(Lens<CountHosted>),
    /// When the append-only file is on disk.
    Fsync(Lens<Fsync>),
    /// When snapshots are made.
    Save(Lens<SavePoints>),
    /// Which keys are evicted.
    Policy(Lens<Policy>),
    /// A part of the memory.
    Share(Lens<MemoryShare>),
    /// Classes of keyspace events.
    Events(Lens<EventClasses>),
    /// Output limits by kind of client.
    Limits(Lens<OutputLimits>),
    /// Percentiles.
    Percentiles(Lens<Vec<f64>>),
    /// The remote master, with who logs in there.
    Master,
    /// One of these words.
    OneOf { at: Lens<String>, words: &'static [&'static str] },
    /// Some of these words, with a space between; none is all.
    Words { at: Lens<String>, words: &'static [&'static str] },
    /// Told, never taken.
    Shown(fn(&Config) -> String),
}

/// What a file or a flag may say of a remote master.
pub const MASTER_ACCEPTED: &str = "a host and a port, like \"db.example:6379\" or \"db.example \
                                   6379\", or \"redis://user:password@db.example:6379\"";

const NO_CLASS: &str = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";

/// The most seconds Redis takes.
const SECONDS_MAX: i64 = i32::MAX as i64;

/// The shortest secret.
const SECRET_BYTES_MIN: usize = 16;

impl Slot {
    /// The value as CONFIG GET shows it.
    pub fn show(&self, config: &Config) -> String {
        match self {
            Slot::Count { at, .. } | Slot::Size { at, .. } => (at.of)(config).to_string(),
            Slot::Signed { at, .. } => (at.of)(config).to_string(),
            Slot::Time { at, .. } => show_time(*(at.of)(config)),
            Slot::Switch(at) => if *(at.of)(config) { "yes" } else { "no" }.to_owned(),
            Slot::Text(at) | Slot::FileName(at) => (at.of)(config).clone(),
            Slot::Secret(_) => "(hidden)".to_owned(),
            Slot::Loglevel(at) => (at.of)(config).as_str().to_owned(),
            Slot::LogFormat(at) => (at.of)(config).as_str().to_owned(),
            Slot::Access(at) => (at.of)(config).as_str().to_owned(),
            Slot::CountHosted(at) => (at.of)(config).as_str().to_owned(),
            Slot::Writes(at) => (at.of)(config).as_str().to_owned(),
            Slot::Fsync(at) => (at.of)(config).as_str().to_owned(),
            Slot::Save(at) => (at.of)(config).show(),
            Slot::Policy(at) => (at.of)(config).as_str().to_owned(),
            Slot::Share(at) => (at.of)(config).show(),
            Slot::Events(at) => (at.of)(config).told(),
            Slot::Limits(at) => show_limits((at.of)(config)),
            Slot::Percentiles(at) => {
                (at.of)(config).iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
            }
            Slot::Master => {
                config.set.master.as_ref().map_or_else(String::new, |it| it.to_string())
            }
            Slot::OneOf { at, .. } | Slot::Words { at, .. } => (at.of)(config).clone(),
            Slot::Shown(tell) => tell(config),
        }
    }

    /// Whether both configs have the same value here, shown or not.
    pub fn is_same(&self, one: &Config, other: &Config) -> bool {
        match self {
            Slot::Secret(at) => (at.of)(one) == (at.of)(other),
            Slot::Events(at) => (at.of)(one) == (at.of)(other),
            _ => self.show(one) == self.show(other),
        }
    }

    /// Takes a value, or says what is wrong with it as CONFIG SET does.
    pub fn take(&self, config: &mut Config, text: &str) -> Result<(), String> {
        match self {
            Slot::Count { at, min, max, beyond } => {
                let number = beyond.hold(integer(text)?, *min, *max)?;
                *(at.of_mut)(config) = number as usize;
            }
            Slot::Signed { at, min, max } => {
                *(at.of_mut)(config) = Beyond::Refuse.hold(integer(text)?, *min, *max)?;
            }
            Slot::Size { at, min, max, beyond } => {
                let size = parse_size(text.as_bytes()).ok_or("argument must be a memory value")?;
                let size = match i64::try_from(size) {
                    Ok(size) => beyond.hold(size, *min, *max)?,
                    Err(_) => return Err(between(*min, *max)),
                };
                *(at.of_mut)(config) = size as usize;
            }
            Slot::Time { at, min } => *(at.of_mut)(config) = time(text, *min)?,
            Slot::Switch(at) => *(at.of_mut)(config) = switch(text)?,
            Slot::Text(at) => *(at.of_mut)(config) = text.to_owned(),
            Slot::FileName(at) => *(at.of_mut)(config) = file_name(text)?,
            Slot::Secret(_) if (1..SECRET_BYTES_MIN).contains(&text.len()) => {
                return Err(format!("argument must have at least {SECRET_BYTES_MIN} bytes"));
            }
            Slot::Secret(at) => *(at.of_mut)(config) = text.to_owned(),
            Slot::Loglevel(at) => *(at.of_mut)(config) = loglevel(text)?,
            Slot::LogFormat(at) => *(at.of_mut)(config) = word(&LogFormat::ALL, text)?,
            Slot::Access(at) => *(at.of_mut)(config) = word(&AccessFrom::ALL, text)?,
            Slot::CountHosted(at) => *(at.of_mut)(config) = word(&CountHosted::ALL, text)?,
            Slot::Writes(at) => *(at.of_mut)(config) = word(&FollowWrites::ALL, text)?,
            Slot::Fsync(at) => *(at.of_mut)(config) = word(&Fsync::ALL, text)?,
            Slot::Save(at) => {
                let points = SavePoints::parse(text).ok_or("Invalid save parameters")?;
                *(at.of_mut)(config) = points;
            }
            Slot::Policy(at) => *(at.of_mut)(config) = word(&Policy::ALL, text)?,
            Slot::Share(at) => *(at.of_mut)(config) = MemoryShare::parse(text)?,
            Slot::Events(at) => {
                *(at.of_mut)(config) = EventClasses::parse(text).ok_or(NO_CLASS)?;
            }
            Slot::Limits(at) => *(at.of_mut)(config) = limits(*(at.of)(config), text)?,
            Slot::Percentiles(at) => *(at.of_mut)(config) = percentiles(text)?,
            Slot::Master => take_master(config, text)?,
            Slot::OneOf { at, words } => *(at.of_mut)(config) = one_of(words, text)?,
            Slot::Words { at, words } => *(at.of_mut)(config) = some_of(words, text)?,
            Slot::Shown(_) => return Err("can't set immutable config".to_owned()),
        }
        Ok(())
    }

    /// What a flag may say here: words only.
    pub fn accepted_of_flag(&self) -> String {
        match self {
            Slot::Switch(_) => "yes or no".to_owned(),
            _ => self.accepted(),
        }
    }

    /// What a config file may say here.
    pub fn accepted(&self) -> String {
        match self {
            Slot::Count { min, max, .. } | Slot::Signed { min, max, .. } => match *max {
                i64::MAX => format!("a whole number from {min}"),
                max => format!("a whole number from {min} to {max}"),
            },
            Slot::Size { min, max, .. } => match *max {
                i64::MAX => format!("a size of {min} bytes or more, like 100000 or \"1mb\""),
                max => format!("a size from {min} to {max} bytes, like 100000 or \"1mb\""),
            },
            Slot::Time { min: 0, .. } => {
                "a time, like \"500ms\", \"10s\" or a number of seconds".to_owned()
            }
            Slot::Time { .. } => {
                "a time above 0, like \"500ms\", \"10s\" or a number of seconds".to_owned()
            }
            Slot::Switch(_) => "true or false".to_owned(),
            Slot::Text(_) => "a text in quotes".to_owned(),
            Slot::FileName(_) => "the name of a file in quotes, without a path".to_owned(),
            Slot::Secret(_) => {
                format!("a text of at least {SECRET_BYTES_MIN} bytes in quotes, or \"\"")
            }
            Slot::Loglevel(_) => LogLevel::ALL.map(|it| it.1).join(", "),
            Slot::LogFormat(_) => LogFormat::ALL.map(|it| it.1).join(", "),
            Slot::Access(_) => AccessFrom::ALL.map(|it| it.1).join(", "),
            Slot::CountHosted(_) => CountHosted::ALL.map(|it| it.1).join(", "),
            Slot::Writes(_) => FollowWrites::ALL.map(|it| it.1).join(", "),
            Slot::Fsync(_) => Fsync::ALL.map(|it| it.1).join(", "),
            Slot::Save(_) => SavePoints::ACCEPTED.to_owned(),
            Slot::Policy(_) => Policy::ALL.map(|it| it.1).join(", "),
            Slot::Share(_) => MemoryShare::ACCEPTED.to_owned(),
            Slot::Events(_) => "letters of g$lshzxetdmnKEA in quotes, like \"KEA\"".to_owned(),
            Slot::Limits(_) => {
                "normal, replica or pubsub, each with a hard limit, a soft limit and \
                                seconds, like { pubsub = \"32mb 8mb 60\" }"
                    .to_owned()
            }
            Slot::Percentiles(_) => "percentiles from 0 to 100, like [50, 99, 99.9]".to_owned(),
            Slot::Master => MASTER_ACCEPTED.to_owned(),
            Slot::OneOf { words, .. } => words.join(", "),
            Slot::Words { words, .. } => {
                format!("some of {} in quotes, like \"{}\"", words.join(", "), words.join(" "))
            }
            Slot::Shown(_) => "nothing: it cannot be set".to_owned(),
        }
    }
}

impl Beyond {
    fn hold(self, number: i64, min: i64, max: i64) -> Result<i64, String> {
        match self {
            _ if min <= number && number <= max => Ok(number),
            Beyond::Clamp if 0 <= number => Ok(number.clamp(min, max)),
            _ => Err(between(min, max)),
        }
    }
}

fn between(min: i64, max: i64) -> String {
    format!("argument must be between {min} and {max} inclusive")
}

fn integer(text: &str) -> Result<i64, String> {
    let number = parse_i64(text.as_bytes());
    number.ok_or_else(|| "argument couldn't be parsed into an integer".to_owned())
}

/// A bare number counts seconds, as in Redis; units are ours.
fn time(text: &str, min: i64) -> Result<Duration, String> {
    let whole = Duration::from_secs(1);
    let time = match parse_duration(text.as_bytes(), None) {
        Some(time) => time,
        None => match integer(text)? {
            number @ 0.. => whole * u32::try_from(number).unwrap_or(u32::MAX),
            _ => Duration::MAX,
        },
    };
    let (least, most) = (Duration::from_millis(min as u64), whole * SECONDS_MAX as u32);
    match least <= time && time <= most {
        true => Ok(time),
        false => Err(format!("argument must be between {min} and {SECONDS_MAX} inclusive")),
    }
}

fn show_time(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => time.as_secs().to_string(),
        _ => format_duration(time),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

/// Redis' names, and those that Rust's loggers use.
fn loglevel(text: &str) -> Result<LogLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "error" | "warn" => Ok(LogLevel::Warning),
        "info" => Ok(LogLevel::Notice),
        "trace" => Ok(LogLevel::Debug),
        _ => word(&LogLevel::ALL, text),
    }
}

fn file_name(text: &str) -> Result<String, String> {
    match text {
        "" | "." | ".." => Err("argument must be the name of a file".to_owned()),
        it if it.contains(['/', '\0', '\n']) => {
            Err("argument can't be a path, just a filename".to_owned())
        }
        it => Ok(it.to_owned()),
    }
}

fn take_master(config: &mut Config, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        config.set.master = None;
        return Ok(());
    }
    let RemoteUrl { address, user, password } =
        RemoteUrl::parse(text).ok_or_else(|| format!("argument must be {MASTER_ACCEPTED}"))?;
    config.set.master = Some(address);
    if let Some(password) = password {
        config.set.follow.user = user.unwrap_or_default();
        config.set.follow.password = password;
    }
    Ok(())
}

fn one_of(words: &[&'static str], text: &str) -> Result<String, String> {
    let all: Vec<(&str, &str)> = words.iter().map(|it| (*it, *it)).collect();
    word(&all, text).map(str::to_owned)
}

/// In the order in which they are listed, each once.
fn some_of(words: &[&'static str], text: &str) -> Result<String, String> {
    let said: Vec<String> =
        text.split_whitespace().map(|it| one_of(words, it)).collect::<Result<_, _>>()?;
    let has = |word: &&&str| said.iter().any(|it| it == **word);
    Ok(words.iter().filter(has).copied().collect::<Vec<_>>().join(" "))
}

fn word<T: Copy>(all: &[(T, &str)], text: &str) -> Result<T, String> {
    let found = all.iter().find(|it| it.1.eq_ignore_ascii_case(text));
    let names = all.iter().map(|it| it.1).collect::<Vec<_>>().join(", ");
    found.map(|it| it.0).ok_or_else(|| format!("argument(s) must be one of the following: {names}"))
}

/// `normal 0 0 0 slave 268435456 67108864 60 pubsub …`, in Redis' order and with its old word.
fn show_limits(limits: &OutputLimits) -> String {
    let kinds = [("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)];
    let show = |(kind, it): (&str, OutputLimit)| {
        format!("{kind} {} {} {}", it.hard_bytes, it.soft_bytes, it.soft_for.as_secs())
    };
    kinds.map(show).join(" ")
}

/// Quadruples of kind, hard, soft and seconds; kinds not named keep their limit.
fn limits(mut limits: OutputLimits, text: &str) -> Result<OutputLimits, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    for four in words.chunks(4) {
        let limit = match four[0].to_ascii_lowercase().as_str() {
            "normal" => &mut limits.normal,
            "slave" | "replica" => &mut limits.replica,
            "pubsub" => &mut limits.pubsub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        *limit = output_limit(&four[1..])
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(limits)
}

fn output_limit(words: &[&str]) -> Option<OutputLimit> {
    Some(OutputLimit {
        hard_bytes: parse_size(words[0].as_bytes())?,
        soft_bytes: parse_size(words[1].as_bytes())?,
        soft_for: Duration::from_secs(parse_i64(words[2].as_bytes())?.try_into().ok()?),
    })
}

fn percentiles(text: &str) -> Result<Vec<f64>, String> {
    let name = "latency-tracking-info-percentiles";
    let read = |word: &str| match parse_f64(word.as_bytes()) {
        None => Err(format!("Invalid {name} parameters")),
        Some(it) if !(0.0..=100.0).contains(&it) => {
            Err(format!("{name} parameters should sit between [0.0,100.0]"))
        }
        Some(it) => Ok(it),
    };
    text.split_whitespace().map(read).collect()
}
