//! A message on its way to subscribers: encoded once, and shared by all of them.

use crate::base::position::Position;
use crate::resp::{Protocol, Reply};
use crate::session::SubscriptionKind;
use bytes::Bytes;

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
pub struct Frame(Bytes);

impl Delivery {
    /// The message of this frame, published at this position.
    pub fn of(kind: SubscriptionKind, name: Bytes, frame: Frame, at: Position) -> Delivery {
        Delivery { kind, name, at, frame }
    }

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
    /// A message on `channel` for who subscribes to `name`.
    pub fn of(kind: SubscriptionKind, name: &[u8], channel: &[u8], message: &[u8]) -> Frame {
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

    /// Its bytes, in two pieces: the two protocols differ in the first byte.
    pub fn pieces(&self, protocol: Protocol) -> [&[u8]; 2] {
        match protocol {
            Protocol::Resp2 => [b"*", &self.0[1..]],
            Protocol::Resp3 => [b"", &self.0],
        }
    }
}
