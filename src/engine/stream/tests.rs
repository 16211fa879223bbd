//! Streams against a plain model.

use super::*;
use crate::base::time::WallMs;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Entries in a map, pending in a map: what a stream is without its forms.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<StreamId, Fields>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    group_last_id: StreamId,
    pending: BTreeMap<StreamId, (i64, u64, &'static str)>,
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, Fields),
    Delete(usize),
    Trim(u64),
    TrimFrom(u64),
    Deliver(&'static str, usize),
    Acknowledge(usize),
    Claim(&'static str, usize, i64),
    AutoClaim(&'static str, usize, usize),
    DeleteConsumer(&'static str),
    Copy,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ab]{0,2}".prop_map(String::into_bytes),
        any::<i64>().prop_map(|it| it.to_string().into_bytes()),
        (0..90_usize).prop_map(|it| vec![b'x'; it]),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    prop_oneof![
        text().prop_map(|value| vec![(b"a".to_vec(), value)]),
        (text(), text()).prop_map(|(one, two)| vec![(b"a".to_vec(), one), (b"7".to_vec(), two)]),
        proptest::collection::vec((text(), text()), 1..4),
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("alice"), Just("bob"), Just("carol")]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_u64, fields()).prop_map(|(ms, fields)| Step::Add(ms, fields)),
        3 => any::<usize>().prop_map(Step::Delete),
        1 => (0..40_u64).prop_map(Step::Trim),
        1 => (0..30_u64).prop_map(Step::TrimFrom),
        4 => (name(), 1..6_usize).prop_map(|(name, count)| Step::Deliver(name, count)),
        2 => any::<usize>().prop_map(Step::Acknowledge),
        2 => (name(), any::<usize>(), 0..4_i64).prop_map(|(name, at, idle)| {
            Step::Claim(name, at, idle)
        }),
        1 => (name(), any::<usize>(), 1..4_usize).prop_map(|(name, at, count)| {
            Step::AutoClaim(name, at, count)
        }),
        1 => name().prop_map(Step::DeleteConsumer),
        1 => Just(Step::Copy),
    ]
}

fn limits() -> impl Strategy<Value = NodeLimits> {
    let (bytes, entries) = (prop_oneof![Just(0), Just(60), Just(4096)], 0..12_usize);
    (bytes, entries).prop_map(|(bytes, entries)| NodeLimits { bytes, entries })
}

fn nth(ids: impl Iterator<Item = StreamId>, at: usize) -> Option<StreamId> {
    let ids: Vec<_> = ids.collect();
    if ids.is_empty() { None } else { Some(ids[at % ids.len()]) }
}

fn consumer(group: &mut Group, name: &str, now: WallMs) -> ConsumerId {
    let name = name.as_bytes();
    group.find_consumer(name).or_else(|| group.create_consumer(name, now)).expect("there")
}

impl Model {
    fn trim(&mut self, keep: impl Fn(&Model, StreamId) -> bool) -> u64 {
        let mut gone = 0;
        while let Some((id, _)) = self.entries.first_key_value().filter(|it| !keep(self, *it.0)) {
            let id = *id;
            self.entries.remove(&id);
            gone += 1;
        }
        gone
    }

    fn claim(&mut self, id: StreamId, name: &'static str, idle_ms: i64, now: WallMs) -> &str {
        let Some((delivered_ms, count, _)) = self.pending.get(&id).copied() else { return "no" };
        if !self.entries.contains_key(&id) {
            self.pending.remove(&id);
            return "dropped";
        }
        if now.0 as i64 - delivered_ms < idle_ms {
            return "no";
        }
        self.pending.insert(id, (now.0 as i64, count + 1, name));
        "taken"
    }
}

fn told(claimed: Claimed) -> &'static str {
    match claimed {
        Claimed::Nothing => "no",
        Claimed::Dropped(_) => "dropped",
        Claimed::Taken(_) => "taken",
    }
}

fn apply(stream: &mut Stream, model: &mut Model, step: Step, limits: &NodeLimits, now: WallMs) {
    let Stream { entries, groups } = stream;
    let group = groups.get_mut(b"g").expect("created first");
    match step {
        Step::Add(ms, fields) => {
            let asked = AddId::NextOf(model.last_id.ms + ms);
            let id = entries.next_id(asked, now).expect("greater");
            assert!(model.last_id < id && id.ms == model.last_id.ms + ms);
            let each = fields.iter().map(|(name, value)| (&name[..], &value[..]));
            entries.add(id, each, limits).expect("small");
            model.entries.insert(id, fields);
            (model.last_id, model.added) = (id, model.added + 1);
        }
        Step::Delete(at) => {
            let Some(id) = nth(model.entries.keys().copied(), at) else { return };
            assert!(entries.delete(id) && !entries.delete(id));
            model.entries.remove(&id);
            model.max_deleted_id = model.max_deleted_id.max(id);
        }
        Step::Trim(length) => {
            let about = entries.clone().trim_about(Trim::Length(length), 0);
            let trimmed = entries.trim(Trim::Length(length));
            assert!(about.entries <= trimmed.entries);
            let gone = model.trim(|it, _| it.entries.len() as u64 <= length);
            assert_eq!(trimmed.entries, gone);
        }
        Step::TrimFrom(ms) => {
            let from = StreamId::new(ms, 1);
            let about = entries.clone().trim_about(Trim::From(from), 0);
            let trimmed = entries.trim(Trim::From(from));
            assert!(about.entries <= trimmed.entries);
            assert_eq!(trimmed.entries, model.trim(|_, id| from <= id));
        }
        Step::Deliver(name, count) => {
            let consumer = consumer(group, name, now);
            let rules = Rules::Redis72;
            let delivered = group.deliver(entries, consumer, count, Acks::Wanted, now, rules);
            let after = model.group_last_id;
            let new = model.entries.keys().copied().filter(|it| after < *it).take(count);
            let new: Vec<_> = new.collect();
            assert_eq!(delivered.map_or(0, |it| it.count), new.len());
            for id in new {
                model.group_last_id = id;
                model.pending.insert(id, (now.0 as i64, 1, name));
            }
        }
        Step::Acknowledge(at) => {
            let Some(id) = nth(model.pending.keys().copied(), at) else { return };
            assert!(group.acknowledge(id) && !group.acknowledge(id));
            model.pending.remove(&id);
        }
        Step::Claim(name, at, idle_ms) => {
            let Some(id) = nth(model.pending.keys().copied(), at) else { return };
            let consumer = consumer(group, name, now);
            let claim = Claim::new(idle_ms, Deliveries::Count, now);
            let claimed = group.claim(entries, consumer, id, &claim, now);
            assert_eq!(told(claimed), model.claim(id, name, idle_ms, now));
        }
        Step::AutoClaim(name, at, count) => {
            let start = nth(model.pending.keys().copied(), at).unwrap_or_default();
            let consumer = consumer(group, name, now);
            let claim = Claim::new(2, Deliveries::Count, now);
            let asked = AutoClaim { start, count, claim };
            let result = group.auto_claim(entries, consumer, &asked, now);
            let ids: Vec<_> = model.pending.range(start..).map(|it| *it.0).collect();
            let (mut claimed, mut looked) = (Vec::new(), 0);
            for id in ids.iter().take(10 * count) {
                if claimed.len() == count {
                    break;
                }
                looked += 1;
                let outcome = model.claim(*id, name, 2, now);
                if outcome != "no" {
                    claimed.push((*id, outcome.to_string()));
                }
            }
            let ours = result.claimed.iter().map(|it| (it.0, told(it.1).to_string()));
            assert_eq!(ours.collect::<Vec<_>>(), claimed);
            assert_eq!(result.next, ids.get(looked).copied().unwrap_or_default());
        }
        Step::DeleteConsumer(name) => {
            let deleted = group.delete_consumer(name.as_bytes());
            let before = model.pending.len();
            model.pending.retain(|_, it| it.2 != name);
            assert_eq!(deleted.map_or(0, |it| it.0), before - model.pending.len());
        }
        Step::Copy => {}
    }
}

fn shown(entry: &Entry<'_>) -> (StreamId, Fields) {
    let fields =
        entry.fields().map(|(name, value)| (name.text().into_owned(), value.text().into_owned()));
    (entry.id, fields.collect())
}

fn agrees(stream: &Stream, model: &Model) {
    let Stream { entries, groups } = stream;
    let wanted: Vec<_> = model.entries.iter().map(|(id, it)| (*id, it.clone())).collect();
    let all: Vec<_> = entries.range(StreamId::MIN, StreamId::MAX).map(|it| shown(&it)).collect();
    assert_eq!(all, wanted);
    let back = entries.range_back(StreamId::MIN, StreamId::MAX).map(|it| shown(&it));
    assert_eq!(back.collect::<Vec<_>>(), wanted.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(entries.len(), model.entries.len() as u64);
    assert_eq!((entries.last_id(), entries.added()), (model.last_id, model.added));
    assert_eq!(entries.max_deleted_id(), model.max_deleted_id);
    assert_eq!(entries.first_id(), wanted.first().map_or(StreamId::MIN, |it| it.0));
    let group = groups.get(b"g").expect("created first");
    let pending = group.pending_iter().map(|(id, it)| {
        let name = group.consumer(it.consumer).name();
        (id, (it.delivered_ms, it.deliveries, String::from_utf8_lossy(name).into_owned()))
    });
    let wanted = model.pending.iter().map(|(id, it)| (*id, (it.0, it.1, it.2.to_string())));
    assert_eq!(pending.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    for (id, consumer) in group.consumers().iter() {
        let wanted = group.pending_iter().filter(|it| it.1.consumer == id).map(|it| it.0);
        assert_eq!(consumer.ids().collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn a_stream_behaves_as_maps(
        limits in limits(),
        steps in proptest::collection::vec(step(), 1..150),
        probes in proptest::collection::vec((0..80_u64, 0..3_u64, 0..80_u64, 0..3_u64), 6),
    ) {
        let (mut stream, mut model) = (Stream::default(), Model::default());
        stream.groups.create(b"g", StreamId::MIN, Some(0));
        let mut copies = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            if matches!(step, Step::Copy) {
                copies.push((stream.clone(), model.clone()));
            }
            apply(&mut stream, &mut model, step, &limits, WallMs(1000 + at as u64));
        }
        copies.push((stream, model));
        for (stream, model) in &copies {
            agrees(stream, model);
            for (ms, seq, to_ms, to_seq) in &probes {
                let (from, to) = (StreamId::new(*ms, *seq), StreamId::new(*to_ms, *to_seq));
                let is_in = |it: &StreamId| from <= *it && *it <= to;
                let wanted: Vec<_> = model.entries.keys().copied().filter(is_in).collect();
                let found = stream.entries.range(from, to).map(|it| it.id);
                prop_assert_eq!(found.collect::<Vec<_>>(), wanted.clone());
                let mut found: Vec<_> =
                    stream.entries.range_back(from, to).map(|it| it.id).collect();
                found.reverse();
                prop_assert_eq!(found, wanted);
                let got = stream.entries.get(from).map(|it| it.id);
                prop_assert_eq!(got.is_some(), model.entries.contains_key(&from));
            }
        }
    }
}

fn long(count: u64) -> Stream {
    let mut stream = Stream::default();
    for ms in 1..=count {
        let fields = [(&b"field"[..], &b"value"[..])];
        let id = StreamId::new(ms, 0);
        stream.entries.add(id, fields.into_iter(), &NodeLimits::default()).expect("small");
    }
    stream
}

#[test]
fn a_million_entries_go_at_once_and_are_freed_elsewhere() {
    let mut stream = long(200_000);
    let nodes = stream.entries.node_count();
    let copy = stream.clone();
    let trimmed = stream.entries.trim(Trim::Length(50));
    assert_eq!((trimmed.entries, stream.len()), (199_950, 50));
    assert!(nodes <= trimmed.gone.len() + 1);
    assert_eq!((copy.len(), copy.entries.first().map(|it| it.id.ms)), (200_000, Some(1)));
    let trimmed = stream.entries.trim(Trim::From(StreamId::new(199_990, 0)));
    assert_eq!((trimmed.entries, stream.len()), (39, 11));
}

#[test]
fn what_is_read_is_counted_as_long_as_nothing_is_missing() {
    let mut stream = long(10);
    let now = WallMs(5);
    stream.groups.create(b"g", StreamId::MIN, None);
    let Stream { entries, groups } = &mut stream;
    let group = groups.get_mut(b"g").expect("there");
    assert_eq!(group.lag(entries, Rules::Redis72), Some(10));
    let consumer = group.create_consumer(b"c", now).expect("new");
    let deliver = |entries: &Entries, group: &mut Group, count| {
        group.deliver(entries, consumer, count, Acks::Unwanted, now, Rules::Redis72)
    };
    deliver(entries, group, 3);
    assert_eq!((group.entries_read, group.lag(entries, Rules::Redis72)), (Some(3), Some(7)));
    entries.delete(StreamId::new(6, 0));
    assert_eq!(group.lag(entries, Rules::Redis72), None);
    deliver(entries, group, 100);
    assert_eq!((group.entries_read, group.lag(entries, Rules::Redis72)), (Some(10), Some(0)));
    assert_eq!(group.pending(), 0);
}

#[test]
fn the_handle_of_a_stream_is_small_enough_for_a_box() {
    assert!(size_of::<Stream>() <= 144, "{}", size_of::<Stream>());
}

/// What a replica does with the effects of [`Group::deliver`] and [`Group::claim`].
fn repeat(group: &mut Group, entries: &Entries, id: StreamId, told: &Pending, name: &[u8]) {
    let now = WallMs(0);
    let consumer = group.find_consumer(name).or_else(|| group.create_consumer(name, now));
    let consumer = consumer.expect("there");
    let claim = Claim {
        min_idle_ms: 0,
        delivered_ms: told.delivered_ms,
        deliveries: Deliveries::Set(told.deliveries),
        unknown: Unknown::Create,
    };
    group.claim(entries, consumer, id, &claim, now);
}

#[test]
fn effects_give_a_replica_the_same_group() {
    let mut stream = long(30);
    stream.groups.create(b"g", StreamId::MIN, Some(0));
    let mut replica = stream.clone();
    let Stream { entries, groups } = &mut stream;
    let (group, copy) = (groups.get_mut(b"g"), replica.groups.get_mut(b"g"));
    let (group, copy) = (group.expect("there"), copy.expect("there"));
    let (alice, bob) = (consumer(group, "alice", WallMs(1)), consumer(group, "bob", WallMs(1)));
    for (who, now) in [(alice, 10), (bob, 20), (alice, 30)] {
        let rules = Rules::Redis72;
        let delivered = group.deliver(entries, who, 7, Acks::Wanted, WallMs(now), rules);
        let delivered = delivered.expect("there are more");
        for entry in entries.range(delivered.from, delivered.to) {
            let told = *group.pending_of(entry.id).expect("delivered");
            repeat(copy, entries, entry.id, &told, group.consumer(who).name());
        }
        copy.set_id(group.last_id, group.entries_read);
    }
    entries.delete(StreamId::new(3, 0));
    entries.delete(StreamId::new(15, 0));
    let claim = Claim::new(5, Deliveries::Count, WallMs(40));
    let asked = AutoClaim { start: StreamId::MIN, count: 16, claim };
    let result = group.auto_claim(entries, bob, &asked, WallMs(40));
    assert_eq!((result.claimed.len(), result.next), (16, StreamId::new(17, 0)));
    for (id, claimed) in result.claimed {
        let (Claimed::Taken(told) | Claimed::Dropped(told)) = claimed else { continue };
        repeat(copy, entries, id, &told, group.consumer(told.consumer).name());
    }
    let all = |group: &Group| -> Vec<_> {
        let each = group.pending_iter().map(|(id, it)| {
            (id, it.delivered_ms, it.deliveries, group.consumer(it.consumer).name().to_vec())
        });
        each.collect()
    };
    assert_eq!(all(group), all(copy));
    assert_eq!((group.last_id, group.entries_read), (copy.last_id, copy.entries_read));
}
