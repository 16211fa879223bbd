//! FAILOVER: its row and its grammar.

use crate::command::Arity::AtLeast;
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Job, Outcome, SessionRow, session_row};
use crate::node::FollowerStatus;
use crate::state::FailoverOrder;
use std::time::Duration;

const FLAGS: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE);

/// The family's row.
pub const ROWS: &[SessionRow] = &[session_row("FAILOVER", AtLeast(1), FLAGS, fail_over).says(
    Group::Server,
    "6.2.0",
    "O(1)",
    "Makes a replica on the wire the master, and follows it. PROXY FAILOVER is for hosted ones.",
    "[TO (host port [FORCE])] [ABORT] [TIMEOUT milliseconds]",
)];

fn fail_over(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (mut order, mut aborts, mut words) = (FailoverOrder::default(), false, 0);
    while 0 < context.args.left() {
        words += 1;
        if order.timeout.is_none() && context.args.word("TIMEOUT") {
            let ms = context.args.int()?;
            let ms = u64::try_from(ms).ok().filter(|it| *it != 0);
            let ms = ms.ok_or(Fault::Static("ERR FAILOVER timeout must be greater than 0"))?;
            order.timeout = Some(Duration::from_millis(ms));
        } else if context.args.word("ABORT") {
            aborts = true;
        } else if order.to.is_none() && context.args.word("TO") {
            let host = String::from_utf8_lossy(context.args.next()?).into_owned();
            let port = u16::try_from(context.args.int()?).map_err(|_| Fault::NotInteger)?;
            order.to = Some((host, port));
        } else if context.args.word("FORCE") {
            order.is_forced = true;
        } else {
            return Err(Fault::Syntax);
        }
    }
    if aborts {
        if words != 1 {
            return Err(Fault::Syntax);
        }
        return match context.server.failovers.abort() {
            true => Ok(Outcome::apart(Job::AbortFailover, context.kept_request())),
            false => Err(Fault::Static("ERR No failover in progress.")),
        };
    }
    may_begin(context, &order)?;
    Ok(Outcome::apart(Job::HandRoleOver(Box::new(order)), context.kept_request()))
}

/// The target is no replica of this set.
pub const NOT_A_REPLICA: Fault =
    Fault::Static("ERR FAILOVER target HOST and PORT is not a replica.");

fn may_begin(context: &CommandContext<'_>, order: &FailoverOrder) -> Result<(), Fault> {
    let set = &context.server.set;
    if set.is_following() {
        return Err(Fault::Static("ERR FAILOVER is not valid when server is a replica."));
    }
    let mut replicas = set.followers(context.now);
    replicas.retain(FollowerStatus::is_wire_replica);
    if replicas.is_empty() {
        return Err(Fault::Static("ERR FAILOVER requires connected replicas."));
    }
    if order.is_forced && (order.timeout.is_none() || order.to.is_none()) {
        return Err(Fault::Static(
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        ));
    }
    let Some((host, port)) = &order.to else { return Ok(()) };
    let name = format!("{host}:{port}");
    match replicas.iter().find(|it| it.name == name) {
        None => Err(NOT_A_REPLICA),
        Some(it) if !it.state.is_online() => {
            Err(Fault::Static("ERR FAILOVER target replica is not online."))
        }
        Some(_) => Ok(()),
    }
}
