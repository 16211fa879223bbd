//! The library `cjson`: its functions and settings.

use std::ffi::c_int;

use super::json_decode;
use super::json_encode;
use super::json_settings::{Invalid, Settings};
use super::native::{Native, push_native};
use super::stack::{Kind, Stack, cast_i64};
use super::thrown::Thrown;

const FUNCTIONS: &[(&str, Native)] = &[
    ("encode", encode),
    ("decode", decode),
    ("encode_sparse_array", sparse_array),
    ("encode_max_depth", |stack| depth(stack, |it| &mut it.encode_depth_max)),
    ("decode_max_depth", |stack| depth(stack, |it| &mut it.decode_depth_max)),
    ("encode_number_precision", precision),
    ("encode_keep_buffer", |stack| switch(stack, |it| &mut it.keeps_buffer)),
    ("encode_invalid_numbers", invalid_numbers),
    ("decode_invalid_numbers", |stack| switch(stack, |it| &mut it.decodes_invalid)),
    ("new", |stack| {
        push_library(stack);
        Ok(1)
    }),
];

/// Pushes a copy of the library with settings of its own.
pub fn push_library(stack: &mut Stack) {
    stack.push_table(0, 16);
    push_settings(stack);
    for (name, native) in FUNCTIONS {
        stack.push_copy(-1);
        push_native(stack, *native, 1);
        stack.set(-3, name.as_bytes());
    }
    stack.pop(1);
    stack.push_pointer(std::ptr::null_mut());
    stack.set(-2, b"null");
    for (name, text) in [(b"_NAME".as_slice(), "cjson"), (b"_VERSION", "2.1.0")] {
        stack.push_bytes(text.as_bytes());
        stack.set(-2, name);
    }
}

fn push_settings(stack: &mut Stack) {
    // SAFETY: a block as large and as aligned as what is written into it, which needs no drop.
    unsafe {
        let block = mlua::ffi::lua_newuserdata(stack.raw(), size_of::<Settings>());
        block.cast::<Settings>().write(Settings::default());
    }
}

fn settings<'s>(stack: &mut Stack) -> &'s mut Settings {
    let block = stack.pointer(Stack::held(1)).cast::<Settings>();
    assert!(!block.is_null(), "every function of the library holds its settings");
    // SAFETY: written by `push_settings`, and held as long as the native that asks.
    unsafe { &mut *block }
}

fn encode(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.len() != 1 {
        return Err(Thrown::Argument(1, "expected 1 argument".into()));
    }
    let settings = *settings(stack);
    let text = json_encode::encode_top(stack, &settings)?;
    stack.push_bytes(&text);
    Ok(1)
}

fn decode(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.len() != 1 {
        return Err(Thrown::Argument(1, "expected 1 argument".into()));
    }
    let text = stack.want_bytes(1)?;
    let settings = *settings(stack);
    json_decode::push_decoded(stack, text, &settings)?;
    Ok(1)
}

/// Fills missing arguments with nil, and refuses those too many.
fn options(stack: &mut Stack, count: c_int) -> Result<(), Thrown> {
    if count < stack.len() {
        return Err(Thrown::Argument(count + 1, "found too many arguments".into()));
    }
    stack.set_len(count);
    Ok(())
}

fn integer(stack: &mut Stack, at: c_int, value: &mut i32, least: i32, most: i32) -> Outcome {
    if stack.kind(at) != Kind::Nil {
        let wanted = cast_i64(stack.want_number(at)?) as i32;
        if !(least..=most).contains(&wanted) {
            let text = format!("expected integer between {least} and {most}");
            return Err(Thrown::Argument(1, text.into()));
        }
        *value = wanted;
    }
    stack.push_number(f64::from(*value));
    Ok(())
}

type Outcome = Result<(), Thrown>;

fn boolean(stack: &mut Stack, at: c_int, value: &mut bool) -> Outcome {
    match stack.kind(at) {
        Kind::Nil => {}
        Kind::Boolean => *value = stack.is_true(at),
        _ => *value = option(stack, at, &["off", "on"])? == 1,
    }
    stack.push_boolean(*value);
    Ok(())
}

/// Which of these words an argument is.
fn option(stack: &mut Stack, at: c_int, words: &[&str]) -> Result<usize, Thrown> {
    let word = stack.want_bytes(at)?;
    let found = words.iter().position(|it| it.as_bytes() == word);
    found.ok_or_else(|| {
        let word = word.split(|it| *it == 0).next().unwrap_or_default();
        Thrown::Argument(at, [b"invalid option '", word, b"'"].concat())
    })
}

fn sparse_array(stack: &mut Stack) -> Result<c_int, Thrown> {
    options(stack, 3)?;
    let settings = settings(stack);
    boolean(stack, 1, &mut settings.sparse_converts)?;
    integer(stack, 2, &mut settings.sparse_ratio, 0, i32::MAX)?;
    integer(stack, 3, &mut settings.sparse_safe, 0, i32::MAX)?;
    Ok(3)
}

fn depth(stack: &mut Stack, of: fn(&mut Settings) -> &mut i32) -> Result<c_int, Thrown> {
    options(stack, 1)?;
    let settings = settings(stack);
    integer(stack, 1, of(settings), 1, i32::MAX)?;
    Ok(1)
}

fn precision(stack: &mut Stack) -> Result<c_int, Thrown> {
    options(stack, 1)?;
    let settings = settings(stack);
    integer(stack, 1, &mut settings.precision, 1, 14)?;
    Ok(1)
}

fn switch(stack: &mut Stack, of: fn(&mut Settings) -> &mut bool) -> Result<c_int, Thrown> {
    options(stack, 1)?;
    let settings = settings(stack);
    boolean(stack, 1, of(settings))?;
    Ok(1)
}

fn invalid_numbers(stack: &mut Stack) -> Result<c_int, Thrown> {
    const CHOICES: [Invalid; 3] = [Invalid::Refused, Invalid::Printed, Invalid::Null];
    options(stack, 1)?;
    let settings = settings(stack);
    let choice = match stack.kind(1) {
        Kind::Nil => settings.encodes_invalid,
        Kind::Boolean => CHOICES[usize::from(stack.is_true(1))],
        _ => CHOICES[option(stack, 1, &["off", "on", "null"])?],
    };
    settings.encodes_invalid = choice;
    match choice {
        Invalid::Null => stack.push_bytes(b"null"),
        _ => stack.push_boolean(choice == Invalid::Printed),
    }
    Ok(1)
}
