//! Workers: threads with an epoll, a queue and timers of their own. A task stays on the worker it
//! was given to, so that nothing it touches moves between cores.
//!
//! ```text
//!   ┌─▶ take what others sent ─▶ poll the tasks that are ready ─▶ the turn's end ─┐
//!   │                                                                             │
//!   └── wake the tasks whose sockets or timers are ready ◀── epoll, with or without sleep
//! ```
//!
//! async-std's executor would move tasks from thread to thread, and its reactor makes three system
//! calls for every sleep; what is here makes one.

use super::clock;
use super::inbox::{Inbox, LocalTask, Spawn, TaskWaker};
use super::local::LOCAL;
use super::slots::Slots;
use super::sockets::{self, Sockets};
use super::{allocation, lazyfree};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::Duration;

/// What a worker does at the end of each turn. Answers whether there is more of it: then the worker
/// does not sleep.
pub type TurnEnd = Box<dyn FnMut() -> bool + Send>;

/// All workers, for who has tasks for them.
pub struct Workers {
    inboxes: Box<[Arc<Inbox>]>,
}

impl Workers {
    /// Starts `count` threads of this name, numbered from `first` on. `turn_end` says what each
    /// does at the end of its turns.
    pub fn start(
        name: &str,
        first: usize,
        count: usize,
        turn_end: impl Fn() -> TurnEnd,
    ) -> io::Result<Workers> {
        let start = |at| {
            let number = first + at;
            let inbox = Arc::new(Inbox::new(number)?);
            let epoll = sockets::open(inbox.bell())?;
            let (of_worker, turn_end) = (inbox.clone(), turn_end());
            let thread = std::thread::Builder::new().name(format!("{name}-{at}"));
            thread.spawn(move || Worker::new(of_worker, epoll, turn_end).run())?;
            lazyfree::add_owner(inbox.clone());
            Ok(inbox)
        };
        Ok(Workers { inboxes: (0..count).map(start).collect::<io::Result<_>>()? })
    }

    /// Gives the task that `make` makes to this worker, counted from the first. It is made there.
    pub fn spawn_at<T: Future<Output = ()> + 'static>(
        &self,
        worker: usize,
        make: impl FnOnce() -> T + Send + 'static,
    ) {
        let inbox = &self.inboxes[worker];
        inbox.tasks.fetch_add(1, Relaxed);
        inbox.spawn(Box::new(move || Box::pin(make())));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.inboxes.len()
    }

    /// The worker that has the fewest tasks.
    pub fn with_fewest(&self) -> usize {
        (0..self.inboxes.len()).min_by_key(|it| self.tasks_at(*it)).unwrap_or(0)
    }

    /// How many tasks a worker has.
    pub fn tasks_at(&self, worker: usize) -> usize {
        self.inboxes[worker].tasks.load(Relaxed)
    }
}

struct Task {
    future: LocalTask,
    handle: Arc<TaskWaker>,
    waker: Waker,
}

thread_local! {
    /// The worker that this thread is.
    static WORKER: OnceCell<Rc<Worker>> = const { OnceCell::new() };
    /// Turns within turns.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Gives all other tasks of this thread a turn, in the middle of the task at hand, which has not
/// ended and cannot be put aside. Answers whether it has: a thread that is no worker has none, and
/// turns within turns have an end.
pub fn let_others_in() -> bool {
    let depth = DEPTH.get();
    let Some(worker) = WORKER.with(|it| it.get().cloned()) else { return false };
    if TURNS_WITHIN_MAX <= depth {
        return false;
    }
    let _within = Within { depth };
    DEPTH.set(depth + 1);
    worker.turn(Some(Duration::ZERO));
    true
}

/// A turn within another. It ends however it does.
struct Within {
    depth: usize,
}

impl Drop for Within {
    fn drop(&mut self) {
        DEPTH.set(self.depth);
    }
}

/// How many turns of this thread are under way within others.
pub fn turns_within() -> usize {
    DEPTH.get()
}

/// How often a turn polls what is ready.
const ROUNDS: usize = 2;

/// Turns within turns at most: each has a stack of its own below the next.
const TURNS_WITHIN_MAX: usize = 3;

/// A worker at work. Nothing of it is borrowed while a task is polled or a turn ends, so that a
/// task can let the others have a turn within its own.
struct Worker {
    inbox: Arc<Inbox>,
    tasks: RefCell<Slots<Task>>,
    /// Absent while it is at work.
    turn_end: RefCell<Option<TurnEnd>>,
}

impl Worker {
    /// The calling thread becomes it.
    fn new(inbox: Arc<Inbox>, epoll: OwnedFd, turn_end: TurnEnd) -> Rc<Worker> {
        allocation::begin_worker();
        LOCAL.with(|it| it.begin(inbox.number, Sockets::new(epoll)));
        let turn_end = RefCell::new(Some(turn_end));
        let worker = Rc::new(Worker { inbox, tasks: RefCell::default(), turn_end });
        WORKER.with(|it| it.get_or_init(|| worker).clone())
    }

    /// Never ends.
    fn run(&self) {
        loop {
            self.turn(None);
        }
    }

    /// One turn, which waits `at_most` for something to do.
    #[inline(always)]
    fn turn(&self, at_most: Option<Duration>) {
        self.take_inbox();
        self.poll_ready();
        let has_more = self.end_turn();
        self.wait(has_more, at_most);
    }

    fn end_turn(&self) -> bool {
        let Some(mut turn_end) = self.turn_end.take() else { return false };
        let has_more = turn_end();
        self.turn_end.replace(Some(turn_end));
        has_more
    }

    fn take_inbox(&self) {
        if !self.inbox.has_any() {
            return;
        }
        let (woken, spawned) = self.inbox.take();
        self.inbox.take_back();
        LOCAL.with(|local| woken.into_iter().for_each(|it| local.make_ready(it)));
        spawned.into_iter().for_each(|it| self.begin(it));
    }

    fn begin(&self, make: Spawn) {
        let inbox = &self.inbox;
        let future = make();
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.enter(|task| {
            let handle = Arc::new(TaskWaker::new(task, inbox.clone()));
            Task { future, waker: handle.clone().into(), handle }
        });
        if let Some(task) = tasks.get(task) {
            task.waker.wake_by_ref();
        }
    }

    /// Polls the tasks that are ready now, and those that they make ready: who was served or told
    /// something need not wait for a system call. What becomes ready then has its turn after the
    /// sockets of others have been looked at.
    fn poll_ready(&self) {
        for _ in 0..ROUNDS {
            for _ in 0..LOCAL.with(|it| it.count_ready()) {
                if let Some(task) = LOCAL.with(|it| it.next_ready()) {
                    self.poll(task);
                }
            }
        }
    }

    fn poll(&self, number: u64) {
        let taken = self.tasks.borrow_mut().take(number);
        let Some(mut task) = taken else { return self.poll_later(number) };
        // Whoever wakes it from here on has it polled again.
        task.handle.begin();
        let mut context = Context::from_waker(&task.waker);
        let poll = AssertUnwindSafe(|| task.future.as_mut().poll(&mut context));
        // A task that panics has ended; the panic hook has told of it.
        if catch_unwind(poll).is_ok_and(|it| it.is_pending()) {
            return self.tasks.borrow_mut().put_back(number, task);
        }
        // What it leaves behind may panic as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
        self.tasks.borrow_mut().leave(number);
        self.inbox.tasks.fetch_sub(1, Relaxed);
    }

    /// It is at work in a turn around this one, or has ended.
    #[cold]
    fn poll_later(&self, number: u64) {
        if self.tasks.borrow().is_taken(number) {
            LOCAL.with(|it| it.make_ready(number));
        }
    }

    /// Waits for sockets, timers and others, unless there is something to do already.
    fn wait(&self, has_more: bool, at_most: Option<Duration>) {
        let is_busy = has_more || LOCAL.with(|it| it.count_ready() != 0);
        let timeout = if at_most.is_some() {
            at_most
        } else if is_busy || !self.inbox.may_sleep() {
            Some(Duration::ZERO)
        } else {
            LOCAL.with(|it| it.next_timer()).map(clock::until)
        };
        LOCAL.with(|it| it.sockets().map(|it| it.wait(timeout)));
        self.inbox.is_awake();
        LOCAL.with(|it| it.wake_due());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tasks::{self, Alarm};
    use std::future::poll_fn;
    use std::sync::mpsc::channel;
    use std::task::Poll;

    fn workers(count: usize) -> Workers {
        Workers::start("worker", 0, count, || Box::new(|| false)).expect("threads can be started")
    }

    #[test]
    fn tasks_go_to_the_worker_that_has_the_fewest_and_stay_there() {
        let (workers, (tell, told)) = (workers(2), channel());
        for _ in 0..4 {
            let tell = tell.clone();
            workers.spawn_at(workers.with_fewest(), move || async move {
                let first = tasks::worker();
                tasks::give_way().await;
                tell.send((first, tasks::worker())).expect("the test waits");
                std::future::pending::<()>().await;
            });
        }
        let mut all: Vec<_> = told.iter().take(4).collect();
        all.sort();
        assert_eq!(all, [(0, 0), (0, 0), (1, 1), (1, 1)]);
    }

    #[test]
    fn a_task_is_woken_by_another_thread_and_by_its_alarm() {
        let (workers, (tell, told), (give, given)) = (workers(1), channel(), channel());
        let thread_tell = tell.clone();
        workers.spawn_at(workers.with_fewest(), move || async move {
            let mut given_waker = false;
            poll_fn(|context| {
                if given_waker {
                    return Poll::Ready(());
                }
                given_waker = true;
                give.send(context.waker().clone()).expect("the test waits");
                Poll::Pending
            })
            .await;
            thread_tell.send("woken").expect("the test waits");
            let (mut alarm, due) =
                (Alarm::default(), clock::mono_now().plus(Duration::from_millis(3)));
            poll_fn(|context| alarm.poll(Some(due), context)).await;
            assert!(due <= clock::mono_now());
            thread_tell.send("alarm").expect("the test waits");
        });
        given.recv().expect("the task gives its waker").wake();
        assert_eq!([told.recv(), told.recv()], [Ok("woken"), Ok("alarm")]);
        drop(tell);
    }

    #[test]
    fn a_task_that_panics_ends_alone() {
        let (workers, (tell, told)) = (workers(1), channel());
        workers.spawn_at(workers.with_fewest(), || async { panic!("planted") });
        workers.spawn_at(workers.with_fewest(), move || async move {
            tell.send(7).expect("the test waits")
        });
        assert_eq!(told.recv(), Ok(7));
    }
}
