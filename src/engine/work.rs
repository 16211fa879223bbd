//! How much a command has to do, estimated before it runs: by elements, from the sizes of its
//! values and its arguments. It decides where the command runs, never what it answers; a wrong
//! estimate costs time.

mod streams;
mod strings;

use self::streams::StreamWork;
use self::strings::Edit;
use super::geo::{self, Ask, Form};
use super::{Db, KeySlot, Value, Zset};
use crate::base::lowered::long_elements;
use crate::command::{Args, Keys};
use crate::resp::Request;

/// What decides how much a command does. Positions are those of the request's words, from its name
/// on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// It is never long, but for its number of words.
    Short,
    /// All elements of its keys' values.
    Values,
    /// The registers of a HyperLogLog for each of its words.
    Registers,
    /// All bytes of its keys' values, many at a time.
    Bytes {
        /// How many of them come to about as much as an element.
        per_element: usize,
    },
    /// The bytes that a change within a string writes anew: those that are new, or all of them
    /// where they must be copied first.
    Edited(Edit),
    /// As many of them as a LIMIT lets through.
    Limited,
    /// The elements between two indices, which stand at `at` and behind it.
    Inside { at: usize },
    /// The elements outside of two such indices.
    Outside { at: usize },
    /// As many elements as the word at `at` says, if there is one.
    Count { at: usize },
    /// As many elements as stand behind the word COUNT.
    CountWord,
    /// Every key of the database.
    Database,
    /// The bytes of the word at `at`.
    Payload { at: usize },
    /// Nobody can tell, and it may be long: a library is run when it is loaded.
    Unknown,
    /// What a command of streams does.
    Stream(StreamWork),
    /// The members in the cells that a search looks through.
    Near(Form),
}

/// Bytes that come to about as much as an element.
const BYTES_PER_ELEMENT: usize = 16;
/// What all registers of a HyperLogLog come to: some 10 µs. Nobody looks for how many there are,
/// nor whether they have been counted before: that would be a good part of what it takes to answer.
const ELEMENTS_PER_HYPERLOGLOG: usize = 512;
/// The same of one alone, which most have counted before.
const ELEMENTS_OF_ONE_HYPERLOGLOG: usize = 32;
/// Bytes that come to about as much as an element where bits are counted in vectors: a megabyte
/// takes some 20 µs.
const COUNTED_BYTES_PER_ELEMENT: usize = 1024;
/// The same where bytes are combined, or looked through for the first bit: some 100 µs.
const COMBINED_BYTES_PER_ELEMENT: usize = 256;
/// The same where a string is copied or lengthened, in memory that may be new to the process: a
/// megabyte takes up to a millisecond.
const EDITED_BYTES_PER_ELEMENT: usize = 64;

impl Work {
    /// Of the command of this name, in capitals.
    pub fn of(name: &str) -> Work {
        match name {
            "KEYS" => Work::Database,
            "SCAN" | "SSCAN" | "HSCAN" | "ZSCAN" | "LMPOP" | "ZMPOP" => Work::CountWord,
            "RESTORE" | "RESTORE-ASKING" => Work::Payload { at: 3 },
            "FUNCTION|LOAD" | "FUNCTION|RESTORE" => Work::Unknown,
            "LRANGE" | "ZRANGE" | "ZREVRANGE" | "ZREMRANGEBYRANK" => Work::Inside { at: 2 },
            "ZRANGESTORE" => Work::Inside { at: 3 },
            "LTRIM" => Work::Outside { at: 2 },
            "SPOP" | "LPOP" | "RPOP" | "ZPOPMIN" | "ZPOPMAX" | "SRANDMEMBER" | "HRANDFIELD"
            | "ZRANDMEMBER" => Work::Count { at: 2 },
            "ZRANGEBYSCORE" | "ZREVRANGEBYSCORE" | "ZRANGEBYLEX" | "ZREVRANGEBYLEX"
            | "ZREMRANGEBYSCORE" | "ZREMRANGEBYLEX" => Work::Limited,
            "SMEMBERS" | "HGETALL" | "HKEYS" | "HVALS" | "SINTER" | "SINTERSTORE"
            | "SINTERCARD" | "SUNION" | "SUNIONSTORE" | "SDIFF" | "SDIFFSTORE" | "ZUNION"
            | "ZUNIONSTORE" | "ZINTER" | "ZINTERSTORE" | "ZINTERCARD" | "ZDIFF" | "ZDIFFSTORE"
            | "SORT" | "SORT_RO" | "COPY" | "DUMP" | "LPOS" | "LINSERT" | "LREM" | "LCS" => {
                Work::Values
            }
            "PFCOUNT" | "PFMERGE" => Work::Registers,
            "BITCOUNT" => Work::Bytes { per_element: COUNTED_BYTES_PER_ELEMENT },
            "BITPOS" | "BITOP" => Work::Bytes { per_element: COMBINED_BYTES_PER_ELEMENT },
            name => match (Form::of(name), Edit::of(name)) {
                (Some(form), _) => Work::Near(form),
                (_, Some(edit)) => Work::Edited(edit),
                _ => StreamWork::of(name).map_or(Work::Short, Work::Stream),
            },
        }
    }

    /// About how many elements a request with these keys touches.
    pub fn elements(self, db: Db<'_>, keys: Keys, args: Args<'_>) -> usize {
        let request = args.request();
        let all = || values(db, keys, request);
        let elements = match self {
            Work::Short => 0,
            Work::Values => all(),
            Work::Registers if request.len() == 2 => ELEMENTS_OF_ONE_HYPERLOGLOG,
            Work::Registers => (request.len() - 1) * ELEMENTS_PER_HYPERLOGLOG,
            Work::Bytes { per_element } => bytes(db, keys, request) / per_element,
            Work::Edited(edit) => edit.bytes(db, request) / EDITED_BYTES_PER_ELEMENT,
            Work::Limited => limited(request, all()),
            Work::Inside { at } => {
                let all = all();
                inside(request, at, all).unwrap_or_else(|| limited(request, all))
            }
            Work::Outside { at } => {
                let all = all();
                all - inside(request, at, all).unwrap_or(0)
            }
            Work::Count { at } => match number(request, at).unwrap_or(1) {
                // Where some have expired, all may be looked at.
                count if any_field_due(db, keys, request) => {
                    all().saturating_add(count.unsigned_abs() as usize)
                }
                // A negative count may name an element more than once.
                count if count < 0 => count.unsigned_abs() as usize,
                count => all().min(count as usize),
            },
            Work::CountWord => count_word(request),
            Work::Stream(work) => work.elements(db, keys, request),
            Work::Near(form) => near(db, args, form).unwrap_or(0),
            Work::Database => db.len(),
            Work::Unknown => usize::MAX,
            Work::Payload { at } => request.get(at).map_or(0, |it| it.len() / BYTES_PER_ELEMENT),
        };
        elements.saturating_add(request.len())
    }
}

fn values(db: Db<'_>, keys: Keys, request: Request<'_>) -> usize {
    let mut all = 0;
    keys.each(request, |key| all += db.peek(key).map_or(0, elements_of));
    all
}

fn bytes(db: Db<'_>, keys: Keys, request: Request<'_>) -> usize {
    let mut all = 0;
    let of = |key| db.peek(key).and_then(|it| it.as_string().ok()).map_or(0, <[u8]>::len);
    keys.each(request, |key| all += of(key));
    all
}

fn any_field_due(db: Db<'_>, keys: Keys, request: Request<'_>) -> bool {
    let mut any_due = false;
    if db.any_field_due() {
        let is_due = |it: &KeySlot| it.field_deadline().is_some_and(|at| at < db.now());
        keys.each(request, |key| any_due |= db.peek(key).is_some_and(is_due));
    }
    any_due
}

fn elements_of(slot: &KeySlot) -> usize {
    match slot.value() {
        None => 1,
        Some(Value::Shared(bytes)) => bytes.len() / BYTES_PER_ELEMENT,
        Some(Value::Adopted(bytes)) => bytes.len() / BYTES_PER_ELEMENT,
        Some(Value::Grown(bytes)) => bytes.len() / BYTES_PER_ELEMENT,
        Some(Value::Hyperloglog(it)) => it.bytes().len() / BYTES_PER_ELEMENT,
        Some(Value::List(it)) => it.len(),
        Some(Value::Set(it)) => it.len(),
        Some(Value::Hash(it)) => it.len(),
        Some(Value::Zset(it)) => it.len(),
        Some(Value::Stream(it)) => it.len(),
    }
}

/// The members that a search looks at; `None` if it is refused or finds no set.
fn near(db: Db<'_>, mut args: Args<'_>, form: Form) -> Option<usize> {
    let (key, to) = form.keys(&mut args).ok()?;
    let zset: &Zset = db.peek(key)?.as_collection().ok()?;
    if zset.len() <= long_elements() {
        return Some(zset.len());
    }
    let ask = Ask::read(form, to, &mut args, Some((zset, db.shared()))).ok()?;
    ask.shape.map(|it| geo::estimate(zset, &it))
}

fn number(request: Request<'_>, at: usize) -> Option<i64> {
    std::str::from_utf8(request.get(at)?).ok()?.parse().ok()
}

/// The elements between two indices of `all`; `None` when these are no indices.
fn inside(request: Request<'_>, at: usize, all: usize) -> Option<usize> {
    let (start, stop) = (number(request, at)?, number(request, at + 1)?);
    let all = all as i64;
    let place = |it: i64| if it < 0 { it.saturating_add(all) } else { it };
    let (start, stop) = (place(start).max(0), place(stop).min(all - 1));
    Some(stop.saturating_sub(start).saturating_add(1).max(0) as usize)
}

/// As many of `all` as LIMIT lets through: an offset and a count.
fn limited(request: Request<'_>, all: usize) -> usize {
    let Some(at) = place_of(request, b"LIMIT") else { return all };
    match (number(request, at + 1), number(request, at + 2)) {
        (Some(offset), Some(count)) if 0 <= offset && 0 <= count => {
            all.min(offset.saturating_add(count) as usize)
        }
        _ => all,
    }
}

fn count_word(request: Request<'_>) -> usize {
    let count = place_of(request, b"COUNT").and_then(|it| number(request, it + 1));
    count.map_or(0, |it| it.max(0) as usize)
}

fn place_of(request: Request<'_>, word: &[u8]) -> Option<usize> {
    request.iter().position(|it| it.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::LONG_ELEMENTS;
    use crate::base::lowered::lower_long_elements;
    use crate::engine::verbs;
    use crate::engine::verbs::check::{Bench, words};
    use crate::resp::OwnedRequest;

    fn elements(bench: &Bench, line: &str) -> usize {
        let words = words(line);
        let request = OwnedRequest::of(words.iter().map(Vec::as_slice));
        let found = verbs::find_for(request.borrow()).expect("a command");
        let args = Args::new(request.borrow(), found.words, 0, &bench.env);
        let keys = found.row.spec.keys;
        found.work.elements(bench.engine.db(&args), keys, args) - words.len()
    }

    #[test]
    fn estimates_follow_sizes_and_arguments() {
        let mut bench = Bench::default();
        let members: Vec<String> = (0..100).map(|it| format!("{it} m{it}")).collect();
        bench.ask(&format!("ZADD z {}", members.join(" ")));
        bench.ask(&format!("SADD s {}", members.join(" ")));
        bench.ask(&format!("RPUSH l {}", members.join(" ")));
        for ms in 1..=1000 {
            bench.ask(&format!("XADD x {ms} f v"));
        }
        bench.ask("XGROUP CREATE x g 0");
        bench.ask("XREADGROUP GROUP g c COUNT 200 STREAMS x >");
        for (line, wanted) in [
            ("SMEMBERS s", 200),
            ("SINTERSTORE d s s", 400),
            ("SORT l LIMIT 0 1", 200),
            ("SORT none", 0),
            ("LRANGE l 0 -1", 200),
            ("LRANGE l -3 -1", 3),
            ("LRANGE l 7 3", 0),
            ("LRANGE l 9223372036854775807 -9223372036854775808", 0),
            ("LTRIM l 0 -2", 1),
            ("LPOP l", 1),
            ("LPOP l 1000", 200),
            ("SRANDMEMBER s -1000", 1000),
            ("ZRANGE z 0 9", 10),
            ("ZRANGE z 0 9 BYSCORE", 10),
            ("ZRANGE z -inf +inf BYSCORE LIMIT 5 10", 15),
            ("ZRANGEBYSCORE z -inf +inf", 100),
            ("ZRANGEBYSCORE z -inf +inf LIMIT 0 3", 3),
            ("KEYS *", 4),
            ("SCAN 0 COUNT 500", 500),
            ("SCAN 0", 0),
            ("ZADD z 1 m", 0),
            ("XRANGE x - +", 1000),
            ("XRANGE x - + COUNT 7", 7),
            ("XREVRANGE x + 500", 600),
            ("XREAD STREAMS x none 0 0", 1000),
            ("XREAD COUNT 3 STREAMS x x 0 0", 6),
            ("XREAD BLOCK 0 STREAMS x $", 0),
            ("XREADGROUP GROUP g c STREAMS x >", 900),
            ("XREADGROUP GROUP g c COUNT 9 STREAMS x >", 9),
            ("XREADGROUP GROUP none c STREAMS x >", 0),
            ("XAUTOCLAIM x g c 0 0", 200),
            ("XAUTOCLAIM x g c 0 0 COUNT 3", 30),
            ("XPENDING x g", 0),
            ("XPENDING x g - + 11", 11),
            ("XPENDING x g IDLE 5 - + 11", 200),
            ("XINFO STREAM x", 0),
            ("XINFO STREAM x FULL", 21),
            ("XINFO STREAM x FULL COUNT 0", 1401),
            ("XGROUP DELCONSUMER x g c", 200),
            ("XADD x * f v", 0),
            ("GET z", 0),
            ("GEOSEARCH z FROMLONLAT 0 0 BYRADIUS 1 m", 100),
            ("GEOSEARCHSTORE d z FROMLONLAT 0 0 BYRADIUS 1 m", 100),
            ("GEORADIUS none 0 0 1 m", 0),
            ("GEORADIUSBYMEMBER s m1 1 m STORE d", 0),
        ] {
            assert_eq!(elements(&bench, line), wanted, "{line}");
        }
        assert_eq!(elements(&bench, &format!("RESTORE k 0 {}", "x".repeat(1600))), 100);
    }

    #[test]
    fn a_search_in_a_large_set_is_as_long_as_what_it_looks_at() {
        let mut bench = Bench::default();
        for at in 0..50 {
            bench.ask(&format!("GEOADD g 15.0{at} 37 near{at} -100.{at} {at} far{at}"));
        }
        lower_long_elements(10);
        for (line, wanted) in [
            ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 10 km", 50),
            ("GEOSEARCHSTORE d g FROMMEMBER near0 BYBOX 10 10 km", 50),
            ("GEORADIUS g 60 -60 10 km", 0),
            ("GEORADIUSBYMEMBER_RO g far7 1 m", 1),
            ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 40000 km", 100),
            ("GEOSEARCH g FROMMEMBER none BYRADIUS 40000 km", 0),
            ("GEOSEARCH g FROMLONLAT 15 37", 0),
        ] {
            assert_eq!(elements(&bench, line), wanted, "{line}");
        }
        lower_long_elements(LONG_ELEMENTS);
    }
}
