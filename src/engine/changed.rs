//! The keys that writes have changed and nobody has been told of yet, in the order of the changes.
//! At the master alone, while anybody caches what it reads: whoever writes there takes them.

use parking_lot::Mutex;
use std::sync::Arc;

/// Where the databases of one member note what has changed.
pub(super) type ChangeNotes = Arc<Mutex<ChangedKeys>>;

/// Changes, in the order in which they were made.
#[derive(Clone, Default, Debug)]
pub struct ChangedKeys {
    /// The keys, one behind the other.
    bytes: Vec<u8>,
    notes: Vec<Note>,
}

#[derive(Clone, Copy, Debug)]
enum Note {
    Key { end: usize, expired: bool },
    All,
}

/// One change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change<'c> {
    /// A key has another value, or none.
    Key {
        /// Which.
        key: &'c [u8],
        /// Its time had come: that was nobody's command.
        expired: bool,
    },
    /// Every key of a database may have changed.
    All,
}

impl Change<'_> {
    /// Whether it may have changed `key`.
    pub fn is_of(&self, key: &[u8]) -> bool {
        match self {
            Change::Key { key: changed, .. } => *changed == key,
            Change::All => true,
        }
    }
}

impl ChangedKeys {
    /// Notes a key.
    pub fn note(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.notes.push(Note::Key { end: self.bytes.len(), expired: false });
    }

    /// Notes that every key of a database may have changed.
    pub fn note_all(&mut self) {
        self.notes.push(Note::All);
    }

    /// What was noted last has happened because the key's time had come.
    pub fn last_expired(&mut self) {
        if let Some(Note::Key { expired, .. }) = self.notes.last_mut() {
            *expired = true;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let mut from = 0;
        self.notes.iter().map(move |it| match *it {
            Note::Key { end, expired } => {
                let key = &self.bytes[from..end];
                from = end;
                Change::Key { key, expired }
            }
            Note::All => Change::All,
        })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.notes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::WallMs;
    use crate::command::Event;
    use crate::engine::{Effects, Engine, List, Thresholds};

    fn told(engine: &mut Engine) -> Vec<String> {
        let mut changed = ChangedKeys::default();
        engine.take_changed(&mut changed);
        let shown = |it: Change<'_>| match it {
            Change::Key { key, expired: false } => key.escape_ascii().to_string(),
            Change::Key { key, expired: true } => format!("{} expired", key.escape_ascii()),
            Change::All => "all".into(),
        };
        changed.iter().map(shown).collect()
    }

    #[test]
    fn every_way_to_change_a_key_is_noted_in_order_while_it_is_asked_for() {
        let mut engine = Engine::new(1, Thresholds::default());
        engine.db_mut_at(0, WallMs(1)).put_string(b"before", b"v", None);
        engine.track(true);
        assert!(engine.is_tracked());
        let mut db = engine.db_mut_at(3, WallMs(1));
        db.put_string(b"a", b"v", Some(WallMs(9)));
        db.set_deadline(b"a", Some(WallMs(5)));
        db.set_deadline(b"none", None);
        let push = |it: &mut List, _: &_| {
            it.push(crate::engine::End::Back, b"x");
            Ok(((), 1))
        };
        db.change_or_create::<List, ()>(b"l", Event::DEL, push).unwrap();
        db.change::<List, ()>(b"l", Event::DEL, |_, _| Ok(((), 0))).unwrap();
        db.remove(b"l");
        db.remove(b"l");
        assert_eq!(told(&mut engine), ["a", "a", "l", "l"]);
        engine.expire(3, WallMs(6), b"a", &mut Effects::default());
        engine.flush(0);
        engine.swap(0, 3);
        engine.swap(3, 3);
        assert_eq!(told(&mut engine), ["a expired", "all", "all"]);
        // Watches are noted beside it, and end without an end to this.
        engine.space_mut(0).watch(b"a");
        engine.space_mut(0).unwatch(b"a");
        engine.db_mut_at(0, WallMs(1)).put_string(b"a", b"v", None);
        assert_eq!(told(&mut engine), ["a"]);
        engine.forget_watches();
        assert!(!engine.is_tracked());
        engine.db_mut_at(0, WallMs(1)).put_string(b"a", b"v", None);
        assert_eq!(told(&mut engine), [""; 0]);
    }
}
