//! Coroutines whose instructions are counted from the first on.

use std::ffi::c_int;

use mlua::ffi::{self, lua_CFunction, lua_State};

use super::stack::Stack;
use super::state::watch_coroutine;

/// Puts ours into the library on top.
pub fn watch_new_ones(stack: &mut Stack) {
    // SAFETY: memory is not refused while no script runs. `wrap` is shown what Lua's own makes.
    unsafe {
        let state = stack.raw();
        ffi::lua_pushcclosure(state, create, 0);
        stack.set(-2, b"create");
        stack.get(-1, b"wrap");
        if !stack.compile(b"", c"=none").is_ok_and(|it| it) {
            unreachable!("a constant that compiles");
        }
        ffi::lua_call(state, 1, 1);
        ffi::lua_pushcclosure(state, wrap, 1);
        stack.set(-2, b"wrap");
    }
}

unsafe extern "C-unwind" fn create(state: *mut lua_State) -> c_int {
    // SAFETY: a C function of Lua that holds nothing.
    unsafe {
        let is_lua = ffi::lua_isfunction(state, 1) != 0 && ffi::lua_iscfunction(state, 1) == 0;
        if !is_lua {
            ffi::luaL_argerror(state, 1, c"Lua function expected".as_ptr());
        }
        let coroutine = ffi::lua_newthread(state);
        watch_coroutine(coroutine);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_xmove(state, coroutine, 1);
        1
    }
}

/// It holds a function that Lua's own `wrap` has made: those that this makes resume as it does.
unsafe extern "C-unwind" fn wrap(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        create(state);
        let resume: Option<lua_CFunction> = ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1));
        if let Some(resume) = resume {
            ffi::lua_pushcclosure(state, resume, 1);
        }
        1
    }
}
