//! What one copy of `cjson` has been told.

/// What one copy of the library has been told.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Sparse arrays become objects, and are no error.
    pub sparse_converts: bool,
    /// An array is sparse if it is so many times longer than what is in it; 0: never.
    pub sparse_ratio: i32,
    /// Shorter ones are never sparse.
    pub sparse_safe: i32,
    /// Nesting of what is encoded.
    pub encode_depth_max: i32,
    /// Nesting of what is decoded.
    pub decode_depth_max: i32,
    /// What NaN and infinity are encoded as.
    pub encodes_invalid: Invalid,
    /// NaN, infinity and hexadecimal numbers are decoded.
    pub decodes_invalid: bool,
    /// Digits of a number.
    pub precision: i32,
    /// Kept for its answer: there is no buffer to keep.
    pub keeps_buffer: bool,
}

/// What becomes of a number that JSON cannot say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// An error.
    Refused,
    /// As C prints it.
    Printed,
    /// `null`.
    Null,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_converts: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            encodes_invalid: Invalid::Refused,
            decodes_invalid: true,
            precision: 14,
            keeps_buffer: true,
        }
    }
}
