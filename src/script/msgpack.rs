//! The library `cmsgpack`: values as MessagePack.

use std::ffi::c_int;

use super::limits::{MSGPACK_DEPTH_MAX, MSGPACK_READ_DEPTH_MAX, MSGPACK_VALUES_MAX};
use super::native::Native;
use super::stack::{Kind, Stack, cast_i64};
use super::thrown::Thrown;

/// Its functions.
pub const FUNCTIONS: &[(&str, Native)] = &[
    ("pack", pack),
    ("unpack", unpack),
    ("unpack_one", unpack_one),
    ("unpack_limit", unpack_limit),
];

/// Its texts.
pub const TEXTS: &[(&str, &str)] = &[
    ("_NAME", "cmsgpack"),
    ("_VERSION", "lua-cmsgpack 0.4.0"),
    ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
    ("_DESCRIPTION", "MessagePack C implementation for Lua"),
];

fn pack(stack: &mut Stack) -> Result<c_int, Thrown> {
    let count = stack.len();
    if count == 0 {
        return Err(Thrown::Argument(0, "MessagePack pack needs input.".into()));
    }
    let mut out = Vec::new();
    for at in 1..=count {
        stack.need_room(4, "in function mp_check")?;
        stack.push_copy(at);
        write_top(stack, &mut out, 0)?;
    }
    stack.push_bytes(&out);
    Ok(1)
}

/// Appends the top and takes it away.
fn write_top(stack: &mut Stack, out: &mut Vec<u8>, depth: usize) -> Result<(), Thrown> {
    stack.step(1)?;
    match stack.kind(-1) {
        Kind::Boolean => out.push(if stack.is_true(-1) { 0xC3 } else { 0xC2 }),
        Kind::Number => write_number(out, stack.number(-1)),
        Kind::String => {
            let bytes = stack.bytes(-1).unwrap_or_default();
            write_length(out, bytes.len(), (0xA0, 32), &[0xD9, 0xDA, 0xDB]);
            out.extend_from_slice(bytes);
        }
        Kind::Table if depth < MSGPACK_DEPTH_MAX => return write_table(stack, out, depth),
        _ => out.push(0xC0),
    }
    stack.need_memory(out.len())?;
    stack.pop(1);
    Ok(())
}

fn write_number(out: &mut Vec<u8>, number: f64) {
    let whole = cast_i64(number);
    if whole as f64 != number {
        let single = number as f32;
        if f64::from(single) == number {
            out.push(0xCA);
            out.extend_from_slice(&single.to_be_bytes());
        } else {
            out.push(0xCB);
            out.extend_from_slice(&number.to_be_bytes());
        }
        return;
    }
    let (kind, bytes) = match whole {
        -32..=127 => return out.push(whole as u8),
        128..=0xFF => (0xCC, 1),
        0x100..=0xFFFF => (0xCD, 2),
        0x1_0000..=0xFFFF_FFFF => (0xCE, 4),
        0x1_0000_0000.. => (0xCF, 8),
        -0x80..=-33 => (0xD0, 1),
        -0x8000..=-0x81 => (0xD1, 2),
        -0x8000_0000..=-0x8001 => (0xD2, 4),
        _ => (0xD3, 8),
    };
    out.push(kind);
    out.extend_from_slice(&whole.to_be_bytes()[8 - bytes..]);
}

/// A length within the kind, or in one of the widths that there are kinds for, the widest last.
fn write_length(out: &mut Vec<u8>, len: usize, (short, most): (u8, usize), kinds: &[u8]) {
    if len < most {
        return out.push(short | len as u8);
    }
    let widths: &[usize] = if kinds.len() == 3 { &[1, 2, 4] } else { &[2, 4] };
    for (kind, width) in kinds.iter().zip(widths) {
        if *width == 4 || len >> (8 * width) == 0 {
            out.push(*kind);
            out.extend_from_slice(&(len as u32).to_be_bytes()[4 - width..]);
            return;
        }
    }
}

fn write_table(stack: &mut Stack, out: &mut Vec<u8>, depth: usize) -> Result<(), Thrown> {
    stack.need_room(6, "in function mp_encode_lua_table")?;
    let (is_array, count) = shape(stack)?;
    if is_array {
        let len = stack.length(-1);
        write_length(out, len, (0x90, 16), &[0xDC, 0xDD]);
        for index in 1..=len {
            stack.get_at(-1, index);
            write_top(stack, out, depth + 1)?;
        }
    } else {
        write_length(out, count, (0x80, 16), &[0xDE, 0xDF]);
        stack.push_nil();
        while stack.next(-2) {
            stack.push_copy(-2);
            write_top(stack, out, depth + 1)?;
            write_top(stack, out, depth + 1)?;
        }
    }
    stack.pop(1);
    Ok(())
}

/// Whether the table on top is an array without holes, and how many entries it has.
fn shape(stack: &mut Stack) -> Result<(bool, usize), Thrown> {
    let (mut count, mut most, mut is_array) = (0, 0, true);
    stack.push_nil();
    while stack.next(-2) {
        stack.step(1)?;
        stack.pop(1);
        count += 1;
        let key = if stack.kind(-1) == Kind::Number { stack.number(-1) } else { 0.0 };
        let whole = cast_i64(key);
        is_array = is_array && 0 < whole && whole as f64 == key;
        most = most.max(whole as usize);
    }
    Ok((is_array && most == count, count))
}

fn unpack(stack: &mut Stack) -> Result<c_int, Thrown> {
    read_all(stack, 0, 0)
}

fn unpack_one(stack: &mut Stack) -> Result<c_int, Thrown> {
    let offset = stack.long_or(2, 0)?;
    stack.want_bytes(1)?;
    read_all(stack, 1, offset)
}

fn unpack_limit(stack: &mut Stack) -> Result<c_int, Thrown> {
    let limit = cast_i64(stack.want_number(2)?);
    let offset = stack.long_or(3, 0)?;
    stack.want_bytes(1)?;
    read_all(stack, limit, offset)
}

/// Limits have 64 bits, and messages tell the last 32.
fn read_all(stack: &mut Stack, limit: i64, offset: i64) -> Result<c_int, Thrown> {
    let bytes = stack.want_bytes(1)?;
    stack.set_len(1);
    let len = bytes.len();
    let is_all = limit == 0 && offset == 0;
    let Some(start) = usize::try_from(offset).ok().filter(|_| 0 <= limit) else {
        let offset = offset as i32;
        let text = format!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        return Err(Thrown::error(text));
    };
    let Some(rest) = bytes.get(start..) else {
        let start = start as i32;
        let text = format!("Start offset {start} greater than input length {len}.");
        return Err(Thrown::error(text));
    };
    let most = if is_all { usize::MAX } else { limit as usize };
    let mut reader = Reader { rest };
    let mut count = 0;
    while !reader.rest.is_empty() && count < most {
        if MSGPACK_VALUES_MAX <= count {
            return Err(Thrown::error("stack overflow (too many values)"));
        }
        reader.push_value(stack, 0)?;
        count += 1;
    }
    if !is_all {
        let read = len - reader.rest.len();
        stack.need_room(1, "in function mp_unpack_full")?;
        stack.push_number(if reader.rest.is_empty() { -1.0 } else { read as f64 });
        stack.insert(2);
        count += 1;
    }
    Ok(count as c_int)
}

struct Reader<'r> {
    rest: &'r [u8],
}

fn missing() -> Thrown {
    Thrown::error("Missing bytes in input.")
}

impl<'r> Reader<'r> {
    fn take(&mut self, len: usize) -> Result<&'r [u8], Thrown> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(missing)?;
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, Thrown> {
        Ok(self.take(width)?.iter().fold(0, |sum, it| sum << 8 | u64::from(*it)))
    }

    fn signed(&mut self, width: usize) -> Result<i64, Thrown> {
        let unused = 64 - 8 * width as u32;
        Ok((self.unsigned(width)? << unused) as i64 >> unused)
    }

    fn push_value(&mut self, stack: &mut Stack, depth: usize) -> Result<(), Thrown> {
        stack.step(1)?;
        if MSGPACK_READ_DEPTH_MAX < depth {
            return Err(Thrown::error("too many nested values in input."));
        }
        stack.need_room(
            4,
            "too many return values at once; use unpack_one or unpack_limit instead.",
        )?;
        let kind = self.take(1)?[0];
        match kind {
            0x00..=0x7F => stack.push_number(f64::from(kind)),
            0xE0..=0xFF => stack.push_number(f64::from(kind as i8)),
            0xCC..=0xCF => {
                // As in C, where Lua's integers have a sign.
                let number = self.unsigned(1 << (kind - 0xCC))? as i64;
                stack.push_number(number as f64);
            }
            0xD0..=0xD3 => {
                let number = self.signed(1 << (kind - 0xD0))?;
                stack.push_number(number as f64);
            }
            0xC0 => stack.push_nil(),
            0xC2 | 0xC3 => stack.push_boolean(kind == 0xC3),
            0xCA => {
                let single = f32::from_bits(self.unsigned(4)? as u32);
                stack.push_number(f64::from(single));
            }
            0xCB => {
                let double = f64::from_bits(self.unsigned(8)?);
                stack.push_number(double);
            }
            0xA0..=0xBF => stack.push_bytes(self.take(usize::from(kind & 31))?),
            0xD9..=0xDB => {
                let len = self.unsigned(1 << (kind - 0xD9))? as usize;
                stack.push_bytes(self.take(len)?);
            }
            0x90..=0x9F => return self.push_array(stack, usize::from(kind & 15), depth),
            0xDC | 0xDD => {
                let len = self.unsigned(2 << (kind - 0xDC))? as usize;
                return self.push_array(stack, len, depth);
            }
            0x80..=0x8F => return self.push_map(stack, usize::from(kind & 15), depth),
            0xDE | 0xDF => {
                let len = self.unsigned(2 << (kind - 0xDE))? as usize;
                return self.push_map(stack, len, depth);
            }
            _ => return Err(Thrown::error("Bad data format in input.")),
        }
        Ok(())
    }

    fn push_array(&mut self, stack: &mut Stack, len: usize, depth: usize) -> Result<(), Thrown> {
        // Every element takes a byte at least.
        stack.push_table(len.min(self.rest.len()), 0);
        for index in 1..=len {
            self.push_value(stack, depth + 1)?;
            stack.set_at(-2, index);
        }
        Ok(())
    }

    fn push_map(&mut self, stack: &mut Stack, len: usize, depth: usize) -> Result<(), Thrown> {
        stack.push_table(0, len.min(self.rest.len()));
        for _ in 0..len {
            self.push_value(stack, depth + 1)?;
            self.push_value(stack, depth + 1)?;
            match stack.kind(-2) {
                Kind::Nil => return Err(Thrown::Plain(b"table index is nil".to_vec())),
                Kind::Number if stack.number(-2).is_nan() => {
                    return Err(Thrown::Plain(b"table index is NaN".to_vec()));
                }
                _ => stack.set_top(-3),
            }
        }
        Ok(())
    }
}
