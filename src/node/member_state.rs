//! A member's flags, and how many hold it for long, in one word: a plan looks at all of it at once.
//! What long holders mean to others is in `long_hold`.

use bitflags::bitflags;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

bitflags! {
    /// Reasons why a member does not do all of its work; none is the normal state.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MemberFlags: u8 {
        /// It applies nothing, on an operator's word.
        const PAUSED = 1 << 0;
        /// It serves no new reads, on an operator's word.
        const DRAINED = 1 << 1;
        /// A verb panicked in it: its data cannot be trusted.
        const QUARANTINED = 1 << 2;
        /// It was disconnected, or is new: it must be synced before it serves.
        const UNSYNCED = 1 << 3;
        /// It was taken out of the set, and its place waits for one of the same name.
        const REMOVED = 1 << 4;
    }
}

impl MemberFlags {
    /// Its data does not follow the stream.
    pub const UNSOUND: MemberFlags =
        MemberFlags::QUARANTINED.union(MemberFlags::UNSYNCED).union(MemberFlags::REMOVED);
    const OUT_OF_SERVICE: MemberFlags = MemberFlags::DRAINED.union(MemberFlags::UNSOUND);
}

/// What somebody does with a member for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hold {
    /// Others may read it meanwhile.
    Read,
    /// Nobody else comes near it.
    Write,
}

/// What it applies next takes long: its feed does that apart, and nobody else meanwhile.
const REPLAYING: u64 = 1 << 8;
/// Who reads it for long, or is about to: 24 bits of a count.
const READER: u64 = 1 << 16;
const READERS: u64 = (READER << 24) - READER;
/// Who changes it for long, or is about to: 24 bits of a count.
const WRITER: u64 = 1 << 40;
const WRITERS: u64 = !0 << 40;

impl Hold {
    /// One holder of this kind.
    fn one(self) -> u64 {
        match self {
            Hold::Read => READER,
            Hold::Write => WRITER,
        }
    }
}

/// A member's state at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MemberState(u64);

impl MemberState {
    /// The flags.
    #[inline]
    pub fn flags(self) -> MemberFlags {
        MemberFlags::from_bits_retain(self.0 as u8)
    }

    /// Whether it is in any of these states.
    #[inline]
    pub fn is(self, flags: MemberFlags) -> bool {
        self.any(flags.bits().into())
    }

    /// Whether reads may go to it.
    #[inline]
    pub fn in_service(self) -> bool {
        !self.is(MemberFlags::OUT_OF_SERVICE)
    }

    /// Whether it applies what it is fed.
    #[inline]
    pub fn is_moving(self) -> bool {
        !self.is(MemberFlags::PAUSED)
    }

    /// Whether what it applies next is left to its feed.
    #[inline]
    pub fn is_replaying(self) -> bool {
        self.any(REPLAYING)
    }

    /// Whether somebody changes it for long: reads would wait.
    #[inline]
    pub fn is_long_written(self) -> bool {
        self.any(WRITERS)
    }

    /// Whether somebody reads or changes it for long: writes would wait.
    #[inline]
    pub fn is_long_held(self) -> bool {
        self.any(WRITERS | READERS)
    }

    /// Whether a read may begin now.
    #[inline]
    pub fn takes_reads(self) -> bool {
        !self.any(u64::from(MemberFlags::OUT_OF_SERVICE.bits()) | WRITERS)
    }

    /// Whether it applies more at once, as soon as somebody asks for it.
    #[inline]
    pub fn applies_at_once(self) -> bool {
        !self.any(u64::from(MemberFlags::PAUSED.bits()) | REPLAYING | READERS | WRITERS)
    }

    #[inline]
    fn any(self, bits: u64) -> bool {
        self.0 & bits != 0
    }
}

/// A member's state, which any thread may change.
#[derive(Default)]
pub(super) struct StateCell(AtomicU64);

impl StateCell {
    /// The state now.
    #[inline]
    pub fn get(&self) -> MemberState {
        MemberState(self.0.load(SeqCst))
    }

    /// Sets flags; answers the state before.
    pub fn set(&self, flags: MemberFlags) -> MemberState {
        MemberState(self.0.fetch_or(flags.bits().into(), SeqCst))
    }

    /// Takes flags back.
    pub fn clear(&self, flags: MemberFlags) {
        self.0.fetch_and(!u64::from(flags.bits()), SeqCst);
    }

    /// Says whether what it applies next is left to its feed.
    pub fn set_replaying(&self, is_replaying: bool) {
        if is_replaying {
            self.0.fetch_or(REPLAYING, SeqCst);
        } else {
            self.0.fetch_and(!REPLAYING, SeqCst);
        }
    }

    /// One more who holds it for long.
    pub fn enter(&self, hold: Hold) {
        self.0.fetch_add(hold.one(), SeqCst);
    }

    /// One less who holds it for long.
    pub fn leave(&self, hold: Hold) {
        self.0.fetch_sub(hold.one(), SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_holders_do_not_touch_each_other() {
        let cell = StateCell::default();
        cell.set(MemberFlags::PAUSED | MemberFlags::DRAINED);
        cell.set_replaying(true);
        for _ in 0..1000 {
            cell.enter(Hold::Read);
            cell.enter(Hold::Write);
        }
        let state = cell.get();
        assert_eq!(state.flags(), MemberFlags::PAUSED | MemberFlags::DRAINED);
        assert!(state.is_replaying() && state.is_long_written() && state.is_long_held());
        (0..1000).for_each(|_| cell.leave(Hold::Write));
        assert!(!cell.get().is_long_written() && cell.get().is_long_held());
        (0..1000).for_each(|_| cell.leave(Hold::Read));
        cell.clear(MemberFlags::PAUSED);
        assert!(cell.get().is_replaying() && !cell.get().is_long_held());
        assert!(!cell.get().takes_reads(), "it is drained");
        cell.set_replaying(false);
        assert_eq!(cell.get().flags(), MemberFlags::DRAINED);
        assert!(cell.get().applies_at_once());
    }

    #[test]
    fn what_a_long_holder_keeps_away() {
        let cell = StateCell::default();
        assert!(cell.get().takes_reads() && cell.get().applies_at_once());
        cell.enter(Hold::Read);
        assert!(cell.get().takes_reads() && !cell.get().applies_at_once());
        cell.enter(Hold::Write);
        assert!(!cell.get().takes_reads() && !cell.get().applies_at_once());
    }

    #[test]
    fn each_of_these_alone_keeps_a_member_from_applying_at_once() {
        let each: [fn(&StateCell); 4] = [
            |it| assert!(it.set(MemberFlags::PAUSED).is_moving()),
            |it| it.set_replaying(true),
            |it| it.enter(Hold::Read),
            |it| it.enter(Hold::Write),
        ];
        for (at, enter) in each.iter().enumerate() {
            let cell = StateCell::default();
            enter(&cell);
            assert!(!cell.get().applies_at_once(), "{at}");
        }
    }
}
