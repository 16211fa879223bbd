//! A read beside what is known of its key.

use super::event::{Event, ReadEvent, WriteEvent};
use super::keys::KeyState;
use super::recent::{Known, Recent};

/// One read that is being checked.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The read.
    pub read: ReadEvent,
    /// What is known of its key.
    pub key: &'a KeyState,
    /// The recent writes.
    pub recent: &'a Recent,
    /// Who wrote what was read.
    pub writer: Option<WriteEvent>,
    /// The version read has a place among the key's other versions. One without an answer has not:
    /// it may have happened after newer ones.
    is_ordered: bool,
    /// Its write has been seen, or forgotten since; or there was no value.
    is_settled: bool,
}

impl<'a> Reading<'a> {
    /// A read, with what is known of the version it saw.
    pub fn new(
        read: ReadEvent,
        key: &'a KeyState,
        recent: &'a Recent,
        known: Option<Known>,
    ) -> Reading<'a> {
        let (writer, is_ordered) = match known {
            Some(Known::Written(write)) => (Some(write), write.ended.is_some()),
            Some(Known::Forgotten) => (None, !key.has_unanswered),
            // Whether that write has an answer decides later.
            Some(Known::NotWritten) | None => (None, true),
        };
        let is_settled = !matches!(known, Some(Known::NotWritten));
        Reading { read, key, recent, writer, is_ordered, is_settled }
    }

    /// Whether the read certainly saw something older than this version. Where the write of what it
    /// saw has no answer yet this is not certain: that write may turn out to have none at all.
    pub fn certainly_misses(&self, version: u64) -> bool {
        self.is_settled && self.misses(version)
    }

    /// Whether the read saw something older than this version.
    pub fn misses(&self, version: u64) -> bool {
        self.is_ordered && self.read.version < Some(version)
    }

    /// The newest acknowledged write that ended before the read began, by any client.
    pub fn newest_acked(&self) -> Option<WriteEvent> {
        let acked = self.key.acked?;
        if acked.ended < self.read.began {
            return Some(acked.event(self.read.key, self.key.is_acked_confirmed));
        }
        self.recent.newest_ended(self.key, self.read.began, |_| true)
    }

    /// The newest confirmed write that ended before the read began.
    pub fn newest_confirmed(&self) -> Option<WriteEvent> {
        let confirmed = self.key.confirmed?;
        if confirmed.ended < self.read.began {
            return Some(confirmed.event(self.read.key, true));
        }
        self.recent.newest_ended(self.key, self.read.began, |it| it.is_confirmed)
    }

    /// The newest write of the key by this client that ended before `time`.
    pub fn newest_by(&self, client: u32, time: u64) -> Option<WriteEvent> {
        let acked = self.key.acked?;
        if acked.client == client && acked.ended < time {
            return Some(acked.event(self.read.key, self.key.is_acked_confirmed));
        }
        if acked.client != client && !self.key.has_several_writers {
            return None;
        }
        self.recent.newest_ended(self.key, time, |it| it.client == client)
    }

    /// The write of this version of the key, if it is remembered.
    pub fn write_of(&self, version: u64) -> Option<Event> {
        match self.recent.find(self.read.key, self.key, version) {
            Known::Written(write) => Some(Event::Write(write)),
            Known::NotWritten | Known::Forgotten => None,
        }
    }

    /// The read, and the write of what it saw.
    pub fn shown(&self) -> Vec<Event> {
        self.writer.map(Event::Write).into_iter().chain([Event::Read(self.read)]).collect()
    }
}
