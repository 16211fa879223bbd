//! How Lua enters a native function, and how what goes wrong in it is raised.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use super::stack::Stack;
use super::state::shared_of;
use super::thrown::Thrown;

/// A function of Lua that is written in Rust: arguments are on the stack, and so many results are
/// left on top.
pub type Native = fn(&mut Stack) -> Result<c_int, Thrown>;

/// What is left to do when nothing of Rust is held any more.
#[derive(Clone, Copy)]
enum Raise {
    Nothing(c_int),
    AtLine,
    Top,
    Argument(c_int),
}

/// The one C function that Lua knows. The native to call is the first thing it holds.
unsafe extern "C-unwind" fn enter(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this only as the closure that `push_native` made. When something is
    // raised, only numbers and pointers are held; see `state.rs`.
    unsafe {
        let mut stack = Stack::of(state);
        stack.shared().natives += 1;
        let native = stack.pointer(ffi::lua_upvalueindex(1));
        let native = std::mem::transmute::<*mut c_void, Native>(native);
        let raise = outcome(&mut stack, native);
        stack.shared().natives -= 1;
        let raise = match raise {
            Raise::Nothing(results) if !stack.shared().is_over() => return results,
            Raise::Nothing(results) => return over(state, results),
            raise => raise,
        };
        match raise {
            Raise::Nothing(results) => results,
            Raise::Top => ffi::lua_error(state),
            Raise::AtLine => {
                ffi::luaL_where(state, 1);
                ffi::lua_insert(state, -2);
                ffi::lua_concat(state, 2);
                ffi::lua_error(state)
            }
            Raise::Argument(at) => {
                let text = ffi::lua_tostring(state, -1);
                ffi::luaL_argerror(state, at, text)
            }
        }
    }
}

/// The same for the handler of errors, which must not raise one itself: memory may be what is
/// short.
unsafe extern "C-unwind" fn enter_handler(state: *mut lua_State) -> c_int {
    // SAFETY: as in `enter`; the natives that are entered here raise nothing.
    unsafe {
        let mut stack = Stack::of(state);
        stack.shared().natives += 1;
        let native = stack.pointer(ffi::lua_upvalueindex(1));
        let native = std::mem::transmute::<*mut c_void, Native>(native);
        let results = native(&mut stack).unwrap_or(0);
        stack.shared().natives -= 1;
        results
    }
}

/// A native has allocated beyond the limit: garbage goes first, then the script.
#[cold]
unsafe fn over(state: *mut lua_State, results: c_int) -> c_int {
    // SAFETY: as in `enter`, whose tail this is.
    unsafe {
        ffi::lua_gc(state, ffi::LUA_GCCOLLECT, 0);
        let shared = &mut *shared_of(state);
        shared.count_collection();
        if shared.is_full() {
            return ffi::luaL_error(state, c"not enough memory".as_ptr());
        }
        results
    }
}

/// Calls, and leaves nothing but the stack and a number.
fn outcome(stack: &mut Stack, native: Native) -> Raise {
    let thrown = match native(stack) {
        Ok(results) => return Raise::Nothing(results),
        Err(thrown) => thrown,
    };
    if !stack.has_room(4) {
        stack.set_len(0);
    }
    match thrown {
        Thrown::Top => Raise::Top,
        Thrown::Error(text) => {
            stack.push_bytes(&text);
            Raise::AtLine
        }
        Thrown::Plain(text) => {
            stack.push_bytes(&text);
            Raise::Top
        }
        Thrown::Argument(at, text) => {
            stack.push_bytes(&text);
            Raise::Argument(at)
        }
        Thrown::Kind(at, name) => {
            let text = format!("{name} expected, got {}", stack.kind_name(at));
            stack.push_bytes(text.as_bytes());
            Raise::Argument(at)
        }
    }
}

/// Pushes a native function that holds what lies in the uppermost `values` places.
pub fn push_native(stack: &mut Stack, native: Native, values: c_int) {
    stack.push_pointer(native as *mut c_void);
    if values != 0 {
        stack.insert(-values - 1);
    }
    // SAFETY: `enter` finds the native as the first thing held.
    unsafe { ffi::lua_pushcclosure(stack.raw(), enter, values + 1) };
}

/// Pushes a native function that handles errors, and raises none.
pub fn push_handler(stack: &mut Stack, native: Native) {
    stack.push_pointer(native as *mut c_void);
    // SAFETY: as above.
    unsafe { ffi::lua_pushcclosure(stack.raw(), enter_handler, 1) };
}
