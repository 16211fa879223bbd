//! What scripts find: the globals, each library, none of it to be written.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_CFunction};

use super::base_functions::{self as base, protect, show_string_metatable};
use super::native::{Native, push_native};
use super::stack::{GLOBALS, Kind, REGISTRY, Stack};
use super::state::State;
use super::thrown::Thrown;
use super::{bits, coroutines, json, math, msgpack, redis, strings, structs, tables};

/// What runs in a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Scripts of EVAL, which see KEYS and ARGV.
    Scripts,
    /// Functions of libraries.
    Functions,
}

/// What scripts are told about the server.
#[derive(Clone, Debug)]
pub struct About {
    /// The version of Redis that we are compatible with: major, minor, patch.
    pub redis: [u8; 3],
    /// The name that `server.SERVER_NAME` has.
    pub name: String,
    /// Our own version.
    pub own: [u8; 3],
}

impl Default for About {
    fn default() -> About {
        About { redis: [7, 2, 4], name: "entourage".into(), own: [0, 1, 0] }
    }
}

/// Keys of the registry.
pub const REAL_GLOBALS: &[u8] = b"real globals";
/// What a library sees while it is loaded.
pub const LOAD_GLOBALS: &[u8] = b"load globals";

const KEPT: &[&str] = &[
    "assert", "error", "gcinfo", "ipairs", "rawequal", "select", "tonumber", "tostring", "type",
    "_VERSION",
];

/// Fills an empty state. What scripts can change is made anew for each of them, or guarded.
pub fn furnish(state: &mut State, purpose: Purpose, about: &About) {
    // SAFETY: no script runs yet.
    let mut stack = unsafe { Stack::of(state.raw()) };
    let stack = &mut stack;
    for (name, open) in [
        (c"", ffi::luaopen_base as lua_CFunction),
        (c"table", ffi::luaopen_table),
        (c"string", ffi::luaopen_string),
        (c"math", ffi::luaopen_math),
        (c"os", ffi::luaopen_os),
    ] {
        open_library(stack, name, open);
    }
    stack.set_len(0);
    // 1: what will be the globals.
    stack.push_table(0, 64);
    for name in KEPT {
        stack.get(GLOBALS, name.as_bytes());
        stack.set(1, name.as_bytes());
    }
    for (name, function) in base::PLAIN {
        set_plain(stack, name, *function);
    }
    set_plain(stack, "collectgarbage", super::collector::collect_garbage);
    for (name, function) in base::NATIVES {
        set_native(stack, 1, name, *function);
    }
    stack.get(1, b"next");
    // SAFETY: `pairs` holds what it expects.
    unsafe {
        ffi::lua_pushcclosure(stack.raw(), base::pairs, 1);
    }
    stack.set(1, b"pairs");

    own_coroutines(stack);
    own_strings(stack);
    stack.get(GLOBALS, b"table");
    tables::count_work(stack);
    finish(stack, "table");
    stack.get(GLOBALS, b"math");
    for (name, function) in math::FUNCTIONS {
        set_native(stack, -1, name, *function);
    }
    finish(stack, "math");
    stack.push_table(0, 1);
    stack.get(GLOBALS, b"os");
    stack.get(-1, b"clock");
    stack.set(-3, b"clock");
    stack.pop(1);
    finish(stack, "os");
    stack.push_table(0, 16);
    set_natives(stack, bits::FUNCTIONS);
    finish(stack, "bit");
    stack.push_table(0, 4);
    set_natives(stack, structs::FUNCTIONS);
    finish(stack, "struct");
    stack.push_table(0, 8);
    set_natives(stack, msgpack::FUNCTIONS);
    for (name, text) in msgpack::TEXTS {
        stack.push_bytes(text.as_bytes());
        stack.set(-2, name.as_bytes());
    }
    finish(stack, "cmsgpack");
    json::push_library(stack);
    finish(stack, "cjson");
    stack.push_table(0, 32);
    set_natives(stack, redis::FUNCTIONS);
    if purpose == Purpose::Scripts {
        set_natives(stack, redis::OF_SCRIPTS);
    }
    constants(stack, about);
    finish(stack, "redis");
    stack.get(1, b"redis");
    stack.set(1, b"server");
    close_globals(stack, REAL_GLOBALS);
    if purpose == Purpose::Functions {
        load_globals(stack, about);
    }
    stack.set_len(0);
}

fn open_library(stack: &mut Stack, name: &CStr, open: lua_CFunction) {
    // SAFETY: memory is not refused while no script runs, and nothing else can go wrong.
    unsafe {
        ffi::lua_pushcclosure(stack.raw(), open, 0);
        ffi::lua_pushstring_(stack.raw(), name.as_ptr());
        ffi::lua_call(stack.raw(), 1, 0);
    }
}

fn set_plain(stack: &mut Stack, name: &str, function: lua_CFunction) {
    // SAFETY: a plain C function of Lua.
    unsafe { ffi::lua_pushcclosure(stack.raw(), function, 0) };
    stack.set(1, name.as_bytes());
}

fn set_native(stack: &mut Stack, table: c_int, name: &str, native: Native) {
    let table = stack.absolute(table);
    push_native(stack, native, 0);
    stack.set(table, name.as_bytes());
}

fn set_natives(stack: &mut Stack, natives: &[(&str, Native)]) {
    for (name, native) in natives {
        set_native(stack, -1, name, *native);
    }
}

/// Makes the table on top a readonly global.
fn finish(stack: &mut Stack, name: &str) {
    stack.push_nil();
    stack.insert(-2);
    protect(stack);
    stack.set(1, name.as_bytes());
}

/// Lua's own, which have no table to be found in but that of the globals.
fn own_coroutines(stack: &mut Stack) {
    stack.get(GLOBALS, b"coroutine");
    coroutines::watch_new_ones(stack);
    finish(stack, "coroutine");
}

fn own_strings(stack: &mut Stack) {
    stack.get(GLOBALS, b"string");
    set_natives(stack, strings::FUNCTIONS);
    if !stack.compile(b"local t, k = ... return t[k]", c"=index").is_ok_and(|it| it) {
        unreachable!("a constant that compiles");
    }
    push_native(stack, strings::gsub, 1);
    stack.set(-2, b"gsub");
    finish(stack, "string");
    // The metatable itself stays Lua's; scripts are shown one like it.
    stack.push_nil();
    stack.push_table(0, 1);
    stack.get(1, b"string");
    stack.set(-2, b"__index");
    protect(stack);
    show_string_metatable(stack);
}

fn constants(stack: &mut Stack, about: &About) {
    for (name, number) in redis::NUMBERS {
        stack.push_number(*number);
        stack.set(-2, name.as_bytes());
    }
    for (prefix, version) in [("REDIS", about.redis), ("SERVER", about.own)] {
        let [major, minor, patch] = version;
        stack.push_bytes(format!("{major}.{minor}.{patch}").as_bytes());
        stack.set(-2, format!("{prefix}_VERSION").as_bytes());
        let number = u32::from(major) << 16 | u32::from(minor) << 8 | u32::from(patch);
        stack.push_number(f64::from(number));
        stack.set(-2, format!("{prefix}_VERSION_NUM").as_bytes());
    }
    stack.push_bytes(about.name.as_bytes());
    stack.set(-2, b"SERVER_NAME");
}

/// Makes the table on top the globals, readonly, complaining of what it has not. Both forms are
/// kept: the real one under `name`.
fn close_globals(stack: &mut Stack, name: &[u8]) {
    let real = stack.len();
    stack.push_copy(real);
    stack.set(REGISTRY, name);
    // Its metatable, as it works and as it is shown.
    complaining(stack);
    stack.push_copy(-1);
    stack.set_metatable(real);
    stack.push_nil();
    stack.insert(-2);
    protect(stack);
    stack.push_copy(real);
    protect(stack);
    stack.push_copy(-1);
    stack.set(real, b"_G");
    stack.replace(GLOBALS);
    stack.set_len(real);
}

/// Pushes a metatable of tables that complain of what they have not.
fn complaining(stack: &mut Stack) {
    stack.push_table(0, 1);
    push_native(stack, missing, 0);
    stack.set(-2, b"__index");
}

fn missing(stack: &mut Stack) -> Result<c_int, Thrown> {
    let name = match stack.kind(2) {
        Kind::String | Kind::Number => stack.bytes(2).unwrap_or_default(),
        _ => {
            let text = "Second argument to luaProtectedTableError must be a string or number";
            return Err(Thrown::error(text));
        }
    };
    let name = name.split(|it| *it == 0).next().unwrap_or_default();
    let text = [b"Script attempted to access nonexistent global variable '", name, b"'"];
    Err(Thrown::error(text.concat()))
}

/// What a library sees while it is loaded: little.
fn load_globals(stack: &mut Stack, about: &About) {
    stack.push_table(0, 4);
    let globals = stack.len();
    stack.push_table(0, 16);
    for (name, native) in redis::FUNCTIONS.iter().filter(|it| it.0 == "log") {
        set_native(stack, -1, name, *native);
    }
    set_native(stack, -1, "register_function", super::register::register_function);
    constants(stack, about);
    complaining(stack);
    stack.set_metatable(-2);
    stack.push_nil();
    stack.insert(-2);
    protect(stack);
    for name in [b"redis".as_slice(), b"server"] {
        stack.push_copy(-1);
        stack.set(globals, name);
    }
    stack.pop(1);
    complaining(stack);
    stack.set_metatable(globals);
    stack.push_nil();
    stack.insert(-2);
    protect(stack);
    stack.push_copy(-1);
    stack.set(REGISTRY, LOAD_GLOBALS);
}
