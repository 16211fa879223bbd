//! What a script asks of whoever runs it.

use crate::resp::Protocol;

/// The steps of a call that may have taken long.
pub const LONG_CALL: u32 = super::limits::STEPS_PER_TICK;
/// The steps of a call that has not.
pub const SHORT_CALL: u32 = 300;

/// Whether a script goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// It does.
    Continue,
    /// It was told to stop, and may be: it has written nothing.
    Stop,
    /// It has used up what a script may execute.
    Exceeds,
}

/// Who executes what a script calls: a transaction in the house, a connection in a test.
pub trait Host {
    /// Executes one command and appends its reply, an error among them, in this protocol. Answers
    /// how many steps of work it comes to: [`LONG_CALL`] has the host asked at once whether the
    /// script may go on.
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, reply: &mut Vec<u8>) -> u32;

    /// Whether the script's user may execute this command; nothing if there is no such command.
    fn may_call(&mut self, argv: &[&[u8]]) -> Option<bool>;

    /// A line for the log, at a level from 0 (debug) to 3 (warning).
    fn log(&mut self, level: u8, text: &[u8]);

    /// Where the effects of the following calls go: bit 0 the append-only file, bit 1 the replicas.
    fn set_replication(&mut self, targets: u8);

    /// Called every few tens of microseconds of a script's own work, with the steps that it has
    /// come to since: the place to note that it is slow, to let others in, and to stop it.
    fn tick(&mut self, steps: u64) -> Tick;
}
