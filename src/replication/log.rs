//! The log: the stream's bytes, the same writes as records for hosted feeds, and a cursor per feed.

use super::blocks::Blocks;
use crate::base::position::{Offset, ReplicationHistory};
use crate::base::time::MonoUs;
use bytes::Bytes;
use std::collections::VecDeque;

/// A write as hosted feeds see it. Records with the same `end` belong to one atomic write.
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
    /// Runs the command that stands in the stream from `from` to `to`.
    Repeat { from: Offset, to: Offset },
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
}

/// A feed's place in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedId(usize);

/// Where a hosted replica reads.
///
/// ```text
///   attach ──▶ Streaming ──(past the bound)──▶ Cut ──attach──▶ Streaming
/// ```
#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// The next record it has not taken, by number, and where the one before it ended.
    Streaming { next: u64, at: Offset },
    /// It fell too far behind, or is not a replica now: it must be synced anew.
    Cut,
}

/// The stream of one set.
pub struct Log<S> {
    history: ReplicationHistory,
    head: Offset,
    selected: Option<usize>,
    blocks: Blocks,
    records: VecDeque<Record<S>>,
    /// Number of the first record in `records`.
    first: u64,
    feeds: Vec<Cursor>,
    backlog_bytes: usize,
    feed_bytes_max: usize,
    /// A feed has been cut since anybody asked.
    has_cut: bool,
}

impl<S: Clone> Log<S> {
    /// An empty stream. `backlog_bytes` are kept for partial resyncs; a feed that falls further
    /// behind than `feed_bytes_max` is cut.
    pub fn new(history: ReplicationHistory, backlog_bytes: usize, feed_bytes_max: usize) -> Log<S> {
        Log {
            history,
            head: Offset::ZERO,
            selected: None,
            blocks: Blocks::new(Offset::ZERO),
            records: VecDeque::new(),
            first: 0,
            feeds: Vec::new(),
            backlog_bytes,
            feed_bytes_max,
            has_cut: false,
        }
    }

    /// The end of the stream.
    pub fn head(&self) -> Offset {
        self.head
    }

    /// The stream's history and those before it.
    pub fn history(&self) -> &ReplicationHistory {
        &self.history
    }

    /// Begins a new history at the head: a promotion.
    pub fn begin_history(&mut self, history: ReplicationHistory) {
        self.history = history;
        self.selected = None;
    }

    /// First byte and number of bytes of the backlog.
    pub fn backlog(&self) -> (Offset, u64) {
        (self.blocks.start(), self.blocks.len())
    }

    /// Changes `repl-backlog-size`.
    pub fn set_backlog_bytes(&mut self, bytes: usize) {
        self.backlog_bytes = bytes;
        self.look_after_bounds();
    }

    /// Changes how far a feed may fall behind.
    pub fn set_feed_bytes_max(&mut self, bytes: usize) {
        self.feed_bytes_max = bytes;
        self.look_after_bounds();
    }

    /// A place for one more feed, which is cut until it is attached. Bytes are kept from the first
    /// feed on; before that only the offset moves.
    pub fn open_feed(&mut self) -> FeedId {
        if self.feeds.is_empty() {
            self.blocks = Blocks::new(self.head);
            self.selected = None;
        }
        self.feeds.push(Cursor::Cut);
        FeedId(self.feeds.len() - 1)
    }

    /// The feed goes on from the head.
    pub fn attach(&mut self, feed: FeedId) {
        let next = self.first + self.records.len() as u64;
        self.feeds[feed.0] = Cursor::Streaming { next, at: self.head };
    }

    /// The feed goes on from where `other` is. Answers whether there is such a place: `other` is
    /// not cut.
    pub fn attach_like(&mut self, feed: FeedId, other: FeedId) -> bool {
        self.feeds[feed.0] = self.feeds[other.0];
        !self.is_cut(feed)
    }

    /// The feed reads no more.
    pub fn detach(&mut self, feed: FeedId) {
        self.feeds[feed.0] = Cursor::Cut;
        self.look_after_bounds();
    }

    /// Whether the feed must be synced anew before it can read.
    pub fn is_cut(&self, feed: FeedId) -> bool {
        matches!(self.feeds[feed.0], Cursor::Cut)
    }

    /// Whether a feed has been cut since the last time this was asked.
    pub fn take_news_of_cuts(&mut self) -> bool {
        std::mem::take(&mut self.has_cut)
    }

    /// The stream's bytes from `from` on; `None` when they are not all kept.
    pub fn stream_from(&mut self, from: Offset) -> Option<Vec<u8>> {
        (self.blocks.start() <= from && from <= self.head).then(|| self.blocks.copy_from(from))
    }

    /// When the first write was appended that this feed has not taken; `None` when it has taken
    /// all.
    pub fn waiting_since(&self, feed: FeedId) -> Option<MonoUs> {
        let Cursor::Streaming { next, .. } = self.feeds[feed.0] else { return None };
        self.records.get((next - self.first) as usize).map(|it| it.at)
    }

    /// Takes whole writes for a feed until there are `most` records or more, or none left.
    pub fn take(&mut self, feed: FeedId, most: usize, due: &mut VecDeque<PendingRecord<S>>) {
        let Cursor::Streaming { mut next, mut at } = self.feeds[feed.0] else { return };
        let mut index = (next - self.first) as usize;
        while let Some(record) = self.records.get(index) {
            if most <= due.len() && record.end != at {
                break;
            }
            let what = match &record.what {
                What::ApplyShared(entry) => Ok(entry.clone()),
                What::Repeat { from, to } => Err(self.blocks.read(*from, *to)),
                What::Pass => Err(Bytes::new()),
            };
            due.push_back(PendingRecord {
                end: record.end,
                at: record.at,
                db: record.db.into(),
                what,
            });
            at = record.end;
            index += 1;
        }
        next = self.first + index as u64;
        self.feeds[feed.0] = Cursor::Streaming { next, at };
        self.forget_taken();
    }

    /// Begins a write of `commands` commands; more than one stand between MULTI and EXEC.
    pub fn write(&mut self, commands: usize, at: MonoUs) -> Entry<'_, S> {
        let is_fed = self.feeds.iter().any(|it| matches!(it, Cursor::Streaming { .. }));
        let first_record = self.records.len();
        let wrap = Wrap::of(commands);
        Entry { log: self, at, is_fed, first_record, wrap, rolled_over: false }
    }

    /// The heartbeat that lets a replica tell silence from a dead link.
    pub fn ping(&mut self, at: MonoUs) {
        self.own_words(b"*1\r\n$4\r\nPING\r\n", at);
    }

    fn own_words(&mut self, words: &[u8], at: MonoUs) {
        let mut entry = self.write(1, at);
        entry.append(words);
        entry.close();
    }

    fn forget_taken(&mut self) {
        let newest = self.first + self.records.len() as u64;
        let next = |it: &Cursor| match it {
            Cursor::Streaming { next, .. } => *next,
            Cursor::Cut => newest,
        };
        let keep_from = self.feeds.iter().map(next).min().unwrap_or(newest);
        let taken = (keep_from - self.first) as usize;
        self.records.drain(..taken);
        self.first = keep_from;
    }

    fn look_after_bounds(&mut self) {
        let mut keep_from = Offset::new(self.head.since(Offset::new(self.backlog_bytes as u64)));
        for feed in &mut self.feeds {
            let Cursor::Streaming { at, .. } = *feed else { continue };
            if (self.feed_bytes_max as u64) < self.head.since(at) {
                *feed = Cursor::Cut;
                self.has_cut = true;
            } else {
                keep_from = keep_from.min(at);
            }
        }
        self.forget_taken();
        self.blocks.trim(keep_from);
    }
}

/// Whether a write's commands need MULTI and EXEC around them, and how far that has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrap {
    Single,
    Unopened,
    Opened,
}

impl Wrap {
    fn of(commands: usize) -> Wrap {
        if commands <= 1 { Wrap::Single } else { Wrap::Unopened }
    }
}

/// A write being appended. Nothing of it is visible to feeds before [`Entry::close`].
pub struct Entry<'l, S> {
    log: &'l mut Log<S>,
    at: MonoUs,
    is_fed: bool,
    first_record: usize,
    wrap: Wrap,
    /// A block was filled: the time to look after bounds.
    rolled_over: bool,
}

impl<S: Clone> Entry<'_, S> {
    /// Appends one encoded command. `shared` are the entries that are its whole effect; without
    /// any, hosted replicas run the command.
    pub fn propagate(&mut self, db: usize, words: &[u8], shared: impl ExactSizeIterator<Item = S>) {
        self.select(db);
        let from = self.append(words);
        if !self.is_fed {
            return;
        }
        let (at, db) = (self.at, db as u8);
        let record = |what| Record { end: Offset::ZERO, at, db, what };
        if shared.len() == 0 {
            let to = from.after(words.len());
            self.log.records.push_back(record(What::Repeat { from, to }));
        }
        self.log.records.extend(shared.map(|it| record(What::ApplyShared(it))));
    }

    /// Ends the write. Answers where the stream ends now.
    pub fn close(mut self) -> Offset {
        if self.wrap == Wrap::Opened {
            self.append(b"*1\r\n$4\r\nEXEC\r\n");
        }
        let end = self.log.head;
        if self.is_fed && self.first_record == self.log.records.len() {
            self.log.records.push_back(Record { end, at: self.at, db: 0, what: What::Pass });
        }
        for record in self.log.records.range_mut(self.first_record..) {
            record.end = end;
        }
        if self.rolled_over {
            self.log.look_after_bounds();
        }
        end
    }

    fn select(&mut self, db: usize) {
        if self.log.selected != Some(db) {
            let mut words = Vec::with_capacity(32);
            let mut digits = itoa::Buffer::new();
            let args: [&[u8]; 2] = [b"SELECT", digits.format(db).as_bytes()];
            crate::resp::encode_command(&mut words, args.into_iter());
            self.append(&words);
            self.log.selected = Some(db);
        }
        if self.wrap == Wrap::Unopened {
            self.append(b"*1\r\n$5\r\nMULTI\r\n");
            self.wrap = Wrap::Opened;
        }
    }

    fn append(&mut self, words: &[u8]) -> Offset {
        let from = self.log.head;
        self.log.head = from.after(words.len());
        if !self.log.feeds.is_empty() {
            self.rolled_over |= self.log.blocks.append(words);
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::ReplId;

    const NOW: MonoUs = MonoUs(1);

    fn log(feed_bytes_max: usize) -> Log<u32> {
        Log::new(ReplicationHistory::new(ReplId::new([1; 20])), 1 << 20, feed_bytes_max)
    }

    fn propagate(log: &mut Log<u32>, db: usize, commands: &[(&str, &[u32])]) -> Offset {
        let mut entry = log.write(commands.len(), NOW);
        for (words, shared) in commands {
            entry.propagate(db, words.as_bytes(), shared.iter().copied());
        }
        entry.close()
    }

    fn taken(log: &mut Log<u32>, feed: FeedId) -> Vec<String> {
        let mut due = VecDeque::new();
        log.take(feed, usize::MAX, &mut due);
        let text = |it: PendingRecord<u32>| match it.what {
            Ok(entry) => format!("{}@{} adopt {entry}", it.db, it.end),
            Err(words) => format!("{}@{} {}", it.db, it.end, String::from_utf8_lossy(&words)),
        };
        due.into_iter().map(text).collect()
    }

    fn stream(log: &mut Log<u32>) -> String {
        let (from, len) = log.backlog();
        let mut text = String::new();
        let mut at = from;
        for (start, block) in &log.blocks.sealed_for_test() {
            assert_eq!(*start, at);
            at = at.after(block.len());
            text.push_str(&String::from_utf8_lossy(block));
        }
        assert_eq!(text.len() as u64, len);
        text.replace("\r\n", " ")
    }

    #[test]
    fn the_stream_is_what_a_redis_replica_would_receive() {
        let mut log = log(1 << 20);
        let feed = log.open_feed();
        log.attach(feed);
        propagate(&mut log, 0, &[("A", &[])]);
        propagate(&mut log, 0, &[("B", &[7])]);
        propagate(&mut log, 3, &[("C", &[]), ("D", &[])]);
        log.ping(NOW);
        let select = |db| format!("*2 $6 SELECT $1 {db} ");
        let wanted = format!("{}AB{}*1 $5 MULTI CD*1 $4 EXEC *1 $4 PING ", select(0), select(3));
        assert_eq!(stream(&mut log), wanted);
    }

    #[test]
    fn a_feed_takes_each_write_once_and_whole() {
        let mut log = log(1 << 20);
        let feed = log.open_feed();
        log.attach(feed);
        let one = propagate(&mut log, 0, &[("A", &[])]);
        let two = propagate(&mut log, 1, &[("BB", &[7, 8]), ("C", &[])]);
        let mut due = VecDeque::new();
        log.take(feed, 2, &mut due);
        assert_eq!(due.len(), 4, "a write is not split");
        assert!(due.range(1..).all(|it| it.end == two) && due[0].end == one);
        assert!(taken(&mut log, feed).is_empty());
        assert_eq!(log.waiting_since(feed), None);
        propagate(&mut log, 1, &[("D", &[])]);
        assert_eq!(log.waiting_since(feed), Some(NOW));
        assert_eq!(taken(&mut log, feed), [format!("1@{} D", log.head())]);
    }

    #[test]
    fn a_feed_past_its_bound_is_cut_and_the_others_go_on() {
        let mut log = log(300_000);
        let (slow, quick) = (log.open_feed(), log.open_feed());
        log.attach(slow);
        log.attach(quick);
        let words = "x".repeat(1000);
        for _ in 0..1000 {
            propagate(&mut log, 0, &[(&words, &[])]);
            assert_eq!(taken(&mut log, quick).len(), 1);
        }
        assert!(log.is_cut(slow) && !log.is_cut(quick));
        assert!(log.records.is_empty(), "nothing is kept for a feed that was cut");
        assert!(taken(&mut log, slow).is_empty());
        log.attach(slow);
        assert!(taken(&mut log, slow).is_empty());
        propagate(&mut log, 0, &[("A", &[])]);
        assert_eq!(taken(&mut log, slow).len(), 1);
    }

    #[test]
    fn the_backlog_keeps_about_as_much_as_it_should() {
        let mut log = log(1 << 20);
        log.set_backlog_bytes(200_000);
        let feed = log.open_feed();
        log.attach(feed);
        let words = "x".repeat(1000);
        for _ in 0..2000 {
            propagate(&mut log, 0, &[(&words, &[])]);
            taken(&mut log, feed);
        }
        let (_, len) = log.backlog();
        assert!((200_000..400_000).contains(&len), "{len}");
    }
}
