//! Values travel: what a real Redis dumps is restored here, what we dump is restored there, and
//! both sides then hold the same.

use crate::support::{Server, Value, Wire, furnish, shown};
use entourage::engine::rdb::{VERSION, VERSION_MAX, checksum};

struct Pair {
    _servers: [Server; 2],
    redis: Wire,
    ours: Wire,
}

impl Pair {
    fn start() -> Pair {
        // Redis with every check it has of what it restores.
        let servers = [Server::redis(&["--sanitize-dump-payload", "yes"]), Server::entourage(&[])];
        let [redis, ours] = [0, 1].map(|it: usize| servers[it].dial());
        Pair { _servers: servers, redis, ours }
    }

    fn both(&mut self) -> [&mut Wire; 2] {
        [&mut self.redis, &mut self.ours]
    }
}

#[test]
fn values_of_every_type_and_size_class_travel_both_ways() {
    let mut pair = Pair::start();
    pair.both().into_iter().for_each(furnish);
    let keys = pair.redis.ask("KEYS *").sorted(1);
    assert_eq!(keys, pair.ours.ask("KEYS *").sorted(1));
    let Pair { redis, ours, .. } = &mut pair;
    for key in keys.list().iter().map(Value::string) {
        travel(&key, redis, ours);
        travel(&key, ours, redis);
    }
}

/// Restores here what `from` dumps, under another name, and compares.
fn travel(key: &str, from: &mut Wire, to: &mut Wire) {
    let payload = from.cmd(&["DUMP", key]);
    let payload = payload.text().expect("a payload");
    let words = [b"RESTORE", &b"guest"[..], b"0", payload, b"REPLACE"];
    assert_eq!(to.cmd(&words).text(), Some(&b"OK"[..]), "{key}");
    let [guest, there, here] =
        [shown(b"guest", to), shown(key.as_bytes(), from), shown(key.as_bytes(), to)];
    assert_eq!([&guest; 2], [&there, &here], "{key}");
    if to.cmd(&["TYPE", key]).string() != "set" {
        // A small set of texts is a table in 7.0, and a listpack in 7.2 and here.
        let [guest, host] = ["guest", key].map(|it| to.cmd(&["OBJECT", "ENCODING", it]));
        assert_eq!(guest, host, "{key}");
    }
    to.cmd(&["DEL", "guest"]);
}

/// What no server of today writes, but every one reads.
#[test]
fn forms_of_older_servers_are_read_as_redis_reads_them() {
    // a, 5, -1, 300, -70000, 2^40 and a text of 70 bytes.
    let items: &[&[u8]] = &[
        b"\x01a",
        b"\xF6",
        b"\xFE\xFF",
        b"\xC0\x2C\x01",
        b"\xF0\x90\xEE\xFE",
        b"\xE0\0\0\0\0\0\x01\0\0",
        &[b"\x40\x46", &[b'x'; 70][..]].concat(),
        b"\x03end",
    ];
    let list = ziplist(items);
    let hash = ziplist(&items[..4]);
    let zset = ziplist(&[b"\x01a", b"\xFE\xFF", b"\x01b", b"\x031.5", b"\x01c", b"\x03inf"]);
    let values = [
        [b"\x01\x02", &b"\x01a"[..], b"\xC0\x05"].concat(),
        [&b"\x03\x03"[..], b"\x01a\x031.5", b"\x01b\xFE", b"\x01c\xFF"].concat(),
        [&b"\x09"[..], &blob(b"\x02\x01f\x03\x00one\x01g\x03\x02twoxx\xFF")].concat(),
        [&b"\x0A"[..], &blob(&list)].concat(),
        [&b"\x0C"[..], &blob(&zset)].concat(),
        [&b"\x0D"[..], &blob(&hash)].concat(),
        [&b"\x0E\x02"[..], &blob(&list), &blob(&hash)].concat(),
        [&b"\x12\x02\x01\x03abc"[..], b"\x02", &blob(b"\x0A\0\0\0\x01\0\x81z\x02\xFF")].concat(),
    ];
    let mut pair = Pair::start();
    for value in values {
        let payload = payload(&value, VERSION);
        let [there, here] = pair.both().map(|it| {
            let words = [b"RESTORE", &b"k"[..], b"0", &payload, b"REPLACE"];
            (it.cmd(&words).string(), shown(b"k", it))
        });
        assert_eq!(there.0, "OK", "form {}", value[0]);
        assert_eq!(there, here, "form {}", value[0]);
    }
}

/// Redis 7.2's own form and version, which 7.0 refuses.
#[test]
fn forms_of_newer_servers_are_read() {
    let mut pair = Pair::start();
    let set = blob(b"\x0D\0\0\0\x02\0\x81a\x02\x81b\x02\xFF");
    let payload = payload(&[b"\x14", &set[..]].concat(), VERSION_MAX);
    let words = [b"RESTORE", &b"k"[..], b"0", &payload];
    assert!(pair.redis.cmd(&words).is_error());
    assert_eq!(pair.ours.cmd(&words).string(), "OK");
    assert_eq!(shown(b"k", &mut pair.ours).list().len(), 2);
}

fn payload(value: &[u8], version: u16) -> Vec<u8> {
    let mut bytes = [value, &version.to_le_bytes()].concat();
    bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
    bytes
}

/// A short string with its length.
fn blob(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u16 | 0x4000;
    [&len.to_be_bytes(), bytes].concat()
}

fn ziplist(items: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; 10];
    let (mut before, mut last) = (0, 10);
    for item in items {
        last = bytes.len();
        bytes.push(before);
        bytes.extend_from_slice(item);
        before = 1 + item.len() as u8;
    }
    bytes.push(0xFF);
    let size = (bytes.len() as u32).to_le_bytes();
    bytes[..4].copy_from_slice(&size);
    bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    bytes[8..10].copy_from_slice(&(items.len() as u16).to_le_bytes());
    bytes
}
