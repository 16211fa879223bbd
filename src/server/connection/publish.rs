//! PUBLISH: the words enter the log, then everyone who has subscribed is handed the message, with
//! the place where it stands in the stream.

use super::batch::{BatchContext, NotNow};
use super::caller::Caller;
use crate::base::limits::PUBLISH_RECEIVERS_MAX;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::Position;
use crate::command::Flags;
use crate::commands::Command;
use crate::node::HeldBack;
use crate::pubsub::{Delivery, Publication};
use crate::resp::{Request, encode_command};
use crate::session::{ReplyMode, SubscriptionKind, Subscriptions, Tags};

/// Whether a command answers with pushes, which CLIENT REPLY does not silence.
pub fn answers_with_pushes(command: &Command) -> bool {
    command.spec.flags.contains(Flags::PUBSUB.union(Flags::IN_PUBSUB))
}

impl Caller {
    /// Publishes by itself. No member is locked for it. What is received by very many is published
    /// by a thread for long work, to which the whole connection goes: its messages keep their
    /// order, and no other client waits.
    pub fn publish(
        &mut self,
        kind: SubscriptionKind,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(), NotNow> {
        let publication = match self.find_receivers(kind, request, context) {
            Some(publication) => publication,
            None => return Err(NotNow::Long),
        };
        let encoded;
        let words = match request.wire() {
            Some(words) => words,
            None => {
                encoded = encoded_words(request);
                &encoded
            }
        };
        let at = context.set.propagate(self.session.db, words, context.now);
        let at = at.map_err(|it| match it {
            HeldBack::Behind(member) => NotNow::Busy(member),
            HeldBack::Paused => NotNow::Paused,
        })?;
        self.wrote_words(at);
        let own = self.takes_own();
        self.answer_publish(&publication, own);
        publication.deliver(at, context.now, own);
        Ok(())
    }

    /// Who receives it; `None` when they are too many for this thread.
    fn find_receivers(
        &self,
        kind: SubscriptionKind,
        request: Request<'_>,
        context: &BatchContext<'_, '_>,
    ) -> Option<Publication> {
        let most = if context.scratch.works_long { usize::MAX } else { PUBLISH_RECEIVERS_MAX };
        self.server.pubsub.publish(kind, words_of(request), most).ok()
    }

    /// As [`Caller::publish`], within a transaction, whose end is not known yet: what is answered
    /// is delivered when it has committed. `own` receives it here and now.
    pub fn publish_within(
        &mut self,
        kind: SubscriptionKind,
        request: Request<'_>,
        own: Option<u64>,
    ) -> Publication {
        let publication = self.server.pubsub.publish(kind, words_of(request), usize::MAX);
        let publication = publication.unwrap_or_else(|_| Publication::none());
        self.answer_publish(&publication, own);
        publication
    }

    /// As [`Caller::publish_within`], for a script: it is answered the number of receivers alone.
    pub fn publish_for_script(
        &mut self,
        kind: SubscriptionKind,
        request: Request<'_>,
    ) -> Publication {
        let publication = self.server.pubsub.publish(kind, words_of(request), usize::MAX);
        let publication = publication.unwrap_or_else(|_| Publication::none());
        self.replies.out.count(publication.receivers());
        publication
    }

    /// The number of receivers, behind what the publisher itself receives.
    fn answer_publish(&mut self, publication: &Publication, own: Option<u64>) {
        if let Some(own) = own {
            let out = &mut self.replies.out;
            publication.each_for(own, out.protocol(), |it| out.append(it));
        }
        self.replies.out.count(publication.receivers());
    }

    /// Its own number, if what it receives of its own messages stands before their replies, as in
    /// Redis. Else it comes like everyone's: a reply may be silenced or tagged, and a message not.
    /// So does what is published while an earlier one is still under way.
    pub fn takes_own(&self) -> Option<u64> {
        let has_plain_replies =
            self.session.replies == ReplyMode::On && self.session.tags == Tags::Off;
        let may_come = self.session.is_subscribed() && has_plain_replies;
        let has_all = || self.client.mailbox.published() == self.heard;
        (may_come && has_all()).then_some(self.client.id)
    }

    /// Whether its subscriptions may be to keyspace events.
    pub fn may_hear_events(&self) -> bool {
        let Some(subscriptions) = &self.session.subscriptions else { return false };
        let is_pattern = |it: &u8| b"*?[\\_".contains(it);
        let mut patterns = subscriptions.of(SubscriptionKind::Pattern).iter();
        patterns.any(|it| it.first().is_some_and(is_pattern))
            || subscriptions.of(SubscriptionKind::Channel).iter().any(|it| it.starts_with(b"__key"))
    }

    /// Whether a transaction's replies may give way to an error, because it was not confirmed. What
    /// the client receives of its own messages must not go with them.
    pub fn may_be_unconfirmed(&self) -> bool {
        self.session.acks.is_some() || self.settings.routes.asks_acks()
    }

    /// Words of its have moved the stream: WAIT waits for them.
    fn wrote_words(&mut self, at: Position) {
        self.session.last_write = at.offset;
        self.session.heard(at, &self.history, at);
    }

    /// A message that was published reaches this client.
    pub fn deliver(&mut self, delivery: &Delivery) {
        if self.hear(delivery) {
            let bytes = delivery.bytes(self.replies.out.protocol());
            self.replies.push(bytes);
        }
    }

    /// Answers whether the message is one that this client has subscribed to, which raises its
    /// floor. One that comes after it has unsubscribed was published before, and is late.
    pub fn hear(&mut self, delivery: &Delivery) -> bool {
        self.heard += 1;
        let subscriptions = self.session.subscriptions.as_ref();
        let is_meant = |it: &Subscriptions| it.of(delivery.kind).contains(&*delivery.name);
        if !subscriptions.is_some_and(|it| is_meant(it)) {
            return false;
        }
        if !is_planted(Planted::MessageRaisesNoFloor) {
            let head = self.position(self.server.set.head());
            self.session.heard(delivery.at, &self.history, head);
        }
        true
    }
}

/// The channel and the message. The arity has been checked.
fn words_of(request: Request<'_>) -> [&[u8]; 2] {
    [request.get(1).unwrap_or_default(), request.get(2).unwrap_or_default()]
}

/// A request as the stream says it.
pub fn encoded_words(request: Request<'_>) -> Vec<u8> {
    let mut words = Vec::new();
    encode_command(&mut words, request.iter());
    words
}
