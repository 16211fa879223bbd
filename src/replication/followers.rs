//! Followers: whoever receives the stream, of one kind and in one state each.

use super::peer_fault::PeerFault;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use std::fmt;

/// A follower of one log. Never another's, not even once the follower is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FollowerId {
    slot: u32,
    generation: u32,
}

/// What a follower is, which says how it is sent the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowerKind {
    /// A replica in this process: takes records, and has acknowledged what it has applied.
    Hosted,
    /// A replica at the other end of a link: takes bytes, and says what it has applied.
    Wire,
    /// The other process of an upgrade, as one on the wire: it or we end soon, so nobody counts it.
    Upgrade,
    /// The append-only file: takes bytes, and has acknowledged what is on disk.
    AppendOnlyFile,
}

impl FollowerKind {
    /// Whether it is at the other end of a link.
    pub fn is_on_wire(self) -> bool {
        matches!(self, FollowerKind::Wire | FollowerKind::Upgrade)
    }
}

/// Why a follower is sent nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DisconnectReason {
    /// It fell further behind than its bound.
    FeedLimit,
    /// What it was sent could not be applied.
    NotApplicable,
    /// A verb panicked in it: its data cannot be trusted.
    Quarantined,
    /// It has become the master.
    Promoted,
    /// The copy that it was to begin with could not be made.
    ResyncFailed,
    /// It is no member any more.
    Removed,
    /// The stream goes on with the data of another master.
    Replaced,
    /// It broke the protocol.
    Peer(PeerFault),
}

impl fmt::Display for DisconnectReason {
    /// A word for log lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DisconnectReason::FeedLimit => f.write_str("feed-limit"),
            DisconnectReason::NotApplicable => f.write_str("stream-not-applicable"),
            DisconnectReason::Quarantined => f.write_str("quarantined"),
            DisconnectReason::Promoted => f.write_str("promoted"),
            DisconnectReason::ResyncFailed => f.write_str("full-resync-failed"),
            DisconnectReason::Removed => f.write_str("removed"),
            DisconnectReason::Replaced => f.write_str("replaced"),
            DisconnectReason::Peer(fault) => fault.fmt(f),
        }
    }
}

/// Where a follower stands. Offsets are of the log's own history.
///
/// ```text
///              full_resync               online
///   Handshake ─────────────▶ FullResync ────────▶ Online ◀─┐
///     ▲  └───────────────── resume ─────────────────▶ └────┘ send, ack
///     │
///     └─── handshake ─── Disconnected ◀─── disconnect ─── any
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowerState {
    /// It has not said, or nobody has decided, from where on it is sent the stream.
    Handshake,
    /// It is given a copy. Afterwards it is sent the stream from `at` on, which is kept for it.
    FullResync { at: Offset },
    /// It is sent the stream: it was sent all before `sent`, and has acknowledged all before
    /// `acked`.
    Online { sent: Offset, acked: Offset },
    /// It is sent nothing, and nothing is kept for it.
    Disconnected { why: DisconnectReason },
}

impl FollowerState {
    /// It comes back, and asks from where on it can be sent the stream.
    pub fn handshake(self) -> FollowerState {
        assert!(!self.is_fed(), "a handshake of one that is {self}");
        FollowerState::Handshake
    }

    /// It will get a copy, and the stream from `at` on.
    pub fn full_resync(self, at: Offset) -> FollowerState {
        assert_eq!(self, FollowerState::Handshake, "a full resync begins with a handshake");
        FollowerState::FullResync { at }
    }

    /// It has everything before `from`, and goes on there: a partial resync.
    pub fn resume(self, from: Offset) -> FollowerState {
        assert_eq!(self, FollowerState::Handshake, "it resumes after a handshake");
        FollowerState::Online { sent: from, acked: from }
    }

    /// It has its copy, which stands at `acked`.
    pub fn online(self, acked: Offset) -> FollowerState {
        let FollowerState::FullResync { at: sent } = self else { panic!("online from {self}") };
        assert!(acked <= sent, "a copy at {acked} of a stream that goes on at {sent}");
        FollowerState::Online { sent, acked }
    }

    /// It has been sent everything before `to`.
    #[inline]
    pub fn send(self, to: Offset) -> FollowerState {
        let FollowerState::Online { sent, acked } = self else { panic!("sent to one {self}") };
        assert!(sent <= to, "sent again");
        FollowerState::Online { sent: to, acked }
    }

    /// It acknowledges everything before `offset`. An acknowledgement that comes late is honest.
    #[inline]
    pub fn ack(self, offset: Offset) -> Result<FollowerState, PeerFault> {
        // It was on its way when we disconnected the follower, who has done nothing wrong.
        if let FollowerState::Disconnected { .. } = self {
            return Ok(self);
        }
        let FollowerState::Online { sent, acked } = self else {
            return Err(PeerFault::AckBeforeOnline);
        };
        if sent < offset {
            return Err(PeerFault::AckBeyondSent { acked: offset, sent });
        }
        Ok(FollowerState::Online { sent, acked: acked.max(offset) })
    }

    /// It is sent nothing from here on.
    pub fn disconnect(self, why: DisconnectReason) -> FollowerState {
        FollowerState::Disconnected { why }
    }

    /// Where the stream goes on for it, if it is sent the stream or will be.
    #[inline]
    pub fn next(self) -> Option<Offset> {
        match self {
            FollowerState::FullResync { at } => Some(at),
            FollowerState::Online { sent, .. } => Some(sent),
            FollowerState::Handshake | FollowerState::Disconnected { .. } => None,
        }
    }

    /// Whether the stream is kept for it.
    pub fn is_fed(self) -> bool {
        self.next().is_some()
    }

    /// Whether it is sent the stream.
    pub fn is_online(self) -> bool {
        matches!(self, FollowerState::Online { .. })
    }

    /// What it has acknowledged, while it is online.
    pub fn acked(self) -> Option<Offset> {
        match self {
            FollowerState::Online { acked, .. } => Some(acked),
            _ => None,
        }
    }
}

impl fmt::Display for FollowerState {
    /// One word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FollowerState::Handshake => "handshake",
            FollowerState::FullResync { .. } => "full-resync",
            FollowerState::Online { .. } => "online",
            FollowerState::Disconnected { .. } => "disconnected",
        })
    }
}

/// A follower.
#[derive(Clone, Debug)]
pub struct Follower {
    /// A member's name, or a peer's address.
    pub name: String,
    /// What it is.
    pub kind: FollowerKind,
    /// Where it stands.
    pub state: FollowerState,
    /// Most bytes of the stream that may wait to be sent to it, but for one write.
    pub bytes_max: u64,
    /// The write that does not count against `bytes_max`, from its first byte to its end: it alone
    /// is what takes the follower over its bound.
    excepted: Option<(Offset, Offset)>,
    /// When it last acknowledged anything.
    pub heard_at: MonoUs,
    /// What a replica on the wire has in an append-only file of its own, for good; nothing where
    /// it says nothing of that.
    pub on_disk: Offset,
}

impl Follower {
    /// Bytes that wait to be sent and count against its bound, when the stream ends at `head`.
    fn counted(&self, next: Offset, head: Offset) -> u64 {
        let excepted = match self.excepted {
            Some((start, end)) => end.since(start.max(next)),
            None => 0,
        };
        head.since(next) - excepted
    }

    /// Whether it is within its bound after a write from `before` to `head`. A write that alone
    /// takes it over its bound is excepted, unless an earlier one is that it has not taken.
    fn bears(&mut self, next: Offset, before: Offset, head: Offset) -> bool {
        if self.excepted.is_some_and(|it| it.1 <= next) {
            self.excepted = None;
        }
        if self.counted(next, head) <= self.bytes_max {
            return true;
        }
        let is_spared = self.excepted.is_none() && self.counted(next, before) <= self.bytes_max;
        if is_spared && before < head {
            self.excepted = Some((before, head));
            return true;
        }
        false
    }
}

/// The followers of one log.
#[derive(Default)]
pub struct Followers {
    slots: Vec<Slot>,
    /// A hosted replica is sent the stream, or will be: records are kept.
    feeds_hosted: bool,
    /// Those that went over their bound since anybody asked.
    over_bound: Vec<FollowerId>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    follower: Option<Follower>,
}

impl Followers {
    /// A new follower, before its handshake.
    pub fn add(&mut self, kind: FollowerKind, name: String, bytes_max: u64) -> FollowerId {
        let free = self.slots.iter().position(|it| it.follower.is_none());
        let at = free.unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let (state, heard_at) = (FollowerState::Handshake, MonoUs(0));
        let on_disk = Offset::ZERO;
        let follower = Follower { name, kind, state, bytes_max, excepted: None, heard_at, on_disk };
        self.slots[at].follower = Some(follower);
        FollowerId { slot: at as u32, generation: self.slots[at].generation }
    }

    /// A follower that is gone for good.
    pub fn remove(&mut self, id: FollowerId) {
        self.get(id);
        let slot = &mut self.slots[id.slot as usize];
        slot.follower = None;
        slot.generation += 1;
        self.over_bound.retain(|it| *it != id);
        self.look_who_is_fed();
    }

    /// One follower, which must be there.
    #[inline]
    pub fn get(&self, id: FollowerId) -> &Follower {
        let slot = &self.slots[id.slot as usize];
        assert_eq!(slot.generation, id.generation, "a follower that is gone");
        slot.follower.as_ref().expect("a follower that is there")
    }

    #[inline]
    fn get_mut(&mut self, id: FollowerId) -> &mut Follower {
        let slot = &mut self.slots[id.slot as usize];
        assert_eq!(slot.generation, id.generation, "a follower that is gone");
        slot.follower.as_mut().expect("a follower that is there")
    }

    /// All there are.
    pub fn iter(&self) -> impl Iterator<Item = (FollowerId, &Follower)> {
        self.slots.iter().enumerate().filter_map(|(at, it)| {
            let id = FollowerId { slot: at as u32, generation: it.generation };
            it.follower.as_ref().map(|it| (id, it))
        })
    }

    /// Changes where a follower stands, by one of the transitions of [`FollowerState`].
    pub fn change(&mut self, id: FollowerId, by: impl FnOnce(FollowerState) -> FollowerState) {
        let follower = self.get_mut(id);
        follower.state = by(follower.state);
        if !follower.state.is_fed() {
            (follower.excepted, follower.on_disk) = (None, Offset::ZERO);
        }
        self.look_who_is_fed();
    }

    /// A hosted replica has applied everything before `applied`, and is sent what comes after:
    /// `send` is told from where on, and says up to where. Nothing happens unless it is online.
    /// Answers whether it was sent anything.
    #[inline]
    pub fn send_hosted(
        &mut self,
        id: FollowerId,
        applied: Offset,
        send: impl FnOnce(Offset) -> Offset,
    ) -> bool {
        let follower = self.get_mut(id);
        let FollowerState::Online { sent, .. } = follower.state else { return false };
        let acked = follower.state.ack(applied).expect("it applies what it has taken");
        let to = send(sent);
        follower.state = acked.send(to);
        sent < to
    }

    /// A follower that takes bytes has been sent everything before `to`.
    pub fn send(&mut self, id: FollowerId, to: Offset) {
        let follower = self.get_mut(id);
        follower.state = follower.state.send(to);
    }

    /// A follower says what it has. One that cannot have that is disconnected.
    pub fn ack(&mut self, id: FollowerId, offset: Offset, now: MonoUs) -> Result<(), PeerFault> {
        let follower = self.get_mut(id);
        let acked = follower.state.ack(offset);
        follower.heard_at = now;
        match acked {
            Ok(state) => follower.state = state,
            Err(fault) => self.change(id, |it| it.disconnect(DisconnectReason::Peer(fault))),
        }
        acked.map(|_| ())
    }

    /// A follower says what it has on disk. One that cannot have that is disconnected.
    pub fn synced(&mut self, id: FollowerId, offset: Offset) -> Result<(), PeerFault> {
        let follower = self.get_mut(id);
        match follower.state.ack(offset) {
            Ok(state) if state.is_online() => follower.on_disk = offset,
            Ok(_) => {}
            Err(fault) => {
                self.change(id, |it| it.disconnect(DisconnectReason::Peer(fault)));
                return Err(fault);
            }
        }
        Ok(())
    }

    /// A follower lives.
    pub fn heard(&mut self, id: FollowerId, now: MonoUs) {
        self.get_mut(id).heard_at = now;
    }

    /// Changes the bound of one follower.
    pub fn set_bytes_max_of(&mut self, id: FollowerId, bytes_max: u64) {
        self.get_mut(id).bytes_max = bytes_max;
    }

    /// Changes the bound of all followers of this kind.
    pub fn set_bytes_max(&mut self, kind: FollowerKind, bytes_max: u64) {
        let of_kind = |it: &&mut Follower| it.kind == kind;
        let followers = self.slots.iter_mut().filter_map(|it| it.follower.as_mut());
        followers.filter(of_kind).for_each(|it| it.bytes_max = bytes_max);
    }

    /// Disconnects those that are over their bound after a write from `before` to `head`.
    pub fn look_after_bounds(&mut self, before: Offset, head: Offset) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let Some(follower) = &mut slot.follower else { continue };
            let Some(next) = follower.state.next() else { continue };
            if !follower.bears(next, before, head) {
                follower.state = follower.state.disconnect(DisconnectReason::FeedLimit);
                follower.excepted = None;
                let id = FollowerId { slot: at as u32, generation: slot.generation };
                self.over_bound.push(id);
            }
        }
        self.look_who_is_fed();
    }

    /// Whether [`Followers::take_over_bound`] has anything to tell.
    #[inline]
    pub fn has_over_bound(&self) -> bool {
        !self.over_bound.is_empty()
    }

    /// Those that went over their bound since the last time this was asked.
    pub fn take_over_bound(&mut self) -> Vec<FollowerId> {
        std::mem::take(&mut self.over_bound)
    }

    /// Whether records must be kept for a hosted replica.
    #[inline]
    pub fn feeds_hosted(&self) -> bool {
        self.feeds_hosted
    }

    /// Where the stream must be kept from, for whoever is furthest behind of all.
    pub fn keep_bytes_from(&self) -> Option<Offset> {
        self.all().filter_map(|it| it.state.next()).min()
    }

    /// Where records must be kept from, for the hosted replica that is furthest behind.
    #[inline]
    pub fn keep_records_from(&self) -> Option<Offset> {
        let hosted = self.all().filter(|it| it.kind == FollowerKind::Hosted);
        hosted.filter_map(|it| it.state.next()).min()
    }

    fn all(&self) -> impl Iterator<Item = &Follower> {
        self.slots.iter().filter_map(|it| it.follower.as_ref())
    }

    fn look_who_is_fed(&mut self) {
        self.feeds_hosted = self.keep_records_from().is_some();
    }
}

#[cfg(test)]
mod tests;
