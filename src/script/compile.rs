//! Texts become functions, piece by piece: a long one is looked at in between.

use std::ffi::{CStr, c_char, c_void};

use mlua::ffi::{self, lua_State};

use super::host::Tick;
use super::long_brackets::without_nesting;
use super::stack::Stack;
use super::state::{Shared, shared_of};
use super::thrown::Thrown;

/// A text that Lua reads.
struct Reader<'t> {
    rest: &'t [u8],
    /// Why it does not go on.
    refusal: Option<Refusal>,
}

#[derive(Clone, Copy)]
enum Refusal {
    /// The script has to end.
    Stopped,
    /// What has been compiled fills the memory.
    Memory,
}

const PIECE: usize = 4 << 10;
/// What compiling a byte takes.
const STEPS_PER_BYTE: usize = 30;

impl Stack {
    /// Compiles a text, never bytecode, and pushes the function or what is wrong with it; says
    /// which. Fails when the script that wants it has to end.
    pub fn compile(&mut self, text: &[u8], name: &CStr) -> Result<bool, Thrown> {
        // Bytecode begins with this. Behind a space it is text, and wrong.
        if text.first() == Some(&0x1B) {
            return self.compile(&[b" ", text].concat(), name);
        }
        if self.compile_as_it_is(text, name)? {
            return Ok(true);
        }
        const NESTED: &[u8] = b"nesting of [[...]] is deprecated";
        let error = self.bytes(-1).unwrap_or_default();
        if !error.windows(NESTED.len()).any(|it| it == NESTED) {
            return Ok(false);
        }
        self.pop(1);
        self.compile_as_it_is(&without_nesting(text), name)
    }

    fn compile_as_it_is(&mut self, text: &[u8], name: &CStr) -> Result<bool, Thrown> {
        let mut reader = Reader { rest: text, refusal: None };
        // SAFETY: the reader lives until the text is compiled.
        let code = unsafe {
            // Lua's parser does not keep the name alive by itself.
            ffi::lua_pushstring_(self.raw(), name.as_ptr());
            let data = std::ptr::from_mut(&mut reader).cast();
            let code = ffi::lua_load(self.raw(), read, data, name.as_ptr());
            ffi::lua_remove(self.raw(), -2);
            code
        };
        match reader.refusal {
            None => return Ok(code == ffi::LUA_OK),
            Some(refusal) => {
                self.pop(1);
                // Who is stopped stays so: this raises what a stopped script says.
                if let Refusal::Stopped = refusal {
                    self.step(u32::MAX)?;
                }
            }
        }
        Err(Thrown::memory())
    }
}

/// The next piece. Nothing is raised amid the parser: it meets an early end of the text instead.
unsafe extern "C-unwind" fn read(
    state: *mut lua_State,
    data: *mut c_void,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: Lua hands back what it got from `compile_as_it_is`.
    let (reader, shared) = unsafe { (&mut *data.cast::<Reader<'_>>(), &mut *shared_of(state)) };
    let piece = reader.next(shared);
    // SAFETY: as above.
    unsafe { *size = piece.len() };
    if piece.is_empty() { std::ptr::null() } else { piece.as_ptr().cast() }
}

impl<'t> Reader<'t> {
    fn next(&mut self, shared: &mut Shared) -> &'t [u8] {
        let (piece, rest) = self.rest.split_at(self.rest.len().min(PIECE));
        self.rest = rest;
        if shared.step((piece.len() * STEPS_PER_BYTE) as u32) && shared.tick() != Tick::Continue {
            self.refusal = Some(Refusal::Stopped);
        } else if shared.is_over() && shared.host().is_some() {
            self.refusal = Some(Refusal::Memory);
        }
        if self.refusal.is_some() { &[] } else { piece }
    }
}
