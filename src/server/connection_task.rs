//! One connection's task: read, serve, write; wait when there is nothing to do. It decides nothing.

use super::connection::{Connection, Stop};
use super::dispatch::serve;
use super::overflow::{Patience, is_too_much};
use super::scratch::{WorkerScratch, with_scratch};
use crate::base::limits::READ_CHUNK_BYTES;
use crate::resp::Decoder;
use crate::runtime::{clock, tasks};
use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A connection between batches.
pub struct ConnectionTask {
    connection: Connection,
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

impl ConnectionTask {
    /// A connection that has said nothing yet.
    pub fn new(connection: Connection) -> ConnectionTask {
        let decoder = Decoder::new(connection.limits());
        ConnectionTask {
            connection,
            decoder,
            pending: Vec::new(),
            written: 0,
            last_read: Read::All,
        }
    }

    /// Serves it until it ends.
    pub async fn attend(mut self) {
        // What ends a connection early is the peer's doing, and the peer knows.
        if let Err(error) = self.serve_all().await {
            log::debug!("event=closed client={} why={error}", self.connection.client.id);
        }
    }

    async fn serve_all(&mut self) -> io::Result<()> {
        let stream = self.connection.client.stream.clone();
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
            let stop = with_scratch(|scratch| self.batch(scratch, is_fed))?;
            if !self.connection.reply.bytes().is_empty() {
                self.flush().await?;
            }
            is_fed = stop.is_some();
            next = match stop {
                None if self.last_read == Read::Full => Next::GiveWay,
                // Everything that had arrived is answered: the time to leave.
                None if self.connection.server.is_closing() => return Ok(()),
                None => Next::Wait,
                Some(Stop::Flush) => Next::GiveWay,
                Some(Stop::Await(awaited)) => {
                    self.connection.await_member(&awaited).await;
                    Next::Go
                }
                Some(Stop::Park(parked)) => {
                    self.connection.stand(parked).await;
                    self.flush().await?;
                    Next::Go
                }
                Some(Stop::LockCache) => match self.connection.until_released().await {
                    true => Next::Go,
                    false => return Ok(()),
                },
                Some(Stop::Close) => return Ok(()),
                Some(Stop::ShutDown) => {
                    log::info!("event=shutdown-asked client={}", self.connection.client.id);
                    self.connection.server.close();
                    return Ok(());
                }
            };
        }
    }

    /// One batch: reads unless there is input left (`is_fed`), serves, and writes what fits.
    /// Answers why it ended early, if it did.
    fn batch(&mut self, scratch: &mut WorkerScratch, is_fed: bool) -> io::Result<Option<Stop>> {
        if self.connection.reply.buffer().capacity() == 0 {
            *self.connection.reply.buffer() = std::mem::take(&mut scratch.output);
        }
        let done = match (is_fed, self.pending.is_empty()) {
            (true, _) => Ok(self.serve_pending(scratch)),
            (false, true) => self.serve_fresh(scratch),
            (false, false) => self.read_more().map(|()| self.serve_pending(scratch)),
        };
        let stop = done?;
        self.write_what_fits()?;
        if self.written == 0 && self.connection.reply.bytes().is_empty() {
            scratch.return_output(std::mem::take(self.connection.reply.buffer()));
        }
        Ok(stop)
    }

    /// Reads at the scratch, so that a connection without unfinished requests keeps no buffer.
    fn serve_fresh(&mut self, scratch: &mut WorkerScratch) -> io::Result<Option<Stop>> {
        let mut input = std::mem::take(&mut scratch.input);
        let read = read_some(&self.connection, &mut input);
        let done = read.map(|count| {
            let (taken, stop) =
                serve(&mut self.connection, &mut self.decoder, &input[..count], scratch);
            self.pending.extend_from_slice(&input[taken..count]);
            self.last_read = fullness(count, input.len());
            stop
        });
        scratch.input = input;
        self.note_unread();
        done
    }

    fn serve_pending(&mut self, scratch: &mut WorkerScratch) -> Option<Stop> {
        let (taken, stop) = serve(&mut self.connection, &mut self.decoder, &self.pending, scratch);
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
        self.connection.refresh();
        let most = self.connection.settings.server.query_bytes_max;
        if most < self.pending.len() {
            log::warn!("event=query-buffer-limit client={}", self.connection.client.id);
            return Err(ErrorKind::OutOfMemory.into());
        }
        let before = self.pending.len();
        let room = before.clamp(READ_CHUNK_BYTES, CHUNK_BYTES_MAX).min(most + 1 - before);
        self.pending.resize(before + room, 0);
        let read = read_some(&self.connection, &mut self.pending[before..]);
        self.pending.truncate(before + read.as_ref().map_or(0, |it| *it));
        self.last_read = fullness(read?, room);
        Ok(())
    }

    fn note_unread(&self) {
        self.connection.client.unread.store(self.pending.len() as u64, Relaxed);
    }

    fn write_what_fits(&mut self) -> io::Result<()> {
        let limit = self.connection.settings.server.output_limits.normal;
        if is_too_much(limit, self.unsent()) {
            return Err(self.overflow());
        }
        while self.written < self.connection.reply.bytes().len() {
            let rest = &self.connection.reply.bytes()[self.written..];
            match self.connection.client.stream.try_write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.connection.server.counters.bytes_out.fetch_add(self.written as u64, Relaxed);
        self.written = 0;
        self.connection.reply.clear();
        Ok(())
    }

    /// Bytes of replies that the peer has not taken.
    fn unsent(&self) -> u64 {
        (self.connection.reply.bytes().len() - self.written) as u64
    }

    /// Writes all replies, waiting for a slow peer as long as its output limits allow. Meanwhile
    /// nothing is read from it.
    async fn flush(&mut self) -> io::Result<()> {
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        let mut patience = Patience::default();
        loop {
            self.write_what_fits()?;
            let unsent = self.unsent();
            self.connection.client.unsent.store(unsent, Relaxed);
            if unsent == 0 {
                return Ok(());
            }
            self.connection.refresh();
            let limit = self.connection.settings.server.output_limits.normal;
            if patience.is_out(limit, unsent, clock::mono_now()) {
                return Err(self.overflow());
            }
            let stream = self.connection.client.stream.clone();
            tasks::within(LOOK_EVERY, stream.writable()).await;
        }
    }

    /// The end of a client that does not take its replies.
    fn overflow(&self) -> io::Error {
        let (id, unsent) = (self.connection.client.id, self.unsent());
        log::warn!("event=output-limit client={id} bytes={unsent}");
        self.connection.server.counters.overflowed.fetch_add(1, Relaxed);
        ErrorKind::OutOfMemory.into()
    }
}

/// However a connection ends, a panic in its task included, nobody finds it on a list afterwards.
impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.connection.unwatch_all();
        self.connection.server.clients.leave(self.connection.client.id);
        self.connection.client.stream.close();
    }
}

/// Reads once; nothing there is as good as nothing read, the end is an error.
fn read_some(connection: &Connection, into: &mut [u8]) -> io::Result<usize> {
    match connection.client.stream.try_read(into) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            connection.server.counters.bytes_in.fetch_add(count as u64, Relaxed);
            Ok(count)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}

fn fullness(count: usize, room: usize) -> Read {
    if count == room { Read::Full } else { Read::All }
}
