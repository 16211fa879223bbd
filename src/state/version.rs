//! Who we say we are.

/// The Redis whose features clients may use.
pub const REDIS_VERSION: &str = "7.2.5";
/// Our own version.
pub const ENTOURAGE_VERSION: &str = env!("CARGO_PKG_VERSION");
