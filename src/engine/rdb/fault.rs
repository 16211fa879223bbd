//! What can be wrong with a file, and where.

use super::Broken;
use std::fmt;

/// Why reading ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// It does not begin as RDB files do.
    NoRdb,
    /// It is in a version that nobody here knows.
    Version(u16),
    /// These bytes are no value, or no length, or a string longer than any may be.
    Broken,
    /// It ends before its end.
    Truncated,
    /// Its checksum is another than that of its bytes.
    Checksum,
    /// A field of a hash has a time to live of its own, which cannot be kept here.
    FieldTtl,
    /// A value of a type that is known, but not supported.
    UnsupportedType(&'static str),
    /// A value of a type that is not known.
    UnknownType(u8),
    /// Something beside the keys that is known, but not supported.
    Unsupported(&'static str),
    /// What a module has written, with the module's name for its type.
    Module(String),
    /// A library of functions that cannot be loaded, and why.
    Library(String),
    /// A database that there is not.
    Database(u64),
    /// A key that has been there before.
    DuplicateKey,
    /// The length that was announced for it is not its own.
    Length,
    /// The mark behind it is not the one that was announced.
    Mark,
    /// The peer announced no file; what it said instead.
    NotAnnounced(String),
}

impl From<Broken> for Why {
    fn from(Broken: Broken) -> Why {
        Why::Broken
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NoRdb => f.write_str("not an RDB file"),
            Why::Version(version) => write!(f, "RDB version {version} is not known"),
            Why::Broken => f.write_str("these bytes are no value"),
            Why::Truncated => f.write_str("it ends before its end"),
            Why::Checksum => f.write_str("the checksum is wrong"),
            Why::FieldTtl => {
                f.write_str("fields of hashes that expire are not read as Redis 7.4 writes them")
            }
            Why::UnsupportedType(name) => write!(f, "values of the type {name} are not supported"),
            Why::UnknownType(form) => write!(f, "the type {form} is not known"),
            Why::Unsupported(what) => write!(f, "{what} not supported"),
            Why::Module(name) => write!(f, "data of modules is not supported: {name}"),
            Why::Library(why) => write!(f, "a library of functions cannot be loaded: {why}"),
            Why::Database(index) => write!(f, "there is no database {index}"),
            Why::DuplicateKey => f.write_str("the key is there twice"),
            Why::Length => f.write_str("it is not as long as was announced"),
            Why::Mark => f.write_str("the mark behind it is not the one that was announced"),
            Why::NotAnnounced(said) => write!(f, "no file was announced, but {said:?}"),
        }
    }
}

/// Why a file cannot be loaded, and where that was found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileFault {
    /// What is wrong.
    pub why: Why,
    /// Count of the file's bytes before the element, value or opcode that is wrong.
    pub at: u64,
    /// The key that the value belongs to, if it is a value.
    pub key: Option<Vec<u8>>,
}

/// Bytes of a key that are shown.
const SHOWN_BYTES_MAX: usize = 128;

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.why, self.at)?;
        if let Some(key) = &self.key {
            let shown = &key[..key.len().min(SHOWN_BYTES_MAX)];
            write!(f, ", key \"{}\"", shown.escape_ascii())?;
        }
        Ok(())
    }
}

impl std::error::Error for FileFault {}
