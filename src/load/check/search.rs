//! Whether a history of one key is linearizable (Wing and Gong, 1993, with the states remembered
//! that have been tried, as Lowe, 2017).
//!
//! Values are unique, which keeps the search narrow: a value may be overwritten only when all its
//! reads are placed, reads are placed as soon as they can be, and so are writes that nobody read.

use super::event::Event;
#[cfg(test)]
use super::event::{ReadEvent, WriteEvent};
use super::keys::hasher;
use ahash::RandomState;
use std::collections::{HashMap, HashSet};

/// States tried at most for one history.
const STATES_MAX: usize = 1 << 17;
/// How far beyond the first event that is not placed others may be.
const REACH: usize = 128;

/// What the key held before the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Starts {
    /// Nothing is known of it.
    Any,
    /// One of these versions; `None` is no value.
    OneOf(Vec<Option<u64>>),
}

/// What the search has come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There is an order; after it the key holds one of these.
    Possible(Starts),
    /// There is no order.
    Impossible,
    /// A bound was reached first.
    Unknown,
}

/// Whether some order of the events, in which each takes effect between its begin and its end,
/// explains what was read. Writes without an answer that nobody read count as not done.
pub fn search(events: &[Event], starts: &Starts) -> Answer {
    let Some(mut history) = History::of(events) else { return Answer::Impossible };
    let roots = history.roots(starts);
    let mut search = Search {
        history: &history,
        tried: HashSet::with_hasher(hasher()),
        ahead: Vec::new(),
        ends: Vec::new(),
        is_cut: false,
    };
    for value in roots {
        search.ahead.push(State { first: 0, placed: 0, value });
    }
    while let Some(state) = search.ahead.pop() {
        if STATES_MAX <= search.tried.len() {
            search.is_cut = true;
            break;
        }
        search.go_on(state);
    }
    if search.ends.is_empty() {
        return if search.is_cut { Answer::Unknown } else { Answer::Impossible };
    }
    let starts = if search.is_cut { Starts::Any } else { history.versions(&search.ends) };
    Answer::Possible(starts)
}

/// The place of a value in `History::values`.
type ValueId = usize;

struct Item {
    began: u64,
    ended: u64,
    value: ValueId,
    is_write: bool,
}

#[derive(Default)]
struct Value {
    version: Option<u64>,
    /// Unknown, and none of those that are read or written.
    is_other: bool,
    is_written: bool,
    /// Places of the reads in the history, ascending.
    reads: Vec<usize>,
}

/// Events by when they can have begun to take effect.
struct History {
    items: Vec<Item>,
    values: Vec<Value>,
    ids: HashMap<Option<u64>, ValueId, RandomState>,
}

impl History {
    /// `None` if a read ended before the write of what it saw began.
    fn of(events: &[Event]) -> Option<History> {
        let (items, values, ids) = (Vec::new(), Vec::new(), HashMap::with_hasher(hasher()));
        let mut it = History { items, values, ids };
        // Per value: its write, and when its reads began first and ended first.
        let mut reads: HashMap<ValueId, (u64, u64), RandomState> = HashMap::with_hasher(hasher());
        let mut writes: HashMap<ValueId, (u64, Option<u64>), RandomState> =
            HashMap::with_hasher(hasher());
        for event in events {
            match event {
                Event::Write(write) => {
                    let value = it.id(Some(write.version));
                    it.values[value].is_written = true;
                    writes.insert(value, (write.began, write.ended));
                }
                Event::Read(read) => {
                    let value = it.id(read.version);
                    let first = reads.entry(value).or_insert((u64::MAX, u64::MAX));
                    *first = (first.0.min(read.began), first.1.min(read.ended));
                    let (began, ended) = (read.began, read.ended);
                    it.items.push(Item { began, ended, value, is_write: false });
                }
            }
        }
        for item in &mut it.items {
            // A read takes effect after the write of what it sees.
            let write_began = writes.get(&item.value).map_or(0, |write| write.0);
            item.began = item.began.max(write_began);
            if item.ended < item.began {
                return None;
            }
        }
        for (value, (began, ended)) in writes {
            let read = reads.get(&value);
            let item = match (ended, read) {
                (Some(ended), None) => Item { began, ended, value, is_write: true },
                // A write takes effect before its first read has ended.
                (Some(ended), Some(read)) => {
                    Item { began, ended: ended.min(read.1), value, is_write: true }
                }
                // One without an answer may as well do so immediately before its first read.
                (None, Some(read)) => {
                    Item { began: began.max(read.0), ended: read.1, value, is_write: true }
                }
                (None, None) => continue,
            };
            it.items.push(item);
        }
        it.items.sort_by_key(|it| (it.began, it.ended, it.is_write, it.value));
        for (at, item) in it.items.iter().enumerate().filter(|(_, it)| !it.is_write) {
            it.values[item.value].reads.push(at);
        }
        Some(it)
    }

    fn id(&mut self, version: Option<u64>) -> ValueId {
        let next = self.values.len();
        let id = *self.ids.entry(version).or_insert(next);
        if id == next {
            self.values.push(Value { version, ..Value::default() });
        }
        id
    }

    /// The values that the key may have had before.
    fn roots(&mut self, starts: &Starts) -> Vec<ValueId> {
        if let Starts::OneOf(versions) = starts {
            return versions.iter().map(|it| self.id(*it)).collect();
        }
        let mut roots: Vec<ValueId> =
            (0..self.values.len()).filter(|it| !self.values[*it].is_written).collect();
        roots.push(self.values.len());
        self.values.push(Value { is_other: true, ..Value::default() });
        roots
    }

    /// What the key may hold after the history, if it holds one of `ends` after some order.
    fn versions(&self, ends: &[ValueId]) -> Starts {
        if ends.iter().any(|it| self.values[*it].is_other) {
            return Starts::Any;
        }
        let mut found: Vec<Option<u64>> = ends.iter().map(|it| self.values[*it].version).collect();
        // A write that nobody read can come last if nothing must come after it.
        for (at, item) in self.items.iter().enumerate() {
            let is_unread = item.is_write && self.values[item.value].reads.is_empty();
            let is_after = |(other, it): (usize, &Item)| other != at && item.ended < it.began;
            // Items are sorted by their begin: looking at the last two is enough.
            let last = self.items.iter().enumerate().rev().take(2);
            if is_unread && !last.into_iter().any(is_after) {
                found.push(self.values[item.value].version);
            }
        }
        found.sort();
        found.dedup();
        Starts::OneOf(found)
    }
}

/// Which events are placed, and what the key holds after them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// All before this are placed; this is not.
    first: usize,
    /// Which of those from `first` on are placed, by bits.
    placed: u128,
    value: ValueId,
}

impl State {
    fn has(&self, at: usize) -> bool {
        at < self.first || (at - self.first < REACH && self.placed >> (at - self.first) & 1 == 1)
    }

    /// The state with one more event placed; `None` if it is out of reach.
    fn with(mut self, at: usize) -> Option<State> {
        if REACH <= at - self.first {
            return None;
        }
        self.placed |= 1 << (at - self.first);
        let done = self.placed.trailing_ones();
        self.first += done as usize;
        self.placed = self.placed.checked_shr(done).unwrap_or(0);
        Some(self)
    }
}

struct Search<'h> {
    history: &'h History,
    tried: HashSet<State, RandomState>,
    ahead: Vec<State>,
    ends: Vec<ValueId>,
    /// A bound was reached, so that not all orders have been tried.
    is_cut: bool,
}

impl Search<'_> {
    /// Places what can be placed at once, and branches where there is a choice.
    fn go_on(&mut self, mut state: State) {
        let history = self.history;
        loop {
            if state.first == history.items.len() {
                if !self.ends.contains(&state.value) {
                    self.ends.push(state.value);
                }
                return;
            }
            let is_read = |at: usize| {
                let item = &history.items[at];
                !item.is_write && item.value == state.value
            };
            let mut next = self.enabled(&state).find(|at| is_read(*at));
            if next.is_none() {
                if self.has_reads_left(&state) {
                    return;
                }
                let is_unread = |at: usize| {
                    let item = &history.items[at];
                    item.is_write && history.values[item.value].reads.is_empty()
                };
                next = self.enabled(&state).find(|at| is_unread(*at));
            }
            let Some(at) = next else { break };
            let Some(with) = state.with(at) else {
                self.is_cut = true;
                return;
            };
            state = with;
            state.value = history.items[at].value;
        }
        if !self.tried.insert(state) {
            return;
        }
        let writes: Vec<usize> =
            self.enabled(&state).filter(|at| history.items[*at].is_write).collect();
        for at in writes {
            match state.with(at) {
                Some(with) => {
                    let value = history.items[at].value;
                    self.ahead.push(State { value, ..with });
                }
                None => self.is_cut = true,
            }
        }
    }

    /// The events that may come next: none that is not placed ended before they began.
    fn enabled(&self, state: &State) -> impl Iterator<Item = usize> + use<'_> {
        let (items, state) = (&self.history.items, *state);
        let mut ended_first = u64::MAX;
        (state.first..items.len()).filter(move |at| !state.has(*at)).take_while(move |at| {
            let is_enabled = items[*at].began <= ended_first;
            ended_first = ended_first.min(items[*at].ended);
            is_enabled
        })
    }

    fn has_reads_left(&self, state: &State) -> bool {
        let reads = self.history.values[state.value].reads.iter().rev();
        reads.take_while(|at| state.first <= **at).any(|at| !state.has(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;
    use std::collections::BTreeSet;

    /// Every value the key may hold after some order, by trying all orders.
    fn by_all_orders(events: &[Event], held: Option<u64>, ends: &mut BTreeSet<Option<u64>>) {
        if events.iter().all(|it| matches!(it, Event::Write(it) if it.ended.is_none())) {
            ends.insert(held);
        }
        for (at, event) in events.iter().enumerate() {
            let must_wait = |other: &Event| match other {
                Event::Write(WriteEvent { ended: None, .. }) => false,
                other => other.place() < event.began(),
            };
            if events.iter().any(must_wait) {
                continue;
            }
            let next = match event {
                Event::Write(it) => Some(it.version),
                Event::Read(it) if it.version == held => held,
                Event::Read(_) => continue,
            };
            let mut rest = events.to_vec();
            rest.remove(at);
            by_all_orders(&rest, next, ends);
        }
    }

    fn random_history(random: &mut Random) -> Vec<Event> {
        let n = 1 + random.below(7);
        let event = |version: u64, random: &mut Random| {
            let began = random.below(20);
            let ended = began + random.below(8);
            let (client, key, target, is_confirmed) = (0, 0, 0, false);
            if random.below(2) == 0 {
                let ended = Some(ended).filter(|_| random.below(6) != 0);
                return Event::Write(WriteEvent {
                    client,
                    key,
                    version,
                    began,
                    ended,
                    is_confirmed,
                });
            }
            let version = Some(random.below(n)).filter(|it| *it != 0);
            Event::Read(ReadEvent { client, key, version, began, ended, target })
        };
        (1..=n).map(|version| event(version, random)).collect()
    }

    #[test]
    fn the_search_agrees_with_trying_all_orders() {
        let (mut possible, mut impossible) = (0, 0);
        for seed in 0..30_000 {
            let events = random_history(&mut Random::new(seed));
            let mut ends = BTreeSet::new();
            by_all_orders(&events, None, &mut ends);
            let answer = search(&events, &Starts::OneOf(vec![None]));
            if ends.is_empty() {
                assert_eq!(answer, Answer::Impossible, "seed {seed}: {events:?}");
                impossible += 1;
                continue;
            }
            possible += 1;
            let Answer::Possible(Starts::OneOf(found)) = answer else {
                panic!("seed {seed}: {answer:?} for {events:?}");
            };
            // What nobody has read of writes without an answer is left out by the search.
            let is_unread = |it: &Option<u64>| {
                let wrote = |event: &&Event| it.is_some() && event.version_written() == *it;
                let read = events.iter().any(|event| it.is_some() && event.version_read() == *it);
                let write = events.iter().find(wrote);
                !read && matches!(write, Some(Event::Write(it)) if it.ended.is_none())
            };
            ends.retain(|it| !is_unread(it));
            assert_eq!(found, Vec::from_iter(ends), "seed {seed}: {events:?}");
        }
        assert!(2_000 < possible && 2_000 < impossible, "{possible}, {impossible}");
    }

    #[test]
    fn an_unknown_start_may_be_any_one_value() {
        for seed in 0..10_000 {
            let events = random_history(&mut Random::new(seed));
            let starts = (0..9).map(|it| Some(it).filter(|it| *it != 0));
            let is_possible = starts.into_iter().any(|start| {
                // A start that is written too would not be unique.
                let is_written = events.iter().any(|it| it.version_written() == start);
                let mut ends = BTreeSet::new();
                if start.is_none() || !is_written {
                    by_all_orders(&events, start, &mut ends);
                }
                !ends.is_empty()
            });
            let answer = search(&events, &Starts::Any);
            assert_eq!(answer != Answer::Impossible, is_possible, "seed {seed}: {events:?}");
        }
    }

    #[test]
    fn many_writes_at_once_cost_little() {
        let write = |version| {
            let (client, key, began, ended) = (version as u32, 0, 0, Some(1_000));
            Event::Write(WriteEvent { client, key, version, began, ended, is_confirmed: false })
        };
        let events: Vec<Event> = (1..=100).map(write).collect();
        let Answer::Possible(Starts::OneOf(ends)) = search(&events, &Starts::Any) else {
            panic!("there is an order")
        };
        assert_eq!(ends.len(), 100);
        let too_many: Vec<Event> = (1..=300).map(write).collect();
        assert!(matches!(search(&too_many, &Starts::Any), Answer::Possible(_)));
    }
}
