//! Which sockets of a worker are ready: one edge-triggered epoll per worker, in which a socket is
//! registered once, for good.

use super::slots::Slots;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 256;
/// The number of the worker's bell, which no socket has.
const BELL: u64 = u64::MAX;

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;

/// What is known of one socket.
#[derive(Default)]
pub struct Readiness {
    ready: Cell<u8>,
    /// What its task waits for.
    awaited: Cell<u8>,
    has_ended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Readiness {
    /// Ready when the socket has become readable since this was last ready.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(READABLE, context)
    }

    /// Ready when the socket has become writable since this was last ready.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(WRITABLE, context)
    }

    /// Whether the peer has hung up, or the socket has failed. What it had sent before may still
    /// have to be read.
    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Something is to be read of which the system will not tell.
    pub fn note_unread(&self) {
        self.ready.set(self.ready.get() | READABLE);
        if let (true, Some(waker)) = (self.awaited.get() & READABLE != 0, &*self.waker.borrow()) {
            waker.wake_by_ref();
        }
    }

    fn poll(&self, kind: u8, context: &mut Context<'_>) -> Poll<()> {
        // An edge is told of once, so it is taken before the socket is tried.
        if self.ready.get() & kind != 0 {
            self.ready.set(self.ready.get() & !kind);
            self.awaited.set(self.awaited.get() & !kind);
            return Poll::Ready(());
        }
        self.awaited.set(self.awaited.get() | kind);
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|it| it.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    fn tell(&self, flags: EventFlags) {
        let ended = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
        let mut ready = self.ready.get();
        if ended || flags.contains(EventFlags::IN) {
            ready |= READABLE;
        }
        if ended || flags.contains(EventFlags::OUT) {
            ready |= WRITABLE;
        }
        self.ready.set(ready);
        if ended {
            self.has_ended.set(true);
        }
        if let (true, Some(waker)) = (ready & self.awaited.get() != 0, &*self.waker.borrow()) {
            waker.wake_by_ref();
        }
    }
}

/// The sockets of one worker.
pub struct Sockets {
    epoll: OwnedFd,
    all: RefCell<Slots<Rc<Readiness>>>,
}

/// An epoll that is told when this bell is rung.
pub fn open(bell: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    // By its edges: it need not be read.
    epoll::add(&epoll, bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
    Ok(epoll)
}

impl Sockets {
    /// No sockets yet.
    pub fn new(epoll: OwnedFd) -> Sockets {
        Sockets { epoll, all: RefCell::default() }
    }

    /// Watches a non-blocking socket from now on, until it is closed or taken out. Answers what is
    /// known of it, and its number.
    pub fn watch(&self, socket: impl AsFd) -> io::Result<(Rc<Readiness>, u64)> {
        let readiness = Rc::new(Readiness::default());
        let number = self.all.borrow_mut().enter(|_| readiness.clone());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if let Err(error) = epoll::add(&self.epoll, socket, EventData::new_u64(number), flags) {
            self.leave(number);
            return Err(error.into());
        }
        Ok((readiness, number))
    }

    /// The socket of this number is not watched any more. Its descriptor is closed next, or taken
    /// out.
    pub fn leave(&self, number: u64) {
        self.all.borrow_mut().leave(number);
    }

    /// Takes a socket out that lives on.
    pub fn take_out(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits until a socket is ready or the bell rings, at most this long, and wakes the tasks of
    /// those that are ready.
    pub fn wait(&self, timeout: Option<Duration>) {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS_MAX];
        let timeout = timeout
            .map(|it| Timespec { tv_sec: it.as_secs() as i64, tv_nsec: it.subsec_nanos().into() });
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => {
                let all = self.all.borrow();
                let of_sockets = events.iter().map(|it| (it.data.u64(), it.flags));
                of_sockets
                    .filter_map(|(number, flags)| Some((all.get(number)?, flags)))
                    .for_each(|(readiness, flags)| readiness.tell(flags));
            }
            Err(Errno::INTR) => {}
            Err(error) => log::error!("event=epoll-failed why={error}"),
        }
    }
}
