//! One Lua state with bounded memory: its allocator, its hook, what native functions share.
//!
//! **Invariant:** no Lua call made by a native function raises an error. Allocations are never
//! refused while one runs (`natives` is above 0), only raw accesses are made, and scripts are
//! called through `lua_pcall`. So `longjmp` never passes a frame of Rust that owns something; what
//! a native function took too much is found when it is done, and raised then.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ffi::{c_int, c_void};
use std::ptr;

use mlua::ffi::{self, lua_Debug, lua_State};

use super::host::{Host, Tick};
use super::limits::{COUNTED_BYTES, PAUSE, SMALL_STATE_BYTES, SMALL_STATE_PAUSE};
use super::random::Random;
use super::registered::Registered;
use super::work::Work;
use crate::resp::Protocol;

/// What a state's native functions share. It lies beside the state, at a fixed address.
pub struct Shared {
    /// The state's main thread.
    main: *mut lua_State,
    used: usize,
    limit: usize,
    /// Native functions that run, one in the other.
    pub(super) natives: u32,
    /// Memory passed its limit: the hook collects garbage before anybody is refused.
    is_pressed: bool,
    /// The hook of the main thread is called at the next instruction.
    is_hurried: bool,
    /// What has been done since the host was last asked.
    work: Work,
    /// The pause of the collector that scripts are told.
    pub(super) shown_pause: c_int,
    /// The host said stop.
    is_stopped: bool,
    host: Option<ptr::NonNull<dyn Host>>,
    /// What a stopped script says.
    pub(super) stopped_text: &'static std::ffi::CStr,
    /// In which protocol the script wants replies.
    pub(super) protocol: Protocol,
    /// Of `math.random`.
    pub(super) random: Random,
    /// Of replies, kept for their room.
    pub(super) reply: Vec<u8>,
    /// What `register_function` has been told, while a library is loaded.
    pub(super) registration: Option<Vec<Registered>>,
    /// Functions of libraries may not be registered, nor commands called, while this is off.
    pub(super) is_running: bool,
}

const UNIT: usize = 8;
/// How much faster garbage is collected than made, in per cent: Lua's own value.
pub const STEP_FACTOR: c_int = 200;

unsafe extern "C-unwind" fn allocate(
    shared: *mut c_void,
    place: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: Lua hands back what it got: `shared` from `State::new`, and a place with its size.
    unsafe {
        let shared = &mut *shared.cast::<Shared>();
        let old = if place.is_null() { 0 } else { old };
        if new == 0 {
            if old != 0 {
                dealloc(place.cast(), Layout::from_size_align_unchecked(old, UNIT));
                shared.used -= old;
            }
            return ptr::null_mut();
        }
        let used = shared.used - old + new;
        if old < new && shared.natives == 0 && shared.limit < used && !shared.may_exceed(used) {
            return ptr::null_mut();
        }
        let got = if old == 0 {
            alloc(Layout::from_size_align_unchecked(new, UNIT))
        } else {
            realloc(place.cast(), Layout::from_size_align_unchecked(old, UNIT), new)
        };
        if !got.is_null() {
            shared.used = used;
            if COUNTED_BYTES <= new && old < new {
                shared.count_allocation(old, new);
            }
        }
        got.cast()
    }
}

impl Shared {
    /// Asks the hook to collect garbage at the next instruction, and lets this allocation pass
    /// until then.
    fn may_exceed(&mut self, used: usize) -> bool {
        if self.main.is_null() || self.limit.saturating_mul(2) < used {
            return false;
        }
        if !self.is_pressed {
            self.is_pressed = true;
            self.hurry();
        }
        true
    }

    /// Has the hook called at the next instruction of the main thread. A coroutine's is called
    /// soon anyway.
    fn hurry(&mut self) {
        if self.host.is_some() && !self.is_hurried {
            self.is_hurried = true;
            // SAFETY: Lua allows this at any time.
            unsafe { ffi::lua_sethook(self.main, Some(hook), ffi::LUA_MASKCOUNT, 1) };
        }
    }

    /// So much memory is filled, or copied to where it has room: work that no instruction shows.
    #[cold]
    fn count_allocation(&mut self, old: usize, new: usize) {
        if self.work.allocate(old, new) {
            self.hurry();
        }
    }

    /// Counts steps of work. Answers whether it is time to [`Shared::tick`].
    #[inline]
    pub fn step(&mut self, steps: u32) -> bool {
        self.work.step(u64::from(steps))
    }

    /// The whole heap has been collected, which is work that may have no end either.
    pub fn count_collection(&mut self) {
        if self.work.collect(self.used) {
            self.hurry();
        }
    }

    /// More memory is used than may be.
    pub fn is_over(&self) -> bool {
        self.limit < self.used
    }

    /// So little is left that collecting garbage again and again would be all that is done.
    pub fn is_full(&self) -> bool {
        self.limit - self.limit / 8 < self.used
    }

    /// Bytes that are left.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// Who executes commands, while a script runs.
    pub fn host(&mut self) -> Option<&mut dyn Host> {
        // SAFETY: `State::with_host` borrows the host for as long as it is set.
        self.host.map(|mut it| unsafe { it.as_mut() })
    }

    /// Whether the script may go on, asked in the midst of long native work.
    pub fn tick(&mut self) -> Tick {
        let steps = self.work.take();
        if self.is_stopped {
            return Tick::Stop;
        }
        let tick = self.host().map_or(Tick::Continue, |it| it.tick(steps));
        if tick == Tick::Exceeds {
            self.stopped_text = EXCEEDS;
        }
        self.is_stopped = tick != Tick::Continue;
        tick
    }
}

const EXCEEDS: &std::ffi::CStr =
    c"ERR the script has executed more instructions than script-max-instructions allows";

unsafe extern "C-unwind" fn hook(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: called by Lua between two instructions; nothing here is dropped when it raises.
    unsafe {
        let shared = &mut *shared_of(state);
        let count = ffi::lua_gethookcount(state);
        shared.work.execute(count);
        shared.is_hurried = false;
        let is_pressed = std::mem::take(&mut shared.is_pressed);
        if is_pressed {
            ffi::lua_gc(state, ffi::LUA_GCCOLLECT, 0);
            shared.count_collection();
        }
        if count != shared.work.instructions(state == shared.main) && !shared.is_stopped {
            set_hook(shared, state);
        }
        if is_pressed && shared.is_full() {
            ffi::luaL_error(state, c"not enough memory".as_ptr());
        }
        if (shared.work.is_due() || shared.is_stopped) && shared.tick() != Tick::Continue {
            raise_stopped(state);
        }
    }
}

/// Ends the script. From now on the hook is called at every instruction, so that no pcall can catch
/// it and go on.
unsafe fn raise_stopped(state: *mut lua_State) -> ! {
    // SAFETY: the caller holds nothing, and has room for two values.
    unsafe {
        ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT | ffi::LUA_MASKLINE, 1);
        let text = (*shared_of(state)).stopped_text;
        ffi::lua_createtable(state, 0, 1);
        ffi::lua_pushstring_(state, c"err".as_ptr());
        ffi::lua_pushstring_(state, text.as_ptr());
        ffi::lua_rawset(state, -3);
        ffi::lua_error(state)
    }
}

/// Counts steps of a plain C function, and raises when the script has to end.
///
/// # Safety
/// The state was made by [`State::new`], and the caller holds nothing that is lost when this
/// raises. There is room on the stack for three values.
#[inline]
pub unsafe fn spend(state: *mut lua_State, steps: u32) {
    // SAFETY: the caller's.
    unsafe {
        let shared = &mut *shared_of(state);
        if shared.step(steps) && shared.tick() != Tick::Continue {
            raise_stopped(state);
        }
    }
}

unsafe fn set_hook(shared: &Shared, state: *mut lua_State) {
    let count = shared.work.instructions(state == shared.main);
    // SAFETY: Lua allows this at any time.
    unsafe { ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, count) };
}

/// Counts the instructions of a new coroutine.
///
/// # Safety
/// It is a thread of a state that was made by [`State::new`].
pub unsafe fn watch_coroutine(coroutine: *mut lua_State) {
    // SAFETY: the caller's.
    unsafe { set_hook(&*shared_of(coroutine), coroutine) };
}

/// What the natives of this state share.
///
/// # Safety
/// The state was made by [`State::new`].
#[inline]
pub unsafe fn shared_of(state: *mut lua_State) -> *mut Shared {
    let mut shared = ptr::null_mut();
    // SAFETY: as above; the allocator's argument is ours.
    unsafe { ffi::lua_getallocf(state, &mut shared) };
    shared.cast()
}

/// A Lua state. It may be used by one thread at a time, whichever.
pub struct State {
    state: *mut lua_State,
    shared: *mut Shared,
}

// SAFETY: nothing in Lua's C code or in the natives depends on the thread.
unsafe impl Send for State {}

impl State {
    /// An empty one that may use this much memory.
    pub fn new(limit: usize) -> State {
        let shared = Box::into_raw(Box::new(Shared {
            main: ptr::null_mut(),
            used: 0,
            limit,
            // Until scripts run.
            natives: 1,
            is_pressed: false,
            is_hurried: false,
            work: Work::default(),
            shown_pause: PAUSE,
            is_stopped: false,
            host: None,
            stopped_text: c"ERR Script killed by user with SCRIPT KILL...",
            protocol: Protocol::Resp2,
            random: Random::default(),
            reply: Vec::new(),
            registration: None,
            is_running: false,
        }));
        // SAFETY: the allocator lives as long as the state.
        let state = unsafe { ffi::lua_newstate(allocate, shared.cast()) };
        assert!(!state.is_null(), "memory is never refused here");
        // SAFETY: it has just been made.
        unsafe { (*shared).main = state };
        State { state, shared }
    }

    /// The pointer that Lua's functions take.
    pub fn raw(&self) -> *mut lua_State {
        self.state
    }

    /// What its natives share.
    pub fn shared(&mut self) -> &mut Shared {
        // SAFETY: lives as long as the state, which is borrowed.
        unsafe { &mut *self.shared }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.shared).used }
    }

    /// Does `work` with this host. Memory is bounded by what scripts allocate in it.
    pub fn with_host<R>(&mut self, host: &mut dyn Host, work: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: only the lifetime changes, and the host is forgotten before it ends.
        let host: ptr::NonNull<dyn Host> = unsafe {
            std::mem::transmute::<ptr::NonNull<dyn Host + '_>, ptr::NonNull<dyn Host>>(
                ptr::NonNull::from(host),
            )
        };
        let shared = self.shared();
        shared.host = Some(host);
        shared.is_stopped = false;
        shared.is_pressed = false;
        shared.is_hurried = false;
        shared.work.begin(shared.used);
        shared.shown_pause = PAUSE;
        shared.protocol = Protocol::Resp2;
        let pause = if shared.used < SMALL_STATE_BYTES { SMALL_STATE_PAUSE } else { PAUSE };
        // SAFETY: the state is whole and nothing runs in it.
        unsafe {
            set_hook(&*self.shared, self.state);
            // An earlier script may have set these for itself.
            ffi::lua_gc(self.state, ffi::LUA_GCSETPAUSE, pause);
            ffi::lua_gc(self.state, ffi::LUA_GCSETSTEPMUL, STEP_FACTOR);
        }
        let done = work(self);
        let shared = self.shared();
        shared.host = None;
        shared.is_stopped = false;
        // SAFETY: as above.
        unsafe { ffi::lua_sethook(self.state, None, 0, 0) };
        done
    }

    /// Calls the function that lies below its arguments, with memory bounded. The error, if any, is
    /// left on top in place of the results.
    pub fn call(&mut self, args: c_int, results: c_int, handler: c_int) -> Result<(), ()> {
        let natives = std::mem::replace(&mut self.shared().natives, 0);
        // SAFETY: protected; nothing of Rust lies between here and what may raise.
        let code = unsafe { ffi::lua_pcall(self.state, args, results, handler) };
        self.shared().natives = natives;
        if code == ffi::LUA_OK { Ok(()) } else { Err(()) }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: both were made by `new`, and nothing of them is lent.
        unsafe {
            ffi::lua_close(self.state);
            drop(Box::from_raw(self.shared));
        }
    }
}
