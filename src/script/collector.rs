//! `collectgarbage`: whatever it is told, it goes on in pieces, and memory stays bounded.

use std::ffi::{c_char, c_int};

use mlua::ffi::{self, lua_State};

use super::state::{STEP_FACTOR, shared_of, spend};

/// The collector is told of so much new memory at a time.
const PIECE_KB: c_int = 256;
/// What that takes, about.
const STEPS_PER_PIECE: u32 = 50_000;

/// Neither stops the collector nor starts it: a script that could, would meet its limit of memory.
pub unsafe extern "C-unwind" fn collect_garbage(state: *mut lua_State) -> c_int {
    const OPTIONS: [(*const c_char, c_int); 7] = [
        (c"stop".as_ptr(), -1),
        (c"restart".as_ptr(), -1),
        (c"collect".as_ptr(), ffi::LUA_GCCOLLECT),
        (c"count".as_ptr(), ffi::LUA_GCCOUNT),
        (c"step".as_ptr(), ffi::LUA_GCSTEP),
        (c"setpause".as_ptr(), ffi::LUA_GCSETPAUSE),
        (c"setstepmul".as_ptr(), ffi::LUA_GCSETSTEPMUL),
    ];
    unsafe {
        let mut names = [std::ptr::null(); OPTIONS.len() + 1];
        names.iter_mut().zip(OPTIONS).for_each(|(name, option)| *name = option.0);
        let chosen = ffi::luaL_checkoption(state, 1, c"collect".as_ptr(), names.as_ptr());
        let size = ffi::luaL_optinteger(state, 2, 0) as c_int;
        match OPTIONS[chosen as usize].1 {
            -1 => ffi::lua_pushinteger(state, 0),
            ffi::LUA_GCCOUNT => {
                let rest = ffi::lua_gc(state, ffi::LUA_GCCOUNTB, 0);
                let whole = ffi::lua_gc(state, ffi::LUA_GCCOUNT, 0);
                ffi::lua_pushnumber(state, f64::from(whole) + f64::from(rest) / 1024.0);
            }
            ffi::LUA_GCSTEP => {
                let is_done = step(state, size);
                ffi::lua_pushboolean(state, c_int::from(is_done));
            }
            ffi::LUA_GCCOLLECT => {
                collect(state);
                ffi::lua_pushinteger(state, 0);
            }
            ffi::LUA_GCSETPAUSE => {
                // What Lua has is ours to choose while a state is small.
                let shown = std::mem::replace(&mut (*shared_of(state)).shown_pause, size);
                ffi::lua_gc(state, ffi::LUA_GCSETPAUSE, size);
                ffi::lua_pushinteger(state, shown as ffi::lua_Integer);
            }
            what => ffi::lua_pushnumber(state, f64::from(ffi::lua_gc(state, what, size))),
        }
        1
    }
}

/// Collects as much as `kilobytes` of new memory would have; whether that has ended a round.
unsafe fn step(state: *mut lua_State, kilobytes: c_int) -> bool {
    // SAFETY: nothing is held when it raises, here and below.
    unsafe {
        let mut left = kilobytes;
        while PIECE_KB < left {
            if collect_piece(state, PIECE_KB) {
                return true;
            }
            left -= PIECE_KB;
        }
        collect_piece(state, left)
    }
}

/// A whole round, behind the one that is under way: what has become garbage in that is left by it.
unsafe fn collect(state: *mut lua_State) {
    unsafe {
        let factor = ffi::lua_gc(state, ffi::LUA_GCSETSTEPMUL, STEP_FACTOR);
        for _ in 0..2 {
            while !collect_piece(state, PIECE_KB) {}
        }
        ffi::lua_gc(state, ffi::LUA_GCSETSTEPMUL, factor);
    }
}

unsafe fn collect_piece(state: *mut lua_State, kilobytes: c_int) -> bool {
    unsafe {
        spend(state, STEPS_PER_PIECE);
        ffi::lua_gc(state, ffi::LUA_GCSTEP, kilobytes) != 0
    }
}
