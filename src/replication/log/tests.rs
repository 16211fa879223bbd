//! The log by its promises, wherever its stream starts.

use super::*;
use crate::base::position::ReplId;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const NOW: MonoUs = MonoUs(1);
const REPLID: ReplId = ReplId::new([1; 20]);
/// A log starts at its first byte, behind it, or far away.
const STARTS: [u64; 3] = [0, 1, 1 << 62];

fn log_at(start: u64, feed_bytes_max: usize) -> Log<u32> {
    let history = ReplicationHistory::new(REPLID);
    Log::new(history, Offset::new(start), 1 << 20, feed_bytes_max)
}

fn online(log: &mut Log<u32>, kind: FollowerKind) -> FollowerId {
    let id = log.add_follower(kind, "follower".into());
    let end = Position { replid: log.history().replid, offset: log.head() };
    assert!(log.resume(id, end));
    id
}

fn is_online(log: &Log<u32>, id: FollowerId) -> bool {
    log.follower(id).state.is_online()
}

fn propagate(log: &mut Log<u32>, db: usize, commands: &[(&str, &[u32])]) -> Offset {
    let mut entry = log.write(commands.len(), NOW);
    for (words, shared) in commands {
        entry.propagate(db, words.as_bytes(), shared.iter().copied());
    }
    entry.close()
}

/// Takes all there is, having applied all that was taken before.
fn taken(log: &mut Log<u32>, id: FollowerId) -> Vec<String> {
    let mut due = VecDeque::new();
    let applied = log.follower(id).state.next().unwrap_or(log.head());
    log.take(id, applied, usize::MAX, &mut due);
    let text = |it: PendingRecord<u32>| match it.what {
        Ok(entry) => format!("{}@{} shared {entry}", it.db, it.end),
        Err(words) => format!("{}@{} {}", it.db, it.end, String::from_utf8_lossy(&words)),
    };
    due.into_iter().map(text).collect()
}

fn stream(log: &mut Log<u32>) -> String {
    let (from, len) = log.backlog();
    let bytes = log.stream_from(from).expect("what is kept").concat();
    assert_eq!(bytes.len() as u64, len);
    String::from_utf8_lossy(&bytes).replace("\r\n", " ")
}

fn select(db: usize) -> String {
    format!("*2 $6 SELECT $1 {db} ")
}

#[test]
fn the_stream_is_what_a_redis_replica_would_receive() {
    for start in STARTS {
        let mut log = log_at(start, 1 << 20);
        online(&mut log, FollowerKind::Hosted);
        propagate(&mut log, 0, &[("A", &[])]);
        propagate(&mut log, 0, &[("B", &[7])]);
        propagate(&mut log, 3, &[("C", &[]), ("D", &[])]);
        log.ping(NOW);
        let wanted = format!("{}AB{}*1 $5 MULTI CD*1 $4 EXEC *1 $4 PING ", select(0), select(3));
        assert_eq!((stream(&mut log), log.backlog().0), (wanted, Offset::new(start)));
    }
}

#[test]
fn without_a_follower_only_the_offset_moves() {
    for start in STARTS {
        let mut log = log_at(start, 1 << 20);
        let end = propagate(&mut log, 0, &[("A", &[7])]);
        assert_eq!((log.head(), log.backlog()), (end, (end, 0)));
        assert_eq!((log.window.len(), log.backlog.len()), (0, 0));
        assert_eq!(log.stream_from(Offset::new(start)), None);
        online(&mut log, FollowerKind::Wire);
        propagate(&mut log, 0, &[("B", &[7])]);
        assert_eq!(stream(&mut log), format!("{}B", select(0)), "it may not know the database");
        assert_eq!(log.window.len(), 0, "nobody takes records");
    }
}

#[test]
fn a_hosted_replica_takes_each_write_once_and_whole() {
    for start in STARTS {
        let mut log = log_at(start, 1 << 20);
        let id = online(&mut log, FollowerKind::Hosted);
        let one = propagate(&mut log, 0, &[("A", &[])]);
        let two = propagate(&mut log, 1, &[("BB", &[7, 8]), ("C", &[])]);
        let mut due = VecDeque::new();
        log.take(id, Offset::new(start), 2, &mut due);
        assert_eq!(due.len(), 4, "a write is not split");
        assert!(due.range(1..).all(|it| it.end == two) && due[0].end == one);
        assert!(taken(&mut log, id).is_empty());
        assert_eq!(log.waiting_since(id), None);
        propagate(&mut log, 1, &[("D", &[])]);
        assert_eq!(log.waiting_since(id), Some(NOW));
        assert_eq!(taken(&mut log, id), [format!("1@{} D", log.head())]);
    }
}

#[test]
fn a_write_of_nothing_leaves_nothing_behind() {
    let mut log = log_at(5, 1 << 20);
    let id = online(&mut log, FollowerKind::Hosted);
    assert_eq!(log.write(0, NOW).close(), Offset::new(5));
    assert!(taken(&mut log, id).is_empty() && log.window.len() == 0);
}

#[test]
fn a_follower_past_its_bound_is_disconnected_and_the_others_go_on() {
    for start in STARTS {
        let mut log = log_at(start, 300_000);
        let [slow, quick] = [(); 2].map(|()| online(&mut log, FollowerKind::Hosted));
        let words = "x".repeat(1000);
        for _ in 0..1000 {
            propagate(&mut log, 0, &[(&words, &[])]);
            assert_eq!(taken(&mut log, quick).len(), 1);
        }
        assert!(!is_online(&log, slow) && is_online(&log, quick) && log.has_over_bound());
        assert_eq!((log.take_over_bound(), log.has_over_bound()), (vec![slow], false));
        assert_eq!(log.window.len(), 0, "nothing is kept for one that is disconnected");
        assert!(taken(&mut log, slow).is_empty());
        log.handshake(slow);
        assert!(log.full_resync_like(slow, quick));
        let end = propagate(&mut log, 0, &[("A", &[])]);
        assert!(taken(&mut log, slow).is_empty(), "it has no copy yet");
        log.online(slow, Offset::new(start));
        assert_eq!(taken(&mut log, slow), [format!("0@{end} A")]);
    }
}

#[test]
fn the_backlog_keeps_about_as_much_as_it_should() {
    let mut log = log_at(7, 1 << 20);
    log.set_backlog_bytes(200_000);
    let id = online(&mut log, FollowerKind::Hosted);
    let words = "x".repeat(1000);
    for _ in 0..2000 {
        propagate(&mut log, 0, &[(&words, &[])]);
        taken(&mut log, id);
    }
    let (_, len) = log.backlog();
    assert!((200_000..400_000).contains(&len), "{len}");
}

#[test]
fn a_hosted_replica_takes_no_more_bytes_at_a_time_than_it_may_hold() {
    let mut log = log_at(0, usize::MAX);
    let id = online(&mut log, FollowerKind::Hosted);
    let words = "x".repeat(crate::base::limits::TAKE_BYTES_MAX / 2);
    for _ in 0..5 {
        propagate(&mut log, 0, &[(&words, &[])]);
    }
    assert_eq!([(); 4].map(|()| taken(&mut log, id).len()), [2, 2, 1, 0]);
}

#[test]
fn a_replica_on_the_wire_resumes_where_the_backlog_and_the_history_reach() {
    let mut log = log_at(100, 1 << 20);
    online(&mut log, FollowerKind::Wire);
    let one = propagate(&mut log, 0, &[("A", &[])]);
    propagate(&mut log, 0, &[("B", &[])]);
    let shared = log.head();
    let after = log.history().promoted(ReplId::new([2; 20]), shared);
    log.begin_history(after);
    propagate(&mut log, 0, &[("C", &[])]);
    let mut resumed = |replid, offset| {
        let id = log.add_follower(FollowerKind::Wire, "peer".into());
        log.resume(id, Position { replid, offset }).then(|| {
            let chunk = log.next_chunk(id, usize::MAX);
            String::from_utf8_lossy(&chunk).replace("\r\n", " ")
        })
    };
    let rest = format!("B{}C", select(0));
    assert_eq!(resumed(REPLID, one), Some(rest), "of the history before");
    assert_eq!(resumed(REPLID, shared.after(1)), None, "what a failover cut off");
    assert_eq!(resumed(ReplId::new([9; 20]), one), None, "of a history nobody knows");
    assert_eq!(resumed(REPLID, Offset::new(99)), None, "before the backlog");
    assert_eq!(resumed(ReplId::new([2; 20]), Offset::new(1 << 40)), None, "not there yet");
}

#[derive(Clone, Debug)]
enum Deed {
    Write { len: usize, commands: usize, is_shared: bool },
    Take { who: usize, most: usize },
    Chunk { most: usize },
    Ack { mille: u64 },
    Bound { bytes: usize },
    Disconnect { who: usize },
    Resync { who: usize, like: usize },
    Online { who: usize },
    LeaveAndJoin,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let write = |len: std::ops::Range<usize>| {
        (len, 1..4usize, any::<bool>()).prop_map(|(len, commands, is_shared)| Deed::Write {
            len,
            commands,
            is_shared,
        })
    };
    let who = 0..2usize;
    let deed = prop_oneof![
        12 => write(1..200),
        4 => write(1000..40_000),
        1 => write(200_000..400_000),
        8 => (who.clone(), 1..20usize).prop_map(|(who, most)| Deed::Take { who, most }),
        6 => (1..100_000usize).prop_map(|most| Deed::Chunk { most }),
        3 => (0..1001u64).prop_map(|mille| Deed::Ack { mille }),
        1 => (50_000..300_000usize).prop_map(|bytes| Deed::Bound { bytes }),
        1 => who.clone().prop_map(|who| Deed::Disconnect { who }),
        2 => (who.clone(), who.clone()).prop_map(|(who, like)| Deed::Resync { who, like }),
        3 => who.prop_map(|who| Deed::Online { who }),
        1 => Just(Deed::LeaveAndJoin),
    ];
    prop::collection::vec(deed, 1..150)
}

/// A log with two hosted followers and one on the wire, beside the whole stream that it has made.
struct Pair {
    log: Log<u32>,
    start: Offset,
    stream: Vec<u8>,
    /// Where each write ends, and how many records it is of.
    writes: Vec<(Offset, usize)>,
    hosted: [FollowerId; 2],
    /// Where each hosted one has come, as far as it was told.
    at: [Offset; 2],
    wire: FollowerId,
    wire_at: Offset,
    max: usize,
}

impl Pair {
    fn new(start: u64) -> Pair {
        let mut log = log_at(start, 200_000);
        log.set_backlog_bytes(64 << 10);
        let hosted = [(); 2].map(|()| online(&mut log, FollowerKind::Hosted));
        let wire = online(&mut log, FollowerKind::Wire);
        let start = Offset::new(start);
        let (stream, writes, max) = (vec![], vec![], 200_000);
        Pair { log, start, stream, writes, hosted, at: [start; 2], wire, wire_at: start, max }
    }

    fn bytes(&self, from: Offset, to: Offset) -> &[u8] {
        &self.stream[from.since(self.start) as usize..to.since(self.start) as usize]
    }

    fn write(&mut self, len: usize, commands: usize, is_shared: bool) -> TestCaseResult {
        let before = self.log.head();
        let had_all = self.hosted.map(|it| self.log.follower(it).state.next() == Some(before));
        let mut entry = self.log.write(commands, NOW);
        for at in 0..commands {
            let words = vec![b'a' + (self.writes.len() + at) as u8 % 26; len];
            let shared: &[u32] = if is_shared { &[1, 2] } else { &[] };
            entry.propagate(at % 2, &words, shared.iter().copied());
        }
        let end = entry.close();
        let written = self.log.stream_from(before).expect("the one on the wire has yet to get it");
        self.stream.extend(written.concat());
        self.writes.push((end, if is_shared { 2 * commands } else { commands }));
        for (id, had_all) in self.hosted.into_iter().zip(had_all) {
            prop_assert!(!had_all || self.log.follower(id).state.is_fed(), "it had all before");
        }
        Ok(())
    }

    fn take(&mut self, who: usize, most: usize) -> TestCaseResult {
        let mut due = VecDeque::new();
        let (from, was_online) = (self.at[who], is_online(&self.log, self.hosted[who]));
        self.log.take(self.hosted[who], from, most, &mut due);
        let end = due.back().map_or(from, |it| it.end);
        prop_assert!(was_online || due.is_empty());
        let wanted = self.writes.iter().filter(|it| from < it.0 && it.0 <= end);
        let ends = due.iter().map(|it| it.end);
        let wanted = wanted.flat_map(|(end, count)| std::iter::repeat_n(*end, *count));
        prop_assert!(ends.eq(wanted), "each write once, in order and whole");
        let mut seen = self.bytes(from, end);
        for record in &due {
            if let Err(words) = &record.what {
                let found = seen.windows(words.len()).position(|it| it == words);
                prop_assert!(found.is_some(), "what the stream says");
                seen = &seen[found.unwrap() + words.len()..];
            }
        }
        let lacks = self.writes.iter().any(|it| from < it.0);
        prop_assert!(!was_online || !due.is_empty() || !lacks);
        self.at[who] = end;
        Ok(())
    }

    fn resync(&mut self, who: usize, like: usize) {
        let id = self.hosted[who];
        let state = self.log.follower(id).state;
        if state.is_fed() {
            return;
        }
        self.log.handshake(id);
        let other = self.hosted[like];
        if who == like || !self.log.full_resync_like(id, other) {
            self.log.full_resync(id);
        }
        self.at[who] = self.log.follower(id).state.next().unwrap();
    }

    fn do_one(&mut self, deed: Deed) -> TestCaseResult {
        match deed {
            Deed::Write { len, commands, is_shared } => self.write(len, commands, is_shared)?,
            Deed::Take { who, most } => self.take(who, most)?,
            Deed::Chunk { most } => {
                let chunk = self.log.next_chunk(self.wire, most);
                let to = self.wire_at.after(chunk.len());
                prop_assert!(*chunk == *self.bytes(self.wire_at, to));
                let has_all = self.wire_at == self.log.head() || !is_online(&self.log, self.wire);
                prop_assert_eq!(chunk.is_empty(), has_all);
                self.wire_at = to;
            }
            Deed::Ack { mille } => {
                let acked =
                    self.start.after((self.wire_at.since(self.start) * mille / 1000) as usize);
                let is_fed = is_online(&self.log, self.wire);
                prop_assert_eq!(self.log.ack(self.wire, acked, NOW).is_ok(), is_fed);
            }
            Deed::Bound { bytes } => {
                self.log.set_feed_bytes_max(bytes);
                self.max = bytes;
            }
            Deed::Disconnect { who } => {
                self.log.disconnect(self.hosted[who], DisconnectReason::NotApplicable);
            }
            Deed::Resync { who, like } => self.resync(who, like),
            Deed::Online { who } => {
                let state = self.log.follower(self.hosted[who]).state;
                if let FollowerState::FullResync { at } = state {
                    self.log.online(self.hosted[who], at);
                }
            }
            Deed::LeaveAndJoin => {
                self.log.remove_follower(self.wire);
                self.wire = online(&mut self.log, FollowerKind::Wire);
                self.wire_at = self.log.head();
            }
        }
        self.log.take_over_bound();
        self.check()
    }

    fn check(&self) -> TestCaseResult {
        prop_assert_eq!(self.log.head().since(self.start), self.stream.len() as u64);
        let longest = 3 * 400_000 + 200;
        let fed = self.hosted.iter().filter_map(|it| self.log.follower(*it).state.next());
        for next in fed.clone() {
            let waits = self.log.head().since(next) as usize;
            prop_assert!(waits <= self.max + longest + (128 << 10), "{} wait", waits);
        }
        let kept_from = fed.min().unwrap_or(self.log.head());
        let needed = self.writes.iter().filter(|it| kept_from < it.0).map(|it| it.1).sum::<usize>();
        prop_assert_eq!(self.log.window.len(), needed, "what somebody still takes");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_follower_gets_the_whole_stream_wherever_it_starts(
        start in prop_oneof![Just(0), 0..u64::MAX / 2],
        deeds in deeds(),
    ) {
        let mut pair = Pair::new(start);
        for deed in deeds {
            pair.do_one(deed)?;
        }
    }
}

#[test]
fn another_masters_stream_is_repeated_byte_for_byte() {
    let mut log = log_at(100, 1 << 20);
    let id = online(&mut log, FollowerKind::Hosted);
    let before = log.head();
    let words = ["*1 $5 MULTI ", "*3 $3 SET $1 a $1 1 ", "*2 $3 DEL $1 b ", "*1 $4 EXEC "];
    let mut write = log.repeat(NOW);
    write.pass(words[0].as_bytes());
    write.command(5, words[1].as_bytes(), [7].into_iter());
    write.command(6, words[2].as_bytes(), [].into_iter());
    write.pass(words[3].as_bytes());
    let end = write.close(6);
    assert_eq!(end, before.after(words.concat().len()));
    assert_eq!(stream(&mut log), words.concat(), "nothing is added");
    assert_eq!(log.repeated_db(), Some(6));
    let expected = [format!("5@{end} shared 7"), format!("6@{end} {}", words[2])];
    assert_eq!(taken(&mut log, id), expected, "one write");
    let mut write = log.repeat(NOW);
    write.pass(b"*1 $4 PING ");
    let end = write.close(6);
    assert_eq!(taken(&mut log, id), [format!("0@{end} ")]);
}

#[test]
fn a_log_that_was_replaced_feeds_nobody_and_keeps_nothing_of_before() {
    let mut log = log_at(100, 1 << 20);
    let (hosted, wire) = (FollowerKind::Hosted, FollowerKind::Wire);
    let ids = [hosted, wire].map(|it| online(&mut log, it));
    propagate(&mut log, 0, &[("SET ", &[1])]);
    let other = ReplId::new([2; 20]);
    let old = Position { replid: REPLID, offset: log.head() };
    let history = log.history().replaced(other);
    log.replace(history, Offset::new(5), 3);
    let why = DisconnectReason::Replaced;
    for id in ids {
        assert_eq!(log.follower(id).state, FollowerState::Disconnected { why });
        log.handshake(id);
        assert!(!log.resume(id, old), "it must have a full resync");
        log.full_resync(id);
        log.online(id, Offset::new(5));
    }
    assert_eq!((log.head(), log.backlog()), (Offset::new(5), (Offset::new(5), 0)));
    let mut write = log.repeat(NOW);
    write.command(3, b"DEL ", [].into_iter());
    let end = write.close(3);
    assert_eq!(taken(&mut log, ids[0]), [format!("3@{end} DEL ")]);
    assert_eq!(log.next_chunk(ids[1], 100), "DEL ");
}

#[test]
fn who_has_nothing_of_a_history_that_was_replaced_cannot_go_on() {
    let (old, new) = (ReplId::new([1; 20]), ReplId::new([2; 20]));
    let mut log: Log<u8> = Log::new(ReplicationHistory::new(old), Offset::ZERO, 1 << 20, 1 << 20);
    let id = log.add_follower(FollowerKind::Wire, "peer".into());
    let history = log.history().replaced(new);
    log.replace(history, Offset::ZERO, 0);
    let nothing = Position { replid: old, offset: Offset::ZERO };
    assert!(!log.resume(id, nothing), "the data that took its place is not in the stream");
    assert!(log.resume(id, Position { replid: new, offset: Offset::ZERO }));
}

#[test]
fn nobody_goes_on_at_the_beginning_of_a_history_that_was_replaced() {
    let mut log = log_at(0, 1 << 20);
    let id = log.add_follower(FollowerKind::Wire, "follower".into());
    let before = Position { replid: REPLID, offset: Offset::ZERO };
    // The other master's data stands at the same number, and is none of what the follower has.
    let history = log.history().replaced(ReplId::new([2; 20]));
    log.replace(history, Offset::ZERO, 0);
    assert!(!log.resume(id, before));
    let after = Position { replid: log.history().replid, offset: Offset::ZERO };
    assert!(log.resume(id, after));
}

#[test]
fn a_follower_is_of_a_kind_and_lives_from_when_it_was_heard() {
    let mut log = log_at(5, 1 << 20);
    online(&mut log, FollowerKind::Hosted);
    assert!(!log.has_followers_on_wire());
    let id = online(&mut log, FollowerKind::Wire);
    assert!(log.has_followers_on_wire());
    log.heard(id, MonoUs(9));
    assert_eq!(log.follower(id).heard_at, MonoUs(9));
    log.remove_follower(id);
    assert!(!log.has_followers_on_wire());
}

#[test]
fn only_who_reads_the_streams_bytes_must_be_told_the_database_again_after_its_copy() {
    for kind in [FollowerKind::Hosted, FollowerKind::Wire, FollowerKind::AppendOnlyFile] {
        let mut log = log_at(0, 1 << 20);
        for kind in [FollowerKind::Wire, FollowerKind::Hosted] {
            online(&mut log, kind);
        }
        propagate(&mut log, 0, &[("A", &[7])]);
        // It came when the database was selected already.
        let id = log.add_follower(kind, "new".into());
        log.selected = Some(0);
        log.full_resync(id);
        propagate(&mut log, 0, &[("B", &[7])]);
        let between = if kind == FollowerKind::Hosted { String::new() } else { select(0) };
        assert_eq!(stream(&mut log), format!("{}A{between}B", select(0)), "{kind:?}");
    }
}

#[test]
fn a_hosted_replica_goes_on_only_where_records_are_kept() {
    let mut log = log_at(100, 1 << 20);
    let first = online(&mut log, FollowerKind::Hosted);
    propagate(&mut log, 0, &[("A", &[7])]);
    let start = log.head();
    assert_eq!(taken(&mut log, first).len(), 1);
    assert!(taken(&mut log, first).is_empty(), "it has applied that, nobody needs the record");
    propagate(&mut log, 0, &[("B", &[7])]);
    for (offset, is_kept) in
        [(Offset::new(100), false), (start, true), (log.head(), true), (log.head().after(1), false)]
    {
        let id = log.add_follower(FollowerKind::Hosted, "new".into());
        assert_eq!(log.full_resync_from(id, offset), is_kept, "{offset}");
        log.remove_follower(id);
    }
}

#[test]
fn a_long_command_stands_in_the_stream_like_any_other() {
    let mut log = log_at(100, 1 << 20);
    let id = online(&mut log, FollowerKind::Hosted);
    let mut entry = log.write(1, NOW);
    entry.propagate_owned(3, ["SET a ", "long"].map(Bytes::from), [7].into_iter());
    let end = entry.close();
    assert_eq!(stream(&mut log), format!("{}SET a long", select(3)));
    assert_eq!(taken(&mut log, id), [format!("3@{end} shared 7")]);
}

#[test]
fn a_log_that_nobody_follows_keeps_its_bytes_once_it_is_asked_to() {
    let mut log = log_at(100, 1 << 20);
    propagate(&mut log, 0, &[("A", &[7])]);
    let start = log.head();
    log.keep();
    propagate(&mut log, 0, &[("B", &[7])]);
    assert_eq!(log.backlog().0, start);
    let kept = stream(&mut log);
    assert!(kept.ends_with('B') && !kept.contains('A'), "{kept}");
    log.keep();
    assert_eq!(stream(&mut log), kept, "it does already");
}
