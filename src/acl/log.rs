//! What users have been denied lately: ACL LOG.

use crate::base::time::WallMs;
use std::collections::VecDeque;

/// What was denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DenialReason {
    /// To be that user.
    Auth,
    /// A command.
    Command,
    /// A key.
    Key,
    /// A channel.
    Channel,
}

impl DenialReason {
    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            DenialReason::Auth => "auth",
            DenialReason::Command => "command",
            DenialReason::Key => "key",
            DenialReason::Channel => "channel",
        }
    }
}

/// Where it was denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DenialContext {
    /// To a request by itself.
    TopLevel,
    /// In a transaction.
    Multi,
    /// To a script.
    Lua,
}

impl DenialContext {
    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            DenialContext::TopLevel => "toplevel",
            DenialContext::Multi => "multi",
            DenialContext::Lua => "lua",
        }
    }
}

/// The first bytes of the name of a command, key, channel or user. What is kept is short however
/// long the name was: it comes from a client.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeniedName(Box<[u8]>);

impl DeniedName {
    /// What is kept of this name.
    pub fn of(name: &[u8]) -> DeniedName {
        DeniedName(name[..name.len().min(NAME_BYTES_MAX)].into())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Something that was denied.
#[derive(Clone, Debug)]
pub struct Denial {
    /// What.
    pub reason: DenialReason,
    /// Where.
    pub context: DenialContext,
    /// The command, key or channel.
    pub object: DeniedName,
    /// To whom.
    pub user: DeniedName,
    /// Its client, as CLIENT LIST tells of it.
    pub client: String,
    /// How often.
    pub count: u64,
    /// Its number.
    pub id: u64,
    /// When it was denied first.
    pub created: WallMs,
    /// When it was denied last.
    pub updated: WallMs,
}

impl Denial {
    /// Something that is denied now, for the first time.
    pub fn new(reason: DenialReason, context: DenialContext, now: WallMs) -> Denial {
        Denial {
            reason,
            context,
            object: DeniedName::default(),
            user: DeniedName::default(),
            client: String::new(),
            count: 1,
            id: 0,
            created: now,
            updated: now,
        }
    }

    fn is_like(&self, other: &Denial) -> bool {
        self.reason == other.reason
            && self.context == other.context
            && other.updated.0.abs_diff(self.updated.0) <= JOINED_MS
            && self.object == other.object
            && self.user == other.user
    }
}

/// Denials of the same within this time are one.
const JOINED_MS: u64 = 60_000;
/// So many of the newest may be the same as a new one.
const LOOKED_AT: usize = 10;
/// So much of a name is kept.
const NAME_BYTES_MAX: usize = 4096;

/// The last denials, newest first.
#[derive(Debug, Default)]
pub struct DenialLog {
    entries: VecDeque<Denial>,
    next: u64,
}

impl DenialLog {
    /// Keeps one more, and at most `most` of all. One that is like another counts with it.
    pub fn push(&mut self, mut denial: Denial, most: usize) {
        let longest = NAME_BYTES_MAX.min(denial.client.len());
        let cut = (0..=longest).rev().find(|it| denial.client.is_char_boundary(*it));
        denial.client.truncate(cut.unwrap_or_default());
        denial.client.shrink_to_fit();
        let same = self.entries.iter().take(LOOKED_AT).position(|it| it.is_like(&denial));
        match same.and_then(|it| self.entries.remove(it)) {
            Some(before) => {
                let count = before.count + 1;
                let (id, created) = (before.id, before.created);
                self.entries.push_front(Denial { count, id, created, ..denial });
            }
            None => {
                self.entries.push_front(Denial { id: self.next, ..denial });
                self.next += 1;
            }
        }
        self.entries.truncate(most);
    }

    /// The newest `count`.
    pub fn newest(&self, count: usize) -> Vec<Denial> {
        self.entries.iter().take(count).cloned().collect()
    }

    /// Forgets them. Numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(object: &str, at: u64) -> Denial {
        let denial = Denial::new(DenialReason::Key, DenialContext::TopLevel, WallMs(at as _));
        let (object, user) = (DeniedName::of(object.as_bytes()), DeniedName::of(b"u"));
        Denial { object, user, ..denial }
    }

    #[test]
    fn the_same_within_a_minute_is_one_entry() {
        let mut log = DenialLog::default();
        for (object, at) in [("a", 1), ("b", 2), ("a", 3), ("a", 70_000), ("c", 70_001)] {
            log.push(denial(object, at), 3);
        }
        let told: Vec<_> =
            log.newest(9).into_iter().map(|it| (it.object, it.count, it.id)).collect();
        let entry = |object: &str, count, id| (DeniedName::of(object.as_bytes()), count, id);
        assert_eq!(told, [entry("c", 1, 3), entry("a", 1, 2), entry("a", 2, 0)]);
        log.clear();
        assert!(log.newest(1).is_empty());
    }

    #[test]
    fn what_is_kept_of_one_is_bounded() {
        let mut log = DenialLog::default();
        let long = "ä".repeat(NAME_BYTES_MAX);
        log.push(Denial { client: format!("x{long}"), ..denial(&long, 1) }, 3);
        let [kept] = log.newest(3).try_into().unwrap();
        assert_eq!(
            (kept.object.bytes().len(), kept.client.len()),
            (NAME_BYTES_MAX, NAME_BYTES_MAX - 1)
        );
        assert!(kept.client.capacity() < 2 * NAME_BYTES_MAX, "what was cut off is given back");
    }
}
