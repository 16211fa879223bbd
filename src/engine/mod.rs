//! One member's data.
