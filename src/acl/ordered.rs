//! Texts in order, of which the one that stands before a name is found by halving.

use std::sync::Arc;

/// Texts in order, each once, with how they begin beside them: most searches end there.
#[derive(Debug, Default)]
pub struct Ordered {
    heads: Vec<u64>,
    texts: Vec<Arc<[u8]>>,
}

/// The first eight bytes as a number that is ordered as the text is; zeros stand for those that it
/// does not have.
#[inline]
fn head(text: &[u8]) -> u64 {
    if let Some(whole) = text.first_chunk() {
        return u64::from_be_bytes(*whole);
    }
    let each = text.iter().zip([56, 48, 40, 32, 24, 16, 8]);
    each.fold(0, |head, (byte, shift)| head | u64::from(*byte) << shift)
}

impl Ordered {
    /// All of these.
    pub fn of(mut texts: Vec<Arc<[u8]>>) -> Ordered {
        texts.sort_unstable();
        texts.dedup();
        Ordered { heads: texts.iter().map(|it| head(it)).collect(), texts }
    }

    /// These without any that begins with another: what begins with one of them begins with just
    /// one, and that is the last one up to it.
    pub fn of_shortest(mut texts: Vec<Arc<[u8]>>) -> Ordered {
        texts.sort_unstable();
        texts.dedup_by(|later, kept| later.starts_with(kept));
        Ordered::of(texts)
    }

    /// The last text that is not behind `name`.
    #[inline]
    pub fn last_up_to(&self, name: &[u8]) -> Option<&[u8]> {
        if self.heads.is_empty() {
            return None;
        }
        let head = head(name);
        let mut end = self.heads.partition_point(|it| *it <= head);
        let at = end.checked_sub(1)?;
        if self.heads[at] == head && name < &*self.texts[at] {
            let begin = self.heads[..end].partition_point(|it| *it < head);
            end = begin + self.texts[begin..end].partition_point(|it| **it <= *name);
        }
        Some(&self.texts[end.checked_sub(1)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_up_to_a_name_is_found(
            texts in prop::collection::vec("[\0ab]{0,10}", 0..20),
            name in "[\0ab]{0,11}",
        ) {
            let ordered = Ordered::of(texts.iter().map(|it| it.as_bytes().into()).collect());
            let last = texts.iter().filter(|it| **it <= name).max();
            prop_assert_eq!(ordered.last_up_to(name.as_bytes()), last.map(|it| it.as_bytes()));
            let some: Vec<Arc<[u8]>> = texts.iter().map(|it| it.as_bytes().into()).collect();
            let shortest = Ordered::of_shortest(some);
            let found = shortest.last_up_to(name.as_bytes());
            let begins = found.is_some_and(|it| name.as_bytes().starts_with(it));
            prop_assert_eq!(begins, texts.iter().any(|it| name.starts_with(it.as_str())));
        }
    }
}
