//! Queueing between MULTI and EXEC. EXEC is in `execute`.

use super::batch::BatchContext;
use super::caller::Caller;
use crate::base::limits::QUERY_BYTES_MAX;
use crate::command::codes::QUEUE_LIMIT;
use crate::commands::{Command, Outcome, table};
use crate::resp::Request;
use crate::session::{LastReply, Queue};

/// Commands that are not queued.
pub fn runs_at_once(command: &Command) -> bool {
    matches!(command.spec.name, "EXEC" | "DISCARD" | "MULTI" | "WATCH" | "QUIT" | "RESET")
}

/// Whether any of these commands writes.
pub fn has_write(queue: &Queue) -> bool {
    queue.commands.iter().any(|(id, request)| table().get(*id).is_write(request.borrow()))
}

impl Caller {
    /// Queues a command for EXEC.
    pub fn enqueue(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Outcome {
        let Some(queue) = &mut self.session.queue else { return Outcome::Answered };
        // What will be aborted need not be kept, and writes nothing.
        if !queue.is_poisoned {
            let owned = request.to_owned();
            queue.bytes += owned.footprint();
            if QUERY_BYTES_MAX < queue.bytes {
                return self.refuse(Some(command), QUEUE_LIMIT, context);
            }
            queue.commands.push((command.id, owned));
        }
        context.served += 1;
        self.session.last = LastReply::OWN;
        let mark = self.replies.mark();
        self.replies.out.simple("QUEUED");
        self.silence(mark);
        Outcome::Answered
    }
}
