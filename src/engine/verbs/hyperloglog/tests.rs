//! Sparse and dense registers against an array of them.

use super::registers::{
    Histogram, Registers, dense_of, empty, histogram, is_below, is_dense, is_valid, raise, runs,
};
use super::shape::{REGISTERS, VALUE_MAX};
use proptest::prelude::*;

fn values(bytes: &[u8]) -> Vec<u8> {
    let mut all = Registers::new();
    all.merge(bytes).expect("its runs come to all registers");
    all.values().to_vec()
}

/// How many registers have each value, one by one.
fn counted(model: &[u8]) -> Histogram {
    let mut histogram = [0; VALUE_MAX + 1];
    model.iter().for_each(|it| histogram[usize::from(*it)] += 1);
    histogram
}

proptest! {
    #[test]
    fn registers_are_those_of_an_array_in_both_encodings(
        raised in proptest::collection::vec((0..REGISTERS, 1..51u8), 0..400),
        near in proptest::collection::vec((0..40usize, 1..4u8), 0..200),
        sparse_max in prop_oneof![Just(3000_usize), 0..400_usize],
    ) {
        let (mut bytes, mut dense) = (empty(), dense_of(&empty()).unwrap());
        let mut model = vec![0; REGISTERS];
        for (register, value) in near.into_iter().chain(raised) {
            let is_higher = model[register] < value;
            prop_assert_eq!(is_below(&bytes, register, value), Ok(is_higher));
            prop_assert_eq!(is_below(&dense, register, value), Ok(is_higher));
            prop_assert_eq!(raise(&mut bytes, register, value, sparse_max), Ok(is_higher));
            prop_assert_eq!(raise(&mut dense, register, value, sparse_max), Ok(is_higher));
            model[register] = model[register].max(value);
        }
        prop_assert!(is_valid(&bytes) && is_valid(&dense) && is_dense(&dense));
        prop_assert!(is_dense(&bytes) || bytes.len() <= sparse_max.max(empty().len()));
        for it in [&bytes, &dense] {
            prop_assert_eq!(histogram(it), Ok(counted(&model)));
        }
        prop_assert_eq!(values(&bytes), model.clone());
        prop_assert_eq!(values(&dense), model);
        prop_assert_eq!(&dense_of(&bytes).unwrap()[16..], &dense[16..]);
        let mut all = Registers::new();
        all.merge(&dense).unwrap();
        prop_assert_eq!(all.histogram(), histogram(&dense).unwrap());
    }

    #[test]
    fn whatever_stands_behind_the_header_is_refused_or_read(
        rest in proptest::collection::vec(any::<u8>(), 0..60),
        register in 0..REGISTERS,
    ) {
        let mut bytes = empty();
        bytes.truncate(16);
        bytes.extend(rest);
        let told: Vec<String> = runs(&bytes).map(|it| it.to_string()).collect();
        prop_assert!(told.len() <= bytes.len());
        let mut all = Registers::new();
        let merged = all.merge(&bytes);
        let dense = dense_of(&bytes);
        prop_assert_eq!(merged.map(|()| all.histogram()), histogram(&bytes));
        prop_assert_eq!(merged.is_ok(), dense.is_ok());
        // It answers, whatever that is.
        let _ = raise(&mut bytes, register, 40, 3000);
        let _ = raise(&mut bytes, register, 3, 3000);
    }
}
