//! REPLICAOF: its rows and its grammar. Who holds the master is waited for, so a job does the work.

use crate::base::number::parse_u64;
use crate::base::remote_address::RemoteAddress;
use crate::command::Arity::Exactly;
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Job, Outcome, SessionRow, session_row};
use crate::state::FailoverPhase;

const FLAGS: Flags =
    Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE).union(Flags::NO_ASYNC_LOADING);
const ARGUMENTS: &str = "<host port | NO ONE>";

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("REPLICAOF", Exactly(3), FLAGS, replica_of).says(
        Group::Server,
        "5.0.0",
        "O(1)",
        "Makes this server a replica of another, or a master.",
        ARGUMENTS,
    ),
    session_row("SLAVEOF", Exactly(3), FLAGS, replica_of).says(
        Group::Server,
        "1.0.0",
        "O(1)",
        "As REPLICAOF, by its older name.",
        ARGUMENTS,
    ),
];

fn replica_of(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let host = context.args.next()?;
    let port = context.args.next()?;
    let is = |it: &[u8], word: &str| it.eq_ignore_ascii_case(word.as_bytes());
    let master = if is(host, "NO") && is(port, "ONE") {
        None
    } else {
        const NO_PORT: Fault = Fault::Static("ERR Invalid master port");
        let port = parse_u64(port).and_then(|it| u16::try_from(it).ok()).ok_or(NO_PORT)?;
        let host = String::from_utf8_lossy(host).into_owned();
        Some(RemoteAddress { host, port })
    };
    if context.server.failovers.phase() != FailoverPhase::None {
        return Err(Fault::Static("ERR REPLICAOF not allowed while failing over."));
    }
    Ok(Outcome::apart(Job::Follow { master }, context.kept_request()))
}
