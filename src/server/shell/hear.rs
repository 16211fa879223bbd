//! A message that was published, where its subscriber has nothing else to do: it goes from the
//! publisher's hands to the socket, without a batch and without a copy. One message to thousands of
//! subscribers is thousands of such turns.

use super::Shell;
use crate::runtime::{clock, tasks};
use crate::state::Message;
use std::io::{self, ErrorKind};

impl Shell {
    /// Sends the message that has come, if that is all that has happened. Answers whether it was.
    #[inline]
    pub(super) fn hear(&mut self) -> io::Result<bool> {
        let mailbox = &self.connection.caller.client.mailbox;
        let may_be_more = self.may_read || self.may_send || self.is_full || self.has_peer_ended;
        if may_be_more || !mailbox.has_messages() || self.server.set.must_write_file() {
            return Ok(false);
        }
        let Some(most) = self.connection.hears_at_once() else { return Ok(false) };
        let Some(delivery) = mailbox.take_published(most) else { return Ok(false) };
        if let Some(bytes) = self.connection.hear(&delivery) {
            self.send(bytes)?;
        }
        Ok(true)
    }

    /// Keeps what was published for when all messages are taken, if it needs no batch. Answers
    /// whether it was.
    pub(super) fn keep_heard(&mut self, message: &Message) -> bool {
        let Message::Published(delivery) = message else { return false };
        if self.connection.room_to_hear().is_none_or(|it| it < delivery.len()) {
            return false;
        }
        if let Some(bytes) = self.connection.hear(delivery) {
            self.connection.keep_unsent(bytes);
        }
        true
    }

    /// Sends what fits into the socket, and keeps the rest.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = match self.stream.try_write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.server.counters.bytes_out.add(tasks::worker(), sent as u64);
        self.server.counters.writes.add(tasks::worker(), u64::from(sent != 0));
        if sent < bytes.len() {
            self.connection.keep_unsent(&bytes[sent..]);
            // A socket that has taken a part may take more: the turn that follows finds out.
            self.may_send = true;
            self.connection.check_output(clock::mono_now(), &mut self.actions);
        }
        Ok(())
    }
}
