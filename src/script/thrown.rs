//! What a native function raises.

use std::ffi::c_int;

/// What a native function raises.
#[derive(Debug)]
pub enum Thrown {
    /// A text, behind the line of the script that called.
    Error(Vec<u8>),
    /// A text alone.
    Plain(Vec<u8>),
    /// What lies on top of the stack.
    Top,
    /// Something is wrong with this argument.
    Argument(c_int, Vec<u8>),
    /// This argument is of another kind than this.
    Kind(c_int, &'static str),
}

impl Thrown {
    /// A text, behind the line of the script that called.
    pub fn error(text: impl Into<Vec<u8>>) -> Thrown {
        Thrown::Error(text.into())
    }

    /// The limit of memory has been met.
    pub fn memory() -> Thrown {
        Thrown::Plain(b"not enough memory".to_vec())
    }
}
