//! Verbs about the stream and who has applied it.

use crate::base::limits::REPLICAS_MAX;
use crate::base::position::Position;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{
    AckWait, BlockOn, CommandContext, Job, Outcome, Resume, SessionRow, session_row,
};
use crate::node::{Condition, Writes};
use crate::replication::{Asked, HelloFault, ReplicaHello};
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
    session_row("REPLCONF", AtLeast(1), HELLO, replconf).says(
        Group::Server,
        "3.0.0",
        "O(1)",
        "Tells what a replica is, for who serves the stream.",
        "[option value [option value ...]]",
    ),
    session_row("PSYNC", AtLeast(3), STREAM, psync).says(
        Group::Server,
        "2.8.0",
        "",
        "Asks for the stream from a place on; the connection is a replica's afterwards.",
        "replicationid offset",
    ),
    session_row("SYNC", Exactly(1), STREAM, sync).says(
        Group::Server,
        "1.0.0",
        "",
        "Asks for a copy of the data and the stream behind it, as replicas did before PSYNC.",
        "",
    ),
];

const LINK: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::DANGEROUS);
const HELLO: Flags = LINK.union(Flags::LOADING).union(Flags::STALE).union(Flags::ALLOW_BUSY);
const STREAM: Flags = LINK.union(Flags::NO_MULTI).union(Flags::NO_ASYNC_LOADING);

/// Each option changes what the client has said of itself, if it is one that its kind may say.
fn replconf(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if !context.args.left().is_multiple_of(2) {
        return Err(Fault::Syntax);
    }
    let mut hello = context.session.hello.take().unwrap_or_default();
    let said = take_options(context, &mut hello);
    context.session.hello = Some(hello);
    if said? {
        context.reply.simple("OK");
    }
    Ok(Outcome::Answered)
}

/// Answers whether there is to be an answer.
fn take_options(context: &mut CommandContext<'_>, hello: &mut ReplicaHello) -> Result<bool, Fault> {
    while 0 < context.args.left() {
        let (option, value) = (context.args.next()?, context.args.next()?);
        // Only a replica acknowledges, and only a master is asked to: both know what they want.
        if [&b"ack"[..], b"getack"].iter().any(|it| option.eq_ignore_ascii_case(it)) {
            return Ok(false);
        }
        hello.take(option, value).map_err(refused)?;
    }
    Ok(true)
}

fn refused(why: HelloFault) -> Fault {
    match why {
        HelloFault::NotAnInteger => Fault::NotInteger,
        HelloFault::LongAddress(most) => Fault::Message(format!(
            "ERR REPLCONF ip-address provided by replica instance is too long: {most} bytes"
        )),
        HelloFault::Unknown(option) => {
            Fault::Message(format!("ERR Unrecognized REPLCONF option: {option}"))
        }
        HelloFault::UnknownFilter(word) => {
            Fault::Message(format!("ERR Unsupported rdb-filter-only option: {word}"))
        }
    }
}

fn psync(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (replid, next) = (context.args.next()?, context.args.next()?);
    let takes_over = context.args.word("FAILOVER");
    if takes_over {
        let set = &context.server.set;
        if !set.is_following() {
            return Err(Fault::Static("ERR PSYNC FAILOVER can't be sent to a master."));
        }
        if !replid.eq_ignore_ascii_case(set.history().replid.to_string().as_bytes()) {
            return Err(Fault::Static("ERR PSYNC FAILOVER replid must match my replid."));
        }
    }
    let hello = hello(context, takes_over)?;
    let asked = Asked { takes_over, ..Asked::psync(hello, replid, next) };
    Ok(Outcome::Follow(Box::new(asked)))
}

fn sync(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    Ok(Outcome::Follow(Box::new(Asked::sync(hello(context, false)?))))
}

/// What the client has said of itself. Replies that wait would be taken for the stream.
fn hello(context: &mut CommandContext<'_>, takes_over: bool) -> Result<ReplicaHello, Fault> {
    if !takes_over && context.server.set.remote().is_some_and(|it| !it.is_connected()) {
        return Err(Fault::Static("NOMASTERLINK Can't SYNC while not connected with my master"));
    }
    if !context.reply.bytes().is_empty() {
        return Err(Fault::Static("ERR SYNC and PSYNC are invalid with pending output"));
    }
    Ok(context.session.hello.take().map(|it| *it).unwrap_or_default())
}

fn wait(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.server.set.writes() == Writes::Forwarded {
        return wait_at_master(context);
    }
    if context.server.set.is_following() {
        return Err(Fault::Static(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 \
             if a replica is configured to be writable (which is not the default) writes to \
             replicas are just local and are not propagated.",
        ));
    }
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

/// Writes were made by the master, and its replicas are those that count. They cannot be waited for
/// over the connection that many clients share: it would stand still.
fn wait_at_master(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let replicas = usize::try_from(context.args.int()?).unwrap_or(0);
    let timeout = timeout(context)?;
    let here = context.server.set.history().replid;
    let replid = context.session.wrote_in.unwrap_or(here);
    let written = Position { replid, offset: context.session.last_write };
    let wait = AckWait { written, replicas, timeout, unblocked: None };
    Ok(Outcome::apart(Job::WaitAtMaster(Box::new(wait)), context.kept_request()))
}

/// What is in the append-only file here is waited for, and in those of replicas on the wire:
/// hosted ones have none.
fn wait_aof(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.server.set.is_following() {
        return Err(Fault::Static(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to \
             replicas are just local and are not propagated.",
        ));
    }
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
    let has_aof = context.server.settings().set.disk.has_aof();
    if local == 1 && !has_aof {
        return Err(Fault::Static(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    let offset = context.session.last_write;
    let replicas = usize::try_from(replicas).unwrap_or(0).min(REPLICAS_MAX + 1);
    let condition = Condition::DurableAt { is_here: local == 1, replicas };
    let on = BlockOn::Offset(condition, offset);
    Ok(Outcome::block(on, timeout, Resume::CountFsyncs(offset)))
}

/// Milliseconds, without an end when 0.
fn timeout(context: &mut CommandContext<'_>) -> Result<Option<Duration>, Fault> {
    const NOT_A_TIMEOUT: Fault = Fault::Static("ERR timeout is not an integer or out of range");
    let ms = context.args.int().map_err(|_| NOT_A_TIMEOUT)?;
    let ms = u64::try_from(ms).map_err(|_| Fault::Static("ERR timeout is negative"))?;
    Ok((ms != 0).then(|| Duration::from_millis(ms)))
}
