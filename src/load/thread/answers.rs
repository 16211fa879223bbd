//! What a thread does with what comes: replies, and connections that are lost.

use super::{Down, READ_BYTES, Thread};
use crate::load::check::{Event, ReadEvent, WriteEvent};
use crate::load::client::{ATLEAST, FILL, Lane, Pending, TOKEN};
use crate::load::connector::Connector;
use crate::load::form::{Form, Meaning};
use crate::load::measure::Class;
use crate::load::skim::{Skimmed, skim};
use crate::resp::ReplyScanner;
use std::io::ErrorKind;

const RECONNECT_NS: u64 = 50_000_000;
/// A client that can send nothing tries again this much later.
const REST_NS: u64 = 20_000_000;
const LOST: &str = "connection lost";
const UNCONFIRMED: &str = "WAIT came short";

impl Thread<'_> {
    /// Reads what is there of a connection.
    pub(super) fn read(&mut self, at: usize) {
        loop {
            let mut bytes = std::mem::take(&mut self.lanes[at].rest);
            let is_scratch = bytes.is_empty();
            if is_scratch {
                std::mem::swap(&mut bytes, &mut self.scratch);
            } else {
                bytes.reserve(READ_BYTES);
            }
            let (before, room) = (bytes.len(), bytes.capacity() - bytes.len());
            let Some(socket) = &self.lanes[at].socket else {
                if is_scratch {
                    self.scratch = bytes;
                }
                return;
            };
            let read = socket.try_read_more(&mut bytes);
            let would_block = matches!(&read, Err(it) if it.kind() == ErrorKind::WouldBlock);
            let taken = match read {
                Ok(0) => None,
                Ok(_) => self.answer(at, &bytes),
                Err(_) if would_block => Some(0),
                Err(_) => None,
            };
            let is_full = bytes.len() - before == room;
            if let Some(taken) = taken {
                if is_scratch {
                    self.lanes[at].rest.extend_from_slice(&bytes[taken..]);
                } else {
                    bytes.drain(..taken);
                    self.lanes[at].rest = std::mem::take(&mut bytes);
                }
            }
            if is_scratch {
                bytes.clear();
                self.scratch = bytes;
            }
            if taken.is_none() {
                return self.lose(at);
            }
            // Less than there was room for was all that there was.
            if would_block || !is_full {
                return;
            }
        }
    }

    /// Takes the whole replies among these bytes. Answers how many bytes they are; `None` if there
    /// is something that is no reply, or no reply to anything.
    fn answer(&mut self, at: usize, bytes: &[u8]) -> Option<usize> {
        let now = self.now();
        let (mut taken, mut scanner) =
            (0, std::mem::take::<ReplyScanner>(&mut self.lanes[at].scanner));
        loop {
            let reply = match skim(&bytes[taken..], &mut scanner) {
                Ok(Some(reply)) => reply,
                Ok(None) => break,
                Err(_) => return None,
            };
            taken += reply.0;
            if bytes[taken - reply.0] == b'>' {
                continue;
            }
            let pending = self.lanes[at].pending.pop_front()?;
            self.settle(at, &pending, reply.1, now);
        }
        self.lanes[at].scanner = scanner;
        if taken != 0 && !self.is_ending() {
            self.answered_at = now;
        }
        if self.scenario.waits_elsewhere && !self.lanes[at].unconfirmed.is_empty() {
            self.confirm_elsewhere(at, now);
        }
        let client = at / self.scenario.lanes();
        if self.schedule.is_none() && self.clients[client].under_way == 0 && self.has_begun() {
            self.refill(client, now);
        }
        Some(taken)
    }

    /// One request has its reply.
    #[inline]
    fn settle(&mut self, at: usize, pending: &Pending, reply: Skimmed<'_>, now: u64) {
        let target = self.lanes[at].target;
        if pending.command == self.scenario.commands.len() as u16 {
            self.settle_wait(at, pending, reply, now);
            return;
        }
        if [TOKEN, ATLEAST].contains(&pending.command) {
            return self.settle_token(at, pending, reply);
        }
        self.release(at);
        let is_measured = pending.command != FILL && self.measured_from <= pending.began;
        if let Skimmed::Error(text) = reply {
            if is_measured {
                self.recorder.record_error(&String::from_utf8_lossy(text));
            }
            if pending.command == FILL {
                self.refused.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
            }
            return self.give_up_write(at, pending);
        }
        if is_measured {
            let class = Class { command: pending.command, target };
            self.recorder.record(class, now.saturating_sub(pending.intended));
        }
        if self.events.is_some() {
            if self.scenario.form == Form::Counter {
                let counted = self.counted(pending, reply);
                return self.observe(at, &counted, reply, now);
            }
            self.observe(at, pending, reply, now);
        }
    }

    /// A counter's request, with what it has counted to as its version.
    fn counted(&mut self, pending: &Pending, reply: Skimmed<'_>) -> Pending {
        let version = match reply {
            Skimmed::Integer(it) => u64::try_from(it).unwrap_or(0),
            // The filling sets it to 0.
            _ if pending.command == FILL => 0,
            _ => return *pending,
        };
        self.counted.insert(pending.key, version);
        Pending { version, ..*pending }
    }

    /// Asks on another connection whether replicas have what this one has written.
    fn confirm_elsewhere(&mut self, at: usize, now: u64) {
        let other =
            at / self.scenario.lanes() * self.scenario.lanes() + self.scenario.targets.len();
        if self.lanes[other].socket.is_none() {
            return self.give_up_unconfirmed(at);
        }
        let writes = std::mem::take(&mut self.lanes[at].unconfirmed);
        self.lanes[other].confirming.push_back(writes);
        self.send_wait(other, now);
        self.touched.push(other);
    }

    /// WAIT has said how many replicas have what was written before.
    fn settle_wait(&mut self, at: usize, pending: &Pending, reply: Skimmed<'_>, now: u64) {
        if self.measured_from <= pending.began {
            let class = Class { command: pending.command, target: 0 };
            self.recorder.record(class, now.saturating_sub(pending.intended));
        }
        let is_confirmed =
            matches!(reply, Skimmed::Integer(it) if i64::from(self.scenario.wait) <= it);
        if !is_confirmed && self.measured_from <= pending.began {
            self.recorder.record_error(UNCONFIRMED);
        }
        let lane = &mut self.lanes[at];
        let elsewhere = lane.confirming.pop_front();
        let writes = elsewhere.unwrap_or_else(|| std::mem::take(&mut lane.unconfirmed));
        if let Some((_, batch)) = &mut self.events {
            batch.events.extend(
                writes
                    .into_iter()
                    .map(|it| Event::Write(WriteEvent { ended: Some(now), is_confirmed, ..it })),
            );
        }
    }

    fn observe(&mut self, at: usize, pending: &Pending, reply: Skimmed<'_>, now: u64) {
        let meaning = match self.scenario.commands.get(usize::from(pending.command)) {
            Some(it) if it.is_nil_unwritten && reply == Skimmed::Null => return,
            Some(command) => command.meaning,
            None => Meaning::Write,
        };
        let (lane, base) = (&mut self.lanes[at], self.shared.version_base);
        let (client, key, began) = (lane.client, pending.key, pending.began);
        let Some((_, batch)) = &mut self.events else { return };
        let events = &mut batch.events;
        match meaning {
            Meaning::Unchecked => {}
            Meaning::Write => {
                let (version, ended) = (pending.version, Some(now));
                let write = WriteEvent { client, key, version, began, ended, is_confirmed: false };
                if self.scenario.wait == 0 {
                    events.push(Event::Write(write));
                } else {
                    lane.unconfirmed.push(write);
                }
            }
            Meaning::Read => {
                let form = &self.scenario.form;
                let version = match reply {
                    Skimmed::Bulk(value) => form.version(value, base),
                    _ => None,
                };
                let (ended, target) = (now, lane.target);
                events.push(Event::Read(ReadEvent { client, key, version, began, ended, target }));
            }
        }
    }

    /// A request is not under way any more.
    #[inline]
    fn release(&mut self, at: usize) {
        let client = at / self.scenario.lanes();
        let it = &mut self.clients[client];
        it.under_way -= 1;
        if self.schedule.is_some() {
            self.free.push_back(client as u32);
        }
    }

    /// A request will have no answer.
    pub(super) fn give_up(&mut self, at: usize, pending: &Pending) {
        let wait = self.scenario.commands.len() as u16;
        if [wait, TOKEN, ATLEAST].contains(&pending.command) {
            return;
        }
        self.release(at);
        if self.measured_from <= pending.began {
            self.recorder.record_error(LOST);
        }
        self.give_up_write(at, pending);
    }

    /// Writes whose WAIT has no answer: whether they will be there is not known.
    pub(super) fn give_up_unconfirmed(&mut self, at: usize) {
        let Some((_, batch)) = &mut self.events else { return };
        let lane = &mut self.lanes[at];
        let writes = lane.unconfirmed.drain(..).chain(lane.confirming.drain(..).flatten());
        batch.events.extend(writes.map(|it| Event::Write(WriteEvent { ended: None, ..it })));
    }

    /// A write that may have happened, or not.
    fn give_up_write(&mut self, at: usize, pending: &Pending) {
        let Some((_, batch)) = &mut self.events else { return };
        let meaning = match self.scenario.commands.get(usize::from(pending.command)) {
            Some(command) => command.meaning,
            None => Meaning::Write,
        };
        if meaning != Meaning::Write {
            return;
        }
        let client = self.lanes[at].client;
        let &Pending { key, mut version, began, .. } = pending;
        if self.scenario.form == Form::Counter {
            // If it has happened it has counted to the next: each key has one writer.
            let counted = self.counted.entry(key).or_default();
            *counted += 1;
            version = *counted;
        }
        let (ended, is_confirmed) = (None, false);
        let write = WriteEvent { client, key, version, began, ended, is_confirmed };
        batch.events.push(Event::Write(write));
    }

    /// A connection has ended: what it had asked has no answer, and it is made again soon.
    pub(super) fn lose(&mut self, at: usize) {
        if self.lanes[at].socket.is_none() {
            return;
        }
        let pending = self.lanes[at].lose();
        pending.iter().for_each(|it| self.give_up(at, it));
        self.give_up_unconfirmed(at);
        let now = self.now();
        self.down.push(Down { at, next: Some(now + RECONNECT_NS), has_failed: false });
        let client = at / self.scenario.lanes();
        if self.schedule.is_none() && self.clients[client].under_way == 0 && self.has_begun() {
            self.rest(client, now);
        }
    }

    /// A client in the closed loop sends its next requests.
    pub(super) fn refill(&mut self, client: usize, now: u64) {
        if self.is_ending() {
            return;
        }
        let (mut sent, mut unsent) = (0, 0);
        // One that meets a connection that is down is an error; another server may be there.
        while sent < self.scenario.depth && unsent <= self.scenario.targets.len() {
            if !self.may_send(now) {
                return;
            }
            match self.send_next(client, now, now) {
                true => sent += 1,
                false => unsent += 1,
            }
        }
        if sent == 0 {
            self.rest(client, now + REST_NS);
        }
    }

    /// A client in the closed loop tries again then.
    fn rest(&mut self, client: usize, until: u64) {
        if !std::mem::replace(&mut self.clients[client].is_resting, true) {
            self.resting.push_back((until, client));
        }
    }

    /// Clients in the closed loop that could send nothing try again.
    pub(super) fn wake_resting(&mut self) {
        let now = self.now();
        while let Some((_, client)) = self.resting.front().copied().filter(|it| it.0 <= now) {
            self.resting.pop_front();
            self.clients[client].is_resting = false;
            if self.clients[client].under_way == 0 {
                self.refill(client, now);
            }
        }
    }

    /// Has connections made again where it is time, and takes those that are there.
    pub(super) fn reconnect(&mut self) -> Result<(), String> {
        let now = self.now();
        let is_due = |it: &&mut Down| it.next.is_some_and(|it| it <= now);
        for down in self.down.iter_mut().filter(is_due) {
            down.next = None;
            let Lane { client, target, .. } = self.lanes[down.at];
            let connector = &mut self.connectors[usize::from(target)];
            if connector.is_none() {
                let address = &self.scenario.targets[usize::from(target)];
                *connector = Some(Connector::new(address, &self.scenario.greeting, target)?);
            }
            connector.iter().for_each(|it| it.ask(down.at, client));
        }
        for connector in self.connectors.iter().flatten() {
            while let Some((at, lane)) = connector.take() {
                let Some(place) = self.down.iter().position(|it| it.at == at) else { continue };
                match lane.filter(|it| it.watch(&self.poller, at).is_ok()) {
                    Some(lane) => {
                        self.lanes[at] = lane;
                        self.down.swap_remove(place);
                    }
                    None => {
                        let next = Some(now + RECONNECT_NS);
                        self.down[place] = Down { at, next, has_failed: true };
                    }
                }
            }
        }
        Ok(())
    }
}
