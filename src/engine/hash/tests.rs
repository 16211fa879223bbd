//! A hash against an ordered map, on both sides of the thresholds.

use super::*;
use crate::engine::{Engine, Thresholds};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-f]{1,2}".prop_map(String::into_bytes),
        (-20..200_i64).prop_map(|it| it.to_string().into_bytes()),
        (0..12_usize).prop_map(|it| vec![b'x'; it]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (text(), text()).prop_map(|(field, value)| Step::Set(field, value)),
        1 => text().prop_map(Step::Remove),
    ]
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn agrees(hash: &Hash, model: &Model, shared: &EngineShared) {
    assert_eq!(hash.len(), model.len());
    let owned = |(field, value): Entry<'_>| (field.text().into_owned(), value.text().into_owned());
    assert_eq!(&hash.iter().map(owned).collect::<Model>(), model);
    for (field, value) in model {
        let found = hash.get(field, shared).expect("what is in the model");
        assert_eq!(&*found.text(), value);
    }
    assert!(!hash.has(b"not there", shared));
    let (mut met, mut from) = (Vec::new(), Some(0));
    while from.is_some() {
        from = hash.scan(from, 3, |it| met.push(owned(it)));
    }
    assert_eq!(met.len(), model.len());
    assert_eq!(&met.into_iter().collect::<Model>(), model);
}

proptest! {
    #[test]
    fn a_hash_holds_what_a_map_holds(
        steps in proptest::collection::vec(step(), 1..80),
        hash_entries in 0..30_usize,
        hash_value in 1..12_usize,
    ) {
        let thresholds = Thresholds { hash_entries, hash_value, ..Thresholds::default() };
        let engine = Engine::new(7, thresholds);
        let shared = engine.shared();
        let (mut hash, mut model, mut large) = (Hash::default(), Model::new(), false);
        for step in steps {
            match step {
                Step::Set(field, value) => {
                    let created = hash.set(&field, &value, shared);
                    large |= hash_value < field.len().max(value.len());
                    prop_assert_eq!(created, model.insert(field, value).is_none());
                    large |= hash_entries < model.len();
                }
                Step::Remove(field) => {
                    prop_assert_eq!(hash.remove(&field, shared), model.remove(&field).is_some());
                }
            }
            agrees(&hash, &model, shared);
            prop_assert_eq!(hash.encoding(), if large { "hashtable" } else { "listpack" });
        }
    }
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
    hash.remove(b"b", shared);
    let fields = hash.iter().map(|it| it.0.text().into_owned());
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
