//! The window: the writes that hosted replicas have still to take, decoded.

use super::backlog::Backlog;
use crate::base::limits::TAKE_BYTES_MAX;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use bytes::Bytes;
use std::collections::VecDeque;

/// A write as hosted replicas see it. Records with the same `end` belong to one atomic write.
#[derive(Clone, Debug)]
pub struct Record<S> {
    /// Where the write ends in the stream.
    pub end: Offset,
    /// When it was appended.
    pub at: MonoUs,
    /// Its database.
    pub db: u8,
    /// What a replica does.
    pub what: What<S>,
}

/// What a hosted replica does with a record.
#[derive(Clone, Debug)]
pub enum What<S> {
    /// Stores this entry, which the master shares.
    ApplyShared(S),
    /// Runs the command that stands in the stream from `from` to `to`, which may take long.
    Repeat { from: Offset, to: Offset, is_long: bool },
    /// Nothing: the stream's own words.
    Pass,
}

/// A record taken from the log, ready to be applied.
#[derive(Clone)]
pub struct PendingRecord<S> {
    /// Where the write ends in the stream.
    pub end: Offset,
    /// When it was appended.
    pub at: MonoUs,
    /// Its database.
    pub db: usize,
    /// The entry to store, or the encoded command to run; neither for the stream's own words.
    pub what: Result<S, Bytes>,
    /// It may take long.
    pub is_long: bool,
}

/// The records of all writes that end after [`Window::start`].
pub struct Window<S> {
    records: VecDeque<Record<S>>,
    start: Offset,
}

impl<S: Clone> Window<S> {
    /// No records yet; the first one will be of the write after `start`.
    pub fn new(start: Offset) -> Window<S> {
        Window { records: VecDeque::new(), start }
    }

    /// A replica that has taken everything up to here, or further, can go on.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds a record of a write that is being appended. Its end is not known yet.
    #[inline]
    pub fn push(&mut self, at: MonoUs, db: usize, what: What<S>) {
        self.records.push_back(Record { end: Offset::ZERO, at, db: db as u8, what });
    }

    /// The records from number `first` on are one write, which ends at `end`.
    #[inline]
    pub fn close(&mut self, first: usize, end: Offset) {
        for at in first..self.records.len() {
            self.records[at].end = end;
        }
    }

    /// Takes whole writes after `sent` until there are `most` records or more in `due`, or as many
    /// bytes as one take may be of, or none left. Answers where the last one taken ends.
    pub fn take(
        &self,
        sent: Offset,
        most: usize,
        backlog: &mut Backlog,
        due: &mut VecDeque<PendingRecord<S>>,
    ) -> Offset {
        let (mut at, mut index) = (sent, self.index_after(sent));
        let until = sent.after(TAKE_BYTES_MAX);
        while let Some(record) = self.records.get(index) {
            if record.end != at && (most <= due.len() || until <= at) {
                break;
            }
            let (what, is_long) = match &record.what {
                What::ApplyShared(entry) => (Ok(entry.clone()), false),
                What::Repeat { from, to, is_long } => (Err(backlog.read(*from, *to)), *is_long),
                What::Pass => (Err(Bytes::new()), false),
            };
            due.push_back(PendingRecord {
                end: record.end,
                at: record.at,
                db: record.db.into(),
                what,
                is_long,
            });
            at = record.end;
            index += 1;
        }
        at
    }

    /// When the first write after `sent` was appended, if there is one.
    pub fn oldest_after(&self, sent: Offset) -> Option<MonoUs> {
        self.records.get(self.index_after(sent)).map(|it| it.at)
    }

    /// Forgets the writes that end at or before `keep_from`.
    pub fn forget(&mut self, keep_from: Offset) {
        self.start = self.start.max(keep_from);
        match self.index_after(keep_from) {
            0 => {}
            taken if taken == self.records.len() => self.records.clear(),
            taken => drop(self.records.drain(..taken)),
        }
    }

    /// Number of the first record of a write that ends after `offset`. Replicas mostly have taken
    /// everything, or nothing that is still here.
    #[inline]
    fn index_after(&self, offset: Offset) -> usize {
        if self.records.front().is_none_or(|it| offset < it.end) {
            return 0;
        }
        if self.records.back().is_none_or(|it| it.end <= offset) {
            return self.records.len();
        }
        self.records.partition_point(|it| it.end <= offset)
    }
}
