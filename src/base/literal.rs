//! What C's `strtod` takes for a number, when the whole text has to be one.

use rustc_apfloat::Float;

/// A number's text, checked but not yet rounded to any type.
pub(super) enum Literal<'a> {
    /// `1`, `.5`, `5.`, `1e-9`; without its sign.
    Decimal(&'a str),
    /// `0x1.8p3`.
    Hex(Binary),
    /// `inf` or `infinity`.
    Infinite,
}

impl Literal<'_> {
    /// Splits the sign (true means minus) from a literal. `None` for NaN, spaces, leftovers.
    pub(super) fn read(text: &[u8]) -> Option<(bool, Literal<'_>)> {
        let (minus, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        Some((minus, unsigned(rest)?))
    }

    /// Nothing but zeros before the exponent, so that a result of zero is no underflow.
    pub(super) fn is_zero(&self) -> bool {
        let digits = |it: &&u8| !it.eq_ignore_ascii_case(&b'e');
        match self {
            Literal::Decimal(text) => {
                text.as_bytes().iter().take_while(digits).all(|it| !matches!(it, b'1'..=b'9'))
            }
            Literal::Hex(binary) => binary.mantissa == 0,
            Literal::Infinite => false,
        }
    }
}

fn unsigned(text: &[u8]) -> Option<Literal<'_>> {
    if let [b'0', b'x' | b'X', rest @ ..] = text {
        return hex(rest).map(Literal::Hex);
    }
    if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
        return Some(Literal::Infinite);
    }
    let rest = mantissa(text, u8::is_ascii_digit)?;
    match rest {
        [] => {}
        [b'e' | b'E', power @ ..] => drop(exponent(power)?),
        _ => return None,
    }
    std::str::from_utf8(text).ok().map(Literal::Decimal)
}

/// Steps over digits with at most one point among them; `None` when there is no digit.
fn mantissa(text: &[u8], digit: fn(&u8) -> bool) -> Option<&[u8]> {
    let run = |it: &[u8]| it.iter().take_while(|it| digit(it)).count();
    let whole = run(text);
    let rest = &text[whole..];
    let [b'.', after @ ..] = rest else {
        return (whole != 0).then_some(rest);
    };
    let fraction = run(after);
    (whole + fraction != 0).then_some(&after[fraction..])
}

/// Reads `[+-]digits`, held within a range that no type's exponents reach.
fn exponent(text: &[u8]) -> Option<i64> {
    let (minus, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0, |sum: i64, it| {
        sum.saturating_mul(10).saturating_add(i64::from(it - b'0')).min(1 << 40)
    });
    Some(if minus { -size } else { size })
}

/// `mantissa * 2^exponent`. Bits that no longer fitted the mantissa are or-ed into its lowest one.
#[derive(Clone, Copy)]
pub(super) struct Binary {
    mantissa: u128,
    exponent: i64,
}

impl Binary {
    fn push(&mut self, digit: u8) {
        if self.mantissa >> 120 == 0 {
            self.mantissa = self.mantissa << 4 | u128::from(digit);
            return;
        }
        self.mantissa |= u128::from(digit != 0);
        self.exponent += 4;
    }

    /// Rounded once, half to even, to `precision` bits and a lowest bit worth `2^lowest`.
    pub(super) fn nearest<F: Float>(self, precision: i64, lowest: i64) -> F {
        let bits = i64::from(128 - self.mantissa.leading_zeros());
        let cut = (bits - precision).max(lowest - self.exponent).clamp(0, 127);
        let (kept, lost) = (self.mantissa >> cut, self.mantissa & ((1 << cut) - 1));
        let half = (1_u128 << cut) >> 1;
        let up = half < lost || (half == lost && cut != 0 && kept & 1 == 1);
        let power = (self.exponent + cut).clamp(-1 << 20, 1 << 20);
        F::from_u128(kept + u128::from(up)).value.scalbn(power as i32)
    }
}

fn hex(text: &[u8]) -> Option<Binary> {
    let rest = mantissa(text, u8::is_ascii_hexdigit)?;
    let mut binary = Binary { mantissa: 0, exponent: 0 };
    let mut point = false;
    for &byte in &text[..text.len() - rest.len()] {
        match (byte as char).to_digit(16) {
            Some(digit) => {
                binary.push(digit as u8);
                binary.exponent -= if point { 4 } else { 0 };
            }
            None => point = true,
        }
    }
    binary.exponent += match rest {
        [] => 0,
        [b'p' | b'P', power @ ..] => exponent(power)?,
        _ => return None,
    };
    Some(binary)
}
