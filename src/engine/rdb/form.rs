//! The first byte of a value: its type together with the form it is in.

/// A string.
pub const STRING: u8 = 0;
/// A list as strings: until Redis 3.2.
pub const LIST: u8 = 1;
/// A set as strings.
pub const SET: u8 = 2;
/// A sorted set as strings and spelled scores: until Redis 4.
pub const ZSET: u8 = 3;
/// A hash as strings.
pub const HASH: u8 = 4;
/// A sorted set as strings and binary scores.
pub const ZSET_BINARY: u8 = 5;
/// What a module stores; its first way, and the one since Redis 4. Neither is read.
pub const MODULE: u8 = 6;
/// See [`MODULE`].
pub const MODULE_2: u8 = 7;
/// A hash in a zipmap: until Redis 2.6.
pub const HASH_ZIPMAP: u8 = 9;
/// A list in one ziplist: until Redis 3.2.
pub const LIST_ZIPLIST: u8 = 10;
/// A set of integers.
pub const SET_INTSET: u8 = 11;
/// A sorted set in a ziplist: until Redis 7.
pub const ZSET_ZIPLIST: u8 = 12;
/// A hash in a ziplist: until Redis 7.
pub const HASH_ZIPLIST: u8 = 13;
/// A list in many ziplists: until Redis 7.
pub const LIST_ZIPLISTS: u8 = 14;
/// A stream, in three ways that grew: since Redis 5.
pub const STREAM: u8 = 15;
/// See [`STREAM`]: since Redis 7.0.
pub const STREAM_2: u8 = 19;
/// See [`STREAM`]: since Redis 7.2.
pub const STREAM_3: u8 = 21;
/// A hash in a listpack.
pub const HASH_LISTPACK: u8 = 16;
/// A sorted set in a listpack.
pub const ZSET_LISTPACK: u8 = 17;
/// A list in listpacks and single elements.
pub const LIST_LISTPACKS: u8 = 18;
/// A set in a listpack: since Redis 7.2.
pub const SET_LISTPACK: u8 = 20;
/// A hash whose fields may have deadlines, in Valkey 9: each behind its value. Of Redis' versions
/// only a candidate for 7.4 wrote another thing under this number.
pub const HASH_TTL_VALKEY: u8 = 22;
/// A small hash of a candidate for Redis 7.4. Not read.
pub const HASH_LISTPACK_TTL_CANDIDATE: u8 = 23;
/// A hash whose fields may have deadlines, since Redis 7.4: each before its field.
pub const HASH_TTL: u8 = 24;
/// The same in a listpack: each behind its value.
pub const HASH_LISTPACK_TTL: u8 = 25;

/// What stands in [`HASH_TTL_VALKEY`] for a field that has no deadline.
pub const NO_DEADLINE: i64 = -1;

/// A node of [`LIST_LISTPACKS`] that is one element.
pub const NODE_PLAIN: u64 = 1;
/// A node of [`LIST_LISTPACKS`] that is a listpack.
pub const NODE_PACKED: u64 = 2;
