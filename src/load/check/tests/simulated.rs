//! Histories made by a simulated register, with or without a mistake.

use super::search::{Answer, Starts, search};
use super::{Event, ReadEvent, Violation, WriteEvent};
use crate::base::random::Random;

const US: u64 = 1_000;

/// Who does what.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    clients: u64,
    keys: u64,
    steps: u64,
    /// Every key is written by everybody.
    is_shared: bool,
    /// One answer of this many is lost; 0 for none.
    lost_one_of: u64,
    /// Requests that a client has under way at once.
    depth: u64,
}

impl Plan {
    pub const ONE_WRITER: Plan =
        Plan { clients: 8, keys: 24, steps: 4_000, is_shared: false, lost_one_of: 0, depth: 1 };
    pub const SHARED: Plan = Plan { keys: 3, is_shared: true, ..Plan::ONE_WRITER };
    pub const LOST_ANSWERS: Plan = Plan { lost_one_of: 40, ..Plan::ONE_WRITER };
    pub const PIPELINED: Plan = Plan { depth: 8, ..Plan::ONE_WRITER };
}

/// What is made wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mistake {
    None,
    /// One read sees the version before.
    OlderRead,
    /// One answered write never takes effect.
    DroppedWrite,
    /// So does a confirmed one.
    DroppedConfirmed,
    /// One read sees a version that nobody wrote.
    NeverWritten,
    /// What two reads of one client have seen is swapped.
    SwappedReads,
    /// One key goes back by one version at the end.
    LostAtTheEnd,
}

/// Events in the order in which they are handed over, and the final values.
pub struct Run {
    pub events: Vec<Event>,
    pub ends: Vec<(u64, Option<u64>)>,
}

/// A request, and when it takes effect, if ever.
struct Request {
    event: Event,
    effect: Option<u64>,
}

impl Run {
    /// A run against one copy of the data.
    pub fn new(seed: u64, plan: Plan, mistake: Mistake) -> Run {
        let mut random = Random::new(seed);
        let mut requests = plan.requests(&mut random);
        requests.sort_by_key(|it| it.effect.unwrap_or(u64::MAX));
        // Far enough from both ends that there is something before and after.
        let from = requests.len() / 3 + random.below(requests.len() as u64 / 3) as usize;
        let drop = (mistake == Mistake::DroppedWrite || mistake == Mistake::DroppedConfirmed)
            .then(|| dropped(&mut requests, from, mistake == Mistake::DroppedConfirmed));
        let mut held: Vec<Vec<u64>> = vec![Vec::new(); plan.keys as usize];
        for (at, request) in requests.iter_mut().enumerate() {
            if request.effect.is_none() || Some(at) == drop {
                continue;
            }
            match &mut request.event {
                Event::Write(it) => held[it.key as usize].push(it.version),
                Event::Read(it) => it.version = held[it.key as usize].last().copied(),
            }
        }
        let mut events: Vec<Event> = requests.iter().map(|it| it.event).collect();
        events.sort_by_key(Event::place);
        let mut ends: Vec<(u64, Option<u64>)> =
            (0..plan.keys).map(|key| (key, held[key as usize].last().copied())).collect();
        match mistake {
            Mistake::None | Mistake::DroppedWrite | Mistake::DroppedConfirmed => {}
            Mistake::OlderRead => older_read(&mut events, from),
            Mistake::NeverWritten => {
                let read = events[from..].iter_mut().find_map(as_read).unwrap();
                read.version = Some(1 << 40);
            }
            Mistake::SwappedReads => swapped_reads(&mut events, from),
            Mistake::LostAtTheEnd => {
                let key = random.below(plan.keys) as usize;
                ends[key].1 = held[key].iter().rev().nth(1).copied();
            }
        }
        hand_over(&mut events, &mut random);
        Run { events, ends }
    }

    /// A run against a master and replicas that are behind; each read is served by some replica, by
    /// one that is not behind the client's floor if floors are respected.
    pub fn of_replicas(seed: u64, respects_floors: bool) -> Run {
        let plan = Plan::ONE_WRITER;
        let mut random = Random::new(seed);
        let mut requests = plan.requests(&mut random);
        requests.sort_by_key(|it| it.effect);
        let mut log: Vec<(u64, u64)> = Vec::new();
        // What a client has seen when a request ends: (ended, position), as the proxy knows it.
        let mut floors: Vec<Vec<(u64, usize)>> = vec![Vec::new(); plan.clients as usize];
        for request in &mut requests {
            let (began, place) = (request.event.began(), request.event.place());
            match &mut request.event {
                Event::Write(it) => {
                    log.push((it.key, it.version));
                    floors[it.client as usize].push((place, log.len()));
                }
                Event::Read(it) => {
                    let floors = &mut floors[it.client as usize];
                    let known = floors.iter().filter(|(ended, _)| *ended <= began);
                    let floor = known.map(|it| it.1).max().filter(|_| respects_floors);
                    let behind = random.below(40) as usize;
                    let position = log.len().saturating_sub(behind).max(floor.unwrap_or(0));
                    let seen = log[..position].iter().rev().find(|(key, _)| *key == it.key);
                    it.version = seen.map(|it| it.1);
                    floors.push((place, position));
                }
            }
        }
        let mut events: Vec<Event> = requests.iter().map(|it| it.event).collect();
        hand_over(&mut events, &mut random);
        Run { events, ends: Vec::new() }
    }
}

impl Plan {
    fn requests(&self, random: &mut Random) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut free: Vec<Vec<u64>> = vec![vec![0; self.depth as usize]; self.clients as usize];
        let mut sent: Vec<u64> = vec![0; self.clients as usize];
        let mut applied = sent.clone();
        let mut next_version = 0;
        for _ in 0..self.steps {
            // The client that can send first, so that requests are made in the order of sending.
            let can_send =
                |client: usize| free[client].iter().min().copied().unwrap().max(sent[client]);
            let client = (0..free.len()).min_by_key(|it| can_send(*it)).unwrap();
            let began = can_send(client) + random.below(900) * US + US;
            let is_write = random.below(3) == 0;
            // A connection does things in the order in which they were sent.
            let effect = began.max(applied[client]) + random.below(3_000) * US + US;
            let ended = effect + random.below(2_000) * US + US;
            let slot = (0..free[client].len()).min_by_key(|it| free[client][*it]).unwrap();
            free[client][slot] = ended;
            (sent[client], applied[client]) = (began, effect);
            let mut key = random.below(self.keys);
            let id = client as u32;
            if !is_write {
                let (version, target) = (None, id as u16);
                let read = ReadEvent { client: id, key, version, began, ended, target };
                requests.push(Request { event: Event::Read(read), effect: Some(effect) });
                continue;
            }
            if !self.is_shared {
                key = key / self.clients * self.clients + client as u64;
            }
            next_version += 1;
            let is_lost = self.lost_one_of != 0 && random.below(self.lost_one_of) == 0;
            let effect = match random.below(3) {
                0 if is_lost => None,
                1 if is_lost => Some(effect + random.below(300_000) * US),
                _ => Some(effect),
            };
            let ended = Some(ended).filter(|_| !is_lost);
            let (version, is_confirmed) = (next_version, random.below(4) == 0);
            let write = WriteEvent { client: id, key, version, began, ended, is_confirmed };
            requests.push(Request { event: Event::Write(write), effect });
        }
        requests
    }
}

/// A write that is read by others before it is overwritten.
fn dropped(requests: &mut [Request], from: usize, is_confirmed: bool) -> usize {
    let read_later = |at: usize| {
        let Event::Write(write) = requests[at].event else { return false };
        let after = requests[at + 1..].iter().map(|it| it.event);
        let next = after.into_iter().find(|it| match it {
            Event::Write(it) => it.key == write.key,
            Event::Read(it) => it.key == write.key && write.ended.unwrap() < it.began,
        });
        write.is_confirmed == is_confirmed && matches!(next, Some(Event::Read(_)))
    };
    (from..requests.len()).find(|it| read_later(*it)).expect("some write is read")
}

fn older_read(events: &mut [Event], from: usize) {
    for at in from..events.len() {
        let Event::Read(read) = events[at] else { continue };
        let acked = |it: &&Event| match it {
            Event::Write(it) => it.key == read.key && it.ended.is_some_and(|it| it < read.began),
            Event::Read(_) => false,
        };
        let newest: Vec<Event> = events.iter().filter(acked).copied().collect();
        let [.., older, newer] = newest[..] else { continue };
        let (Event::Write(older), Event::Write(newer)) = (older, newer) else { continue };
        if older.ended.unwrap() < newer.began {
            events[at] = Event::Read(ReadEvent { version: Some(older.version), ..read });
            return;
        }
    }
    panic!("no read could have seen something older");
}

fn swapped_reads(events: &mut [Event], from: usize) {
    for first in from..events.len() {
        let Event::Read(one) = events[first] else { continue };
        let is_later = |it: &Event| match it {
            Event::Read(it) => {
                it.client == one.client
                    && it.key == one.key
                    && one.ended <= it.began
                    && one.version < it.version
            }
            Event::Write(_) => false,
        };
        let Some(second) = (first + 1..events.len()).find(|it| is_later(&events[*it])) else {
            continue;
        };
        let Event::Read(other) = events[second] else { continue };
        events[first] = Event::Read(ReadEvent { version: other.version, ..one });
        events[second] = Event::Read(ReadEvent { version: one.version, ..other });
        return;
    }
    panic!("no client read a key twice");
}

/// Orders events as load threads hand them over: each keeps its own order and is some time late.
fn hand_over(events: &mut [Event], random: &mut Random) {
    let late: Vec<u64> = (0..64).map(|_| random.below(15_000) * US).collect();
    let client = |it: &Event| match it {
        Event::Write(it) => it.client,
        Event::Read(it) => it.client,
    };
    events.sort_by_key(|it| it.place() + late[client(it) as usize % 64]);
}

fn as_read(event: &mut Event) -> Option<&mut ReadEvent> {
    match event {
        Event::Read(it) => Some(it),
        Event::Write(_) => None,
    }
}

/// The events have no order, and without any one of them (a write goes with its reads) they do.
pub fn assert_minimal(violation: &Violation) {
    let events = &violation.events;
    assert_eq!(search(events, &Starts::Any), Answer::Impossible, "{violation}");
    for (at, gone) in events.iter().enumerate() {
        let stays = |(other, it): &(usize, &Event)| {
            *other != at
                && (gone.version_written().is_none() || it.version_read() != gone.version_written())
        };
        let fewer: Vec<Event> =
            events.iter().enumerate().filter(stays).map(|(_, it)| *it).collect();
        assert_ne!(search(&fewer, &Starts::Any), Answer::Impossible, "{violation}\nwithout {at}");
    }
}
