//! A hash against an ordered map, on both sides of the thresholds, while its fields expire.

use super::*;
use crate::engine::{Engine, Thresholds};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, Vec<u8>),
    SetUntil(Vec<u8>, Vec<u8>, u64),
    Deadline(Vec<u8>, Option<u64>),
    Remove(Vec<u8>),
    RemoveDue(Vec<u8>),
    TakeDue,
    Later(u64),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-f]{1,2}".prop_map(String::into_bytes),
        (-20..200_i64).prop_map(|it| it.to_string().into_bytes()),
        (0..12_usize).prop_map(|it| vec![b'x'; it]),
    ]
}

fn lasting_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (text(), text()).prop_map(|(field, value)| Step::Set(field, value)),
        1 => text().prop_map(Step::Remove),
    ]
}

/// Of few fields and moments, so that they meet.
fn timed_step() -> impl Strategy<Value = Step> {
    let field = || "[a-f]{1}".prop_map(String::into_bytes);
    let at = || 1..40_u64;
    prop_oneof![
        2 => (field(), text()).prop_map(|(field, value)| Step::Set(field, value)),
        3 => (field(), text(), at()).prop_map(|(it, value, at)| Step::SetUntil(it, value, at)),
        3 => (field(), prop::option::weighted(0.7, at()))
            .prop_map(|(it, at)| Step::Deadline(it, at)),
        2 => field().prop_map(Step::Remove),
        2 => field().prop_map(Step::RemoveDue),
        1 => Just(Step::TakeDue),
        2 => (1..6_u64).prop_map(Step::Later),
    ]
}

/// Values with their deadlines.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<WallMs>)>;

fn is_live(at: Option<WallMs>, now: WallMs) -> bool {
    at.is_none_or(|at| now <= at)
}

fn agrees(hash: &Hash, model: &Model, shared: &EngineShared, now: WallMs) {
    assert_eq!(hash.len(), model.len());
    let owned = |(field, value): Entry<'_>| (field.text().into_owned(), value.text().into_owned());
    let all = hash.iter_timed().map(|(it, at)| {
        let (field, value) = owned(it);
        (field, (value, at))
    });
    assert_eq!(&all.collect::<Model>(), model);
    let live: BTreeMap<Vec<u8>, Vec<u8>> = model
        .iter()
        .filter(|(_, (_, at))| is_live(*at, now))
        .map(|(field, (value, _))| (field.clone(), value.clone()))
        .collect();
    assert_eq!(hash.iter(now).map(owned).collect::<BTreeMap<_, _>>(), live);
    assert_eq!(hash.live_len(now), live.len());
    assert_eq!(hash.any_live(now), !live.is_empty());
    assert_eq!(hash.any_due(now), live.len() != model.len());
    assert_eq!(hash.next_deadline(), model.values().filter_map(|it| it.1).min());
    for (field, (value, at)) in model {
        let found = hash.get(field, shared, now).map(|it| it.text().into_owned());
        assert_eq!(found, is_live(*at, now).then(|| value.clone()));
        assert_eq!(hash.deadline(field, shared), *at);
    }
    assert!(!hash.has(b"not there", shared, now));
    let (mut met, mut from) = (Vec::new(), Some(0));
    while from.is_some() {
        from = hash.scan(from, 3, now, |it| met.push(owned(it)));
    }
    assert_eq!(met.len(), live.len());
    assert_eq!(met.into_iter().collect::<BTreeMap<_, _>>(), live);
    chosen_agree(hash, &live, now);
}

fn chosen_agree(hash: &Hash, live: &BTreeMap<Vec<u8>, Vec<u8>>, now: WallMs) {
    let mut random = Random::new(1);
    let chosen = hash.random(&mut random, now).map(|it| it.0.text().into_owned());
    assert_eq!(chosen.is_some(), !live.is_empty());
    assert!(chosen.is_none_or(|it| live.contains_key(&it)));
    for count in [0, 1, live.len() / 2, live.len(), live.len() + 3] {
        let mut names = Vec::new();
        let note = |it: Entry<'_>| names.push(it.0.text().into_owned());
        hash.sample(count, &mut random, now, note);
        assert_eq!(names.len(), count.min(live.len()));
        assert!(names.iter().all(|it| live.contains_key(it)));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}

/// Does a step to both, and answers the time behind it.
fn take(step: Step, hash: &mut Hash, model: &mut Model, engine: &Engine, now: WallMs) -> WallMs {
    let shared = engine.shared();
    match step {
        Step::Set(field, value) => {
            let created = hash.set(&field, &value, shared);
            assert_eq!(created, model.insert(field, (value, None)).is_none());
        }
        Step::SetUntil(field, value, at) => {
            let at = Some(WallMs(at));
            let created = hash.set_until(&field, &value, at, shared);
            assert_eq!(created, model.insert(field, (value, at)).is_none());
        }
        Step::Deadline(field, at) => {
            let at = at.map(WallMs);
            // What is there is given one, and nothing else.
            if let Some(found) = model.get_mut(&field) {
                found.1 = at;
                hash.set_deadline(&field, at, shared);
            }
        }
        Step::Remove(field) => {
            let is_there = model.get(&field).is_some_and(|it| is_live(it.1, now));
            assert_eq!(hash.remove(&field, shared, now), is_there);
            if is_there {
                model.remove(&field);
            }
        }
        Step::RemoveDue(field) => {
            let is_due = model.get(&field).is_some_and(|it| !is_live(it.1, now));
            assert_eq!(hash.remove_due(&field, shared, now), is_due);
            if is_due {
                model.remove(&field);
            }
        }
        Step::TakeDue => {
            let earliest = model.values().filter_map(|it| it.1).min().filter(|it| *it < now);
            let taken = hash.take_due(now);
            assert_eq!(taken.is_some(), earliest.is_some());
            if let Some(field) = taken {
                assert_eq!(model.remove(&*field).and_then(|it| it.1), earliest);
            }
        }
        Step::Later(ms) => return WallMs(now.0 + ms),
    }
    now
}

proptest! {
    #[test]
    fn a_hash_holds_what_a_map_holds(
        steps in proptest::collection::vec(lasting_step(), 1..80),
        hash_entries in 0..30_usize,
        hash_value in 1..12_usize,
    ) {
        let thresholds = Thresholds { hash_entries, hash_value, ..Thresholds::default() };
        let engine = Engine::new(7, thresholds);
        let (mut hash, mut model, mut large) = (Hash::default(), Model::new(), false);
        for step in steps {
            if let Step::Set(field, value) = &step {
                large |= hash_value < field.len().max(value.len());
            }
            take(step, &mut hash, &mut model, &engine, WallMs(1));
            large |= hash_entries < model.len();
            agrees(&hash, &model, engine.shared(), WallMs(1));
            prop_assert_eq!(hash.encoding(), if large { "hashtable" } else { "listpack" });
        }
    }

    #[test]
    fn fields_are_there_until_their_deadlines(
        steps in proptest::collection::vec(timed_step(), 1..120),
    ) {
        let engine = Engine::new(7, Thresholds::default());
        let (mut hash, mut model, mut now) = (Hash::default(), Model::new(), WallMs(1));
        for step in steps {
            now = take(step, &mut hash, &mut model, &engine, now);
            agrees(&hash, &model, engine.shared(), now);
            // At a replica, which hides nothing, all are there.
            prop_assert_eq!(hash.live_len(WallMs::NEVER_EXPIRES), model.len());
            prop_assert_eq!(hash.clone().next_deadline(), hash.next_deadline());
        }
    }
}

#[test]
fn deadlines_are_counted_as_memory_and_given_back() {
    let engine = Engine::new(7, Thresholds { hash_entries: 0, ..Thresholds::default() });
    let (shared, mut hash) = (engine.shared(), Hash::default());
    let names: Vec<String> = (0..1000).map(|it| format!("field{it}")).collect();
    for name in &names {
        hash.set(name.as_bytes(), b"value", shared);
    }
    let without = hash.bytes();
    for name in &names {
        hash.set_deadline(name.as_bytes(), Some(WallMs(9)), shared);
    }
    // Eight bytes beside the value, and an entry of the index for each.
    assert!(without + 1000 * (8 + 20) <= hash.bytes(), "{without} {}", hash.bytes());
    assert_eq!((hash.copy_cost(), hash.free_cost()), (2000, 2000));
    for name in &names {
        hash.set_deadline(name.as_bytes(), None, shared);
    }
    assert_eq!((hash.bytes(), hash.copy_cost()), (without, 1000));
}

#[test]
fn a_field_is_chosen_among_many_that_have_expired() {
    let engine = Engine::new(7, Thresholds::default());
    let (shared, mut hash, mut random) = (engine.shared(), Hash::default(), Random::new(3));
    for name in 0..5000 {
        hash.set_until(format!("f{name}").as_bytes(), b"v", Some(WallMs(5)), shared);
    }
    assert!(hash.random(&mut random, WallMs(6)).is_none());
    hash.set(b"stays", b"v", shared);
    let chosen = hash.random(&mut random, WallMs(6)).expect("one is left");
    assert_eq!(&*chosen.0.text(), b"stays");
}

#[test]
fn a_packed_hash_keeps_the_order_in_which_its_fields_came() {
    let engine = Engine::new(7, Thresholds::default());
    let shared = engine.shared();
    let mut hash = Hash::default();
    for field in ["c", "a", "b", "10", "d"] {
        hash.set(field.as_bytes(), b"1", shared);
    }
    hash.set(b"a", b"a longer value", shared);
    hash.remove(b"b", shared, WallMs(1));
    let fields = hash.iter(WallMs(1)).map(|it| it.0.text().into_owned());
    assert_eq!(fields.collect::<Vec<_>>(), [&b"c"[..], b"a", b"10", b"d"]);
}

#[test]
fn a_lowered_limit_counts_from_the_next_change_on() {
    let mut engine = Engine::new(7, Thresholds::default());
    let mut hash = Hash::default();
    for field in [b"a", b"b", b"c"] {
        hash.set(field, b"1", engine.shared());
    }
    engine.shared_mut().thresholds.hash_entries = 3;
    hash.set(b"a", b"2", engine.shared());
    assert_eq!(hash.encoding(), "listpack");
    engine.shared_mut().thresholds.hash_entries = 2;
    assert!(!hash.set(b"a", b"3", engine.shared()));
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 3));
}
