//! What a simulated client has asked for, and what its reply may be.

use super::crash::Token;
use super::hearers::Name;
use super::ledger::Key;
use entourage::route::Level;

/// One request that has been written.
#[derive(Clone, Debug)]
pub struct Asked {
    pub what: What,
    /// Whether there is a reply (CLIENT REPLY).
    pub has_reply: bool,
    /// When the connection first looked at this request, if it has waited since.
    pub arrived: Option<Arrived>,
}

/// A time, the last write then, the newest write that the client had seen, and the newest one that
/// it had been told of.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    pub write: u64,
    pub seen: u64,
    pub told: u64,
    pub at: u64,
}

/// Acknowledgements that a session asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AskedFor {
    Nothing,
    Replicas(usize),
    InSync,
    All,
}

/// A command of a transaction or of a script.
#[derive(Clone, Copy, Debug)]
pub enum Queued {
    Set { number: u64 },
    Get { key: Key },
    Incr,
    Push,
    Publish { number: u64 },
}

/// A call that waits for an element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pop {
    /// Any of these serves.
    pub keys: Vec<String>,
    pub db: usize,
    /// It puts what it takes there.
    pub moves_to: Option<String>,
    pub ms: u64,
}

/// A call that waits for what is added to a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tail {
    pub db: usize,
    pub key: String,
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub enum What {
    Ping,
    Echo {
        number: u64,
    },
    Set {
        key: Key,
        number: u64,
        acks: AskedFor,
    },
    Incr {
        acks: AskedFor,
    },
    Get {
        key: Key,
        level: Level,
        /// Its ladder may end with an error.
        may_lag: bool,
    },
    /// A read at a member that it names.
    GetAt {
        key: Key,
    },
    /// A read of what may have expired.
    GetFleeting {
        may_lag: bool,
    },
    /// Data that is not checked key by key.
    Other {
        acks: AskedFor,
    },
    /// Something of the session, always granted.
    Granted,
    /// The same key, many times over: long.
    Many {
        key: Key,
        level: Level,
        may_lag: bool,
    },
    /// An element of any of these, or a move of it.
    Pop {
        pop: Pop,
    },
    /// One of the names of a SUBSCRIBE, or the like: each is answered by itself.
    Subscribe {
        name: Name,
        is_on: bool,
        /// Of all that are made.
        number: u64,
        /// How many it has now.
        count: i64,
    },
    Publish {
        number: u64,
    },
    Hello,
    /// A read that may be as old as it likes.
    GetStale {
        key: Key,
        may_lag: bool,
    },
    Tail {
        tail: Tail,
    },
    /// A group of a stream is made, unless there is one.
    Group,
    Multi,
    Queued,
    Exec {
        queued: Vec<Queued>,
        acks: AskedFor,
        /// What a read is to show at least, where nothing else is queued.
        level: Level,
        /// Such reads may be refused because replicas are behind.
        may_lag: bool,
    },
    /// A script that calls several commands and answers all replies.
    Script {
        calls: Vec<Queued>,
        acks: AskedFor,
        /// What its reads are to show at least, where it may do nothing else.
        reads_at: Option<Level>,
        /// Such reads may be refused because replicas are behind.
        may_lag: bool,
    },
    Unwatch,
    Watch {
        keys: Vec<Key>,
    },
    Wait {
        replicas: usize,
    },
    Sleep {
        ms: u64,
    },
    Pause {
        all: bool,
        ms: u64,
    },
    Unpause,
    Unblock {
        id: u64,
    },
    Kill {
        id: u64,
    },
    /// A failover or an order to a member, which may be refused.
    Order,
    Panic,
    Token,
    AtLeast {
        token: Token,
    },
    /// From here on it shares what it sees with this group, if with any.
    Share {
        group: Option<String>,
    },
    Explain,
    Quit,
}

impl Asked {
    pub fn new(what: What, has_reply: bool) -> Asked {
        Asked { what, has_reply, arrived: None }
    }
}
