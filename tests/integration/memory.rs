//! What large values and many keys cost, and that it is given back: bytes are counted, nothing is
//! timed.

use crate::support::process::{forget_peak, peak_bytes, resident_bytes};
use crate::support::wire::encode;
use crate::support::{Server, Wire, info_field, ok, until, words};

const MB: u64 = 1 << 20;

/// SET of a value of this many bytes, as it is sent.
fn set_of(bytes: u64) -> Vec<u8> {
    let mut of = words(&["SET", "k"]);
    of.push(value_of(bytes));
    encode(&of)
}

fn value_of(bytes: u64) -> Vec<u8> {
    (0..bytes).map(|it| (it % 251) as u8).collect()
}

fn used(wire: &mut Wire) -> u64 {
    info_field(wire, "memory", "used_memory").and_then(|it| it.parse().ok()).expect("a number")
}

fn alone() -> Server {
    Server::entourage(&["--replicas", "0", "--threads", "2"])
}

#[test]
fn a_large_value_costs_what_it_is_and_is_given_back() {
    const BYTES: u64 = 128 * MB;
    let server = alone();
    let (mut wire, mut other) = (server.dial(), server.dial());
    let set = set_of(BYTES);
    let (resident, at_start) = (resident_bytes(server.pid()), used(&mut other));
    forget_peak(server.pid());
    wire.send_raw(&set);
    assert_eq!(wire.read().to_string(), "+OK");
    let peak = peak_bytes(server.pid()) - resident;
    assert!(peak < BYTES * 5 / 4, "{peak} bytes for {BYTES}");
    assert!(used(&mut other) - at_start < BYTES * 5 / 4);
    assert_eq!(wire.ask("STRLEN k").int(), Some(BYTES as i64));
    // The worker that has stored it has nothing else to do afterwards.
    assert_eq!(other.ask("DEL k").int(), Some(1));
    until("used_memory to fall", || (used(&mut other) < at_start + 4 * MB).then_some(()));
    let is_back = || (resident_bytes(server.pid()) < resident + 24 * MB).then_some(());
    until("the system to have it back", is_back);
}

#[test]
fn a_long_string_is_what_was_sent_whatever_stands_around_it() {
    let server = Server::entourage(&[]);
    for bytes in [MB - 1, MB, 3 * MB, 9 * MB] {
        let mut wire = server.dial();
        let value = value_of(bytes);
        let set = set_of(bytes);
        let behind = encode(&words(&["INCR", "n"]));
        let mut with_options = words(&["SET", "o", "x", "PX", "100000", "GET"]);
        with_options[2] = value.clone();
        let requests = [&behind, &set, &behind, &encode(&with_options), &set, &behind];
        wire.send_raw(&requests.map(Vec::as_slice).concat());
        let answers = wire.read_many(requests.len());
        let [first, set, second, _, again, third] = &answers[..] else { panic!("six answers") };
        assert_eq!((set.to_string(), again.to_string()), ("+OK".into(), "+OK".into()));
        assert_eq!(first.int().map(|it| it + 1), second.int());
        assert_eq!(second.int().map(|it| it + 1), third.int());
        for key in ["k", "o"] {
            wire.send(&[words(&["GET", key])]);
            wire.read_until(b"\r\n");
            assert!(wire.read_exact(bytes as usize) == value, "{key} of {bytes} bytes");
            wire.read_exact(2);
        }
        // Changed within, it is its member's own.
        assert_eq!(wire.ask("APPEND k !").int(), Some(bytes as i64 + 1));
        assert_eq!(wire.ask("GETRANGE k -1 -1").to_string(), "\"!\"");
        ok(&mut wire, "RENAME k l");
        assert_eq!(wire.ask("OBJECT ENCODING o").to_string(), "\"raw\"");
        assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
        let digests = wire.ask("DEBUG DIGEST MEMBERS");
        let of = |at: usize| digests.list()[at].list()[2].clone();
        assert_eq!((of(0), of(0)), (of(1), of(2)));
    }
}

#[test]
fn what_is_queued_is_given_back_when_its_client_goes() {
    let server = alone();
    let mut other = server.dial();
    let at_start = used(&mut other);
    let resident = resident_bytes(server.pid());
    let set = set_of(40 * MB);
    let mut queueing: Vec<Wire> = (0..4).map(|_| server.dial()).collect();
    for wire in &mut queueing {
        ok(wire, "MULTI");
        wire.send_raw(&set);
        assert_eq!(wire.read().to_string(), "+QUEUED");
    }
    let list = other.ask("CLIENT LIST").to_string();
    let held: Vec<u64> = list
        .split_whitespace()
        .filter_map(|it| it.strip_prefix("multi-mem=")?.parse().ok())
        .filter(|it| *it != 0)
        .collect();
    assert_eq!(held.len(), 4, "{list}");
    assert!(held.iter().all(|it| (40 * MB..41 * MB).contains(it)), "{held:?}");
    drop(queueing);
    until("used_memory to fall", || (used(&mut other) < at_start + 4 * MB).then_some(()));
    let is_back = || (resident_bytes(server.pid()) < resident + 24 * MB).then_some(());
    until("the system to have it back", is_back);
}

#[test]
fn what_a_flush_has_emptied_is_given_back() {
    const KEYS: usize = 400_000;
    let server = alone();
    // Two workers have allocated it, and neither does anything afterwards.
    let mut wires: Vec<Wire> = (0..2).map(|_| server.dial()).collect();
    let resident = resident_bytes(server.pid());
    for (number, wire) in wires.iter_mut().enumerate() {
        for from in (0..KEYS).step_by(10_000) {
            let mut mset = words(&["MSET"]);
            for key in from..from + 10_000 {
                mset.extend([format!("k{number}:{key}").into_bytes(), vec![b'x'; 100]]);
            }
            wire.send_raw(&encode(&mset));
            assert_eq!(wire.read().to_string(), "+OK");
        }
    }
    let full = resident_bytes(server.pid()) - resident;
    assert!(100 * MB < full, "{full}");
    ok(&mut wires[0], "FLUSHALL ASYNC");
    // A page in use keeps what its 32 MB around it have lost last, until something there is freed.
    let is_back = || {
        ok(&mut wires[0], "MEMORY PURGE");
        (resident_bytes(server.pid()) < resident + full / 2).then_some(())
    };
    until("the system to have it back", is_back);
}

#[test]
fn keys_with_a_deadline_are_counted_without_a_look_at_each() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    for (line, keyspace) in [
        ("SET a 1 EX 1000", "keys=1,expires=1"),
        ("SET b 1 EX 1000", "keys=2,expires=2"),
        ("PERSIST a", "keys=2,expires=1"),
        ("SET c 1", "keys=3,expires=1"),
        ("EXPIRE c 1000", "keys=3,expires=2"),
        ("RENAME c d", "keys=3,expires=2"),
        ("DEL b", "keys=2,expires=1"),
        ("SWAPDB 0 1", ""),
        ("SWAPDB 0 1", "keys=2,expires=1"),
    ] {
        wire.ask(line);
        let found = info_field(&mut wire, "keyspace", "db0").unwrap_or_default();
        assert!(found.starts_with(keyspace) && found.is_empty() == keyspace.is_empty(), "{line}");
    }
}
