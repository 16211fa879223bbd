//! What can be wrong with an append-only file, and where.

use crate::base::position::Offset;
use crate::engine::rdb::FileFault;
use std::fmt;

/// Why reading ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AofWhy {
    /// The snapshot that it begins with.
    Snapshot(FileFault),
    /// These bytes are no command.
    NoCommand(String),
    /// Nobody knows this command.
    UnknownCommand(String),
    /// The command cannot be done with the data so far.
    Refused(String, String),
    /// A word of the stream in a place where it has no meaning.
    Misplaced(&'static str),
    /// There is no such database.
    NoDatabase(String),
    /// A transaction that is longer than any may be.
    TooLong,
    /// The stream stands here, and the file says that it stands there: some of it is missing.
    Elsewhere(Offset, Offset),
    /// It ends before its end.
    Truncated,
}

impl fmt::Display for AofWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AofWhy::Snapshot(fault) => write!(f, "the snapshot in it: {}", fault.why),
            AofWhy::NoCommand(why) => write!(f, "these bytes are no command: {why}"),
            AofWhy::UnknownCommand(name) => write!(f, "the command {name} is not known"),
            AofWhy::Refused(name, why) => write!(f, "{name} cannot be done: {why}"),
            AofWhy::Misplaced(word) => write!(f, "{word} has no meaning here"),
            AofWhy::NoDatabase(index) => write!(f, "there is no database {index}"),
            AofWhy::TooLong => f.write_str("a transaction is too long"),
            AofWhy::Elsewhere(at, said) => write!(
                f,
                "writes are missing: what came before ends at {at} of the stream, and what follows \
                 says it begins at {said}"
            ),
            AofWhy::Truncated => f.write_str("it ends before its end"),
        }
    }
}

/// Why a file cannot be loaded, and where that was found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AofFault {
    /// What is wrong.
    pub why: AofWhy,
    /// Count of the file's bytes before the command or element that is wrong.
    pub at: u64,
}

impl fmt::Display for AofFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.why, self.at)
    }
}

impl std::error::Error for AofFault {}
