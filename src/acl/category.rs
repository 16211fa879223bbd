//! The categories of commands, and which of them a command is in.

use crate::command::{Class, Flags, Group, Spec};
use bitflags::bitflags;

bitflags! {
    /// Categories, in the order of ACL CAT.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Categories: u32 {
        /// Keys of any type.
        const KEYSPACE = 1 << 0;
        /// What reads values.
        const READ = 1 << 1;
        /// What changes values.
        const WRITE = 1 << 2;
        /// Sets.
        const SET = 1 << 3;
        /// Sorted sets.
        const SORTEDSET = 1 << 4;
        /// Lists.
        const LIST = 1 << 5;
        /// Hashes.
        const HASH = 1 << 6;
        /// Strings.
        const STRING = 1 << 7;
        /// Bits of strings.
        const BITMAP = 1 << 8;
        /// HyperLogLogs.
        const HYPERLOGLOG = 1 << 9;
        /// Places on the earth.
        const GEO = 1 << 10;
        /// Streams.
        const STREAM = 1 << 11;
        /// Publish/subscribe.
        const PUBSUB = 1 << 12;
        /// What operators say.
        const ADMIN = 1 << 13;
        /// What takes constant or logarithmic time.
        const FAST = 1 << 14;
        /// What is not fast.
        const SLOW = 1 << 15;
        /// What may wait.
        const BLOCKING = 1 << 16;
        /// What can destroy or disclose.
        const DANGEROUS = 1 << 17;
        /// The connection itself.
        const CONNECTION = 1 << 18;
        /// MULTI and its kin.
        const TRANSACTION = 1 << 19;
        /// Scripts and functions.
        const SCRIPTING = 1 << 20;
    }
}

/// Commands that are in other categories than their rows say, as in Redis: those that they are in,
/// too, and those that they are not in.
const OWN: &[(&[&str], Categories, Categories)] = &[
    (&["lastsave", "role"], Categories::ADMIN, Categories::empty()),
    (&["lolwut"], Categories::READ, Categories::empty()),
    (&["asking", "readonly", "readwrite"], Categories::CONNECTION, Categories::empty()),
    (
        &["object|help", "xgroup|help", "xinfo|help", "pfselftest"],
        Categories::empty(),
        Categories::READ,
    ),
    (&["memory|usage"], Categories::empty(), Categories::KEYSPACE),
    (
        &["sort", "sort_ro"],
        Categories::SET.union(Categories::SORTEDSET).union(Categories::LIST),
        Categories::KEYSPACE,
    ),
];

impl Categories {
    /// The category of this name, in any case and without its `@`.
    pub fn named(name: &[u8]) -> Option<Categories> {
        let known = Categories::all();
        let mut all = known.iter_names();
        all.find(|(it, _)| it.as_bytes().eq_ignore_ascii_case(name)).map(|it| it.1)
    }

    /// Their names, without `@`.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| name.to_lowercase())
    }

    /// Those of the command of this lower-case name, from what follows from its row.
    pub fn corrected(self, name: &str) -> Categories {
        // What scripts may read is asked of what they call.
        let scripts = match self.contains(Categories::SCRIPTING) {
            true => Categories::READ,
            false => Categories::empty(),
        };
        let own = OWN.iter().filter(|it| it.0.contains(&name));
        own.fold(self.difference(scripts), |all, (_, more, less)| {
            all.union(*more).difference(*less)
        })
    }

    /// What follows from a command's group, class and flags. One that only holds subcommands has no
    /// more than a speed.
    pub fn of(spec: &Spec, is_container: bool) -> Categories {
        let has = |flag| spec.flags.contains(flag);
        let speed = if has(Flags::FAST) { Categories::FAST } else { Categories::SLOW };
        if is_container {
            return speed;
        }
        let is_admin = has(Flags::ADMIN);
        let cases = [
            (spec.class == Class::Read, Categories::READ),
            (spec.class == Class::Write, Categories::WRITE),
            (has(Flags::PUBSUB), Categories::PUBSUB),
            (is_admin, Categories::ADMIN),
            (has(Flags::BLOCKING), Categories::BLOCKING),
            (is_admin || has(Flags::DANGEROUS), Categories::DANGEROUS),
        ];
        let all = cases.iter().filter(|it| it.0).fold(speed, |all, it| all.union(it.1));
        all.union(subject(spec))
    }
}

/// The category of its group. What looks at whole databases is about keys, whatever its group; what
/// only waits or looks at the proxy is not.
fn subject(spec: &Spec) -> Categories {
    let word = match (spec.group, spec.class) {
        (Group::Server, Class::Read | Class::Write) => Group::Generic.category(),
        (Group::Generic, Class::Session) => Group::Connection.category(),
        (group, _) => group.category(),
    };
    let named = word.and_then(|it| Categories::named(it.trim_start_matches('@').as_bytes()));
    named.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Arity, Keys, spec};

    #[test]
    fn categories_follow_from_group_class_and_flags() {
        let of = |class, flags, group, is_container| {
            let spec = spec("X", Arity::Exactly(2), class, flags, Keys::NONE, group);
            let names: Vec<String> = Categories::of(&spec, is_container).names().collect();
            names.join(" ")
        };
        assert_eq!(of(Class::Read, Flags::FAST, Group::String, false), "read string fast");
        assert_eq!(of(Class::Write, Flags::NONE, Group::Server, false), "keyspace write slow");
        let admin = of(Class::Session, Flags::ADMIN, Group::Proxy, false);
        assert_eq!(admin, "admin slow dangerous");
        assert_eq!(of(Class::Session, Flags::ADMIN, Group::Server, true), "slow");
        assert_eq!(
            of(Class::Session, Flags::BLOCKING, Group::Generic, false),
            "slow blocking connection"
        );
    }

    #[test]
    fn some_commands_have_their_own() {
        let told =
            |all: Categories, name| all.corrected(name).names().collect::<Vec<_>>().join(" ");
        let reads = Categories::READ.union(Categories::KEYSPACE);
        assert_eq!(told(reads, "get"), "keyspace read");
        assert_eq!(told(reads, "sort_ro"), "read set sortedset list");
        assert_eq!(told(Categories::READ.union(Categories::SCRIPTING), "eval_ro"), "scripting");
    }

    #[test]
    fn a_category_is_named_in_any_case() {
        assert_eq!(Categories::named(b"SortedSet"), Some(Categories::SORTEDSET));
        assert_eq!(Categories::named(b"@set"), None);
        assert_eq!(Categories::named(b""), None);
    }
}
