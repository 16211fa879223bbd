//! Queueing between MULTI and EXEC. EXEC is in `execute`.

use super::batch::BatchContext;
use super::caller::Caller;
use crate::base::limits::QUERY_BYTES_MAX;
use crate::command::Group;
use crate::command::codes::QUEUE_LIMIT;
use crate::commands::{Command, Handler, Outcome, table};
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

/// Whether a queued command can run within a transaction of the master. A session verb that may
/// look at members cannot: it must find them unlocked, and the log complete.
pub fn runs_within(command: &Command) -> bool {
    let Handler::Session(_) = command.handler else { return true };
    // CLIENT PAUSE and CLIENT TRACKING wait for writes that are at work.
    let is_quiet = matches!(
        command.spec.group,
        Group::Connection | Group::Transactions | Group::Generic | Group::Pubsub
    );
    // These look at nothing.
    let is_known = command.name == "time" || command.spec.name == "COMMAND";
    (is_quiet && !["client|pause", "client|tracking"].contains(&&*command.name)) || is_known
}

/// Whether EXEC lets go of the master in its midst, for a command that looks at members.
pub fn looks_at_members(queue: &Queue) -> bool {
    queue.commands.iter().any(|it| !runs_within(table().get(it.0)))
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
