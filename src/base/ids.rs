//! Numbers that name things, each of a type of its own.

/// One wait of one connection: a wake-up for a wait that is over finds another number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BlockId(pub u64);

/// A reply's place in the order of one connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SlotId(pub u64);

/// A command's number in the table of commands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u16);

impl CommandId {
    /// No command.
    pub const NONE: CommandId = CommandId(u16::MAX);

    /// Its place in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A route's number: the same for as long as the process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RouteId(pub u16);

impl RouteId {
    /// No route: the request is the proxy's own.
    pub const NONE: RouteId = RouteId(u16::MAX);
    /// The default route.
    pub const DEFAULT: RouteId = RouteId(0);

    /// Its place among all routes there have been.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A member's place in its set: the same for as long as the process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MemberId(pub u16);

impl MemberId {
    /// No member: the request is the proxy's own.
    pub const NONE: MemberId = MemberId(u16::MAX);

    /// The member at this place.
    pub fn of(place: usize) -> MemberId {
        MemberId(place as u16)
    }

    /// Its place.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
