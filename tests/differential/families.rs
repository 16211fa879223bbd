//! The grammars of commands, by family: the lines of `families/`.

pub const STRINGS: &str = include_str!("families/strings.txt");
pub const BITMAPS: &str = include_str!("families/bitmaps.txt");
pub const HYPERLOGLOG: &str = include_str!("families/hyperloglog.txt");
pub const GEO: &str = include_str!("families/geo.txt");
pub const KEYS: &str = include_str!("families/keys.txt");
pub const HASHES: &str = include_str!("families/hashes.txt");
pub const LISTS: &str = include_str!("families/lists.txt");
pub const SETS: &str = include_str!("families/sets.txt");
pub const SORTED_SETS: &str = include_str!("families/sorted_sets.txt");
pub const SORT: &str = include_str!("families/sort.txt");
pub const ENCODINGS: &str = include_str!("families/encodings.txt");
pub const NEWER_ENCODINGS: &str = include_str!("families/newer_encodings.txt");
pub const ENTRIES: &str = include_str!("families/entries.txt");
pub const STREAMS: &str = include_str!("families/streams.txt");
pub const SCRIPTS: &str = include_str!("families/scripts.txt");
pub const NEWER: &str = include_str!("families/newer.txt");
