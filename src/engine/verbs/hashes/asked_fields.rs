//! `[option ...] FIELDS numfields field ...`: what commands of fields with deadlines take behind
//! the key, and what the stream says of it.

use crate::command::{Args, Fault};
use crate::engine::Effects;

/// Fields are not as many as their number says.
pub const BAD_NUMBER: Fault =
    Fault::Static("ERR numfields should be greater than 0 and match the provided number of fields");

/// How many words stand from the word FIELDS on. It is the first one of that name that has another
/// word behind it; what is before it are options.
pub fn words_from(args: &Args<'_>) -> Result<usize, Fault> {
    let mut all = *args;
    let words = all.rest();
    let len = words.len();
    let mut found = words.take(len.saturating_sub(1));
    let at = found.position(|it| it.eq_ignore_ascii_case(b"FIELDS"));
    at.map(|at| len - at).ok_or(BAD_NUMBER)
}

/// Takes FIELDS, the number, and as many units of `words` words each, which must be all that is
/// left.
pub fn take<'a>(
    args: &mut Args<'a>,
    words: usize,
    mismatch: Fault,
) -> Result<impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a>, Fault> {
    if !args.word("FIELDS") {
        return Err(Fault::Syntax);
    }
    let count = usize::try_from(args.int()?).unwrap_or(0);
    match count != 0 && count.checked_mul(words) == Some(args.left()) {
        true => Ok(args.rest()),
        false => Err(mismatch),
    }
}

/// The stream says these words, and the fields behind them as commands take them.
pub fn say(db: usize, words: &[&[u8]], fields: &[&[u8]], units: usize, effects: &mut Effects) {
    let mut digits = itoa::Buffer::new();
    let count = digits.format(units).as_bytes();
    let all: Vec<&[u8]> = words
        .iter()
        .copied()
        .chain([&b"FIELDS"[..], count])
        .chain(fields.iter().copied())
        .collect();
    effects.say_all(db, all.into_iter());
}

/// The stream says that these fields are gone.
pub fn say_gone(db: usize, key: &[u8], fields: &[&[u8]], effects: &mut Effects) {
    let all: Vec<&[u8]> = [b"HDEL", key].into_iter().chain(fields.iter().copied()).collect();
    effects.say_all(db, all.into_iter());
}
