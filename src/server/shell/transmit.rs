//! Replies leave: when, and how much of them at a time.

use super::Shell;
use crate::base::limits::SEND_BYTES_MAX;
use crate::runtime::{clock, tasks};
use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering::Relaxed;

/// Not more tasks of a worker: the links of its replicas, and hardly anybody beside.
const FEW_TASKS: usize = 3;

impl Shell {
    /// Sends replies, unless others go first.
    pub(super) fn transmit_in_turn(&mut self, ready_before: usize) -> io::Result<()> {
        let wrote = std::mem::take(&mut self.wrote);
        if !self.may_send && self.goes_last(wrote, ready_before) {
            self.may_send = true;
            return Ok(());
        }
        self.transmit()
    }

    /// Whether others have their turn before replies are sent.
    #[inline]
    fn goes_last(&self, wrote: bool, ready_before: usize) -> bool {
        let ready = tasks::count_ready();
        // What others have waited for goes out before the word that it is there.
        if wrote && ready_before < ready && ready <= FEW_TASKS {
            return true;
        }
        // Whoever reads at a replica on the wire what a reply has told of finds it there. That is
        // for a worker with little to do; where many clients write, replicas are sent all of it
        // together, behind the last of them.
        if wrote && self.server.set.has_wire_replicas() && ready <= FEW_TASKS {
            return true;
        }
        // The append-only file is written once for all of them.
        self.server.set.must_write_file() && ready != 0
    }

    /// Sends what fits. Replies past the limit are not begun with, however fast the peer might take
    /// them.
    fn transmit(&mut self) -> io::Result<()> {
        if self.server.set.must_write_file() {
            self.server.persistence.write_now();
        }
        self.is_full = false;
        self.may_send = false;
        let mut sent = 0;
        if self.connection.is_closed() {
            return Ok(());
        }
        if self.connection.has_much_to_send() {
            self.connection.check_output(clock::mono_now(), &mut self.actions);
            if self.connection.is_closed() {
                return Ok(());
            }
        }
        while let Some(bytes) = self.connection.poll_transmit() {
            let left = SEND_BYTES_MAX - sent;
            if left == 0 {
                self.may_send = true;
                break;
            }
            match self.stream.try_write(&bytes[..bytes.len().min(left)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    sent += count;
                    self.connection.transmitted(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_full = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if sent != 0 {
            self.server.counters.bytes_out.add(tasks::worker(), sent as u64);
            self.server.counters.writes.add(tasks::worker(), 1);
        }
        if self.is_full || self.may_send || self.was_full() {
            self.connection.check_output(clock::mono_now(), &mut self.actions);
        }
        Ok(())
    }

    /// Whether replies have waited for the peer until now.
    fn was_full(&self) -> bool {
        self.connection.caller.client.unsent.load(Relaxed) != 0
    }
}
