//! Where a thread that works apart may wait, and where what it does takes long. In the product it
//! just waits, and just works. In the simulator it stops there until it is let go on, so that
//! others have their turn meanwhile; who has clients to serve must never come here to wait.

use crate::IS_SIMULATED;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// What a thread has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Others see that it works long.
    Works,
    /// Somebody holds what it needs.
    Waits,
}

type AtEach = Option<Rc<dyn Fn(Step)>>;

thread_local! {
    static AT_EACH: RefCell<AtEach> = const { RefCell::new(None) };
}

/// What the calling thread does at each step, from here on: of the simulator alone.
pub fn at_each(step: impl Fn(Step) + 'static) {
    AT_EACH.set(Some(Rc::new(step)));
}

#[inline(always)]
fn is_stepped() -> bool {
    IS_SIMULATED && AT_EACH.with_borrow(Option::is_some)
}

fn step(what: Step) {
    if let Some(step) = AT_EACH.with_borrow(Option::clone) {
        step(what);
    }
}

/// Locks something, however long that takes.
#[inline(always)]
pub fn lock<T>(try_lock: impl Fn() -> Option<T>, lock: impl FnOnce() -> T) -> T {
    if !is_stepped() {
        return lock();
    }
    loop {
        if let Some(locked) = try_lock() {
            return locked;
        }
        step(Step::Waits);
    }
}

/// Locks something unless that takes longer than `lock` waits.
#[inline(always)]
pub fn lock_for<T>(
    try_lock: impl Fn() -> Option<T>,
    lock: impl FnOnce() -> Option<T>,
) -> Option<T> {
    if !is_stepped() {
        return lock();
    }
    step(Step::Waits);
    try_lock()
}

/// Waits a while, before the caller looks again.
pub fn rest(time: Duration) {
    if !is_stepped() {
        return std::thread::sleep(time);
    }
    step(Step::Waits);
}

/// From here on, others see that the caller works long.
#[inline(always)]
pub fn works() {
    if is_stepped() {
        step(Step::Works);
    }
}
