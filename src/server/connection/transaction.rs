//! Queueing between MULTI and EXEC. EXEC is in `execute`.

use super::batch::BatchContext;
use super::caller::Caller;
use crate::base::limits::QUERY_BYTES_MAX;
use crate::command::{Fault, Flags};
use crate::commands::{Command, Handler, Outcome, table};
use crate::resp::Request;
use crate::session::Queue;

/// Commands that are not queued.
pub fn runs_at_once(command: &Command) -> bool {
    matches!(command.spec.name, "EXEC" | "DISCARD" | "MULTI" | "WATCH" | "QUIT" | "RESET")
}

/// Whether any of these commands writes.
pub fn has_write(queue: &Queue) -> bool {
    queue.commands.iter().any(|(id, request)| table().get(*id).is_write(request.borrow()))
}

impl Caller {
    /// Whether a request is one of those that wait while writers are held back.
    pub fn would_write(&self, command: &Command, request: Request<'_>) -> bool {
        let is_exec = command.spec.name == "EXEC";
        command.is_write(request)
            || command.spec.flags.contains(Flags::MAY_REPLICATE)
            || (is_exec && self.session.queue.as_ref().is_some_and(has_write))
    }

    /// Whether a transaction must wait after all: with the master's lock held no new pause begins.
    pub fn holds_back(&mut self, queue: &Queue, context: &mut BatchContext<'_, '_>) -> bool {
        if !has_write(queue) {
            return false;
        }
        context.locks.write(context.set, context.member_list);
        self.refresh(context.now);
        self.is_paused(context.now, |_| true)
    }

    /// Queues a command for EXEC.
    pub fn enqueue(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Outcome {
        context.served += 1;
        if let Handler::Prefix = command.handler {
            let text = "ERR PROXY ONCE is not allowed inside a transaction: its commands run as \
                        one, at the master";
            return self.refuse(Some(command), Fault::Static(text), context);
        }
        if command.spec.flags.contains(Flags::NO_MULTI) {
            let fault = Fault::Static("ERR Command not allowed inside a transaction");
            return self.refuse(Some(command), fault, context);
        }
        if command.spec.flags.contains(Flags::FAR) {
            let text =
                "ERR MIGRATE is not allowed inside a transaction: it waits for another server";
            return self.refuse(Some(command), Fault::Static(text), context);
        }
        if command.is_write(request)
            && let Err(fault) = self.pass_gate(context)
        {
            return self.refuse(Some(command), fault, context);
        }
        let Some(queue) = &mut self.session.queue else { return Outcome::Answered };
        let owned = request.to_owned();
        queue.bytes += owned.footprint();
        if QUERY_BYTES_MAX < queue.bytes {
            let fault = Fault::Static("ERR the transaction is too large to queue");
            return self.refuse(Some(command), fault, context);
        }
        queue.commands.push((command.id, owned));
        let mark = self.replies.mark();
        self.replies.out.simple("QUEUED");
        self.silence(mark);
        Outcome::Answered
    }
}
