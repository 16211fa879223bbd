//! A set against an ordered set, on both sides of the thresholds.

use super::*;
use crate::engine::{Engine, Thresholds};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<Vec<u8>>),
    Remove(Vec<u8>),
    Pop(u64),
    PopMany(usize, u64),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (-20..60_i64).prop_map(|it| it.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|it| (it >> (it & 63)).to_string().into_bytes()),
        1 => "[a-f]{0,2}".prop_map(String::into_bytes),
        1 => (8..14_usize).prop_map(|it| vec![b'x'; it]),
        1 => Just(b"007".to_vec()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec(text(), 1..4).prop_map(Step::Add),
        3 => text().prop_map(Step::Remove),
        1 => any::<u64>().prop_map(Step::Pop),
        1 => (0..40_usize, any::<u64>()).prop_map(|(count, seed)| Step::PopMany(count, seed)),
    ]
}

fn thresholds() -> impl Strategy<Value = Thresholds> {
    (0..40_usize, 0..30_usize, 1..14_usize).prop_map(|(ints, entries, value)| Thresholds {
        set_intset_entries: ints,
        set_entries: entries,
        set_value: value,
        ..Thresholds::default()
    })
}

type Model = BTreeSet<Vec<u8>>;

fn owned(member: Element<'_>) -> Vec<u8> {
    member.text().into_owned()
}

fn model_of(set: &Set) -> Model {
    set.iter().map(owned).collect()
}

fn agrees(set: &Set, model: &Model, shared: &EngineShared) {
    assert_eq!(set.len(), model.len());
    assert_eq!(&model_of(set), model);
    assert!(model.iter().all(|it| set.has(Element::Text(it), shared)));
    assert!(model.iter().all(|it| set.has(Element::of(it), shared)));
    assert!(!set.has(Element::Text(b"not there"), shared));
    assert_eq!(set.has(Element::Int(77), shared), model.contains(&b"77"[..]));
    let (mut met, mut from) = (Vec::new(), Some(0));
    while from.is_some() {
        from = set.scan(from, 3, |it| met.push(owned(it)));
    }
    assert_eq!(met.len(), model.len());
    assert_eq!(&met.into_iter().collect::<Model>(), model);
}

fn all_ints(model: &Model) -> bool {
    model.iter().all(|it| matches!(Element::of(it), Element::Int(_)))
}

fn run(set: &mut Set, model: &mut Model, step: Step, shared: &EngineShared) {
    match step {
        Step::Add(members) => {
            let before = model.len();
            let added = set.add_all(members.iter().map(Vec::as_slice), shared);
            model.extend(members);
            assert_eq!(added, model.len() - before);
        }
        Step::Remove(member) => {
            assert_eq!(set.remove(Element::Text(&member), shared), model.remove(&member));
        }
        Step::Pop(seed) => {
            let popped = set.pop(&mut Random::new(seed), owned);
            assert_eq!(popped.is_none(), model.is_empty());
            assert!(popped.is_none_or(|it| model.remove(&it)));
        }
        Step::PopMany(count, seed) if count < model.len() => {
            let mut popped = Vec::new();
            set.pop_many(count, &mut Random::new(seed), shared, |it| popped.push(owned(it)));
            assert_eq!(popped.len(), count);
            assert!(popped.iter().all(|it| model.remove(it)));
        }
        Step::PopMany(..) => {}
    }
}

proptest! {
    #[test]
    fn a_set_holds_what_an_ordered_set_holds(
        steps in proptest::collection::vec(step(), 1..80),
        thresholds in thresholds(),
    ) {
        let engine = Engine::new(7, thresholds);
        let shared = engine.shared();
        let (mut set, mut model) = (Set::default(), Model::new());
        for step in steps {
            run(&mut set, &mut model, step, shared);
            agrees(&set, &model, shared);
            // As the engine does with a key whose collection is empty.
            if set.is_empty() {
                set = Set::default();
            }
            match set.encoding() {
                "intset" => {
                    prop_assert!(all_ints(&model));
                    prop_assert!(model.len() <= thresholds.set_intset_entries);
                }
                "listpack" => {
                    let longest = model.iter().map(Vec::len).max().unwrap_or(0);
                    prop_assert!(longest <= thresholds.set_value);
                    prop_assert!(model.len() <= thresholds.set_entries);
                }
                encoding => prop_assert_eq!(encoding, "hashtable"),
            }
        }
    }

    #[test]
    fn algebra_is_that_of_ordered_sets(
        parts in proptest::collection::vec(proptest::collection::vec(text(), 0..40), 1..5),
        thresholds in thresholds(),
    ) {
        let engine = Engine::new(7, thresholds);
        let shared = engine.shared();
        let build = |it: &Vec<Vec<u8>>| {
            let mut set = Set::default();
            set.add_all(it.iter().map(Vec::as_slice), shared);
            set
        };
        let sets: Vec<Set> = parts.iter().map(build).collect();
        let models: Vec<Model> = sets.iter().map(model_of).collect();
        let sets: Vec<&Set> = sets.iter().collect();
        let (first, others) = models.split_first().unwrap();

        let intersection = algebra::intersection(&sets, shared);
        let mut common = Model::new();
        algebra::common(&sets, shared, |it| {
            assert!(common.insert(owned(it)));
            ControlFlow::Continue(())
        });
        let in_others = |it: &&Vec<u8>| others.iter().all(|other| other.contains(*it));
        prop_assert_eq!(&common, &first.iter().filter(in_others).cloned().collect::<Model>());
        prop_assert_eq!(model_of(&intersection), common);

        let union: Model = models.iter().flatten().cloned().collect();
        prop_assert_eq!(&model_of(&algebra::union(&sets, shared)), &union);
        let mut met = Model::new();
        algebra::each_of_any(&sets, shared, |it| assert!(met.insert(owned(it)), "twice"));
        prop_assert_eq!(met, union);

        let in_none = |it: &&Vec<u8>| !others.iter().any(|other| other.contains(*it));
        let alone: Model = first.iter().filter(in_none).cloned().collect();
        prop_assert_eq!(&model_of(&algebra::difference(sets[0], &sets[1..], shared)), &alone);
        let mut met = Model::new();
        algebra::each_alone(sets[0], &sets[1..], shared, |it| assert!(met.insert(owned(it))));
        prop_assert_eq!(met, alone);
    }
}

#[test]
fn popping_leaves_a_sequence_a_sequence() {
    let engine = Engine::new(7, Thresholds::default());
    let shared = engine.shared();
    for seed in 0..20 {
        let mut set = Set::default();
        set.add_all([&b"1"[..], b"2", b"a"].into_iter(), shared);
        set.pop_many(2, &mut Random::new(seed), shared, |_| {});
        assert_eq!((set.encoding(), set.len()), ("listpack", 1));
    }
}

#[test]
fn integers_stand_in_order_whatever_their_width() {
    let engine = Engine::new(7, Thresholds::default());
    let mut set = Set::default();
    let numbers = [5, i64::from(i16::MIN), 70_000, -3, i64::MIN, 32_768, i64::MAX, -70_000, 0];
    for (at, number) in numbers.into_iter().enumerate() {
        assert!(set.add(Element::Int(number), engine.shared()));
        assert!(!set.add(Element::Int(number), engine.shared()));
        let mut sorted = numbers[..=at].to_vec();
        sorted.sort();
        assert_eq!(set.iter().filter_map(Element::as_int).collect::<Vec<_>>(), sorted);
    }
    assert_eq!(set.encoding(), "intset");
    assert_eq!(set.bytes(), 4 + 8 * numbers.len());
}

#[test]
fn twenty_small_integers_take_two_bytes_each() {
    let engine = Engine::new(7, Thresholds::default());
    let mut set = Set::default();
    for number in 0..20 {
        set.add(Element::Int(number * 1000), engine.shared());
    }
    assert_eq!(set.bytes(), 4 + 2 * 20);
}

#[test]
fn forms_follow_the_limits_as_in_redis_7_2() {
    let facts: [([usize; 3], &[&str], &str); 15] = [
        ([3, 5, 4], &["1 2 3"], "intset"),
        ([3, 5, 4], &["1 2 3 4"], "listpack"),
        ([3, 5, 4], &["1 2 3 4 5 6"], "hashtable"),
        ([3, 5, 4], &["1 2 3", "4"], "hashtable"),
        ([3, 5, 4], &["12345 2 3 4"], "hashtable"),
        ([3, 5, 4], &["1 12345", "a"], "hashtable"),
        ([3, 5, 4], &["-123 a"], "listpack"),
        ([3, 5, 4], &["-123 a", "-1234"], "hashtable"),
        ([3, 5, 4], &["1", "1 1 1 1"], "hashtable"),
        ([3, 5, 4], &["a", "a a a a a"], "listpack"),
        ([3, 5, 4], &["a", "a a a a a a"], "hashtable"),
        ([0, 5, 4], &["1"], "listpack"),
        ([0, 5, 4], &["12345"], "hashtable"),
        ([0, 5, 4], &["1 a"], "listpack"),
        ([0, 0, 4], &["a"], "hashtable"),
    ];
    for ([ints, entries, value], additions, wanted) in facts {
        let thresholds = Thresholds {
            set_intset_entries: ints,
            set_entries: entries,
            set_value: value,
            ..Thresholds::default()
        };
        let engine = Engine::new(7, thresholds);
        let mut set = Set::default();
        for members in additions {
            let members: Vec<&[u8]> = members.split(' ').map(str::as_bytes).collect();
            set.add_all(members.into_iter(), engine.shared());
        }
        assert_eq!(set.encoding(), wanted, "{additions:?} within {ints}, {entries}, {value}");
    }
}

#[test]
fn an_intersection_begins_with_the_form_of_the_smallest() {
    let mut engine = Engine::new(7, Thresholds::default());
    let built = |engine: &Engine, members: &[&str]| {
        let mut set = Set::default();
        set.add_all(members.iter().map(|it| it.as_bytes()), engine.shared());
        set
    };
    let ints = built(&engine, &["1", "2", "3"]);
    let mixed = built(&engine, &["1", "2", "3", "a"]);
    engine.shared_mut().thresholds.set_intset_entries = 0;
    let packed = built(&engine, &["1", "2", "3"]);
    engine.shared_mut().thresholds.set_entries = 0;
    let table = built(&engine, &["1", "2", "3"]);
    assert_eq!(
        [&ints, &packed, &table].map(|it| it.encoding()),
        ["intset", "listpack", "hashtable"]
    );
    // As valkey-server 9.1 answers; the limits are those of integers and of sequences.
    let facts = [
        (&ints, 2, 128, "hashtable"),
        (&packed, 2, 128, "listpack"),
        (&table, 2, 128, "listpack"),
        (&ints, 3, 0, "intset"),
        (&packed, 3, 0, "intset"),
        (&table, 3, 0, "intset"),
        (&packed, 2, 2, "hashtable"),
    ];
    for (smallest, set_intset_entries, set_entries, wanted) in facts {
        let limits = &mut engine.shared_mut().thresholds;
        (limits.set_intset_entries, limits.set_entries) = (set_intset_entries, set_entries);
        let met = algebra::intersection(&[&mixed, smallest], engine.shared());
        assert_eq!((met.len(), met.encoding()), (3, wanted), "{}", smallest.encoding());
    }
}
