//! From a command's name, in any case, to its number in the table.

/// Longest command name; anything longer is unknown without a look.
const NAME_BYTES_MAX: usize = 24;

/// An open-addressed index of names. Built once; a look-up hashes at most two words.
#[derive(Debug, Default)]
pub struct Lookup {
    slots: Vec<Option<(&'static str, u16)>>,
}

impl Lookup {
    /// An index of `names`, upper-case; a name's number is its place.
    pub fn of(names: impl ExactSizeIterator<Item = &'static str>) -> Lookup {
        let size = (names.len() * 4).next_power_of_two().max(4);
        let mut slots = vec![None; size];
        for (number, name) in names.enumerate() {
            assert!(name.len() <= NAME_BYTES_MAX, "{name} is too long a name");
            let mut at = hash(name.as_bytes()) & (size - 1);
            while let Some((other, _)) = slots[at] {
                assert!(other != name, "{name} stands twice in the table");
                at = (at + 1) & (size - 1);
            }
            slots[at] = Some((name, number as u16));
        }
        Lookup { slots }
    }

    /// The number of `name`, whatever its case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<u16> {
        if NAME_BYTES_MAX < name.len() || self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = hash(name) & mask;
        loop {
            let (known, number) = self.slots[at]?;
            if known.as_bytes().eq_ignore_ascii_case(name) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }
}

/// Mixes the first eight bytes, the last four and the length; 0x20 is cleared so that case does not
/// count.
#[inline]
fn hash(name: &[u8]) -> usize {
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let mut head = 0u64;
    for byte in name.iter().take(8) {
        head = head << 8 | u64::from(*byte);
    }
    let mut tail = name.len() as u64;
    for byte in name.iter().rev().take(4) {
        tail = tail << 8 | u64::from(*byte);
    }
    let mixed = (head & !LOWER).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (tail & !LOWER).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    (mixed >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_nothing_else_is() {
        let names = ["GET", "SET", "SETEX", "SETNX", "GEORADIUSBYMEMBER_RO", "PEXPIRETIME", "A"];
        let lookup = Lookup::of(names.into_iter());
        for (number, name) in names.iter().enumerate() {
            assert_eq!(lookup.find(name.as_bytes()), Some(number as u16));
            assert_eq!(lookup.find(name.to_lowercase().as_bytes()), Some(number as u16));
        }
        for other in ["", "GE", "GETT", "SETE", "\u{1}ET", "x".repeat(100).as_str()] {
            assert_eq!(lookup.find(other.as_bytes()), None, "{other}");
        }
    }
}
