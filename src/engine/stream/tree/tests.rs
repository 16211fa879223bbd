//! A tree against the standard library's.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

impl Weighed for u64 {
    fn weight(&self) -> Weight {
        Weight { entries: *self % 5, bytes: *self }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Append(u64),
    Remove(u64),
    Change(u64, u64),
    ChangeLast(u64),
    TakeFront(usize),
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..900_u64, 0..100_u64).prop_map(|(id, value)| Step::Insert(id, value)),
        6 => (0..100_u64).prop_map(Step::Append),
        3 => (0..900_u64).prop_map(Step::Remove),
        1 => (0..900_u64, 0..100_u64).prop_map(|(id, value)| Step::Change(id, value)),
        1 => (0..100_u64).prop_map(Step::ChangeLast),
        1 => (0..70_usize).prop_map(Step::TakeFront),
        1 => Just(Step::Copy),
    ]
}

fn id(number: u64) -> StreamId {
    StreamId::new(number / 3, number % 3)
}

fn agrees(tree: &Tree<u64>, model: &BTreeMap<StreamId, u64>) {
    let wanted: Vec<_> = model.iter().map(|(id, it)| (*id, it)).collect();
    assert_eq!(tree.iter().collect::<Vec<_>>(), wanted);
    let back: Vec<_> = tree.walk_back(0..tree.len()).collect();
    assert_eq!(back, wanted.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(tree.weight(), sum(model.values().map(|it| it.weight())));
    assert_eq!(tree.last(), wanted.last().copied());
    check_node(&tree.root, tree.len, tree.weight);
}

fn check_node(node: &Node<u64>, len: usize, weight: Weight) -> usize {
    match node {
        Node::Leaf(items) => {
            assert_eq!((items.len(), sum(items.iter().map(|it| it.1.weight()))), (len, weight));
            0
        }
        Node::Inner(children) => {
            assert_eq!(children.iter().map(|it| it.len).sum::<usize>(), len);
            assert_eq!(sum(children.iter().map(|it| it.weight)), weight);
            let depths = children.iter().map(|it| {
                assert_eq!(it.first, it.node.first());
                check_node(&it.node, it.len, it.weight)
            });
            let depths: Vec<_> = depths.collect();
            assert!(depths.iter().all(|it| *it == depths[0]));
            1 + depths[0]
        }
    }
}

fn prefix(model: &BTreeMap<StreamId, u64>, enough: u64, most: u64) -> usize {
    let (mut rank, mut entries) = (0, 0);
    for value in model.values() {
        let after = entries + value.weight().entries;
        if enough <= entries || enough < after || most < after {
            break;
        }
        (rank, entries) = (rank + 1, after);
    }
    rank
}

proptest! {
    #[test]
    fn a_tree_behaves_as_a_map(
        start in 0..3000_u64,
        steps in proptest::collection::vec(step(), 1..120),
        probes in proptest::collection::vec((0..2000_u64, 0..2000_u64), 5),
    ) {
        let mut tree: Tree<u64> = (0..start).map(|it| (id(it), it)).collect();
        let mut model: BTreeMap<_, _> = (0..start).map(|it| (id(it), it)).collect();
        agrees(&tree, &model);
        let mut copies = vec![(tree.clone(), model.clone())];
        let mut next = start;
        for step in steps {
            match step {
                Step::Insert(at, value) => {
                    prop_assert_eq!(tree.insert(id(at), value), model.insert(id(at), value));
                }
                Step::Append(value) => {
                    next += 1 + value % 3;
                    tree.insert(id(next), value);
                    model.insert(id(next), value);
                }
                Step::Remove(at) => prop_assert_eq!(tree.remove(id(at)), model.remove(&id(at))),
                Step::Change(at, value) => {
                    let old = tree.change(id(at), |it| std::mem::replace(it, value));
                    let wanted = model.get_mut(&id(at)).map(|it| std::mem::replace(it, value));
                    prop_assert_eq!(old, wanted);
                }
                Step::ChangeLast(value) => {
                    let old = tree.change_last(|id, it| (id, std::mem::replace(it, value)));
                    let last = model.last_entry();
                    let wanted = last.map(|mut it| (*it.key(), it.insert(value)));
                    prop_assert_eq!(old, wanted);
                }
                Step::TakeFront(count) => {
                    let gone = tree.take_front(count);
                    prop_assert_eq!(gone.len(), count.min(model.len()));
                    for _ in 0..gone.len() {
                        model.pop_first();
                    }
                }
                Step::Copy => copies.push((tree.clone(), model.clone())),
            }
            prop_assert_eq!(tree.len(), model.len());
        }
        copies.push((tree, model));
        for (tree, model) in &copies {
            agrees(tree, model);
            for (one, other) in &probes {
                prop_assert_eq!(tree.get(id(*one)), model.get(&id(*one)));
                let floor = model.range(..=id(*one)).next_back().map(|(id, it)| (*id, it));
                prop_assert_eq!(tree.floor(id(*one)), floor);
                prop_assert_eq!(tree.rank(id(*one)), model.range(..id(*one)).count());
                prop_assert_eq!(tree.prefix(*one, *other), prefix(model, *one, *other));
            }
        }
    }
}
