//! Keyspace events: what a change does to a key, by class, as `notify-keyspace-events` names them.

use bitflags::bitflags;

bitflags! {
    /// Classes of events, and the two kinds of channels that tell of them.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct EventClasses: u16 {
        /// `K`: channels that are named after keys.
        const KEYSPACE = 1 << 0;
        /// `E`: channels that are named after events.
        const KEYEVENT = 1 << 1;
        /// `g`: keys of any type.
        const GENERIC = 1 << 2;
        /// `$`
        const STRING = 1 << 3;
        /// `l`
        const LIST = 1 << 4;
        /// `s`
        const SET = 1 << 5;
        /// `h`
        const HASH = 1 << 6;
        /// `z`
        const ZSET = 1 << 7;
        /// `x`: keys that were deleted because their time had come.
        const EXPIRED = 1 << 8;
        /// `e`: keys that were evicted.
        const EVICTED = 1 << 9;
        /// `t`
        const STREAM = 1 << 10;
        /// `m`: reads of keys that are not there.
        const KEY_MISS = 1 << 11;
        /// `d`: there are no modules here.
        const MODULE = 1 << 12;
        /// `n`: keys that were not there before.
        const NEW = 1 << 13;
    }
}

/// What `A` stands for.
const ALL_BUT_MISS_AND_NEW: EventClasses = EventClasses::GENERIC
    .union(EventClasses::STRING)
    .union(EventClasses::LIST)
    .union(EventClasses::SET)
    .union(EventClasses::HASH)
    .union(EventClasses::ZSET)
    .union(EventClasses::EXPIRED)
    .union(EventClasses::EVICTED)
    .union(EventClasses::STREAM)
    .union(EventClasses::MODULE);

/// The letters that `A` makes needless, in the order in which Redis tells them.
const CLASSES: [(char, EventClasses); 11] = [
    ('g', EventClasses::GENERIC),
    ('$', EventClasses::STRING),
    ('l', EventClasses::LIST),
    ('s', EventClasses::SET),
    ('h', EventClasses::HASH),
    ('z', EventClasses::ZSET),
    ('x', EventClasses::EXPIRED),
    ('e', EventClasses::EVICTED),
    ('t', EventClasses::STREAM),
    ('d', EventClasses::MODULE),
    ('n', EventClasses::NEW),
];

/// The letters behind them.
const OTHERS: [(char, EventClasses); 3] =
    [('K', EventClasses::KEYSPACE), ('E', EventClasses::KEYEVENT), ('m', EventClasses::KEY_MISS)];

impl EventClasses {
    /// None.
    pub const NONE: EventClasses = EventClasses::empty();

    /// The classes of these letters; `None` when a letter is of no class.
    pub fn parse(letters: &str) -> Option<EventClasses> {
        letters.chars().try_fold(EventClasses::NONE, |all, letter| {
            let known = CLASSES.iter().chain(&OTHERS).find(|it| it.0 == letter);
            let class = match letter {
                'A' => ALL_BUT_MISS_AND_NEW,
                _ => known?.1,
            };
            Some(all | class)
        })
    }

    /// The letters, as CONFIG GET tells them: beside `A`, Redis does not tell `n`.
    pub fn told(self) -> String {
        self.letters(if self.contains(ALL_BUT_MISS_AND_NEW) {
            EventClasses::NEW
        } else {
            Self::NONE
        })
    }

    /// All letters, as a file must have them.
    pub fn written(self) -> String {
        self.letters(EventClasses::NONE)
    }

    fn letters(self, untold: EventClasses) -> String {
        let needless = match self.contains(ALL_BUT_MISS_AND_NEW) {
            true => ALL_BUT_MISS_AND_NEW | untold,
            false => EventClasses::NONE,
        };
        let first = (!needless.is_empty()).then_some('A');
        let told = |it: &&(char, EventClasses)| self.contains(it.1) && !needless.contains(it.1);
        let others = CLASSES.iter().chain(&OTHERS).filter(told).map(|it| it.0);
        first.into_iter().chain(others).collect()
    }

    /// The classes whose events anybody can hear of: none, unless there are channels for them.
    pub fn heard(self) -> EventClasses {
        let has_channels = self.intersects(EventClasses::KEYSPACE | EventClasses::KEYEVENT);
        if has_channels { self } else { EventClasses::NONE }
    }
}

/// An event that commands raise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its class; none for one that is never raised.
    pub class: EventClasses,
    /// Its name.
    pub name: &'static str,
}

impl Event {
    /// None: who changes the key raises its events otherwise.
    pub const NONE: Event = Event { class: EventClasses::NONE, name: "" };
    /// A key is gone.
    pub const DEL: Event = Event::generic("del");
    /// A key was deleted because its time had come.
    pub const EXPIRED: Event = Event { class: EventClasses::EXPIRED, name: "expired" };
    /// A command has taken fields out of a hash whose time had come, or to which it gave a time
    /// that is past.
    pub const FIELDS_TAKEN_OUT: Event = Event::hash("hexpired");
    /// The time of fields of a hash had come, and nothing else was done with it.
    pub const FIELDS_EXPIRED: Event = Event { class: EventClasses::EXPIRED, name: "hexpired" };
    /// A key was deleted because there was no room.
    pub const EVICTED: Event = Event { class: EventClasses::EVICTED, name: "evicted" };
    /// A key was not there before.
    pub const NEW: Event = Event { class: EventClasses::NEW, name: "new" };
    /// A read has not found its key.
    pub const KEY_MISS: Event = Event { class: EventClasses::KEY_MISS, name: "keymiss" };

    /// One of keys of any type.
    pub const fn generic(name: &'static str) -> Event {
        Event { class: EventClasses::GENERIC, name }
    }

    /// One of strings.
    pub const fn string(name: &'static str) -> Event {
        Event { class: EventClasses::STRING, name }
    }

    /// One of lists.
    pub const fn list(name: &'static str) -> Event {
        Event { class: EventClasses::LIST, name }
    }

    /// One of sets.
    pub const fn set(name: &'static str) -> Event {
        Event { class: EventClasses::SET, name }
    }

    /// One of hashes.
    pub const fn hash(name: &'static str) -> Event {
        Event { class: EventClasses::HASH, name }
    }

    /// One of sorted sets.
    pub const fn zset(name: &'static str) -> Event {
        Event { class: EventClasses::ZSET, name }
    }

    /// One of streams.
    pub const fn stream(name: &'static str) -> Event {
        Event { class: EventClasses::STREAM, name }
    }
}

/// An event that has been raised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaisedEvent {
    /// The event.
    pub event: Event,
    /// The database of its key.
    pub db: usize,
    /// Its key.
    pub key: Box<[u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_told_in_redis_order_and_written_without_loss() {
        // As redis-server 7.0.15 and valkey-server 9.1 answer.
        for (said, told, written) in [
            ("KEA", "AKE", "AKE"),
            ("KEAn", "AKE", "AnKE"),
            ("KEAmn", "AKEm", "AnKEm"),
            ("gx", "gx", "gx"),
            ("Kg$lshzxetdn", "AK", "AnK"),
            ("mnKE", "nKEm", "nKEm"),
            ("KEg$lshzxet", "g$lshzxetKE", "g$lshzxetKE"),
            ("", "", ""),
        ] {
            let classes = EventClasses::parse(said).unwrap();
            assert_eq!(classes.told(), told, "{said}");
            assert_eq!(classes.written(), written, "{said}");
            assert_eq!(EventClasses::parse(written), Some(classes), "{said}");
        }
        assert_eq!(EventClasses::parse("KEq"), None);
    }

    #[test]
    fn without_channels_nobody_hears_anything() {
        assert_eq!(EventClasses::parse("Amn").unwrap().heard(), EventClasses::NONE);
        let some = EventClasses::parse("Kg").unwrap();
        assert_eq!(some.heard(), some);
    }
}
