//! Lua: scripts and functions over a [`Host`] that executes what they call.
//!
//! **Invariant:** knows no members, no sockets, no clock. The host is asked whether a script may
//! go on, and only the host knows how long it has run.
//! **Invariant:** what a script can do without end, in Lua or in a native function, is counted in
//! steps and in bytes, and stops when it is told to.

pub mod limits;
mod host;
mod random;
mod sha1;
mod number_text;
mod strtod;
mod flags;
mod registered;
mod work;
mod state;
mod thrown;
mod long_brackets;
mod stack;
mod compile;
mod global_writes;
mod native;
mod to_lua;
mod to_resp;
mod redis;
mod register;
mod base_functions;
mod collector;
mod coroutines;
mod tables;
mod math;
mod pattern;
mod strings;
mod bits;
mod structs;
mod msgpack;
mod json_settings;
mod json;
mod json_token;
mod json_decode;
mod json_encode;
mod sandbox;
mod scripts;
mod libraries;
mod interpreter;
mod load;

pub use flags::Flags;
pub use host::{Host, LONG_CALL, SHORT_CALL, Tick};
pub use interpreter::{ErrorText, Interpreter, Invocation};
pub use libraries::{Function, Libraries, Library, Policy};
pub use load::load_library;
pub use registered::Registered;
pub use sandbox::{About, Purpose};
pub use scripts::{Script, Scripts};
pub use sha1::{Sha, sha1hex};

#[cfg(test)]
mod tests;
