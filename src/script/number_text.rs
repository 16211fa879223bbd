//! Numbers as Redis 7.2 writes the arguments and answers of scripts.

/// As short as it can be read back; integers as integers.
pub fn number_text(number: f64) -> String {
    // Half of what 64 bits hold, as Redis has it.
    const INTEGERS: f64 = 4_611_686_018_427_387_903.0;
    if number.trunc() == number && number.abs() <= INTEGERS {
        return (number as i64).to_string();
    }
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-inf" } else { "inf" }.into();
    }
    shortest(number)
}

/// The shortest digits, with an exponent where many zeros would be needed.
fn shortest(number: f64) -> String {
    let sign = if number < 0.0 { "-" } else { "" };
    let text = format!("{:e}", number.abs());
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits = mantissa.replace('.', "");
    let count = digits.len() as i32;
    let last = exponent - count + 1;
    if 0 <= last && exponent.abs() < count + 7 {
        return format!("{sign}{digits}{}", "0".repeat(last as usize));
    }
    if last < 0 && (-7 < last || exponent.abs() < 4) {
        if exponent < 0 {
            let zeros = "0".repeat((-exponent - 1) as usize);
            return format!("{sign}0.{zeros}{digits}");
        }
        let (whole, rest) = digits.split_at(exponent as usize + 1);
        return format!("{sign}{whole}.{rest}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let plus = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{plus}{}", exponent.abs())
}

/// As `%.{digits}g` of C.
pub fn general(number: f64, digits: usize) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-inf" } else { "inf" }.into();
    }
    let digits = digits.max(1);
    let text = format!("{:.*e}", digits - 1, number);
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if -4 <= exponent && exponent < digits as i32 {
        let places = (digits as i32 - 1 - exponent) as usize;
        return trimmed(&format!("{number:.places$}")).into();
    }
    let plus = if exponent < 0 { '-' } else { '+' };
    format!("{}e{plus}{:02}", trimmed(mantissa), exponent.abs())
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_written_as_redis_7_2_writes_them() {
        for (number, text) in [
            (0.1, "0.1"),
            (1e17, "100000000000000000"),
            (1e20, "1e+20"),
            (-0.0, "0"),
            (1.5e-9, "1.5e-9"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }

    #[test]
    fn general_numbers_are_those_of_c() {
        for (number, text) in [
            (0.1, "0.1"),
            (1e20, "1e+20"),
            (123456789012345.6, "1.2345678901235e+14"),
            (1e-5, "1e-05"),
            (100.0, "100"),
            (0.0, "0"),
        ] {
            assert_eq!(general(number, 14), text);
        }
    }
}
