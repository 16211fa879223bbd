//! A sorted set against an ordered map, on both sides of the thresholds.

use super::*;
use crate::engine::{Engine, Thresholds};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, f64),
    Remove(Vec<u8>),
    Take(usize, usize),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-f]{1,2}".prop_map(String::into_bytes),
        (-20..200_i64).prop_map(|it| it.to_string().into_bytes()),
        (0..12_usize).prop_map(|it| vec![b'x'; it]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-3..4_i32).prop_map(f64::from),
        2 => (-300..400_i32).prop_map(|it| f64::from(it) / 8.0),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e300), Just(5e-324)],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (text(), score()).prop_map(|(member, score)| Step::Set(member, score)),
        3 => text().prop_map(Step::Remove),
        1 => (0..30_usize, 0..4_usize).prop_map(|(start, count)| Step::Take(start, count)),
        1 => (0..60_usize, 0..60_usize).prop_map(|(start, count)| Step::Take(start, count)),
    ]
}

type Model = BTreeMap<Vec<u8>, f64>;

fn in_order(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut all: Vec<_> = model.iter().map(|(text, score)| (text.clone(), *score)).collect();
    all.sort_by(|a, b| score_order(a.1, b.1).then_with(|| a.0.cmp(&b.0)));
    all
}

fn owned((member, score): Scored<'_>) -> (Vec<u8>, f64) {
    (member.text().into_owned(), score)
}

fn agrees(zset: &Zset, model: &Model, shared: &EngineShared) {
    let all = in_order(model);
    assert_eq!(zset.len(), all.len());
    assert_eq!(zset.iter().map(owned).collect::<Vec<_>>(), all);
    let back = zset.walk_back(0..all.len()).map(owned);
    assert!(back.eq(all.iter().rev().cloned()));
    for (rank, (member, score)) in all.iter().enumerate() {
        assert_eq!(zset.score(member, shared), Some(*score));
        assert_eq!(zset.rank(member, shared), Some((rank, *score)));
        let below = all.iter().filter(|it| it.1 < *score).count();
        assert_eq!(zset.count_scores(|it| it < *score), below);
        let within = all.iter().filter(|it| *score <= it.1 && it.1 < 5.0);
        assert!(zset.walk_scores(*score..5.0).map(owned).eq(within.cloned()));
        let end = all.len().min(rank + 3);
        assert!(zset.walk(rank..end).map(owned).eq(all[rank..end].iter().cloned()));
        assert!(zset.walk_back(rank..end).map(owned).eq(all[rank..end].iter().rev().cloned()));
    }
    assert_eq!(zset.rank(b"not there", shared), None);
    let (mut met, mut from) = (Vec::new(), Some(0));
    while from.is_some() {
        from = zset.scan(from, 3, |it| met.push(owned(it)));
    }
    assert_eq!(met.len(), model.len());
    assert_eq!(&met.into_iter().collect::<Model>(), model);
}

proptest! {
    #[test]
    fn a_sorted_set_holds_what_a_map_holds_in_order(
        steps in proptest::collection::vec(step(), 1..120),
        zset_entries in 0..40_usize,
        zset_value in 1..12_usize,
    ) {
        let thresholds = Thresholds { zset_entries, zset_value, ..Thresholds::default() };
        let engine = Engine::new(7, thresholds);
        let shared = engine.shared();
        let (mut zset, mut model, mut large) = (Zset::default(), Model::new(), false);
        for step in steps {
            match step {
                Step::Set(member, score) => {
                    zset.set(&member, score, shared);
                    large |= zset_value < member.len();
                    model.insert(member, score);
                    large |= zset_entries < model.len();
                }
                Step::Remove(member) => {
                    prop_assert_eq!(zset.remove(&member, shared), model.remove(&member).is_some());
                }
                Step::Take(start, count) => {
                    let end = zset.len().min(start + count);
                    let mut shown = Vec::new();
                    zset.take(start.min(end)..end, shared, |it| shown.push(owned(it)));
                    prop_assert_eq!(&shown, &in_order(&model)[start.min(end)..end]);
                    shown.iter().for_each(|it| { model.remove(&it.0); });
                }
            }
            agrees(&zset, &model, shared);
            prop_assert_eq!(zset.encoding(), if large { "skiplist" } else { "listpack" });
        }
    }
}

/// However many go, one by one, in a sweep or by leaving the others: both halves of a large set
/// agree.
#[test]
fn a_large_set_loses_any_share_of_its_members() {
    let engine = Engine::new(7, Thresholds::default());
    let shared = engine.shared();
    for (start, count) in [(0, 2), (700, 150), (150, 500), (0, 1990), (5, 1990), (0, 2000)] {
        let (mut zset, mut model) = (Zset::default(), Model::new());
        for at in 0..2000 {
            let member = format!("member:{at}").into_bytes();
            zset.set(&member, f64::from(at % 300), shared);
            model.insert(member, f64::from(at % 300));
        }
        let mut shown = Vec::new();
        let gone = zset.take(start..start + count, shared, |it| shown.push(owned(it)));
        assert!(count <= gone.free_cost());
        assert_eq!(shown, in_order(&model)[start..start + count]);
        shown.iter().for_each(|it| {
            model.remove(&it.0);
        });
        agrees(&zset, &model, shared);
    }
}

#[test]
fn a_minus_zero_is_kept_only_by_a_large_set() {
    for (zset_entries, sign) in [(128, false), (0, true)] {
        let engine = Engine::new(7, Thresholds { zset_entries, ..Thresholds::default() });
        let mut zset = Zset::default();
        zset.set(b"a", -0.0, engine.shared());
        let score = zset.score(b"a", engine.shared()).unwrap();
        assert_eq!((score, score.is_sign_negative()), (0.0, sign));
    }
}

#[test]
fn a_part_is_made_as_redis_makes_it() {
    let limits = Thresholds { zset_entries: 4, ..Thresholds::default() };
    let engine = Engine::new(7, limits);
    let shared = engine.shared();
    let mut zset = Zset::default();
    let names: Vec<String> = (0..300).map(|it| format!("m{it:03}")).collect();
    names.iter().for_each(|it| zset.set(it.as_bytes(), 1.0, shared));
    names.iter().for_each(|it| zset.set(it.as_bytes(), -0.0, shared));
    let negatives = |it: &Zset| it.iter().filter(|it| it.1.is_sign_negative()).count();
    assert_eq!(negatives(&zset), 300);
    for (ranks, kept, kept_one_by_one) in [(0..300, 300, 296), (7..207, 200, 196), (0..4, 0, 0)] {
        let wanted: Vec<_> = zset.walk(ranks.clone()).map(|it| it.0).collect();
        let parts = [zset.part(ranks.clone(), shared), zset.part_by_part(ranks, shared)];
        for (part, kept) in parts.iter().zip([kept, kept_one_by_one]) {
            assert!(part.iter().map(|it| it.0).eq(wanted.iter().copied()));
            assert!(wanted.iter().all(|it| it.with_text(|it| part.score(it, shared).is_some())));
            assert_eq!((part.len(), negatives(part)), (wanted.len(), kept));
        }
    }
}
