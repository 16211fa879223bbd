//! Which client sockets are ready: one edge-triggered epoll, watched by one task.
//!
//! The reactor under async-std is told anew of every wait (an `epoll_ctl` each), and sets a timer
//! and reads an event for every turn. Here a socket is registered once, for good. While there is
//! work the watch only asks what else is ready; when there is none, it sleeps in async-std's
//! reactor, on the epoll's own descriptor.

use async_io::Async;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 256;
/// Empty looks in a row before the watch goes to sleep.
const EMPTY_LOOKS_MAX: usize = 2;

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;

/// What is known of one socket's readiness.
#[derive(Default)]
pub struct Readiness {
    ready: AtomicU8,
    reader: AtomicWaker,
    writer: AtomicWaker,
    has_ended: AtomicBool,
}

impl Readiness {
    /// Ready when the socket has become readable since this was last ready.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(READABLE, &self.reader, context)
    }

    /// Ready when the socket has become writable since this was last ready.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(WRITABLE, &self.writer, context)
    }

    /// Whether the peer has hung up, or the socket has failed. What it had sent before may still
    /// have to be read.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Acquire)
    }

    fn poll(&self, kind: u8, waker: &AtomicWaker, context: &mut Context<'_>) -> Poll<()> {
        if self.take(kind) {
            return Poll::Ready(());
        }
        waker.register(context.waker());
        if self.take(kind) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// An edge is reported once, so it is taken before the socket is tried.
    fn take(&self, kind: u8) -> bool {
        self.ready.fetch_and(!kind, AcqRel) & kind != 0
    }

    fn tell(&self, flags: EventFlags) {
        let ended = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
        let mut kinds = 0;
        if ended || flags.contains(EventFlags::IN) {
            kinds |= READABLE;
        }
        if ended {
            self.has_ended.store(true, Release);
        }
        if ended || flags.contains(EventFlags::OUT) {
            kinds |= WRITABLE;
        }
        self.ready.fetch_or(kinds, AcqRel);
        if kinds & READABLE != 0 {
            self.reader.wake();
        }
        if kinds & WRITABLE != 0 {
            self.writer.wake();
        }
    }
}

/// The sockets that are watched.
struct Watch {
    epoll: Async<File>,
    sockets: Mutex<Sockets>,
}

/// Places for sockets. A place that is used again has a new turn, so that an event that was already
/// on its way finds nobody.
#[derive(Default)]
struct Sockets {
    places: Vec<(u32, Option<Arc<Readiness>>)>,
    free: Vec<u32>,
}

impl Sockets {
    fn enter(&mut self, readiness: Arc<Readiness>) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (turn, held) = &mut self.places[place as usize];
        *held = Some(readiness);
        u64::from(*turn) << 32 | u64::from(place)
    }

    fn leave(&mut self, key: u64) {
        let place = key as u32;
        let (turn, held) = &mut self.places[place as usize];
        *turn = turn.wrapping_add(1);
        *held = None;
        self.free.push(place);
    }

    fn get(&self, key: u64) -> Option<&Arc<Readiness>> {
        let (turn, held) = self.places.get(key as u32 as usize)?;
        held.as_ref().filter(|_| *turn == (key >> 32) as u32)
    }
}

/// A socket's place in the watch; gives it up when dropped.
pub struct Registration {
    /// What is known of the socket.
    pub readiness: Arc<Readiness>,
    key: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Closing the descriptor takes it out of the epoll; only the place is ours to free.
        if let Ok(watch) = watch() {
            watch.sockets.lock().leave(self.key);
        }
    }
}

/// Watches a non-blocking socket from now until the registration and the socket are dropped.
pub fn register(socket: impl AsFd) -> io::Result<Registration> {
    let watch = watch()?;
    let readiness = Arc::new(Readiness::default());
    let key = watch.sockets.lock().enter(readiness.clone());
    let registration = Registration { readiness, key };
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    epoll::add(watch.epoll.get_ref(), socket, EventData::new_u64(key), flags)?;
    Ok(registration)
}

fn watch() -> io::Result<&'static Watch> {
    static WATCH: OnceLock<Result<Watch, io::ErrorKind>> = OnceLock::new();
    let watch = WATCH.get_or_init(|| open().map_err(|it| it.kind()));
    watch.as_ref().map_err(|it| (*it).into())
}

fn open() -> io::Result<Watch> {
    let epoll = File::from(epoll::create(CreateFlags::CLOEXEC)?);
    super::tasks::spawn(look());
    Ok(Watch { epoll: Async::new(epoll)?, sockets: Mutex::default() })
}

/// The watch's task.
async fn look() {
    let mut empty = 0;
    loop {
        super::tasks::give_way().await;
        let Ok(watch) = watch() else { return };
        match watch.collect() {
            Ok(0) => empty += 1,
            Ok(_) => empty = 0,
            Err(error) => log::error!("event=epoll-failed why={error}"),
        }
        if EMPTY_LOOKS_MAX <= empty {
            empty = 0;
            if let Err(error) = watch.epoll.readable().await {
                log::error!("event=epoll-failed why={error}");
            }
        }
    }
}

impl Watch {
    /// Takes what is ready now and wakes who waits for it. Answers how many events there were.
    fn collect(&self) -> io::Result<usize> {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS_MAX];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let (events, _) = match epoll::wait(self.epoll.get_ref(), &mut events, Some(&now)) {
            Ok(events) => events,
            Err(rustix::io::Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let sockets = self.sockets.lock();
        for event in events.iter() {
            if let Some(readiness) = sockets.get(event.data.u64()) {
                readiness.tell(event.flags);
            }
        }
        Ok(events.len())
    }
}
