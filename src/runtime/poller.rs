//! Sockets that one thread watches by itself, outside any worker: it sleeps to the nanosecond, it
//! ends, and it learns which of its sockets are ready without a task for each.

use super::stream::Socket;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 256;
const NANOS_PER_MS: i64 = 1_000_000;

/// What can be done with a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Its number, as it was given to [`Poller::watch`].
    pub socket: u64,
    /// There is something to read, if only its end.
    pub is_readable: bool,
    /// There is room to write again.
    pub is_writable: bool,
}

/// An edge-triggered epoll of one thread.
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Watches a non-blocking socket under this number until it is closed. It is told of once each
    /// time it becomes ready, so it must be read until it would block.
    pub fn watch(&self, socket: &Socket, number: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(number), flags)?)
    }

    /// Waits until a socket is ready, at most this long, and adds those that are to `ready`.
    pub fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timespec = |it: Duration| Timespec {
            tv_sec: it.as_secs() as i64,
            tv_nsec: it.subsec_nanos().into(),
        };
        let mut timeout = timeout.map(timespec);
        // What waits for an epoll counts in milliseconds, rounded up; who waits for a descriptor
        // need not.
        if timeout.is_some_and(|it| it.tv_nsec % NANOS_PER_MS != 0) {
            let mut epoll = [PollFd::new(&self.epoll, PollFlags::IN)];
            match rustix::event::poll(&mut epoll, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => return Ok(()),
                Ok(_) => timeout = Some(timespec(Duration::ZERO)),
                Err(error) => return Err(error.into()),
            }
        }
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS_MAX];
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => ready.extend(events.iter().map(ready_of)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn ready_of(event: &epoll::Event) -> Ready {
    let flags = event.flags;
    let has_ended = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
    Ready {
        socket: event.data.u64(),
        is_readable: has_ended || flags.contains(EventFlags::IN),
        is_writable: has_ended || flags.contains(EventFlags::OUT),
    }
}

/// The calling thread's sleeps end on time, not up to 50 µs later.
pub fn sleep_precisely() {
    // Where the system refuses, sleeps are only less exact.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_socket_is_told_of_when_something_has_come() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has one").to_string();
        let socket = Socket::connect(&address, Duration::from_secs(1)).expect("it connects");
        let (mut peer, _) = listener.accept().expect("somebody connects");
        let (poller, mut ready) = (Poller::new().expect("epoll"), Vec::new());
        poller.watch(&socket, 7).expect("it is watched");
        poller.wait(Some(Duration::ZERO), &mut ready).expect("it waits");
        assert_eq!(ready, [Ready { socket: 7, is_readable: false, is_writable: true }]);
        peer.write_all(b"here").expect("it is open");
        ready.clear();
        poller.wait(None, &mut ready).expect("it waits");
        assert!(ready[0].is_readable && ready[0].socket == 7);
        let mut into = [0; 8];
        assert_eq!(socket.try_read(&mut into).expect("it reads"), 4);
        assert_eq!(socket.try_read(&mut into).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
