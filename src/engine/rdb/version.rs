//! The versions of the format: Redis' count from 1, and Valkey's from 80.

/// The RDB version of what we write: that of Redis 7.0, which newer ones read too.
pub const VERSION: u16 = 10;
/// The newest of Redis' payloads that we take: that of Redis 7.2.
pub const VERSION_MAX: u16 = 11;
/// The newest of Redis' files that we read: that of Redis 7.4 and 8.0.
pub const FILE_VERSION_MAX: u16 = 12;
/// Valkey's own, since Valkey 9. What is between them is neither's.
pub const VALKEY_VERSION: u16 = 80;
/// Since this version a file ends with its checksum.
pub const CHECKSUM_SINCE: u16 = 5;
