//! What is known of a command without running it: for COMMAND, the gates and the router.

use super::keys::Keys;
use bitflags::bitflags;

/// How many arguments a command takes, its own name included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether a request of `len` arguments fits.
    pub const fn fits(self, len: usize) -> bool {
        match self {
            Arity::Exactly(it) => len == it,
            Arity::AtLeast(it) => it <= len,
        }
    }

    /// As COMMAND writes it: negative for "at least".
    pub const fn as_redis(self) -> i64 {
        match self {
            Arity::Exactly(it) => it as i64,
            Arity::AtLeast(it) => -(it as i64),
        }
    }
}

/// What the handler's kind says: the classification nobody keeps by hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Looks at a member's data; may go to a replica.
    Read,
    /// Changes a member's data; goes to the master, through the log.
    Write,
    /// Talks to the proxy itself.
    Session,
}

impl Class {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
            Class::Session => "session",
        }
    }
}

bitflags! {
    /// Properties that routing, gates and COMMAND need, beyond the class.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Flags: u32 {
        /// Constant or logarithmic time: its service time may be measured with its neighbours'.
        const FAST = 1 << 0;
        /// May use more memory.
        const DENYOOM = 1 << 1;
        /// For operators.
        const ADMIN = 1 << 2;
        /// Publish/subscribe.
        const PUBSUB = 1 << 3;
        /// Not from scripts.
        const NOSCRIPT = 1 << 4;
        /// May wait.
        const BLOCKING = 1 << 5;
        /// Answered while loading.
        const LOADING = 1 << 6;
        /// Answered while the link to the master is down.
        const STALE = 1 << 7;
        /// Not shown to MONITOR.
        const SKIP_MONITOR = 1 << 8;
        /// Not kept by SLOWLOG.
        const SKIP_SLOWLOG = 1 << 9;
        /// Answered before AUTH.
        const NO_AUTH = 1 << 10;
        /// A read or session command that may still move the stream (PUBLISH, EVAL).
        const MAY_REPLICATE = 1 << 11;
        /// Not while loading asynchronously.
        const NO_ASYNC_LOADING = 1 << 12;
        /// Refused inside MULTI.
        const NO_MULTI = 1 << 13;
        /// Keys cannot all be found by position alone.
        const MOVABLEKEYS = 1 << 14;
        /// Works while a script runs too long.
        const ALLOW_BUSY = 1 << 15;
        /// Able to destroy or disclose: ACL category only.
        const DANGEROUS = 1 << 16;
        /// Allowed while a client may only use pub/sub (RESP2).
        const IN_PUBSUB = 1 << 17;
        /// Waits for another server or for a disk, which a transaction cannot do.
        const APART = 1 << 18;
        /// Its answer is of the member that gives it, not of the data: only the master's counts.
        const AT_MASTER = 1 << 19;
        /// Keys may be missing although there is a place for them.
        const NO_MANDATORY_KEYS = 1 << 23;
        /// A session command that locks the master.
        const LOCKS_MASTER = 1 << 20;
        /// A session command that locks members, the master among them.
        const LOCKS_MEMBERS = 1 << 21;
        /// A session command that locks members to change them.
        const CHANGES_MEMBERS = 1 << 22;
        /// In a cluster it goes to a node that is getting the slot.
        const ASKING = 1 << 24;
    }
}

impl Flags {
    /// Nothing special.
    pub const NONE: Flags = Flags::empty();
    /// Those that COMMAND INFO does not know.
    const OURS: Flags = Flags::DANGEROUS
        .union(Flags::MAY_REPLICATE)
        .union(Flags::IN_PUBSUB)
        .union(Flags::AT_MASTER)
        .union(Flags::APART)
        .union(Flags::LOCKS_MASTER)
        .union(Flags::LOCKS_MEMBERS)
        .union(Flags::CHANGES_MEMBERS);

    /// The words of COMMAND INFO: the names that these flags have in Redis.
    pub fn words(self) -> impl Iterator<Item = String> {
        self.difference(Flags::OURS).iter_names().map(|(name, _)| name.to_lowercase())
    }
}

/// Redis' command groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Keys of any type.
    Generic,
    /// Strings.
    String,
    /// Bits of strings.
    Bitmap,
    /// HyperLogLogs.
    Hyperloglog,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Places, in sorted sets.
    Geo,
    /// Hashes.
    Hash,
    /// Streams.
    Stream,
    /// Connections.
    Connection,
    /// What only a cluster has.
    Cluster,
    /// The server.
    Server,
    /// MULTI and its kin.
    Transactions,
    /// Publish/subscribe.
    Pubsub,
    /// Scripts and functions.
    Scripting,
    /// Ours.
    Proxy,
}

impl Group {
    /// All of them, for config to read.
    pub const ALL: &[Group] = &[
        Group::Generic,
        Group::String,
        Group::Bitmap,
        Group::Hyperloglog,
        Group::List,
        Group::Set,
        Group::SortedSet,
        Group::Geo,
        Group::Hash,
        Group::Stream,
        Group::Connection,
        Group::Cluster,
        Group::Server,
        Group::Transactions,
        Group::Pubsub,
        Group::Scripting,
        Group::Proxy,
    ];

    /// The group's name in COMMAND DOCS.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Hyperloglog => "hyperloglog",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::Stream => "stream",
            Group::Connection => "connection",
            Group::Cluster => "cluster",
            Group::Server => "server",
            Group::Transactions => "transactions",
            Group::Pubsub => "pubsub",
            Group::Scripting => "scripting",
            Group::Proxy => "proxy",
        }
    }

    /// The group's ACL category, where it has one.
    pub const fn category(self) -> Option<&'static str> {
        match self {
            Group::Generic => Some("@keyspace"),
            Group::String => Some("@string"),
            Group::Bitmap => Some("@bitmap"),
            Group::Hyperloglog => Some("@hyperloglog"),
            Group::List => Some("@list"),
            Group::Set => Some("@set"),
            Group::SortedSet => Some("@sortedset"),
            Group::Geo => Some("@geo"),
            Group::Hash => Some("@hash"),
            Group::Stream => Some("@stream"),
            Group::Connection => Some("@connection"),
            Group::Transactions => Some("@transaction"),
            Group::Scripting => Some("@scripting"),
            // That of pub/sub is given by its flag.
            Group::Cluster | Group::Server | Group::Pubsub | Group::Proxy => None,
        }
    }
}

/// All that is known of a command without running it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Upper-case; a subcommand's own word only.
    pub name: &'static str,
    /// How many arguments.
    pub arity: Arity,
    /// What the handler's kind says.
    pub class: Class,
    /// Properties beyond the class.
    pub flags: Flags,
    /// Where its keys stand.
    pub keys: Keys,
    /// Its group.
    pub group: Group,
    /// The Redis version that brought it.
    pub since: &'static str,
    /// Time complexity, in Redis' notation.
    pub complexity: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The grammar of its arguments, as one would write it in a manual:
    /// `key value [NX | XX] [GET] [EX seconds | PX milliseconds]`.
    pub syntax: &'static str,
    /// Redis' command tips.
    pub tips: &'static [&'static str],
}

/// A row without documentation; [`super::Row::says`] adds it.
pub const fn spec(
    name: &'static str,
    arity: Arity,
    class: Class,
    flags: Flags,
    keys: Keys,
    group: Group,
) -> Spec {
    Spec {
        name,
        arity,
        class,
        flags,
        keys,
        group,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "",
        syntax: "",
        tips: &[],
    }
}
