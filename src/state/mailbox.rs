//! What others hand to a connection: messages from any thread, taken by the connection's own task.
//!
//! A mailbox is bounded. The replies and wake-ups that a connection has asked for are at most a few
//! at a time; what others push is not, so a client that does not take its pushes loses its
//! connection, and nobody else notices.

use crate::base::ids::{BlockId, SlotId};
use crate::base::limits::{
    MAILBOX_BYTES_MAX, MAILBOX_MESSAGE_BYTES, MAILBOX_PUSH_BYTES, MAILBOX_TAKEN_MAX,
    TOLD_BETWEEN_BYTES,
};
use crate::base::position::Offset;
use crate::node::Told;
use crate::pubsub::Delivery;
use crate::pubsub::tracking::Invalidation;
use crate::resp::{Protocol, Reply};
use bytes::Bytes;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::task::Waker;

/// How CLIENT UNBLOCK ends a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnblockAs {
    /// As if its time were up.
    Timeout,
    /// With an error.
    Error,
}

/// What a call is told that CLIENT UNBLOCK ends with an error.
pub const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// Where something ends that a job has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrote {
    /// In the set's own log.
    Here(Offset),
    /// In the stream of the remote master.
    There(Told),
}

/// What came of a job that ran apart.
#[derive(Debug)]
pub struct JobReply {
    /// The reply: `Err` carries the text of an error.
    pub reply: Result<Vec<u8>, String>,
    /// Where the writes end that the job has made for its client, if it has made any.
    pub wrote: Option<Wrote>,
}

impl JobReply {
    /// A reply of one line.
    pub fn line(text: &str) -> Vec<u8> {
        let mut reply = Reply::new(Protocol::Resp2);
        reply.simple(text);
        reply.into_bytes()
    }
}

/// A change of what is cached.
#[derive(Debug)]
pub enum ToldChange {
    /// Keys that the client caches have changed.
    Own(Arc<Invalidation>),
    /// Keys have changed that another client caches, in whose place this one is told.
    ForAnother(Arc<Invalidation>),
    /// The client of this number, which was told in this one's place, has gone.
    RedirectBroken(u64),
}

impl ToldChange {
    /// About how long it is when it is sent.
    fn len(&self) -> usize {
        match self {
            ToldChange::Own(told) | ToldChange::ForAnother(told) => told.len(),
            ToldChange::RedirectBroken(_) => 0,
        }
    }
}

/// One thing that is handed to a connection.
#[derive(Debug)]
pub enum Message {
    /// The reply that this slot waits for.
    Filled(SlotId, JobReply),
    /// This wait for keys has ended: its reply, and what was written for it.
    Served(BlockId, JobReply),
    /// Bytes that belong to no request.
    Push(Bytes),
    /// A command, as MONITOR shows it.
    Shown(Bytes),
    /// What was published on something that it subscribes to.
    Published(Arc<Delivery>),
    /// What is cached has changed.
    Told(ToldChange),
    /// This wait has ended.
    Woken(BlockId),
    /// Who was about to serve its wait has found nothing for it: the wait goes on.
    Disclaimed,
    /// CLIENT UNBLOCK has ended this wait.
    Unblocked(BlockId, UnblockAs),
    /// CLIENT KILL, or an idle client's time is up. It is taken before all that waits to be taken.
    Killed,
    /// The client's user has other rules: what it subscribes to may be nothing for it any more.
    RulesChanged,
    /// The client's user is no more, by its own word: it ends when it has its answer.
    UserGone,
    /// The proxy shuts down.
    ServerClosing,
}

impl Message {
    fn is_told(&self) -> bool {
        matches!(self, Message::Told(_))
    }

    /// What it counts for while it waits.
    fn weight(&self) -> usize {
        match self {
            Message::Push(bytes) | Message::Shown(bytes) => MAILBOX_PUSH_BYTES + bytes.len(),
            Message::Told(told) => MAILBOX_PUSH_BYTES + told.len(),
            Message::Published(delivery) => MAILBOX_PUSH_BYTES + delivery.len(),
            _ => MAILBOX_MESSAGE_BYTES,
        }
    }
}

/// A connection's mailbox.
#[derive(Default)]
pub struct Mailbox {
    has_messages: AtomicBool,
    published: AtomicU64,
    queue: Mutex<Queue>,
    gone: Event,
}

#[derive(Default)]
struct Queue {
    /// The only message, where it was published and stands alone: most do, and need no list.
    only: Option<Arc<Delivery>>,
    messages: VecDeque<Message>,
    /// Who is woken by every message. It stays: a task that is about to be polled is woken for
    /// nothing but a look.
    owner: Option<Waker>,
    /// Of all messages together.
    weight: usize,
    has_overflowed: bool,
    is_closed: bool,
}

impl Mailbox {
    /// Leaves a message and wakes the connection. Nothing is kept for one that has gone.
    pub fn post(&self, message: Message) {
        let mut queue = self.queue.lock();
        if queue.is_closed || queue.has_overflowed {
            return;
        }
        if let Message::Published(_) = message {
            // Nobody else counts them while this holds the lock.
            self.published.store(self.published.load(Relaxed) + 1, Relaxed);
        }
        queue.put(message);
        self.has_messages.store(true, Release);
        if let Some(owner) = &queue.owner {
            owner.wake_by_ref();
        }
    }

    /// How many messages that were published have come so far.
    pub fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// What waits to be taken counts for so many bytes.
    pub fn bytes(&self) -> usize {
        self.queue.lock().weight
    }

    /// Whether there is something to take.
    #[inline]
    pub fn has_messages(&self) -> bool {
        self.has_messages.load(Acquire)
    }

    /// Takes the messages there are, as many as are handled in one turn: the worker has others to
    /// serve. `Err` when there were more than a mailbox holds: the connection is to be closed.
    pub fn take(&self) -> Result<VecDeque<Message>, MailboxOverflow> {
        let mut queue = self.queue.lock();
        queue.list_only();
        let is_all = queue.messages.len() <= MAILBOX_TAKEN_MAX;
        self.has_messages.store(!is_all, Release);
        if queue.has_overflowed {
            return Err(MailboxOverflow);
        }
        if is_all {
            queue.weight = 0;
            return Ok(std::mem::take(&mut queue.messages));
        }
        let taken: VecDeque<Message> = queue.messages.drain(..MAILBOX_TAKEN_MAX).collect();
        queue.weight -= taken.iter().map(Message::weight).sum::<usize>();
        Ok(taken)
    }

    /// Takes what it is told of cached keys before all other messages, as much as is told between
    /// two requests: whoever asks may hold the master.
    pub fn take_told(&self) -> Vec<ToldChange> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let mut queue = self.queue.lock();
        while taken.len() < MAILBOX_TAKEN_MAX
            && bytes < TOLD_BETWEEN_BYTES
            && queue.messages.front().is_some_and(Message::is_told)
        {
            if let Some(Message::Told(told)) = queue.messages.pop_front() {
                queue.weight -= MAILBOX_PUSH_BYTES + told.len();
                bytes += told.len();
                taken.push(told);
            }
        }
        self.has_messages.store(!queue.is_empty(), Release);
        taken
    }

    /// Whether the first message is that its wait has been served.
    pub fn begins_with_served(&self) -> bool {
        matches!(self.queue.lock().messages.front(), Some(Message::Served(..)))
    }

    /// Takes the only message there is, if it was published and is not longer than `most`.
    #[inline]
    pub fn take_published(&self, most: usize) -> Option<Arc<Delivery>> {
        let mut queue = self.queue.lock();
        let only = queue.only.take_if(|it| it.len() <= most)?;
        queue.weight = 0;
        self.has_messages.store(false, Release);
        Some(only)
    }

    /// Who is woken by messages from here on. Look at [`Mailbox::has_messages`] afterwards.
    pub fn wake(&self, owner: &Waker) {
        let mut queue = self.queue.lock();
        let before = queue.owner.replace(owner.clone());
        drop(queue);
        // Whatever goes with it does so without the lock.
        drop(before);
    }

    /// The connection has gone: what is still here, and all that comes, is dropped.
    pub fn close(&self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        let messages = std::mem::take(&mut queue.messages);
        let owner = (queue.only.take(), queue.owner.take());
        drop(queue);
        drop((messages, owner));
        self.gone.notify(usize::MAX);
    }

    /// Hears of [`Mailbox::close`]; look at [`Mailbox::is_closed`] after asking for it.
    pub fn closed(&self) -> EventListener {
        self.gone.listen()
    }

    /// Whether the connection has gone.
    pub fn is_closed(&self) -> bool {
        self.queue.lock().is_closed
    }
}

impl Queue {
    fn put(&mut self, message: Message) {
        self.weight += message.weight();
        if MAILBOX_BYTES_MAX < self.weight {
            self.has_overflowed = true;
            self.only = None;
            self.messages.clear();
            return;
        }
        let is_first = self.only.is_none() && self.messages.is_empty();
        match message {
            Message::Published(delivery) if is_first => return self.only = Some(delivery),
            _ => self.list_only(),
        }
        if let Message::Killed = message {
            // What was told before is not done any more: it could be a held write's release.
            self.messages.push_front(message);
        } else {
            self.messages.push_back(message);
        }
    }

    fn is_empty(&self) -> bool {
        self.only.is_none() && self.messages.is_empty() && !self.has_overflowed
    }

    /// What stands alone joins the list.
    fn list_only(&mut self) {
        if let Some(delivery) = self.only.take() {
            self.messages.push_back(Message::Published(delivery));
        }
    }
}

/// More messages than a mailbox holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailboxOverflow;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Position, ReplId};
    use crate::base::time::MonoUs;
    use crate::pubsub::Subscriber;
    use crate::session::SubscriptionKind;

    #[test]
    fn messages_are_taken_once_and_a_kill_before_all_others() {
        let mailbox = Mailbox::default();
        assert!(!mailbox.has_messages());
        mailbox.post(Message::Woken(BlockId(1)));
        mailbox.post(Message::Killed);
        assert!(mailbox.has_messages());
        let taken: Vec<String> =
            mailbox.take().unwrap().iter().map(|it| format!("{it:?}")).collect();
        assert_eq!(taken, ["Killed", "Woken(BlockId(1))"], "who was killed does nothing more");
        assert!(!mailbox.has_messages() && mailbox.take().unwrap().is_empty());
        let served = || Message::Served(BlockId(1), JobReply { reply: Ok(vec![]), wrote: None });
        assert!(!mailbox.begins_with_served());
        mailbox.post(served());
        assert!(mailbox.begins_with_served());
        mailbox.post(Message::Killed);
        assert!(!mailbox.begins_with_served(), "whoever was killed is not there any more");
    }

    #[test]
    fn too_many_messages_or_bytes_overflow_it_and_keep_nothing() {
        let many = Mailbox::default();
        let count = MAILBOX_BYTES_MAX / MAILBOX_PUSH_BYTES;
        assert!(500_000 < count, "more than any command raises in practice");
        (0..=count).for_each(|_| many.post(Message::Push(Bytes::new())));
        assert_eq!(many.take().unwrap_err(), MailboxOverflow);
        let woken = Mailbox::default();
        let count = MAILBOX_BYTES_MAX / MAILBOX_MESSAGE_BYTES;
        (0..=count).for_each(|_| woken.post(Message::Woken(BlockId(1))));
        assert_eq!(woken.take().unwrap_err(), MailboxOverflow);
        let large = Mailbox::default();
        let bytes = Bytes::from(vec![0; MAILBOX_BYTES_MAX / 2 - MAILBOX_PUSH_BYTES]);
        (0..2).for_each(|_| large.post(Message::Push(bytes.clone())));
        assert_eq!(large.take().unwrap().len(), 2);
        (0..3).for_each(|_| large.post(Message::Push(bytes.clone())));
        assert_eq!(large.take().unwrap_err(), MailboxOverflow);
        assert!(large.queue.lock().messages.is_empty());
    }

    #[test]
    fn many_messages_are_taken_in_parts_and_in_order() {
        let mailbox = Mailbox::default();
        let count = MAILBOX_TAKEN_MAX + 1;
        (0..count).for_each(|it| mailbox.post(Message::Push(it.to_string().into())));
        let first = mailbox.take().unwrap();
        assert_eq!((first.len(), mailbox.has_messages()), (MAILBOX_TAKEN_MAX, true));
        let last = MAILBOX_TAKEN_MAX.to_string();
        assert_eq!(mailbox.queue.lock().weight, MAILBOX_PUSH_BYTES + last.len());
        let rest = mailbox.take().unwrap();
        assert!(matches!(&rest[0], Message::Push(it) if *it == last.as_bytes()));
        assert!(rest.len() == 1 && !mailbox.has_messages());
    }

    #[test]
    fn what_is_told_between_requests_is_little_and_leaves_the_rest_in_order() {
        let mailbox = Mailbox::default();
        let at = Position { replid: ReplId::new([1; 20]), offset: Offset::ZERO };
        let told = |key: &[u8]| {
            let told = Arc::new(Invalidation::of([key].into_iter(), at));
            mailbox.post(Message::Told(ToldChange::Own(told)));
        };
        (0..MAILBOX_TAKEN_MAX + 2).for_each(|_| told(b"k"));
        mailbox.post(Message::Woken(BlockId(1)));
        told(b"behind");
        assert_eq!(mailbox.take_told().len(), MAILBOX_TAKEN_MAX);
        assert!(mailbox.has_messages() && mailbox.bytes() != 0);
        assert_eq!((mailbox.take_told().len(), mailbox.take_told().len()), (2, 0));
        assert!(mailbox.has_messages(), "a wake-up stands before what is left");
        let rest = mailbox.take().unwrap();
        assert!(matches!((&rest[0], &rest[1]), (Message::Woken(_), Message::Told(_))));
        assert_eq!(mailbox.bytes(), 0);
        (0..3).for_each(|_| told(&vec![b'x'; TOLD_BETWEEN_BYTES / 2]));
        assert_eq!((mailbox.take_told().len(), mailbox.take_told().len()), (2, 1));
    }

    fn published(text: &[u8]) -> Arc<Delivery> {
        let pubsub = crate::pubsub::PubSub::default();
        let (kind, client) = (SubscriptionKind::Channel, Arc::new(Taker(Mutex::default())));
        pubsub.subscribe(kind, Bytes::from_static(b"a"), client.clone());
        let publication = pubsub.publish(kind, [b"a", text], usize::MAX).unwrap();
        publication.deliver(
            Position { replid: ReplId::new([1; 20]), offset: Offset::ZERO },
            MonoUs(1),
            None,
        );
        client.0.lock().take().unwrap()
    }

    /// Keeps the last message.
    struct Taker(Mutex<Option<Arc<Delivery>>>);

    impl Subscriber for Taker {
        fn number(&self) -> u64 {
            1
        }

        fn deliver(&self, message: &Arc<Delivery>) {
            *self.0.lock() = Some(message.clone());
        }
    }

    #[test]
    fn a_message_that_stands_alone_is_taken_as_such_and_keeps_its_place_beside_others() {
        let mailbox = Mailbox::default();
        let (one, two) = (published(b"one"), published(b"two"));
        mailbox.post(Message::Published(one.clone()));
        assert!(mailbox.take_published(one.len() - 1).is_none(), "it is too long");
        assert!(mailbox.has_messages());
        assert!(Arc::ptr_eq(&mailbox.take_published(one.len()).unwrap(), &one));
        assert!(!mailbox.has_messages() && mailbox.take_published(usize::MAX).is_none());
        assert_eq!((mailbox.queue.lock().weight, mailbox.published()), (0, 1));
        mailbox.post(Message::Published(one.clone()));
        mailbox.post(Message::Published(two));
        mailbox.post(Message::Killed);
        assert!(mailbox.take_published(usize::MAX).is_none(), "others wait with it");
        let weight = mailbox.queue.lock().weight;
        assert_eq!(weight, 2 * (MAILBOX_PUSH_BYTES + one.len()) + MAILBOX_MESSAGE_BYTES);
        let taken: Vec<Message> = mailbox.take().unwrap().into();
        let [Message::Killed, Message::Published(first), Message::Published(_)] = &taken[..] else {
            panic!("{taken:?}")
        };
        assert!(Arc::ptr_eq(first, &one));
        mailbox.post(Message::Published(one.clone()));
        assert_eq!(mailbox.take().unwrap().len(), 1, "whoever takes all takes it, too");
        mailbox.post(Message::Published(one));
        mailbox.close();
        assert!(mailbox.take_published(usize::MAX).is_none());
    }

    #[test]
    fn every_message_wakes_whoever_is_registered() {
        struct Counter(AtomicU64);
        impl std::task::Wake for Counter {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Relaxed);
            }
        }
        let (mailbox, counter) = (Mailbox::default(), Arc::new(Counter(AtomicU64::new(0))));
        mailbox.post(Message::Killed);
        mailbox.wake(&counter.clone().into());
        (0..2).for_each(|_| mailbox.post(Message::Killed));
        assert_eq!(counter.0.load(Relaxed), 2);
        mailbox.close();
        assert_eq!(Arc::strong_count(&counter), 1, "one that has gone is woken no more");
    }

    #[test]
    fn nothing_is_kept_for_a_connection_that_has_gone() {
        let mailbox = Mailbox::default();
        mailbox.post(Message::Killed);
        mailbox.close();
        mailbox.post(Message::Killed);
        assert!(mailbox.take().unwrap().is_empty());
    }
}
