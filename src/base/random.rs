//! Seeded randomness: the same seed gives the same throws.

/// A small, fast generator (SplitMix64; Steele, Lea and Flood, OOPSLA 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Random numbers that always fall the same way for the same seed.
    pub const fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, each as likely as the next. `bound` must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound != 0, "random without sides");
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// All of the bytes, in pieces of at most `most`.
    pub fn pieces<'b>(&mut self, bytes: &'b [u8], most: u64) -> Vec<&'b [u8]> {
        let (mut at, mut pieces) = (0, Vec::new());
        while at < bytes.len() {
            let len = 1 + self.below(most) as usize;
            pieces.push(&bytes[at..bytes.len().min(at + len)]);
            at += len;
        }
        pieces
    }
}
