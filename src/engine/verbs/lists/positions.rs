//! LPOS: where in a list a text is.

use crate::command::{Args, Fault};
use crate::engine::packed::Element;
use crate::engine::{End, Engine, List};
use crate::resp::Reply;

/// What LPOS says behind the element.
struct Ask {
    /// From which end.
    end: End,
    /// Matches passed over.
    skipped: usize,
    /// How many indexes are wanted, in an array; one, and not in an array, without COUNT.
    count: Option<usize>,
    /// Most elements compared.
    compared_max: usize,
}

impl Ask {
    fn read(args: &mut Args<'_>) -> Result<Ask, Fault> {
        let mut ask = Ask { end: End::Front, skipped: 0, count: None, compared_max: usize::MAX };
        while args.left() != 0 {
            if 2 <= args.left() && args.word("RANK") {
                (ask.end, ask.skipped) = rank(args.int()?)?;
            } else if 2 <= args.left() && args.word("COUNT") {
                ask.count = Some(most(args, "ERR COUNT can't be negative")?);
            } else if 2 <= args.left() && args.word("MAXLEN") {
                ask.compared_max = most(args, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(ask)
    }

    /// Answers the places of elements that equal `wanted`. Answers how many.
    fn answer<'l>(
        &self,
        elements: impl Iterator<Item = (Element<'l>, usize)>,
        wanted: Element<'_>,
        reply: &mut Reply,
    ) -> usize {
        let compared = elements.take(self.compared_max);
        let met = compared.filter(|(it, _)| *it == wanted).skip(self.skipped);
        met.take(self.count.unwrap_or(1)).map(|(_, place)| reply.count(place)).count()
    }
}

/// The end from which matches are counted, and how many are passed over.
fn rank(rank: i64) -> Result<(End, usize), Fault> {
    const ZERO: Fault = Fault::Static(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
         negative to start from the end of the list",
    );
    const TOO_LOW: Fault = Fault::Static(
        "ERR value is out of range, value must between -9223372036854775807 and \
         9223372036854775807",
    );
    match rank {
        0 => Err(ZERO),
        1.. => Ok((End::Front, rank as usize - 1)),
        // It cannot be negated. Redis 7.0 passes over none, 7.2 refuses it.
        i64::MIN => Err(TOO_LOW),
        _ => Ok((End::Back, rank.unsigned_abs() as usize - 1)),
    }
}

/// A bound; 0 is none.
fn most(args: &mut Args<'_>, negative: &'static str) -> Result<usize, Fault> {
    // Redis says the same of what is no number at all.
    match args.int().map_err(|_| Fault::Static(negative))? {
        ..0 => Err(Fault::Static(negative)),
        0 => Ok(usize::MAX),
        bound => Ok(bound as usize),
    }
}

pub(super) fn lpos(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, text) = (args.next()?, args.next()?);
    let ask = Ask::read(&mut args)?;
    let list: Option<&List> = engine.db(&args).collection(key)?;

    let (mark, wanted) = (reply.mark(), Element::of(text));
    let met = list.map_or(0, |list| match ask.end {
        End::Front => ask.answer(list.onward(0).zip(0..), wanted, reply),
        End::Back => {
            let places = (0..list.len()).rev();
            ask.answer(list.backward(usize::MAX).zip(places), wanted, reply)
        }
    });
    match ask.count {
        Some(_) => reply.close_array(mark, met),
        None if met == 0 => reply.null(),
        None => {}
    }
    Ok(())
}
