//! Bits against a model that knows nothing of bytes.

use super::bits::{Op, Span, Unit, combine, count, get, position};
use proptest::prelude::*;

/// The bits of a string, one by one.
fn bits_of(string: &[u8]) -> Vec<bool> {
    (0..string.len() as u64 * 8).map(|it| get(string, it)).collect()
}

fn combined(op: Op, strings: &[&[u8]]) -> Vec<u8> {
    let mut made = b"what it held".to_vec();
    combine(op, strings, &mut made);
    made
}

/// Now and then one of more than a block.
fn string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        9 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (any::<u8>(), 4090..8200_usize).prop_map(|(step, len)| {
            (0..len).map(|at| (at as u8).wrapping_mul(step)).collect()
        }),
    ]
}

fn ends(len: usize) -> impl Strategy<Value = (i64, i64)> {
    let most = len as i64 * 8 + 3;
    (-most..=most, -most..=most)
}

proptest! {
    #[test]
    fn spans_are_counted_and_looked_through_bit_by_bit(
        string in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            proptest::collection::vec(prop_oneof![Just(0u8), Just(255u8)], 0..40),
        ],
        (start, end) in ends(40),
        in_bits in any::<bool>(),
    ) {
        let unit = if in_bits { Unit::Bit } else { Unit::Byte };
        let each = if in_bits { 1 } else { 8 };
        let bits = bits_of(&string);
        let total = bits.len() as i64 / each;
        let place = |at: i64| if at < 0 { (at + total).max(0) } else { at };
        let (first, last) = (place(start), place(end).min(total - 1));
        let among: Vec<usize> = match first <= last {
            true => ((first * each) as usize..((last + 1) * each) as usize).collect(),
            false => Vec::new(),
        };
        let span = Span::new(&string, start, end, unit);
        prop_assert_eq!(span.is_some(), !among.is_empty());
        if let Some(span) = span {
            let set = among.iter().filter(|it| bits[**it]).count() as u64;
            prop_assert_eq!(count(&string, span.clone()), set);
            for is_set in [false, true] {
                let found = among.iter().find(|it| bits[**it] == is_set).map(|it| *it as u64);
                prop_assert_eq!(position(&string, span.clone(), is_set), found);
            }
        }
    }

    #[test]
    fn strings_are_combined_bit_by_bit(
        strings in proptest::collection::vec(string(), 1..4),
    ) {
        let strings: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
        let len = strings.iter().map(|it| it.len()).max().unwrap_or(0);
        type Combines = fn(u8, u8) -> u8;
        let ops: [(Op, Combines); 3] =
            [(Op::And, |a, b| a & b), (Op::Or, |a, b| a | b), (Op::Xor, |a, b| a ^ b)];
        for (op, combines) in ops {
            let byte = |at: usize| {
                let of = |it: &&[u8]| it.get(at).copied().unwrap_or(0);
                strings.iter().map(of).reduce(combines).unwrap_or(0)
            };
            prop_assert_eq!(combined(op, &strings), (0..len).map(byte).collect::<Vec<u8>>());
        }
        let not: Vec<u8> = strings[0].iter().map(|it| !it).collect();
        prop_assert_eq!(combined(Op::Not, &strings[..1]), not);
    }
}
