//! Replies on their way out, in the order of their requests.
//!
//! While everything is answered at once there is one buffer and nothing else. A reply that comes
//! later has a slot; what is answered behind it waits in slots of its own until it is there.

use super::scratch::Spent;
use crate::base::ids::SlotId;
use crate::base::limits::ADOPTED_BYTES_MIN;
use crate::resp::{Mark, Reply};
use std::collections::VecDeque;

/// The replies of one connection.
pub struct Replies {
    /// Where replies are written.
    pub out: Reply,
    /// How much of `out` has been sent.
    sent: usize,
    /// Replies that cannot leave yet: the first of them is not there.
    pending: VecDeque<Slot>,
    last: u64,
    /// A long buffer that has been sent, for the shell to free.
    spent: Option<Spent>,
}

/// A reply's place.
enum Slot {
    /// It is there.
    Ready(Vec<u8>),
    /// It is not.
    Waiting(SlotId),
}

impl Replies {
    /// None so far, written by `out`.
    pub fn new(out: Reply) -> Replies {
        Replies { out, sent: 0, pending: VecDeque::new(), last: 0, spent: None }
    }

    /// A place for a reply that comes later, behind all replies so far.
    pub fn open_slot(&mut self) -> SlotId {
        self.last += 1;
        let slot = SlotId(self.last);
        self.pending.push_back(Slot::Waiting(slot));
        slot
    }

    /// The reply of this slot. Those that waited for it leave with it. Answers whether there was
    /// such a slot: each is filled once.
    #[must_use]
    pub fn fill(&mut self, slot: SlotId, reply: Vec<u8>) -> bool {
        let is_it = |it: &&mut Slot| matches!(it, Slot::Waiting(id) if *id == slot);
        let Some(place) = self.pending.iter_mut().find(is_it) else { return false };
        *place = Slot::Ready(reply);
        while let Some(Slot::Ready(_)) = self.pending.front() {
            if let Some(Slot::Ready(bytes)) = self.pending.pop_front() {
                self.out.append_owned(bytes);
            }
        }
        true
    }

    /// The reply of this slot is there, and waits for something more: the slot stays open ahead of
    /// it, to be filled with nothing. Answers whether there was such a slot.
    #[must_use]
    pub fn fill_behind(&mut self, slot: SlotId, reply: Vec<u8>) -> bool {
        let is_it = |it: &Slot| matches!(it, Slot::Waiting(id) if *id == slot);
        let Some(place) = self.pending.iter().position(is_it) else { return false };
        self.pending.insert(place + 1, Slot::Ready(reply));
        true
    }

    /// Whether replies are held for those before them.
    #[inline]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Where the replies of a batch begin.
    pub fn mark(&self) -> Mark {
        self.out.mark()
    }

    /// What was written since `mark`.
    pub fn since(&self, mark: Mark) -> &[u8] {
        self.out.since(mark)
    }

    /// What was written since `mark` takes its place behind replies that are not there yet.
    #[inline]
    pub fn settle(&mut self, mark: Mark) {
        if self.has_pending() {
            self.settle_behind(mark);
        }
    }

    #[cold]
    fn settle_behind(&mut self, mark: Mark) {
        let bytes = self.out.take(mark);
        if bytes.is_empty() {
            return;
        }
        self.pending.push_back(Slot::Ready(bytes));
    }

    /// Bytes that belong to no request. They never overtake a reply.
    pub fn push(&mut self, bytes: &[u8]) {
        let mark = self.mark();
        self.out.append(bytes);
        self.settle(mark);
    }

    /// Whether nothing is under way: what is pushed would leave at once.
    pub fn are_idle(&self) -> bool {
        self.are_sent() && !self.has_pending()
    }

    /// Bytes that can leave now.
    pub fn to_send(&self) -> &[u8] {
        &self.out.bytes()[self.sent..]
    }

    /// The first `count` of them have left.
    pub fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.out.bytes().len() {
            self.sent = 0;
            if ADOPTED_BYTES_MIN <= self.out.capacity() {
                self.spent = Some(Box::new(self.out.take_sent()));
            }
            self.out.clear();
        } else if FORGOTTEN_BYTES_MIN <= self.sent && self.out.bytes().len() <= self.sent * 4 {
            // Whoever is never quite done with reading is not taken for one who has read nothing.
            self.out.forget(self.sent);
            self.sent = 0;
        }
    }

    /// A long buffer that has been sent.
    pub fn take_spent(&mut self) -> Option<Spent> {
        self.spent.take()
    }

    /// Whether everything that can leave has left.
    #[inline]
    pub fn are_sent(&self) -> bool {
        self.out.bytes().is_empty()
    }

    /// Bytes that are held for the peer.
    pub fn held_bytes(&self) -> usize {
        let held = |it: &Slot| match it {
            Slot::Ready(bytes) => bytes.len(),
            Slot::Waiting(_) => 0,
        };
        self.to_send().len() + self.pending.iter().map(held).sum::<usize>()
    }
}

/// Bytes that have left are forgotten when they are so many, and a good part of all.
const FORGOTTEN_BYTES_MIN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Protocol;
    use proptest::prelude::*;

    fn replies() -> Replies {
        Replies::new(Reply::new(Protocol::Resp2))
    }

    #[test]
    fn what_has_left_is_not_held_though_more_comes_all_the_time() {
        let mut replies = replies();
        let (mut pushed, mut left) = (Vec::new(), Vec::new());
        for turn in 0..2000_usize {
            let piece = vec![turn as u8; 1000];
            replies.push(&piece);
            pushed.extend(piece);
            // Something always waits.
            let count = replies.to_send().len().saturating_sub(1 + turn % 500);
            left.extend_from_slice(&replies.to_send()[..count]);
            replies.sent(count);
            let most = FORGOTTEN_BYTES_MIN + 4 * 2000;
            assert!(replies.out.bytes().len() <= most, "{}", replies.out.bytes().len());
        }
        left.extend_from_slice(replies.to_send());
        assert!(left == pushed);
    }

    fn answer(replies: &mut Replies, text: &str) {
        let mark = replies.mark();
        replies.out.simple(text);
        replies.settle(mark);
    }

    #[test]
    fn replies_leave_in_request_order_whatever_order_slots_are_filled_in() {
        proptest!(|(kinds in prop::collection::vec(any::<bool>(), 1..20), seed in any::<u64>())| {
            let (mut replies, mut waiting, mut wanted) = (replies(), Vec::new(), String::new());
            for (number, later) in kinds.iter().enumerate() {
                let text = format!("{number}");
                wanted.push_str(&format!("+{text}\r\n"));
                if *later {
                    waiting.push((replies.open_slot(), text));
                } else {
                    answer(&mut replies, &text);
                }
            }
            let mut random = crate::base::random::Random::new(seed);
            while !waiting.is_empty() {
                let at = random.bits() as usize % waiting.len();
                let (slot, text) = waiting.swap_remove(at);
                let reply = format!("+{text}\r\n").into_bytes();
                prop_assert!(replies.fill(slot, reply.clone()));
                prop_assert!(!replies.fill(slot, reply), "a slot is filled once");
                prop_assert!(wanted.as_bytes().starts_with(replies.to_send()));
            }
            prop_assert_eq!(replies.to_send(), wanted.as_bytes());
            prop_assert!(replies.pending.is_empty());
        });
    }

    #[test]
    fn what_has_left_is_forgotten_and_a_push_overtakes_nothing() {
        let mut replies = replies();
        answer(&mut replies, "one");
        replies.sent(3);
        assert_eq!(replies.to_send(), b"e\r\n");
        let slot = replies.open_slot();
        replies.push(b">0\r\n");
        assert_eq!(replies.to_send(), b"e\r\n");
        assert_eq!(replies.held_bytes(), 7);
        replies.sent(3);
        assert!(replies.are_sent());
        assert!(replies.fill(slot, b"+two\r\n".to_vec()));
        assert_eq!(replies.to_send(), b"+two\r\n>0\r\n");
    }

    #[test]
    fn a_reply_that_waits_for_something_more_keeps_its_place() {
        let mut replies = replies();
        let slot = replies.open_slot();
        replies.push(b">0\r\n");
        assert!(replies.fill_behind(slot, b"+one\r\n".to_vec()));
        assert!(replies.has_pending() && replies.to_send().is_empty());
        replies.push(b">1\r\n");
        assert!(replies.fill(slot, Vec::new()) && !replies.fill_behind(slot, Vec::new()));
        assert_eq!(replies.to_send(), b"+one\r\n>0\r\n>1\r\n");
        assert!(!replies.has_pending());
    }
}
