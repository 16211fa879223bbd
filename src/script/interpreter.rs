//! The interpreter: runs scripts and functions, one after the other, in a state that it keeps.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, c_int};

use mlua::ffi;

use super::flags::{split_library, split_script};
use super::global_writes::can_write_globals;
use super::host::Host;
use super::libraries::{Libraries, Library};
use super::limits::{COMPILED_MAX, MEMORY_BYTES};
use super::native::push_handler;
use super::redis::handle_error;
use super::registered::Registered;
use super::sandbox::{About, LOAD_GLOBALS, Purpose, REAL_GLOBALS, furnish};
use super::sha1::{Sha, sha1hex};
use super::stack::{GLOBALS, Kind, REGISTRY, Stack};
use super::state::State;
use super::to_resp::write_top;
use crate::resp::Protocol;

/// The text of an error reply, without its `-` and its end.
pub type ErrorText = Vec<u8>;

/// One call of a script or a function.
pub struct Invocation<'i> {
    /// KEYS.
    pub keys: &'i [&'i [u8]],
    /// ARGV.
    pub args: &'i [&'i [u8]],
    /// What the client speaks.
    pub protocol: Protocol,
}

/// Runs scripts, or functions, in one state of Lua.
pub struct Interpreter {
    state: State,
    purpose: Purpose,
    about: About,
    memory: usize,
    /// Where the registry has what was compiled.
    compiled: HashMap<Sha, c_int>,
    /// The one that ran last: the next is often the same.
    last: Option<(Sha, c_int)>,
    loaded: BTreeMap<Vec<u8>, Loaded>,
}

struct Loaded {
    sha: Sha,
    load: u64,
    callbacks: BTreeMap<Vec<u8>, c_int>,
}

/// Where the error handler lies: always at the bottom of the stack, and alone between two runs.
const HANDLER: c_int = 1;

impl Interpreter {
    /// A new one with the usual bound of memory.
    pub fn new(purpose: Purpose, about: About) -> Interpreter {
        Interpreter::bounded(purpose, about, MEMORY_BYTES)
    }

    /// A new one whose scripts may use this much memory, what the interpreter itself needs
    /// included.
    pub fn bounded(purpose: Purpose, about: About, memory: usize) -> Interpreter {
        let state = furnished(purpose, &about, memory);
        let (compiled, loaded) = (HashMap::default(), BTreeMap::default());
        Interpreter { state, purpose, about, memory, compiled, last: None, loaded }
    }

    /// Memory in use, in bytes.
    pub fn memory(&self) -> usize {
        self.state.used()
    }

    /// Forgets all scripts, libraries, and settings that scripts have made.
    pub fn reset(&mut self) {
        self.state = furnished(self.purpose, &self.about, self.memory);
        self.compiled.clear();
        self.last = None;
        self.loaded.clear();
    }

    /// Compiles a script, unless it has been; what is wrong is an error reply's text.
    pub fn compile(&mut self, sha: &Sha, text: &[u8]) -> Result<(), ErrorText> {
        self.function_of(sha, text).map(|_| ())
    }

    /// Runs a script and appends its reply, an error among them.
    pub fn run(
        &mut self,
        sha: &Sha,
        text: &[u8],
        invocation: &Invocation<'_>,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) {
        match self.function_of(sha, text) {
            Err(text) => write_error(out, &text),
            Ok(function) => {
                self.state.shared().stopped_text = c"ERR Script killed by user with SCRIPT KILL...";
                self.invoke(function, sha, invocation, host, out);
            }
        }
    }

    /// Loads a library from its whole text, to see what it registers. `host` hears what it logs
    /// and bounds its time; it executes nothing.
    pub fn load(&mut self, text: &[u8], host: &mut dyn Host) -> Result<Vec<Registered>, ErrorText> {
        let (name, _) = split_library(text).map_err(String::into_bytes)?;
        self.load_as(&name, text, 0, host)
    }

    /// Calls a function of one of these libraries, which is loaded if it was not, and appends its
    /// reply.
    pub fn call(
        &mut self,
        libraries: &Libraries,
        library: &Library,
        function: &[u8],
        invocation: &Invocation<'_>,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) {
        let is_it = |it: &Loaded| (it.load, it.sha) == (library.load, library.sha);
        let loaded = if self.loaded.get(&library.name).is_some_and(is_it) {
            Ok(())
        } else {
            self.drop_gone(libraries);
            self.load_as(&library.name, &library.text, library.load, host).map(drop)
        };
        if let Err(text) = loaded {
            return write_error(out, &text);
        }
        let loaded = self.loaded.get(&library.name);
        let Some(&callback) = loaded.and_then(|it| it.callbacks.get(function)) else {
            return write_error(out, b"ERR Function not found");
        };
        self.state.shared().stopped_text = c"ERR Script killed by user with SCRIPT KILL...";
        self.invoke(callback, function, invocation, host, out);
    }

    fn stack(&mut self) -> Stack {
        // SAFETY: the state is this interpreter's, which is borrowed mutably by whoever calls.
        unsafe { Stack::of(self.state.raw()) }
    }

    /// Where the registry has this script, compiled.
    fn function_of(&mut self, sha: &Sha, text: &[u8]) -> Result<c_int, ErrorText> {
        self.rebuild_if_broken();
        if let Some((last, function)) = &self.last
            && last == sha
        {
            return Ok(*function);
        }
        if let Some(&function) = self.compiled.get(sha) {
            self.last = Some((*sha, function));
            return Ok(function);
        }
        let (_, body) = split_script(text).map_err(String::into_bytes)?;
        self.push_compiled(body, c"@user_script").map_err(|it| {
            [b"ERR Error compiling script (new function): ".as_slice(), &it].concat()
        })?;
        self.stack().read_globals_directly();
        if COMPILED_MAX <= self.compiled.len() {
            self.forget_compiled();
        }
        let function = self.keep_top();
        self.compiled.insert(*sha, function);
        Ok(function)
    }

    fn push_compiled(&mut self, body: &[u8], name: &CStr) -> Result<(), ErrorText> {
        let mut stack = self.stack();
        match stack.compile(body, name) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(_) => return Err(b"not enough memory".to_vec()),
        }
        let text = stack.bytes(-1).unwrap_or_default();
        let text = text.to_vec();
        stack.pop(1);
        Err(text)
    }

    fn keep_top(&mut self) -> c_int {
        // SAFETY: raw accesses to the registry.
        unsafe { ffi::luaL_ref(self.state.raw(), REGISTRY) }
    }

    fn forget(&mut self, kept: c_int) {
        // SAFETY: as above.
        unsafe { ffi::luaL_unref(self.state.raw(), REGISTRY, kept) }
    }

    fn forget_compiled(&mut self) {
        self.last = None;
        for (_, kept) in std::mem::take(&mut self.compiled) {
            self.forget(kept);
        }
    }

    /// A panic of ours in a native function has left the state half done.
    fn rebuild_if_broken(&mut self) {
        if self.state.shared().is_running {
            self.reset();
        }
    }

    fn invoke(
        &mut self,
        function: c_int,
        name: &[u8],
        invocation: &Invocation<'_>,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) {
        self.rebuild_if_broken();
        let purpose = self.purpose;
        self.state.shared().is_running = true;
        self.state.with_host(host, |state| {
            // SAFETY: `state` is borrowed.
            let mut stack = unsafe { Stack::of(state.raw()) };
            stack.get_at(REGISTRY, function as usize);
            push_list(&mut stack, invocation.keys);
            push_list(&mut stack, invocation.args);
            let args = if purpose == Purpose::Functions { 2 } else { set_globals(&mut stack) };
            let done = state.call(args, 1, HANDLER);
            let of_script = state.shared().protocol;
            match done {
                Ok(()) => write_top(&mut stack, invocation.protocol, of_script, out),
                Err(()) => write_error(out, &failure(&mut stack, name)),
            }
            stack.set_len(HANDLER);
        });
        self.state.shared().is_running = false;
        self.collect();
    }

    fn collect(&mut self) {
        // Else Lua collects by itself, as scripts allocate.
        if self.state.shared().is_full() {
            // SAFETY: nothing runs in the state.
            unsafe { ffi::lua_gc(self.state.raw(), ffi::LUA_GCCOLLECT, 0) };
        }
    }

    fn load_as(
        &mut self,
        name: &[u8],
        text: &[u8],
        load: u64,
        host: &mut dyn Host,
    ) -> Result<Vec<Registered>, ErrorText> {
        self.rebuild_if_broken();
        let (_, body) = split_library(text).map_err(String::into_bytes)?;
        self.push_compiled(body, c"@user_function")
            .map_err(|it| [b"ERR Error compiling function: ".as_slice(), &it].concat())?;
        show_globals(&mut self.stack(), LOAD_GLOBALS);
        let shared = self.state.shared();
        shared.registration = Some(Vec::new());
        shared.stopped_text = c"ERR FUNCTION LOAD timeout";
        shared.is_running = true;
        let done = self.state.with_host(host, |state| state.call(0, 0, HANDLER));
        let shared = self.state.shared();
        shared.is_running = false;
        let registered = shared.registration.take().unwrap_or_default();
        show_globals(&mut self.stack(), REAL_GLOBALS);
        let error = match done {
            Err(()) => {
                let text = error_text(&mut self.stack());
                Some([b"ERR Error registering functions: ".as_slice(), &text].concat())
            }
            Ok(()) if registered.is_empty() => Some("ERR No functions registered".into()),
            Ok(()) => None,
        };
        self.stack().set_len(HANDLER);
        if let Some(text) = error {
            registered.iter().for_each(|it| self.forget(it.callback));
            return Err(text);
        }
        let callbacks = registered.iter().map(|it| (it.name.clone(), it.callback)).collect();
        let loaded = Loaded { sha: sha1hex(text), load, callbacks };
        self.drop_library(name);
        self.loaded.insert(name.to_vec(), loaded);
        Ok(registered)
    }

    /// Forgets what is none of these libraries any more.
    fn drop_gone(&mut self, libraries: &Libraries) {
        let gone = self.loaded.iter().filter(|(name, it)| !libraries.has(name, it.load));
        for name in gone.map(|it| it.0.clone()).collect::<Vec<_>>() {
            self.drop_library(&name);
        }
    }

    /// Forgets a library.
    pub fn drop_library(&mut self, name: &[u8]) {
        if let Some(loaded) = self.loaded.remove(name) {
            loaded.callbacks.into_values().for_each(|it| self.forget(it));
        }
    }
}

fn furnished(purpose: Purpose, about: &About, memory: usize) -> State {
    let mut state = State::new(memory);
    furnish(&mut state, purpose, about);
    // SAFETY: nothing runs in the state.
    let mut stack = unsafe { Stack::of(state.raw()) };
    push_handler(&mut stack, handle_error);
    state
}

impl Stack {
    /// Lets the function on top read the real globals, unless it could write them.
    fn read_globals_directly(&mut self) {
        if !can_write_globals(self) {
            self.get(REGISTRY, REAL_GLOBALS);
            // SAFETY: a function lies below the table, which is taken away.
            unsafe { ffi::lua_setfenv(self.raw(), -2) };
        }
    }
}

fn push_list(stack: &mut Stack, words: &[&[u8]]) {
    stack.push_table(words.len(), 0);
    for (index, word) in words.iter().enumerate() {
        stack.push_bytes(word);
        stack.set_at(-2, index + 1);
    }
}

/// Takes the lists of keys and arguments on top for the globals of these names.
fn set_globals(stack: &mut Stack) -> c_int {
    stack.get(REGISTRY, REAL_GLOBALS);
    stack.insert(-3);
    stack.set(-3, b"ARGV");
    stack.set(-2, b"KEYS");
    stack.pop(1);
    0
}

/// Lets the readonly globals stand for these.
fn show_globals(stack: &mut Stack, name: &[u8]) {
    if stack.push_metatable(GLOBALS) {
        stack.get(REGISTRY, name);
        stack.set(-2, b"__index");
        stack.pop(1);
    }
}

/// The text of the error on top.
fn error_text(stack: &mut Stack) -> Vec<u8> {
    if stack.kind(-1) != Kind::Table {
        // Memory was short: no handler has been called.
        return [b"ERR ", stack.bytes(-1).unwrap_or_default()].concat();
    }
    stack.get(-1, b"err");
    let text = stack.bytes(-1).unwrap_or(b"ERR unknown error");
    // A text ends where C would end it.
    let text = text.split(|it| *it == 0).next().unwrap_or_default().to_vec();
    stack.pop(1);
    text
}

/// What a failed script answers: its error, which script it was, and where.
fn failure(stack: &mut Stack, name: &[u8]) -> Vec<u8> {
    let mut text = error_text(stack);
    text.extend_from_slice(b" script: ");
    text.extend_from_slice(name);
    if stack.kind(-1) != Kind::Table {
        return text;
    }
    stack.get(-1, b"source");
    stack.get(-2, b"line");
    if let Some((source, line)) = stack.bytes(-2).zip(stack.bytes(-1)) {
        text.extend_from_slice(b", on ");
        text.extend_from_slice(source);
        text.push(b':');
        text.extend_from_slice(line);
        text.push(b'.');
    }
    stack.pop(2);
    text
}

/// Appends an error reply. Line ends in it become spaces.
fn write_error(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'-');
    out.extend(text.iter().map(|it| if matches!(it, b'\r' | b'\n') { b' ' } else { *it }));
    out.extend_from_slice(b"\r\n");
}
