//! Files of every version, in forms that no server of today writes: each cut short anywhere and
//! with each byte changed is loaded or refused, and never more.

use super::files::{loaded, loader};
use crate::base::time::WallMs;
use crate::engine::rdb::{FileFault, Why, Writer, checksum, form};
use crate::engine::rdb::{listpack::Listpack, opcode};
use crate::engine::verbs::check::Bench;
use crate::engine::{Engine, packed::Element};

const NOW: WallMs = WallMs(1_000_000);

/// A file: its version, what is behind its magic, and the commands that make the same keys.
struct Crafted {
    magic: &'static str,
    body: Vec<u8>,
    same: &'static [&'static str],
}

impl Crafted {
    fn new(magic: &'static str, body: &[&[u8]], same: &'static [&'static str]) -> Crafted {
        Crafted { magic, body: body.concat(), same }
    }

    fn version(&self) -> u16 {
        self.magic.trim_start_matches(char::is_alphabetic).parse().unwrap()
    }

    /// The whole file, with the checksum it has, or with 0 for none.
    fn file(&self, is_summed: bool) -> Vec<u8> {
        let mut file = [self.magic.as_bytes(), &self.body, &[opcode::EOF]].concat();
        if 5 <= self.version() {
            let sum = if is_summed { checksum(&file) } else { 0 };
            file.extend_from_slice(&sum.to_le_bytes());
        }
        file
    }
}

fn blob(bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.blob(bytes);
    out.into_bytes()
}

/// A ziplist of elements, each as it stands there.
fn ziplist(items: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; 10];
    let mut before = 0;
    for item in items {
        bytes.push(before);
        bytes.extend_from_slice(item);
        before = 1 + item.len() as u8;
    }
    bytes.push(0xFF);
    let size = (bytes.len() as u32).to_le_bytes();
    bytes[..4].copy_from_slice(&size);
    bytes[8..10].copy_from_slice(&(items.len() as u16).to_le_bytes());
    blob(&bytes)
}

fn listpack(items: &[&str]) -> Vec<u8> {
    blob(&Listpack::of(items.iter().map(|it| Element::of(it.as_bytes()))).into_bytes())
}

const LIST_ITEMS: &[&[u8]] = &[b"\x01a", b"\xF6", b"\xFE\xFF", b"\xC0\x2C\x01", b"\x03end"];
const INTS: &[u8] = b"\x04\0\0\0\x03\0\0\0\xFF\xFF\xFF\xFF\x01\0\0\0\0\0\x01\0";
const ZIPMAP: &[u8] = b"\x02\x01f\x03\x00one\x01g\x03\x02twoxx\xFF";
const LONG_ZIPMAP: &[u8] = b"\xFE\x01f\xFE\x03\0\0\0\x00one\xFF";
const NO_TTL: &[u8] = &[0xFF; 8];
const TIME: &[u8] = &[0, 0, 0, 0, 1, 0, 0, 0];

fn table() -> Vec<Crafted> {
    let new = Crafted::new;
    let list = &["RPUSH l a 5 -1 300 end"];
    vec![
        new("REDIS0001", &[b"\xFE\0\x00\x01a\x01b\x00\x02ab\xC0\x07"], &["SET a b", "SET ab 7"]),
        new("REDIS0001", &[b"\xFE\0\x01\x01l\x02\x01a\xC1\x2C\x01"], &["RPUSH l a 300"]),
        new("REDIS0001", &[b"\xFE\0\x02\x01s\x02\x01a\xC2\0\0\x01\0"], &["SADD s a 65536"]),
        new(
            "REDIS0001",
            &[b"\xFE\0\x03\x01z\x03\x01a\x031.5\x01b\xFE\x01c\xFF"],
            &["ZADD z 1.5 a inf b -inf c"],
        ),
        new("REDIS0001", &[b"\xFE\0\x04\x01h\x02\x01f\x01v\x01g\xC0\x05"], &["HSET h f v g 5"]),
        new(
            "REDIS0002",
            &[b"\xFE\0\xFD\x10\x27\0\0\x00\x01a\xC3\x04\x04\x00a\x20\x00"],
            &["SET a aaaa", "PEXPIREAT a 10000000"],
        ),
        new("REDIS0002", &[b"\xFE\0\x09\x01h", &blob(ZIPMAP)], &["HSET h f one g two"]),
        new("REDIS0003", &[b"\xFE\0\x09\x01h", &blob(LONG_ZIPMAP)], &["HSET h f one"]),
        new(
            "REDIS0003",
            &[b"\xFE\0\xFC\x80\x84\x1E\0\0\0\0\0\x00\x01a\x01b"],
            &["SET a b", "PEXPIREAT a 2000000"],
        ),
        new("REDIS0004", &[b"\xFE\0\x0A\x01l", &ziplist(LIST_ITEMS)], list),
        new("REDIS0005", &[b"\xFE\0\x0B\x01s", &blob(INTS)], &["SADD s -1 1 65536"]),
        new(
            "REDIS0005",
            &[b"\xFE\0\x0C\x01z", &ziplist(&[b"\x01a", b"\xF3", b"\x01b", b"\x031.5"])],
            &["ZADD z 2 a 1.5 b"],
        ),
        new(
            "REDIS0006",
            &[b"\xFE\0\x0D\x01h", &ziplist(&[b"\x01a", b"\xF3", b"\x01b", b"\x031.5"])],
            &["HSET h a 2 b 1.5"],
        ),
        new(
            "REDIS0007",
            &[
                b"\xFA\x09redis-ver\x053.2.0\xFE\0\xFB\x01\0\x0E\x01l\x02",
                &ziplist(&LIST_ITEMS[..2]),
                &ziplist(&LIST_ITEMS[2..]),
            ],
            list,
        ),
        new(
            "REDIS0008",
            &[b"\xFE\0\x05\x01z\x02\x01a\0\0\0\0\0\0\xF8\x3F\x01b\0\0\0\0\0\0\xF0\xFF"],
            &["ZADD z 1.5 a -inf b"],
        ),
        new(
            "REDIS0009",
            &[b"\xFE\0\xF8\x0A\x00\x01a\x01b\xF9\xFF\x00\x01c\x80\0\0\0\x01d"],
            &["SET a b", "SET c d"],
        ),
        new("REDIS0010", &[b"\xFE\0\x10\x01h", &listpack(&["f", "1"])], &["HSET h f 1"]),
        new("REDIS0010", &[b"\xFE\0\x11\x01z", &listpack(&["m", "1.5"])], &["ZADD z 1.5 m"]),
        new(
            "REDIS0010",
            &[b"\xFE\0\x12\x01l\x02\x01\x05a\x00\xFF\x00z\x02", &listpack(&["b", "-7"])],
            &["RPUSH l \"a\\x00\\xff\\x00z\" b -7"],
        ),
        new(
            "REDIS0011",
            &[b"\xF4\x05\x41\x00\x01\xFE\0\x14\x01s", &listpack(&["a", "12"])],
            &["SADD s a 12"],
        ),
        new(
            "REDIS0012",
            &[b"\xFE\0\x18\x01h", TIME, b"\x02\x00\x01f\x01v\x00\x01g\x01w"],
            &["HSET h f v g w"],
        ),
        new(
            "REDIS0012",
            &[b"\xFE\0\x19\x01h", TIME, &listpack(&["f", "v", "0", "g", "w", "0"])],
            &["HSET h f v g w"],
        ),
        new(
            "VALKEY080",
            &[b"\xFE\0\x16\x01h\x02\x01f\x01v", NO_TTL, b"\x01g\x01w", NO_TTL],
            &["HSET h f v g w"],
        ),
        new(
            "VALKEY080",
            &[b"\xFE\0\x16\x01h\x02\x01f\x01v", TIME, b"\x01g\x01w", NO_TTL],
            &["HSET h f v g w", "HPEXPIREAT h 4294967296 FIELDS 1 f"],
        ),
        // Redis has written empty collections by mistake; they are passed over.
        new("REDIS0009", &[b"\xFE\0\xFD\0\0\0\0\x01\x01l\0\x00\x01a\x01b"], &["SET a b"]),
    ]
}

fn made_by(commands: &[&str]) -> Engine {
    let mut bench = Bench::default();
    for line in commands {
        let said = bench.ask(line);
        assert!(!said.starts_with('-'), "{line}: {said}");
    }
    bench.engine
}

fn name(crafted: &Crafted) -> String {
    format!("{} {:?}", crafted.magic, crafted.same)
}

#[test]
fn files_of_every_version_hold_what_they_should() {
    for crafted in table() {
        let wanted = made_by(crafted.same).digest(NOW);
        for is_summed in [true, false] {
            for size in [1, 2, 1000] {
                let back = loaded(&crafted.file(is_summed), &[size]);
                let back = back.unwrap_or_else(|it| panic!("{}: {it}", name(&crafted)));
                assert_eq!(back.engine.digest(NOW), wanted, "{}", name(&crafted));
            }
        }
    }
}

#[test]
fn what_a_file_says_of_uses_is_known() {
    use crate::engine::{EvictionRules, Policy};
    let body: &[u8] = b"\xFE\0\xF9\xC8\0\x01a\x01b\xF8\x30\0\x01c\x01d";
    let file = Crafted::new("REDIS0009", &[body], &[]).file(true);
    let back = loaded(&file, &[1]).unwrap().engine;
    let rules = EvictionRules { policy: Policy::AllkeysLfu, ..EvictionRules::default() };
    let usage = |key: &[u8]| back.view(0, NOW).peek(key).expect("it is there").usage().clone();
    assert_eq!(usage(b"a").frequency(NOW, &rules), 200);
    assert_eq!(usage(b"c").idle_s(NOW), 48);
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    for crafted in table() {
        let file = crafted.file(true);
        for len in 0..file.len() {
            assert!(loaded(&file[..len], &[3]).is_err(), "{} {len}", name(&crafted));
        }
    }
}

#[test]
fn a_file_with_a_byte_changed_is_refused_if_it_is_summed_and_does_no_harm_else() {
    const MAGIC_BYTES: usize = 9;
    for crafted in table() {
        for is_summed in [true, false] {
            let file = crafted.file(is_summed);
            for at in 0..file.len() {
                for bits in [1, 2, 4, 8, 16, 32, 64, 128, 0xFF] {
                    let mut bad = file.clone();
                    bad[at] ^= bits;
                    let back = loaded(&bad, &[5]);
                    let must_fail = is_summed && 5 <= crafted.version() && MAGIC_BYTES <= at;
                    assert!(!(must_fail && back.is_ok()), "{} {at} {bits}", name(&crafted));
                    if let Ok(back) = back {
                        back.engine.digest(NOW);
                    }
                }
            }
        }
    }
}

fn fault(file: &[u8]) -> FileFault {
    let mut loader = loader();
    match loader.feed(file) {
        Err(fault) => fault,
        Ok(_) => loader.finish().err().expect("a fault"),
    }
}

#[test]
fn what_cannot_be_kept_ends_the_load_by_name() {
    let key = Some(b"k".to_vec());
    // "ReJSON-RL" with version 3.
    let module = b"\x81\x44\x49\x52\x38\x37\x3E\x44\x4B\x03";
    for (body, why, at, key) in [
        (&b"\x0F\x01k\0\x01\0\0"[..], Why::Broken, 13, key.clone()),
        (b"\x13\x01k\0\x01\0\0\0\0\0\0\0", Why::Broken, 13, key.clone()),
        (b"\x15\x01k\x01\x02ab\x01a", Why::Broken, 13, key.clone()),
        (b"\x17\x01k", Why::UnsupportedType("hash of a candidate for Redis 7.4"), 9, key.clone()),
        (b"\x16\x01k", Why::UnsupportedType("hash of a candidate for Redis 7.4"), 9, key.clone()),
        (b"\x63\x01k", Why::UnknownType(0x63), 9, key.clone()),
        (b"\xF5\x01x", Why::Library("ERR Missing library metadata".into()), 9, None),
        (b"\xF6", Why::Unsupported("functions of a candidate for Redis 7.0 are"), 9, None),
        (b"\xF3", Why::Unsupported("slots that are being moved are"), 9, None),
        (b"\xFE\x10", Why::Database(16), 9, None),
        (b"\x00\x01k\x01a\x00\x01k\x01b", Why::DuplicateKey, 17, key.clone()),
        (b"\x02\x01k\x02\x01a\x01a", Why::Broken, 12, key.clone()),
        (b"\x02\x01k\x02\x01a\x82a", Why::Broken, 12, key.clone()),
        (b"\x00\x01k\x81\xFF\0\0\0\0\0\0\0", Why::Broken, 12, key.clone()),
        (b"\x18\x01k\0\0\0\0\0\0\0\0\x01\x05\x01f\x01v", Why::FieldTtl, 12, key.clone()),
    ] {
        let wanted = FileFault { why, at, key };
        assert_eq!(fault(&[b"REDIS0012", body].concat()), wanted);
    }
    let found = fault(&[&b"REDIS0009\x07\x01k"[..], &module[..9]].concat());
    assert!(matches!(found.why, Why::Module(_)), "{found}");
    assert_eq!(found.key, key);
    let found = fault(&[&b"REDIS0009\xF7"[..], &module[..9]].concat());
    assert!(matches!(found.why, Why::Module(_)) && found.key.is_none(), "{found}");
    let before = [&b"VALKEY080\x16\x01k\x01\x01f\x01v"[..], &[0xF0; 8]].concat();
    assert_eq!(fault(&before), FileFault { why: Why::Broken, at: 12, key });
    for (magic, why) in [
        (&b"RODIS0009"[..], Why::NoRdb),
        (b"", Why::Truncated),
        (b"REDIS00 9", Why::NoRdb),
        (b"REDIS0000", Why::Version(0)),
        (b"REDIS0013", Why::Version(13)),
        (b"REDIS0079", Why::Version(79)),
        (b"VALKEY081", Why::Version(81)),
    ] {
        assert_eq!(fault(magic), FileFault { why, at: 0, key: None });
    }
    assert_eq!(form::HASH_TTL_VALKEY, 0x16);
}

#[test]
fn a_wrong_checksum_is_named() {
    let mut file = table()[10].file(true);
    let (len, last) = (file.len(), file.len() - 1);
    file[last] ^= 1;
    assert_eq!(fault(&file), FileFault { why: Why::Checksum, at: len as u64 - 8, key: None });
}

/// Strings that announce more than there is: nothing is made room for.
#[test]
fn announced_lengths_take_no_memory() {
    for form in (0..=25).chain([opcode::AUX]) {
        for huge in [&b"\x80\x1F\xFF\xFF\xFF"[..], b"\x81\0\0\0\0\x1F\xFF\xFF\xFF"] {
            for key in [&b"\x01k"[..], b""] {
                let mut loader = loader();
                let file = [b"REDIS0011", &[form][..], key, huge, huge, &[0; 100]].concat();
                let _ = loader.feed(&file);
                assert!(loader.held_bytes() < 1 << 20, "{form}");
            }
        }
    }
}
