//! Writes what a target is asked: its MONITOR, as redis-cli shows it.

use super::control::{Control, error_of};
use super::interrupt::Interrupt;
use super::scenario::Scenario;
use crate::runtime::{clock, process};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How often it is looked whether to end.
const STEP: Duration = Duration::from_millis(50);

/// A connection that has been told MONITOR.
pub struct Recording {
    control: Control,
    into: Box<dyn Write + Send>,
    /// The file, as it is named.
    name: String,
}

impl Recording {
    /// Begins; what is asked from now on is in the file.
    pub fn begin(scenario: &Scenario, path: &Path) -> Result<Recording, String> {
        let address = &scenario.targets[0];
        let mut control = Control::dial(address, &scenario.greeting)?;
        let reply = control.ask(&["MONITOR".to_owned()]);
        let reply = reply.map_err(|it| format!("{address}: {it}"))?;
        if let Some(why) = error_of(&reply) {
            return Err(format!("record: {address} refuses MONITOR: {why}"));
        }
        let name = path.display().to_string();
        let into = process::create_file(path).map_err(|it| format!("{name}: {it}"))?;
        Ok(Recording { control, into: Box::new(into), name })
    }

    /// Writes lines while something else is done. Answers what that has come to.
    pub fn meanwhile<T>(
        self,
        interrupt: &Interrupt,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let is_stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let recorder = scope.spawn(|| self.run(None, &is_stopped, interrupt));
            let done = work();
            is_stopped.store(true, Relaxed);
            let recorded = recorder.join().map_err(|_| "the recorder has panicked".to_owned())?;
            recorded.map_err(|it| format!("record: {it}"))?;
            done
        })
    }

    /// Writes lines until this time is over, or it is to end. Answers how many.
    pub fn run(
        mut self,
        time: Option<Duration>,
        is_stopped: &AtomicBool,
        interrupt: &Interrupt,
    ) -> Result<u64, String> {
        let began = clock::mono_ns();
        let mut count = 0;
        loop {
            let is_stopped = is_stopped.load(Relaxed) || interrupt.is_asked();
            let passed = Duration::from_nanos(clock::mono_ns() - began);
            // What is there already is still written.
            let patience = if is_stopped { Duration::ZERO } else { STEP };
            let reply = self.control.receive_within(patience)?;
            if let Some(line) = reply.as_deref().and_then(|it| it.strip_prefix(b"+")) {
                let written = self.into.write_all(line.trim_ascii_end());
                let written = written.and_then(|()| self.into.write_all(b"\n"));
                written.map_err(|it| format!("{}: {it}", self.name))?;
                count += 1;
            }
            if time.is_some_and(|it| it <= passed) || is_stopped && reply.is_none() {
                self.into.flush().map_err(|it| format!("{}: {it}", self.name))?;
                return Ok(count);
            }
        }
    }
}
