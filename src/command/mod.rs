//! What a command's row says.
