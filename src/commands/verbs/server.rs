//! What operators ask of the server as a whole.

use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group, codes};
use crate::commands::{CommandContext, Job, Outcome, SessionRow, info, session_row};
use crate::node::LinkPhase;
use crate::runtime::clock;
use crate::script::Purpose;
use crate::state::EndOrder;
use crate::state::version::REDIS_VERSION;

const ANY_TIME: Flags = Flags::LOADING.union(Flags::STALE);
const QUICK: Flags = ANY_TIME.union(Flags::FAST);
const ENDS: Flags = ANY_TIME
    .union(Flags::ADMIN)
    .union(Flags::NOSCRIPT)
    .union(Flags::NO_MULTI)
    .union(Flags::ALLOW_BUSY);
const MONITOR: Flags =
    Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const INFO: Flags = ANY_TIME.union(Flags::DANGEROUS);
const VARIES: &[&str] = &["nondeterministic_output"];

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("INFO", AtLeast(1), INFO, tell_info)
        .says(
            Group::Server,
            "1.0.0",
            "O(1)",
            "Tells what the server is and what it has done, in sections.",
            "[section [section ...]]",
        )
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    session_row("ROLE", Exactly(1), QUICK.union(Flags::NOSCRIPT).union(Flags::DANGEROUS), role)
        .says(
            Group::Server,
            "2.8.12",
            "O(1)",
            "Answers the role in replication, the offset and the replicas.",
            "",
        ),
    session_row("TIME", Exactly(1), QUICK, time)
        .says(Group::Server, "2.6.0", "O(1)", "Answers the server's time.", "")
        .tips(VARIES),
    session_row("MONITOR", Exactly(1), MONITOR, monitor).says(
        Group::Server,
        "1.0.0",
        "O(1)",
        "Shows every command that is executed from here on.",
        "",
    ),
    session_row("LOLWUT", AtLeast(1), Flags::FAST, lolwut).says(
        Group::Server,
        "5.0.0",
        "O(1)",
        "Draws a little picture, with the version under it.",
        "[VERSION version]",
    ),
    session_row("SHUTDOWN", AtLeast(1), ENDS, shut_down).says(
        Group::Server,
        "1.0.0",
        "O(1)",
        "Answers the clients that are here, then ends the server.",
        "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    ),
];

fn tell_info(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let text = info(context.server, context.table, context.args.rest());
    context.reply.verbatim(&text);
    Ok(Outcome::Answered)
}

fn role(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (server, reply) = (context.server, &mut *context.reply);
    if server.upstream.is_some() {
        // Whoever dialled its replicas would pass us by.
        reply.array(3);
        reply.bulk(b"master");
        reply.int(server.set.told().map_or(0, |it| it.offset.bytes()) as i64);
        reply.array(0);
        return Ok(Outcome::Answered);
    }
    if let Some(remote) = server.set.remote() {
        let phase = remote.status().phase;
        let is_up = phase == LinkPhase::Connected;
        reply.array(5);
        reply.bulk(b"slave");
        reply.bulk(remote.address.host.as_bytes());
        reply.int(remote.address.port.into());
        reply.bulk(phase.as_str().as_bytes());
        reply.int(if is_up { server.set.head().bytes() as i64 } else { -1 });
        return Ok(Outcome::Answered);
    }
    let mut replicas = server.set.followers(context.now);
    replicas.retain(|it| it.is_wire_replica() && it.state.is_online());
    reply.array(3);
    reply.bulk(b"master");
    reply.int(server.set.head().bytes() as i64);
    reply.array(replicas.len());
    for replica in replicas {
        reply.array(3);
        let (host, port) = replica.address();
        reply.bulk(host.as_bytes());
        reply.bulk(port.as_bytes());
        reply.bulk_int(replica.acked.bytes() as i64);
    }
    Ok(Outcome::Answered)
}

fn monitor(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.session.is_in_exec {
        return Err(Fault::Static("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    context.session.is_monitor = true;
    context.server.monitors.enter(context.client.clone());
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn time(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let us = clock::wall_us() as i64;
    context.reply.array(2);
    context.reply.bulk_int(us / 1_000_000);
    context.reply.bulk_int(us % 1_000_000);
    Ok(Outcome::Answered)
}

/// A master, and those who walk with it.
const PICTURE: &str = r"
             \|/
            .-+-.
           ( n1  )    ~
            `-+-'   ~   ~
   o  _      /|\  ~       o  _
  /|\/ \    / | \          /|\/ \
  / \  n2 ~~~~+~~~~~~~~~~~ / \  n3

  A master never walks alone.
";

fn lolwut(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.args.word("VERSION") && context.args.left() != 0 {
        context.args.int()?;
    }
    let text = format!("{PICTURE}\nRedis ver. {REDIS_VERSION}\n");
    context.reply.verbatim(&text);
    Ok(Outcome::Answered)
}

fn shut_down(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (mut save, mut no_save, mut now, mut force, mut abort) = Default::default();
    while context.args.left() != 0 {
        let args = &mut context.args;
        if args.word("SAVE") {
            save = true;
        } else if args.word("NOSAVE") {
            no_save = true;
        } else if args.word("NOW") {
            // Nobody waits for replicas: hosted ones have all there is.
            now = true;
        } else if args.word("FORCE") {
            force = true;
        } else if args.word("ABORT") {
            abort = true;
        } else {
            return Err(Fault::Syntax);
        }
    }
    let server = context.server;
    if save && no_save || abort && (save || no_save || now || force) {
        return Err(Fault::Syntax);
    }
    if abort {
        if !server.persistence.call_end_off() {
            return Err(Fault::Static("ERR No shutdown in progress."));
        }
        server.set.let_writers_go(context.now);
        context.reply.ok();
        return Ok(Outcome::Answered);
    }
    if let (Some(of), false) = (server.scripting.busy(), no_save) {
        // What it has written by now is half of what it will have.
        return Err(Fault::Busy(of == Purpose::Functions));
    }
    if save && server.disk().is_none() {
        log::warn!("event=shutdown-refused why=no-persistence");
        return Err(codes::NOT_SHUT_DOWN);
    }
    let saves = (save || no_save).then_some(save);
    let order = EndOrder { saves, is_forced: force };
    Ok(Outcome::apart(Job::End(order), context.kept_request()))
}
