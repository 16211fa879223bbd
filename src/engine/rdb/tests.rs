//! Every value comes back, and no bytes do harm.

mod crafted;
mod files;
mod walks;

use super::{Loaded, Payload, Reader, VERSION_MAX, Why, checksum, dump, load};
use crate::engine::packed::Element;
use crate::engine::verbs::check::Bench;
use crate::engine::{Engine, KeySlot, Thresholds, Value};
use proptest::prelude::*;

/// One of each type in each form and size class, made by commands.
fn furnished() -> Bench {
    let mut bench = Bench::default();
    let texts = ["", "7", "-129", "70000", "2147483648", "x", "012"].map(str::to_owned);
    let long = [20, 63, 64, 4095, 4096, 16_379, 16_380, 20_000].map(|len| "ab".repeat(len / 2));
    for (number, text) in texts.iter().chain(&long).enumerate() {
        bench.ask(&format!("SET s{number} \"{text}\""));
        bench.ask(&format!("RPUSH few 1 \"{text}\" -7"));
        bench.ask(&format!("HSET h{number} 1 \"{text}\" \"{text}\" -7"));
        bench.ask(&format!("HSET table \"{text}\" {number}"));
        bench.ask(&format!("SADD words \"{text}\" {number}"));
        bench.ask(&format!("SADD table{number} \"{text}\" 2"));
        bench.ask(&format!("ZADD z{number} 0.1 \"{text}\" -inf 1 5e100 x"));
        bench.ask(&format!("XADD x{number} 5-{number} \"{text}\" 1 f \"{text}\""));
    }
    for numbers in ["1 -5 300", "1 70000", "-2147483648 9", "2147483648 7"] {
        bench.ask(&format!("SADD {} {numbers}", numbers.len()));
    }
    for number in 0..2_000_i64 {
        let number = number.pow(5) * (number % 2 * 2 - 1);
        bench.ask(&format!("RPUSH many {number} \"text {number}\""));
        bench.ask(&format!("HSET fields {number} {number}"));
        bench.ask(&format!("SADD members {number}"));
        bench.ask(&format!("ZADD scores {number}.25 {number}"));
    }
    for ms in 1..=2_000 {
        bench.ask(&format!("XADD stream {ms} f {ms} g \"text {ms}\""));
    }
    for line in [
        "XDEL stream 7 2000",
        "XTRIM stream MAXLEN 1900",
        "XGROUP CREATE stream g 0",
        "XGROUP CREATE stream 12 500-3 ENTRIESREAD 400",
        "XGROUP CREATECONSUMER stream g idle",
        "XREADGROUP GROUP g alice COUNT 700 STREAMS stream >",
        "XREADGROUP GROUP g bob COUNT 3 STREAMS stream >",
        "XACK stream g 200 300",
        "XGROUP CREATE empty g $ MKSTREAM",
    ] {
        assert!(!bench.ask(line).starts_with('-'), "{line}");
    }
    bench
}

fn slots(bench: &Bench) -> Vec<&KeySlot> {
    bench.engine.space(0).table().iter().collect()
}

#[test]
fn every_value_comes_back_in_the_same_form() {
    let bench = furnished();
    let mut other = Engine::new(7, Thresholds::default());
    for slot in slots(&bench) {
        let payload = dump(slot);
        let key = crate::engine::table::Slot::key(slot);
        let mut db = other.db_mut_at(0, bench.env.now.get());
        match Payload::check(&payload).unwrap().load(db.shared()).unwrap() {
            Loaded::Text(text) => drop(db.put_string(key, &text, None)),
            Loaded::Value(value) => db.put_value(key, value, None),
        }
        assert_eq!(db.get(key).unwrap().encoding(), slot.encoding());
    }
    let now = bench.env.now.get();
    assert_eq!(other.digest(now), bench.engine.digest(now));
}

#[test]
fn a_payload_with_any_bit_turned_is_refused() {
    let bench = furnished();
    for slot in slots(&bench) {
        let payload = dump(slot);
        for at in (0..payload.len()).step_by(1 + payload.len() / 50) {
            let mut bad = payload.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(Payload::check(&bad).is_err());
        }
    }
}

#[test]
fn a_newer_version_is_refused_though_its_checksum_is_right() {
    for version in [VERSION_MAX, VERSION_MAX + 1] {
        let mut payload = b"\0\x01a".to_vec();
        payload.extend_from_slice(&version.to_le_bytes());
        payload.extend_from_slice(&checksum(&payload).to_le_bytes());
        assert_eq!(Payload::check(&payload).is_ok(), version == VERSION_MAX);
    }
}

#[test]
fn every_beginning_of_a_value_is_broken() {
    let bench = furnished();
    let shared = bench.engine.shared();
    for slot in slots(&bench) {
        let payload = dump(slot);
        let value = &payload[..payload.len() - 10];
        for len in (0..value.len()).step_by(1 + value.len() / 200) {
            assert!(load(&mut Reader::new(&value[..len]), shared).is_err());
        }
    }
}

/// Strings that announce more than there is: none may be made room for.
#[test]
fn announced_lengths_allocate_nothing() {
    let shared = Engine::new(7, Thresholds::default());
    let huge = [0x81, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    for form in 0..=21 {
        for tail in [&huge[..], &[0x80, 0x1F, 0xFF, 0xFF, 0xFF], &[0x81; 9]] {
            let bytes = [&[form], tail, tail, tail].concat();
            assert!(load(&mut Reader::new(&bytes), shared.shared()).is_err(), "{form}");
        }
    }
}

#[test]
fn nothing_is_twice_in_a_large_value_either() {
    for (form, words) in [(super::form::SET, 1), (super::form::HASH, 2)] {
        for last in [599, 300] {
            let mut out = super::Writer::default();
            out.byte(form);
            out.length(600);
            for number in (0..599).chain([last]) {
                (0..words).for_each(|_| out.string(format!("member {number}").as_bytes()));
            }
            assert_eq!(read(&out.into_bytes()).is_ok(), last == 599, "{form}");
        }
    }
    for last in [599, 300] {
        let mut out = super::Writer::default();
        out.byte(super::form::ZSET_BINARY);
        out.length(600);
        for (number, score) in (0..599).chain([last]).zip(0..) {
            out.string(format!("member {number}").as_bytes());
            out.double(f64::from(score));
        }
        assert_eq!(read(&out.into_bytes()).is_ok(), last == 599);
    }
}

#[test]
fn an_integer_that_a_node_spells_is_one_here() {
    let texts = [&b"12"[..], b"-7", b"0", b"012", b"-", b"x", b"5000", b"12345678901234567890"];
    let node = super::listpack::Listpack::of(texts.into_iter().map(Element::Text));
    let engine = Engine::new(7, Thresholds::default());
    let bytes = framed(super::form::LIST_LISTPACKS, &node.into_bytes());
    let Ok(Loaded::Value(Value::List(list))) = load(&mut Reader::new(&bytes), engine.shared())
    else {
        panic!("no list")
    };
    assert!(list.onward(0).eq(texts.map(Element::of)));
}

fn read(bytes: &[u8]) -> Result<(), Why> {
    let engine = Engine::new(7, Thresholds::default());
    load(&mut Reader::new(bytes), engine.shared()).map(drop)
}

/// A blob of any bytes under the heads that lead to it.
fn framed(form: u8, blob: &[u8]) -> Vec<u8> {
    let mut out = super::Writer::default();
    out.byte(form);
    match form {
        super::form::LIST_ZIPLISTS => out.length(1),
        super::form::LIST_LISTPACKS => [1, 2].into_iter().for_each(|it| out.length(it)),
        _ => {}
    }
    out.blob(blob);
    out.into_bytes()
}

/// Gives a blob the size it has, so that what is behind is looked at.
fn sized(mut blob: Vec<u8>) -> Vec<u8> {
    let size = (blob.len() as u32).to_le_bytes();
    if let Some(head) = blob.first_chunk_mut() {
        *head = size;
    }
    blob
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_value_or_are_broken(form in 0_u8..22, bytes: Vec<u8>) {
        let _ = read(&[&[form][..], &bytes].concat());
        let _ = read(&framed(form, &bytes));
        let _ = read(&framed(form, &sized(bytes)));
    }

    #[test]
    fn changed_bytes_end_in_a_value_or_are_broken(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        thread_local!(static BENCH: Bench = furnished());
        BENCH.with(|bench| {
            for slot in slots(bench) {
                let mut bytes = dump(slot);
                for (at, byte) in &changes {
                    let len = bytes.len();
                    bytes[at.index(len)] = *byte;
                }
                let _ = read(&bytes);
            }
        });
    }
}

/// Redis and Valkey 9 spell some sizes otherwise. We read both, and write neither.
#[test]
fn elements_of_a_disputed_size_are_in_no_listpack() {
    let text = "x".repeat(0x3FFF - 5);
    let mut bench = Bench::default();
    bench.engine.shared_mut().thresholds.hash_value = 20_000;
    bench.engine.shared_mut().thresholds.zset_value = 20_000;
    bench.ask(&format!("RPUSH list a {text} b"));
    bench.ask(&format!("HSET hash f {text}"));
    bench.ask(&format!("ZADD zset 1 {text}"));
    for slot in slots(&bench) {
        let payload = dump(slot);
        let has = |back: &[u8]| payload.windows(back.len()).any(|it| it == back);
        assert!(!has(b"x\0\xFF\xFF") && !has(b"x\x7F\xFF"));
        assert!(read(&payload[..payload.len() - 10]).is_ok());
    }
    for back in [&b"\0\xFF\xFF"[..], b"\x7F\xFF"] {
        let element = [&b"\xF0\xFA\x3F\0\0"[..], text.as_bytes(), back].concat();
        let pack = sized([b"\0\0\0\0\x01\0", &element[..], b"\xFF"].concat());
        assert!(read(&framed(super::form::LIST_LISTPACKS, &pack)).is_ok());
    }
}
