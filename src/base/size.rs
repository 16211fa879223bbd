//! Sizes and durations as people write them: `1mb`, `500ms`.

use std::time::Duration;

use super::number::parse_u64;

/// Redis' size units: those with a `b` behind their letter count in 1024s.
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("kb", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1 << 30),
];

const DURATIONS: &[(&str, Duration)] = &[
    ("ns", Duration::from_nanos(1)),
    ("us", Duration::from_micros(1)),
    ("ms", Duration::from_millis(1)),
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("h", Duration::from_secs(3600)),
];

/// Reads a number of bytes: `100`, `100b`, `64k` (64,000), `64kb` (65,536), in either case.
pub fn parse_size(text: &[u8]) -> Option<u64> {
    let (number, unit) = split(text)?;
    number.checked_mul(find(SIZES, unit)?)
}

/// Writes a size as [`parse_size`] reads it, in the largest unit of 1024s that keeps it exact.
pub fn format_size(bytes: u64) -> String {
    let exact =
        |it: &&(&str, u64)| it.1 <= bytes && it.1.is_power_of_two() && bytes.is_multiple_of(it.1);
    match SIZES.iter().rev().find(exact) {
        Some((unit, each)) if *each != 1 => format!("{}{unit}", bytes / each),
        _ => bytes.to_string(),
    }
}

/// Reads a duration: `500ms`, `2s`, `1m`, `1h`, `10us`, in either case. A number without a unit
/// counts in `bare`, and is refused where nothing says what it counts.
pub fn parse_duration(text: &[u8], bare: Option<Duration>) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let each = if unit.is_empty() { bare? } else { find(DURATIONS, unit)? };
    // In u128: a Duration may hold more nanoseconds than 64 bits do.
    let nanos = u128::from(number).checked_mul(each.as_nanos())?;
    let secs = u64::try_from(nanos / NANOS_PER_SEC).ok()?;
    Some(Duration::new(secs, (nanos % NANOS_PER_SEC) as u32))
}

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that keeps it exact.
pub fn format_duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let nanos = duration.as_nanos();
    let exact = DURATIONS.iter().rev().find(|(_, each)| nanos.is_multiple_of(each.as_nanos()));
    let (unit, each) = exact.expect("one nanosecond divides everything");
    format!("{}{unit}", nanos / each.as_nanos())
}

fn split(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|it| it.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    Some((parse_u64(number)?, unit))
}

fn find<T: Copy>(units: &[(&str, T)], unit: &[u8]) -> Option<T> {
    units.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(unit)).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_follow_redis_units() {
        let facts =
            [("100", 100), ("100b", 100), ("64k", 64_000), ("64KB", 65_536), ("1mb", 1 << 20)];
        for (text, bytes) in
            facts.into_iter().chain([("1M", 1_000_000), ("2gB", 2 << 30), ("0", 0)])
        {
            assert_eq!(parse_size(text.as_bytes()), Some(bytes), "{text}");
        }
        for bad in ["", "kb", "1 kb", "-1", "1.5mb", "1tb", "99999999999gb"] {
            assert_eq!(parse_size(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_duration_needs_a_unit_unless_the_caller_knows_it() {
        let read = |text: &str| parse_duration(text.as_bytes(), None);
        assert_eq!(read("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("10us"), Some(Duration::from_micros(10)));
        for bad in ["", "5", "s", "5 s", "-1s", "1d", "18446744073709551615h"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let second = Duration::from_secs(1);
        assert_eq!(parse_duration(b"5", Some(second)), Some(5 * second));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(
            number: u64,
            unit in 0..6_usize,
            small in 0..5000_u64,
        ) {
            prop_assert_eq!(parse_size(format_size(number).as_bytes()), Some(number));
            let size = small * SIZES[unit].1;
            prop_assert_eq!(parse_size(format_size(size).as_bytes()), Some(size));
            for nanos in [number, small * DURATIONS[unit].1.as_nanos() as u64] {
                let time = Duration::from_nanos(nanos);
                prop_assert_eq!(parse_duration(format_duration(time).as_bytes(), None), Some(time));
            }
        }
    }
}
