//! A message on its way to subscribers: encoded once, and shared by all of them.

use super::subscribers::Receivers;
use crate::base::position::Position;
use crate::resp::{Protocol, Reply};
use crate::session::SubscriptionKind;
use bytes::Bytes;
use std::sync::Arc;

/// A message for the subscribers of one name.
#[derive(Debug)]
pub struct Delivery {
    /// What they have subscribed to.
    pub kind: SubscriptionKind,
    /// Its name.
    pub name: Bytes,
    /// Where it was published: what its publisher had written before stands before it.
    pub at: Position,
    frame: Frame,
}

/// A message as it is sent.
#[derive(Clone, Debug)]
struct Frame(Bytes);

impl Delivery {
    /// How long it is when it is sent.
    pub fn len(&self) -> usize {
        self.frame.0.len()
    }

    /// Whether it is empty, which it never is.
    pub fn is_empty(&self) -> bool {
        self.frame.0.is_empty()
    }

    /// Its bytes, in two pieces.
    pub fn pieces(&self, protocol: Protocol) -> [&[u8]; 2] {
        self.frame.pieces(protocol)
    }
}

impl Frame {
    fn of(kind: SubscriptionKind, name: &[u8], channel: &[u8], message: &[u8]) -> Frame {
        let mut frame = Reply::new(Protocol::Resp3);
        match kind {
            SubscriptionKind::Pattern => {
                frame.push(4);
                frame.bulk(b"pmessage");
                frame.bulk(name);
            }
            SubscriptionKind::Channel => {
                frame.push(3);
                frame.bulk(b"message");
            }
            SubscriptionKind::ShardChannel => {
                frame.push(3);
                frame.bulk(b"smessage");
            }
        }
        frame.bulk(channel);
        frame.bulk(message);
        Frame(frame.into_bytes().into())
    }

    /// The two protocols differ in the first byte.
    fn pieces(&self, protocol: Protocol) -> [&[u8]; 2] {
        match protocol {
            Protocol::Resp2 => [b"*", &self.0[1..]],
            Protocol::Resp3 => [b"", &self.0],
        }
    }
}

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
    pub fn each_for(&self, number: u64, protocol: Protocol, mut tell: impl FnMut([&[u8]; 2])) {
        let is_for = |it: &&Part| it.receivers.iter().any(|it| it.number() == number);
        self.parts.iter().filter(is_for).for_each(|it| tell(it.frame.pieces(protocol)));
    }

    /// Hands it to all who receive it but for the one of the number `except`, if there is such.
    pub fn deliver(self, at: Position, except: Option<u64>) {
        for Part { kind, name, frame, receivers } in self.parts {
            let message = Arc::new(Delivery { kind, name, at, frame });
            let meant = receivers.iter().filter(|it| Some(it.number()) != except);
            meant.for_each(|it| it.deliver(&message));
        }
    }
}
