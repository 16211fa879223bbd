//! The longest number that a text begins with, as C's `strtod` reads it.

/// The number, and how many bytes it takes: none if there is none.
pub fn strtod(text: &[u8]) -> (f64, usize) {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let is_minus = text.first() == Some(&b'-');
    let (size, len) = unsigned(&text[sign..]);
    if len == 0 {
        return (0.0, 0);
    }
    (if is_minus { -size } else { size }, sign + len)
}

fn unsigned(text: &[u8]) -> (f64, usize) {
    let begins = |word: &str| {
        text.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
    };
    if begins("infinity") {
        return (f64::INFINITY, 8);
    }
    if begins("inf") {
        return (f64::INFINITY, 3);
    }
    if begins("nan") {
        return (f64::NAN, 3 + payload(&text[3..]));
    }
    if begins("0x") {
        if let Some(found) = hexadecimal(&text[2..]) {
            return (found.0, 2 + found.1);
        }
        return (0.0, 1);
    }
    let len = decimal(text);
    let digits = std::str::from_utf8(&text[..len]).unwrap_or_default();
    digits.parse().map_or((0.0, 0), |number| (number, len))
}

/// Letters in parentheses behind `nan`.
fn payload(text: &[u8]) -> usize {
    if text.first() != Some(&b'(') {
        return 0;
    }
    let is_word = |it: &&u8| it.is_ascii_alphanumeric() || **it == b'_';
    let len = text[1..].iter().take_while(is_word).count() + 1;
    if text.get(len) == Some(&b')') { len + 1 } else { 0 }
}

fn run(text: &[u8], is: fn(&u8) -> bool) -> usize {
    text.iter().take_while(|it| is(it)).count()
}

fn decimal(text: &[u8]) -> usize {
    let whole = run(text, u8::is_ascii_digit);
    let mut len = whole;
    if text.get(len) == Some(&b'.') {
        let places = run(&text[len + 1..], u8::is_ascii_digit);
        if whole + places == 0 {
            return 0;
        }
        len += 1 + places;
    }
    if len == 0 {
        return 0;
    }
    len + exponent(&text[len..], b'e').1
}

/// The exponent, and how many bytes it takes.
fn exponent(text: &[u8], letter: u8) -> (i64, usize) {
    if !text.first().is_some_and(|it| it.eq_ignore_ascii_case(&letter)) {
        return (0, 0);
    }
    let sign = usize::from(matches!(text.get(1), Some(b'-' | b'+')));
    let digits = run(&text[1 + sign..], u8::is_ascii_digit);
    if digits == 0 {
        return (0, 0);
    }
    let size = text[1 + sign..][..digits]
        .iter()
        .fold(0_i64, |sum, it| sum.saturating_mul(10).saturating_add(i64::from(it - b'0')));
    (if text[1] == b'-' { -size } else { size }, 1 + sign + digits)
}

/// Behind `0x`: up to 60 bits exactly, the rest as whether any is set, which rounds right.
fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    const FULL: u64 = 1 << 59;
    let (mut bits, mut scale, mut rest) = (0_u64, 0_i64, false);
    let (mut at, mut digits, mut is_behind_point) = (0, 0, false);
    while let Some(&byte) = text.get(at) {
        if byte == b'.' && !is_behind_point {
            is_behind_point = true;
            at += 1;
            continue;
        }
        let Some(digit) = char::from(byte).to_digit(16) else { break };
        if bits < FULL {
            bits = bits << 4 | u64::from(digit);
            scale -= if is_behind_point { 4 } else { 0 };
        } else {
            rest |= digit != 0;
            scale += if is_behind_point { 0 } else { 4 };
        }
        digits += 1;
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    let (power, len) = exponent(&text[at..], b'p');
    let scale = scale.saturating_add(power).clamp(-2_000, 2_000) as i32;
    // A set bit below all others says that something follows.
    let mantissa = (bits | u64::from(rest)) as f64;
    Some((scaled(mantissa, scale), at + len))
}

/// In two steps, so that neither factor overflows.
fn scaled(mantissa: f64, scale: i32) -> f64 {
    let half = scale / 2;
    mantissa * 2_f64.powi(half) * 2_f64.powi(scale - half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_number_is_taken() {
        for (text, number, len) in [
            ("12e", 12.0, 2),
            ("-0.5x", -0.5, 4),
            (".5", 0.5, 2),
            ("5.", 5.0, 2),
            ("1e+3]", 1000.0, 4),
            ("0x1F", 31.0, 4),
            ("0x.8p1", 1.0, 6),
            ("0xg", 0.0, 1),
            ("inFinity", f64::INFINITY, 8),
            ("-", 0.0, 0),
        ] {
            assert_eq!(strtod(text.as_bytes()), (number, len), "{text}");
        }
    }
}
