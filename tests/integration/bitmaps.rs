//! Long bitmaps: results that are made where others were.

use crate::support::{Server, Value, Wire, ok};

/// Longer than what is kept as a text, and no multiple of a block.
const BYTES: usize = 100_003;

fn put(wire: &mut Wire, key: &str, step: u8) -> Vec<u8> {
    let bytes: Vec<u8> = (0..BYTES).map(|at| (at as u8).wrapping_mul(step) ^ step).collect();
    let stored = wire.cmd(&[b"SET", key.as_bytes(), &bytes]);
    assert_eq!(stored.string(), "OK");
    bytes
}

fn bytes_at(wire: &mut Wire, member: &str, key: &str) -> Vec<u8> {
    let line = format!("PROXY ONCE AT {member} DO GET {key}");
    Value::text(&wire.ask(&line)).expect("a string").to_vec()
}

#[test]
fn a_result_takes_the_place_of_one_that_is_as_long_and_nobody_sees_a_mixture() {
    for replicas in ["0", "2"] {
        let server = Server::entourage(&["--replicas", replicas]);
        let mut wire = server.dial();
        let (a, b) = (put(&mut wire, "a", 3), put(&mut wire, "b", 7));
        let both = |of: fn(u8, u8) -> u8| -> Vec<u8> {
            a.iter().zip(&b).map(|it| of(*it.0, *it.1)).collect()
        };
        let not: Vec<u8> = a.iter().map(|it| !it).collect();
        let orders = [
            ("AND d a b", both(|a, b| a & b)),
            ("OR d a b", both(|a, b| a | b)),
            ("NOT d a", not.clone()),
            ("XOR d a b", both(|a, b| a ^ b)),
            // What is made of itself, and then of others again.
            ("NOT d a", not),
            ("OR d d a", vec![0xff; BYTES]),
            ("AND d a b", both(|a, b| a & b)),
        ];
        for (order, wanted) in orders {
            // Who has read it, or writes it into a file, keeps what it was.
            let before = wire.ask("GET d");
            wire.ask("COPY d e DB 1 REPLACE");
            assert_eq!(wire.ask(&format!("BITOP {order}")).int(), Some(BYTES as i64));
            ok(&mut wire, "SELECT 1");
            let copied = wire.ask("GET e");
            ok(&mut wire, "SELECT 0");
            assert!(before.is_nil() || before == copied, "{order}");
            for member in ["n1", "n2", "n3"].iter().take(1 + replicas.parse::<usize>().unwrap()) {
                assert!(bytes_at(&mut wire, member, "d") == wanted, "{order} at {member}");
            }
        }
    }
}
