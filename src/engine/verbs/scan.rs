//! What SCAN, HSCAN, SSCAN and ZSCAN have in common: cursors, options and the shape of the reply.

use super::named::Named;
use super::shown::Shown;
use crate::base::glob::{self, Case};
use crate::command::{Args, Fault};
use crate::engine::Engine;
use crate::resp::{Mark, Reply};

/// What the documentation of HSCAN, SSCAN and ZSCAN says of their time.
pub const COMPLEXITY: &str = "O(1) for every call. O(N) for a complete iteration, including enough \
                              command calls for the cursor to return back to 0. N is the number \
                              of elements inside the collection..";

/// Elements a step visits when COUNT is not given.
const COUNT_DEFAULT: usize = 10;

/// Takes a cursor: the lowest hash to visit, or `None` behind all hashes. Read as C's `strtoul`
/// reads it, without leading space and up to a NUL byte.
pub fn cursor(args: &mut Args<'_>) -> Result<Option<u32>, Fault> {
    const INVALID: Fault = Fault::Static("ERR invalid cursor");
    let word = args.next()?.split(|it| *it == 0).next().unwrap_or_default();
    let (minus, digits) = match word {
        [] => return Ok(Some(0)),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(INVALID);
    }
    let push = |sum: u64, digit: &u8| {
        let digit = char::from(*digit).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    };
    let number = digits.iter().try_fold(0, push).ok_or(INVALID)?;
    let number = if minus { number.wrapping_neg() } else { number };
    Ok(u32::try_from(number).ok())
}

/// Options every scan takes.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// At least this many elements are visited.
    pub count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Takes all options; `own` takes one that only this command has and answers whether it did.
    pub fn read(
        args: &mut Args<'a>,
        mut own: impl FnMut(&mut Args<'a>) -> Result<bool, Fault>,
    ) -> Result<Options<'a>, Fault> {
        let mut options = Options { count: COUNT_DEFAULT, pattern: None };
        while 0 < args.left() {
            if 2 <= args.left() && args.word("COUNT") {
                let count = usize::try_from(args.int()?).map_err(|_| Fault::Syntax)?;
                options.count = if count == 0 { return Err(Fault::Syntax) } else { count };
            } else if 2 <= args.left() && args.word("MATCH") {
                options.pattern = Some(args.next()?);
            } else if !own(args)? {
                return Err(Fault::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether MATCH lets this name through.
    #[inline]
    pub fn fits(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|it| glob::matches(it, name, Case::Exact))
    }
}

/// Puts in front of the `len` replies since `mark` what makes them the answer of a scan.
pub fn close(reply: &mut Reply, mark: Mark, next: Option<u32>, len: usize) {
    reply.close(mark, |it| {
        it.array(2);
        it.bulk_int(next.map_or(0, i64::from));
        it.array(len);
    });
}

/// HSCAN, SSCAN, ZSCAN: one step through a collection.
pub fn entries<C: Named>(
    engine: &Engine,
    mut args: Args<'_>,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let from = cursor(&mut args)?;
    // Redis reads the options only if there is something to scan.
    let Some(found) = engine.db(&args).collection::<C>(key)? else {
        close(reply, reply.mark(), None, 0);
        return Ok(());
    };
    let mut shown = Shown::Pairs;
    let options = Options::read(&mut args, |args| {
        let taken = C::NAMES_ONLY.is_some_and(|it| args.word(it));
        shown = if taken { Shown::Names } else { shown };
        Ok(taken)
    })?;

    let (mark, mut replies) = (reply.mark(), 0);
    let next = found.scan(from, options.count, args.now(), |entry| {
        if found.name(entry).with_text(|it| options.fits(it)) {
            replies += found.show_met(entry, shown, reply);
        }
    });
    close(reply, mark, next, replies);
    Ok(())
}
