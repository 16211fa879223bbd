//! The library `redis`, which is also called `server`.

use std::ffi::c_int;

use mlua::ffi;

use super::native::Native;
use super::number_text::number_text;
use super::sha1::sha1hex_in_pieces;
use super::stack::{Kind, Stack, cast_i64};
use super::thrown::Thrown;
use super::to_lua::{push_error, push_field, push_reply};
use crate::resp::Protocol;

/// What it has while a script or a function runs.
pub const FUNCTIONS: &[(&str, Native)] = &[
    ("call", |stack| call(stack, Failure::Raised)),
    ("pcall", |stack| call(stack, Failure::Returned)),
    ("log", log),
    ("setresp", set_protocol),
    ("set_repl", set_replication),
    ("acl_check_cmd", may_call),
    ("error_reply", |stack| one_field(stack, b"err")),
    ("status_reply", |stack| one_field(stack, b"ok")),
    ("sha1hex", hash),
];

/// What scripts have beside that, and functions have not.
pub const OF_SCRIPTS: &[(&str, Native)] = &[
    ("replicate_commands", |stack| answer_true(stack)),
    ("breakpoint", |stack| answer_false(stack)),
    ("debug", |_| Ok(0)),
];

/// Its numbers.
pub const NUMBERS: &[(&str, f64)] = &[
    ("LOG_DEBUG", 0.0),
    ("LOG_VERBOSE", 1.0),
    ("LOG_NOTICE", 2.0),
    ("LOG_WARNING", 3.0),
    ("REPL_NONE", 0.0),
    ("REPL_AOF", 1.0),
    ("REPL_SLAVE", 2.0),
    ("REPL_REPLICA", 2.0),
    ("REPL_ALL", 3.0),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    Raised,
    Returned,
}

/// Arguments that need no memory of their own.
const ARGS_AT_HAND: usize = 8;

fn call(stack: &mut Stack, failure: Failure) -> Result<c_int, Thrown> {
    if let Err(text) = spell_arguments(stack) {
        push_error(stack, text, false);
        return if failure == Failure::Raised { Err(Thrown::Top) } else { Ok(1) };
    }
    let mut reply = std::mem::take(&mut stack.shared().reply);
    reply.clear();
    let called = with_arguments(stack, |stack, argv| {
        let shared = stack.shared();
        let protocol = shared.protocol;
        match shared.host() {
            Some(host) => host.call(argv, protocol, &mut reply),
            None => {
                reply.extend_from_slice(b"-ERR no script runs\r\n");
                0
            }
        }
    });
    // Arguments may take all the room there is, and the reply needs some.
    stack.set_len(0);
    let pushed = called.and_then(|steps| {
        let pushed = push_reply(stack, &reply)?;
        stack.step(steps).map(|()| pushed)
    });
    let is_error = pushed.map(|(_, is_error)| is_error);
    const REPLY_BYTES_KEPT: usize = 64 << 10;
    if reply.capacity() <= REPLY_BYTES_KEPT {
        stack.shared().reply = reply;
    }
    if is_error? && failure == Failure::Raised { Err(Thrown::Top) } else { Ok(1) }
}

/// Makes every argument a string, in place.
fn spell_arguments(stack: &mut Stack) -> Result<(), &'static [u8]> {
    let count = stack.len();
    if count == 0 {
        return Err(b"ERR Please specify at least one argument for this redis lib call");
    }
    for at in 1..=count {
        match stack.kind(at) {
            Kind::String => {}
            Kind::Number => {
                let text = number_text(stack.number(at));
                stack.push_bytes(text.as_bytes());
                stack.replace(at);
            }
            _ => return Err(b"ERR Lua redis lib command arguments must be strings or integers"),
        }
    }
    Ok(())
}

fn with_arguments<R>(
    stack: &mut Stack,
    work: impl FnOnce(&mut Stack, &[&[u8]]) -> R,
) -> Result<R, Thrown> {
    let count = stack.len() as usize;
    let mut at_hand = [[].as_slice(); ARGS_AT_HAND];
    let mut many = Vec::new();
    let argv = if count <= ARGS_AT_HAND {
        &mut at_hand[..count]
    } else {
        many.resize(count, [].as_slice());
        &mut many[..]
    };
    for (at, arg) in argv.iter_mut().enumerate() {
        *arg = stack.want_bytes(at as c_int + 1)?;
    }
    Ok(work(stack, argv))
}

/// Raises the table of an error.
fn raise(stack: &mut Stack, text: &str) -> Result<c_int, Thrown> {
    push_error(stack, text.as_bytes(), false);
    Err(Thrown::Top)
}

fn answer_true(stack: &mut Stack) -> Result<c_int, Thrown> {
    stack.push_boolean(true);
    Ok(1)
}

fn answer_false(stack: &mut Stack) -> Result<c_int, Thrown> {
    stack.push_boolean(false);
    Ok(1)
}

fn log(stack: &mut Stack) -> Result<c_int, Thrown> {
    let count = stack.len();
    if count < 2 {
        return raise(stack, "ERR redis.log() requires two arguments or more.");
    }
    if !stack.is_number(1) {
        return raise(stack, "ERR First argument must be a number (log level).");
    }
    let level = cast_i64(stack.number(1));
    let Ok(level @ 0..=3) = u8::try_from(level) else {
        return raise(stack, "ERR Invalid debug level.");
    };
    let words: Vec<&[u8]> = (2..=count).filter_map(|at| stack.bytes(at)).collect();
    let text = words.join(&b' ');
    // A line is spelled and written.
    stack.step_bytes(text.len(), 10)?;
    if let Some(host) = stack.shared().host() {
        host.log(level, &text);
    }
    Ok(0)
}

fn set_protocol(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.len() != 1 {
        return raise(stack, "ERR redis.setresp() requires one argument.");
    }
    let protocol = match cast_i64(stack.number(1)) {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return raise(stack, "ERR RESP version must be 2 or 3."),
    };
    stack.shared().protocol = protocol;
    Ok(0)
}

fn set_replication(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.len() != 1 {
        return raise(stack, "ERR redis.set_repl() requires two arguments.");
    }
    let Ok(targets @ 0..=3) = u8::try_from(cast_i64(stack.number(1))) else {
        let text = "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or \
                    REPL_NONE.";
        return raise(stack, text);
    };
    if let Some(host) = stack.shared().host() {
        host.set_replication(targets);
    }
    Ok(0)
}

fn may_call(stack: &mut Stack) -> Result<c_int, Thrown> {
    if let Err(text) = spell_arguments(stack) {
        push_error(stack, text, false);
        return Err(Thrown::Top);
    }
    let may = with_arguments(stack, |stack, argv| {
        stack.shared().host().and_then(|host| host.may_call(argv))
    })?;
    match may {
        None => raise(stack, "ERR Invalid command passed to redis.acl_check_cmd()"),
        Some(may) => {
            stack.push_boolean(may);
            Ok(1)
        }
    }
}

/// `redis.error_reply` and `redis.status_reply`.
fn one_field(stack: &mut Stack, field: &[u8]) -> Result<c_int, Thrown> {
    let text = if stack.len() == 1 { stack.string(1) } else { None };
    let Some(text) = text else {
        push_error(stack, b"ERR wrong number or type of arguments", false);
        return Ok(1);
    };
    if field == b"ok" {
        push_field(stack, field, text);
        return Ok(1);
    }
    // An error has a code in front: a first word before a space, or ERR.
    let text = text.split(|it| *it == 0).next().unwrap_or_default();
    let mut text = text.strip_prefix(b"-").unwrap_or(text);
    while let [rest @ .., b'\r' | b'\n'] = text {
        text = rest;
    }
    let (code, mut message) = match text.iter().position(|it| *it == b' ') {
        Some(end) => text.split_at(end + 1),
        None => (b"ERR ".as_slice(), text),
    };
    while let [b'\r' | b'\n', rest @ ..] = message {
        message = rest;
    }
    push_field(stack, field, &[code, message].concat());
    Ok(1)
}

fn hash(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.len() != 1 {
        return raise(stack, "ERR wrong number of arguments");
    }
    let bytes = stack.bytes(1).unwrap_or_default();
    let sha = sha1hex_in_pieces(bytes, |len| stack.step_bytes(len, 2))?;
    stack.push_bytes(&sha);
    Ok(1)
}

/// What becomes of an error before a script's host sees it: a table, with where it was raised.
pub fn handle_error(stack: &mut Stack) -> Result<c_int, Thrown> {
    stack.set_len(1);
    if stack.kind(1) != Kind::Table {
        let text = [b"ERR ", shown(stack, 1).as_slice()].concat();
        push_field(stack, b"err", &text);
        stack.replace(1);
    }
    let Some((source, line)) = place(stack) else { return Ok(1) };
    stack.push_bytes(&source);
    stack.set(1, b"source");
    stack.push_number(f64::from(line));
    stack.set(1, b"line");
    Ok(1)
}

/// As `tostring` shows it, metatables not asked.
fn shown(stack: &mut Stack, at: c_int) -> Vec<u8> {
    match stack.kind(at) {
        Kind::String | Kind::Number => stack.bytes(at).unwrap_or_default().to_vec(),
        Kind::Nil | Kind::None => b"nil".to_vec(),
        Kind::Boolean => stack.is_true(at).to_string().into_bytes(),
        _ => format!("{}: {:p}", stack.kind_name(at), stack.identity(at)).into_bytes(),
    }
}

/// The chunk and the line of the innermost function, or of its host if it is a native one.
fn place(stack: &mut Stack) -> Option<(Vec<u8>, c_int)> {
    let state = stack.raw();
    for level in 1..=2 {
        // SAFETY: `activation` is filled before it is read, and its texts live while the function
        // is on the call stack.
        unsafe {
            let mut activation = std::mem::zeroed::<ffi::lua_Debug>();
            if ffi::lua_getstack(state, level, &mut activation) == 0 {
                return None;
            }
            ffi::lua_getinfo(state, c"Sl".as_ptr(), &mut activation);
            let text = |it| std::ffi::CStr::from_ptr(it).to_bytes();
            if level == 2 || text(activation.what) != b"C" {
                return Some((text(activation.source).to_vec(), activation.currentline));
            }
        }
    }
    None
}
