//! What belongs to a worker's thread: which of its tasks are ready, its timers, and where its
//! sockets are registered. Nobody else touches it.

use super::clock;
use super::sockets::Sockets;
use crate::base::time::MonoUs;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

thread_local! {
    /// This thread's.
    pub static LOCAL: Local = const {
        Local {
            number: Cell::new(NO_WORKER),
            ready: RefCell::new(VecDeque::new()),
            timers: RefCell::new(BTreeMap::new()),
            last_timer: Cell::new(0),
            sockets: OnceCell::new(),
        }
    };
}

const NO_WORKER: usize = usize::MAX;

/// A timer: when it is due, and a number of its own.
pub type TimerKey = (MonoUs, u64);

/// What belongs to one thread.
pub struct Local {
    number: Cell<usize>,
    ready: RefCell<VecDeque<u64>>,
    timers: RefCell<BTreeMap<TimerKey, Waker>>,
    last_timer: Cell<u64>,
    sockets: OnceCell<Sockets>,
}

impl Local {
    /// This thread is the worker of this number from now on.
    pub fn begin(&self, number: usize, sockets: Sockets) {
        self.number.set(number);
        assert!(self.sockets.set(sockets).is_ok(), "a thread is one worker");
    }

    /// Number of this worker; `None` on other threads.
    #[inline]
    pub fn worker(&self) -> Option<usize> {
        match self.number.get() {
            NO_WORKER => None,
            number => Some(number),
        }
    }

    /// The sockets of this worker; `None` on other threads.
    pub fn sockets(&self) -> Option<&Sockets> {
        self.sockets.get()
    }

    /// The task of this number is to be polled.
    #[inline]
    pub fn make_ready(&self, task: u64) {
        self.ready.borrow_mut().push_back(task);
    }

    /// How many tasks are to be polled.
    pub fn count_ready(&self) -> usize {
        self.ready.borrow().len()
    }

    /// The next task to poll.
    pub fn next_ready(&self) -> Option<u64> {
        self.ready.borrow_mut().pop_front()
    }

    /// `waker` is woken at this time. Answers what takes that back.
    pub fn set_timer(&self, due: MonoUs, waker: Waker) -> TimerKey {
        let key = (due, self.last_timer.get() + 1);
        self.last_timer.set(key.1);
        self.timers.borrow_mut().insert(key, waker);
        key
    }

    /// Takes a timer back.
    pub fn clear_timer(&self, key: TimerKey) {
        self.timers.borrow_mut().remove(&key);
    }

    /// When the next timer is due.
    pub fn next_timer(&self) -> Option<MonoUs> {
        self.timers.borrow().first_key_value().map(|it| it.0.0)
    }

    /// Wakes those whose timer is due.
    pub fn wake_due(&self) {
        let Some(next) = self.next_timer() else { return };
        let now = clock::mono_now();
        if now < next {
            return;
        }
        let due = {
            let mut timers = self.timers.borrow_mut();
            let later = timers.split_off(&(MonoUs(now.0 + 1), 0));
            std::mem::replace(&mut *timers, later)
        };
        due.into_values().for_each(Waker::wake);
    }
}
