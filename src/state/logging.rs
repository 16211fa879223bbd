//! The log of the process: each line once, as text or as JSON, not too many of a kind, and what is
//! worth it kept for operators.
//!
//! ```text
//! log::info!("event=… name=value …") → kept? → worth a line? → too many of its kind? → output
//! ```

use super::recent_events::RecentEvents;
use crate::base::log_kinds::LogKinds;
use crate::base::log_line::{Field, event_of, fields, plain};
use crate::config::{self, LogFormat};
use crate::metrics::json::Json;
use crate::runtime::clock;
use crate::runtime::log_output::LogOutput;
use env_logger::fmt::Formatter;
use log::{Level, LevelFilter, Record};
use parking_lot::Mutex;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// What becomes of the lines of the log.
#[derive(Default)]
pub struct Logging {
    /// What has happened lately.
    pub events: RecentEvents,
    is_json: AtomicBool,
    /// The [`LevelFilter`] of what is written.
    level: AtomicUsize,
    kinds: Mutex<LogKinds>,
    output: Option<LogOutput>,
}

/// Fields whose values are names, though one may look like a number.
const NAMES: &[&str] =
    &["from", "last", "listener", "master", "member", "name", "replica", "source", "to", "worst"];

impl Logging {
    /// Takes over the log of this process, for as long as it lives.
    pub fn install(settings: &config::Server) -> Result<Arc<Logging>, String> {
        let file = &settings.log.file;
        let output = LogOutput::open(file);
        let output = output.map_err(|why| format!("cannot write the log {file}: {why}"))?;
        let logging = Logging { output: Some(output.clone()), ..Logging::default() };
        logging.settle(settings);
        let logging = Arc::new(logging);
        let writes = logging.clone();
        let mut builder = env_logger::Builder::new();
        builder.filter_module("entourage", LevelFilter::Trace);
        builder.target(env_logger::Target::Pipe(Box::new(output)));
        builder.format(move |out, record| writes.write(out, record));
        builder.try_init().map_err(|why| format!("cannot take the log: {why}"))?;
        // What builds the logger has let through what it would: these settings say what is.
        log::set_max_level(made_level(settings));
        Ok(logging)
    }

    /// Goes by these settings from now on.
    pub fn settle(&self, settings: &config::Server) {
        self.is_json.store(settings.log.format == LogFormat::Json, Relaxed);
        self.level.store(settings.loglevel.filter() as usize, Relaxed);
        log::set_max_level(made_level(settings));
    }

    /// Opens the file of the log again, if it is one.
    pub fn reopen(&self) {
        if let Some(Err(why)) = self.output.as_ref().map(LogOutput::reopen) {
            log::error!("event=log-not-reopened why={why}");
        }
    }

    /// A line for each kind of which some were left out, once its second is over.
    pub fn tell_left_out(&self) {
        let left_out = self.kinds.lock().left_out(clock::mono_now());
        for (kind, count) in left_out {
            log::warn!("event=log-lines-left-out kind={kind} count={count}");
        }
    }

    fn write(&self, out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
        let line = record.args().to_string();
        let (kind, level) = (event_of(&line).unwrap_or_default(), record.level());
        self.events.note(kind, &line, level, clock::wall_now());
        if self.level.load(Relaxed) < level as usize {
            return Ok(());
        }
        // Who asks for the details of everything gets them.
        let is_limited = level <= Level::Info;
        if is_limited && !self.kinds.lock().allows(kind, clock::mono_now()) {
            return Ok(());
        }
        if self.is_json.load(Relaxed) {
            let time = out.timestamp_millis();
            return writeln!(out, "{}", json_line(time, level, record.target(), &line));
        }
        let time = out.timestamp_seconds();
        writeln!(out, "[{time} {level:<5} {}] {}", record.target(), plain(&line))
    }
}

/// What is made into lines: whatever is written, and all that may be kept.
fn made_level(settings: &config::Server) -> LevelFilter {
    settings.loglevel.filter().max(LevelFilter::Info)
}

/// A line as one object, on one line.
fn json_line(time: impl Display, level: Level, target: &str, line: &str) -> String {
    let mut json = Json::default();
    json.object(|it| {
        it.name("time").string(&time.to_string());
        it.name("severity").string(&level.as_str().to_lowercase());
        it.name("target").string(target);
        let all = fields(line);
        if event_of(line).is_none() || all.is_empty() {
            it.name("message").string(line);
        }
        for Field { name, value, is_quoted } in all {
            let is_text = is_quoted || NAMES.contains(&name);
            match value.parse::<i64>() {
                Ok(number) if !is_text && number.to_string() == value => {
                    it.name(name).number(number);
                }
                _ => it.name(name).string(&value),
            }
        }
    });
    json.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn told(line: &str) -> Value {
        let text = json_line("2026-01-02T03:04:05.678Z", Level::Warn, "entourage::a", line);
        assert!(!text.contains('\n'));
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
    }

    #[test]
    fn a_line_of_json_has_a_member_for_each_field() {
        let line =
            "event=login-failed client=7 addr=1.2.3.4:5 user=\"77\" member=1 count=-2 at=007";
        let told = told(line);
        assert_eq!(told["time"], "2026-01-02T03:04:05.678Z");
        assert_eq!((&told["severity"], &told["target"]), (&"warn".into(), &"entourage::a".into()));
        assert_eq!((&told["event"], &told["client"]), (&"login-failed".into(), &7.into()));
        assert_eq!((&told["user"], &told["member"]), (&"77".into(), &"1".into()));
        assert_eq!((&told["count"], &told["at"]), (&(-2).into(), &"007".into()));
        assert_eq!(told.as_object().unwrap().len(), 10);
    }

    #[test]
    fn nothing_that_somebody_has_said_passes_for_what_the_log_says() {
        let told = told("event=link-down why=x severity=debug time=0 target=a message=b");
        assert_eq!((&told["severity"], &told["target"]), (&"warn".into(), &"entourage::a".into()));
        assert_eq!(told["why"], "x severity=debug time=0 target=a message=b");
        assert_eq!(told.as_object().unwrap().len(), 5);
    }

    #[test]
    fn a_line_without_fields_is_a_message() {
        assert_eq!(told("all\nwell")["message"], "all\nwell");
    }
}
