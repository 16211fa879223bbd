//! `entourage load`: flags to a scenario, a run, and its results.

use super::compare::{compare, table as compared};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::ready::{READY, ready};
use super::record::Recording;
use super::replay::replay;
use super::report::page::page;
use super::report::summary::summary;
use super::report::table::table;
use super::run::{Watch, run};
use super::scenario::Scenario;
use super::settings::{Flags, Settings};
use crate::runtime::process;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// A check was violated.
const VIOLATED: u8 = 1;
/// It could not be run, or not as it was asked for.
const MISCONFIGURED: u8 = 2;

/// Does what the flags ask for. Answers the exit code.
pub fn main(flags: Flags) -> u8 {
    match load(flags) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("entourage load: {why}");
            MISCONFIGURED
        }
    }
}

/// Answers the exit code.
fn load(flags: Flags) -> Result<u8, String> {
    if flags.list {
        list();
        return Ok(0);
    }
    let file = match &flags.scenario {
        Some(path) => read(path)?,
        None => Settings::default(),
    };
    for path in [&flags.json, &flags.hdr, &flags.report].into_iter().flatten() {
        // Known before the run, not after it.
        process::try_to_write(path).map_err(|it| format!("{}: {it}", path.display()))?;
    }
    let settings = flags.settings.clone().over(file);
    if flags.speed.is_some() && flags.replay.is_none() {
        return Err("speed: it is that of a --replay".to_owned());
    }
    let interrupt = Interrupt::take();
    let mut progress = Progress::new(flags.quiet);
    let keeps_hdr = flags.hdr.is_some();
    let (interrupt, gathered) = (&*interrupt, None);
    let watch = Watch { progress: &mut progress, keeps_hdr, interrupt, gathered };
    let (scenario, outcome, comparison) = match (&flags.replay, &flags.compare, &flags.record) {
        (Some(path), None, None) => {
            let (scenario, outcome) = replay(path, flags.speed.as_deref(), settings, watch)?;
            (scenario, outcome, None)
        }
        (None, Some(other), None) => {
            let (scenario, outcome, comparison) = compare(&settings, other, watch)?;
            (scenario, outcome, Some(comparison))
        }
        (None, None, Some(path)) => {
            let loads = flags.scenario.is_some() || !settings.commands.is_empty();
            let scenario = Scenario::new(settings)?;
            let recording = Recording::begin(&scenario, path)?;
            if !loads {
                return record(recording, &scenario, path, interrupt);
            }
            let outcome = recording.meanwhile(interrupt, || run(&scenario, watch))?;
            (scenario, outcome, None)
        }
        (None, None, None) => {
            let scenario = Scenario::new(settings)?;
            let outcome = run(&scenario, watch)?;
            (scenario, outcome, None)
        }
        _ => return Err("write one of --record, --replay and --compare".to_owned()),
    };
    progress.end();
    let mut text = table(&scenario, &outcome);
    if let Some(it) = &comparison {
        text += &compared(&scenario.targets[0], it);
    }
    show(&text);
    write(&flags.json, || summary(&scenario, &outcome, comparison.as_ref()).into_bytes())?;
    write(&flags.hdr, || outcome.hdr.clone())?;
    write(&flags.report, || page(&scenario, &outcome, &text).into_bytes())?;
    outcome.shortcomings.iter().for_each(|it| eprintln!("entourage load: {it}"));
    let other = comparison.as_ref().map(|it| (&it.other, &it.theirs));
    if let Some((address, theirs)) = other {
        theirs.shortcomings.iter().for_each(|it| eprintln!("entourage load: {address}: {it}"));
    }
    let all = || [&outcome].into_iter().chain(other.map(|it| it.1));
    if all().any(|it| it.verdict.as_ref().is_some_and(|it| !it.is_clean())) {
        return Ok(VIOLATED);
    }
    Ok(if all().all(|it| it.shortcomings.is_empty()) { 0 } else { MISCONFIGURED })
}

/// Records for the time of the scenario, and loads nothing.
fn record(
    recording: Recording,
    scenario: &Scenario,
    path: &Path,
    interrupt: &Interrupt,
) -> Result<u8, String> {
    interrupt.set_running(true);
    let count = recording.run(Some(scenario.duration()), &AtomicBool::new(false), interrupt)?;
    show(&format!("{count} commands of {} in {}\n", scenario.targets[0], path.display()));
    Ok(0)
}

/// Writes a file that was asked for.
fn write(path: &Option<PathBuf>, make: impl FnOnce() -> Vec<u8>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    process::write_file(path, &make()).map_err(|it| format!("{}: {it}", path.display()))
}

fn list() {
    for (name, text) in READY {
        let about = Settings::read(name, text).ok().and_then(|it| it.about);
        show(&format!("{name:<14} {}\n", about.unwrap_or_default()));
    }
}

/// Writes results to stdout; whoever has closed it does not miss them.
fn show(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn read(path: &Path) -> Result<Settings, String> {
    if let Some((name, text)) = path.to_str().and_then(|it| Some((it, ready(it)?))) {
        return Settings::read(name, text);
    }
    let text = process::read_text(path).map_err(|it| format!("{}: {it}", path.display()))?;
    Settings::read(&path.display().to_string(), &text)
}
