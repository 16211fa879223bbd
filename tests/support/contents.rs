//! What a server holds, key by key, so that two servers can be compared.

use super::clients::info_field;
use super::patience::until;
use super::value::Value;
use super::wire::Wire;
use std::collections::BTreeMap;

/// All that a key holds.
pub fn shown(key: &[u8], wire: &mut Wire) -> Value {
    let words = |it: &[&[u8]]| it.iter().map(|it| it.to_vec()).collect::<Vec<_>>();
    match wire.cmd(&words(&[b"TYPE", key])).string().as_str() {
        "string" => wire.cmd(&words(&[b"GET", key])),
        "list" => wire.cmd(&words(&[b"LRANGE", key, b"0", b"-1"])),
        "set" => wire.cmd(&words(&[b"SMEMBERS", key])).sorted(1),
        "hash" => wire.cmd(&words(&[b"HGETALL", key])).sorted(2),
        "zset" => wire.cmd(&words(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"])),
        "stream" => {
            let entries = wire.cmd(&words(&[b"XRANGE", key, b"-", b"+"]));
            let groups = wire.cmd(&words(&[b"XINFO", b"GROUPS", key]));
            let names = groups.list().iter().filter_map(|it| it.list()[1].text());
            let pending = names.map(|it| wire.cmd(&words(&[b"XPENDING", key, it])));
            Value::Array([entries, groups.clone()].into_iter().chain(pending).collect())
        }
        other => panic!("{key:?} is a {other}"),
    }
}

/// All keys of all databases with what they hold and when they expire.
pub fn contents(wire: &mut Wire) -> BTreeMap<(usize, Vec<u8>), (Value, Value)> {
    let mut all = BTreeMap::new();
    for db in 0..16 {
        wire.cmd(&["SELECT", &db.to_string()]);
        for key in wire.ask("KEYS *").list() {
            let key = key.text().expect("a name").to_vec();
            let expires = wire.cmd(&[b"PEXPIRETIME".to_vec(), key.clone()]);
            let shown = numbered(shown(&key, wire));
            all.insert((db, key), (shown, expires));
        }
    }
    wire.ask("SELECT 0");
    all
}

/// Long numbers with a fraction are written by servers in ways of their own: the same numbers are
/// the same here.
fn numbered(value: Value) -> Value {
    let Value::Array(items) = value else { return value };
    let parsed = |it: &[u8]| std::str::from_utf8(it).ok()?.parse::<f64>().ok();
    let number = |it: &Value| it.text().and_then(parsed);
    let numbered = |it: Value| match number(&it) {
        Some(number) => Value::Bulk(format!("{:?}", number).into_bytes()),
        None => it,
    };
    Value::Array(items.into_iter().map(numbered).collect())
}

/// Compares all that two servers hold.
pub fn hold_the_same(this: &mut Wire, other: &mut Wire) {
    let (these, others) = (contents(this), contents(other));
    let missing: Vec<_> = these.keys().filter(|it| !others.contains_key(it)).take(5).collect();
    let odd: Vec<_> = others.keys().filter(|it| !these.contains_key(it)).take(5).collect();
    assert!(missing.is_empty() && odd.is_empty(), "missing {missing:?}, too many {odd:?}");
    for (key, value) in &these {
        let is_same = Some(value) == others.get(key);
        let start =
            |it: Option<&(Value, Value)>| format!("{it:?}").chars().take(300).collect::<String>();
        let [this, other] = [start(Some(value)), start(others.get(key))];
        assert!(is_same, "{} of db {}: {this} and {other}", String::from_utf8_lossy(&key.1), key.0);
    }
}

/// Waits until the replica has its link and everything that its master had when this was asked.
pub fn until_caught_up(replica: &mut Wire, master: &mut Wire) {
    let number = |wire: &mut Wire, name: &str| -> Option<u64> {
        info_field(wire, "replication", name)?.parse().ok()
    };
    let head = number(master, "master_repl_offset").expect("an offset");
    until("the replica to catch up", || {
        let is_up = info_field(replica, "replication", "master_link_status")? == "up";
        let has_all = head <= number(replica, "slave_repl_offset")?;
        (is_up && has_all).then_some(())
    });
}
