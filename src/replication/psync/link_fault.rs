//! Why a replica's link to its master has ended.

use crate::resp::Malformed;
use std::fmt;

/// What ended a link, seen from its replica. The data stays, and the link is tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// Nobody answers there, or the connection has broken.
    Broken(String),
    /// The master has closed the link.
    Closed,
    /// Nothing has come for as long as `repl-timeout` says.
    Silent,
    /// The master has answered a step of the handshake with an error.
    Refused(Refusal, String),
    /// It has answered something that is no answer to this step.
    NoAnswer { step: &'static str, said: String },
    /// The answer does not end.
    EndlessLine,
    /// It goes on from a place that was not asked for.
    NotAsked,
    /// The snapshot cannot be loaded.
    Snapshot(String),
    /// Bytes of the stream are no command.
    Malformed(Malformed),
    /// The stream says a command as only people do.
    InlineCommand,
    /// The stream says a command that nobody here knows.
    UnknownCommand(String),
    /// The stream selects a database that there is not.
    NoSuchDatabase(String),
    /// MULTI within MULTI, or EXEC without.
    MisplacedWord(&'static str),
    /// A write is longer than any may be.
    WriteTooLong,
    /// A verb panicked over a command of the stream.
    Panicked(String),
    /// It was given another master, or none.
    NotFollowed,
    /// The master has another history by now than the one it said it would send.
    HistoryChanged,
}

/// The names of those that asking again soon does not mend: somebody has said no.
pub const REFUSALS: [&str; 4] = ["no-auth", "wrong-password", "no-permission", "refused"];

/// What a master's error means to a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It wants a password.
    NoAuth,
    /// The password is wrong.
    WrongPassword,
    /// The user may not do this.
    NoPermission,
    /// It is loading its own data.
    Loading,
    /// It is itself a replica, without a link to its master.
    NoMasterLink,
    /// Anything else.
    Other,
}

impl Refusal {
    /// Of an error's text, without its sign.
    pub fn of(text: &str) -> Refusal {
        let begins = |it: &str| text.starts_with(it);
        match text {
            _ if begins("NOAUTH") => Refusal::NoAuth,
            _ if begins("WRONGPASS") || begins("ERR invalid password") => Refusal::WrongPassword,
            _ if begins("ERR AUTH <password>") || begins("ERR Client sent AUTH") => {
                Refusal::WrongPassword
            }
            _ if begins("NOPERM") => Refusal::NoPermission,
            _ if begins("LOADING") => Refusal::Loading,
            _ if begins("NOMASTERLINK") || begins("MASTERDOWN") => Refusal::NoMasterLink,
            _ => Refusal::Other,
        }
    }
}

impl LinkFault {
    /// A word for counters and log lines.
    pub fn name(&self) -> &'static str {
        match self {
            LinkFault::Broken(_) => "broken",
            LinkFault::Closed => "closed",
            LinkFault::Silent => "silent",
            LinkFault::Refused(Refusal::NoAuth, _) => "no-auth",
            LinkFault::Refused(Refusal::WrongPassword, _) => "wrong-password",
            LinkFault::Refused(Refusal::NoPermission, _) => "no-permission",
            LinkFault::Refused(Refusal::Loading, _) => "loading",
            LinkFault::Refused(Refusal::NoMasterLink, _) => "no-master-link",
            LinkFault::Refused(Refusal::Other, _) => "refused",
            LinkFault::NoAnswer { .. } => "no-answer",
            LinkFault::EndlessLine => "endless-line",
            LinkFault::NotAsked => "not-asked",
            LinkFault::Snapshot(_) => "snapshot",
            LinkFault::Malformed(_) => "malformed",
            LinkFault::InlineCommand => "inline-command",
            LinkFault::UnknownCommand(_) => "unknown-command",
            LinkFault::NoSuchDatabase(_) => "no-such-database",
            LinkFault::MisplacedWord(_) => "misplaced-word",
            LinkFault::WriteTooLong => "write-too-long",
            LinkFault::Panicked(_) => "panicked",
            LinkFault::NotFollowed => "not-followed",
            LinkFault::HistoryChanged => "history-changed",
        }
    }
}

impl fmt::Display for LinkFault {
    /// What the peer said or did, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkFault::Broken(why) => f.write_str(why),
            LinkFault::Refused(_, text) => write!(f, "it answers {text:?}"),
            LinkFault::NoAnswer { step, said } => write!(f, "{said:?} is no answer to {step}"),
            LinkFault::Snapshot(why) => f.write_str(why),
            LinkFault::Malformed(why) => why.fmt(f),
            LinkFault::UnknownCommand(name) => write!(f, "{name:?} is not known here"),
            LinkFault::NoSuchDatabase(index) => write!(f, "there is no database {index:?}"),
            LinkFault::MisplacedWord(word) => write!(f, "{word} does not belong there"),
            LinkFault::Panicked(name) => write!(f, "{name:?} cannot be applied"),
            other => f.write_str(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_how_its_text_begins() {
        let texts = [
            ("NOAUTH Authentication required.", Refusal::NoAuth),
            ("WRONGPASS invalid username-password pair", Refusal::WrongPassword),
            ("ERR invalid password", Refusal::WrongPassword),
            ("ERR AUTH <password> called without any password", Refusal::WrongPassword),
            ("ERR Client sent AUTH, but no password is set", Refusal::WrongPassword),
            ("NOPERM this user has no permissions", Refusal::NoPermission),
            ("LOADING the dataset", Refusal::Loading),
            ("NOMASTERLINK Can't SYNC while not connected", Refusal::NoMasterLink),
            ("MASTERDOWN Link with MASTER is down", Refusal::NoMasterLink),
            ("ERR something else", Refusal::Other),
        ];
        for (text, refusal) in texts {
            assert_eq!(Refusal::of(text), refusal, "{text}");
        }
    }

    #[test]
    fn a_fault_says_what_the_peer_said_or_did() {
        let no_answer = LinkFault::NoAnswer { step: "PING", said: "HTTP/1.1".into() };
        assert_eq!(no_answer.to_string(), "\"HTTP/1.1\" is no answer to PING");
        assert_eq!(LinkFault::Silent.to_string(), "silent");
    }
}
