//! What the load generator saw: one write or one read of a key.

/// One write of a key.
///
/// Versions of a key grow in the order of its writes as long as one client at a time writes it. A
/// key whose writes by several clients overlap is told apart by itself: then only linearizability
/// and the final value are asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WriteEvent {
    /// Who wrote.
    pub client: u32,
    /// What was written.
    pub key: u64,
    /// Which version of the key; unique per key.
    pub version: u64,
    /// Nanoseconds since the run began, taken before the request was sent.
    pub began: u64,
    /// Taken after the answer had come (after WAIT's, if WAIT was asked); `None` if no answer came,
    /// so that the write may have happened, may happen yet, or may never happen.
    pub ended: Option<u64>,
    /// WAIT on the same connection said that enough replicas have it.
    pub is_confirmed: bool,
}

/// One read of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadEvent {
    /// Who read.
    pub client: u32,
    /// What was read.
    pub key: u64,
    /// Which version was seen; `None` if the key had no value.
    pub version: Option<u64>,
    /// Nanoseconds since the run began, taken before the request was sent.
    pub began: u64,
    /// Taken after the answer had come.
    pub ended: u64,
    /// Which server was asked, by its place in the list of targets.
    pub target: u16,
}

/// A token that a client has given to another: it stands for all that the client had written and
/// read, and who has handed it in sees that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenEvent {
    /// Whose token.
    pub from: u32,
    /// Who was given it.
    pub to: u32,
    /// When it was asked for.
    pub taken: u64,
    /// When it was handed in.
    pub given: u64,
}

/// What a load thread hands over at a time.
#[derive(Default)]
pub struct Batch {
    /// Tokens that were handed in.
    pub tokens: Vec<TokenEvent>,
    /// Reads and writes.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A write, answered or not.
    Write(WriteEvent),
    /// An answered read.
    Read(ReadEvent),
}

impl Event {
    /// Which key it is about.
    pub fn key(&self) -> u64 {
        match self {
            Event::Write(it) => it.key,
            Event::Read(it) => it.key,
        }
    }

    /// When it began.
    pub fn began(&self) -> u64 {
        match self {
            Event::Write(it) => it.began,
            Event::Read(it) => it.began,
        }
    }

    /// When it is in the order of endings; a write without an answer stands where it began.
    pub fn place(&self) -> u64 {
        match self {
            Event::Write(it) => it.ended.unwrap_or(it.began),
            Event::Read(it) => it.ended,
        }
    }

    /// The version that a read saw.
    pub fn version_read(&self) -> Option<u64> {
        match self {
            Event::Read(it) => it.version,
            Event::Write(_) => None,
        }
    }

    /// The version that a write made.
    pub fn version_written(&self) -> Option<u64> {
        match self {
            Event::Write(it) => Some(it.version),
            Event::Read(_) => None,
        }
    }
}
