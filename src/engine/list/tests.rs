//! A list against a deque, on both sides of the thresholds and across blocks and shelves.

use super::*;
use crate::engine::{Engine, Thresholds};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<Vec<u8>>),
    Cut(End, usize),
    Insert(usize, Vec<u8>),
    Set(usize, Vec<u8>),
    RemoveEqual(End, Vec<u8>, usize),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ab]{0,2}".prop_map(String::into_bytes),
        2 => (-200..200_i64).prop_map(|it| it.to_string().into_bytes()),
        2 => (0..300_usize).prop_map(|it| vec![b'x'; it]),
        1 => (1000..5000_usize).prop_map(|it| vec![b'y'; it]),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Front), Just(End::Back)]
}

fn step() -> impl Strategy<Value = Step> {
    let texts = (proptest::collection::vec(text(), 1..6), 1..60_usize)
        .prop_map(|(texts, times)| vec![texts; times].concat());
    prop_oneof![
        4 => (end(), texts).prop_map(|(end, texts)| Step::Push(end, texts)),
        2 => (end(), 0..120_usize).prop_map(|(end, count)| Step::Cut(end, count)),
        4 => (any::<usize>(), text()).prop_map(|(at, text)| Step::Insert(at, text)),
        2 => (any::<usize>(), text()).prop_map(|(at, text)| Step::Set(at, text)),
        2 => (end(), text(), 0..40_usize)
            .prop_map(|(end, text, most)| Step::RemoveEqual(end, text, most)),
    ]
}

type Model = VecDeque<Vec<u8>>;

fn apply(list: &mut List, model: &mut Model, step: Step, shared: &EngineShared) {
    match step {
        Step::Push(end, texts) => {
            list.make_room(texts.iter().map(Vec::as_slice), shared);
            for text in texts {
                list.push(end, &text);
                match end {
                    End::Front => model.push_front(text),
                    End::Back => model.push_back(text),
                }
            }
        }
        Step::Cut(end, count) => {
            list.cut(end, count, shared);
            let left = model.len() - count.min(model.len());
            match end {
                End::Front => drop(model.drain(..model.len() - left)),
                End::Back => model.truncate(left),
            }
        }
        Step::Insert(at, text) => {
            let at = at % (model.len() + 1);
            list.make_room(std::iter::once(text.as_slice()), shared);
            list.insert(at, &text);
            model.insert(at, text);
        }
        Step::Set(at, text) if !model.is_empty() => {
            let at = at % model.len();
            list.make_room(std::iter::once(text.as_slice()), shared);
            list.set(at, &text, shared);
            model[at] = text;
        }
        Step::Set(..) => {}
        Step::RemoveEqual(end, text, most) => {
            let removed = list.remove_equal(end, &text, most, shared);
            assert_eq!(removed, remove_equal(model, end, &text, most));
        }
    }
}

fn remove_equal(model: &mut Model, end: End, text: &[u8], most: usize) -> usize {
    let mut places: Vec<_> = (0..model.len()).filter(|it| model[*it] == text).collect();
    if end == End::Back {
        places.reverse();
    }
    places.truncate(most);
    places.sort_unstable();
    places.iter().rev().for_each(|it| drop(model.remove(*it)));
    places.len()
}

fn agrees(list: &List, model: &Model) {
    assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
    assert!(list.onward(0).map(|it| it.text().into_owned()).eq(model.iter().cloned()));
    let back = list.backward(usize::MAX).map(|it| it.text().into_owned());
    assert!(back.eq(model.iter().rev().cloned()));
    let text = |it: Option<Element<'_>>| it.map(|it| it.text().into_owned());
    for at in (0..model.len()).step_by(1 + model.len() / 50) {
        assert_eq!(text(list.get(at)).as_ref(), model.get(at));
        assert_eq!(text(list.onward(at).next()).as_ref(), model.get(at));
        assert_eq!(text(list.backward(at).next()).as_ref(), model.get(at));
    }
    assert_eq!(list.get(model.len()), None);
    assert!(list.onward(model.len()).next().is_none());
    assert_eq!(text(list.first(End::Front)).as_ref(), model.front());
    assert_eq!(text(list.first(End::Back)).as_ref(), model.back());
}

fn engine(list_size: i64) -> Engine {
    Engine::new(7, Thresholds { list_size, ..Thresholds::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_holds_what_a_deque_holds(
        steps in proptest::collection::vec(step(), 1..60),
        list_size in prop_oneof![Just(-2_i64), Just(-1), Just(-5), Just(0), 1..200_i64],
    ) {
        let engine = engine(list_size);
        let (mut list, mut model) = (List::default(), Model::new());
        for step in steps {
            apply(&mut list, &mut model, step, engine.shared());
            agrees(&list, &model);
            if let List::Long(long) = &list {
                long.assert_sound();
            }
        }
    }
}

fn numbers(count: usize, engine: &Engine) -> (List, Model) {
    let (mut list, mut model) = (List::default(), Model::new());
    let texts: Vec<_> = (0..count).map(|it| format!("element {it}").into_bytes()).collect();
    list.make_room(texts.iter().map(Vec::as_slice), engine.shared());
    for text in texts {
        list.push(End::Back, &text);
        model.push_back(text);
    }
    (list, model)
}

#[test]
fn many_shelves_stay_in_order() {
    let engine = engine(-2);
    let shared = engine.shared();
    let (mut list, mut model) = numbers(150_000, &engine);
    agrees(&list, &model);
    for at in (0..model.len()).step_by(977) {
        for text in ["a", "b", "a longer one"] {
            list.insert(at, text.as_bytes());
            model.insert(at, text.into());
        }
    }
    // At one place until its shelf must be split.
    for number in 0..60_000 {
        let text = format!("between {number}");
        list.insert(70_000, text.as_bytes());
        model.insert(70_000, text.into_bytes());
    }
    agrees(&list, &model);
    assert_eq!(list.remove_equal(End::Back, b"b", 100, shared), 100);
    assert_eq!(remove_equal(&mut model, End::Back, b"b", 100), 100);
    assert_eq!(list.remove_equal(End::Front, b"a", usize::MAX, shared), 154);
    assert_eq!(remove_equal(&mut model, End::Front, b"a", usize::MAX), 154);
    agrees(&list, &model);
    for (end, count) in [(End::Front, 90_001), (End::Back, 70_003), (End::Front, 40_000)] {
        apply(&mut list, &mut model, Step::Cut(end, count), shared);
        agrees(&list, &model);
    }
    if let List::Long(long) = &list {
        long.assert_sound();
    }
    list.cut(End::Back, usize::MAX, shared);
    assert!(list.is_empty());
}

#[test]
fn a_list_goes_to_blocks_and_comes_back_at_half_of_the_bound() {
    let facts = [(-1_i64, 4096), (-2, 8192), (-3, 16384), (-5, 65536), (-9, 65536)];
    for (list_size, bytes) in facts {
        let engine = engine(list_size);
        let shared = engine.shared();
        let mut list = List::default();
        let text = [b'x'; 62];
        // 64 bytes each, behind 7 of a listpack's own; the last is counted by its text.
        let fit = (bytes - 7 - text.len()) / 64 + 1;
        for number in 0..fit + 1 {
            assert_eq!(list.encoding(), "listpack", "{list_size} {number}");
            list.make_room(std::iter::once(text.as_slice()), shared);
            list.push(End::Back, &text);
        }
        assert_eq!(list.encoding(), "quicklist", "{list_size}");
        while bytes / 2 < 7 + 64 * list.len() {
            assert_eq!(list.encoding(), "quicklist", "{list_size} {}", list.len());
            list.cut(End::Back, 1, shared);
        }
        assert_eq!(list.encoding(), "listpack", "{list_size}");
    }
}

#[test]
fn what_is_left_of_two_blocks_stays_in_blocks() {
    let engine = engine(-2);
    let shared = engine.shared();
    // As many are left as where a real Redis comes back.
    for (pushed, end, left) in
        [(9, End::Front, 1), (9, End::Back, 4), (10, End::Front, 2), (12, End::Front, 4)]
    {
        let mut list = List::default();
        let texts = vec![[b'x'; 1000]; pushed];
        list.make_room(texts.iter().map(|it| it.as_slice()), shared);
        texts.iter().for_each(|it| list.push(End::Back, it));
        while list.encoding() == "quicklist" {
            list.cut(end, 1, shared);
        }
        assert_eq!(list.len(), left, "{pushed} {end:?}");
    }
}

#[test]
fn equal_elements_that_go_leave_no_thin_blocks() {
    let engine = engine(-2);
    let shared = engine.shared();
    let mut list = List::default();
    list.make_room(std::iter::once([b'x'; 9000].as_slice()), shared);
    for number in 0..100_000 {
        list.push(End::Back, if number % 100 == 0 { b"kept" } else { b"goes" });
    }
    let before = list.free_cost();
    assert_eq!(list.remove_equal(End::Back, b"goes", usize::MAX, shared), 99_000);
    assert_eq!(list.len(), 1000);
    assert!(list.free_cost() * 20 < before, "{} of {before}", list.free_cost());
}

#[test]
fn a_list_that_is_built_is_as_one_that_is_pushed() {
    for list_size in [-2, -1, 3, 200] {
        let engine = Engine::new(7, Thresholds { list_size, ..Thresholds::default() });
        let shared = engine.shared();
        let text = |it: usize| match it % 5 {
            0 => it.to_string(),
            1 => "x".repeat(it % 300),
            2 => "x".repeat(it * 7 % 9000),
            3 => format!("-{it}"),
            _ => format!("element:{it}"),
        };
        let texts: Vec<String> = (0..2000).map(text).collect();
        let spans = [(0, 0), (0, 3), (0, 40), (0, 2000), (5, 300), (700, 900), (1, 2)];
        let ends = [End::Back, End::Front];
        for ((before, len), end) in spans.into_iter().flat_map(|it| ends.map(|end| (it, end))) {
            let [mut pushed, mut built] = [List::default(), List::default()];
            for text in &texts[..before] {
                for list in [&mut pushed, &mut built] {
                    list.make_room(std::iter::once(text.as_bytes()), shared);
                    list.push(End::Back, text.as_bytes());
                }
            }
            for text in &texts[before..len] {
                pushed.make_room(std::iter::once(text.as_bytes()), shared);
                pushed.push(end, text.as_bytes());
            }
            built.extend(end, texts[before..len].iter().map(|it| it.as_bytes()), shared);
            assert_eq!((built.len(), built.encoding()), (pushed.len(), pushed.encoding()));
            assert!(built.onward(0).eq(pushed.onward(0)));
            assert!(built.backward(len).eq(pushed.backward(len)));
            if let List::Long(long) = &built {
                long.assert_sound();
            }
        }
    }
}
