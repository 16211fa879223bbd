//! How a member that is a real server stands.

use std::fmt;

/// How a member stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberState {
    /// Nothing has been heard of it.
    Unknown,
    /// It is the master.
    Master,
    /// It is a replica whose stream comes.
    Replica,
    /// It is a replica whose stream comes, and an operator has taken it away from readers.
    Drained,
    /// An operator has taken it away from everything, whatever it tells.
    Maintenance,
    /// It is a replica without a link to its master.
    LinkDown,
    /// It is a replica that loads a snapshot of its master.
    Syncing,
    /// It is a replica of another history than the master's.
    OtherHistory,
    /// It says that it is a master, and so does another.
    TwoMasters,
    /// It says that it is a master, and sentinels name another, or none.
    NotAppointed,
    /// It has answered what it would not as it was known.
    Doubtful,
    /// It loads its data.
    Loading,
    /// It cannot be reached.
    Unreachable(String),
    /// It does not answer.
    Silent,
    /// It does not let us in.
    Refused(String),
    /// What it answers is none of what Redis answers.
    Garbage(String),
    /// It is no server but an Entourage in front of some, this one or another: what that tells of
    /// its stream is nobody's.
    Proxy(String),
    /// It is none any more: nobody is at this place.
    Gone,
}

impl MemberState {
    /// Whether the master's stream comes there.
    pub fn is_fed(&self) -> bool {
        matches!(self, MemberState::Replica | MemberState::Drained)
    }

    /// Whether the master's stream comes there, or may still come: it is being asked.
    pub fn may_be_fed(&self) -> bool {
        self.is_fed() || *self == MemberState::Doubtful
    }

    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            MemberState::Unknown => "unknown",
            MemberState::Master => "master",
            MemberState::Replica => "replica",
            MemberState::Drained => "drained",
            MemberState::LinkDown => "link-down",
            MemberState::Syncing => "syncing",
            MemberState::Maintenance => "maintenance",
            MemberState::OtherHistory => "other-history",
            MemberState::TwoMasters => "two-masters",
            MemberState::NotAppointed => "not-appointed",
            MemberState::Doubtful => "doubtful",
            MemberState::Loading => "loading",
            MemberState::Unreachable(_) => "unreachable",
            MemberState::Silent => "silent",
            MemberState::Refused(_) => "refused",
            MemberState::Garbage(_) => "garbage",
            MemberState::Proxy(_) => "proxy",
            MemberState::Gone => "gone",
        }
    }

    /// What is wrong with it, where its name does not tell.
    pub fn why(&self) -> &str {
        match self {
            MemberState::Unreachable(why)
            | MemberState::Refused(why)
            | MemberState::Garbage(why)
            | MemberState::Proxy(why) => why,
            _ => "",
        }
    }

    /// Whether it is none of these, as far as anybody knows: of another set, or no server.
    pub fn is_of_others(&self) -> bool {
        matches!(
            self,
            MemberState::OtherHistory
                | MemberState::NotAppointed
                | MemberState::Proxy(_)
                | MemberState::Gone
        )
    }

    /// Whether nothing comes from there that could be of use.
    pub fn is_down(&self) -> bool {
        matches!(
            self,
            MemberState::Unknown
                | MemberState::Unreachable(_)
                | MemberState::Silent
                | MemberState::Refused(_)
                | MemberState::Garbage(_)
                | MemberState::Proxy(_)
        )
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self.why() {
            "" => Ok(()),
            why => write!(f, " ({why})"),
        }
    }
}
