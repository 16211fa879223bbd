//! A set of members, by their place in the member list.

use super::limits::REPLICAS_MAX;

/// A set of members, by place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Places(u128);

const _: () = assert!(REPLICAS_MAX < u128::BITS as usize);

impl Places {
    /// Every place there can be.
    pub const ALL: Places = Places(u128::MAX);

    /// These places.
    pub fn of(places: impl Iterator<Item = usize>) -> Places {
        Places(places.fold(0, |all, it| all | 1 << it))
    }

    /// Whether this place is one of them.
    #[inline]
    pub fn has(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// These without one.
    pub fn without(self, place: usize) -> Places {
        Places(self.0 & !(1 << place))
    }

    /// The places, lowest first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let first = (left != 0).then(|| left.trailing_zeros() as usize)?;
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
        let places = Places::of([64, 0, 3].into_iter());
        assert_eq!(places.iter().collect::<Vec<_>>(), [0, 3, 64]);
        assert_eq!((places.len(), places.has(3), places.has(4)), (3, true, false));
        assert_eq!(places.without(3).without(5).iter().collect::<Vec<_>>(), [0, 64]);
        assert!(Places::default().is_empty() && Places::default().iter().next().is_none());
        assert!((0..=REPLICAS_MAX).all(|it| Places::ALL.has(it)));
    }
}
