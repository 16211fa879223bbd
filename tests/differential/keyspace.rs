//! Compares everything that a client can see in its databases: keys, types, encodings, deadlines,
//! contents, and whole iterations.

use super::classes::by_value;
use super::client::{Client, Mismatch};
use crate::support::{Value, Words, words};
use std::collections::BTreeSet;

/// Encodings that keep the order in which elements came.
const ORDERED: &[&[u8]] = &[b"listpack", b"intset"];
/// An iteration over a few hundred elements that takes so many pages does not end.
const PAGES_MAX: usize = 100_000;

/// Compares both databases of a client.
pub fn compare(client: &mut Client) -> Result<(), Mismatch> {
    for db in [client.vocabulary.other_db, client.vocabulary.db] {
        client.select(db);
        client.log.push(words(&["SELECT", &db.to_string()]));
        compare_db(client)?;
    }
    Ok(())
}

fn compare_db(client: &mut Client) -> Result<(), Mismatch> {
    let told = client.play(&[words(&["KEYS", "*"]), words(&["DBSIZE"])])?;
    for key in told[0].list().iter().filter_map(Value::text) {
        compare_key(client, key)?;
    }
    iterate(client, &words(&["SCAN"]))
}

fn compare_key(client: &mut Client, key: &[u8]) -> Result<(), Mismatch> {
    let about: [&[&[u8]]; 3] = [&[b"OBJECT", b"ENCODING"], &[b"TYPE"], &[b"PTTL"]];
    let about: Vec<Words> =
        about.iter().map(|it| [words(it), vec![key.to_vec()]].concat()).collect();
    let told = client.play(&about)?;
    let kind = told[1].string();
    let is_ordered = match (kind.as_str(), told[0].text()) {
        // Ours may be a listpack where theirs is a table already.
        ("set", encoding) => encoding == Some(b"intset"),
        (_, encoding) => encoding.is_some_and(|it| ORDERED.contains(&it)),
    };
    let content = content(&kind, key);
    match is_ordered {
        true => client.play_strictly(&content)?,
        false => drop(client.play(&[content])?),
    }
    let is_newer = client.is_newer();
    match kind.as_str() {
        "stream" if is_newer => {
            let full = words(&[&b"XINFO"[..], b"STREAM", key, b"FULL", b"COUNT", b"0"]);
            client.play(&[full]).map(drop)
        }
        "hash" if is_newer => {
            compare_deadlines(client, key)?;
            iterate(client, &words(&[b"HSCAN", key]))
        }
        "hash" => iterate(client, &words(&[b"HSCAN", key])),
        "set" => iterate(client, &words(&[b"SSCAN", key])),
        "zset" => iterate(client, &words(&[b"ZSCAN", key])),
        _ => Ok(()),
    }
}

/// When the fields of a hash expire.
fn compare_deadlines(client: &mut Client, key: &[u8]) -> Result<(), Mismatch> {
    let told = client.play(&[words(&[b"HKEYS", key])])?;
    let fields: Words = told[0].list().iter().filter_map(Value::text).map(<[u8]>::to_vec).collect();
    let count = fields.len().to_string();
    let head = words(&[b"HPEXPIRETIME", key, b"FIELDS", count.as_bytes()]);
    match fields.is_empty() {
        true => Ok(()),
        false => client.play(&[[head, fields].concat()]).map(drop),
    }
}

fn content(kind: &str, key: &[u8]) -> Words {
    match kind {
        "string" => words(&[b"GET", key]),
        "hash" => words(&[b"HGETALL", key]),
        "set" => words(&[b"SMEMBERS", key]),
        "list" => words(&[b"LRANGE", key, b"0", b"-1"]),
        "zset" => words(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        "stream" => words(&[b"XRANGE", key, b"-", b"+"]),
        _ => words(&[b"TYPE", key]),
    }
}

/// Walks both servers to the end of an iteration: each element must come at least once.
fn iterate(client: &mut Client, from: &Words) -> Result<(), Mismatch> {
    let width = if matches!(&from[0][..], b"HSCAN" | b"ZSCAN") { 2 } else { 1 };
    let mut all = vec![];
    client.on_each(|wire| {
        let mut found = BTreeSet::new();
        let mut cursor = b"0".to_vec();
        for _ in 0..PAGES_MAX {
            let page =
                wire.cmd(&[from.clone(), vec![cursor, b"COUNT".into(), b"7".into()]].concat());
            found.extend(page.list()[1].list().chunks(width).map(<[Value]>::to_vec));
            cursor = page.list()[0].text().expect("a cursor").to_vec();
            if cursor == b"0" {
                break;
            }
        }
        all.push(Value::Array(found.into_iter().flatten().collect()));
    });
    match by_value(&all[0]) == by_value(&all[1]) {
        true => Ok(()),
        false => {
            client.log.push([from.clone(), vec![b"0".to_vec()]].concat());
            let (theirs, ours) = (all[0].clone(), all[1].clone());
            Err(Mismatch { at: client.log.len() - 1, is_strict: false, theirs, ours })
        }
    }
}
