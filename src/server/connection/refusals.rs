//! Why a request may be refused before anything happens: one list, top to bottom, the first wins.
//!
//! What a request is (known, its arity) is settled by its look-up in the table, before these. What
//! depends on the set (the min-replicas gate, a master in service) is asked where a write has its
//! member, since the answer must still be true under the master's lock.

use super::caller::Caller;
use crate::command::{Fault, Flags};
use crate::commands::Command;

/// A reason to refuse, with its name.
pub type Refusal = (&'static str, fn(&mut Caller, &Command) -> Option<Fault>);

/// All of them.
pub const REFUSALS: &[Refusal] = &[
    ("authenticated", |caller, command| {
        let may = caller.session.is_known || command.spec.flags.contains(Flags::NO_AUTH);
        if may { None } else { Some(Fault::NoAuth) }
    }),
    ("nothing_lost", |caller, _| {
        // A transaction ends at its EXEC, not before: the loss is told behind it.
        if caller.session.queue.is_none() { caller.take_lost() } else { None }
    }),
];

/// The first reason why this command of this caller is refused now.
#[inline]
pub fn refused(caller: &mut Caller, command: &Command) -> Option<Fault> {
    REFUSALS.iter().find_map(|(_, refusal)| refusal(caller, command))
}
