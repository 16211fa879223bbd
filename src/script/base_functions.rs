//! The functions of Lua's own library that must know of readonly tables, or could harm us.
//!
//! Those that raise by themselves are plain C functions here: they hold nothing that would be lost.

use std::ffi::{CString, c_int, c_void};
use std::sync::atomic::AtomicU8;

use mlua::ffi::{self, lua_CFunction, lua_State};

use super::native::{Native, push_native};
use super::stack::{Kind, Stack};
use super::state::spend;
use super::thrown::Thrown;

/// Its address is where the metatable of a readonly table keeps the table that it stands for.
static REAL: AtomicU8 = AtomicU8::new(0);
/// Its address is where the same metatable keeps the metatable that scripts are shown.
static SHOWN: AtomicU8 = AtomicU8::new(0);
/// Its address is where the registry keeps what scripts are shown as the metatable of strings.
static OF_STRINGS: AtomicU8 = AtomicU8::new(0);

fn key(of: &'static AtomicU8) -> *mut c_void {
    std::ptr::from_ref(of).cast_mut().cast()
}

/// Plain C functions by name.
pub const PLAIN: &[(&str, lua_CFunction)] = &[
    ("getmetatable", get_metatable),
    ("setmetatable", set_metatable),
    ("rawget", raw_get),
    ("rawset", raw_set),
    ("next", next),
    ("unpack", unpack),
];

/// Natives by name.
pub const NATIVES: &[(&str, Native)] = &[
    ("pcall", protected_call),
    ("xpcall", handled_call),
    ("load", load),
    ("loadstring", load_string),
    ("__redis__err__handler", super::redis::handle_error),
    ("__server__err__handler", super::redis::handle_error),
];

/// What it takes to push an element of a table.
const STEPS_PER_VALUE: u32 = 3;

const READONLY: &std::ffi::CStr = c"Attempt to modify a readonly table";

/// Replaces the table on top by one that reads like it and cannot be written. Below it lies the
/// metatable that scripts are shown, or nil; it is taken away.
pub fn protect(stack: &mut Stack) {
    let real = stack.len();
    stack.push_table(0, 0);
    stack.push_table(0, 4);
    stack.push_copy(real);
    stack.set(-2, b"__index");
    push_native(stack, |_| Err(Thrown::error(READONLY.to_bytes())), 0);
    stack.set(-2, b"__newindex");
    for (of, from) in [(&REAL, real), (&SHOWN, real - 1)] {
        stack.push_pointer(key(of));
        stack.push_copy(from);
        stack.set_top(-3);
    }
    stack.set_metatable(-2);
    stack.remove(real);
    stack.remove(real - 1);
}

/// Remembers the top as the metatable of strings that scripts are shown.
pub fn show_string_metatable(stack: &mut Stack) {
    stack.push_pointer(key(&OF_STRINGS));
    stack.insert(-2);
    stack.set_top(super::stack::REGISTRY);
}

/// Pushes what a readonly table keeps at `of`; nothing if it is none.
unsafe fn push_kept(state: *mut lua_State, at: c_int, of: &'static AtomicU8) -> bool {
    // SAFETY: raw accesses, which raise nothing.
    unsafe {
        if ffi::lua_getmetatable(state, at) == 0 {
            return false;
        }
        ffi::lua_pushlightuserdata(state, key(&REAL));
        ffi::lua_rawget_(state, -2);
        if ffi::lua_type(state, -1) != ffi::LUA_TTABLE {
            ffi::lua_pop(state, 2);
            return false;
        }
        ffi::lua_pop(state, 1);
        ffi::lua_pushlightuserdata(state, key(of));
        ffi::lua_rawget_(state, -2);
        ffi::lua_remove(state, -2);
        true
    }
}

/// Puts the table that a readonly one stands for in its place.
unsafe fn see_through(state: *mut lua_State, at: c_int) {
    // SAFETY: as above.
    unsafe {
        if push_kept(state, at, &REAL) {
            ffi::lua_replace(state, at);
        }
    }
}

/// Raises an error if a readonly table lies there.
///
/// # Safety
/// The caller holds nothing that is lost when this raises.
pub unsafe fn refuse_readonly(state: *mut lua_State, at: c_int) {
    // SAFETY: nothing is held when it raises.
    unsafe {
        if push_kept(state, at, &REAL) {
            ffi::lua_pushstring_(state, READONLY.as_ptr());
            ffi::lua_error(state);
        }
    }
}

unsafe extern "C-unwind" fn next(state: *mut lua_State) -> c_int {
    // SAFETY: a C function of Lua that holds nothing, as all that follow.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(state, 2);
        see_through(state, 1);
        if ffi::lua_next(state, 1) != 0 {
            return 2;
        }
        ffi::lua_pushnil(state);
        1
    }
}

/// `pairs`; it holds `next`.
pub unsafe extern "C-unwind" fn pairs(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(state, 1);
        ffi::lua_pushnil(state);
        3
    }
}

unsafe extern "C-unwind" fn raw_get(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(state, 2);
        ffi::lua_settop(state, 2);
        see_through(state, 1);
        ffi::lua_rawget_(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn raw_set(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(state, 2);
        ffi::luaL_checkany(state, 3);
        ffi::lua_settop(state, 3);
        refuse_readonly(state, 1);
        ffi::lua_rawset(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn get_metatable(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checkany(state, 1);
        if ffi::lua_type(state, 1) == ffi::LUA_TSTRING {
            ffi::lua_pushlightuserdata(state, key(&OF_STRINGS));
            ffi::lua_rawget_(state, ffi::LUA_REGISTRYINDEX);
            return 1;
        }
        if push_kept(state, 1, &SHOWN) {
            return 1;
        }
        if ffi::lua_getmetatable(state, 1) == 0 {
            ffi::lua_pushnil(state);
            return 1;
        }
        ffi::luaL_getmetafield_(state, 1, c"__metatable".as_ptr());
        1
    }
}

unsafe extern "C-unwind" fn set_metatable(state: *mut lua_State) -> c_int {
    unsafe {
        let kind = ffi::lua_type(state, 2);
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        if kind != ffi::LUA_TNIL && kind != ffi::LUA_TTABLE {
            ffi::luaL_argerror(state, 2, c"nil or table expected".as_ptr());
        }
        if ffi::luaL_getmetafield_(state, 1, c"__metatable".as_ptr()) != 0 {
            ffi::luaL_error(state, c"cannot change a protected metatable".as_ptr());
        }
        refuse_readonly(state, 1);
        ffi::lua_settop(state, 2);
        ffi::lua_setmetatable(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn unpack(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        let int = |at, default: c_int| match ffi::lua_type(state, at) {
            ffi::LUA_TNONE | ffi::LUA_TNIL => default,
            _ => ffi::luaL_checkinteger(state, at) as c_int,
        };
        let first = int(2, 1);
        let last = int(3, ffi::lua_objlen(state, 1) as c_int);
        if last < first {
            return 0;
        }
        let count = i64::from(last) - i64::from(first) + 1;
        let fits = c_int::try_from(count).is_ok_and(|it| ffi::lua_checkstack(state, it) != 0);
        if !fits {
            ffi::luaL_error(state, c"too many results to unpack".as_ptr());
        }
        for index in first..=last {
            ffi::lua_rawgeti_(state, 1, index);
        }
        ffi::lua_checkstack(state, 3);
        spend(state, count as u32 * STEPS_PER_VALUE);
        count as c_int
    }
}

/// As Lua's, but the table of an error of Redis becomes the error's text.
fn protected_call(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.len() == 0 {
        // What Redis tries to call then is its own first result.
        stack.push_boolean(false);
        stack.push_bytes(b"attempt to call a boolean value");
        return Ok(2);
    }
    let args = stack.len() - 1;
    if stack.call(args, ffi::LUA_MULTRET).is_ok() {
        stack.need_room(1, "pcall")?;
        stack.push_boolean(true);
        stack.insert(1);
        return Ok(stack.len());
    }
    stack.push_boolean(false);
    stack.insert(-2);
    if stack.kind(-1) != Kind::Table {
        return Ok(2);
    }
    stack.get(-1, b"err");
    if stack.bytes(-1).is_none() {
        // Redis returns what it has found instead of a text, too.
        return Ok(3);
    }
    stack.replace(-2);
    Ok(2)
}

/// As Lua's, but the handler is called when the error has come here, and not within the hook that
/// may have raised it: no hook could stop it there.
fn handled_call(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.len() < 2 {
        return Err(Thrown::Argument(2, "value expected".into()));
    }
    stack.set_len(2);
    stack.push_copy(1);
    if stack.call(0, ffi::LUA_MULTRET).is_ok() {
        stack.need_room(1, "xpcall")?;
        stack.push_boolean(true);
        stack.replace(2);
        return Ok(stack.len() - 1);
    }
    stack.replace(1);
    stack.push_copy(2);
    stack.push_copy(1);
    let handled = stack.call(1, 1);
    stack.push_boolean(false);
    if handled.is_err() {
        stack.push_bytes(b"error in error handling");
    } else {
        stack.push_copy(-2);
    }
    Ok(2)
}

fn load_string(stack: &mut Stack) -> Result<c_int, Thrown> {
    let text = stack.want_bytes(1)?;
    let name = match stack.kind(2) {
        Kind::None | Kind::Nil => text,
        _ => stack.want_bytes(2)?,
    };
    compiled(stack, text, name)
}

fn load(stack: &mut Stack) -> Result<c_int, Thrown> {
    if stack.kind(1) != Kind::Function {
        return Err(Thrown::Kind(1, "function"));
    }
    let name: &[u8] = match stack.kind(2) {
        Kind::None | Kind::Nil => b"=(load)",
        _ => stack.want_bytes(2)?,
    };
    let mut text = Vec::new();
    loop {
        stack.push_copy(1);
        if stack.call(0, 1).is_err() {
            return refused(stack);
        }
        let piece = match stack.kind(-1) {
            Kind::Nil => break,
            _ => stack.bytes(-1),
        };
        let Some(piece) = piece else {
            let text = [&stack.line(), b"reader function must return a string".as_slice()];
            stack.push_bytes(&text.concat());
            return refused(stack);
        };
        if piece.is_empty() {
            break;
        }
        text.extend_from_slice(piece);
        stack.pop(1);
        stack.need_memory(text.len())?;
    }
    compiled(stack, &text, name)
}

fn compiled(stack: &mut Stack, text: &[u8], name: &[u8]) -> Result<c_int, Thrown> {
    let name = name.split(|it| *it == 0).next().unwrap_or_default();
    let name = CString::new(name).unwrap_or_default();
    if stack.compile(text, &name)? { Ok(1) } else { refused(stack) }
}

fn refused(stack: &mut Stack) -> Result<c_int, Thrown> {
    stack.push_nil();
    stack.insert(-2);
    Ok(2)
}
