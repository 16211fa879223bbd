//! A socket as hyper reads and writes it, with a deadline for whatever the peer owes us.

use crate::base::limits::{HTTP_ANSWER_S_MAX, HTTP_HEAD_S_MAX, HTTP_IDLE_S_MAX};
use crate::runtime::stream::Socket;
use async_io::{Async, Timer};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::cell::Cell;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const READ_BYTES: usize = 4 << 10;

/// What the peer is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has sent nothing since it connected.
    New,
    /// It has had its answers and has sent nothing since.
    Idle,
    /// It sends a head.
    Head,
    /// It waits for us.
    Answering,
}

/// What the peer is at, and since when.
pub struct Progress(Cell<(Stage, Instant)>);

impl Progress {
    /// Of a peer that has just connected.
    pub fn new() -> Progress {
        Progress(Cell::new((Stage::New, Instant::now())))
    }

    /// It has sent a whole request.
    pub fn begin_answer(&self) {
        self.enter(Stage::Answering);
    }

    /// It can read the answer, and send its next request.
    pub fn has_answer(&self) {
        self.enter(Stage::Idle);
    }

    fn enter(&self, stage: Stage) {
        self.0.set((stage, Instant::now()));
    }

    /// It has sent something.
    fn has_sent(&self) {
        if matches!(self.0.get().0, Stage::New | Stage::Idle) {
            self.enter(Stage::Head);
        }
    }

    /// When it must have sent what it is to send next.
    fn due(&self) -> Option<Instant> {
        let (stage, since) = self.0.get();
        let seconds = match stage {
            Stage::New | Stage::Head => HTTP_HEAD_S_MAX,
            Stage::Idle => HTTP_IDLE_S_MAX,
            Stage::Answering => return None,
        };
        Some(since + Duration::from_secs(seconds))
    }
}

/// The socket.
pub struct Transport {
    socket: Async<Socket>,
    progress: Rc<Progress>,
    /// When the peer must have read what is written, while it has not.
    unread_due: Option<Instant>,
    timer: Timer,
}

impl Transport {
    /// One over this socket.
    pub fn over(socket: Socket, progress: Rc<Progress>) -> io::Result<Transport> {
        let socket = Async::new(socket)?;
        Ok(Transport { socket, progress, unread_due: None, timer: Timer::never() })
    }

    /// An error once the peer is late; wakes the task then.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let due = [self.progress.due(), self.unread_due].into_iter().flatten().min();
        let Some(due) = due else { return Ok(()) };
        self.timer.set_at(due);
        match Pin::new(&mut self.timer).poll(context) {
            Poll::Ready(_) => Err(ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Read for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut bytes = [0; READ_BYTES];
        let room = into.remaining().min(READ_BYTES);
        loop {
            // Also while something comes: a head may come byte by byte.
            this.check(context)?;
            match this.socket.get_ref().try_read(&mut bytes[..room]) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(count) => {
                    this.progress.has_sent();
                    into.put_slice(&bytes[..count]);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            match this.socket.poll_readable(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Write for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            match this.socket.get_ref().try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            let due = || Instant::now() + Duration::from_secs(HTTP_ANSWER_S_MAX);
            this.unread_due.get_or_insert_with(due);
            this.check(context)?;
            match this.socket.poll_writable(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Hyper has written all that it had: the peer has an answer.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().unread_due = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().end_writing())
    }
}
