//! Values: how long, and of what bytes.

use crate::base::random::Random;

/// Longest value.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// A value under checks begins with its version and its writer: this long at least.
pub const CHECKED_BYTES_MIN: usize = 28;

/// How long values are.
#[derive(Clone, PartialEq, Debug)]
pub enum Sizes {
    /// All the same.
    Fixed(usize),
    /// From the first to the last, each as likely.
    Range(usize, usize),
    /// These, by their weights; with the sum of the weights.
    Weighted(Vec<(usize, u64)>, u64),
}

impl Sizes {
    /// Reads `100`, `10..1000` or `64:9 4096:1`.
    pub fn parse(text: &str) -> Result<Sizes, String> {
        const EXPECTED: &str = "write a size like 100, a range like 10..1000, or sizes with \
                                weights like 64:9 4096:1";
        let size = |text: &str| {
            let size = text.trim().parse::<usize>().map_err(|_| EXPECTED.to_owned())?;
            if VALUE_BYTES_MAX < size {
                return Err(format!("{size} is too long; write {VALUE_BYTES_MAX} at most"));
            }
            Ok(size)
        };
        if let Some((from, to)) = text.split_once("..") {
            let (from, to) = (size(from)?, size(to)?);
            return if to < from { Err(EXPECTED.to_owned()) } else { Ok(Sizes::Range(from, to)) };
        }
        if !text.contains(':') {
            return size(text).map(Sizes::Fixed);
        }
        let pair = |text: &str| {
            let (of, weight) = text.split_once(':').ok_or(EXPECTED)?;
            let weight = weight.parse::<u32>().ok().filter(|it| *it != 0).ok_or(EXPECTED)?;
            Ok((size(of)?, u64::from(weight)))
        };
        let pairs: Vec<_> = text.split_whitespace().map(pair).collect::<Result<_, String>>()?;
        let sum = pairs.iter().map(|it| it.1).sum();
        Ok(Sizes::Weighted(pairs, sum))
    }

    /// The size of all, if they are all the same.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Sizes::Fixed(size) => Some(*size),
            _ => None,
        }
    }

    /// The longest.
    pub fn most(&self) -> usize {
        match self {
            Sizes::Fixed(size) | Sizes::Range(_, size) => *size,
            Sizes::Weighted(pairs, _) => pairs.iter().map(|it| it.0).max().unwrap_or(0),
        }
    }

    /// The same, with `least` for what is shorter.
    pub fn at_least(&self, least: usize) -> Sizes {
        match self {
            Sizes::Fixed(size) => Sizes::Fixed(least.max(*size)),
            Sizes::Range(from, to) => Sizes::Range(least.max(*from), least.max(*to)),
            Sizes::Weighted(pairs, sum) => {
                Sizes::Weighted(pairs.iter().map(|it| (least.max(it.0), it.1)).collect(), *sum)
            }
        }
    }

    /// The next.
    pub fn next(&self, random: &mut Random) -> usize {
        match self {
            Sizes::Fixed(size) => *size,
            Sizes::Range(from, to) => from + random.below((to - from + 1) as u64) as usize,
            Sizes::Weighted(pairs, sum) => {
                let mut left = random.below(*sum);
                for (size, weight) in pairs {
                    if left < *weight {
                        return *size;
                    }
                    left -= weight;
                }
                0
            }
        }
    }
}

/// Bytes of which values are made: letters and digits, so that they can be looked at.
pub fn filling(len: usize, seed: u64) -> Vec<u8> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = Random::new(seed);
    (0..len).map(|_| LETTERS[random.below(32) as usize]).collect()
}

/// Appends a value of `len` bytes that says which version it is and who wrote it.
pub fn write_checked(into: &mut Vec<u8>, len: usize, version: u64, client: u32, filling: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let begin = into.len();
    into.extend((0..16).rev().map(|it| HEX[(version >> (it * 4)) as usize & 15]));
    into.push(b':');
    into.extend_from_slice(itoa::Buffer::new().format(client).as_bytes());
    into.push(b':');
    let rest = len.saturating_sub(into.len() - begin);
    into.extend_from_slice(&filling[..rest.min(filling.len())]);
}

/// The version of a value that was written under checks.
pub fn version_of(value: &[u8]) -> Option<u64> {
    let (digits, rest) = value.split_at_checked(16)?;
    if rest.first() != Some(&b':') {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_kept_to() {
        let mut random = Random::new(1);
        assert_eq!(Sizes::parse("7").unwrap().next(&mut random), 7);
        let range = Sizes::parse("5..9").unwrap();
        assert!((0..100).all(|_| (5..=9).contains(&range.next(&mut random))));
        let weighted = Sizes::parse("1:3 8:1").unwrap();
        let long = (0..4000).filter(|_| weighted.next(&mut random) == 8).count();
        assert!((800..1200).contains(&long), "{long}");
        for wrong in ["", "x", "9..5", "1:0", "1:2 x", "99999999999"] {
            assert!(Sizes::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_checked_value_says_its_version() {
        let mut value = Vec::new();
        write_checked(&mut value, 40, 0x123, 7, &filling(64, 1));
        assert_eq!((value.len(), version_of(&value)), (40, Some(0x123)));
        assert_eq!(version_of(b"something else that is long"), None);
        assert_eq!(version_of(b""), None);
    }
}
