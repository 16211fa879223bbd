//! What is remembered of each key for the whole run.

use super::event::WriteEvent;
use ahash::RandomState;
use std::collections::HashMap;
use std::num::NonZeroU32;

/// Keys remembered at most (seven eighths of a power of two, so that the index is full); what
/// happens to further keys is counted as not checked.
pub const KEYS_MAX: usize = (1 << 20) / 8 * 7;

/// A hasher that always hashes alike: keys come from our own generator, not from an attacker.
pub fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

/// How long something took, in 32 bits, rounded up to microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Took(NonZeroU32);

impl Took {
    /// The time from `began` to `ended`.
    pub fn between(began: u64, ended: u64) -> Took {
        let us = ended.saturating_sub(began).div_ceil(1_000);
        Took(NonZeroU32::new(us.try_into().unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN))
    }

    /// When it began if it ended then; at most a microsecond early.
    pub fn before(self, ended: u64) -> u64 {
        ended.saturating_sub(u64::from(self.0.get()) * 1_000)
    }
}

/// An acknowledged write, in 24 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acked {
    /// Its version.
    pub version: u64,
    /// When its answer came.
    pub ended: u64,
    /// How long it took.
    pub took: Took,
    /// Who wrote.
    pub client: u32,
}

impl Acked {
    /// The write as an event.
    pub fn event(self, key: u64, is_confirmed: bool) -> WriteEvent {
        let Acked { version, ended, took, client } = self;
        let began = took.before(ended);
        WriteEvent { client, key, version, began, ended: Some(ended), is_confirmed }
    }
}

/// One key.
#[derive(Clone, Copy, Default, Debug)]
pub struct KeyState {
    /// Place of its newest write among the recent ones; 0 if there is none.
    pub newest: u64,
    /// Place of its newest read among the recent ones; 0 if there is none.
    pub newest_read: u64,
    /// Its greatest version.
    pub newest_version: u64,
    /// Its newest acknowledged write.
    pub acked: Option<Acked>,
    /// Its newest confirmed write.
    pub confirmed: Option<Acked>,
    /// Whether `acked` is confirmed too.
    pub is_acked_confirmed: bool,
    /// More than one client has written it.
    pub has_several_writers: bool,
    /// Several clients write it at once: its versions say nothing of the order of its writes.
    pub is_shared: bool,
    /// Its writes did not come in the order of their versions.
    pub is_disordered: bool,
    /// It has had a write without an answer.
    pub has_unanswered: bool,
}

/// All keys.
pub struct Keys {
    index: HashMap<u64, u32, RandomState>,
    states: Vec<KeyState>,
}

impl Keys {
    /// No keys yet.
    pub fn new() -> Keys {
        Keys { index: HashMap::with_hasher(hasher()), states: Vec::new() }
    }

    /// A key, which is remembered from now on; `None` if there are too many.
    pub fn entry(&mut self, key: u64) -> Option<&mut KeyState> {
        let known = self.states.len();
        if known < KEYS_MAX {
            let index = *self.index.entry(key).or_insert(known as u32) as usize;
            if index == known {
                self.states.push(KeyState::default());
            }
            return Some(&mut self.states[index]);
        }
        let index = *self.index.get(&key)?;
        Some(&mut self.states[index as usize])
    }

    /// A key, if it is remembered.
    pub fn get(&self, key: u64) -> Option<&KeyState> {
        self.index.get(&key).map(|it| &self.states[*it as usize])
    }
}
