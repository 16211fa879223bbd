//! Work on a thread of its own, in simulated time: the thread runs only when it is let go on, up to
//! its next step, and everybody else stands still meanwhile.

use entourage::base::lowered::{lower_long_elements, lower_long_waiting};
use entourage::base::planted::{plant, planted};
use entourage::base::reached::{note_reached_in, reached_here};
use entourage::runtime::clock;
use entourage::runtime::steps::{Step, at_each};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// A request that touches more elements than this is long in a simulation.
pub const LONG_ELEMENTS: usize = 8;
/// So many may wait for a thread for long work.
const LONG_WAITING: usize = 2;

enum Told<T> {
    Stopped(Step),
    Ended(T),
    Panicked,
}

/// Work that has not ended. Dropped, it ends where it stands.
pub struct Apart<T> {
    /// Lets it go on. `None` when it is to end.
    go: Option<SyncSender<()>>,
    told: Receiver<Told<T>>,
    thread: Option<JoinHandle<()>>,
    /// It has come to a step at which it waits for somebody else.
    pub waits: bool,
}

impl<T: Send + 'static> Apart<T> {
    /// Work that begins when it is let go on for the first time.
    pub fn new(work: impl FnOnce() -> T + Send + 'static) -> Apart<T> {
        let (go, may_go) = sync_channel(1);
        let (tell, told) = sync_channel(1);
        let (fault, clock, reached) = (planted(), clock::simulated(), reached_here());
        let thread = thread::spawn(move || {
            if may_go.recv().is_err() {
                return;
            }
            plant(fault);
            clock::simulate(clock);
            note_reached_in(reached);
            lower_long_elements(LONG_ELEMENTS);
            let tell_step = tell.clone();
            at_each(move |step| {
                let is_told = tell_step.send(Told::Stopped(step)).is_ok();
                if !is_told || may_go.recv().is_err() {
                    // The simulation is over. Locks are let go of on the way out.
                    resume_unwind(Box::new("the simulation is over"));
                }
            });
            let ended = catch_unwind(AssertUnwindSafe(work));
            // Nobody may listen any more.
            let _ = tell.send(ended.map_or(Told::Panicked, Told::Ended));
        });
        Apart { go: Some(go), told, thread: Some(thread), waits: false }
    }

    /// Lets it go on to its next step. Answers what came of it when that was the last.
    pub fn step(&mut self) -> Option<T> {
        self.go.as_ref()?.send(()).expect("it waits for this");
        match self.told.recv().expect("it tells of its end") {
            Told::Stopped(step) => {
                self.waits = step == Step::Waits;
                None
            }
            Told::Ended(ended) => Some(ended),
            Told::Panicked => resume_unwind(Box::new("work apart panicked")),
        }
    }
}

impl<T> Drop for Apart<T> {
    fn drop(&mut self) {
        self.go = None;
        let (_, nobody) = sync_channel(0);
        // Whoever tells of a step hears that nobody listens.
        self.told = nobody;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|it| it.is_ok()) || thread::panicking(), "it ends quietly");
    }
}

/// The calling thread serves clients: it must never come to wait for who works apart.
pub fn serve_only() {
    lower_long_elements(LONG_ELEMENTS);
    lower_long_waiting(LONG_WAITING);
    at_each(|step| assert!(step == Step::Works, "a worker waits for what somebody holds"));
}
