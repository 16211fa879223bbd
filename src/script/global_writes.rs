//! Whether compiled Lua can write a global.
//!
//! Globals are read-only: scripts see an empty table in whose place others are asked, and each
//! global that they read costs a second look-up. A function that has no instruction that writes
//! globals may read the real table: nothing else of what scripts can call gives them their
//! environment.
//!
//! What `lua_dump` writes stands in `ldump.c` and `lopcodes.h` of Lua 5.1.5.

use std::ffi::{c_int, c_void};
use std::slice;

use mlua::ffi::{self, lua_State};

use super::stack::Stack;

const HEADER_BYTES: usize = 12;
/// The low bits of an instruction are its operation.
const OPERATION: u32 = 0x3F;
const SET_GLOBAL: u32 = 7;
const NIL: u8 = 0;
const BOOLEAN: u8 = 1;
const NUMBER: u8 = 3;
const STRING: u8 = 4;
/// Numbers of parameters and upvalues, and the like.
const SMALL_FIELDS: usize = 4;

/// Whether the function on top, or one within it, can write a global. What is not understood can.
pub fn can_write_globals(stack: &mut Stack) -> bool {
    let mut dump: Vec<u8> = Vec::new();
    // SAFETY: a function of Lua lies on top; the writer appends to this vector, and only now.
    let code = unsafe { ffi::lua_dump(stack.raw(), append, (&raw mut dump).cast(), 0) };
    let body = dump.get(HEADER_BYTES..).filter(|_| code == ffi::LUA_OK);
    body.and_then(|rest| Dump { rest }.function()) != Some(false)
}

unsafe extern "C-unwind" fn append(
    _: *mut lua_State,
    bytes: *const c_void,
    len: usize,
    dump: *mut c_void,
) -> c_int {
    // SAFETY: of `can_write_globals`; Lua gives as many bytes as it says.
    unsafe {
        let dump = &mut *dump.cast::<Vec<u8>>();
        dump.extend_from_slice(slice::from_raw_parts(bytes.cast(), len));
    }
    ffi::LUA_OK
}

/// What is left of a dump. `None` when it ends too early or holds what Lua 5.1 does not write.
struct Dump<'d> {
    rest: &'d [u8],
}

impl Dump<'_> {
    /// Whether the function that begins here writes globals.
    fn function(&mut self) -> Option<bool> {
        self.string()?;
        self.skip(2 * size_of::<c_int>() + SMALL_FIELDS)?;
        let mut writes = false;
        for _ in 0..self.count()? {
            writes |= u32::from_ne_bytes(self.take()?) & OPERATION == SET_GLOBAL;
        }
        for _ in 0..self.count()? {
            let [kind] = self.take()?;
            match kind {
                NIL => {}
                BOOLEAN => self.skip(1)?,
                NUMBER => self.skip(size_of::<f64>())?,
                STRING => self.string()?,
                _ => return None,
            }
        }
        for _ in 0..self.count()? {
            writes |= self.function()?;
        }
        let lines = self.count()?;
        self.skip(lines * size_of::<c_int>())?;
        for _ in 0..self.count()? {
            self.string()?;
            self.skip(2 * size_of::<c_int>())?;
        }
        for _ in 0..self.count()? {
            self.string()?;
        }
        Some(writes)
    }

    fn string(&mut self) -> Option<()> {
        let len = usize::from_ne_bytes(self.take()?);
        self.skip(len)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(c_int::from_ne_bytes(self.take()?)).ok()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::state::State;

    fn writes(text: &str) -> bool {
        let state = State::new(1 << 20);
        // SAFETY: nothing runs in the state.
        let mut stack = unsafe { Stack::of(state.raw()) };
        assert!(stack.compile(text.as_bytes(), c"@test").is_ok_and(|it| it), "{text}");
        can_write_globals(&mut stack)
    }

    #[test]
    fn each_way_to_write_a_global_is_found_however_deep() {
        for text in [
            "x = 1",
            "function f() end",
            "local f = function() return function() y = {} end end",
            "for i = 1, 2 do if i == 3 then redis = nil end end",
            "local a; a, b = 1, 2",
        ] {
            assert!(writes(text), "{text}");
        }
    }

    #[test]
    fn what_only_reads_globals_is_told_from_that() {
        for text in [
            "",
            "return redis.call('GET', KEYS[1])",
            "local x = 1; x = 2; local function f(...) return x, ... end; return f(nil, true, 1.5)",
            "local t = {}; t.x = 1; t[y] = z; _G.x = 1; return #t .. 'text'",
        ] {
            assert!(!writes(text), "{text}");
        }
    }
}
