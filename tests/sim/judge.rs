//! What a connection did with an event, held against what its client asked for and what was
//! written. Knows replies, numbers and values; no offset, no floor.

use super::asked::{Arrived, Asked, AskedFor, Queued, What};
use super::crash::Token;
use super::finding::Checker;
use super::frame::Frame;
use super::ledger::{Done, Key, number_of};
use super::peer::{Peer, Watching, is_in_sight, place_at};
use super::world::{Before, World};
use entourage::base::time::Clock;
use entourage::commands::BlockOn;
use entourage::node::{Member, ReplicaSet};
use entourage::route::Level;
use std::sync::Arc;

/// The last write, the newest that the client had seen, and the newest that it had been told of,
/// when its request arrived; and the time.
type Known = ([u64; 3], u64);

fn known(peer: &Peer, asked: &Asked, before: &Before) -> Known {
    let Peer { seen, told, .. } = *peer;
    let now = Arrived { write: before.last, seen, told, at: before.at };
    let Arrived { write, seen, told, .. } = asked.arrived.unwrap_or(now);
    ([write, seen, told], before.at)
}

impl World {
    /// Looks at what was written and what was answered.
    pub fn judge(&mut self, peer: &mut Peer, before: &Before) {
        let now = self.clock.mono_now().0;
        let done = self.ledger.read_on(&self.server.set, now);
        self.judge_done(peer, before, &done);
    }

    /// Looks at what was answered, and at `done`, which it has written.
    pub fn judge_done(&mut self, peer: &mut Peer, before: &Before, done: &[Done]) {
        self.note_published(peer.id());
        done.iter().for_each(|it| self.judge_write(peer, *it));
        peer.seen = peer.seen.max(before.seen_by(&peer.group));
        let was_paused = before.is_paused;
        let bytes = peer.shell.look().to_vec();
        let (mut used, mut ended_pause, mut pushes) = (0, false, Vec::new());
        while let Some((frame, len)) = Frame::parse(&bytes[used..], &mut pushes) {
            used += len;
            for frame in pushes.drain(..).chain([frame]) {
                ended_pause |= self.judge_reply(peer, &frame, before);
            }
        }
        peer.shell.unparsed.drain(..used);
        self.settle_own_published(peer.id());
        if was_paused && !ended_pause && !done.is_empty() {
            let id = peer.id();
            self.find(Checker::Paused, format!("client {id} wrote while clients are paused"));
        }
        let has_written = done.iter().any(|it| !matches!(it, Done::Published(_)));
        // A member that was taken out meanwhile may have been good until then.
        let are_as_many = before.sound <= self.sound_members();
        if let Some((min, _)) = self.gate
            && has_written
            && are_as_many
            && !before.is_apart
            && self.good_replicas().max(before.good) < min
        {
            let (id, good) = (peer.id(), before.good);
            self.find(Checker::Gate, format!("client {id} wrote with {good} of {min}"));
            self.tell_members();
        }
        let is_blocked = peer.shell.connection.is_blocked();
        let waiting = peer.script.asked.iter_mut().find(|it| it.has_reply);
        if let Some(asked) = waiting.filter(|_| is_blocked) {
            let Peer { seen, told, .. } = *peer;
            let arrived = Arrived { write: before.last, seen, told, at: before.at };
            asked.arrived.get_or_insert(arrived);
        }
    }

    fn judge_write(&mut self, peer: &mut Peer, done: Done) {
        let id = peer.id();
        let owner = match done {
            Done::Write(number) | Done::Published(number) => {
                self.owners.get(&number).copied().unwrap_or(0)
            }
            Done::Incr(client) => client,
        };
        match done {
            Done::Write(number) if self.ledger.place(number) != self.ledger.newest(number) => {
                self.find(Checker::Once, format!("request {number} was done again"));
            }
            Done::Write(number) => {
                let place = self.ledger.place(number);
                let key = self.ledger.at(place).expect("it is there").key;
                let own = peer.own.entry(key).or_default();
                *own = place.max(*own);
            }
            Done::Published(number) if self.ledger.published_by(number) != 1 => {
                self.find(Checker::Once, format!("request {number} was published again"));
            }
            Done::Published(_) => self.count("published"),
            Done::Incr(_) => peer.incrs += 1,
        }
        if owner != id || peer.was_gone {
            self.find(Checker::LeftWrite, format!("a write of client {owner}, who has left"));
        }
    }

    /// Answers whether this reply has ended CLIENT PAUSE.
    fn judge_reply(&mut self, peer: &mut Peer, frame: &Frame, before: &Before) -> bool {
        if self.hear(peer, frame) {
            self.note_seen(peer);
            return false;
        }
        let is_subscription = matches!(frame, Frame::Push(all) if all.len() == 3);
        if matches!(frame, Frame::Push(_)) && !is_subscription {
            return false;
        }
        let asked = std::iter::from_fn(|| peer.script.asked.pop_front()).find(|it| it.has_reply);
        let id = peer.id();
        let Some(asked) = asked else {
            self.find(Checker::Answers, format!("client {id}: {} to nothing", frame.told()));
            return false;
        };
        self.tell(format!("client {id}: {:?} -> {}", asked.what, frame.told()));
        let is_poisoned = matches!(asked.what, What::Exec { .. })
            && std::mem::take(&mut peer.is_poisoned)
            && frame.is_error("EXECABORT");
        if is_turned_away(frame) || is_poisoned {
            self.turned_away(peer, &asked, frame);
        } else if !self.fits(peer, &asked, frame, before) {
            self.find(Checker::Answers, format!("{} to {:?}", frame.told(), asked.what));
        }
        self.note_seen(peer);
        frame.is_ok() && matches!(asked.what, What::Unpause)
    }

    /// Those who share its floor have seen what it has seen.
    fn note_seen(&mut self, peer: &Peer) {
        if let Some(group) = &peer.group {
            let seen = self.groups.entry(group.clone()).or_default();
            *seen = peer.seen.max(*seen);
        }
    }

    /// There is no room among those who wait for a thread for long work, or nobody to take the
    /// master's place: nothing has been done.
    fn turned_away(&mut self, peer: &mut Peer, asked: &Asked, frame: &Frame) {
        let is_of_gate = self.gate.is_some() && is_refused_by_gate(frame);
        peer.waits_behind = None;
        self.count(match () {
            () if frame.is_error("MASTERDOWN") => "master down",
            () if is_of_gate => "refused by the gate",
            () => "turned away",
        });
        let is_done = match &asked.what {
            What::Set { number, .. } => self.ledger.place(*number) != 0,
            What::Publish { number } => self.ledger.published_by(*number) != 0,
            What::Script { calls, .. } => {
                calls.iter().filter_map(|it| self.place_of(it)).any(|it| it != 0)
            }
            What::Exec { queued, .. } => {
                peer.watching.clear();
                queued.iter().filter_map(|it| self.place_of(it)).any(|it| it != 0)
            }
            What::Queued if is_of_gate => {
                peer.is_poisoned = true;
                false
            }
            // These are answered as they come, whatever there is to do.
            What::Ping | What::Echo { .. } | What::Multi | What::Queued | What::Quit => true,
            _ => false,
        };
        if is_done {
            self.find(Checker::Answers, format!("{} to {:?}", frame.told(), asked.what));
        }
    }

    /// Whether this can be the reply to what was asked. What it promises is looked at, too.
    fn fits(&mut self, peer: &mut Peer, asked: &Asked, frame: &Frame, before: &Before) -> bool {
        match &asked.what {
            What::Ping => {
                let subscribed = Frame::Array(Some(vec![Frame::bulk("pong"), Frame::bulk("")]));
                *frame == Frame::Simple("PONG".to_owned()) || *frame == subscribed
            }
            What::Echo { number } => *frame == Frame::Bulk(Some(number.to_string())),
            What::Set { key, number, acks } => self.set_fits(peer, frame, (*key, *number), *acks),
            What::Incr { acks } => self.incr_fits(peer, frame, *acks),
            What::Get { key, level, may_lag } => {
                let known = known(peer, asked, before);
                match frame {
                    Frame::Bulk(value) => {
                        let value = value.as_deref().unwrap_or_default();
                        self.judge_read(peer, *key, *level, known, value)
                    }
                    other => *may_lag && other.is_error("LAGGED"),
                }
            }
            What::GetFleeting { may_lag } => match frame {
                Frame::Bulk(None) => true,
                Frame::Bulk(Some(value)) => {
                    self.fleeting_fits(number_of(value), before);
                    true
                }
                other => *may_lag && other.is_error("LAGGED"),
            },
            What::GetAt { key } => match frame {
                Frame::Bulk(value) => {
                    let value = value.as_deref().unwrap_or_default();
                    let (level, known) = (Level::Eventual, ([0; 3], before.at));
                    self.judge_read(peer, *key, level, known, value)
                }
                other => other.is_error("NOTINSERVICE") || other.is_error("NOSUCHMEMBER"),
            },
            What::GetStale { key, may_lag } => match frame {
                Frame::Bulk(value) => {
                    let value = value.as_deref().unwrap_or_default();
                    let (level, known) = (Level::Eventual, ([0; 3], before.at));
                    self.judge_read(peer, *key, level, known, value)
                }
                other => *may_lag && other.is_error("LAGGED"),
            },
            What::Many { key, level, may_lag } => {
                let known = known(peer, asked, before);
                match frame {
                    Frame::Array(Some(all)) => all.iter().all(|it| match it {
                        Frame::Bulk(value) => {
                            let value = value.as_deref().unwrap_or_default();
                            self.judge_read(peer, *key, *level, known, value)
                        }
                        _ => false,
                    }),
                    other => *may_lag && other.is_error("LAGGED"),
                }
            }
            What::Pop { pop } => {
                let arrived = asked.arrived.map_or(before.at, |it| it.at);
                self.pop_fits(peer, pop, arrived, frame)
            }
            What::Tail { tail } => self.tail_fits(peer, tail, frame),
            What::Group => {
                let errors = ["BUSYGROUP", "NOTDURABLE"];
                frame.is_ok() || errors.iter().any(|it| frame.is_error(it))
            }
            What::Other { acks } => match frame {
                Frame::Error(_) => *acks != AskedFor::Nothing && frame.is_error("NOTDURABLE"),
                _ => true,
            },
            What::Granted => frame.is_granted(),
            What::Subscribe { name, is_on, number, count } => {
                self.subscription_fits(peer, (name, *is_on), (*number, *count), frame, before)
            }
            What::Publish { number } => {
                matches!(frame, Frame::Int(_)) && self.ledger.published_by(*number) == 1
            }
            What::Hello => matches!(frame, Frame::Array(Some(_))),
            What::Multi => frame.is_ok(),
            What::Queued => *frame == Frame::Simple("QUEUED".to_owned()),
            What::Exec { queued, acks, level, may_lag } => {
                // What others of its group have seen since it was done is not its reads' concern.
                let known = known(peer, asked, before);
                let reads_alone = queued.iter().all(|it| matches!(it, Queued::Get { .. }));
                // A replica answers it then, or nobody is fresh enough.
                let is_one_read = reads_alone && peer.watching.is_empty();
                let level = if is_one_read { *level } else { Level::Master };
                let watching = std::mem::take(&mut peer.watching);
                if frame.is_nil() {
                    return self.may_abort(queued, &watching);
                }
                self.judge_watches(peer.id(), queued, &watching);
                (is_one_read && *may_lag && frame.is_error("LAGGED"))
                    || self.calls_fit(peer, frame, queued, *acks, level, known)
            }
            What::Script { calls, acks, reads_at, may_lag } => {
                self.count("scripts of several calls");
                let known = known(peer, asked, before);
                let level = reads_at.unwrap_or(Level::Master);
                let lags = reads_at.is_some() && *may_lag && frame.is_error("LAGGED");
                lags || !frame.is_nil() && self.calls_fit(peer, frame, calls, *acks, level, known)
            }
            What::Watch { keys } => {
                let (since, replid) = (before.last, before.replid);
                let since_at_most = if before.is_apart { self.ledger.last() } else { since };
                let keys = keys.clone();
                peer.watching.push(Watching { keys, since, since_at_most, replid });
                frame.is_ok()
            }
            What::Unwatch => {
                peer.watching.clear();
                frame.is_ok()
            }
            What::Wait { replicas } => self.wait_fits(peer, frame, *replicas),
            What::Sleep { ms } => self.sleep_fits(peer, asked, frame, *ms),
            What::Pause { all, ms } => {
                self.note_pause(*all, *ms);
                frame.is_ok()
            }
            What::Unpause => {
                self.pause = None;
                frame.is_ok()
            }
            What::Unblock { id } => self.unblock_fits(frame, *id, before),
            What::Kill { id } => self.kill_fits(frame, *id, before),
            What::Order => {
                let errors = ["REFUSEDORDER", "NOSUCHMEMBER"];
                frame.is_ok() || errors.iter().any(|it| frame.is_error(it))
            }
            What::Panic => frame.is_error("ERR"),
            What::Token => {
                let Frame::Bulk(Some(text)) = frame else { return false };
                let (said, crashes) = (self.ledger.said, self.crashes.len());
                self.tokens.push(Token { text: text.clone(), seen: peer.seen, said, crashes });
                if 8 < self.tokens.len() {
                    self.tokens.remove(0);
                }
                true
            }
            What::AtLeast { token } => self.token_fits(peer, token, frame),
            What::Share { group } => {
                peer.group = group.clone();
                peer.seen = peer.seen.max(before.seen_by(group));
                self.count("shared");
                frame.is_ok()
            }
            What::Explain => {
                let text = format!("{frame:?}");
                if text.contains("foreign-history") {
                    let id = peer.id();
                    self.find(Checker::KeptFromReplicas, format!("client {id} reads nowhere else"));
                }
                matches!(frame, Frame::Array(Some(_)))
            }
            What::Quit => frame.is_ok(),
        }
    }

    /// How the members stand.
    fn tell_members(&mut self) {
        let (now, set) = (self.clock.mono_now(), self.set().clone());
        for it in set.members() {
            let (name, applied, behind_us) = (&it.name, it.applied(), set.behind_us(it, now));
            self.tell(format!("  {name} {} has {applied}, {behind_us} us behind", it.flags()));
        }
    }

    fn set_fits(
        &mut self,
        peer: &mut Peer,
        frame: &Frame,
        (key, number): (Key, u64),
        acks: AskedFor,
    ) -> bool {
        let place = self.ledger.place(number);
        if place == 0 {
            return false;
        }
        peer.seen = peer.seen.max(place);
        let is_confirmed = frame.is_ok();
        if !is_confirmed && !frame.is_error("NOTDURABLE") {
            return false;
        }
        let has = |world: &World, set: &ReplicaSet, it: &Member| {
            is_in_sight(set, it).then(|| place <= place_at(set, &world.ledger, it, key))
        };
        self.judge_acks(acks, is_confirmed, has);
        true
    }

    fn incr_fits(&mut self, peer: &mut Peer, frame: &Frame, acks: AskedFor) -> bool {
        peer.incrs_answered += 1;
        match frame {
            Frame::Int(_) if acks == AskedFor::Nothing => {}
            Frame::Int(_) => {
                let has = |world: &World, set: &ReplicaSet, it: &Member| {
                    peer.is_all_at(set, &world.ledger, it)
                };
                self.judge_acks(acks, true, has);
            }
            _ => return frame.is_error("NOTDURABLE") && acks != AskedFor::Nothing,
        }
        peer.incrs_answered <= peer.incrs
    }

    /// A reply that confirms a write, or says that it is not confirmed.
    fn judge_acks(
        &mut self,
        acks: AskedFor,
        is_confirmed: bool,
        has: impl Fn(&World, &ReplicaSet, &Member) -> Option<bool>,
    ) {
        if acks == AskedFor::Nothing {
            if !is_confirmed {
                self.find(Checker::Acks, "not durable, which nobody asked".to_owned());
            }
            return;
        }
        self.count(if is_confirmed { "confirmed" } else { "not durable" });
        let is_of_number = matches!(acks, AskedFor::Replicas(_));
        let replicas = self.hosted_replicas();
        let replicas = if is_of_number && !self.counts_hosted() { Vec::new() } else { replicas };
        // A member that nobody can look at may have it, or not.
        let have = replicas.iter().filter(|it| has(self, self.set(), it) != Some(false)).count();
        let followers = self.followers.heads().filter(|it| has(self, it.0, it.1) != Some(false));
        let have = have + followers.count();
        let has_it = |it: &&Arc<Member>| it.is_sound() && has(self, self.set(), it) == Some(true);
        let sound = replicas.iter().filter(has_it).count();
        let wanted = match acks {
            AskedFor::Replicas(count) => count,
            // Of all, some may have been removed since.
            AskedFor::Nothing | AskedFor::InSync | AskedFor::All => 1,
        };
        if is_confirmed && have < wanted {
            self.find(Checker::Acks, format!("confirmed by {have} of {wanted}"));
        }
        if !is_confirmed && wanted <= sound && matches!(acks, AskedFor::Replicas(_)) {
            self.find(Checker::Acks, format!("not durable with {sound} of {wanted}"));
        }
    }

    /// The hosted replicas.
    pub fn hosted_replicas(&self) -> Vec<Arc<Member>> {
        let (members, master) = (self.set().member_list(), self.set().master());
        members.iter().filter(|it| it.id != master).cloned().collect()
    }

    /// What a read saw, and must have seen.
    fn judge_read(
        &mut self,
        peer: &mut Peer,
        key: Key,
        level: Level,
        ([arrived, seen, told], at): Known,
        value: &str,
    ) -> bool {
        let saw = self.ledger.place(number_of(value));
        if !value.is_empty() && self.ledger.at(saw).is_none_or(|it| it.key != key) {
            return false;
        }
        let knows = match level {
            Level::Sticky => seen,
            Level::Master | Level::Linearizable | Level::Global => seen.max(arrived),
            Level::Bounded { ms: Some(ms), .. } => {
                at.checked_sub(ms * 1000 + 1).map_or(0, |it| self.ledger.done_by(it))
            }
            Level::Bounded { .. } | Level::Eventual => 0,
        };
        // Whatever it asks for, nothing is older than what it was told of.
        let must_see = self.ledger.latest(key, knows.max(told));
        if saw < must_see {
            let id = peer.id();
            let what = format!("client {id} at {level} saw {saw} of {must_see} in k{}", key.1);
            self.find(Checker::Stale, what);
            let last = peer.shell.connection.caller.session.last;
            self.tell(format!("  its last reply: {last:?}"));
            self.tell_members();
        }
        peer.seen = peer.seen.max(saw);
        self.count("reads");
        true
    }

    /// Whether EXEC may have done nothing of this.
    fn may_abort(&mut self, queued: &[Queued], watching: &[Watching]) -> bool {
        self.count("aborted");
        if !watching.iter().any(|it| self.has_changed(it)) {
            self.find(Checker::Watch, "EXEC did nothing, and nothing had changed".to_owned());
        }
        queued.iter().filter_map(|it| self.place_of(it)).all(|it| it == 0)
    }

    /// EXEC has done this: nothing that was watched had changed.
    fn judge_watches(&mut self, id: u64, queued: &[Queued], watching: &[Watching]) {
        let first = queued.iter().find_map(|it| self.place_of(it)).filter(|it| *it != 0);
        let Some(first) = first else { return };
        if watching.iter().any(|it| self.has_changed_by_others(it, first, id)) {
            self.find(Checker::Watch, "EXEC went on although a key had changed".to_owned());
        }
    }

    /// Whether a transaction or a script can have answered so to what it has done, all at once.
    fn calls_fit(
        &mut self,
        peer: &mut Peer,
        frame: &Frame,
        queued: &[Queued],
        acks: AskedFor,
        level: Level,
        known: Known,
    ) -> bool {
        let places: Vec<u64> = queued.iter().filter_map(|it| self.place_of(it)).collect();
        let first = places.first().copied();
        if places.contains(&0) {
            return false;
        }
        if places.windows(2).any(|it| it[0] + 1 != it[1]) {
            self.find(Checker::Watch, "something came between these writes".to_owned());
        }
        peer.incrs_answered += queued.iter().filter(|it| matches!(it, Queued::Incr)).count() as u64;
        let published = queued.iter().filter_map(|it| match it {
            Queued::Publish { number } => Some(*number),
            _ => None,
        });
        if published.into_iter().any(|it| self.ledger.published_by(it) != 1) {
            return false;
        }
        let is_write = |it: &Queued| !matches!(it, Queued::Get { .. } | Queued::Publish { .. });
        let has_written = queued.iter().any(is_write);
        let last = places.last().copied();
        if let Frame::Array(Some(all)) = frame {
            // Nobody else's write is among its own: with any of those it is known what each read
            // shows. What it tells its own client, as messages, comes before this reply.
            let mut behind = first.map(|it| it - 1);
            for (queued, frame) in queued.iter().zip(all) {
                behind = self.place_of(queued).or(behind);
                let (Queued::Get { key }, Frame::Bulk(value)) = (queued, frame) else { continue };
                let value = value.as_deref().unwrap_or_default();
                let known = behind.map_or(known, |it| ([it; 3], known.1));
                if !self.judge_read(peer, *key, level, known, value) {
                    return false;
                }
                if behind.is_some_and(|it| it < self.ledger.place(number_of(value))) {
                    self.find(Checker::Watch, "it read what was written behind it".to_owned());
                }
            }
        }
        peer.seen = peer.seen.max(last.unwrap_or(0));
        let is_confirmed = matches!(frame, Frame::Array(Some(all)) if all.len() == queued.len());
        // Who has elements is not looked at.
        let has_pushed = queued.iter().any(|it| matches!(it, Queued::Push));
        if has_written && (is_confirmed || (frame.is_error("NOTDURABLE") && !has_pushed)) {
            let has = |world: &World, set: &ReplicaSet, it: &Member| {
                peer.is_all_at(set, &world.ledger, it)
            };
            self.judge_acks(acks, is_confirmed, has);
        }
        is_confirmed || (has_written && frame.is_error("NOTDURABLE"))
    }

    /// The place of a queued write; 0 when it was not done.
    fn place_of(&self, queued: &Queued) -> Option<u64> {
        match queued {
            Queued::Set { number } => Some(self.ledger.place(*number)),
            Queued::Get { .. } | Queued::Incr | Queued::Push | Queued::Publish { .. } => None,
        }
    }

    /// Whether there was a reason for EXEC to do nothing.
    fn has_changed(&self, watching: &Watching) -> bool {
        let is_old = watching.replid != self.set().history().replid;
        let mut keys = watching.keys.iter();
        is_old || keys.any(|it| self.ledger.between(*it, watching.since, u64::MAX).next().is_some())
    }

    fn has_changed_by_others(&self, watching: &Watching, before: u64, id: u64) -> bool {
        watching.keys.iter().any(|key| {
            let mut writes = self.ledger.between(*key, watching.since_at_most, before);
            writes.any(|it| self.owners.get(&it.number) != Some(&id))
        })
    }

    fn wait_fits(&mut self, peer: &Peer, frame: &Frame, wanted: usize) -> bool {
        let Frame::Int(count) = frame else { return frame.is_error("UNBLOCKED") };
        let (set, ledger) = (&self.server.set, &self.ledger);
        let replicas = self.hosted_replicas();
        let has = |it: &&Arc<Member>| peer.is_all_at(set, ledger, it) != Some(false);
        let hosted = if self.counts_hosted() { replicas.iter().filter(has).count() } else { 0 };
        let of_links = self.followers_with_all_of(peer);
        let have = hosted + of_links;
        if of_links != 0 && *count != 0 {
            self.count("waits that count replicas behind links");
        }
        if have < *count as usize {
            let id = peer.id();
            self.find(Checker::WaitCount, format!("client {id} was told {count} of {have}"));
        }
        self.count(if (*count as usize) < wanted { "waits in vain" } else { "waits" });
        true
    }

    /// A sleep lasts as long as it should, unless somebody ends it.
    fn sleep_fits(&mut self, peer: &Peer, asked: &Asked, frame: &Frame, ms: u64) -> bool {
        let now = self.clock.mono_now().0;
        let is_over = asked.arrived.is_some_and(|it| it.at + ms * 1000 <= now);
        if !is_over && !self.unblocked.contains(&peer.id()) {
            self.find(Checker::Early, format!("client {} slept less than {ms} ms", peer.id()));
        }
        frame.is_ok() || frame.is_error("UNBLOCKED")
    }

    /// Of two pauses the later end counts, and the greater.
    fn note_pause(&mut self, all: bool, ms: u64) {
        let now = self.clock.mono_now().0;
        let before = self.pause.filter(|it| now < it.1).unwrap_or((false, 0));
        self.pause = Some((all || before.0, before.1.max(now + ms * 1000)));
    }

    fn unblock_fits(&mut self, frame: &Frame, id: u64, before: &Before) -> bool {
        let other = before.others.iter().find(|it| it.0 == id);
        let may_end = matches!(
            other,
            Some((_, Some(BlockOn::Offset(..) | BlockOn::Time | BlockOn::Keys), _))
        );
        if *frame == Frame::Int(1) {
            self.count("unblocked");
            self.unblocked.insert(id);
            if !may_end {
                self.find(Checker::Orders, format!("client {id} was unblocked, of {other:?}"));
            }
        }
        matches!(frame, Frame::Int(0 | 1))
    }

    fn kill_fits(&mut self, frame: &Frame, id: u64, before: &Before) -> bool {
        let is_there = before.others.iter().any(|it| it.0 == id);
        if *frame == Frame::Int(1) {
            self.count("killed");
            if !is_there || !self.gone.insert(id) {
                self.find(Checker::Orders, format!("client {id} was killed, who was gone"));
            }
        }
        matches!(frame, Frame::Int(0 | 1))
    }
}

/// Whether a reply says that there are too few good replicas.
fn is_refused_by_gate(frame: &Frame) -> bool {
    matches!(frame, Frame::Error(text) if text.contains("NOREPLICAS"))
}

/// Whether a reply says that there is no room for what is long, or no master.
fn is_turned_away(frame: &Frame) -> bool {
    let Frame::Error(text) = frame else { return false };
    let text = text.trim_start_matches("EXECABORT Transaction discarded because of: ");
    ["LONGQUEUE", "MASTERDOWN", "NOREPLICAS"].iter().any(|it| text.starts_with(it))
}
