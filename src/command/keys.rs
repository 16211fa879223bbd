//! Where the keys stand among a command's arguments, and what is done to them.

use super::Fault;
use crate::resp::Request;

/// What a command does to a key: the words of `COMMAND GETKEYSANDFLAGS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access(pub &'static [&'static str]);

impl Access {
    /// Reads the value.
    pub const READ: Access = Access(&["RO", "access"]);
    /// Reads what is known of the key, not its value.
    pub const PEEK: Access = Access(&["RO"]);
    /// Replaces the value whole.
    pub const REPLACE: Access = Access(&["OW", "update"]);
    /// Writes without looking at what was there.
    pub const INSERT: Access = Access(&["RW", "insert"]);
    /// Changes the value.
    pub const UPDATE: Access = Access(&["RW", "update"]);
    /// Changes the value and answers from it.
    pub const CHANGE: Access = Access(&["RW", "access", "update"]);
    /// Takes elements away.
    pub const DELETE: Access = Access(&["RW", "delete"]);
    /// Takes elements away and answers them.
    pub const TAKE: Access = Access(&["RW", "access", "delete"]);
    /// Whether that depends on the arguments.
    pub fn varies(self) -> bool {
        self.0.last().is_some_and(|it| *it == "variable_flags")
    }

    /// It is no key: a shard channel.
    pub const CHANNEL: Access = Access(&["not_key"]);
    /// Removes the key.
    pub const REMOVE: Access = Access(&["RM", "delete"]);
}

/// Where to begin looking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At this argument.
    Index(usize),
    /// Behind this word, looked for from an argument on; negative counts from the end, backwards.
    Keyword(&'static str, i32),
    /// Behind this word, which stands among options.
    Among(&'static AmongOptions),
    /// Nobody can say without running the command.
    Unknown,
}

/// A word that stands among options, some of which take values: a value that reads like it is not
/// the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AmongOptions {
    /// The word.
    pub keyword: &'static str,
    /// Where COMMAND says that one may begin to look for it.
    pub from: usize,
    /// Options with how many values each takes; what is not among them takes none.
    pub values: &'static [(&'static str, usize)],
}

impl AmongOptions {
    /// Where the word stands, as a verb finds it that reads its options from the first on.
    fn find(&self, request: Request<'_>) -> Option<usize> {
        let mut at = 1;
        loop {
            let word = request.get(at)?;
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is(self.keyword) {
                return Some(at);
            }
            let values = self.values.iter().find(|it| is(it.0)).map_or(0, |it| it.1);
            at += 1 + values;
        }
    }
}

/// How the keys go on from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Find {
    /// Up to `last` (relative to the first; negative counts from the end, and then `limit` 2 stands
    /// for half of the rest), every `step`.
    Range { last: i32, step: usize, limit: usize },
    /// As many as the number at `count` says, from `first` on, every `step`.
    Count { count: usize, first: usize, step: usize },
    /// Nobody can say.
    Unknown,
}

/// One group of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// Where to begin.
    pub begin: Begin,
    /// How to go on.
    pub find: Find,
    /// What is done to them.
    pub access: Access,
    /// What COMMAND INFO says of it in words.
    pub note: Option<&'static str>,
}

impl KeySpec {
    /// Keys that begin and go on so.
    pub const fn new(begin: Begin, find: Find, access: Access) -> KeySpec {
        KeySpec { begin, find, access, note: None }
    }

    /// The same with these words for COMMAND INFO.
    pub const fn noting(self, note: &'static str) -> KeySpec {
        KeySpec { note: Some(note), ..self }
    }

    /// One key at argument `index`.
    pub const fn one(index: usize, access: Access) -> KeySpec {
        KeySpec::range(index, 0, 1, access)
    }

    /// Keys from argument `first` to `last`, every `step`.
    pub const fn range(first: usize, last: i32, step: usize, access: Access) -> KeySpec {
        KeySpec::new(Begin::Index(first), Find::Range { last, step, limit: 0 }, access)
    }

    /// `numkeys key [key …]`, with the number at argument `index`.
    pub const fn counted(index: usize, access: Access) -> KeySpec {
        let find = Find::Count { count: 0, first: 1, step: 1 };
        KeySpec::new(Begin::Index(index), find, access)
    }

    /// `numkeys key value [key value …]`, with the number at argument `index`.
    pub const fn counted_pairs(index: usize, access: Access) -> KeySpec {
        let find = Find::Count { count: 0, first: 1, step: 2 };
        KeySpec::new(Begin::Index(index), find, access)
    }

    /// Places of the keys of `request`, appended to `found`. `Err` when its arguments do not add
    /// up.
    fn places(&self, request: Request<'_>, found: &mut Vec<(usize, Access)>) -> Result<(), Fault> {
        let Some(begin) = self.begin_at(request) else { return Ok(()) };
        if let Find::Range { last: 0, .. } = self.find
            && matches!(self.begin, Begin::Keyword(..))
            && begin == request.len()
        {
            // The word that a key belongs to is the last: the verb's to refuse.
            return Ok(());
        }
        let (first, last, step) = match self.find {
            Find::Range { last, step, limit } => {
                (begin, range_end(request.len(), begin, last, limit), step)
            }
            Find::Count { count, first, step } => {
                let keys = request.get(begin + count).and_then(crate::base::number::parse_i64);
                let keys = keys.and_then(|it| usize::try_from(it).ok()).ok_or(INVALID)?;
                let first = begin + first;
                if keys == 0 {
                    return Ok(());
                }
                let span =
                    keys.checked_sub(1).and_then(|it| it.checked_mul(step)).ok_or(INVALID)?;
                let last = first.checked_add(span).and_then(|it| i64::try_from(it).ok());
                (first, last.ok_or(INVALID)?, step)
            }
            Find::Unknown => return Ok(()),
        };
        if request.len() as i64 <= last {
            return Err(INVALID);
        }
        let mut place = first as i64;
        while place <= last {
            found.push((place as usize, self.access));
            place += step as i64;
        }
        Ok(())
    }

    /// As [`KeySpec::places`]: where the arguments do not add up, all that may be keys.
    fn possible_places(&self, request: Request<'_>, found: &mut Vec<(usize, Access)>) {
        let known = found.len();
        if self.places(request, found).is_ok() {
            return;
        }
        found.truncate(known);
        let (first, step) = match (self.begin_at(request), self.find) {
            (Some(begin), Find::Range { step, .. }) => (begin, step),
            (Some(begin), Find::Count { first, step, .. }) => (begin + first, step),
            (None, _) | (_, Find::Unknown) => return,
        };
        found.extend((first..request.len()).step_by(step).map(|at| (at, self.access)));
    }

    fn begin_at(&self, request: Request<'_>) -> Option<usize> {
        match self.begin {
            Begin::Index(index) => Some(index),
            Begin::Unknown => None,
            Begin::Among(options) => options.find(request).map(|at| at + 1),
            Begin::Keyword(word, from) => {
                let is_word = |at: &usize| {
                    request.get(*at).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
                };
                let found = match usize::try_from(from) {
                    Ok(from) => (from..request.len()).find(is_word),
                    Err(_) => {
                        let last = request.len().checked_sub(from.unsigned_abs() as usize)?;
                        (1..=last).rev().find(is_word)
                    }
                };
                found.map(|at| at + 1)
            }
        }
    }
}

const INVALID: Fault = Fault::Static("ERR Invalid arguments specified for command");

fn range_end(len: usize, begin: usize, last: i32, limit: usize) -> i64 {
    let (len, begin) = (len as i64, begin as i64);
    match last {
        0.. => begin + i64::from(last),
        _ if limit <= 1 => len + i64::from(last),
        _ => begin + (len - begin) / limit as i64 + i64::from(last),
    }
}

/// All groups of keys of one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keys(pub &'static [KeySpec]);

impl Keys {
    /// No keys.
    pub const NONE: Keys = Keys(&[]);
    /// One key, first argument, read.
    pub const READ: Keys = Keys(&[KeySpec::one(1, Access::READ)]);
    /// One key, first argument, whose metadata is read.
    pub const PEEK: Keys = Keys(&[KeySpec::one(1, Access::PEEK)]);
    /// One key, first argument, replaced.
    pub const REPLACE: Keys = Keys(&[KeySpec::one(1, Access::REPLACE)]);
    /// One key, first argument, added to.
    pub const INSERT: Keys = Keys(&[KeySpec::one(1, Access::INSERT)]);
    /// One key, first argument, changed.
    pub const UPDATE: Keys = Keys(&[KeySpec::one(1, Access::UPDATE)]);
    /// One key, first argument, changed and answered from.
    pub const CHANGE: Keys = Keys(&[KeySpec::one(1, Access::CHANGE)]);
    /// One key, first argument, that loses elements.
    pub const DELETE: Keys = Keys(&[KeySpec::one(1, Access::DELETE)]);
    /// One key, first argument, that loses the elements that are answered.
    pub const TAKE: Keys = Keys(&[KeySpec::one(1, Access::TAKE)]);
    /// Every argument is a key that is read.
    pub const READ_ALL: Keys = Keys(&[KeySpec::range(1, -1, 1, Access::READ)]);
    /// Every argument is a key whose metadata is read.
    pub const PEEK_ALL: Keys = Keys(&[KeySpec::range(1, -1, 1, Access::PEEK)]);
    /// Every argument is a key that is removed.
    pub const REMOVE_ALL: Keys = Keys(&[KeySpec::range(1, -1, 1, Access::REMOVE)]);

    /// Places of all keys among the arguments of `request`, which fits the command's arity.
    pub fn places(&self, request: Request<'_>) -> Result<Vec<(usize, Access)>, Fault> {
        let mut found = Vec::new();
        for spec in self.0 {
            spec.places(request, &mut found)?;
        }
        Ok(found)
    }

    /// As [`Keys::places`]: where the arguments do not add up, all that may be keys.
    pub fn possible_places(&self, request: Request<'_>) -> Vec<(usize, Access)> {
        let mut found = Vec::new();
        self.0.iter().for_each(|it| it.possible_places(request, &mut found));
        found
    }

    /// The first key, if `request` names any. Allocates nothing.
    pub fn first<'a>(&self, request: Request<'a>) -> Option<&'a [u8]> {
        let spec = self.0.first()?;
        let begin = spec.begin_at(request)?;
        match spec.find {
            Find::Range { .. } => request.get(begin),
            Find::Count { first, .. } => request.get(begin + first),
            Find::Unknown => None,
        }
    }

    /// Whether a request says how many keys it has, and says none.
    pub fn are_counted_none(&self, request: Request<'_>) -> bool {
        self.0.iter().any(|it| {
            let Find::Count { count, .. } = it.find else { return false };
            let number = it.begin_at(request).and_then(|begin| request.get(begin + count));
            number.and_then(crate::base::number::parse_i64) == Some(0)
        })
    }

    /// How many keys a request has.
    pub fn count(&self, request: Request<'_>) -> usize {
        let mut count = 0;
        self.each(request, |_| count += 1);
        count
    }

    /// Calls `visit` with each key; arguments that do not add up are the verb's to refuse, and then
    /// no key is visited. Allocates only for commands with more than one simple range.
    pub fn each<'a>(&self, request: Request<'a>, mut visit: impl FnMut(&'a [u8])) {
        match self.0 {
            [] => {}
            [KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, .. }, .. }] => {
                request.get(*at).into_iter().for_each(visit);
            }
            _ => {
                for (place, _) in self.places(request).unwrap_or_default() {
                    request.get(place).into_iter().for_each(&mut visit);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedRequest;

    fn keys(keys: Keys, words: &str) -> Option<Vec<String>> {
        let owned = OwnedRequest::of(words.split(' '));
        let places = keys.places(owned.borrow()).ok()?;
        let word = |at: usize| String::from_utf8(owned.borrow().get(at).unwrap().to_vec()).unwrap();
        Some(places.into_iter().map(|(at, _)| word(at)).collect())
    }

    #[test]
    fn keys_stand_where_the_row_says() {
        let found = |it: Keys, words: &str| keys(it, words).unwrap().join(" ");
        assert_eq!(found(Keys::READ, "GET a"), "a");
        assert_eq!(found(Keys::READ_ALL, "MGET a b c"), "a b c");
        const PAIRS: Keys = Keys(&[KeySpec::range(1, -1, 2, Access::REPLACE)]);
        assert_eq!(found(PAIRS, "MSET a 1 b 2"), "a b");
        const COUNTED: Keys = Keys(&[KeySpec::counted(1, Access::READ)]);
        assert_eq!(found(COUNTED, "SINTERCARD 2 a b LIMIT 1"), "a b");
        assert_eq!(keys(COUNTED, "SINTERCARD 3 a b"), None);
        let counts_none =
            |words: &str| COUNTED.are_counted_none(OwnedRequest::of(words.split(' ')).borrow());
        assert_eq!(["C 0 a", "C 1 a", "C x", "C"].map(counts_none), [true, false, false, false]);
        assert_eq!(keys(COUNTED, "SINTERCARD 9223372036854775807 a b"), None);
        const STREAMS: Keys = Keys(&[KeySpec::new(
            Begin::Keyword("STREAMS", 1),
            Find::Range { last: -1, step: 1, limit: 2 },
            Access::READ,
        )]);
        assert_eq!(found(STREAMS, "XREAD COUNT 2 STREAMS a b 0 0"), "a b");
        const OPTIONS: AmongOptions =
            AmongOptions { keyword: "STREAMS", from: 4, values: &[("GROUP", 2), ("COUNT", 1)] };
        const AMONG: Keys = Keys(&[KeySpec::new(
            Begin::Among(&OPTIONS),
            Find::Range { last: -1, step: 1, limit: 2 },
            Access::READ,
        )]);
        assert_eq!(found(AMONG, "X NOACK GROUP g streams streams a >"), "a");
        assert_eq!(found(AMONG, "X GROUP streams streams COUNT streams streams a b > >"), "a b");
        assert_eq!(found(AMONG, "X COUNT 1"), "");
        for (it, words, first) in [
            (Keys::NONE, "DBSIZE", None),
            (Keys::READ, "GET a", Some("a")),
            (Keys::READ_ALL, "MGET a b c", Some("a")),
            (COUNTED, "SINTERCARD 2 b a", Some("b")),
            (STREAMS, "XREAD COUNT 2 STREAMS a b 0 0", Some("a")),
            (STREAMS, "XREAD COUNT 2", None),
        ] {
            let owned = OwnedRequest::of(words.split(' '));
            assert_eq!(it.first(owned.borrow()), first.map(str::as_bytes), "{words}");
        }
    }
}
