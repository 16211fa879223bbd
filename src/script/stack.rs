//! The stack that Lua and its native functions exchange values on.

use std::ffi::{c_int, c_void};
use std::slice;

use mlua::ffi::{self, lua_State};

use super::host::Tick;
use super::state::{Shared, shared_of};
use super::thrown::Thrown;

/// The kinds of values that Lua has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Beyond the arguments.
    None,
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Boolean,
    /// A bare pointer, as `cjson.null` is.
    LightUserdata,
    /// A double.
    Number,
    /// Bytes.
    String,
    /// A table.
    Table,
    /// A function, ours or a script's.
    Function,
    /// A block of memory of ours.
    Userdata,
    /// A coroutine.
    Thread,
}

/// One function's view of a Lua state. Places count from 1 at the bottom, from -1 at the top.
///
/// All its accesses are raw: metatables are not asked. See `state.rs` for why nothing raises here.
pub struct Stack {
    state: *mut lua_State,
    /// Found once: asking Lua for it is a call.
    shared: *mut Shared,
}

/// The pseudo-place of the table of what only natives see.
pub const REGISTRY: c_int = ffi::LUA_REGISTRYINDEX;
/// The pseudo-place of the table of globals.
pub const GLOBALS: c_int = ffi::LUA_GLOBALSINDEX;

impl Stack {
    /// Of this state.
    ///
    /// # Safety
    /// The state is one of [`super::state::State`], and is used by nobody else meanwhile; a native
    /// function runs in it, or no script does.
    pub unsafe fn of(state: *mut lua_State) -> Stack {
        // SAFETY: as above.
        Stack { state, shared: unsafe { shared_of(state) } }
    }

    /// The pointer that Lua's functions take.
    pub fn raw(&self) -> *mut lua_State {
        self.state
    }

    /// What all natives of the state share.
    pub fn shared(&mut self) -> &mut Shared {
        // SAFETY: of `Stack::of`.
        unsafe { &mut *self.shared }
    }

    /// Number of values, arguments at first.
    pub fn len(&self) -> c_int {
        // SAFETY: of `Stack::of`, here and in all that follows.
        unsafe { ffi::lua_gettop(self.state) }
    }

    /// Cuts or fills to this many values.
    pub fn set_len(&mut self, len: c_int) {
        unsafe { ffi::lua_settop(self.state, len) }
    }

    /// Takes the uppermost values away.
    pub fn pop(&mut self, count: c_int) {
        unsafe { ffi::lua_settop(self.state, -count - 1) }
    }

    /// Whether there is room for this many more.
    pub fn has_room(&mut self, count: c_int) -> bool {
        unsafe { ffi::lua_checkstack(self.state, count) != 0 }
    }

    /// Room for this many more, or Lua's error.
    pub fn need_room(&mut self, count: c_int, what: &str) -> Result<(), Thrown> {
        if self.has_room(count) {
            return Ok(());
        }
        Err(Thrown::error(format!("stack overflow ({what})")))
    }

    /// What lies there.
    pub fn kind(&self, at: c_int) -> Kind {
        match unsafe { ffi::lua_type(self.state, at) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            _ => Kind::None,
        }
    }

    /// Lua's name for the kind of what lies there.
    pub fn kind_name(&self, at: c_int) -> &'static str {
        match self.kind(at) {
            Kind::None => "no value",
            Kind::Nil => "nil",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::LightUserdata | Kind::Userdata => "userdata",
            Kind::Thread => "thread",
        }
    }

    /// The number that lies there, or the number that a string there spells; 0 else.
    pub fn number(&self, at: c_int) -> f64 {
        unsafe { ffi::lua_tonumber(self.state, at) }
    }

    /// A number lies there, or a string that spells one.
    pub fn is_number(&self, at: c_int) -> bool {
        unsafe { ffi::lua_isnumber(self.state, at) != 0 }
    }

    /// Neither nil nor false.
    pub fn is_true(&self, at: c_int) -> bool {
        unsafe { ffi::lua_toboolean(self.state, at) != 0 }
    }

    /// The pointer that lies there.
    pub fn pointer(&self, at: c_int) -> *mut c_void {
        unsafe { ffi::lua_touserdata(self.state, at) }
    }

    /// The address of a table or function, which tells it from others.
    pub fn identity(&self, at: c_int) -> *const c_void {
        unsafe { ffi::lua_topointer(self.state, at) }
    }

    /// The bytes of the string that lies there. A number there becomes a string, in place.
    ///
    /// They live while the string is on the stack or in a table that is; hence `'a` is the host's
    /// to keep: nothing that was read is used after it was popped.
    pub fn bytes<'a>(&self, at: c_int) -> Option<&'a [u8]> {
        let mut len = 0;
        // SAFETY: strings do not move, and are freed only when nothing holds them.
        unsafe {
            let start = ffi::lua_tolstring(self.state, at, &mut len);
            (!start.is_null()).then(|| slice::from_raw_parts(start.cast(), len))
        }
    }

    /// The bytes, if a string lies there and not a number.
    pub fn string<'a>(&self, at: c_int) -> Option<&'a [u8]> {
        if self.kind(at) == Kind::String { self.bytes(at) } else { None }
    }

    /// Length of a string, border of a table.
    pub fn length(&self, at: c_int) -> usize {
        unsafe { ffi::lua_objlen(self.state, at) }
    }

    /// Pushes `nil`.
    pub fn push_nil(&mut self) {
        unsafe { ffi::lua_pushnil(self.state) }
    }

    /// Pushes a boolean.
    pub fn push_boolean(&mut self, truth: bool) {
        unsafe { ffi::lua_pushboolean(self.state, c_int::from(truth)) }
    }

    /// Pushes a number.
    pub fn push_number(&mut self, number: f64) {
        unsafe { ffi::lua_pushnumber(self.state, number) }
    }

    /// Pushes a string.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        unsafe { ffi::lua_pushlstring_(self.state, bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Pushes a bare pointer.
    pub fn push_pointer(&mut self, pointer: *mut c_void) {
        unsafe { ffi::lua_pushlightuserdata(self.state, pointer) }
    }

    /// Pushes what lies there once more.
    pub fn push_copy(&mut self, at: c_int) {
        unsafe { ffi::lua_pushvalue(self.state, at) }
    }

    /// Pushes an empty table with room.
    pub fn push_table(&mut self, array: usize, fields: usize) {
        let most = |it: usize| it.min(1 << 20) as c_int;
        unsafe { ffi::lua_createtable(self.state, most(array), most(fields)) }
    }

    /// The place of what a native function holds, counted from 1.
    pub fn held(number: c_int) -> c_int {
        ffi::lua_upvalueindex(number + 1)
    }

    /// Moves the top to this place.
    pub fn insert(&mut self, at: c_int) {
        unsafe { ffi::lua_insert(self.state, at) }
    }

    /// Moves the top to this place, over what lies there.
    pub fn replace(&mut self, at: c_int) {
        unsafe { ffi::lua_replace(self.state, at) }
    }

    /// Takes one value away.
    pub fn remove(&mut self, at: c_int) {
        unsafe { ffi::lua_remove(self.state, at) }
    }

    /// Pushes a table's field.
    pub fn get(&mut self, table: c_int, field: &[u8]) {
        let table = self.absolute(table);
        self.push_bytes(field);
        unsafe { ffi::lua_rawget_(self.state, table) }
    }

    /// Pushes a table's element.
    pub fn get_at(&mut self, table: c_int, index: usize) {
        unsafe { ffi::lua_rawgeti_(self.state, table, index as c_int) }
    }

    /// Puts the top into a field of a table.
    pub fn set(&mut self, table: c_int, field: &[u8]) {
        let table = self.absolute(table);
        self.push_bytes(field);
        self.insert(-2);
        unsafe { ffi::lua_rawset(self.state, table) }
    }

    /// Puts the top into a table at the key below it, which is neither nil nor NaN.
    pub fn set_top(&mut self, table: c_int) {
        unsafe { ffi::lua_rawset(self.state, table) }
    }

    /// Puts the top into an element of a table.
    pub fn set_at(&mut self, table: c_int, index: usize) {
        unsafe { ffi::lua_rawseti_(self.state, table, index as c_int) }
    }

    /// Replaces the key on top with the next key and its value; or takes it away at the end.
    pub fn next(&mut self, table: c_int) -> bool {
        unsafe { ffi::lua_next(self.state, table) != 0 }
    }

    /// Pushes what lies there's metatable, if it has one.
    pub fn push_metatable(&mut self, at: c_int) -> bool {
        unsafe { ffi::lua_getmetatable(self.state, at) != 0 }
    }

    /// Makes the top the metatable of what lies there.
    pub fn set_metatable(&mut self, at: c_int) {
        unsafe { ffi::lua_setmetatable(self.state, at) };
    }

    /// Calls the function below its arguments. What it raises is on top then.
    pub fn call(&mut self, args: c_int, results: c_int) -> Result<(), Thrown> {
        let natives = std::mem::replace(&mut self.shared().natives, 0);
        let code = unsafe { ffi::lua_pcall(self.state, args, results, 0) };
        self.shared().natives = natives;
        if code == ffi::LUA_OK { Ok(()) } else { Err(Thrown::Top) }
    }

    /// Where the script stands that called, as errors begin.
    pub fn line(&mut self) -> Vec<u8> {
        unsafe { ffi::luaL_where(self.state, 1) };
        let text = self.bytes(-1).unwrap_or_default().to_vec();
        self.pop(1);
        text
    }

    /// Room for so many bytes more, or Lua's error. Garbage goes first.
    #[inline]
    pub fn need_memory(&mut self, bytes: usize) -> Result<(), Thrown> {
        if bytes <= self.shared().room() { Ok(()) } else { self.collect_for(bytes) }
    }

    #[cold]
    fn collect_for(&mut self, bytes: usize) -> Result<(), Thrown> {
        // Finalizers could raise, but none of what scripts make has one.
        unsafe { ffi::lua_gc(self.state, ffi::LUA_GCCOLLECT, 0) };
        let shared = self.shared();
        shared.count_collection();
        if shared.is_full() || shared.room() < bytes { Err(Thrown::memory()) } else { Ok(()) }
    }

    /// Counts steps of long work: at times the host is asked, and memory looked at.
    #[inline]
    pub fn step(&mut self, steps: u32) -> Result<(), Thrown> {
        if self.shared().step(steps) { self.look() } else { Ok(()) }
    }

    #[cold]
    fn look(&mut self) -> Result<(), Thrown> {
        if self.shared().tick() != Tick::Continue {
            let text = self.shared().stopped_text;
            self.push_table(0, 1);
            self.push_bytes(text.to_bytes());
            self.set(-2, b"err");
            return Err(Thrown::Top);
        }
        if self.shared().is_over() { self.collect_for(1) } else { Ok(()) }
    }

    /// The same for work on so many bytes, each of which takes `per_byte` steps.
    #[inline]
    pub fn step_bytes(&mut self, bytes: usize, per_byte: usize) -> Result<(), Thrown> {
        self.step(u32::try_from(bytes.saturating_mul(per_byte)).unwrap_or(u32::MAX))
    }

    /// An argument that is a string or a number.
    pub fn want_bytes<'a>(&mut self, at: c_int) -> Result<&'a [u8], Thrown> {
        self.bytes(at).ok_or(Thrown::Kind(at, "string"))
    }

    /// An argument that is a number or spells one.
    pub fn want_number(&mut self, at: c_int) -> Result<f64, Thrown> {
        if self.is_number(at) { Ok(self.number(at)) } else { Err(Thrown::Kind(at, "number")) }
    }

    /// The same, cut as C casts it to an `int`.
    pub fn want_int(&mut self, at: c_int) -> Result<i32, Thrown> {
        Ok(cast_i64(self.want_number(at)?) as i32)
    }

    /// Where nothing or nil lies, a number else.
    pub fn int_or(&mut self, at: c_int, default: i32) -> Result<i32, Thrown> {
        Ok(self.long_or(at, default.into())? as i32)
    }

    /// The same with all 64 bits.
    pub fn long_or(&mut self, at: c_int, default: i64) -> Result<i64, Thrown> {
        match self.kind(at) {
            Kind::None | Kind::Nil => Ok(default),
            _ => self.want_number(at).map(cast_i64),
        }
    }

    /// Counted from the bottom.
    pub fn absolute(&self, at: c_int) -> c_int {
        if at < 0 && REGISTRY < at { self.len() + 1 + at } else { at }
    }
}

/// A double as an integer, as this machine casts it: what does not fit becomes the smallest one.
pub fn cast_i64(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) { number as i64 } else { i64::MIN }
}
