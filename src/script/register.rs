//! `redis.register_function`, which a library calls while it is loaded.

use std::ffi::c_int;

use mlua::ffi;

use super::flags::{Flags, WRONG_NAME, is_name};
use super::registered::Registered;
use super::stack::{Kind, REGISTRY, Stack};
use super::thrown::Thrown;
use super::to_lua::push_error;

/// The function that scripts see.
pub fn register_function(stack: &mut Stack) -> Result<c_int, Thrown> {
    let read = match stack.len() {
        1 if stack.kind(1) == Kind::Table => by_name(stack),
        1 => Err("calling redis.register_function with a single argument is only applicable to \
                  Lua table (representing named arguments)."),
        2 => by_place(stack),
        _ => Err("wrong number of arguments to redis.register_function"),
    };
    match read.and_then(|registered| add(stack, registered)) {
        Ok(()) => Ok(0),
        Err(text) => {
            push_error(stack, format!("ERR {text}").as_bytes(), false);
            Err(Thrown::Top)
        }
    }
}

type Read = Result<Registered, &'static str>;

fn by_place(stack: &mut Stack) -> Read {
    let Some(name) = stack.bytes(1) else {
        return Err("first argument to redis.register_function must be a string");
    };
    let name = name.to_vec();
    if stack.kind(2) != Kind::Function {
        return Err("second argument to redis.register_function must be a function");
    }
    let callback = keep(stack, 2);
    Ok(Registered { name, description: None, flags: Flags::default(), callback })
}

fn by_name(stack: &mut Stack) -> Read {
    let (mut name, mut description, mut flags) = (None, None, Flags::default());
    let mut callback = None;
    stack.push_nil();
    while stack.next(1) {
        // A number as a key is left a number: `next` must find it again.
        stack.push_copy(-2);
        let Some(key) = stack.bytes(-1) else {
            return Err("named argument key given to redis.register_function is not a string");
        };
        stack.insert(-2);
        match key.to_ascii_lowercase().as_slice() {
            b"function_name" => {
                let text = "function_name argument given to redis.register_function must be a \
                            string";
                name = Some(stack.bytes(-1).ok_or(text)?.to_vec());
            }
            b"description" => {
                let text = "description argument given to redis.register_function must be a string";
                description = Some(stack.bytes(-1).ok_or(text)?.to_vec());
            }
            b"callback" if stack.kind(-1) == Kind::Function => callback = Some(keep(stack, -1)),
            b"callback" => {
                return Err(
                    "callback argument given to redis.register_function must be a function",
                );
            }
            b"flags" if stack.kind(-1) == Kind::Table => flags = read_flags(stack)?,
            b"flags" => {
                return Err("flags argument to redis.register_function must be a table \
                            representing function flags");
            }
            _ => return Err("unknown argument given to redis.register_function"),
        }
        stack.pop(2);
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    let callback = callback.ok_or("redis.register_function must get a callback argument")?;
    Ok(Registered { name, description, flags, callback })
}

fn read_flags(stack: &mut Stack) -> Result<Flags, &'static str> {
    let mut flags = Flags::default();
    for index in 1.. {
        stack.get_at(-1, index);
        if stack.kind(-1) == Kind::Nil {
            break;
        }
        let flag = stack.bytes(-1).and_then(Flags::named).ok_or("unknown flag given")?;
        flags = flags.with(flag);
        stack.pop(1);
    }
    stack.pop(1);
    Ok(flags)
}

fn keep(stack: &mut Stack, at: c_int) -> c_int {
    stack.push_copy(at);
    // SAFETY: raw accesses to the registry.
    unsafe { ffi::luaL_ref(stack.raw(), REGISTRY) }
}

fn add(stack: &mut Stack, registered: Registered) -> Result<(), &'static str> {
    if !is_name(&registered.name) {
        return Err(&WRONG_NAME[4..]);
    }
    let Some(all) = &mut stack.shared().registration else {
        return Err("redis.register_function can only be called on FUNCTION LOAD command");
    };
    if all.iter().any(|it| it.name.eq_ignore_ascii_case(&registered.name)) {
        return Err("Function already exists in the library");
    }
    all.push(registered);
    Ok(())
}
