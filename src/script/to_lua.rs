//! A command's reply, in the protocol's bytes, as the value that a script sees.

use super::stack::Stack;
use super::thrown::Thrown;

/// Pushes the value of the first reply of these bytes, and returns what is behind it. The second
/// result tells whether it was an error.
pub fn push_reply<'r>(stack: &mut Stack, reply: &'r [u8]) -> Result<(&'r [u8], bool), Thrown> {
    let broken = || Thrown::error("a reply is cut short");
    stack.need_room(6, "reply")?;
    let (&kind, rest) = reply.split_first().ok_or_else(broken)?;
    let end = rest.iter().position(|it| *it == b'\r').ok_or_else(broken)?;
    let (line, rest) = (&rest[..end], rest.get(end + 2..).ok_or_else(broken)?);
    match kind {
        b'+' => push_field(stack, b"ok", line),
        b'-' => push_error(stack, line, true),
        b':' => stack.push_number(integer(line) as f64),
        b'_' => stack.push_nil(),
        b'#' => stack.push_boolean(line == b"t"),
        b',' => {
            stack.push_table(0, 1);
            stack.push_number(double(line));
            stack.set(-2, b"double");
        }
        b'(' => push_field(stack, b"big_number", line),
        b'$' | b'=' => {
            let Ok(len) = usize::try_from(integer(line)) else {
                stack.push_boolean(false);
                return Ok((rest, false));
            };
            let bytes = rest.get(..len).ok_or_else(broken)?;
            if kind == b'$' {
                stack.push_bytes(bytes)
            } else {
                push_verbatim(stack, bytes)
            }
            return Ok((rest.get(len + 2..).ok_or_else(broken)?, false));
        }
        b'*' | b'>' | b'~' | b'%' | b'|' => {
            let Ok(len) = usize::try_from(integer(line)) else {
                stack.push_boolean(false);
                return Ok((rest, false));
            };
            return push_many(stack, kind, len, rest).map(|rest| (rest, false));
        }
        _ => return Err(broken()),
    }
    Ok((rest, kind == b'-'))
}

/// Pushes the table of an error. `is_counted` if whoever made the error has counted it already.
pub fn push_error(stack: &mut Stack, text: &[u8], is_counted: bool) {
    push_field(stack, b"err", text);
    if is_counted {
        stack.push_boolean(true);
        stack.set(-2, b"ignore_error_stats_update");
    }
}

/// Pushes a table with one field.
pub fn push_field(stack: &mut Stack, field: &[u8], text: &[u8]) {
    stack.push_table(0, 1);
    stack.push_bytes(text);
    stack.set(-2, field);
}

fn push_many<'r>(
    stack: &mut Stack,
    kind: u8,
    len: usize,
    mut rest: &'r [u8],
) -> Result<&'r [u8], Thrown> {
    if kind == b'*' || kind == b'>' {
        stack.push_table(len, 0);
        for index in 1..=len {
            stack.step(1)?;
            rest = push_reply(stack, rest)?.0;
            stack.set_at(-2, index);
        }
        return Ok(rest);
    }
    stack.push_table(0, 1);
    stack.push_table(0, len);
    for _ in 0..len {
        stack.step(1)?;
        rest = push_reply(stack, rest)?.0;
        if kind == b'~' {
            stack.push_boolean(true);
        } else {
            rest = push_reply(stack, rest)?.0;
        }
        stack.set_top(-3);
    }
    if kind == b'|' {
        // Attributes are not the reply: that follows.
        stack.pop(2);
        return Ok(push_reply(stack, rest)?.0);
    }
    stack.set(-2, if kind == b'~' { b"set" } else { b"map" });
    Ok(rest)
}

fn push_verbatim(stack: &mut Stack, bytes: &[u8]) {
    let (format, text) = bytes.split_at(bytes.len().min(3));
    stack.push_table(0, 1);
    stack.push_table(0, 2);
    stack.push_bytes(text.get(1..).unwrap_or_default());
    stack.set(-2, b"string");
    stack.push_bytes(format);
    stack.set(-2, b"format");
    stack.set(-2, b"verbatim_string");
}

fn integer(line: &[u8]) -> i64 {
    let (minus, digits) = match line.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, line),
    };
    let size = digits
        .iter()
        .fold(0_i64, |sum, it| sum.wrapping_mul(10).wrapping_add(i64::from(it.wrapping_sub(b'0'))));
    if minus { size.wrapping_neg() } else { size }
}

fn double(line: &[u8]) -> f64 {
    std::str::from_utf8(line).ok().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN)
}
