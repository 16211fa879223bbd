//! Lua's values as JSON.

use std::ffi::c_int;

use super::json_settings::{Invalid, Settings};
use super::number_text::general;
use super::stack::{Kind, Stack, cast_i64};
use super::thrown::Thrown;

/// However deep a script allows it to be: what a small thread has room for.
const DEPTH_MAX: usize = 1_200;

/// The text of the value on top.
pub fn encode_top(stack: &mut Stack, settings: &Settings) -> Result<Vec<u8>, Thrown> {
    let mut encoder = Encoder { out: Vec::new(), settings };
    encoder.value(stack, 0)?;
    Ok(encoder.out)
}

struct Encoder<'s> {
    out: Vec<u8>,
    settings: &'s Settings,
}

fn cannot(stack: &Stack, at: c_int, why: &str) -> Thrown {
    let name = stack.kind_name(at);
    Thrown::error(format!("Cannot serialise {name}: {why}"))
}

impl Encoder<'_> {
    /// Appends the top, which stays.
    fn value(&mut self, stack: &mut Stack, depth: usize) -> Result<(), Thrown> {
        stack.step(1)?;
        match stack.kind(-1) {
            Kind::String => {
                let bytes = stack.bytes(-1).unwrap_or_default();
                stack.step_bytes(bytes.len(), 2)?;
                self.string(bytes);
            }
            Kind::Number => self.number(stack, -1)?,
            Kind::Boolean => self.word(if stack.is_true(-1) { "true" } else { "false" }),
            Kind::Nil => self.word("null"),
            Kind::LightUserdata if stack.pointer(-1).is_null() => self.word("null"),
            Kind::Table => return self.table(stack, depth + 1),
            _ => return Err(cannot(stack, -1, "type not supported")),
        }
        stack.need_memory(self.out.len())?;
        Ok(())
    }

    fn word(&mut self, word: &str) {
        self.out.extend_from_slice(word.as_bytes());
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        for &byte in bytes {
            match byte {
                b'"' => self.word("\\\""),
                b'\\' => self.word("\\\\"),
                b'/' => self.word("\\/"),
                8 => self.word("\\b"),
                9 => self.word("\\t"),
                10 => self.word("\\n"),
                12 => self.word("\\f"),
                13 => self.word("\\r"),
                0..=31 | 127 => self.word(&format!("\\u{byte:04x}")),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }

    fn number(&mut self, stack: &mut Stack, at: c_int) -> Result<(), Thrown> {
        let number = stack.number(at);
        if !number.is_finite() {
            match self.settings.encodes_invalid {
                Invalid::Refused => return Err(cannot(stack, at, "must not be NaN or Inf")),
                Invalid::Null => {
                    self.word("null");
                    return Ok(());
                }
                Invalid::Printed if number.is_nan() => {
                    self.word("nan");
                    return Ok(());
                }
                Invalid::Printed => {}
            }
        }
        const DIGITS: f64 = 1e14;
        if number.trunc() == number && number.abs() < DIGITS && self.settings.precision == 14 {
            if number == 0.0 && number.is_sign_negative() {
                self.out.push(b'-');
            }
            let mut buffer = itoa::Buffer::new();
            self.word(buffer.format(number as i64));
        } else {
            self.word(&general(number, self.settings.precision as usize));
        }
        Ok(())
    }

    fn table(&mut self, stack: &mut Stack, depth: usize) -> Result<(), Thrown> {
        let most = DEPTH_MAX.min(self.settings.encode_depth_max as usize);
        if most < depth || !stack.has_room(6) {
            return Err(Thrown::error(format!("Cannot serialise, excessive nesting ({depth})")));
        }
        match self.array_length(stack)? {
            0 => self.object(stack, depth),
            len => self.array(stack, len, depth),
        }
    }

    /// How long the array on top is; 0 if it is none.
    fn array_length(&self, stack: &mut Stack) -> Result<usize, Thrown> {
        let (mut most, mut count) = (0_i32, 0_i64);
        stack.push_nil();
        while stack.next(-2) {
            stack.step(1)?;
            stack.pop(1);
            let key = if stack.kind(-1) == Kind::Number { stack.number(-1) } else { 0.0 };
            if key.floor() != key || key <= 0.0 {
                stack.pop(1);
                return Ok(0);
            }
            if f64::from(most) < key {
                // What does not fit is no index, and makes an object of the array.
                most = i32::try_from(cast_i64(key)).unwrap_or(i32::MIN);
            }
            count += 1;
        }
        let most = i64::from(most);
        let ratio = i64::from(self.settings.sparse_ratio);
        let is_sparse = 0 < ratio
            && count.saturating_mul(ratio) < most
            && i64::from(self.settings.sparse_safe) < most;
        if !is_sparse {
            return Ok(usize::try_from(most).unwrap_or(0));
        }
        if self.settings.sparse_converts {
            return Ok(0);
        }
        Err(cannot(stack, -1, "excessively sparse array"))
    }

    fn array(&mut self, stack: &mut Stack, len: usize, depth: usize) -> Result<(), Thrown> {
        self.out.push(b'[');
        for index in 1..=len {
            if 1 < index {
                self.out.push(b',');
            }
            stack.get_at(-1, index);
            self.value(stack, depth)?;
            stack.pop(1);
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, stack: &mut Stack, depth: usize) -> Result<(), Thrown> {
        self.out.push(b'{');
        let mut is_first = true;
        stack.push_nil();
        while stack.next(-2) {
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            match stack.kind(-2) {
                Kind::Number => {
                    self.out.push(b'"');
                    self.number(stack, -2)?;
                    self.word("\":");
                }
                Kind::String => {
                    self.string(stack.bytes(-2).unwrap_or_default());
                    self.out.push(b':');
                }
                _ => return Err(cannot(stack, -2, "table key must be a number or string")),
            }
            self.value(stack, depth)?;
            stack.pop(1);
        }
        self.out.push(b'}');
        Ok(())
    }
}
