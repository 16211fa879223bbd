//! Choosing different elements of a collection by chance, each set of them as likely as the next.

use crate::base::random::Random;
use std::collections::HashSet;

/// From one in this many on, a walk through all elements is cheaper than throwing until the
/// elements differ.
const FEW: usize = 4;
/// Throws for one element before the rest is taken as it comes.
const THROWS: usize = 16;

/// Whether [`few`] suits better than [`many`].
pub fn is_few(count: usize, len: usize) -> bool {
    count < len / FEW
}

/// How many elements stand for all when memory is estimated.
const WEIGHED: usize = 16;

/// Bytes that `len` elements hold, guessed from the first few sizes.
pub fn weigh(len: usize, sizes: impl Iterator<Item = usize>) -> usize {
    let weighed: usize = sizes.take(WEIGHED).sum();
    weighed * len / len.clamp(1, WEIGHED)
}

/// Visits `count` of `len` elements, or all, in one walk: each is taken with the chance that as
/// many of those not yet met must be.
pub fn many<T>(
    count: usize,
    len: usize,
    all: impl Iterator<Item = T>,
    random: &mut Random,
    mut visit: impl FnMut(T),
) {
    let mut wanted = count.min(len);
    for (met, element) in all.enumerate() {
        if wanted == 0 {
            return;
        }
        if random.below((len - met) as u64) < wanted as u64 {
            wanted -= 1;
            visit(element);
        }
    }
}

/// Shows `count` of `len` elements, or all, to `take` and the others to `keep`.
pub fn split<T>(
    count: usize,
    len: usize,
    all: impl Iterator<Item = T>,
    random: &mut Random,
    mut take: impl FnMut(T),
    mut keep: impl FnMut(T),
) {
    let mut wanted = count.min(len);
    for (met, element) in all.enumerate() {
        match random.below((len - met) as u64) < wanted as u64 {
            true => {
                wanted -= 1;
                take(element);
            }
            false => keep(element),
        }
    }
}

/// Visits `count` different elements, far fewer than there are: throws until they differ.
pub fn few<'t, T: 't>(
    count: usize,
    all: impl Iterator<Item = &'t T>,
    pick: impl Fn(&mut Random) -> Option<&'t T>,
    random: &mut Random,
    mut visit: impl FnMut(&'t T),
) {
    let mut seen = HashSet::new();
    let throws = std::iter::repeat_with(|| pick(random)).take(count * THROWS).map_while(|it| it);
    // Should the random numbers fail, what comes first fills up.
    for element in throws.chain(all) {
        if seen.len() == count {
            return;
        }
        if seen.insert(std::ptr::from_ref(element)) {
            visit(element);
        }
    }
}
