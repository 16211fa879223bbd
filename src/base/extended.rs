//! 80-bit floats, in which INCRBYFLOAT and HINCRBYFLOAT count.

use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round};

use super::literal::Literal;

/// Longest text Redis reads as an extended float.
const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;
/// Bits of the significand, the leading one included.
const PRECISION: u32 = 64;
/// What is subtracted from the stored exponent, for a significand read as an integer.
const BIAS: i32 = 16383 + PRECISION as i32 - 1;
/// Digits behind the point that a reply may show.
const FRACTION_DIGITS: usize = 17;

/// What C calls `long double` on x86: 64 bits of precision.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Extended(X87DoubleExtended);

impl Extended {
    /// Reads what C's `strtold` takes, if that takes the whole text. `None` for NaN, spaces,
    /// leftovers, and what is too large or too small to be told from zero.
    pub fn parse(text: &[u8]) -> Option<Extended> {
        if TEXT_BYTES_MAX < text.len() {
            return None;
        }
        let (minus, literal) = Literal::read(text)?;
        let size = match &literal {
            Literal::Decimal(text) => {
                X87DoubleExtended::from_str_r(text, Round::NearestTiesToEven).ok()?.value
            }
            Literal::Hex(binary) => binary.nearest(i64::from(PRECISION), -16445),
            Literal::Infinite => X87DoubleExtended::INFINITY,
        };
        let overflow = size.is_infinite() && !matches!(literal, Literal::Infinite);
        let underflow = size.is_zero() && !literal.is_zero();
        (!overflow && !underflow).then_some(Extended(if minus { -size } else { size }))
    }

    /// The sum, rounded half to even.
    pub fn plus(self, other: Extended) -> Extended {
        Extended((self.0 + other.0).value)
    }

    /// A thousand times this, rounded up; the nearest there is of what an integer cannot hold.
    pub fn thousandths(self) -> i128 {
        let product = (self.0 * X87DoubleExtended::from_u128(1000).value).value;
        product.to_i128_r(128, Round::TowardPositive, &mut false).value
    }

    /// Neither infinite nor NaN.
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }

    /// The text INCRBYFLOAT stores and answers: rounded to 17 digits behind the point, without
    /// exponent, trailing zeros or a minus in front of zero.
    pub fn to_text(self) -> String {
        if self.0.is_nan() {
            return "nan".to_owned();
        }
        let digits = match self.0.is_infinite() {
            true => "inf".to_owned(),
            false => self.size_text(),
        };
        let minus = self.0.is_negative() && digits != "0";
        if minus { format!("-{digits}") } else { digits }
    }

    fn size_text(self) -> String {
        let bits = self.0.to_bits();
        let significand = bits as u64;
        let power = ((bits >> PRECISION) as i32 & 0x7FFF).max(1) - BIAS;
        match u32::try_from(power) {
            Ok(power) => integer_text(significand, power),
            Err(_) => fraction_text(significand, power.unsigned_abs()),
        }
    }
}

/// `significand / 2^places`, rounded half to even.
fn fraction_text(significand: u64, places: u32) -> String {
    const ONE: u128 = 10_u128.pow(FRACTION_DIGITS as u32);
    // Below 2^121, so that at 2^122 and beyond even its double rounds to nothing.
    let scaled = u128::from(significand) * ONE;
    let rounded = match places {
        122.. => 0,
        _ => {
            let (kept, lost) = (scaled >> places, scaled & ((1 << places) - 1));
            let half = (1_u128 << places) >> 1;
            kept + u128::from(half < lost || (half == lost && kept & 1 == 1))
        }
    };
    let fraction = format!("{:0FRACTION_DIGITS$}", rounded % ONE);
    let text = format!("{}.{fraction}", rounded / ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `significand * 2^power`, all digits of it.
fn integer_text(significand: u64, power: u32) -> String {
    const CHUNK: u128 = 10_u128.pow(19);
    let mut limbs = vec![0; (power / 64) as usize];
    let top = u128::from(significand) << (power % 64);
    limbs.extend([top as u64, (top >> 64) as u64]);
    let mut chunks = Vec::new();
    while limbs.iter().any(|it| *it != 0) {
        let rest = limbs.iter_mut().rev().fold(0, |rest: u128, limb| {
            let value = rest << 64 | u128::from(*limb);
            *limb = (value / CHUNK) as u64;
            value % CHUNK
        });
        chunks.push(rest);
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
    }
    let text: String = chunks.iter().rev().map(|it| format!("{it:019}")).collect();
    match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(left: &str, right: &str) -> String {
        let [left, right] = [left, right].map(|it| Extended::parse(it.as_bytes()).unwrap());
        left.plus(right).to_text()
    }

    #[test]
    fn sums_are_those_of_redis() {
        let facts = [
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("-0", "-0", "0"),
            ("-1e-20", "0", "0"),
            ("0", "1e-17", "0.00000000000000001"),
            ("0", "1.5e-17", "0.00000000000000002"),
            ("0", "5e-18", "0"),
            ("0x1.8", "0", "1.5"),
            ("0", "1e22", "10000000000000000000000"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("1e4932", "1e4932", "inf"),
            ("-inf", "1", "-inf"),
            ("inf", "-inf", "nan"),
        ];
        for (left, right, result) in facts {
            assert_eq!(sum(left, right), result, "{left} + {right}");
        }
        assert!(
            sum("0", "1e4932").starts_with("100000000000000000000601894938796389132383777425453")
        );
    }

    #[test]
    fn what_strtold_refuses_is_refused() {
        let bad =
            ["", " 1", "1 ", "nan", "1e", "1.2e4932", "1e-4960", "0x1p16384", "0x1p-16446", "1\0"];
        for bad in bad {
            assert_eq!(Extended::parse(bad.as_bytes()), None, "{bad}");
        }
        let long = |zeros| format!("1.{}", "0".repeat(zeros));
        assert!(Extended::parse(long(5117).as_bytes()).is_some());
        assert!(Extended::parse(long(5118).as_bytes()).is_none());
        for good in ["1e-4950", "0x1p-16445", "1e4932", "inf", "-Infinity", "0e-99999999"] {
            assert!(Extended::parse(good.as_bytes()).is_some(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in "[-+0-9.eExXpPaAinf]{0,24}") {
            let Some(number) = Extended::parse(text.as_bytes()) else { return Ok(()) };
            let shown = number.to_text();
            let again = Extended::parse(shown.as_bytes()).unwrap();
            prop_assert_eq!(again.to_text(), shown);
        }
    }
}
