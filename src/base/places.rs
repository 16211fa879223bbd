//! A set of members.

use super::ids::MemberId;
use super::limits::REPLICAS_MAX;

/// A set of members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Places(u128);

const _: () = assert!(REPLICAS_MAX < u128::BITS as usize);

impl Places {
    /// Every member there can be.
    pub const ALL: Places = Places(u128::MAX);

    /// These members.
    pub fn of(members: impl Iterator<Item = MemberId>) -> Places {
        Places(members.fold(0, |all, it| all | 1 << it.0))
    }

    /// Whether this member is one of them.
    #[inline]
    pub fn has(self, member: MemberId) -> bool {
        self.0 & 1 << member.0 != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// These and one more.
    pub fn with(self, member: MemberId) -> Places {
        Places(self.0 | 1 << member.0)
    }

    /// These without one.
    pub fn without(self, member: MemberId) -> Places {
        Places(self.0 & !(1 << member.0))
    }

    /// The members, lowest first.
    pub fn iter(self) -> impl Iterator<Item = MemberId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let first = (left != 0).then(|| MemberId(left.trailing_zeros() as u16))?;
            left &= left - 1;
            Some(first)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_lowest_first() {
        let places = Places::of([64, 0, 3].map(MemberId).into_iter());
        assert_eq!(places.iter().collect::<Vec<_>>(), [0, 3, 64].map(MemberId));
        assert_eq!(
            (places.len(), places.has(MemberId(3)), places.has(MemberId(4))),
            (3, true, false)
        );
        assert_eq!(
            places.without(MemberId(3)).without(MemberId(5)).iter().collect::<Vec<_>>(),
            [0, 64].map(MemberId)
        );
        assert!(Places::default().is_empty() && Places::default().iter().next().is_none());
        assert!((0..=REPLICAS_MAX).all(|it| Places::ALL.has(MemberId::of(it))));
    }
}
