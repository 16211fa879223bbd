//! The library `table`: work on every element is counted.
//!
//! All but `concat` raise by themselves and hold nothing: they are plain C functions.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_CFunction, lua_State};

use super::base_functions::refuse_readonly;
use super::limits::BYTES_PER_STEP;
use super::native::{Native, push_native};
use super::stack::{Kind, Stack};
use super::state::spend;
use super::thrown::Thrown;

const PLAIN: &[(&str, lua_CFunction)] = &[
    ("insert", insert),
    ("remove", remove),
    ("maxn", maxn),
    ("foreach", for_each),
    ("foreachi", for_each_index),
    ("sort", sort),
];
const CONCAT: Native = concat;

/// What it takes to read an element and to write it elsewhere.
const STEPS_PER_ELEMENT: u32 = 10;

/// Puts ours into the library on top.
pub fn count_work(stack: &mut Stack) {
    for (name, function) in PLAIN {
        // SAFETY: a plain C function of Lua.
        unsafe { ffi::lua_pushcclosure(stack.raw(), *function, 0) };
        stack.set(-2, name.as_bytes());
    }
    push_native(stack, CONCAT, 0);
    stack.set(-2, b"concat");
}

/// Number of the elements of the table that is the first argument.
unsafe fn length(state: *mut lua_State) -> c_int {
    // SAFETY: a part of a C function of Lua that holds nothing, as all that follow.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_objlen(state, 1) as c_int
    }
}

/// Copies the element at `from` over the one at `to`.
unsafe fn copy(state: *mut lua_State, from: c_int, to: c_int) {
    unsafe {
        spend(state, STEPS_PER_ELEMENT);
        ffi::lua_rawgeti_(state, 1, from);
        ffi::lua_rawseti_(state, 1, to);
    }
}

unsafe extern "C-unwind" fn insert(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        refuse_readonly(state, 1);
        let end = (ffi::lua_objlen(state, 1) as c_int).wrapping_add(1);
        let at = match ffi::lua_gettop(state) {
            2 => end,
            3 => {
                let at = ffi::luaL_checkinteger(state, 2) as c_int;
                let mut to = end.max(at);
                while at < to {
                    copy(state, to - 1, to);
                    to -= 1;
                }
                at
            }
            _ => return ffi::luaL_error(state, c"wrong number of arguments to 'insert'".as_ptr()),
        };
        ffi::lua_rawseti_(state, 1, at);
        0
    }
}

unsafe extern "C-unwind" fn remove(state: *mut lua_State) -> c_int {
    unsafe {
        let end = length(state);
        let at = ffi::luaL_optinteger(state, 2, end as ffi::lua_Integer) as c_int;
        if !(1..=end).contains(&at) {
            return 0;
        }
        ffi::lua_rawgeti_(state, 1, at);
        for to in at..end {
            copy(state, to + 1, to);
        }
        ffi::lua_pushnil(state);
        ffi::lua_rawseti_(state, 1, end);
        1
    }
}

unsafe extern "C-unwind" fn maxn(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        let mut most = 0.0;
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, 1) != 0 {
            spend(state, STEPS_PER_ELEMENT);
            ffi::lua_pop(state, 1);
            if ffi::lua_type(state, -1) == ffi::LUA_TNUMBER {
                let key = ffi::lua_tonumber(state, -1);
                if most < key {
                    most = key;
                }
            }
        }
        ffi::lua_pushnumber(state, most);
        1
    }
}

unsafe extern "C-unwind" fn for_each(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::luaL_checktype(state, 2, ffi::LUA_TFUNCTION);
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, 1) != 0 {
            spend(state, STEPS_PER_ELEMENT);
            ffi::lua_pushvalue(state, 2);
            ffi::lua_pushvalue(state, -3);
            ffi::lua_pushvalue(state, -3);
            ffi::lua_call(state, 2, 1);
            if ffi::lua_type(state, -1) != ffi::LUA_TNIL {
                return 1;
            }
            ffi::lua_pop(state, 2);
        }
        0
    }
}

unsafe extern "C-unwind" fn for_each_index(state: *mut lua_State) -> c_int {
    unsafe {
        let end = length(state);
        ffi::luaL_checktype(state, 2, ffi::LUA_TFUNCTION);
        for index in 1..=end {
            spend(state, STEPS_PER_ELEMENT);
            ffi::lua_pushvalue(state, 2);
            ffi::lua_pushinteger(state, index as ffi::lua_Integer);
            ffi::lua_rawgeti_(state, 1, index);
            ffi::lua_call(state, 2, 1);
            if ffi::lua_type(state, -1) != ffi::LUA_TNIL {
                return 1;
            }
            ffi::lua_pop(state, 1);
        }
        0
    }
}

/// Elements that are equal come in no certain order, but in the same one as from Lua's own: this
/// compares and swaps what that does.
unsafe extern "C-unwind" fn sort(state: *mut lua_State) -> c_int {
    unsafe {
        let end = length(state);
        // Whatever is sorted: nothing lies on the stack while a part is sorted within.
        ffi::luaL_checkstack_(state, 40, c"".as_ptr());
        if ffi::lua_type(state, 2) > ffi::LUA_TNIL {
            ffi::luaL_checktype(state, 2, ffi::LUA_TFUNCTION);
        }
        ffi::lua_settop(state, 2);
        sort_between(state, 1, end);
        0
    }
}

/// Whether the value at `one` comes before that at `other`; both count from the top.
unsafe fn comes_before(state: *mut lua_State, one: c_int, other: c_int) -> bool {
    unsafe {
        spend(state, 2 * STEPS_PER_ELEMENT);
        if ffi::lua_type(state, 2) == ffi::LUA_TNIL {
            let is_text = |at| ffi::lua_type(state, at) == ffi::LUA_TSTRING;
            if is_text(one) && is_text(other) {
                let len = ffi::lua_objlen(state, one).min(ffi::lua_objlen(state, other));
                spend(state, (len / BYTES_PER_STEP) as u32);
            }
            return ffi::lua_lessthan(state, one, other) != 0;
        }
        ffi::lua_pushvalue(state, 2);
        ffi::lua_pushvalue(state, one - 1);
        ffi::lua_pushvalue(state, other - 2);
        ffi::lua_call(state, 2, 1);
        let is_before = ffi::lua_toboolean(state, -1) != 0;
        ffi::lua_pop(state, 1);
        is_before
    }
}

/// Puts the top at `first`, and what lies below it at `second`.
unsafe fn put(state: *mut lua_State, first: c_int, second: c_int) {
    unsafe {
        ffi::lua_rawseti_(state, 1, first);
        ffi::lua_rawseti_(state, 1, second);
    }
}

unsafe fn sort_between(state: *mut lua_State, mut low: c_int, mut high: c_int) {
    unsafe {
        while low < high {
            ffi::lua_rawgeti_(state, 1, low);
            ffi::lua_rawgeti_(state, 1, high);
            if comes_before(state, -1, -2) {
                put(state, low, high);
            } else {
                ffi::lua_pop(state, 2);
            }
            if high - low == 1 {
                return;
            }
            let middle = low + (high - low) / 2;
            ffi::lua_rawgeti_(state, 1, middle);
            ffi::lua_rawgeti_(state, 1, low);
            if comes_before(state, -2, -1) {
                put(state, middle, low);
            } else {
                ffi::lua_pop(state, 1);
                ffi::lua_rawgeti_(state, 1, high);
                if comes_before(state, -1, -2) {
                    put(state, middle, high);
                } else {
                    ffi::lua_pop(state, 2);
                }
            }
            if high - low == 2 {
                return;
            }
            let pivot = part(state, low, middle, high);
            // The larger part is this loop's.
            let smaller = if pivot - low < high - pivot {
                let smaller = (low, pivot - 1);
                low = pivot + 1;
                smaller
            } else {
                let smaller = (pivot + 1, high);
                high = pivot - 1;
                smaller
            };
            sort_between(state, smaller.0, smaller.1);
        }
    }
}

/// Brings what comes before the middle one below it, and the rest above. Answers where that is
/// then. The lowest and the highest are on their sides already.
unsafe fn part(state: *mut lua_State, low: c_int, middle: c_int, high: c_int) -> c_int {
    const INVALID: &CStr = c"invalid order function for sorting";
    unsafe {
        ffi::lua_rawgeti_(state, 1, middle);
        ffi::lua_pushvalue(state, -1);
        ffi::lua_rawgeti_(state, 1, high - 1);
        put(state, middle, high - 1);
        let (mut up, mut down) = (low, high - 1);
        // On the stack lie the pivot, and above it what is compared with it.
        loop {
            loop {
                up += 1;
                ffi::lua_rawgeti_(state, 1, up);
                if !comes_before(state, -1, -2) {
                    break;
                }
                if high < up {
                    ffi::luaL_error(state, INVALID.as_ptr());
                }
                ffi::lua_pop(state, 1);
            }
            loop {
                down -= 1;
                ffi::lua_rawgeti_(state, 1, down);
                if !comes_before(state, -3, -1) {
                    break;
                }
                if down < low {
                    ffi::luaL_error(state, INVALID.as_ptr());
                }
                ffi::lua_pop(state, 1);
            }
            if down < up {
                ffi::lua_pop(state, 3);
                break;
            }
            put(state, up, down);
        }
        ffi::lua_rawgeti_(state, 1, high - 1);
        ffi::lua_rawgeti_(state, 1, up);
        put(state, high - 1, up);
        up
    }
}

fn concat(stack: &mut Stack) -> Result<c_int, Thrown> {
    let separator: &[u8] = match stack.kind(2) {
        Kind::None | Kind::Nil => b"",
        _ => stack.want_bytes(2)?,
    };
    if stack.kind(1) != Kind::Table {
        return Err(Thrown::Kind(1, "table"));
    }
    let first = stack.int_or(3, 1)?;
    let end = stack.length(1) as i32;
    let last = stack.int_or(4, end)?;
    let mut out = Vec::new();
    for index in first..=last {
        stack.get_at(1, index as usize);
        let Some(piece) = stack.bytes(-1) else {
            let name = stack.kind_name(-1);
            let text = format!("invalid value ({name}) at index {index} in table for 'concat'");
            return Err(Thrown::error(text));
        };
        out.extend_from_slice(piece);
        if index != last {
            out.extend_from_slice(separator);
        }
        stack.pop(1);
        stack.need_memory(out.len())?;
        let bytes = piece.len() + separator.len();
        stack.step(STEPS_PER_ELEMENT + (bytes / BYTES_PER_STEP) as u32)?;
    }
    stack.push_bytes(&out);
    Ok(1)
}
