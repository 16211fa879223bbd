//! Who waits for what a real server answers.

use super::clients::Client;
use super::mailbox::{JobReply, Message};
use crate::base::ids::SlotId;
use futures::channel::oneshot::Sender;
use std::sync::Arc;

/// Who waits for the replies of a run.
pub enum RunWaiter {
    /// A connection.
    Slot(Arc<Client>, SlotId),
    /// A task.
    Task(Sender<JobReply>),
}

impl RunWaiter {
    /// Whether nobody waits any more.
    pub fn has_gone(&self) -> bool {
        match self {
            RunWaiter::Slot(client, _) => client.mailbox.is_closed(),
            RunWaiter::Task(sender) => sender.is_canceled(),
        }
    }

    /// These are the replies.
    pub fn answer(self, reply: JobReply) {
        match self {
            RunWaiter::Slot(client, slot) => client.mailbox.post(Message::Filled(slot, reply)),
            // Whoever has gone meanwhile hears nothing.
            RunWaiter::Task(sender) => drop(sender.send(reply)),
        }
    }
}
