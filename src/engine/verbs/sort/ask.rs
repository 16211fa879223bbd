//! What SORT was asked for.

use super::lookup::Pattern;
use crate::base::time::WallMs;
use crate::command::{Args, CallEnv, Fault};
use crate::resp::Request;
use std::cmp::Ordering;
use std::ops::Range;

/// The direction of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest, or the first, first.
    Up,
    /// The reverse.
    Down,
}

impl Order {
    /// A comparison in this direction.
    pub fn of(self, order: Ordering) -> Ordering {
        match self {
            Order::Up => order,
            Order::Down => order.reverse(),
        }
    }
}

/// What elements are ordered by: themselves, or where a pattern leads.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// Not sorted at all.
    Nothing,
    /// As numbers.
    Number(Option<Pattern<'a>>),
    /// As texts, byte by byte.
    Text(Option<Pattern<'a>>),
}

/// All words behind the key.
pub struct Ask<'a> {
    /// What elements are ordered by.
    pub by: By<'a>,
    /// In which direction.
    pub order: Order,
    /// What is answered instead of the elements; themselves, if empty.
    pub get: Vec<Pattern<'a>>,
    /// Where the result is stored.
    pub store: Option<&'a [u8]>,
    /// A script asks: what it makes of the answer must not depend on where it runs.
    pub in_script: bool,
    limit: (i64, i64),
}

/// Words as they came, of which the last of a kind counts.
#[derive(Default)]
struct Words<'a> {
    by: Option<&'a [u8]>,
    is_unsorted: bool,
    is_text: bool,
}

impl<'a> Ask<'a> {
    /// All words that SORT knows.
    pub fn read(args: &mut Args<'a>) -> Result<Ask<'a>, Fault> {
        let (limit, order) = ((0, -1), Order::Up);
        let in_script = args.env.in_script.get();
        let mut ask =
            Ask { by: By::Nothing, order, get: Vec::new(), store: None, in_script, limit };
        let mut words = Words::default();
        while args.left() != 0 {
            if args.word("ASC") {
                ask.order = Order::Up;
            } else if args.word("DESC") {
                ask.order = Order::Down;
            } else if args.word("ALPHA") {
                words.is_text = true;
            } else if 3 <= args.left() && args.word("LIMIT") {
                ask.limit = (args.int()?, args.int()?);
            } else if 2 <= args.left() && args.word("STORE") {
                ask.store = Some(args.next()?);
            } else if 2 <= args.left() && args.word("GET") {
                ask.get.push(Pattern(args.next()?));
            } else if 2 <= args.left() && args.word("BY") {
                words.order_by(args.next()?);
            } else {
                return Err(Fault::Syntax);
            }
        }
        ask.by = words.by();
        Ok(ask)
    }

    /// As [`Ask::read`], without STORE.
    pub fn read_only(args: &mut Args<'a>) -> Result<Ask<'a>, Fault> {
        let ask = Ask::read(args)?;
        match ask.store {
            None => Ok(ask),
            Some(_) => Err(Fault::Syntax),
        }
    }

    /// Whether a request wants its result stored; one that makes no sense wants nothing.
    pub fn stores(request: Request<'a>) -> bool {
        let env = CallEnv::new(WallMs::NEVER_EXPIRES, 0);
        let mut args = Args::new(request, 2, 0, &env);
        Ask::read(&mut args).is_ok_and(|it| it.store.is_some())
    }

    /// Which of `len` sorted elements the result shows.
    pub fn span(&self, len: usize) -> Range<usize> {
        let (start, count) = self.limit;
        let start = usize::try_from(start).map_or(0, |it| it.min(len));
        let count = usize::try_from(count).map_or(len, |it| it.min(len));
        start..start + count.min(len - start)
    }

    /// All patterns that lead to keys.
    pub fn patterns(&self) -> impl Iterator<Item = Pattern<'a>> {
        let by = match self.by {
            By::Number(by) | By::Text(by) => by,
            By::Nothing => None,
        };
        by.into_iter().chain(self.get.iter().copied())
    }
}

impl<'a> Words<'a> {
    fn order_by(&mut self, pattern: &'a [u8]) {
        self.by = Some(pattern);
        // Redis does not take it back when another BY follows.
        self.is_unsorted |= !pattern.contains(&b'*');
    }

    fn by(&self) -> By<'a> {
        match (self.is_unsorted, self.is_text) {
            (true, _) => By::Nothing,
            (false, true) => By::Text(self.by.map(Pattern)),
            (false, false) => By::Number(self.by.map(Pattern)),
        }
    }
}
