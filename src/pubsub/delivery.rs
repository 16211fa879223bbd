//! A message on its way to subscribers: encoded once, and shared by all of them.

use crate::base::position::Position;
use crate::base::time::MonoUs;
use crate::resp::{Protocol, Reply};
use crate::session::SubscriptionKind;
use bytes::Bytes;
use std::sync::OnceLock;

/// A message for the subscribers of one name.
#[derive(Debug)]
pub struct Delivery {
    /// What they have subscribed to.
    pub kind: SubscriptionKind,
    /// Its name.
    pub name: Bytes,
    /// Where it was published: what its publisher had written before stands before it.
    pub at: Position,
    /// When.
    pub time: MonoUs,
    frame: Frame,
}

/// A message as it is sent. The two protocols differ in its first byte.
#[derive(Debug)]
pub struct Frame {
    resp2: Bytes,
    /// Made for the first who speaks it.
    resp3: OnceLock<Bytes>,
}

impl Delivery {
    /// The message of this frame, published at this position and time.
    pub fn of(
        kind: SubscriptionKind,
        name: Bytes,
        frame: Frame,
        at: Position,
        time: MonoUs,
    ) -> Delivery {
        Delivery { kind, name, at, time, frame }
    }

    /// How long it is when it is sent.
    pub fn len(&self) -> usize {
        self.frame.resp2.len()
    }

    /// Whether it is empty, which it never is.
    pub fn is_empty(&self) -> bool {
        self.frame.resp2.is_empty()
    }

    /// Its bytes.
    pub fn bytes(&self, protocol: Protocol) -> &[u8] {
        self.frame.bytes(protocol)
    }
}

impl Frame {
    /// A message on `channel` for who subscribes to `name`.
    pub fn of(kind: SubscriptionKind, name: &[u8], channel: &[u8], message: &[u8]) -> Frame {
        let mut frame = Reply::new(Protocol::Resp2);
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
        Frame { resp2: frame.into_bytes().into(), resp3: OnceLock::new() }
    }

    /// Its bytes.
    pub fn bytes(&self, protocol: Protocol) -> &[u8] {
        match protocol {
            Protocol::Resp2 => &self.resp2,
            Protocol::Resp3 => self.resp3.get_or_init(|| [b">", &self.resp2[1..]].concat().into()),
        }
    }
}
