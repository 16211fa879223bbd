//! One member's data.

pub mod table;
