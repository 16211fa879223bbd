//! Random numbers for scripts.

use std::ffi::c_int;

use super::native::Native;
use super::random::Random;
use super::stack::Stack;
use super::thrown::Thrown;

/// They take the place of Lua's own.
pub const FUNCTIONS: &[(&str, Native)] = &[("random", random), ("randomseed", seed)];

fn random(stack: &mut Stack) -> Result<c_int, Thrown> {
    let fraction = stack.shared().random.fraction();
    let number = match stack.len() {
        0 => fraction,
        1 => {
            let most = stack.want_int(1)?;
            within(fraction, 1, most, 1)?
        }
        2 => {
            let least = stack.want_int(1)?;
            let most = stack.want_int(2)?;
            within(fraction, least, most, 2)?
        }
        _ => return Err(Thrown::error("wrong number of arguments")),
    };
    stack.push_number(number);
    Ok(1)
}

fn within(fraction: f64, least: i32, most: i32, at: c_int) -> Result<f64, Thrown> {
    if most < least {
        return Err(Thrown::Argument(at, "interval is empty".into()));
    }
    let span = f64::from(most.wrapping_sub(least).wrapping_add(1));
    Ok((fraction * span).floor() + f64::from(least))
}

fn seed(stack: &mut Stack) -> Result<c_int, Thrown> {
    let seed = stack.want_int(1)?;
    stack.shared().random = Random::seeded(seed);
    Ok(0)
}
