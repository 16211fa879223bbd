//! How long a command may wait: seconds, in fractions, where 0 is for ever.

use crate::base::extended::Extended;
use crate::command::{Args, Fault};
use std::time::Duration;

const NOT_A_NUMBER: Fault = Fault::Static("ERR timeout is not a float or out of range");
const OUT_OF_RANGE: Fault = Fault::Static("ERR timeout is out of range");
const NEGATIVE: Fault = Fault::Static("ERR timeout is negative");

/// Takes a timeout. `None` is for ever.
pub fn timeout(args: &mut Args<'_>) -> Result<Option<Duration>, Fault> {
    let text = args.next()?;
    read_timeout(text, args)
}

/// Takes `key [key ...] timeout`.
pub fn keys_and_timeout<'a>(
    args: &mut Args<'a>,
) -> Result<(impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a>, Option<Duration>), Fault> {
    let words = args.rest();
    let keys = words.len().checked_sub(1).ok_or(Fault::Syntax)?;
    let last = words.clone().nth(keys).ok_or(Fault::Syntax)?;
    Ok((words.take(keys), read_timeout(last, args)?))
}

/// Reads a timeout that has been taken.
pub fn read_timeout(text: &[u8], args: &Args<'_>) -> Result<Option<Duration>, Fault> {
    let ms = Extended::parse(text).ok_or(NOT_A_NUMBER)?.thousandths();
    // Redis adds it to the time.
    if i128::from(i64::MAX) - i128::from(args.now().0) < ms {
        return Err(OUT_OF_RANGE);
    }
    let ms = u64::try_from(ms).map_err(|_| NEGATIVE)?;
    Ok((ms != 0).then(|| Duration::from_millis(ms)))
}
