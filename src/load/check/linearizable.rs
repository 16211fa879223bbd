//! Linearizability of single keys, window by window.
//!
//! Events of a key are kept until a moment at which none of its requests was under way; what is
//! before that moment is searched as one history, of which only the values that the key may hold
//! after it are remembered. A write without an answer is put into the window in which it is read
//! first: before that it has done nothing that anybody could tell.

use super::checks::CheckName;
use super::event::{Event, ReadEvent, WriteEvent};
use super::findings::Findings;
use super::keys::{KeyState, Keys, hasher};
use super::recent::{Known, Recent};
use super::search::{Answer, Starts, search};
use super::shrink::minimal;
use super::violation::FinalValue;
use ahash::RandomState;
use std::collections::{HashMap, HashSet};

/// Keys checked at most; events of others are counted as unknown.
const KEYS_CHECKED_MAX: usize = 1 << 14;
/// Events kept at most for all keys.
const EVENTS_MAX: usize = 1 << 18;
/// Events of a window at most.
const WINDOW_MAX: usize = 1 << 13;
/// Events of a key that are awaited before a window is looked for.
const WINDOW_MIN: usize = 64;
/// Writes without an answer that are kept per key at most; past it the key is given up.
const LOOSE_MAX: usize = 256;
/// A request that began before a moment should have been seen this long after it.
const GRACE_NS: u64 = 100_000_000;
/// When the values are read that the keys hold at the end.
const AT_THE_END: u64 = u64::MAX - 1;

/// What the key may hold before the events that are kept.
enum Start {
    Any,
    /// What these writes have left; `None` is no value.
    OneOf(Vec<Option<WriteEvent>>),
}

/// What is kept of one key.
struct History {
    start: Start,
    events: Vec<Event>,
    /// Writes that may take effect at any time, or never.
    loose: Vec<WriteEvent>,
    /// Everything up to this time has been decided.
    decided_until: u64,
    /// How many events are awaited.
    awaited: usize,
    is_given_up: bool,
}

impl History {
    fn new() -> History {
        History {
            start: Start::OneOf(vec![None]),
            events: Vec::new(),
            loose: Vec::new(),
            decided_until: 0,
            awaited: WINDOW_MIN,
            is_given_up: false,
        }
    }

    /// Lets the kept events go undecided.
    fn forget(&mut self) -> usize {
        self.start = Start::Any;
        self.decided_until =
            self.events.iter().map(Event::place).fold(self.decided_until, u64::max);
        self.awaited = WINDOW_MIN;
        std::mem::take(&mut self.events).len()
    }
}

/// The histories of all keys.
pub struct Linearizable {
    histories: HashMap<u64, History, RandomState>,
    kept: usize,
    /// Events of which it is not known whether they fit.
    pub unknown: u64,
}

impl Linearizable {
    /// No events yet.
    pub fn new() -> Linearizable {
        Linearizable { histories: HashMap::with_hasher(hasher()), kept: 0, unknown: 0 }
    }

    /// Takes an event of a key in; events come about in the order in which they ended.
    pub fn observe(
        &mut self,
        event: Event,
        key: u64,
        keys: &Keys,
        recent: &Recent,
        findings: &mut Findings,
    ) {
        let is_full = KEYS_CHECKED_MAX <= self.histories.len();
        if is_full && !self.histories.contains_key(&key) {
            self.unknown += 1;
            return;
        }
        let history = self.histories.entry(key).or_insert_with(History::new);
        if history.is_given_up {
            self.unknown += 1;
            return;
        }
        let is_late = event.began() <= history.decided_until && 0 < history.decided_until;
        match event {
            Event::Write(write) if is_late || write.ended.is_none() => {
                history.loose.push(write);
                if LOOSE_MAX < history.loose.len() {
                    history.is_given_up = true;
                    self.kept -= history.events.len();
                    self.unknown += history.forget() as u64;
                    history.loose = Vec::new();
                }
                return;
            }
            Event::Read(_) if is_late => {
                self.unknown += 1;
                return;
            }
            Event::Write(_) | Event::Read(_) => history.events.push(event),
        }
        self.kept += 1;
        let until = event.place().saturating_sub(GRACE_NS);
        if history.awaited <= history.events.len() {
            let Some(state) = keys.get(key) else { return };
            self.kept -= decide(history, state, recent, until, findings, &mut self.unknown);
        }
        if EVENTS_MAX < self.kept {
            self.sweep(until, keys, recent, findings);
        }
    }

    /// What a key holds when all writes have ended.
    pub fn final_value(
        &mut self,
        end: FinalValue,
        keys: &Keys,
        recent: &Recent,
        findings: &mut Findings,
    ) {
        let Some(history) = self.histories.get_mut(&end.key) else { return };
        let Some(state) = keys.get(end.key) else { return };
        if history.is_given_up {
            return;
        }
        let (began, ended) = (AT_THE_END, AT_THE_END);
        let read = ReadEvent {
            client: u32::MAX,
            key: end.key,
            version: end.version,
            began,
            ended,
            target: 0,
        };
        history.events.push(Event::Read(read));
        self.kept += 1;
        self.kept -= decide(history, state, recent, u64::MAX, findings, &mut self.unknown);
    }

    /// Decides what is left.
    pub fn finish(&mut self, keys: &Keys, recent: &Recent, findings: &mut Findings) {
        self.sweep(u64::MAX, keys, recent, findings);
    }

    /// Looks for windows of all keys; where that frees too little, events go undecided.
    fn sweep(&mut self, until: u64, keys: &Keys, recent: &Recent, findings: &mut Findings) {
        for (key, history) in &mut self.histories {
            let Some(state) = keys.get(*key) else { continue };
            self.kept -= decide(history, state, recent, until, findings, &mut self.unknown);
        }
        if self.kept <= EVENTS_MAX / 2 {
            return;
        }
        for history in self.histories.values_mut() {
            self.kept -= history.events.len();
            self.unknown += history.forget() as u64;
        }
    }
}

/// Decides all windows of a key that were over at `until` (all that is left, if that is the end of
/// time). Answers with how many events are not kept any more.
fn decide(
    history: &mut History,
    key: &KeyState,
    recent: &Recent,
    until: u64,
    findings: &mut Findings,
    unknown: &mut u64,
) -> usize {
    let before = history.events.len();
    if before == 0 {
        return 0;
    }
    history.events.sort_by_key(|it| (it.began(), it.place()));
    let is_end = until == u64::MAX;
    if is_end {
        let versions = Versions::of(history);
        history.events.retain(|it| versions.has(it, key, recent));
        *unknown += (before - history.events.len()) as u64;
    }
    let n = if is_end { history.events.len() } else { window(history, key, recent, until) };
    if n == 0 {
        history.awaited = (2 * before).max(WINDOW_MIN);
        if before <= WINDOW_MAX {
            return before - history.events.len();
        }
        *unknown += history.forget() as u64;
        return before;
    }
    let mut events: Vec<Event> = history.events.drain(..n).collect();
    history.decided_until = events.iter().map(Event::place).fold(history.decided_until, u64::max);
    history.awaited = (2 * history.events.len()).max(WINDOW_MIN);
    let read: HashSet<u64> = events.iter().filter_map(Event::version_read).collect();
    let is_read = |it: &&WriteEvent| read.contains(&it.version);
    events.extend(history.loose.iter().filter(is_read).map(|it| Event::Write(*it)));
    history.loose.retain(|it| !read.contains(&it.version));
    judge(history, &events, key, recent, findings, unknown);
    before - history.events.len()
}

fn judge(
    history: &mut History,
    events: &[Event],
    key: &KeyState,
    recent: &Recent,
    findings: &mut Findings,
    unknown: &mut u64,
) {
    let starts = match &history.start {
        Start::Any => Starts::Any,
        Start::OneOf(writes) => {
            Starts::OneOf(writes.iter().map(|it| it.map(|it| it.version)).collect())
        }
    };
    let answer = search(events, &starts);
    if answer == Answer::Unknown {
        *unknown += events.len() as u64;
        history.start = Start::Any;
        return;
    }
    findings.compared_all(CheckName::Linearizable, events.len() as u64);
    if answer == Answer::Impossible {
        let shown = if findings.is_wanted(CheckName::Linearizable) {
            contradiction(history, events, &starts, key, recent)
        } else {
            Vec::new()
        };
        let is_end = |it: &Event| it.began() == AT_THE_END;
        let end = shown.iter().find(|it| is_end(it)).and_then(|it| match it {
            Event::Read(it) => Some(FinalValue { key: it.key, version: it.version }),
            Event::Write(_) => None,
        });
        let shown = shown.into_iter().filter(|it| !is_end(it)).collect();
        findings.violated(CheckName::Linearizable, shown, end);
    }
    history.start = match answer {
        Answer::Possible(Starts::OneOf(ends)) => {
            let write = |version: &Option<u64>| {
                version.map(|version| write_of(history, events, version)).unwrap_or(Some(None))
            };
            let writes: Option<Vec<Option<WriteEvent>>> = ends.iter().map(write).collect();
            writes.map_or(Start::Any, Start::OneOf)
        }
        Answer::Possible(Starts::Any) | Answer::Impossible | Answer::Unknown => Start::Any,
    };
}

/// The write of a version that the key may hold after the events.
fn write_of(history: &History, events: &[Event], version: u64) -> Option<Option<WriteEvent>> {
    let of_events = events.iter().find_map(|it| match it {
        Event::Write(it) if it.version == version => Some(*it),
        Event::Write(_) | Event::Read(_) => None,
    });
    let of_start = || match &history.start {
        Start::OneOf(writes) => writes.iter().flatten().find(|it| it.version == version).copied(),
        Start::Any => None,
    };
    of_events.or_else(of_start).map(Some)
}

/// The smallest part of the events, and of the writes before them, that has no order.
fn contradiction(
    history: &History,
    events: &[Event],
    starts: &Starts,
    key: &KeyState,
    recent: &Recent,
) -> Vec<Event> {
    let before: Vec<Event> = match &history.start {
        Start::Any => Vec::new(),
        Start::OneOf(writes) => writes.iter().flatten().map(|it| Event::Write(*it)).collect(),
    };
    // With the writes of all that was read, the events speak for themselves.
    let mut whole = [&before, events].concat();
    let written: HashSet<u64> = whole.iter().filter_map(Event::version_written).collect();
    let old: HashSet<u64> =
        events.iter().filter_map(Event::version_read).filter(|it| !written.contains(it)).collect();
    let mut lacks = HashSet::new();
    for version in old {
        match recent.find(events[0].key(), key, version) {
            Known::Written(write) => whole.push(Event::Write(write)),
            Known::NotWritten | Known::Forgotten => {
                lacks.insert(version);
            }
        }
    }
    whole.retain(|it| it.version_read().is_none_or(|it| !lacks.contains(&it)));
    if search(&whole, &Starts::Any) == Answer::Impossible {
        return minimal(&whole, &Starts::Any);
    }
    [before, minimal(events, starts)].concat()
}

/// How many of the events, which are sorted by their begin, were over at a moment before `until` at
/// which no request of the key was under way.
fn window(history: &History, key: &KeyState, recent: &Recent, until: u64) -> usize {
    let versions = Versions::of(history);
    let (mut n, mut over) = (0, 0);
    for (at, event) in history.events.iter().enumerate() {
        if over < event.began() && event.began() <= until {
            n = at;
        }
        // A value whose write is not known may yet turn out to have been written.
        if !versions.has(event, key, recent) {
            return n;
        }
        over = over.max(event.place());
    }
    if over < until { history.events.len() } else { n }
}

/// The versions that a key may hold within the kept events.
struct Versions(HashSet<u64>);

impl Versions {
    fn of(history: &History) -> Versions {
        let mut versions: HashSet<u64> =
            history.events.iter().filter_map(Event::version_written).collect();
        versions.extend(history.loose.iter().map(|it| it.version));
        if let Start::OneOf(writes) = &history.start {
            versions.extend(writes.iter().flatten().map(|it| it.version));
        }
        Versions(versions)
    }

    /// Whether the event is no read, or it is known who wrote what it read.
    fn has(&self, event: &Event, key: &KeyState, recent: &Recent) -> bool {
        let Some(version) = event.version_read() else { return true };
        self.0.contains(&version)
            || matches!(recent.find(event.key(), key, version), Known::Written(_))
    }
}
