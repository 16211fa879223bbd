//! The library `struct`: numbers and strings packed as C structures are.

use std::ffi::c_int;

use super::native::Native;
use super::stack::{Kind, Stack, cast_i64};
use super::thrown::Thrown;

/// Its functions.
pub const FUNCTIONS: &[(&str, Native)] = &[("pack", pack), ("unpack", unpack), ("size", size)];

const ALIGN_NATIVE: usize = 8;
const INTEGER_BYTES_MAX: usize = 32;

/// A format that is read from the left.
struct Format<'f> {
    rest: &'f [u8],
    is_big: bool,
    align: usize,
}

impl<'f> Format<'f> {
    fn new(format: &'f [u8]) -> Format<'f> {
        let rest = format.split(|it| *it == 0).next().unwrap_or_default();
        Format { rest, is_big: cfg!(target_endian = "big"), align: 1 }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self, default: usize) -> Result<usize, Thrown> {
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut sum = 0_i32;
        while let Some(digit @ b'0'..=b'9') = self.rest.first() {
            let digit = i32::from(digit - b'0');
            sum = i32::checked_mul(sum, 10)
                .and_then(|it| it.checked_add(digit))
                .ok_or_else(|| Thrown::error("integral size overflow"))?;
            self.rest = &self.rest[1..];
        }
        Ok(sum as usize)
    }

    fn size(&mut self, option: u8) -> Result<usize, Thrown> {
        Ok(match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'f' => 4,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if INTEGER_BYTES_MAX < size {
                    let text =
                        format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}");
                    return Err(Thrown::error(text));
                }
                size
            }
            _ => 0,
        })
    }

    /// Bytes that stand before what is `size` long, so that it is aligned.
    fn padding(&self, at: usize, option: u8, size: usize) -> usize {
        let size = size.min(self.align);
        if size == 0 || option == b'c' {
            return 0;
        }
        (size - (at & (size - 1))) & (size - 1)
    }

    fn control(&mut self, option: u8) -> Result<(), Thrown> {
        match option {
            b' ' => {}
            b'>' => self.is_big = true,
            b'<' => self.is_big = false,
            b'!' => {
                let align = self.number(ALIGN_NATIVE)?;
                if !align.is_power_of_two() {
                    let text = format!("alignment {align} is not a power of 2");
                    return Err(Thrown::error(text));
                }
                self.align = align;
            }
            other => {
                let text = [b"invalid format option '", &[other][..], b"'"].concat();
                return Err(Thrown::Argument(1, text));
            }
        }
        Ok(())
    }
}

fn pack(stack: &mut Stack) -> Result<c_int, Thrown> {
    let mut format = Format::new(stack.want_bytes(1)?);
    // What is missing is nil.
    stack.push_nil();
    let (mut out, mut arg) = (Vec::new(), 2);
    while let Some(option) = format.next() {
        let size = format.size(option)?;
        out.resize(out.len() + format.padding(out.len(), option, size), 0);
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                put_integer(&mut out, stack.want_number(arg)?, size, format.is_big);
                arg += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                let bytes = (stack.want_number(arg)? as f32).to_be_bytes();
                put(&mut out, bytes, format.is_big);
                arg += 1;
            }
            b'd' => {
                put(&mut out, stack.want_number(arg)?.to_be_bytes(), format.is_big);
                arg += 1;
            }
            b'c' | b's' => {
                let text = stack.want_bytes(arg)?;
                arg += 1;
                let size = if size == 0 { text.len() } else { size };
                let Some(text) = text.get(..size) else {
                    return Err(Thrown::Argument(arg, "string too short".into()));
                };
                out.extend_from_slice(text);
                if option == b's' {
                    out.push(0);
                }
            }
            control => format.control(control)?,
        }
        stack.need_memory(out.len())?;
    }
    stack.push_bytes(&out);
    Ok(1)
}

fn put<const N: usize>(out: &mut Vec<u8>, mut big: [u8; N], is_big: bool) {
    if !is_big {
        big.reverse();
    }
    out.extend_from_slice(&big);
}

fn put_integer(out: &mut Vec<u8>, number: f64, size: usize, is_big: bool) {
    let start = out.len();
    let bits = if number < 0.0 { cast_i64(number) as u64 } else { cast_u64(number) };
    out.extend((0..size).map(|it| if it < 8 { (bits >> (8 * it)) as u8 } else { 0 }));
    if is_big {
        out[start..].reverse();
    }
}

/// A double that is not negative as an integer, as this machine casts it.
fn cast_u64(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if HALF <= number { cast_i64(number - HALF) as u64 ^ 1 << 63 } else { cast_i64(number) as u64 }
}

fn unpack(stack: &mut Stack) -> Result<c_int, Thrown> {
    let mut format = Format::new(stack.want_bytes(1)?);
    let data = stack.want_bytes(2)?;
    let start = match stack.kind(3) {
        Kind::None | Kind::Nil => 1,
        _ => cast_i64(stack.want_number(3)?),
    };
    if start == 0 {
        return Err(Thrown::Argument(3, "offset must be 1 or greater".into()));
    }
    let mut at = (start as usize).wrapping_sub(1);
    let mut count = 0;
    let short = || Thrown::Argument(2, "data string too short".into());
    while let Some(option) = format.next() {
        let mut size = format.size(option)?;
        at = at.wrapping_add(format.padding(at, option, size));
        let mut bytes = at.checked_add(size).and_then(|end| data.get(at..end)).ok_or_else(short)?;
        stack.need_room(2, "too many results")?;
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = get_integer(bytes, option.is_ascii_lowercase(), format.is_big);
                stack.push_number(number);
            }
            b'f' => {
                let bits = get_bits(bytes, format.is_big) as u32;
                stack.push_number(f64::from(f32::from_bits(bits)));
            }
            b'd' => stack.push_number(f64::from_bits(get_bits(bytes, format.is_big))),
            b'c' => {
                if size == 0 {
                    if count == 0 || !stack.is_number(-1) {
                        return Err(Thrown::error("format 'c0' needs a previous size"));
                    }
                    size = cast_u64(stack.number(-1)) as usize;
                    stack.pop(1);
                    count -= 1;
                    let end = at.checked_add(size);
                    bytes = end.and_then(|end| data.get(at..end)).ok_or_else(short)?;
                }
                stack.push_bytes(bytes);
            }
            b's' => {
                let len = data[at..].iter().position(|it| *it == 0);
                let len = len.ok_or_else(|| Thrown::error("unfinished string in data"))?;
                stack.push_bytes(&data[at..at + len]);
                size = len + 1;
            }
            b'x' => {}
            control => format.control(control)?,
        }
        count += c_int::from(b"bBhHlLTiIfdcs".contains(&option));
        at = at.wrapping_add(size);
    }
    stack.push_number((at + 1) as f64);
    Ok(count + 1)
}

fn get_bits(bytes: &[u8], is_big: bool) -> u64 {
    let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    if is_big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
}

fn get_integer(bytes: &[u8], is_signed: bool, is_big: bool) -> f64 {
    let bits = get_bits(bytes, is_big);
    if !is_signed {
        return bits as f64;
    }
    let mask = u64::MAX.wrapping_shl((bytes.len() as u32).wrapping_mul(8).wrapping_sub(1));
    (if bits & mask == 0 { bits } else { bits | mask }) as i64 as f64
}

fn size(stack: &mut Stack) -> Result<c_int, Thrown> {
    let mut format = Format::new(stack.want_bytes(1)?);
    let mut at = 0_usize;
    while let Some(option) = format.next() {
        let size = format.size(option)?;
        at += format.padding(at, option, size);
        match option {
            b's' => return Err(Thrown::Argument(1, "option 's' has no fixed size".into())),
            b'c' if size == 0 => {
                return Err(Thrown::Argument(1, "option 'c0' has no fixed size".into()));
            }
            other if !other.is_ascii_alphanumeric() => format.control(other)?,
            _ => {}
        }
        at += size;
    }
    stack.push_number(at as f64);
    Ok(1)
}
