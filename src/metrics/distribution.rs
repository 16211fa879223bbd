//! One histogram beside its exact count, total and maximum.

use hdrhistogram::Histogram;

/// Longest time or largest distance that is told apart: 73 minutes in nanoseconds, 4 TB in bytes.
/// A histogram grows up to this size (36 KB) only if such values come; 4 KB is usual.
const VALUE_MAX: u64 = 1 << 42;
/// Two significant digits, as Redis keeps.
const DIGITS: u8 = 2;
/// Values below this have a bucket of their own; above, each doubling has half as many buckets.
const SUB_BUCKETS: u64 = 256;

/// How often which value occurred.
#[derive(Clone, Debug)]
pub struct Distribution {
    counts: Histogram<u64>,
    sum: u64,
    max: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        let counts = Histogram::new(DIGITS).expect("two digits are in range");
        Distribution { counts, sum: 0, max: 0 }
    }
}

impl Distribution {
    /// `n` times `value`.
    pub fn record(&mut self, value: u64, n: u32) {
        self.record_run(value, n, value.saturating_mul(u64::from(n)));
    }

    /// `n` values that share the bucket of `value` and come to `sum`.
    pub fn record_run(&mut self, value: u64, n: u32, sum: u64) {
        let told = self.counts.record_n(value.min(VALUE_MAX), u64::from(n));
        told.expect("a clamped value fits a histogram that grows");
        self.sum = self.sum.saturating_add(sum);
        self.max = self.max.max(value);
    }

    /// Everything that `other` has counted, counted here too.
    pub fn add(&mut self, other: &Distribution) {
        self.counts.add(&other.counts).expect("both histograms grow and have the same digits");
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Total of all values.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Largest value, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// As [`Distribution::percentile`], and never beyond the largest value: nobody should read of a
    /// p99 that lies beyond the maximum.
    pub fn shown(&self, percentile: f64) -> u64 {
        self.percentile(percentile, u64::MAX).min(self.max)
    }

    /// A value that `percentile` percent of the values do not exceed, rounded to its bucket's upper
    /// edge (lower edge for the 0th) and never beyond the bucket of `ceiling`.
    ///
    /// The rank is rounded to the nearest, as Redis does; hdrhistogram's own function rounds up.
    pub fn percentile(&self, percentile: f64, ceiling: u64) -> u64 {
        let rank = (percentile.clamp(0.0, 100.0) / 100.0 * self.count() as f64 + 0.5) as u64;
        let mut passed = 0;
        let bucket = self.buckets().find(|(_, n)| {
            passed += n;
            rank.max(1) <= passed
        });
        let Some((edge, _)) = bucket else { return 0 };
        let value = edge.min(ceiling);
        match percentile <= 0.0 {
            true => self.counts.lowest_equivalent(value),
            false => self.counts.highest_equivalent(value),
        }
    }

    /// The buckets that hold something, ascending: largest value of the bucket and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value()))
    }
}

/// Whether a [`Distribution`] cannot tell the two values apart.
pub(super) fn same_bucket(one: u64, other: u64) -> bool {
    let width = u64::BITS - (one | (SUB_BUCKETS - 1)).leading_zeros();
    let shift = width - SUB_BUCKETS.trailing_zeros();
    one >> shift == other >> shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Distribution {
        let mut it = Distribution::default();
        values.iter().for_each(|value| it.record(*value, 1));
        it
    }

    #[test]
    fn an_empty_distribution_answers_zero() {
        let empty = Distribution::default();
        assert_eq!((empty.count(), empty.sum(), empty.max()), (0, 0, 0));
        assert_eq!(empty.percentile(50.0, u64::MAX), 0);
    }

    /// Values as a redis-server 7.0.15 printed them for commands of 4, 5 and 7 µs.
    #[test]
    fn percentiles_are_the_edges_redis_prints() {
        let it = of(&[4000]);
        assert_eq!(it.percentile(0.0, u64::MAX), 4000);
        assert_eq!(it.percentile(50.0, u64::MAX), 4015);
        assert_eq!(of(&[5000]).percentile(0.0, u64::MAX), 4992);
        assert_eq!(of(&[5000]).percentile(99.9, u64::MAX), 5023);
        assert_eq!(of(&[7000]).percentile(100.0, u64::MAX), 7007);
    }

    #[test]
    fn the_rank_of_a_percentile_is_rounded_to_the_nearest() {
        assert_eq!(of(&[1, 2]).percentile(60.0, u64::MAX), 1);
        assert_eq!(of(&[1, 2]).percentile(75.0, u64::MAX), 2);
        assert_eq!(of(&[1, 2]).percentile(1000.0, u64::MAX), 2);
    }

    #[test]
    fn a_ceiling_caps_percentiles_at_its_bucket() {
        let it = of(&[3_000_000_000]);
        assert_eq!(it.percentile(50.0, 1_000_000_000), 1_002_438_655);
        assert_eq!(it.max(), 3_000_000_000);
    }

    #[test]
    fn values_beyond_all_bounds_are_counted() {
        let it = of(&[u64::MAX, 0]);
        assert_eq!((it.count(), it.sum(), it.max()), (2, u64::MAX, u64::MAX));
        assert!(VALUE_MAX <= it.percentile(100.0, u64::MAX));
    }

    proptest! {
        #[test]
        fn a_bucket_is_the_same_exactly_where_hdrhistogram_says_so(
            bits in 0u32..42, low in any::<u64>(), step in 0u64..600
        ) {
            let one = low & ((1 << bits) - 1);
            let counts = of(&[one + step]).counts;
            prop_assert_eq!(same_bucket(one, one + step), counts.equivalent(one, one + step));
            prop_assert_eq!(same_bucket(one + step, one), counts.equivalent(one, one + step));
        }

        #[test]
        fn adding_equals_recording_everything_in_one(
            left in prop::collection::vec(0u64..1 << 44, 0..40),
            right in prop::collection::vec(0u64..1 << 20, 0..40),
        ) {
            let mut sum = of(&left);
            sum.add(&of(&right));
            let all = of(&[left, right].concat());
            prop_assert!(sum.buckets().eq(all.buckets()));
            prop_assert_eq!(sum.count(), all.count());
            prop_assert_eq!((sum.sum(), sum.max()), (all.sum(), all.max()));
        }
    }
}
