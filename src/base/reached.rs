//! What a run of the simulator has come to: outside of the simulator nobody asks, and nothing is
//! noted.

use crate::IS_SIMULATED;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often each thing was reached.
pub type Reached = Arc<Mutex<BTreeMap<&'static str, u64>>>;

thread_local! {
    static REACHED: RefCell<Option<Reached>> = const { RefCell::new(None) };
}

/// The calling thread notes there what it reaches, from here on: of the simulator alone.
pub fn note_reached_in(reached: Option<Reached>) {
    REACHED.set(reached);
}

/// Where the calling thread notes what it reaches.
pub fn reached_here() -> Option<Reached> {
    REACHED.with_borrow(Option::clone)
}

/// The calling thread has reached this.
#[inline(always)]
pub fn note_reached(what: &'static str) {
    if IS_SIMULATED {
        note(what);
    }
}

fn note(what: &'static str) {
    REACHED.with_borrow(|it| {
        if let Some(reached) = it {
            *reached.lock().entry(what).or_default() += 1;
        }
    });
}
