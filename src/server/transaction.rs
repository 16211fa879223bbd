//! Queueing between MULTI and EXEC. EXEC is in `execute`.

use super::execute::is_write;
use super::visitor::{Shift, Stop, Visitor};
use crate::admin::{Command, Handler, table};
use crate::base::limits::{QUERY_BYTES_MAX, REQUEST_ARGS_MAX};
use crate::command::{Fault, Flags};
use crate::resp::{OwnedRequest, Request};
use crate::session::Queue;

/// Commands that are not queued.
pub fn runs_at_once(command: &Command) -> bool {
    matches!(command.spec.name, "EXEC" | "DISCARD" | "MULTI" | "WATCH" | "QUIT" | "RESET")
}

/// Whether any of these commands writes.
pub fn has_write(queue: &Queue) -> bool {
    queue.commands.iter().any(|(id, request)| is_write(table().get(*id), request.borrow()))
}

impl Visitor {
    /// Whether a request is one of those that wait while writers are held back.
    pub fn would_write(&self, command: &Command, request: Request<'_>) -> bool {
        let is_exec = command.spec.name == "EXEC";
        is_write(command, request)
            || command.spec.flags.has(Flags::MAY_REPLICATE)
            || (is_exec && self.session.queue.as_ref().is_some_and(has_write))
    }

    /// Whether a transaction must wait after all: with the master's lock held no new hold begins.
    pub fn holds_back(&mut self, queue: &Queue, shift: &mut Shift<'_, '_>) -> bool {
        if !has_write(queue) {
            return false;
        }
        shift.held.write(shift.set, shift.roster);
        self.refresh();
        self.is_held(|_| true)
    }

    /// Queues a command for EXEC.
    pub fn enqueue(
        &mut self,
        command: &Command,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Option<Stop> {
        shift.served += 1;
        if let Handler::Prefix = command.handler {
            let text = "ERR PROXY ONCE is not allowed inside a transaction: its commands run as \
                        one, at the master";
            return self.refuse(Some(command), Fault::Says(text), shift);
        }
        if command.spec.flags.has(Flags::NO_MULTI) {
            let fault = Fault::Says("ERR Command not allowed inside a transaction");
            return self.refuse(Some(command), fault, shift);
        }
        if command.spec.flags.has(Flags::FAR) {
            let text =
                "ERR MIGRATE is not allowed inside a transaction: it waits for another server";
            return self.refuse(Some(command), Fault::Says(text), shift);
        }
        if is_write(command, request)
            && let Err(fault) = self.pass_gate(shift)
        {
            return self.refuse(Some(command), fault, shift);
        }
        let queue = self.session.queue.as_mut()?;
        queue.bytes += request.iter().map(<[u8]>::len).sum::<usize>();
        if QUERY_BYTES_MAX < queue.bytes || REQUEST_ARGS_MAX <= queue.commands.len() {
            let fault = Fault::Says("ERR the transaction is too large to queue");
            return self.refuse(Some(command), fault, shift);
        }
        queue.commands.push((command.id, OwnedRequest::of(request.iter())));
        let mark = self.reply.mark();
        self.reply.simple("QUEUED");
        self.silence(mark);
        None
    }
}
