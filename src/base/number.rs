//! Numbers as text, the way Redis reads and writes them.

use std::fmt::{self, Write};
use std::ops::Deref;

use rustc_apfloat::Float;
use rustc_apfloat::ieee::Double;

use super::literal::Literal;

/// Reads a signed integer in its one canonical spelling: no `+`, no spaces, no leading zeros.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => match parse_u64(digits)? {
            0 => None,
            size => 0_i64.checked_sub_unsigned(size),
        },
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// Reads an unsigned integer in its one canonical spelling.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    let (first, rest) = text.split_first()?;
    match first {
        b'0' if rest.is_empty() => return Some(0),
        b'1'..=b'9' => {}
        _ => return None,
    }
    // Up to 19 digits cannot overflow.
    let (safe, last) = rest.split_at(rest.len().min(18));
    let mut sum = u64::from(first - b'0');
    for &byte in safe {
        sum = sum * 10 + u64::from(digit(byte)?);
    }
    match last {
        [] => Some(sum),
        [byte] => sum.checked_mul(10)?.checked_add(u64::from(digit(*byte)?)),
        _ => None,
    }
}

#[inline]
fn digit(byte: u8) -> Option<u8> {
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some(digit)
}

/// Reads a double as C's `strtod` would, if that takes the whole text: hexadecimal and infinity are
/// numbers; NaN, spaces, and what is too large or too small to be told from zero are not.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    const EXACT_DIGITS: usize = 15;
    let integer = if text.len() <= EXACT_DIGITS { parse_i64(text) } else { None };
    if let Some(number) = integer {
        return Some(number as f64);
    }
    let (minus, literal) = Literal::read(text)?;
    let size = size_of(&literal)?;
    let overflow = size.is_infinite() && !matches!(literal, Literal::Infinite);
    let underflow = size == 0.0 && !literal.is_zero();
    (!overflow && !underflow).then_some(if minus { -size } else { size })
}

/// Reads a double as `strtod` would that nobody asks whether it could: no text at all is 0, spaces
/// may lead, and what is too large is infinite.
pub fn parse_f64_loosely(text: &[u8]) -> Option<f64> {
    let text = text.split(|it| *it == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let spaces = text.iter().take_while(|it| matches!(it, b' ' | 0x09..=0x0D)).count();
    let (minus, literal) = Literal::read(&text[spaces..])?;
    let size = size_of(&literal)?;
    Some(if minus { -size } else { size })
}

fn size_of(literal: &Literal<'_>) -> Option<f64> {
    Some(match literal {
        Literal::Decimal(text) => text.parse().ok()?,
        Literal::Hex(binary) => {
            f64::from_bits(binary.nearest::<Double>(53, -1074).to_bits() as u64)
        }
        Literal::Infinite => f64::INFINITY,
    })
}

/// A formatted number, kept on the stack.
#[derive(Clone, Copy)]
pub struct NumberText {
    bytes: [u8; NumberText::BYTES_MAX],
    len: u8,
}

impl NumberText {
    /// What `-1.7976931348623157e+308` takes; nothing is longer.
    const BYTES_MAX: usize = 24;

    const fn empty() -> NumberText {
        NumberText { bytes: [0; NumberText::BYTES_MAX], len: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + text.len()].copy_from_slice(text);
        self.len += text.len() as u8;
    }

    fn pad(&mut self, zeros: usize) {
        (0..zeros).for_each(|_| self.push(b"0"));
    }
}

impl Write for NumberText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if NumberText::BYTES_MAX - usize::from(self.len) < text.len() {
            return Err(fmt::Error);
        }
        self.push(text.as_bytes());
        Ok(())
    }
}

impl Deref for NumberText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("digits are ASCII")
    }
}

impl fmt::Display for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Doubles below this have no two integers between them, so 17 digits are the integer's own.
const INTEGER_MAX: f64 = (1_u64 << 53) as f64;

/// Writes a double as Redis replies it: C's `%.17g`, and `inf`, `-inf`, `nan`, `-0`.
pub fn format_f64(number: f64) -> NumberText {
    let mut text = NumberText::empty();
    if number.is_nan() {
        text.push(b"nan");
        return text;
    }
    if number.is_sign_negative() {
        text.push(b"-");
    }
    let size = number.abs();
    if size.is_infinite() {
        text.push(b"inf");
    } else if size < INTEGER_MAX && size.fract() == 0.0 {
        text.push(itoa::Buffer::new().format(size as u64).as_bytes());
    } else {
        write_17_digits(&mut text, size);
    }
    text
}

/// Writes a double with so many digits behind the point, as C's `%.*f` does; the text must fit.
pub fn format_fixed(number: f64, digits: usize) -> NumberText {
    let mut text = NumberText::empty();
    write!(text, "{number:.digits$}").expect("the number is not that large");
    text
}

/// Writes a double below 1000 as Redis replies a coordinate: up to 17 digits behind the point,
/// without zeros at their end or a minus in front of zero.
pub fn format_coordinate(number: f64) -> NumberText {
    let mut text = format_fixed(number, 17);
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    text.len = kept as u8;
    if &*text == "-0" { format_fixed(0.0, 0) } else { text }
}

/// `%.17g` of a positive number: plain notation for decimal exponents from -4 to 16.
fn write_17_digits(text: &mut NumberText, size: f64) {
    let mut written = NumberText::empty();
    write!(written, "{size:.16e}").expect("17 digits and an exponent fit");
    let (mantissa, power) = written.split_once('e').expect("written with an exponent");
    let power: i32 = power.parse().expect("written as an integer");
    let mantissa = mantissa.trim_end_matches('0');
    let (first, rest) = (&mantissa.as_bytes()[..1], &mantissa.as_bytes()[2..]);
    match power {
        ..-4 | 17.. => write_scientific(text, first, rest, power),
        ..0 => {
            text.push(b"0.");
            text.pad(-power as usize - 1);
            text.push(first);
            text.push(rest);
        }
        _ => write_plain(text, first, rest, power as usize),
    }
}

fn write_plain(text: &mut NumberText, first: &[u8], rest: &[u8], whole: usize) {
    let (integer, fraction) = rest.split_at(whole.min(rest.len()));
    text.push(first);
    text.push(integer);
    text.pad(whole - integer.len());
    if !fraction.is_empty() {
        text.push(b".");
        text.push(fraction);
    }
}

fn write_scientific(text: &mut NumberText, first: &[u8], rest: &[u8], power: i32) {
    text.push(first);
    if !rest.is_empty() {
        text.push(b".");
        text.push(rest);
    }
    text.push(if power < 0 { b"e-" } else { b"e+" });
    text.pad(usize::from(power.unsigned_abs() < 10));
    text.push(itoa::Buffer::new().format(power.unsigned_abs()).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_integer_has_one_spelling() {
        for good in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse_i64(good.to_string().as_bytes()), Some(good));
        }
        let bad =
            ["", "-", "+1", "01", "-0", "-01", "1 ", " 1", "1a", "00", "99999999999999999999"];
        for bad in bad.iter().chain(&["9223372036854775808", "-9223372036854775809", "1\0"]) {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"-1"), None);
    }

    #[test]
    fn a_double_is_read_as_redis_reads_a_score() {
        let good = [
            ("1", 1.0),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("0x10", 16.0),
            ("0X1.8P1", 3.0),
            ("0x.8", 0.5),
            ("-Infinity", f64::NEG_INFINITY),
            ("+inf", f64::INFINITY),
            ("4.9e-324", f64::from_bits(1)),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1.8p-1075", f64::from_bits(1)),
            ("0x1.fffffffffffff7p1023", f64::MAX),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000000000000000000001p0", 1.0 + f64::EPSILON),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("0e99999999999", 0.0),
            ("0x0p99999999999999999999", 0.0),
        ];
        for (text, number) in good {
            assert_eq!(parse_f64(text.as_bytes()), Some(number), "{text}");
        }
        let bad = ["", " 1", "1 ", "1e", "1e+", "0x", "0x1p", "nan", "-nan", "nan(1)", "infi", "."];
        let range =
            ["1e309", "-1e309", "1e-400", "0x1p1024", "0x1p-1075", "0x1.fffffffffffff8p1023"];
        for bad in
            bad.iter().chain(&range).chain(&["1_0", "--1", "1\0", "e5", "1e99999999999999999999"])
        {
            assert_eq!(parse_f64(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_loose_double_may_be_empty_or_led_by_spaces_or_too_large() {
        let good = [("", 0.0), (" \t1", 1.0), ("1\0x", 1.0), ("-1e400", f64::NEG_INFINITY)];
        for (text, number) in good.into_iter().chain([("1e-400", 0.0), ("-7", -7.0)]) {
            assert_eq!(parse_f64_loosely(text.as_bytes()), Some(number), "{text}");
        }
        for bad in [" ", "1 ", "nan", "x", "--1"] {
            assert_eq!(parse_f64_loosely(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_double_is_written_as_redis_replies_a_score() {
        let facts = [
            (1e308, "1e+308"),
            (f64::from_bits(1), "4.9406564584124654e-324"),
            (-f64::MAX, "-1.7976931348623157e+308"),
            (-0.0, "-0"),
            (0.00001, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (-0.00012345678901234567, "-0.00012345678901234567"),
            (1.000_007_629_394_531_2, "1.0000076293945312"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1e16, "10000000000000000"),
            (12345678901234567.0, "12345678901234568"),
            (1e17, "1e+17"),
            (123456789012345678.0, "1.2345678901234568e+17"),
            (3.3, "3.2999999999999998"),
            (123.456, "123.456"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (number, text) in facts {
            assert_eq!(&*format_f64(number), text);
        }
    }

    #[test]
    fn a_coordinate_is_written_as_redis_replies_it() {
        let facts = [
            (-179.999_997_317_790_99, "-179.99999731779098511"),
            (85.05112878, "85.0511287799999991"),
            (180.0, "180"),
            (0.5, "0.5"),
            (-0.0, "0"),
            (-1e-18, "0"),
            (1e-17, "0.00000000000000001"),
        ];
        for (number, text) in facts {
            assert_eq!(&*format_coordinate(number), text);
        }
        assert_eq!(&*format_fixed(191711.00244, 4), "191711.0024");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(!number.is_nan());
            let back = parse_f64(format_f64(number).as_bytes()).unwrap();
            prop_assert_eq!(back.to_bits(), bits);
        }

        #[test]
        fn integers_read_as_the_standard_library_reads_them(number: i64, text in "-?[0-9]{1,21}") {
            prop_assert_eq!(parse_i64(number.to_string().as_bytes()), Some(number));
            let canonical = text.parse::<i64>().ok().filter(|it| it.to_string() == text);
            prop_assert_eq!(parse_i64(text.as_bytes()), canonical);
        }
    }
}
