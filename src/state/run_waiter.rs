//! Who waits for what a real server answers.

use super::clients::Client;
use super::mailbox::{JobReply, Message};
use crate::base::ids::SlotId;
use futures::channel::oneshot::Sender;
use parking_lot::Mutex;
use std::sync::Arc;

/// Who waits for the replies of a run.
pub enum RunWaiter {
    /// A connection.
    Slot(Arc<Client>, SlotId),
    /// A task.
    Task(Sender<JobReply>),
    /// One of these, for whom several ask: the first answer is theirs.
    Shared(SharedWaiter),
}

/// Somebody who waits for the first of several answers.
#[derive(Clone)]
pub struct SharedWaiter(Arc<Mutex<Option<RunWaiter>>>);

impl From<Arc<Mutex<Option<RunWaiter>>>> for SharedWaiter {
    fn from(waiter: Arc<Mutex<Option<RunWaiter>>>) -> SharedWaiter {
        SharedWaiter(waiter)
    }
}

impl SharedWaiter {
    /// Whether it is answered, or nobody waits any more.
    pub fn has_gone(&self) -> bool {
        self.0.lock().as_ref().is_none_or(RunWaiter::has_gone)
    }
}

impl RunWaiter {
    /// Whether nobody waits any more.
    pub fn has_gone(&self) -> bool {
        match self {
            RunWaiter::Slot(client, _) => client.mailbox.is_closed(),
            RunWaiter::Task(sender) => sender.is_canceled(),
            RunWaiter::Shared(shared) => shared.has_gone(),
        }
    }

    /// These are the replies.
    pub fn answer(self, reply: JobReply) {
        match self {
            RunWaiter::Slot(client, slot) => client.mailbox.post(Message::Filled(slot, reply)),
            // Whoever has gone meanwhile hears nothing.
            RunWaiter::Task(sender) => drop(sender.send(reply)),
            RunWaiter::Shared(shared) => {
                let first = shared.0.lock().take();
                if let Some(waiter) = first {
                    waiter.answer(reply);
                }
            }
        }
    }
}
