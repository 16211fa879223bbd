//! A packed sequence against a vector.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, Vec<Vec<u8>>),
    Replace(usize, Vec<u8>),
    Remove(usize, usize),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ab]{0,3}".prop_map(String::into_bytes),
        any::<i64>().prop_map(|it| it.to_string().into_bytes()),
        (-200..200_i64).prop_map(|it| it.to_string().into_bytes()),
        (0..300_usize).prop_map(|it| vec![b'x'; it]),
        Just(vec![b'y'; 9000]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let many = proptest::collection::vec(text(), 0..3);
    prop_oneof![
        3 => (any::<usize>(), many).prop_map(|(at, texts)| Step::Insert(at, texts)),
        1 => (any::<usize>(), text()).prop_map(|(at, text)| Step::Replace(at, text)),
        1 => (any::<usize>(), 0..4_usize).prop_map(|(at, count)| Step::Remove(at, count)),
    ]
}

fn apply<W: Walk>(packed: &mut Packed<W>, model: &mut Vec<Vec<u8>>, step: Step) {
    match step {
        Step::Insert(at, texts) => {
            let at = at % (model.len() + 1);
            let elements: Vec<_> = texts.iter().map(|it| Element::of(it)).collect();
            packed.insert(packed.nth(at), &elements);
            model.splice(at..at, texts);
        }
        Step::Replace(at, text) if !model.is_empty() => {
            let at = at % model.len();
            packed.replace(packed.nth(at), Element::of(&text));
            model[at] = text;
        }
        Step::Replace(..) => {}
        Step::Remove(at, count) => {
            let at = at % (model.len() + 1);
            let removed = packed.remove(packed.nth(at), count);
            let gone = model.splice(at..model.len().min(at + count), []).count();
            assert_eq!(removed, gone);
        }
    }
}

fn agrees<W: Walk>(packed: &Packed<W>, model: &[Vec<u8>]) {
    let texts: Vec<_> = packed.iter().map(|it| it.text().into_owned()).collect();
    assert_eq!(texts, model);
    assert_eq!(packed.len(), model.len());
    assert_eq!(packed.is_empty(), model.is_empty());
    assert_eq!(packed.is_empty(), packed.bytes() == 0);
    for (index, text) in model.iter().enumerate() {
        let found = packed.find(Element::of(text), packed.start(), 1);
        let first = model.iter().position(|it| it == text).unwrap();
        assert_eq!(found, Some(packed.nth(first)));
        let even = model.iter().step_by(2).position(|it| it == text);
        let found = packed.find(Element::of(text), packed.start(), 2);
        assert_eq!(found, even.map(|it| packed.nth(2 * it)), "element {index}");
    }
    assert_eq!(packed.find(Element::of(b"not there"), packed.start(), 1), None);
}

proptest! {
    #[test]
    fn a_sequence_behaves_as_a_vector(steps in proptest::collection::vec(step(), 1..30)) {
        let (mut packed, mut model) = (Packed::<Onward>::default(), Vec::new());
        for step in steps {
            apply(&mut packed, &mut model, step);
            agrees(&packed, &model);
        }
    }

    #[test]
    fn a_sequence_walked_both_ways_does_so_too(steps in proptest::collection::vec(step(), 1..30)) {
        let (mut packed, mut model) = (Packed::<BothWays>::default(), Vec::new());
        for step in steps {
            apply(&mut packed, &mut model, step);
            agrees(&packed, &model);
            let back = packed.walk_back(packed.end()).map(|(_, it)| it.text().into_owned());
            let reversed: Vec<_> = model.iter().rev().cloned().collect();
            assert_eq!(back.collect::<Vec<_>>(), reversed);
            let last = packed.nth_back(0).map(|it| packed.get(it).text().into_owned());
            assert_eq!(last.as_ref(), model.last());
            assert_eq!(packed.nth_back(model.len()), None);
        }
    }
}

#[test]
fn a_handle_takes_two_words() {
    assert_eq!(size_of::<Packed>(), 16);
}
