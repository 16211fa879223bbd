//! Redis' own random numbers: the 48-bit generator of `drand48`, the same everywhere. One sequence
//! goes on from script to script, as Redis' does.

/// Where a sequence stands.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

const FACTOR: u64 = 0x5_DEEC_E66D;
const TERM: u64 = 0xB;
/// What an unseeded sequence begins with.
const UNSEEDED: u64 = 0x1234_ABCD_330E;
/// The low bits of what a seeded one begins with.
const START: u64 = 0x330E;
const BITS: u32 = 48;

impl Default for Random {
    fn default() -> Random {
        Random(UNSEEDED)
    }
}

impl Random {
    /// The sequence of this seed.
    pub fn seeded(seed: i32) -> Random {
        Random((u64::from(seed as u32) << 16) | START)
    }

    /// The next one, at least 0 and below 1.
    pub fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(TERM) & ((1 << BITS) - 1);
        let most = i64::from(i32::MAX);
        let whole = (self.0 >> (BITS - 31)) as i64 % most;
        whole as f64 / most as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_redis() {
        let mut random = Random::default();
        let mut next = |most: f64| (random.fraction() * most).floor() as i64 + 1;
        assert_eq!([next(1e6), next(1e6)], [396_465, 840_486]);
    }
}
