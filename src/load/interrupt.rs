//! SIGINT and SIGTERM: the first ends a run early, with its results; the second ends the process.

use crate::runtime::process;
use crate::runtime::signals::{Request, Requests};
use crate::runtime::tasks;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// What a process that SIGINT has ended answers.
const INTERRUPTED: i32 = 130;

/// Whether the run is to end.
pub struct Interrupt {
    is_asked: AtomicBool,
    is_running: AtomicBool,
}

impl Interrupt {
    /// Takes the signals from the system, where that can be done.
    pub fn take() -> Arc<Interrupt> {
        let interrupt = Arc::new(Interrupt::never());
        let Ok(mut requests) = Requests::take() else { return interrupt };
        let told = interrupt.clone();
        let attend = move || loop {
            if !matches!(requests.wait(), Request::End(_)) {
                continue;
            }
            let has_results = told.is_running.load(Relaxed);
            if !has_results || told.is_asked.swap(true, Relaxed) {
                process::exit(INTERRUPTED);
            }
        };
        let _ = tasks::thread("load-signals", attend);
        interrupt
    }

    /// One that nobody asks.
    pub fn never() -> Interrupt {
        Interrupt { is_asked: AtomicBool::new(false), is_running: AtomicBool::new(false) }
    }

    /// From now on there are results to be shown, or no longer.
    pub fn set_running(&self, is_running: bool) {
        self.is_running.store(is_running, Relaxed);
    }

    /// Whether the run is to end.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Relaxed)
    }
}
