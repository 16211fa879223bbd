//! The functions of the library `string` that could work without end, or for long, in C.

use std::ffi::c_int;

use super::limits::BYTES_PER_STEP;
use super::native::{Native, push_native};
use super::pattern::Matcher;
use super::stack::{Kind, Stack, cast_i64};
use super::thrown::Thrown;

/// They take the place of Lua's own. `gsub` holds a function that indexes a table.
pub const FUNCTIONS: &[(&str, Native)] = &[
    ("find", |stack| find(stack, Wanted::Place)),
    ("match", |stack| find(stack, Wanted::Captures)),
    ("gmatch", gmatch),
    ("gfind", gmatch),
    ("rep", repeat),
    ("upper", |stack| map(stack, <[u8]>::to_ascii_uppercase)),
    ("lower", |stack| map(stack, <[u8]>::to_ascii_lowercase)),
    ("reverse", |stack| map(stack, |text| text.iter().rev().copied().collect())),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Place,
    Captures,
}

const SPECIALS: &[u8] = b"^$*+?.([%-";

fn find(stack: &mut Stack, wanted: Wanted) -> Result<c_int, Thrown> {
    let text = stack.want_bytes(1)?;
    let pattern = stack.want_bytes(2)?;
    let start = match stack.kind(3) {
        Kind::None | Kind::Nil => 1,
        _ => cast_i64(stack.want_number(3)?),
    };
    let len = text.len() as i64;
    let start = if start < 0 { start.saturating_add(len + 1) } else { start };
    let start = (start - 1).clamp(0, len) as usize;
    if wanted == Wanted::Place {
        let shown = pattern.split(|it| *it == 0).next().unwrap_or_default();
        if stack.is_true(4) || !shown.iter().any(|it| SPECIALS.contains(it)) {
            return find_plain(stack, text, pattern, start);
        }
    }
    let from = usize::from(pattern.first() == Some(&b'^'));
    let mut matcher = Matcher::new(text, pattern);
    for at in start..=text.len() {
        if let Some(end) = matcher.match_at(stack, at, from)? {
            if wanted == Wanted::Captures {
                return matcher.push_captures(stack, Some((at, end)));
            }
            stack.push_number((at + 1) as f64);
            stack.push_number(end as f64);
            return Ok(matcher.push_captures(stack, None)? + 2);
        }
        if from == 1 {
            break;
        }
    }
    stack.push_nil();
    Ok(1)
}

fn find_plain(
    stack: &mut Stack,
    text: &[u8],
    pattern: &[u8],
    start: usize,
) -> Result<c_int, Thrown> {
    let Some(&first) = pattern.first() else {
        stack.push_number((start + 1) as f64);
        stack.push_number(start as f64);
        return Ok(2);
    };
    let mut at = start;
    while let Some(next) = text[at..].iter().position(|it| *it == first) {
        stack.step(1 + next as u32 / 16)?;
        at += next;
        let same = text[at..].iter().zip(pattern).take_while(|(a, b)| a == b).count();
        if same == pattern.len() {
            stack.push_number((at + 1) as f64);
            stack.push_number((at + pattern.len()) as f64);
            return Ok(2);
        }
        stack.step(same as u32 / 8)?;
        at += 1;
    }
    stack.push_nil();
    Ok(1)
}

fn gmatch(stack: &mut Stack) -> Result<c_int, Thrown> {
    stack.want_bytes(1)?;
    stack.want_bytes(2)?;
    stack.set_len(2);
    stack.push_number(0.0);
    push_native(stack, gmatch_next, 3);
    Ok(1)
}

fn gmatch_next(stack: &mut Stack) -> Result<c_int, Thrown> {
    let text = stack.bytes(Stack::held(1)).unwrap_or_default();
    let pattern = stack.bytes(Stack::held(2)).unwrap_or_default();
    let start = stack.number(Stack::held(3)) as usize;
    let mut matcher = Matcher::new(text, pattern);
    for at in start..=text.len() {
        if let Some(end) = matcher.match_at(stack, at, 0)? {
            let next = if end == at { end + 1 } else { end };
            stack.push_number(next as f64);
            stack.replace(Stack::held(3));
            return matcher.push_captures(stack, Some((at, end)));
        }
    }
    Ok(0)
}

/// `string.gsub`; it holds a function that indexes a table, which metatables may take part in.
pub fn gsub(stack: &mut Stack) -> Result<c_int, Thrown> {
    let text = stack.want_bytes(1)?;
    let pattern = stack.want_bytes(2)?;
    let most = match stack.kind(4) {
        Kind::None | Kind::Nil => i64::MAX,
        _ => i64::from(stack.want_int(4)?),
    };
    match stack.kind(3) {
        Kind::Number => {
            stack.bytes(3);
        }
        Kind::String | Kind::Table | Kind::Function => {}
        _ => return Err(Thrown::Argument(3, "string/function/table expected".into())),
    }
    let from = usize::from(pattern.first() == Some(&b'^'));
    let mut matcher = Matcher::new(text, pattern);
    let (mut out, mut at, mut count) = (Vec::new(), 0, 0);
    while count < most {
        let end = matcher.match_at(stack, at, from)?;
        if let Some(end) = end {
            count += 1;
            replace(stack, &matcher, &mut out, (at, end))?;
            stack.need_memory(out.len())?;
        }
        match end {
            Some(end) if at < end => at = end,
            _ if at < text.len() => {
                out.push(text[at]);
                at += 1;
            }
            _ => break,
        }
        if from == 1 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
    stack.push_bytes(&out);
    stack.push_number(count as f64);
    Ok(2)
}

fn replace(
    stack: &mut Stack,
    matcher: &Matcher<'_>,
    out: &mut Vec<u8>,
    whole: (usize, usize),
) -> Result<(), Thrown> {
    match stack.kind(3) {
        Kind::Function => {
            stack.push_copy(3);
            let args = matcher.push_captures(stack, Some(whole))?;
            stack.call(args, 1)?;
        }
        Kind::Table => {
            stack.push_copy(Stack::held(1));
            stack.push_copy(3);
            matcher.push_capture(stack, 0, whole)?;
            stack.call(2, 1)?;
        }
        _ => return spell(stack, matcher, out, whole),
    }
    if stack.is_true(-1) {
        let Some(bytes) = stack.bytes(-1) else {
            let name = stack.kind_name(-1);
            return Err(Thrown::error(format!("invalid replacement value (a {name})")));
        };
        out.extend_from_slice(bytes);
    } else {
        matcher.push_whole(out, whole);
    }
    stack.pop(1);
    Ok(())
}

fn spell(
    stack: &mut Stack,
    matcher: &Matcher<'_>,
    out: &mut Vec<u8>,
    whole: (usize, usize),
) -> Result<(), Thrown> {
    let mut words = stack.bytes(3).unwrap_or_default().iter();
    while let Some(&byte) = words.next() {
        // Behind the last byte of a string stands a zero.
        match if byte == b'%' { Some(words.next().copied().unwrap_or(0)) } else { None } {
            None => out.push(byte),
            Some(b'0') => matcher.push_whole(out, whole),
            Some(digit @ b'1'..=b'9') => {
                matcher.push_capture(stack, usize::from(digit - b'1'), whole)?;
                out.extend_from_slice(stack.bytes(-1).unwrap_or_default());
                stack.pop(1);
            }
            Some(other) => out.push(other),
        }
    }
    Ok(())
}

/// Makes another string of the same length.
fn map(stack: &mut Stack, make: fn(&[u8]) -> Vec<u8>) -> Result<c_int, Thrown> {
    let text = stack.want_bytes(1)?;
    stack.need_memory(text.len())?;
    stack.step((text.len() / BYTES_PER_STEP) as u32)?;
    let made = make(text);
    stack.push_bytes(&made);
    Ok(1)
}

fn repeat(stack: &mut Stack) -> Result<c_int, Thrown> {
    let text = stack.want_bytes(1)?;
    let count = usize::try_from(stack.want_int(2)?).unwrap_or(0);
    let len = text.len().saturating_mul(count);
    stack.need_memory(len)?;
    let repeated = text.repeat(count);
    stack.step((len / BYTES_PER_STEP) as u32)?;
    stack.push_bytes(&repeated);
    Ok(1)
}
