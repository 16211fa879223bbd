//! What is known of a command without running it: for COMMAND, the gates and the router.

use super::keys::Keys;

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

/// Properties that routing, gates and COMMAND need, beyond the class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal $word:expr;)*) => {
        impl Flags {
            /// Nothing special.
            pub const NONE: Flags = Flags(0);
            $($(#[$doc])* pub const $name: Flags = Flags(1 << $bit);)*
            /// Each flag with the word COMMAND INFO uses for it, where it has one.
            pub const WORDS: &'static [(Flags, Option<&'static str>)] =
                &[$((Flags::$name, $word)),*];
        }
    };
}

flags! {
    /// Constant or logarithmic time: its service time may be measured with its neighbours'.
    FAST = 0 Some("fast");
    /// May use more memory.
    GROWS = 1 Some("denyoom");
    /// For operators.
    ADMIN = 2 Some("admin");
    /// Publish/subscribe.
    PUBSUB = 3 Some("pubsub");
    /// Not from scripts.
    NO_SCRIPT = 4 Some("noscript");
    /// May wait.
    BLOCKING = 5 Some("blocking");
    /// Answered while loading.
    LOADING = 6 Some("loading");
    /// Answered while the link to the master is down.
    STALE = 7 Some("stale");
    /// Not shown to MONITOR.
    SKIP_MONITOR = 8 Some("skip_monitor");
    /// Not kept by SLOWLOG.
    SKIP_SLOWLOG = 9 Some("skip_slowlog");
    /// Answered before AUTH.
    NO_AUTH = 10 Some("no_auth");
    /// A read or session command that may still move the stream (PUBLISH, EVAL).
    MAY_REPLICATE = 11 Some("may_replicate");
    /// Not while loading asynchronously.
    NO_ASYNC_LOADING = 12 Some("no_async_loading");
    /// Refused inside MULTI.
    NO_MULTI = 13 Some("no_multi");
    /// Keys cannot all be found by position alone.
    MOVABLE_KEYS = 14 Some("movablekeys");
    /// Works while a script runs too long.
    ALLOW_BUSY = 15 Some("allow_busy");
    /// Able to destroy or disclose: ACL category only.
    DANGEROUS = 16 None;
    /// Allowed while a client may only use pub/sub (RESP2).
    IN_PUBSUB = 17 None;
    /// Its answer is of the member that gives it, not of the data: only the master's counts.
    AT_MASTER = 19 None;
    /// Talks to another server, which a transaction cannot wait for.
    FAR = 18 None;
}

impl Flags {
    /// These and those.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of `other` are here.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        self.and(other)
    }
}

/// Redis' command groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Keys of any type.
    Generic,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Hashes.
    Hash,
    /// Connections.
    Connection,
    /// The server.
    Server,
    /// MULTI and its kin.
    Transactions,
    /// Ours.
    Proxy,
}

impl Group {
    /// All of them, for config to read.
    pub const ALL: &[Group] = &[
        Group::Generic,
        Group::String,
        Group::List,
        Group::Set,
        Group::SortedSet,
        Group::Hash,
        Group::Connection,
        Group::Server,
        Group::Transactions,
        Group::Proxy,
    ];

    /// The group's name in COMMAND DOCS.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Transactions => "transactions",
            Group::Proxy => "proxy",
        }
    }

    /// The group's ACL category, where it has one.
    pub const fn category(self) -> Option<&'static str> {
        match self {
            Group::Generic => Some("@keyspace"),
            Group::String => Some("@string"),
            Group::List => Some("@list"),
            Group::Set => Some("@set"),
            Group::SortedSet => Some("@sortedset"),
            Group::Hash => Some("@hash"),
            Group::Connection => Some("@connection"),
            Group::Transactions => Some("@transaction"),
            Group::Server | Group::Proxy => None,
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
