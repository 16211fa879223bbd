//! What a library has registered while it was loaded.

use std::ffi::c_int;

use super::flags::Flags;

/// One function. The function itself is kept in the registry of its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registered {
    /// By which it is called.
    pub name: Vec<u8>,
    /// For FUNCTION LIST.
    pub description: Option<Vec<u8>>,
    /// What it says of itself.
    pub flags: Flags,
    /// Where the registry has it.
    pub(super) callback: c_int,
}
