//! A message with those who receive it, as of when its publisher asked.

use super::delivery::{Delivery, Frame};
use super::subscribers::{Receivers, Subscriber};
use crate::base::planted::{Planted, is_planted};
use crate::base::position::Position;
use crate::base::time::MonoUs;
use crate::resp::Protocol;
use crate::session::SubscriptionKind;
use bytes::Bytes;
use std::sync::Arc;

/// A message that is to be delivered, with those who receive it.
pub struct Publication {
    parts: Vec<Part>,
}

/// The part of a publication for the subscribers of one name.
struct Part {
    kind: SubscriptionKind,
    name: Bytes,
    frame: Frame,
    receivers: Receivers,
}

impl Publication {
    /// A message on `channel`, for nobody so far.
    pub fn none() -> Publication {
        Publication { parts: Vec::new() }
    }

    /// Adds those who receive it for their subscription to `name`.
    pub fn add(
        &mut self,
        kind: SubscriptionKind,
        name: Bytes,
        receivers: Receivers,
        [channel, message]: [&[u8]; 2],
    ) {
        let frame = Frame::of(kind, &name, channel, message);
        self.parts.push(Part { kind, name, frame, receivers });
    }

    /// How often it is received: who has subscribed in several ways receives it several times.
    pub fn receivers(&self) -> usize {
        self.parts.iter().map(|it| it.receivers.len()).sum()
    }

    /// Tells the bytes of each message that the subscriber of this number receives.
    pub fn each_for(&self, number: u64, protocol: Protocol, mut tell: impl FnMut(&[u8])) {
        let is_for = |it: &&Part| it.receivers.iter().any(|it| it.number() == number);
        self.parts.iter().filter(is_for).for_each(|it| tell(it.frame.bytes(protocol)));
    }

    /// Hands it to all who receive it but for the one of the number `except`, if there is such: it
    /// is published at this position and time.
    pub fn deliver(self, at: Position, time: MonoUs, except: Option<u64>) {
        for Part { kind, name, frame, receivers } in self.parts {
            let delivery = Arc::new(Delivery::of(kind, name, frame, at, time));
            let is_meant = |it: &&dyn Subscriber| except.is_none_or(|no| it.number() != no);
            let meant = receivers.iter().filter(is_meant);
            let times = 1 + usize::from(is_planted(Planted::MessageTwice));
            meant.for_each(|it| (0..times).for_each(|_| it.deliver(&delivery)));
        }
    }
}
