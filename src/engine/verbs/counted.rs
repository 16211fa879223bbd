//! Counts in requests: of the keys that follow (`numkeys key [key …]`), of elements to take out.

use crate::base::number;
use crate::command::{Args, Fault};

const NO_KEYS: Fault = Fault::Static("ERR numkeys should be greater than 0");
const NO_COUNT: Fault = Fault::Static("ERR count should be greater than 0");

/// Takes the keys, behind which there must be `behind` more arguments; otherwise the fault is
/// `too_few`.
pub fn keys<'a>(
    args: &mut Args<'a>,
    behind: usize,
    too_few: Fault,
) -> Result<Vec<&'a [u8]>, Fault> {
    let count = positive(args, NO_KEYS)?;
    take(args, count, behind, too_few)
}

/// As [`keys`], whose number has been taken already.
pub fn take<'a>(
    args: &mut Args<'a>,
    count: usize,
    behind: usize,
    too_few: Fault,
) -> Result<Vec<&'a [u8]>, Fault> {
    match count.saturating_add(behind) <= args.left() {
        true => (0..count).map(|_| args.next()).collect(),
        false => Err(too_few),
    }
}

/// What LMPOP and ZMPOP are asked: where to look, which end, and how many.
pub struct Pop<'a, E> {
    /// The first of these that is there.
    pub keys: Vec<&'a [u8]>,
    /// Where elements go first.
    pub end: E,
    /// Most elements.
    pub count: usize,
}

/// Takes `numkeys key [key …] end [COUNT count]`.
pub fn pop<'a, E>(
    args: &mut Args<'a>,
    end: impl FnOnce(&mut Args<'a>) -> Result<E, Fault>,
) -> Result<Pop<'a, E>, Fault> {
    // An end must follow.
    let keys = keys(args, 1, Fault::Syntax)?;
    let end = end(args)?;
    let count = if args.word("COUNT") { positive(args, NO_COUNT)? } else { 1 };
    args.done()?;
    Ok(Pop { keys, end, count })
}

/// Takes how many LPOP, SPOP, ZPOPMIN and their kin take out: 0 or more.
pub fn pops(args: &mut Args<'_>) -> Result<usize, Fault> {
    args.int().ok().and_then(|it| usize::try_from(it).ok()).ok_or(Fault::NotPositive)
}

/// Takes a number above 0.
fn positive(args: &mut Args<'_>, fault: Fault) -> Result<usize, Fault> {
    let number = args.next().map(number::parse_i64)?;
    number.and_then(|it| usize::try_from(it).ok()).filter(|it| *it != 0).ok_or(fault)
}
