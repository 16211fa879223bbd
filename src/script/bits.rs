//! The library `bit`: integers of 32 bits.

use std::ffi::c_int;

use super::native::Native;
use super::stack::Stack;
use super::thrown::Thrown;

/// Its functions.
pub const FUNCTIONS: &[(&str, Native)] = &[
    ("tobit", tobit),
    ("bnot", |stack| with(stack, |it| !it)),
    ("bswap", |stack| with(stack, i32::swap_bytes)),
    ("band", |stack| fold(stack, |a, b| a & b)),
    ("bor", |stack| fold(stack, |a, b| a | b)),
    ("bxor", |stack| fold(stack, |a, b| a ^ b)),
    ("lshift", |stack| shift(stack, |it, by| it << by)),
    ("rshift", |stack| shift(stack, |it, by| (it as u32 >> by) as i32)),
    ("arshift", |stack| shift(stack, |it, by| it >> by)),
    ("rol", |stack| shift(stack, i32::rotate_left)),
    ("ror", |stack| shift(stack, i32::rotate_right)),
    ("tohex", tohex),
];

/// A number beyond 2^51 away loses what does not fit: the low bits of the sum with this one are
/// the number's, rounded to even.
const MAGIC: f64 = 6_755_399_441_055_744.0;

fn bits(stack: &mut Stack, at: c_int) -> Result<i32, Thrown> {
    Ok((stack.want_number(at)? + MAGIC).to_bits() as i32)
}

fn answer(stack: &mut Stack, bits: i32) -> Result<c_int, Thrown> {
    stack.push_number(f64::from(bits));
    Ok(1)
}

fn tobit(stack: &mut Stack) -> Result<c_int, Thrown> {
    with(stack, |it| it)
}

fn with(stack: &mut Stack, change: fn(i32) -> i32) -> Result<c_int, Thrown> {
    let it = bits(stack, 1)?;
    answer(stack, change(it))
}

fn fold(stack: &mut Stack, join: fn(i32, i32) -> i32) -> Result<c_int, Thrown> {
    let mut sum = bits(stack, 1)?;
    // From behind, as errors show.
    for at in (2..=stack.len()).rev() {
        sum = join(sum, bits(stack, at)?);
    }
    answer(stack, sum)
}

fn shift(stack: &mut Stack, by: fn(i32, u32) -> i32) -> Result<c_int, Thrown> {
    let (it, count) = (bits(stack, 1)?, bits(stack, 2)?);
    answer(stack, by(it, count as u32 & 31))
}

fn tohex(stack: &mut Stack) -> Result<c_int, Thrown> {
    let it = bits(stack, 1)?;
    let digits = if stack.len() < 2 { 8 } else { bits(stack, 2)? };
    let count = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{it:08X}") } else { format!("{it:08x}") };
    stack.push_bytes(&text.as_bytes()[8 - count..]);
    Ok(1)
}
