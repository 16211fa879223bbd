//! A remote master's stream at the head of the set: what it says is done there, and appended to the
//! log byte for byte.

use super::master_guard::MasterGuard;
use super::member::{ApplyState, Hosted};
use super::remote_master::RemoteMaster;
use super::replica_set::ReplicaSet;
use crate::base::ids::MemberId;
use crate::base::limits::APPLY_US_MAX;
use crate::base::lowered::long_elements;
use crate::base::time::WallMs;
use crate::command::{Args, CallEnv, echo};
use crate::engine::verbs::{self, Found};
use crate::engine::{KeySlot, Work};
use crate::replication::{LinkFault, StreamBatch, StreamCommand, StreamWrite, WriteTime};
use crate::resp::Step;
use crate::runtime::clock;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Writes after which the clock is looked at.
const LOOK_EVERY: usize = 16;

/// How far a batch has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RepeatEnd {
    /// All of it is done.
    All,
    /// There is more, and others should have their turn first.
    Some,
    /// The next write takes long: it is done on a thread for that.
    Long,
    /// Somebody holds the head for long.
    Held,
    /// This hosted replica must catch up first.
    Behind(MemberId),
}

/// A batch of a remote master's stream at work.
pub struct Repeat<'b> {
    /// Whose stream it is.
    pub remote: &'b Arc<RemoteMaster>,
    /// What the places of the batch are of.
    pub bytes: &'b [u8],
    /// The batch.
    pub batch: &'b StreamBatch,
    /// How many of its writes are done.
    pub done: usize,
}

/// What a command of a write has come to: the entries that are its whole effect, if there are any.
#[derive(Clone)]
enum Did {
    /// Hosted replicas pass over it.
    Nothing,
    /// It stored these entries, and nothing else.
    Shared(Range<usize>),
    /// Hosted replicas run it.
    Changed,
}

/// Whether this is a message for subscribers, which changes no key.
pub fn is_message(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"PUBLISH") || name.eq_ignore_ascii_case(b"SPUBLISH")
}

impl ReplicaSet {
    /// Does the next writes of a batch. What was done before a fault stays done.
    pub fn repeat(&self, repeat: &mut Repeat<'_>) -> Result<RepeatEnd, LinkFault> {
        if let Some(behind) = self.far_behind() {
            return Ok(RepeatEnd::Behind(behind));
        }
        let member_list = self.member_list();
        let Some(mut guard) = self.write_unless_long(&member_list) else {
            return Ok(RepeatEnd::Held);
        };
        // Under the head's lock: a set that follows nobody any more takes nothing more.
        if !self.follows(repeat.remote) {
            return Err(LinkFault::NotFollowed);
        }
        let ended = self.repeat_some(&mut guard, repeat);
        drop(guard);
        // After the lock: there may be many to wake.
        self.wake_waiters();
        ended
    }

    /// Does one write, however long it takes.
    pub fn repeat_long(&self, repeat: &mut Repeat<'_>) -> Result<(), LinkFault> {
        let member_list = self.member_list();
        let mut guard = self.write_long(&member_list);
        if !self.follows(repeat.remote) {
            return Err(LinkFault::NotFollowed);
        }
        let ended = match repeat.batch.writes.get(repeat.done) {
            Some(write) => self.repeat_one(&mut guard, repeat, write, true),
            None => Ok(()),
        };
        repeat.done += usize::from(ended.is_ok());
        drop(guard);
        self.push();
        self.wake_waiters();
        ended
    }

    fn repeat_some(
        &self,
        guard: &mut MasterGuard<'_>,
        repeat: &mut Repeat<'_>,
    ) -> Result<RepeatEnd, LinkFault> {
        let began = clock::mono_now();
        let before = repeat.done;
        while let Some(write) = repeat.batch.writes.get(repeat.done) {
            // The clock is looked at now and then.
            let looks = repeat.done != before && (repeat.done - before).is_multiple_of(LOOK_EVERY);
            if looks && APPLY_US_MAX <= clock::mono_now().since(began) {
                return Ok(RepeatEnd::Some);
            }
            if long_elements() < look(&mut guard.hosted, repeat, write)? {
                return Ok(RepeatEnd::Long);
            }
            self.repeat_one(guard, repeat, write, false)?;
            repeat.done += 1;
        }
        Ok(RepeatEnd::All)
    }

    /// One write whose commands are all known.
    fn repeat_one(
        &self,
        guard: &mut MasterGuard<'_>,
        repeat: &Repeat<'_>,
        write: &StreamWrite,
        is_long: bool,
    ) -> Result<(), LinkFault> {
        let Repeat { bytes, batch, .. } = *repeat;
        let commands = batch.commands_of(write);
        let (mut shared, mut did) = (Vec::new(), Vec::with_capacity(commands.len()));
        for command in commands {
            did.push(self.run(guard, bytes, command, &mut shared)?);
        }
        let at = WriteTime { at: clock::mono_now(), is_long };
        let mut log = self.log.lock();
        let mut entry = log.repeat(at);
        let mut from = write.from;
        for (command, did) in commands.iter().zip(did) {
            entry.pass(&bytes[from..command.from]);
            let words = &bytes[command.from..command.to];
            match did {
                Did::Nothing => entry.pass(words),
                Did::Shared(span) => {
                    entry.command(command.db, words, shared[span].iter().cloned());
                }
                Did::Changed => entry.command(command.db, words, [].into_iter()),
            }
            from = command.to;
        }
        entry.pass(&bytes[from..write.to]);
        entry.close(write.db);
        self.publish(log, guard.member);
        guard.has_news = true;
        if guard.notes_events() {
            guard.tell_events();
        }
        if guard.notes_changes() {
            guard.tell_changes();
        }
        if guard.hosted.engine.has_blocked() {
            // Reads that wait for entries of streams.
            guard.serve_blocked(at.at, clock::wall_now());
        }
        Ok(())
    }

    /// Runs one command at the head.
    fn run(
        &self,
        guard: &mut MasterGuard<'_>,
        bytes: &[u8],
        command: &StreamCommand,
        shared: &mut Vec<KeySlot>,
    ) -> Result<Did, LinkFault> {
        let Hosted { engine, apply_state, .. } = &mut *guard.hosted;
        let ApplyState { decoder, effects, reply, .. } = apply_state;
        let words = &bytes[command.from..command.to];
        let Ok(Step::Ready { .. }) = decoder.poll(words) else { return Ok(Did::Nothing) };
        let request = decoder.request(words);
        let name = request.get(0).unwrap_or_default();
        if is_message(name) {
            return Ok(Did::Nothing);
        }
        effects.begin(command.db);
        let now = clock::wall_now();
        let all = AssertUnwindSafe(|| engine.repeat(command.db, now, request, effects, reply));
        let outcome = catch_unwind(all);
        reply.clear();
        match outcome {
            Ok(Ok(())) => {}
            // As Redis does: what its master lets pass it has passed.
            Ok(Err(fault)) => {
                let (name, why) = (name.escape_ascii(), fault.text());
                if let Some(count) = self.stream_errors.note(clock::mono_now()) {
                    log::error!("event=stream-error command={name} why={why:?} count={count}");
                }
                return Ok(Did::Nothing);
            }
            Err(_) => {
                let name = name.escape_ascii().to_string();
                *decoder = ApplyState::new().decoder;
                engine.written_mut().events.cut(0);
                self.quarantine(guard.member);
                return Err(LinkFault::Panicked(name));
            }
        }
        let items = effects.items();
        if items.is_empty() {
            return Ok(Did::Nothing);
        }
        if items.iter().any(|it| it.shared.is_empty() || it.db != command.db) {
            return Ok(Did::Changed);
        }
        let first = shared.len();
        shared.extend(effects.shared().iter().cloned());
        Ok(Did::Shared(first..shared.len()))
    }
}

/// About how many elements a write touches. Fails when it says a command that nobody knows: nothing
/// of it is done then.
fn look(hosted: &mut Hosted, repeat: &Repeat<'_>, write: &StreamWrite) -> Result<usize, LinkFault> {
    let Hosted { engine, apply_state, .. } = hosted;
    let env = CallEnv::new(WallMs::NEVER_EXPIRES, 0);
    let mut elements = 0_usize;
    for command in repeat.batch.commands_of(write) {
        let words = &repeat.bytes[command.from..command.to];
        let Ok(Step::Ready { .. }) = apply_state.decoder.poll(words) else { continue };
        let request = apply_state.decoder.request(words);
        let name = request.get(0).unwrap_or_default();
        if is_message(name) {
            continue;
        }
        let Some(Found { row, words, work }) = verbs::find_for(request) else {
            return Err(LinkFault::UnknownCommand(echo(name).into_owned()));
        };
        if engine.is_walked() {
            let cost = engine.copy_cost(command.db, row.spec.keys, request);
            elements = cost.saturating_add(elements);
        }
        if work != Work::Short || long_elements() < request.len() {
            let args = Args::new(request, words, command.db, &env);
            let own = work.elements(engine.db(&args), row.spec.keys, args);
            elements = own.saturating_add(elements);
        }
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId as Id;
    use crate::base::lowered::lower_long_elements;
    use crate::base::position::{Coverage, Offset, Position, ReplId};
    use crate::base::remote_address::RemoteAddress;
    use crate::base::time::MonoUs;
    use crate::engine::Thresholds;
    use crate::node::{Applied, ApplyBudget, new_replid};
    use crate::replication::StreamReader;
    use crate::resp::encode_command;

    const OTHER: ReplId = ReplId::new([7; 20]);

    /// A set that follows a master, whose data stands at 1000.
    fn following() -> (ReplicaSet, Arc<RemoteMaster>) {
        let set = ReplicaSet::new(2, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let address = RemoteAddress { host: "there".into(), port: 1 };
        set.follow(RemoteMaster::new(address, MonoUs(1)));
        let remote = set.remote().unwrap();
        let at = Position { replid: OTHER, offset: Offset::new(1000) };
        set.replace_data(&remote, set.new_engine(), at, 3, &[]).unwrap();
        for member in [1, 2] {
            set.sync(set.member(Id(member)), MonoUs(1));
        }
        (set, remote)
    }

    fn stream(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            encode_command(&mut bytes, words.into_iter());
        }
        bytes
    }

    /// Does all that the stream says. Answers how the last round ended.
    fn say(
        set: &ReplicaSet,
        remote: &Arc<RemoteMaster>,
        bytes: &[u8],
    ) -> Result<RepeatEnd, LinkFault> {
        let (_, db) = set.resume_from();
        let (mut reader, mut batch) = (StreamReader::new(db), StreamBatch::default());
        reader.push(bytes);
        reader.take(1000, &mut batch).unwrap();
        let mut repeat = Repeat { remote, bytes: reader.bytes(), batch: &batch, done: 0 };
        loop {
            match set.repeat(&mut repeat)? {
                RepeatEnd::Some => {}
                RepeatEnd::Long => set.repeat_long(&mut repeat)?,
                ended => return Ok(ended),
            }
        }
    }

    fn digests(set: &ReplicaSet) -> Vec<String> {
        let of = |it: u16| {
            let member = set.member(Id(it));
            while set.apply(member, ApplyBudget::SHORT) == Applied::Some {}
            assert_eq!(member.applied(), set.head(), "{}", member.name);
            set.read(member).engine().space(3).table().len().to_string()
                + &set.read(member).engine().space(5).table().len().to_string()
        };
        vec![of(0), of(1), of(2)]
    }

    #[test]
    fn the_log_says_what_the_master_said_and_all_members_do_it() {
        let (set, remote) = following();
        let bytes = stream(&[
            "SET a 1",
            "PING",
            "MULTI",
            "RPUSH l 1 2",
            "SELECT 5",
            "SET b 2",
            "EXEC",
            "REPLCONF GETACK *",
            "DEL none",
            "PUBLISH c m",
            "SADD s x",
        ]);
        assert_eq!(say(&set, &remote, &bytes), Ok(RepeatEnd::All));
        let start = Offset::new(1000);
        assert_eq!(set.head(), start.after(bytes.len()));
        assert_eq!(set.stream_from(start).unwrap().concat(), bytes);
        assert_eq!(digests(&set), ["22", "22", "22"]);
        assert_eq!(set.resume_from().1, 5, "where the next stream goes on");
    }

    #[test]
    fn members_share_the_memory_of_strings() {
        let (set, remote) = following();
        say(&set, &remote, &stream(&["SET a 12345678901234567890"])).unwrap();
        digests(&set);
        let at = |it: u16| {
            let reading = set.read(set.member(Id(it)));
            let view = reading.engine().view(3, WallMs(1));
            view.peek(b"a").unwrap().as_string().unwrap().as_ptr() as usize
        };
        assert_eq!([at(1), at(2)], [at(0); 2]);
    }

    #[test]
    fn a_write_that_says_what_nobody_knows_is_not_begun() {
        let (set, remote) = following();
        say(&set, &remote, &stream(&["SET a 1"])).unwrap();
        let head = set.head();
        let bytes = stream(&["SET b 1", "MULTI", "SET c 1", "XNONSENSE x", "EXEC"]);
        let fault = say(&set, &remote, &bytes).unwrap_err();
        assert_eq!(fault, LinkFault::UnknownCommand("XNONSENSE".into()));
        assert_eq!(set.head(), head.after(stream(&["SET b 1"]).len()), "what was before is done");
        assert_eq!(digests(&set), ["20", "20", "20"]);
    }

    #[test]
    fn a_long_write_is_left_for_another_thread() {
        let (set, remote) = following();
        let members: Vec<String> = (0..50).map(|it| it.to_string()).collect();
        say(&set, &remote, &stream(&[&format!("SADD s {}", members.join(" "))])).unwrap();
        lower_long_elements(20);
        let bytes = stream(&["SET a 1", "SUNIONSTORE t s", "SET b 1"]);
        let (mut reader, mut batch) = (StreamReader::new(3), StreamBatch::default());
        reader.push(&bytes);
        reader.take(1000, &mut batch).unwrap();
        let mut repeat = Repeat { remote: &remote, bytes: reader.bytes(), batch: &batch, done: 0 };
        assert_eq!((set.repeat(&mut repeat), repeat.done), (Ok(RepeatEnd::Long), 1));
        set.repeat_long(&mut repeat).unwrap();
        assert_eq!((set.repeat(&mut repeat), repeat.done), (Ok(RepeatEnd::All), 3));
        assert_eq!(set.apply(set.member(Id(1)), ApplyBudget::SHORT), Applied::Some);
        assert_eq!(set.apply(set.member(Id(1)), ApplyBudget::SHORT), Applied::Long);
    }

    #[test]
    fn nothing_is_done_for_a_master_that_is_not_followed_any_more() {
        let (set, remote) = following();
        assert!(set.stop_following());
        let head = set.head();
        assert_eq!(say(&set, &remote, &stream(&["SET a 1"])), Err(LinkFault::NotFollowed));
        assert_eq!(set.head(), head);
        let at = Position { replid: OTHER, offset: Offset::ZERO };
        assert!(set.replace_data(&remote, set.new_engine(), at, 0, &[]).is_err());
        let (history, before) = (set.history(), set.history().before());
        assert_ne!(history.replid, OTHER);
        assert_eq!(before, Some(Position { replid: OTHER, offset: head }));
    }

    #[test]
    fn what_is_here_is_as_old_as_the_last_answer_of_the_master_that_it_reaches() {
        let (set, remote) = following();
        assert_eq!(set.stream_age_us(MonoUs(5)), u64::MAX, "nobody was asked");
        remote.freshness.note(MonoUs(5), set.head());
        assert_eq!(set.stream_age_us(MonoUs(25)), 20);
        let alone = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        assert_eq!(alone.stream_age_us(MonoUs(25)), 0, "it follows nobody");
    }

    #[test]
    fn a_stream_goes_on_where_there_has_been_one() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        assert_eq!(set.resume_from(), (None, 0));
        set.ping(MonoUs(1));
        assert_eq!(set.resume_from(), (Some(set.position()), 0));
        let at = Position { replid: OTHER, offset: Offset::new(1000) };
        assert_eq!(following().0.resume_from(), (Some(at), 3));
    }

    #[test]
    fn a_floor_may_be_of_what_the_stream_has_not_brought_yet() {
        let (set, _remote) = following();
        let (here, beyond) = (set.head().bytes(), set.head().bytes() + 1);
        let at = |it| Position { replid: set.history().replid, offset: Offset::new(it) };
        assert_eq!(set.cover(at(here)), Coverage::To(Offset::new(here)));
        assert_eq!(set.cover(at(beyond)), Coverage::To(Offset::new(beyond)));
    }
}
