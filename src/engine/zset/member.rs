//! A member with its score: one immutable allocation that the tree and the table share.

use crate::base::prefetch::prefetch;
use crate::engine::table::Slot;
use std::cmp::Ordering;
use triomphe::ThinArc;

/// What the tree holds: the score again, beside the pointer, so that order seldom follows it.
#[derive(Clone)]
pub struct Member {
    /// The score; never NaN.
    pub score: f64,
    text: ThinArc<f64, u8>,
}

const _: () = assert!(size_of::<Member>() == 16);

impl Member {
    /// A member of its own.
    pub fn new(score: f64, text: &[u8]) -> Member {
        Member { score, text: ThinArc::from_header_and_slice(score, text) }
    }

    /// Its text.
    #[inline]
    pub fn text(&self) -> &[u8] {
        &self.text.slice
    }

    /// Starts fetching the text.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(&self.text.header);
    }

    /// How it stands to a score and a text: by score, and by text where scores are equal, as 0 and
    /// -0 are.
    #[inline]
    pub fn order(&self, score: f64, text: &[u8]) -> Ordering {
        score_order(self.score, score).then_with(|| self.text().cmp(text))
    }
}

/// How scores stand to each other.
#[inline]
pub fn score_order(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).expect("a score is a number")
}

/// What the table holds: the same allocation, found by the hash of its text.
#[derive(Clone)]
pub enum Named {
    /// Nothing.
    Empty,
    /// A member.
    Taken {
        /// Of the text.
        hash: u32,
        /// The score and the text.
        text: ThinArc<f64, u8>,
    },
}

const _: () = assert!(size_of::<Named>() == 16);

impl Named {
    /// The table's way to a member.
    pub fn new(hash: u32, member: &Member) -> Named {
        Named::Taken { hash, text: member.text.clone() }
    }

    /// The member that the tree holds.
    pub fn member(&self) -> Member {
        match self {
            Named::Empty => Member::new(0.0, &[]),
            Named::Taken { text, .. } => Member { score: text.header.header, text: text.clone() },
        }
    }

    /// The score.
    #[inline]
    pub fn score(&self) -> f64 {
        match self {
            Named::Empty => 0.0,
            Named::Taken { text, .. } => text.header.header,
        }
    }

    /// How it stands to a member, in the order of members.
    #[inline]
    pub fn order(&self, member: &Member) -> Ordering {
        member.order(self.score(), self.key()).reverse()
    }

    /// Bytes of the allocation, before the allocator rounds up.
    pub fn bytes(&self) -> usize {
        3 * size_of::<usize>() + self.key().len()
    }
}

impl Slot for Named {
    fn empty() -> Named {
        Named::Empty
    }

    #[inline]
    fn hash(&self) -> Option<u32> {
        match self {
            Named::Empty => None,
            Named::Taken { hash, .. } => Some(*hash),
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        match self {
            Named::Empty => &[],
            Named::Taken { text, .. } => &text.slice,
        }
    }

    #[inline]
    fn prefetch(&self) {
        if let Named::Taken { text, .. } = self {
            prefetch(&text.header);
        }
    }
}
