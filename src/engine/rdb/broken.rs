//! What comes of bytes that are no value.

/// These bytes are no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;
