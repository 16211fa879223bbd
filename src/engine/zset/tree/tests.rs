//! The tree against an ordered set.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

impl Tree {
    /// Panics unless everything holds that the head of this file says.
    fn assert_sound(&self) {
        assert_eq!(self.root.assert_sound(true), self.len);
        self.root.depth();
    }
}

impl Node {
    fn assert_sound(&self, is_root: bool) -> usize {
        assert!(is_root || self.width().0 != 0);
        assert!(self.width().0 <= self.width().1);
        let Node::Inner(children) = self else { return self.width().0 };
        for child in children {
            assert_eq!(child.node.assert_sound(false), child.len);
        }
        for pair in children.windows(2) {
            let [low, high] = [&pair[1].node.end(false), &pair[0].node.end(true)];
            let first = &pair[1].first;
            assert!(first.order(low.score, low.text()).is_le());
            assert!(first.order(high.score, high.text()).is_gt());
        }
        children.iter().map(|it| it.len).sum()
    }

    fn depth(&self) -> usize {
        let Node::Inner(children) = self else { return 1 };
        let depths: BTreeSet<_> = children.iter().map(|it| it.node.depth()).collect();
        assert_eq!(depths.len(), 1);
        1 + depths.first().unwrap()
    }

    fn end(&self, last: bool) -> Member {
        match self {
            Node::Leaf(members) if last => members.last().unwrap().clone(),
            Node::Leaf(members) => members[0].clone(),
            Node::Inner(children) if last => children.last().unwrap().node.end(last),
            Node::Inner(children) => children[0].node.end(last),
        }
    }
}

fn text(number: u32) -> Vec<u8> {
    format!("{number:05}").into_bytes()
}

fn shown(cut: &Cut) -> Vec<(u32, Vec<u8>)> {
    let mut shown = Vec::new();
    cut.each_leaf(&mut |leaf| {
        shown.extend(leaf.iter().map(|it| (it.score as u32, it.text().to_vec())));
    });
    assert_eq!(shown.len(), cut.len());
    shown
}

fn agrees(tree: &Tree, model: &BTreeSet<(u32, Vec<u8>)>) {
    tree.assert_sound();
    let shown = |it: &Member| (it.score as u32, it.text().to_vec());
    assert!(tree.walk(0..model.len()).map(shown).eq(model.iter().cloned()));
    assert!(tree.walk_back(0..model.len()).map(shown).eq(model.iter().rev().cloned()));
    for (rank, (score, text)) in model.iter().enumerate().step_by(7) {
        let before = |it: &Member| it.order(f64::from(*score), text).is_lt();
        assert_eq!(tree.count(before), rank);
        assert_eq!(shown(tree.walk(rank..rank + 1).next().unwrap()).1, *text);
    }
}

#[test]
fn members_that_come_in_order_leave_no_gaps() {
    for backwards in [false, true] {
        let (mut tree, mut model) = (Tree::default(), BTreeSet::new());
        for at in 0..10_000 {
            let at = if backwards { 10_000 - at } else { at };
            tree.insert(Member::new(0.0, &text(at)));
            model.insert((0, text(at)));
        }
        agrees(&tree, &model);
        assert!(tree.bytes() < 10_000 * (size_of::<Member>() + 3));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_deep_tree_loses_exactly_what_is_cut_out(
        takes in proptest::collection::vec((0.0..1.0_f64, 0.0..0.6_f64), 1..8),
    ) {
        let (mut tree, mut model) = (Tree::default(), BTreeSet::new());
        for at in 0..9000 {
            tree.insert(Member::new(0.0, &text(at)));
            model.insert((0, text(at)));
        }
        for (start, share) in takes {
            let start = (start * model.len() as f64) as usize;
            let count = (share * model.len() as f64) as usize;
            let gone: Vec<_> = model.iter().skip(start).take(count).cloned().collect();
            prop_assert_eq!(shown(&tree.take(start..start + count)), gone.clone());
            gone.iter().for_each(|it| { model.remove(it); });
            agrees(&tree, &model);
        }
    }
}

proptest! {
    #[test]
    fn a_tree_holds_what_an_ordered_set_holds(
        steps in proptest::collection::vec((0..4_u32, 0..400_u32, 0..3_u32), 0..3000),
        takes in proptest::collection::vec((0..1500_usize, 0..500_usize), 0..20),
    ) {
        let (mut tree, mut model) = (Tree::default(), BTreeSet::new());
        for (what, number, score) in steps {
            let entry = (score, text(number));
            match what {
                0 => {
                    let was = tree.remove(f64::from(score), &entry.1);
                    prop_assert_eq!(was, model.remove(&entry));
                }
                _ if model.contains(&entry) => {}
                _ => {
                    tree.insert(Member::new(f64::from(score), &entry.1));
                    model.insert(entry);
                }
            }
        }
        agrees(&tree, &model);
        for (start, count) in takes {
            let gone: Vec<_> = model.iter().skip(start).take(count).cloned().collect();
            prop_assert_eq!(&shown(&tree.take(start..start + count)), &gone);
            gone.iter().for_each(|it| { model.remove(it); });
            agrees(&tree, &model);
        }
    }
}
