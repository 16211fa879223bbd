//! One connection's task: read, serve, write; wait when there is nothing to do. It decides nothing.

use super::desk::{Desk, at_desk};
use super::dispatch::serve;
use super::overflow::{Patience, is_too_much};
use super::visitor::{Stop, Visitor};
use crate::base::limits::READ_CHUNK_BYTES;
use crate::resp::Decoder;
use crate::runtime::{clock, tasks};
use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A connection between batches.
pub struct Connection {
    visitor: Visitor,
    decoder: Decoder,
    /// Input that has not been taken yet.
    pending: Vec<u8>,
    /// How much of the replies has been written.
    written: usize,
    /// How the last read ended: batches of what is left over from it do not change that.
    last_read: Read,
}

/// What a read says of what comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// There was room left: the socket is empty, and will tell when it no longer is.
    All,
    /// There was no room left: there may be more, of which nobody will tell.
    Full,
}

/// What to do before the next batch.
enum Next {
    /// Wait for input.
    Wait,
    /// There is more to do at once: it has waited already.
    Go,
    /// There is, or may be, more to do, after the others have had their turn.
    GiveWay,
}

impl Connection {
    /// A connection that has said nothing yet.
    pub fn new(visitor: Visitor) -> Connection {
        let decoder = Decoder::new(visitor.limits());
        Connection { visitor, decoder, pending: Vec::new(), written: 0, last_read: Read::All }
    }

    /// Serves it until it ends.
    pub async fn attend(mut self) {
        // What ends a connection early is the peer's doing, and the peer knows.
        if let Err(error) = self.serve_all().await {
            log::debug!("event=closed client={} why={error}", self.visitor.client.id);
        }
    }

    async fn serve_all(&mut self) -> io::Result<()> {
        let stream = self.visitor.client.stream.clone();
        let mut next = Next::Wait;
        let mut is_fed = false;
        loop {
            match next {
                Next::Go => {}
                Next::GiveWay => tasks::give_way().await,
                Next::Wait => {
                    stream.readable().await;
                    is_fed = false;
                }
            }
            let stop = at_desk(|desk| self.batch(desk, is_fed))?;
            if !self.visitor.reply.bytes().is_empty() {
                self.flush().await?;
            }
            is_fed = stop.is_some();
            next = match stop {
                None if self.last_read == Read::Full => Next::GiveWay,
                // Everything that had arrived is answered: the time to leave.
                None if self.visitor.house.is_closing() => return Ok(()),
                None => Next::Wait,
                Some(Stop::Flush) => Next::GiveWay,
                Some(Stop::Await(awaited)) => {
                    self.visitor.await_member(&awaited).await;
                    Next::Go
                }
                Some(Stop::Park(parked)) => {
                    self.visitor.stand(parked).await;
                    self.flush().await?;
                    Next::Go
                }
                Some(Stop::Held) => match self.visitor.until_released().await {
                    true => Next::Go,
                    false => return Ok(()),
                },
                Some(Stop::Close) => return Ok(()),
                Some(Stop::ShutDown) => {
                    log::info!("event=shutdown-asked client={}", self.visitor.client.id);
                    self.visitor.house.close();
                    return Ok(());
                }
            };
        }
    }

    /// One batch: reads unless there is input left (`is_fed`), serves, and writes what fits.
    /// Answers why it ended early, if it did.
    fn batch(&mut self, desk: &mut Desk, is_fed: bool) -> io::Result<Option<Stop>> {
        if self.visitor.reply.buffer().capacity() == 0 {
            *self.visitor.reply.buffer() = std::mem::take(&mut desk.output);
        }
        let done = match (is_fed, self.pending.is_empty()) {
            (true, _) => Ok(self.serve_pending(desk)),
            (false, true) => self.serve_fresh(desk),
            (false, false) => self.read_more().map(|()| self.serve_pending(desk)),
        };
        let stop = done?;
        self.write_what_fits()?;
        if self.written == 0 && self.visitor.reply.bytes().is_empty() {
            desk.return_output(std::mem::take(self.visitor.reply.buffer()));
        }
        Ok(stop)
    }

    /// Reads at the desk, so that a connection without unfinished requests keeps no buffer.
    fn serve_fresh(&mut self, desk: &mut Desk) -> io::Result<Option<Stop>> {
        let mut input = std::mem::take(&mut desk.input);
        let read = read_some(&self.visitor, &mut input);
        let done = read.map(|count| {
            let (taken, stop) = serve(&mut self.visitor, &mut self.decoder, &input[..count], desk);
            self.pending.extend_from_slice(&input[taken..count]);
            self.last_read = fullness(count, input.len());
            stop
        });
        desk.input = input;
        self.note_unread();
        done
    }

    fn serve_pending(&mut self, desk: &mut Desk) -> Option<Stop> {
        let (taken, stop) = serve(&mut self.visitor, &mut self.decoder, &self.pending, desk);
        if taken == self.pending.len() {
            self.pending = Vec::new();
        } else {
            self.pending.drain(..taken);
        }
        self.note_unread();
        stop
    }

    /// Reads behind an unfinished request. The buffer grows with what has arrived, and no further
    /// than a byte over its limit: that byte tells a request that is too long.
    fn read_more(&mut self) -> io::Result<()> {
        const CHUNK_BYTES_MAX: usize = 1 << 20;
        self.visitor.refresh();
        let most = self.visitor.settings.server.query_bytes_max;
        if most < self.pending.len() {
            log::warn!("event=query-buffer-limit client={}", self.visitor.client.id);
            return Err(ErrorKind::OutOfMemory.into());
        }
        let before = self.pending.len();
        let room = before.clamp(READ_CHUNK_BYTES, CHUNK_BYTES_MAX).min(most + 1 - before);
        self.pending.resize(before + room, 0);
        let read = read_some(&self.visitor, &mut self.pending[before..]);
        self.pending.truncate(before + read.as_ref().map_or(0, |it| *it));
        self.last_read = fullness(read?, room);
        Ok(())
    }

    fn note_unread(&self) {
        self.visitor.client.unread.store(self.pending.len() as u64, Relaxed);
    }

    fn write_what_fits(&mut self) -> io::Result<()> {
        let limit = self.visitor.settings.server.output_limits.normal;
        if is_too_much(limit, self.unsent()) {
            return Err(self.overflow());
        }
        while self.written < self.visitor.reply.bytes().len() {
            let rest = &self.visitor.reply.bytes()[self.written..];
            match self.visitor.client.stream.try_write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.visitor.house.counters.bytes_out.fetch_add(self.written as u64, Relaxed);
        self.written = 0;
        self.visitor.reply.clear();
        Ok(())
    }

    /// Bytes of replies that the peer has not taken.
    fn unsent(&self) -> u64 {
        (self.visitor.reply.bytes().len() - self.written) as u64
    }

    /// Writes all replies, waiting for a slow peer as long as its output limits allow. Meanwhile
    /// nothing is read from it.
    async fn flush(&mut self) -> io::Result<()> {
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        let mut patience = Patience::default();
        loop {
            self.write_what_fits()?;
            let unsent = self.unsent();
            self.visitor.client.unsent.store(unsent, Relaxed);
            if unsent == 0 {
                return Ok(());
            }
            self.visitor.refresh();
            let limit = self.visitor.settings.server.output_limits.normal;
            if patience.is_out(limit, unsent, clock::mono_now()) {
                return Err(self.overflow());
            }
            let stream = self.visitor.client.stream.clone();
            tasks::within(LOOK_EVERY, stream.writable()).await;
        }
    }

    /// The end of a client that does not take its replies.
    fn overflow(&self) -> io::Error {
        let (id, unsent) = (self.visitor.client.id, self.unsent());
        log::warn!("event=output-limit client={id} bytes={unsent}");
        self.visitor.house.counters.overflowed.fetch_add(1, Relaxed);
        ErrorKind::OutOfMemory.into()
    }
}

/// However a connection ends, a panic in its task included, nobody finds it on a list afterwards.
impl Drop for Connection {
    fn drop(&mut self) {
        self.visitor.unwatch_all();
        self.visitor.house.clients.leave(self.visitor.client.id);
        self.visitor.client.stream.close();
    }
}

/// Reads once; nothing there is as good as nothing read, the end is an error.
fn read_some(visitor: &Visitor, into: &mut [u8]) -> io::Result<usize> {
    match visitor.client.stream.try_read(into) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            visitor.house.counters.bytes_in.fetch_add(count as u64, Relaxed);
            Ok(count)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}

fn fullness(count: usize, room: usize) -> Read {
    if count == room { Read::Full } else { Read::All }
}
