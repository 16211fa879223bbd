//! `numkeys key [key …]`: the keys of LMPOP, SINTERCARD and their kin.

use crate::base::number;
use crate::command::{Args, Fault};

const NO_KEYS: Fault = Fault::Says("ERR numkeys should be greater than 0");

/// Takes the keys, behind which there must be `behind` more arguments; otherwise the fault is
/// `too_few`.
pub fn keys<'a>(
    args: &mut Args<'a>,
    behind: usize,
    too_few: Fault,
) -> Result<Vec<&'a [u8]>, Fault> {
    let count = positive(args, NO_KEYS)?;
    match count.saturating_add(behind) <= args.left() {
        true => (0..count).map(|_| args.next()).collect(),
        false => Err(too_few),
    }
}

/// Takes a number above 0.
pub fn positive(args: &mut Args<'_>, fault: Fault) -> Result<usize, Fault> {
    let number = args.next().map(number::parse_i64)?;
    number.and_then(|it| usize::try_from(it).ok()).filter(|it| *it != 0).ok_or(fault)
}
