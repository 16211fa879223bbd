//! Queueing between MULTI and EXEC. EXEC is in `execute`.

use super::batch::BatchContext;
use super::caller::Caller;
use crate::base::ids::RouteId;
use crate::base::limits::QUERY_BYTES_MAX;
use crate::command::Flags;
use crate::command::codes::QUEUE_LIMIT;
use crate::commands::{Command, Handler, Outcome, table};
use crate::resp::Request;
use crate::session::{LastReply, Queue};

/// What a session command must not do while its caller holds a member.
pub const LOCKS_ANY: Flags = Flags::LOCKS_MASTER
    .union(Flags::LOCKS_MEMBERS)
    .union(Flags::CHANGES_MEMBERS)
    .union(Flags::APART);

/// A queue of reads alone, and the route that all of them are on.
pub struct QueuedReads {
    /// The reads.
    pub queue: Box<Queue>,
    /// Their route.
    pub route: RouteId,
}

/// Commands that are not queued.
pub fn runs_at_once(command: &Command) -> bool {
    matches!(command.spec.name, "EXEC" | "DISCARD" | "MULTI" | "WATCH" | "QUIT" | "RESET")
}

/// Whether any of these commands writes.
pub fn has_write(queue: &Queue) -> bool {
    queue.commands.iter().any(|(id, request)| table().get(*id).is_write(request.borrow()))
}

/// Whether a queued command can run within a transaction of the master. A session verb that locks
/// members, or changes what they are, cannot: it must find them unlocked, and the log complete.
/// Then EXEC is several transactions.
pub fn runs_within(command: &Command) -> bool {
    const CHANGES_ROLES: [&str; 4] = ["proxy|node", "replicaof", "slaveof", "shutdown"];
    match command.handler {
        Handler::Session(_) => {
            !command.spec.flags.intersects(LOCKS_ANY) && !CHANGES_ROLES.contains(&&*command.name)
        }
        _ => true,
    }
}

/// Whether EXEC lets go of the master in its midst, for a command that locks members.
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
