//! How much the commands of streams have to do.

use crate::base::number::parse_i64;
use crate::command::Keys;
use crate::engine::stream::{Group, Stream, StreamId};
use crate::engine::{Db, KeySlot};
use crate::resp::Request;

/// What decides how much such a command does. Positions are those of the request's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamWork {
    /// The entries between two ids, or as many as stand behind the word COUNT.
    Between { from: usize, to: usize },
    /// The entries behind the ids of XREAD and XREADGROUP, or as many of each stream as stand
    /// behind the word COUNT.
    Behind,
    /// The pending entries that XAUTOCLAIM looks at.
    Claims,
    /// The pending entries that XPENDING looks at.
    Pending,
    /// What XINFO STREAM FULL shows.
    Full,
    /// What is pending for a consumer.
    Consumer,
}

/// As many pending entries XAUTOCLAIM looks at for each that it may claim.
const LOOKS_PER_CLAIM: usize = 10;

impl StreamWork {
    /// Of the command of this name, in capitals.
    pub fn of(name: &str) -> Option<StreamWork> {
        Some(match name {
            "XRANGE" => StreamWork::Between { from: 2, to: 3 },
            "XREVRANGE" => StreamWork::Between { from: 3, to: 2 },
            "XREAD" | "XREADGROUP" => StreamWork::Behind,
            "XAUTOCLAIM" => StreamWork::Claims,
            "XPENDING" => StreamWork::Pending,
            "XINFO|STREAM" => StreamWork::Full,
            "XGROUP|DELCONSUMER" => StreamWork::Consumer,
            _ => return None,
        })
    }

    /// About how many elements a request with these keys touches.
    pub fn elements(self, db: Db<'_>, keys: Keys, request: Request<'_>) -> usize {
        if let StreamWork::Behind = self {
            return behind(db, keys, request);
        }
        let Some(stream) = keys.first(request).and_then(|it| stream(db, it)) else { return 0 };
        let word = |at| request.get(at).unwrap_or_default();
        let group = |at| stream.groups.get(word(at));
        match self {
            StreamWork::Between { from, to } => {
                let (from, to) = (StreamId::parse_start(word(from)), StreamId::parse_end(word(to)));
                let (Ok(from), Ok(to)) = (from, to) else { return 0 };
                stream.entries.about(from, to).min(count(request).unwrap_or(usize::MAX))
            }
            StreamWork::Behind => 0,
            StreamWork::Claims => {
                let looks = count(request).unwrap_or(100).saturating_mul(LOOKS_PER_CLAIM);
                group(2).map_or(0, Group::pending).min(looks)
            }
            StreamWork::Pending => {
                let all = group(2).map_or(0, Group::pending);
                let is_filtered = word(3).eq_ignore_ascii_case(b"IDLE");
                let shown = parse_i64(word(5)).map_or(0, |it| it.max(0) as usize);
                if is_filtered { all } else { all.min(shown) }
            }
            StreamWork::Full if request.len() < 4 => 0,
            StreamWork::Full => {
                let most = match count(request) {
                    Some(0) => usize::MAX,
                    asked => asked.unwrap_or(10),
                };
                let of_group = |it: &Group| {
                    let pending = it.pending().saturating_mul(2);
                    it.consumers().len() + pending.min(most.saturating_mul(it.consumers().len()))
                };
                let groups = stream.groups.iter().map(|it| of_group(it.1));
                stream.len().min(most) + groups.sum::<usize>()
            }
            StreamWork::Consumer => {
                let pending = |it: &Group| {
                    let consumer = it.find_consumer(word(4))?;
                    Some(it.consumer(consumer).pending())
                };
                group(3).and_then(pending).unwrap_or(0)
            }
        }
    }
}

fn stream<'e>(db: Db<'e>, key: &[u8]) -> Option<&'e Stream> {
    db.peek(key).map(KeySlot::as_collection::<Stream>)?.ok()
}

/// What XREAD and XREADGROUP are about to show. Ids stand as far behind their keys as there are
/// keys.
fn behind(db: Db<'_>, keys: Keys, request: Request<'_>) -> usize {
    let (len, most) = (keys.count(request), count(request).filter(|it| *it != 0));
    let (first, mut at, mut elements) = (request.len().saturating_sub(len), 0, 0_usize);
    keys.each(request, |key| {
        let id = request.get(first + at).unwrap_or_default();
        at += 1;
        let Some(stream) = stream(db, key) else { return };
        let behind = match id {
            b"$" => return,
            b">" => {
                group_of(request).and_then(|(it, _)| stream.groups.get(it)).map(|it| it.last_id)
            }
            _ if group_of(request).is_some() => {
                elements = elements.saturating_add(pending_of(stream, request));
                return;
            }
            id => StreamId::parse(id, 0),
        };
        let Some(from) = behind.and_then(StreamId::next) else { return };
        let shown = stream.entries.about(from, StreamId::MAX);
        elements = elements.saturating_add(shown.min(most.unwrap_or(usize::MAX)));
    });
    elements
}

/// The group and the consumer of XREADGROUP.
fn group_of(request: Request<'_>) -> Option<(&[u8], &[u8])> {
    let is_of_group = request.get(0)?.eq_ignore_ascii_case(b"XREADGROUP");
    let at = request.iter().position(|it| it.eq_ignore_ascii_case(b"GROUP"))?;
    is_of_group.then_some((request.get(at + 1)?, request.get(at + 2)?))
}

/// How many entries are pending for the consumer: those that it may be shown again.
fn pending_of(stream: &Stream, request: Request<'_>) -> usize {
    let pending = || {
        let (group, consumer) = group_of(request)?;
        let group = stream.groups.get(group)?;
        Some(group.consumer(group.find_consumer(consumer)?).pending())
    };
    pending().unwrap_or(0)
}

/// The number behind the word COUNT.
fn count(request: Request<'_>) -> Option<usize> {
    let at = request.iter().position(|it| it.eq_ignore_ascii_case(b"COUNT"))?;
    Some(parse_i64(request.get(at + 1)?)?.max(0) as usize)
}
