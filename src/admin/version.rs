//! The versions we go by.

/// The Redis whose commands we answer; clients enable their features by it.
pub const REDIS_VERSION: &str = "7.2.5";
