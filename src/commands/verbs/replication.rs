//! Verbs about the stream and who has applied it.

use crate::base::limits::REPLICAS_MAX;
use crate::command::Arity::Exactly;
use crate::command::{Fault, Flags, Group};
use crate::commands::{BlockOn, CommandContext, Outcome, Resume, SessionRow, session_row};
use crate::node::Condition;
use std::time::Duration;

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("WAIT", Exactly(3), Flags::BLOCKING, wait)
        .says(
            Group::Generic,
            "3.0.0",
            "O(1)",
            "Waits until replicas have applied this connection's writes; answers how many have.",
            "numreplicas timeout",
        )
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
    session_row("WAITAOF", Exactly(4), Flags::BLOCKING, wait_aof)
        .says(
            Group::Generic,
            "7.2.0",
            "O(1)",
            "Waits until this connection's writes are in append-only files; answers in how many.",
            "numlocal numreplicas timeout",
        )
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

fn wait(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let replicas = context.args.int()?;
    let timeout = timeout(context)?;
    let replicas = usize::try_from(replicas).unwrap_or(0);
    let offset = context.session.last_write;
    // More than there can be is as good as never: clients do not choose how many groups of waits
    // there are.
    let count = replicas.min(REPLICAS_MAX + 1);
    let on = BlockOn::Offset(Condition::AckedBy(count), offset);
    Ok(Outcome::block(on, timeout, Resume::CountAcks(offset)))
}

/// Nobody keeps an append-only file, so what is asked for never comes.
fn wait_aof(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const NOT_LOCAL: Fault = Fault::Static("ERR value is out of range, value must between 0 and 1");
    let local = context.args.int()?;
    if !(0..=1).contains(&local) {
        return Err(NOT_LOCAL);
    }
    let replicas = context.args.int()?;
    if !(0..=i64::from(i32::MAX)).contains(&replicas) {
        return Err(Fault::NotPositive);
    }
    let timeout = timeout(context)?;
    if local == 1 {
        return Err(Fault::Static(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    if replicas != 0 {
        return Ok(Outcome::block(BlockOn::Time, timeout, Resume::CountFsyncs));
    }
    context.reply.array(2);
    context.reply.int(0);
    context.reply.int(0);
    Ok(Outcome::Answered)
}

/// Milliseconds, without an end when 0.
fn timeout(context: &mut CommandContext<'_>) -> Result<Option<Duration>, Fault> {
    const NOT_A_TIMEOUT: Fault = Fault::Static("ERR timeout is not an integer or out of range");
    let ms = context.args.int().map_err(|_| NOT_A_TIMEOUT)?;
    let ms = u64::try_from(ms).map_err(|_| Fault::Static("ERR timeout is negative"))?;
    Ok((ms != 0).then(|| Duration::from_millis(ms)))
}
