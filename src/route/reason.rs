//! Why a request goes where it goes, or nowhere.

use super::ladder::StepKind;
use crate::command::Fault;

/// Why a request goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unavailable {
    /// Nobody is fresh enough; the freshest is this far behind what is needed.
    Lagged {
        /// Bytes of the stream.
        behind_bytes: u64,
        /// The same of the freshest that applies what it is fed; nobody can tell how long one will
        /// take that does not.
        moving_bytes: Option<u64>,
    },
    /// No member that may serve it is in service.
    NoMember,
    /// Only the master could serve it, and there is none.
    MasterDown,
}

impl Unavailable {
    /// What the client is told. `eta_ms` estimates how long so many bytes will take.
    pub fn fault(self, eta_ms: impl Fn(u64) -> Option<u64>) -> Fault {
        match self {
            Unavailable::Lagged { behind_bytes, moving_bytes } => {
                Fault::Lagged { behind_bytes, eta_ms: moving_bytes.and_then(eta_ms) }
            }
            Unavailable::NoMember => Fault::NoMember,
            Unavailable::MasterDown => Fault::MasterDown,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Why a plan says what it says: the metrics label, and a line of PROXY EXPLAIN.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All of them; a reason's place is its number.
            pub const ALL: &[Reason] = &[$(Reason::$name),*];

            /// The label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text),* }
            }
        }
    };
}

reasons! {
    /// Writes go to the master.
    Write = "write";
    /// The level is `master`.
    AskedMaster = "asked-master";
    /// The level is `linearizable`, and the master is a remote one.
    Linearizable = "linearizable";
    /// The command names its member.
    AskedMember = "asked-member";
    /// Between WATCH and EXEC.
    Watching = "watching";
    /// A transaction that has changed nothing, and is not of reads alone.
    Transaction = "transaction";
    /// The answer is the member's own, and the master's is the one that counts.
    OfMember = "of-member";
    /// The session wrote less than `sticky-for` ago.
    StickyFor = "sticky-for";
    /// The session's past was cut off by a failover.
    LostHistory = "lost-history";
    /// The session's floor is of a history nobody here knows.
    ForeignHistory = "foreign-history";
    /// No replica is in service.
    NoReplicas = "no-replicas";
    /// The worker's own replica is fresh enough.
    FreshPreferred = "fresh-preferred";
    /// A replica is fresh enough.
    FreshOther = "fresh-other";
    /// A replica applies what it is missing, then reads.
    CatchUp = "catch-up";
    /// The preferred replica is behind; the ladder sends the read to another one.
    OtherReplica = "other-replica";
    /// The read parks until a replica is fresh enough.
    Waiting = "waiting";
    /// A replica is fresh enough now that the read has waited.
    Waited = "waited";
    /// Replicas are behind; the ladder sends the read to the master.
    MasterOnLag = "master-on-lag";
    /// Replicas are behind; the ladder lets the read be stale.
    StaleAllowed = "stale-allowed";
    /// Replicas are behind; the ladder has nothing left.
    Lagged = "lagged";
    /// The route prefers the master, and there is one.
    PrefersMaster = "prefers-master";
    /// There is no master in service.
    NoMaster = "no-master";
}

impl Reason {
    /// What it means, in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Reason::Write => "writes go to the master",
            Reason::AskedMaster => "the level asks for the master",
            Reason::Linearizable => "only the master knows what is newest when the read arrives",
            Reason::AskedMember => "the command names this member, as it is",
            Reason::Watching => "between WATCH and EXEC everything goes to the master",
            Reason::Transaction => "a transaction of more than reads runs at the master",
            Reason::OfMember => "members differ in this, and the master's answer counts",
            Reason::StickyFor => "this session wrote less than sticky-for ago",
            Reason::LostHistory => "a failover cut off what this session saw last",
            Reason::ForeignHistory => "nothing is known of the history of this session's floor",
            Reason::NoReplicas => "no replica is in service",
            Reason::FreshPreferred => "this worker's own replica is fresh enough",
            Reason::FreshOther => "this replica is fresh enough",
            Reason::CatchUp => "this replica is behind, applies what it is missing, and reads",
            Reason::OtherReplica => "another replica is behind; this one is fresh enough",
            Reason::Waiting => "replicas are behind; the read waits for this one",
            Reason::Waited => "this replica is fresh enough after a wait",
            Reason::MasterOnLag => "replicas are behind; the ladder says master",
            Reason::StaleAllowed => "replicas are behind; the ladder allows a stale read",
            Reason::Lagged => "replicas are behind; the ladder has nothing left",
            Reason::PrefersMaster => "the route prefers the master while there is one",
            Reason::NoMaster => "there is no master in service",
        }
    }
}

impl Reason {
    /// The step of the ladder that was taken, if one was.
    pub const fn step(self) -> Option<StepKind> {
        match self {
            Reason::CatchUp => Some(StepKind::CatchUp),
            Reason::OtherReplica => Some(StepKind::OtherReplica),
            Reason::Waiting => Some(StepKind::Wait),
            Reason::MasterOnLag => Some(StepKind::Master),
            Reason::Lagged => Some(StepKind::Error),
            Reason::StaleAllowed => Some(StepKind::Stale),
            _ => None,
        }
    }
}
