//! The four guarantees of a session (Terry and others, 1994), each judged by what one client reads.

use super::checks::{CheckName, Checks};
use super::event::{Event, ReadEvent, TokenEvent, WriteEvent};
use super::findings::Findings;
use super::keys::{KeyState, Took};
use super::memory::{Evidence, Memory, Settling};
use super::reading::Reading;

/// Pairs of client and key whose last read is remembered, twice this number at most.
const SEEN_MAX: usize = (1 << 18) / 8 * 7;
/// Pairs of clients of which one has read what the other wrote, twice this number at most.
const MET_MAX: usize = (1 << 15) / 8 * 7;
/// Reads of all keys that are remembered for writes-follow-reads.
const READS_MAX: usize = 1 << 16;
/// Reads by others that one read is compared with at most.
const READS_COMPARED_MAX: usize = 4;

/// A client's read of a key.
#[derive(Clone, Copy, Debug)]
struct Seen {
    version: u64,
    ended: u64,
    took: Took,
    target: u16,
}

impl Seen {
    fn event(self, client: u32, key: u64) -> Event {
        let Seen { version, ended, took, target } = self;
        let began = took.before(ended);
        Event::Read(ReadEvent { client, key, version: Some(version), began, ended, target })
    }
}

impl Evidence for Seen {
    fn ended(&self) -> u64 {
        self.ended
    }

    fn strength(&self) -> u64 {
        self.version
    }
}

impl Evidence for TokenEvent {
    fn ended(&self) -> u64 {
        self.given
    }

    fn strength(&self) -> u64 {
        self.taken
    }
}

/// A client's read of another's write: everything that the other had done before that write began
/// is to be seen by the client from now on.
#[derive(Clone, Copy, Debug)]
struct Met {
    write: WriteEvent,
    seen: Seen,
}

impl Met {
    /// The write, and the client's read of it.
    fn events(self, client: u32) -> [Event; 2] {
        [Event::Write(self.write), self.seen.event(client, self.write.key)]
    }
}

impl Evidence for Met {
    fn ended(&self) -> u64 {
        self.seen.ended
    }

    fn strength(&self) -> u64 {
        self.write.began
    }
}

/// A read in the ring of recent reads.
#[derive(Clone, Copy)]
struct PastRead {
    seen: Seen,
    client: u32,
    key: u64,
    /// Place of the read of this key before.
    prev: u64,
}

/// What clients have seen.
pub struct Sessions {
    checks: Checks,
    seen: Memory<Settling<Seen>>,
    met: Memory<Settling<Met>>,
    given: Memory<Settling<TokenEvent>>,
    reads: Vec<PastRead>,
    /// Place of the next read in the ring; counted from 1.
    next_read: u64,
}

impl Sessions {
    /// Nobody has seen anything.
    pub fn new(checks: Checks) -> Sessions {
        Sessions {
            checks,
            seen: Memory::new(SEEN_MAX),
            met: Memory::new(MET_MAX),
            given: Memory::new(MET_MAX),
            reads: Vec::new(),
            next_read: 1,
        }
    }

    /// A client has handed in another's token.
    pub fn given(&mut self, token: TokenEvent) {
        if self.checks.tokens {
            self.given.entry(token.to, token.from.into()).learn(token, token.given);
        }
    }

    /// Compares a read with what its client has written and seen.
    pub fn judge(&mut self, reading: &Reading<'_>, findings: &mut Findings) {
        if self.checks.read_your_writes {
            read_your_writes(reading, findings);
        }
        if self.checks.monotonic_writes {
            self.monotonic_writes(reading, findings);
        }
        if self.checks.writes_follow_reads {
            self.writes_follow_reads(reading, findings);
        }
        if self.checks.tokens {
            self.tokens(reading, findings);
        }
        let read = &reading.read;
        let Some(version) = read.version else {
            if self.checks.monotonic_reads {
                self.monotonic_reads(reading, None, findings);
            }
            return;
        };
        let took = Took::between(read.began, read.ended);
        let seen = Seen { version, ended: read.ended, took, target: read.target };
        if self.checks.monotonic_reads {
            self.monotonic_reads(reading, Some(seen), findings);
        }
        if !self.checks.monotonic_writes && !self.checks.writes_follow_reads {
            return;
        }
        if let Some(write) = reading.writer.filter(|it| it.client != read.client) {
            self.met.entry(read.client, write.client.into()).learn(Met { write, seen }, read.began);
        }
    }

    /// Remembers a read as the newest of its key.
    pub fn remember(&mut self, read: &ReadEvent, key: &mut KeyState) {
        let Some(version) = read.version else { return };
        if !self.checks.writes_follow_reads && !self.checks.tokens {
            return;
        }
        let took = Took::between(read.began, read.ended);
        let seen = Seen { version, ended: read.ended, took, target: read.target };
        let past = PastRead { seen, client: read.client, key: read.key, prev: key.newest_read };
        key.newest_read = self.next_read;
        let index = self.next_read as usize % READS_MAX;
        self.next_read += 1;
        if index < self.reads.len() {
            self.reads[index] = past;
            return;
        }
        if self.reads.is_empty() {
            self.reads.push(past);
        }
        self.reads.push(past);
    }

    fn monotonic_reads(
        &mut self,
        reading: &Reading<'_>,
        seen: Option<Seen>,
        findings: &mut Findings,
    ) {
        let read = &reading.read;
        let before = match seen {
            Some(seen) => {
                let settling = self.seen.entry(read.client, read.key);
                let before = settling.at(read.began);
                settling.learn(seen, read.began);
                before
            }
            None => self.seen.get(read.client, read.key).and_then(|it| it.at(read.began)),
        };
        let Some(before) = before else { return };
        findings.compared(CheckName::MonotonicReads);
        if !reading.misses(before.version) {
            return;
        }
        let evidence = Some((read.key, before.version));
        findings.suspect(CheckName::MonotonicReads, *read, evidence, || {
            let mut events = reading.shown();
            events.push(before.event(read.client, read.key));
            events.extend(reading.write_of(before.version));
            events
        });
    }

    /// The client has met a writer; does it see what this writer had written before?
    fn monotonic_writes(&mut self, reading: &Reading<'_>, findings: &mut Findings) {
        let read = &reading.read;
        let Some(acked) = reading.key.acked else { return };
        if acked.client == read.client {
            return;
        }
        let met = self.met.get(read.client, acked.client.into());
        let Some(met) = met.and_then(|it| it.at(read.began)) else { return };
        // The writer's own order: one request may begin in the instant in which another ends.
        let Some(first) = reading.newest_by(acked.client, met.write.began.saturating_add(1)) else {
            return;
        };
        findings.compared(CheckName::MonotonicWrites);
        if !reading.misses(first.version) {
            return;
        }
        findings.suspect(CheckName::MonotonicWrites, *read, None, || {
            let mut events = reading.shown();
            events.push(Event::Write(first));
            events.extend(met.events(read.client));
            events
        });
    }

    /// Others have read this key, then written something that the client has seen; does it see what
    /// they had read?
    fn writes_follow_reads(&mut self, reading: &Reading<'_>, findings: &mut Findings) {
        let read = &reading.read;
        let mut place = reading.key.newest_read;
        // One that saw the newest version misses nothing, whatever it is compared with.
        let is_newest = Some(reading.key.newest_version) <= read.version;
        let compared_max = if is_newest { 1 } else { READS_COMPARED_MAX };
        for _ in 0..compared_max {
            let Some(past) = self.past(place, read.key) else { return };
            place = past.prev;
            if past.client == read.client {
                continue;
            }
            let met = self.met.get(read.client, past.client.into());
            let Some(met) = met.and_then(|it| it.at(read.began)) else { continue };
            if met.write.began < past.seen.ended {
                continue;
            }
            findings.compared(CheckName::WritesFollowReads);
            if !reading.misses(past.seen.version) {
                continue;
            }
            let evidence = Some((read.key, past.seen.version));
            findings.suspect(CheckName::WritesFollowReads, *read, evidence, || {
                let mut events = reading.shown();
                events.extend(reading.write_of(past.seen.version));
                events.push(past.seen.event(past.client, read.key));
                events.extend(met.events(read.client));
                events
            });
            return;
        }
    }

    /// The client was given a token; does it see what the token's client had written and read?
    fn tokens(&mut self, reading: &Reading<'_>, findings: &mut Findings) {
        let read = &reading.read;
        let given = |sessions: &Sessions, from: u32| {
            sessions.given.get(read.client, from.into())?.at(read.began)
        };
        let acked = reading.key.acked.filter(|it| it.client != read.client);
        let token = acked.and_then(|it| given(self, it.client));
        let before = |it: TokenEvent| it.taken.saturating_add(1);
        let first = token.and_then(|it| Some((it, reading.newest_by(it.from, before(it))?)));
        if let Some((token, first)) = first {
            findings.compared(CheckName::Tokens);
            if reading.misses(first.version) {
                return findings.suspect_token(*read, None, token, || {
                    let mut events = reading.shown();
                    events.push(Event::Write(first));
                    events
                });
            }
        }
        let mut place = reading.key.newest_read;
        for _ in 0..READS_COMPARED_MAX {
            let Some(past) = self.past(place, read.key) else { return };
            place = past.prev;
            let token = given(self, past.client).filter(|it| past.seen.ended <= it.taken);
            let Some(token) = token.filter(|_| past.client != read.client) else { continue };
            findings.compared(CheckName::Tokens);
            if !reading.misses(past.seen.version) {
                continue;
            }
            let evidence = Some((read.key, past.seen.version));
            return findings.suspect_token(*read, evidence, token, || {
                let mut events = reading.shown();
                events.extend(reading.write_of(past.seen.version));
                events.push(past.seen.event(past.client, read.key));
                events
            });
        }
    }

    fn past(&self, place: u64, key: u64) -> Option<PastRead> {
        let is_kept = place != 0 && self.next_read <= place + READS_MAX as u64;
        let past = self.reads.get(place as usize % READS_MAX).filter(|_| is_kept)?;
        assert_eq!(past.key, key, "the chain of one key led to another's read");
        Some(*past)
    }
}

fn read_your_writes(reading: &Reading<'_>, findings: &mut Findings) {
    let read = &reading.read;
    // One client's requests may end and begin in one instant.
    let Some(own) = reading.newest_by(read.client, read.began.saturating_add(1)) else { return };
    findings.compared(CheckName::ReadYourWrites);
    if !reading.misses(own.version) {
        return;
    }
    findings.suspect(CheckName::ReadYourWrites, *read, None, || {
        let mut events = reading.shown();
        events.push(Event::Write(own));
        events
    });
}
