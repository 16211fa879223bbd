//! What other threads send to a worker: tasks of its own that are to be polled, and new tasks. A
//! worker that sleeps is woken by its bell, an eventfd in its epoll.

use super::allocation;
use super::local::LOCAL;
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::task::Wake;

/// A task that never leaves its worker.
pub type LocalTask = Pin<Box<dyn Future<Output = ()>>>;

/// Makes a task on the worker it is for.
pub type Spawn = Box<dyn FnOnce() -> LocalTask + Send>;

/// A worker's inbox.
pub struct Inbox {
    /// Number of the worker.
    pub number: usize,
    /// How many tasks it has, those on their way included.
    pub tasks: AtomicUsize,
    content: Mutex<Content>,
    has_any: AtomicBool,
    /// Others have freed memory of the worker.
    must_take_back: AtomicBool,
    is_asleep: AtomicBool,
    bell: OwnedFd,
}

#[derive(Default)]
struct Content {
    woken: Vec<u64>,
    spawned: Vec<Spawn>,
}

impl Inbox {
    /// The inbox of the worker of this number, which is awake.
    pub fn new(number: usize) -> io::Result<Inbox> {
        Ok(Inbox {
            number,
            tasks: AtomicUsize::new(0),
            content: Mutex::default(),
            has_any: AtomicBool::new(false),
            must_take_back: AtomicBool::new(false),
            is_asleep: AtomicBool::new(false),
            bell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
        })
    }

    /// What becomes readable when the worker is to wake.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Sends a new task.
    pub fn spawn(&self, make: Spawn) {
        self.put(|it| it.spawned.push(make));
    }

    fn put(&self, put: impl FnOnce(&mut Content)) {
        put(&mut self.content.lock());
        self.ring();
    }

    fn ring(&self) {
        // The worker says that it sleeps before it looks whether there is anything: one of the two
        // sees the other.
        self.has_any.store(true, SeqCst);
        if self.is_asleep.swap(false, SeqCst) {
            // It is full only when it has rung so often that the worker must wake.
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }

    /// Has the worker take back what others have freed of its memory. Allocates nothing and waits
    /// for nobody: it is called from within the allocator.
    pub fn ask_to_take_back(&self) {
        self.must_take_back.store(true, SeqCst);
        self.ring();
    }

    /// Whether the worker has, since it was asked last.
    pub fn has_taken_back(&self) -> bool {
        !self.must_take_back.load(SeqCst)
    }

    /// The worker takes back what others have freed of its memory, if it was asked to.
    pub fn take_back(&self) {
        if self.must_take_back.load(Relaxed) {
            allocation::take_back();
            self.must_take_back.store(false, SeqCst);
        }
    }

    /// Whether something has come.
    #[inline]
    pub fn has_any(&self) -> bool {
        self.has_any.load(Relaxed)
    }

    /// Takes the tasks to poll and the new tasks.
    pub fn take(&self) -> (Vec<u64>, Vec<Spawn>) {
        self.has_any.store(false, SeqCst);
        let Content { woken, spawned } = std::mem::take(&mut *self.content.lock());
        (woken, spawned)
    }

    /// The worker is about to sleep: who has something for it rings from now on. Answers whether it
    /// may.
    pub fn may_sleep(&self) -> bool {
        self.is_asleep.store(true, SeqCst);
        !self.has_any.load(SeqCst)
    }

    /// The worker looks by itself again.
    pub fn is_awake(&self) {
        self.is_asleep.store(false, Relaxed);
    }
}

/// Has a task polled again, whichever thread asks for it.
pub struct TaskWaker {
    task: u64,
    inbox: Arc<Inbox>,
    is_ready: AtomicBool,
}

impl TaskWaker {
    /// Of the task of this number, on the worker of this inbox.
    pub fn new(task: u64, inbox: Arc<Inbox>) -> TaskWaker {
        TaskWaker { task, inbox, is_ready: AtomicBool::new(false) }
    }

    /// It is polled now: what happens from here on has it polled again.
    pub fn begin(&self) {
        self.is_ready.store(false, SeqCst);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_ready.swap(true, SeqCst) {
            return;
        }
        let is_here = LOCAL.try_with(|local| {
            let is_here = local.worker() == Some(self.inbox.number);
            if is_here {
                local.make_ready(self.task);
            }
            is_here
        });
        if is_here != Ok(true) {
            self.inbox.put(|it| it.woken.push(self.task));
        }
    }
}
