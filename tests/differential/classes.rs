//! Where equal servers may answer differently, and how far: the one table of exceptions.

use crate::support::{Value, Words};

/// How two replies are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Byte for byte.
    Exact,
    /// The same elements; runs of so many stay together.
    Unordered(usize),
    /// Chosen by random numbers: as many, and each from the collection.
    Random,
    /// Chosen by random numbers and taken out: both sides are brought to the same state afterwards.
    Popped,
    /// A page of an iteration.
    Page,
    /// A number near the other, or such numbers.
    Near(i64),
    /// A name of an encoding: small lists and sets have those of 7.2.
    Encoding,
    /// Equal, but a refusal may say something else.
    Refusal,
    /// 7.2 refuses what 7.0 lets pass.
    Refused,
    /// But for the times in it, which two clocks have told.
    Clocks,
    /// But for the end of an error, which echoes a word that is longer than ours echo, and for which
    /// of several functions an error names.
    Library,
    /// Libraries and their functions, in any order.
    Listing,
    /// Only what kind of reply it is.
    Kind,
}

/// Command, class, and why it is not [`Class::Exact`].
const CLASSES: &[(&str, Class, &str)] = &[
    ("KEYS", Class::Unordered(1), "tables of different making have different orders"),
    ("SMEMBERS", Class::Unordered(1), "likewise"),
    ("SUNION", Class::Unordered(1), "likewise"),
    ("SINTER", Class::Unordered(1), "likewise"),
    ("SDIFF", Class::Unordered(1), "likewise"),
    ("HKEYS", Class::Unordered(1), "likewise"),
    ("HVALS", Class::Unordered(1), "likewise"),
    ("HGETALL", Class::Unordered(2), "likewise"),
    ("RANDOMKEY", Class::Random, "random"),
    ("SRANDMEMBER", Class::Random, "random"),
    ("HRANDFIELD", Class::Random, "random"),
    ("ZRANDMEMBER", Class::Random, "random"),
    ("SPOP", Class::Popped, "random"),
    ("SCAN", Class::Page, "pages differ; whole iterations are compared in iteration.rs"),
    ("SSCAN", Class::Page, "likewise"),
    ("HSCAN", Class::Page, "likewise"),
    ("ZSCAN", Class::Page, "likewise"),
    ("TTL", Class::Near(2), "two clocks"),
    ("PTTL", Class::Near(2_000), "two clocks"),
    ("EXPIRETIME", Class::Near(2), "two clocks"),
    ("PEXPIRETIME", Class::Near(2_000), "two clocks"),
    ("HTTL", Class::Near(2), "two clocks"),
    ("HPTTL", Class::Near(2_000), "two clocks"),
    ("HEXPIRETIME", Class::Near(2), "two clocks"),
    ("HPEXPIRETIME", Class::Near(2_000), "two clocks"),
    ("OBJECT IDLETIME", Class::Near(10), "two clocks"),
    ("DBSIZE", Class::Near(16), "Redis counts keys that have expired; here it agrees with GET"),
    ("ZRANK", Class::Refusal, "takes WITHSCORE from 7.2 on"),
    ("ZREVRANK", Class::Refusal, "likewise"),
    ("XREAD", Class::Refusal, "7.2 names it otherwise where streams lack ids"),
    ("XPENDING", Class::Clocks, "two clocks"),
    ("XINFO STREAM", Class::Clocks, "likewise"),
    ("XINFO CONSUMERS", Class::Clocks, "likewise"),
    ("OBJECT ENCODING", Class::Encoding, "7.2 has listpacks where 7.0 has none yet"),
    ("OBJECT REFCOUNT", Class::Kind, "what is shared is the server's own affair"),
    ("MEMORY USAGE", Class::Kind, "other structures have other sizes"),
    ("FUNCTION LOAD", Class::Library, "Redis echoes an option as long as it is; tables, as above"),
    ("FUNCTION LIST", Class::Listing, "tables of different making have different orders"),
    ("FUNCTION RESTORE", Class::Refusal, "names whatever is met first of what is there already"),
    ("FUNCTION DUMP", Class::Kind, "likewise"),
    ("DUMP", Class::Kind, "the same value has many encodings"),
];

/// The class of a command.
pub fn class(words: &Words) -> Class {
    let name = String::from_utf8_lossy(&words[0]).to_uppercase();
    let sub = words.get(1).map(|it| String::from_utf8_lossy(it).to_uppercase());
    let is_it = |row: &&(&str, Class, &str)| match row.0.split_once(' ') {
        Some((container, wanted)) => container == name && sub.as_deref() == Some(wanted),
        None => row.0 == name,
    };
    match CLASSES.iter().find(is_it) {
        Some((_, Class::Page, _)) if !begins(words) => Class::Kind,
        Some(row) => row.1,
        None if has_lowest_rank(&name, words) => Class::Refused,
        None if sorts_nothing(&name, words) => Class::Random,
        None => Class::Exact,
    }
}

/// Whether an iteration begins here; other cursors mean nothing to another server.
fn begins(words: &Words) -> bool {
    let at = if words[0].eq_ignore_ascii_case(b"SCAN") { 1 } else { 2 };
    words.get(at).is_none_or(|it| it == b"0")
}

/// LPOS with the one rank that cannot be negated.
fn has_lowest_rank(name: &str, words: &Words) -> bool {
    name == "LPOS" && words.iter().any(|it| *it == i64::MIN.to_string().as_bytes())
}

/// SORT of a set without an order (BY a pattern without `*`): any LIMIT of it may be answered.
fn sorts_nothing(name: &str, words: &Words) -> bool {
    let is_constant = |it: &[Vec<u8>]| it[0].eq_ignore_ascii_case(b"BY") && !it[1].contains(&b'*');
    let is_set = words.get(1).is_some_and(|it| !it.starts_with(b"l"));
    name.starts_with("SORT") && is_set && words.windows(2).any(is_constant)
}

/// A read whose reply holds all that a random reply may name; it goes right behind the command.
pub fn witness(words: &Words) -> Option<Words> {
    if !matches!(class(words), Class::Random | Class::Encoding) {
        return None;
    }
    let key = || words.get(1).cloned().unwrap_or_default();
    let of = |it: &[&[u8]]| Some(it.iter().map(|it| it.to_vec()).collect());
    match words[0].to_ascii_uppercase().as_slice() {
        b"OBJECT" => of(&[b"TYPE", words.get(2)?]),
        b"RANDOMKEY" => of(&[b"KEYS", b"*"]),
        b"SRANDMEMBER" => of(&[b"SMEMBERS", &key()]),
        b"HRANDFIELD" => of(&[b"HGETALL", &key()]),
        b"ZRANDMEMBER" => of(&[b"ZRANGE", &key(), b"0", b"-1", b"WITHSCORES"]),
        _ => None,
    }
}

/// Whether these replies may both be given.
pub fn agree(class: Class, theirs: &Value, ours: &Value, witness: Option<&Value>) -> bool {
    if theirs == ours {
        return true;
    }
    if let (Value::Error(theirs), Value::Error(ours)) = (theirs, ours) {
        return match class {
            Class::Refusal => true,
            Class::Library => {
                is_begin_of(theirs, ours) || [theirs, ours].iter().all(names_function)
            }
            _ => are_same_text(theirs, ours),
        };
    }
    if theirs.is_error() || ours.is_error() {
        return class == Class::Refused && ours.is_error();
    }
    match class {
        Class::Exact | Class::Refusal | Class::Refused | Class::Library => false,
        Class::Unordered(width) => theirs.sorted(width) == ours.sorted(width),
        Class::Random | Class::Popped => as_many(theirs, ours) && is_from(ours, witness),
        Class::Page => is_page(ours) && are_equal_if_whole(theirs, ours),
        Class::Near(tolerance) => are_near(theirs, ours, tolerance),
        Class::Clocks => untimed(theirs) == untimed(ours),
        Class::Encoding => is_newer_encoding(theirs, ours, witness),
        Class::Listing => listed(theirs) == listed(ours),
        Class::Kind => std::mem::discriminant(theirs) == std::mem::discriminant(ours),
    }
}

/// A compact sorted set forgets the sign of a zero score, at either server, and they do not always
/// have the same form at the same time. SORT may read one, and EXEC does what was queued.
pub fn forgets_zero_signs(words: &Words) -> bool {
    let name = words[0].to_ascii_uppercase();
    name.starts_with(b"Z") || name == b"EXEC" || name.starts_with(b"SORT")
}

/// Its reply has coordinates in it. A script that is told of them as doubles answers them in as few
/// digits as it takes, as in 7.2.
pub fn answers_coordinates(words: &Words) -> bool {
    let has = |name: &str| words.iter().any(|it| it.eq_ignore_ascii_case(name.as_bytes()));
    words[0].eq_ignore_ascii_case(b"GEOPOS") || has("WITHCOORD")
}

/// Only small lists and sets may differ; the encodings of hashes, sorted sets and strings must be
/// equal.
fn is_newer_encoding(theirs: &Value, ours: &Value, kind: Option<&Value>) -> bool {
    let among = |it: &Value, names: &[&[u8]]| it.text().is_some_and(|it| names.contains(&it));
    match kind.and_then(Value::text) {
        Some(b"list") => among(theirs, &[b"quicklist"]) && among(ours, &[b"listpack"]),
        Some(b"set") => among(theirs, &[b"hashtable"]) && among(ours, &[b"listpack"]),
        // SORT turns a small sorted set into a skiplist, though it only reads it.
        Some(b"zset") => among(theirs, &[b"skiplist"]) && among(ours, &[b"listpack"]),
        _ => false,
    }
}

/// Errors echo the client's words. Ours are UTF-8 always; Redis' hold the bytes that came.
fn are_same_text(theirs: &[u8], ours: &[u8]) -> bool {
    String::from_utf8_lossy(theirs) == String::from_utf8_lossy(ours)
}

/// Errors echo so much of a word here.
const ECHOED_BYTES_MAX: usize = 128;

/// The same text, or as much of it as is echoed here.
fn is_begin_of(theirs: &[u8], ours: &[u8]) -> bool {
    let is_cut = ECHOED_BYTES_MAX <= ours.len();
    let (whole, begin) = (String::from_utf8_lossy(theirs), String::from_utf8_lossy(ours));
    whole == begin || is_cut && whole.starts_with(&*begin)
}

/// A library has a function that another one has, too.
fn names_function(error: &&Vec<u8>) -> bool {
    error.starts_with(b"ERR Function ") && error.ends_with(b" already exists")
}

/// Without the times that XPENDING and XINFO tell.
fn untimed(value: &Value) -> Vec<String> {
    const TIMED: &[&[u8]] = &[b"idle", b"inactive", b"seen-time", b"active-time"];
    let Some(items) = value.items() else { return vec![value.to_string()] };
    let is_text = |at: usize| items[at].text().is_some();
    let is_int = |at: usize| matches!(items[at], Value::Int(_));
    // An id, who has it, how long ago or when, and how often.
    let of_group = items.len() == 4 && is_text(0) && is_text(1) && is_int(2) && is_int(3);
    let of_consumer = items.len() == 3 && is_text(0) && is_int(1) && is_int(2);
    let mut told = vec![format!("{} of", items.len())];
    for (at, item) in items.iter().enumerate() {
        let is_behind = at.checked_sub(1).and_then(|it| items[it].text());
        let is_time = of_group && at == 2
            || of_consumer && at == 1
            || is_behind.is_some_and(|it| TIMED.contains(&it));
        match item {
            Value::Int(0..) if is_time => told.push("a time".into()),
            item => told.extend(untimed(item)),
        }
    }
    told
}

/// Everything in it, sorted at each level.
fn listed(value: &Value) -> String {
    let Some(items) = value.items() else { return value.to_string() };
    let mut all: Vec<String> = items.iter().map(listed).collect();
    all.sort();
    format!("{:?}{all:?}", std::mem::discriminant(value))
}

fn as_many(theirs: &Value, ours: &Value) -> bool {
    match (theirs.items(), ours.items()) {
        (Some(theirs), Some(ours)) => theirs.len() == ours.len(),
        _ => std::mem::discriminant(theirs) == std::mem::discriminant(ours),
    }
}

fn is_from(ours: &Value, witness: Option<&Value>) -> bool {
    let Some(witness) = witness else { return true };
    let all = leaves(witness);
    leaves(ours).iter().all(|it| all.contains(it))
}

fn leaves(value: &Value) -> Vec<&Value> {
    match value.items() {
        Some(items) => items.iter().flat_map(leaves).collect(),
        None => vec![value],
    }
}

fn is_page(value: &Value) -> bool {
    matches!(value, Value::Array(it)
        if matches!(it.as_slice(), [Value::Bulk(_), Value::Array(_)]))
}

/// Both say that one page was all: then it must be the same page.
fn are_equal_if_whole(theirs: &Value, ours: &Value) -> bool {
    let (theirs, ours) = (theirs.list(), ours.list());
    let is_last = |it: &[Value]| it[0].text() == Some(b"0");
    !is_last(theirs) || !is_last(ours) || by_value(&theirs[1]) == by_value(&ours[1])
}

/// The elements of an iteration, sorted, with numbers by their value: how a scan shows a score
/// depends on the form the sorted set happens to have.
pub fn by_value(page: &Value) -> Vec<String> {
    let number = |it: &str| it.parse::<f64>().map(|it| (it + 0.0).to_string());
    let shown = |it: &Value| it.text().map(|it| it.escape_ascii().to_string()).unwrap_or_default();
    let items = page.list().iter().map(shown);
    let mut all: Vec<String> = items.map(|it| number(&it).unwrap_or(it)).collect();
    all.sort();
    all
}

fn are_near(theirs: &Value, ours: &Value, tolerance: i64) -> bool {
    match (theirs, ours) {
        (Value::Int(a), Value::Int(b)) if a == b => true,
        (Value::Int(a), Value::Int(b)) => 0 <= *a.min(b) && a.abs_diff(*b) <= tolerance as u64,
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            theirs.iter().zip(ours).all(|(theirs, ours)| are_near(theirs, ours, tolerance))
        }
        _ => false,
    }
}
