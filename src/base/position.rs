//! Places in a replication stream; the one file that does arithmetic on offsets.

use super::limits::HISTORIES_MAX;
use super::planted::{Planted, is_planted};
use std::fmt;
use std::sync::Arc;

/// Count of stream bytes before a point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Offset(u64);

impl Offset {
    /// Before the first byte.
    pub const ZERO: Offset = Offset(0);
    /// Behind every byte there can be.
    pub const MAX: Offset = Offset(u64::MAX);

    /// The offset with this many bytes before it.
    pub const fn new(bytes: u64) -> Offset {
        Offset(bytes)
    }

    /// The offset `len` bytes further on.
    pub const fn after(self, len: usize) -> Offset {
        Offset(self.0 + len as u64)
    }

    /// The offset `len` bytes before, or the first one.
    pub const fn before(self, len: u64) -> Offset {
        Offset(self.0.saturating_sub(len))
    }

    /// Bytes from `earlier` to here; 0 when `earlier` is not earlier.
    pub const fn since(self, earlier: Offset) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The number itself, for replies and for atomics.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One history's name: the 40 hexadecimal digits Redis calls a replication id, as 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplId([u8; 20]);

impl ReplId {
    /// A history named by these bytes, which the caller draws at random.
    pub const fn new(bytes: [u8; 20]) -> ReplId {
        ReplId(bytes)
    }

    /// Reads the 40 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<ReplId> {
        let mut bytes = [0; 20];
        if text.len() != 40 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
            let digit = |it: u8| (it as char).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(ReplId(bytes))
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A place in one stream. Deliberately without an order: positions of two histories have none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Whose bytes `offset` counts.
    pub replid: ReplId,
    /// How many of them come before this place.
    pub offset: Offset,
}

impl fmt::Display for Position {
    /// `<history>:<offset>`, what a token says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replid, self.offset)
    }
}

impl Position {
    /// Reads what `Display` writes; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Position> {
        let (replid, offset) = (text.get(..40)?, text.get(40..)?.strip_prefix(b":")?);
        let canonical = offset.iter().all(u8::is_ascii_digit);
        let offset = std::str::from_utf8(offset).ok().filter(|_| canonical)?.parse().ok()?;
        Some(Position { replid: ReplId::parse(replid)?, offset: Offset(offset) })
    }
}

/// What a stream remembers of its past: its own history, and up to where it shares those before it
/// (Redis' `replid2` and `second_repl_offset`, further back).
#[derive(Clone, Debug)]
pub struct ReplicationHistory {
    /// The history being written now.
    pub replid: ReplId,
    /// Histories before failovers, newest first, each with the offset up to which it is part of
    /// this stream.
    past: Arc<[Position]>,
    /// Whether it began where the last of them ended, and not with other data.
    goes_on: bool,
}

/// How a floor stands against a stream's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coverage {
    /// The stream holds everything up to this offset of its own.
    To(Offset),
    /// The floor's last bytes were cut off by a failover: the stream shares only up to here.
    Lost(Offset),
    /// Nothing is known of the floor's history.
    Foreign,
}

impl ReplicationHistory {
    /// A stream without a past.
    pub fn new(replid: ReplId) -> ReplicationHistory {
        ReplicationHistory { replid, past: Arc::new([]), goes_on: false }
    }

    /// The history before the last failover, and the offset up to which it is part of this one;
    /// `None` when it is no part of it.
    pub fn before(&self) -> Option<Position> {
        self.past.first().copied().filter(|_| self.goes_on)
    }

    /// The rule of `replid2`: the only way positions of two histories are ever compared.
    #[inline]
    pub fn cover(&self, floor: Position) -> Coverage {
        match floor.replid == self.replid {
            true => Coverage::To(floor.offset),
            false => self.cover_of_before(floor),
        }
    }

    #[cold]
    fn cover_of_before(&self, floor: Position) -> Coverage {
        match self.past.iter().find(|it| it.replid == floor.replid) {
            Some(shared) if floor.offset <= shared.offset => Coverage::To(floor.offset),
            Some(shared) if is_planted(Planted::LossUntold) => Coverage::To(shared.offset),
            Some(shared) => Coverage::Lost(shared.offset),
            None => Coverage::Foreign,
        }
    }

    /// Whether this history has data in common with that one: with one that was replaced as a whole
    /// it has none, though both begin at offset 0.
    pub fn goes_on_from(&self, replid: ReplId) -> bool {
        let is_before = self.before().is_some_and(|it| it.replid == replid);
        let shares = |it: &Position| it.replid == replid && it.offset != Offset::ZERO;
        replid == self.replid || is_before || self.past.iter().any(shares)
    }

    /// What this stream went on with before `replid`, newest first, each with the offset up to
    /// which that is a part of it; `None` when that is no history of this stream.
    pub fn past_of(&self, replid: ReplId) -> Option<&[Position]> {
        past_of(self.replid, &self.past, replid)
    }

    /// The history after this one, whose data is another master's from here on: `told` is what that
    /// master says of the past of `new`, see [`ReplicationHistory::past_of`]. `shares` is up to
    /// where everything that is here is known to be a part of it.
    pub fn followed(
        &self,
        new: ReplId,
        told: &[Position],
        shares: Option<Offset>,
    ) -> ReplicationHistory {
        if new == self.replid {
            return self.clone();
        }
        let own = std::iter::once(Position { replid: self.replid, offset: Offset::MAX });
        let own: Vec<Position> = own.chain(self.past.iter().copied()).collect();
        let told_of = |it: &Position| told.iter().find(|told| told.replid == it.replid);
        // How much of one of these the new stream is known to hold.
        let known = |at: usize| match told_of(&own[at]) {
            _ if own[at].replid == new => Offset::MAX,
            Some(told) => told.offset,
            None if at == 0 => shares.unwrap_or(Offset::ZERO),
            None => Offset::ZERO,
        };
        // Two of these share what is before the end of the older one.
        let shared = |at: usize| {
            let by = |other: usize| known(other).min(own[at.max(other)].offset);
            (0..own.len()).map(by).max().unwrap_or(Offset::ZERO)
        };
        let untold = own.iter().enumerate();
        let untold = untold.filter(|(_, it)| it.replid != new && told_of(it).is_none());
        let untold = untold.map(|(at, it)| Position { replid: it.replid, offset: shared(at) });
        let past = told.iter().copied().chain(untold).take(HISTORIES_MAX).collect();
        ReplicationHistory { replid: new, past, goes_on: !told.is_empty() || shares.is_some() }
    }

    /// The history of another master's data, which has taken the place of this one: it shares
    /// nothing with those that were here, unless it is the same.
    pub fn replaced(&self, new: ReplId) -> ReplicationHistory {
        self.followed(new, &[], None)
    }

    /// This history, of which is known that it shares nothing with that one.
    pub fn lacking(&self, replid: ReplId) -> ReplicationHistory {
        let known = self.past.iter().copied().take(HISTORIES_MAX - 1);
        let past = known.chain([Position { replid, offset: Offset::ZERO }]).collect();
        ReplicationHistory { past, ..self.clone() }
    }

    /// The history after a promotion at `at`: a new history that shares the old ones up to there.
    pub fn promoted(&self, new: ReplId, at: Offset) -> ReplicationHistory {
        let old = Position { replid: self.replid, offset: at };
        let older = self.past.iter().map(|it| Position { offset: it.offset.min(at), ..*it });
        let past = std::iter::once(old).chain(older).take(HISTORIES_MAX).collect();
        ReplicationHistory { replid: new, past, goes_on: true }
    }
}

/// As [`ReplicationHistory::past_of`], of a stream that has this name and this past now.
pub fn past_of(name: ReplId, past: &[Position], replid: ReplId) -> Option<&[Position]> {
    if name == replid {
        return Some(past);
    }
    let at = past.iter().position(|it| it.replid == replid)?;
    Some(&past[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: ReplId = ReplId::new([1; 20]);
    const NEW: ReplId = ReplId::new([2; 20]);

    fn at(replid: ReplId, bytes: u64) -> Position {
        Position { replid, offset: Offset::new(bytes) }
    }

    #[test]
    fn a_position_survives_its_text() {
        let place = at(NEW, 1234);
        assert_eq!(Position::parse(place.to_string().as_bytes()), Some(place));
        for bad in ["", "x", ":", &format!("{NEW}"), &format!("{NEW}:"), &format!("{NEW}:+1")] {
            assert_eq!(Position::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_promotion_covers_the_old_history_only_up_to_where_it_shares_it() {
        let history = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(100));
        assert_eq!(history.cover(at(NEW, 500)), Coverage::To(Offset::new(500)));
        assert_eq!(history.cover(at(OLD, 100)), Coverage::To(Offset::new(100)));
        assert_eq!(history.cover(at(OLD, 101)), Coverage::Lost(Offset::new(100)));
        assert_eq!(history.cover(at(ReplId::new([9; 20]), 1)), Coverage::Foreign);
    }

    #[test]
    fn a_history_that_was_replaced_is_lost_as_a_whole() {
        let history = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(100));
        let other = ReplId::new([3; 20]);
        let replaced = history.replaced(other);
        assert_eq!(replaced.cover(at(NEW, 1)), Coverage::Lost(Offset::ZERO));
        assert_eq!(replaced.cover(at(OLD, 1)), Coverage::Lost(Offset::ZERO));
        assert_eq!(replaced.cover(at(NEW, 0)), Coverage::To(Offset::ZERO), "nothing was seen");
        assert_eq!((replaced.replid, replaced.before()), (other, None));
        let promoted = replaced.promoted(ReplId::new([4; 20]), Offset::new(50));
        for (replid, goes_on) in [(OLD, false), (NEW, false), (other, true)] {
            assert_eq!(promoted.goes_on_from(replid), goes_on);
        }
        assert!(history.goes_on_from(OLD) && !replaced.goes_on_from(NEW));
        assert_eq!(history.replaced(NEW).cover(at(OLD, 100)), Coverage::To(Offset::new(100)));
    }

    #[test]
    fn what_a_master_tells_of_its_past_is_shared_as_far_as_it_says() {
        let id = |it: u8| ReplId::new([it; 20]);
        let history = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(100));
        let master = ReplicationHistory::new(NEW)
            .promoted(id(3), Offset::new(200))
            .promoted(id(4), Offset::new(300));
        let told = master.past_of(id(4)).unwrap();
        assert_eq!(told, [at(id(3), 300), at(NEW, 200)]);
        assert_eq!(master.past_of(id(3)), Some(&told[1..]));
        assert_eq!((master.past_of(NEW), master.past_of(OLD)), (Some(&[][..]), None));
        // Here there were only 150 of the 200 bytes that the two have in common.
        for shares in [None, Some(Offset::new(150))] {
            let joined = history.followed(id(4), told, shares);
            assert_eq!(joined.cover(at(NEW, 200)), Coverage::To(Offset::new(200)));
            assert_eq!(joined.cover(at(NEW, 201)), Coverage::Lost(Offset::new(200)));
            assert_eq!(joined.cover(at(OLD, 100)), Coverage::To(Offset::new(100)));
            assert_eq!(joined.cover(at(OLD, 101)), Coverage::Lost(Offset::new(100)));
            assert_eq!(joined.before(), Some(at(id(3), 300)));
        }
    }

    #[test]
    fn a_branch_that_goes_back_shares_what_was_before_it() {
        let branch = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(100));
        let back = branch.replaced(OLD);
        assert_eq!(back.cover(at(NEW, 100)), Coverage::To(Offset::new(100)));
        assert_eq!(back.cover(at(NEW, 101)), Coverage::Lost(Offset::new(100)));
        assert_eq!(back.before(), None);
    }

    #[test]
    fn a_place_outlives_failovers_as_far_as_each_of_them_kept_it() {
        let id = |it: usize| ReplId::new([it as u8; 20]);
        let mut history = ReplicationHistory::new(id(0));
        for it in 1..=HISTORIES_MAX {
            history = history.promoted(id(it), Offset::new(100 * it as u64));
        }
        assert_eq!(history.cover(at(id(0), 100)), Coverage::To(Offset::new(100)));
        assert_eq!(history.cover(at(id(0), 101)), Coverage::Lost(Offset::new(100)));
        assert_eq!(history.cover(at(id(1), 200)), Coverage::To(Offset::new(200)));
        assert_eq!(history.before(), Some(at(id(HISTORIES_MAX - 1), 100 * HISTORIES_MAX as u64)));
        // One that goes back behind an older one takes the rest of it along.
        let history = history.promoted(id(99), Offset::new(150));
        assert_eq!(history.cover(at(id(1), 151)), Coverage::Lost(Offset::new(150)));
        assert_eq!(history.cover(at(id(0), 1)), Coverage::Foreign, "too long ago");
    }
}
