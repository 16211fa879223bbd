//! DEBUG: for tests of this server, behind `enable-debug-command`.

mod protocol;
mod values;

use self::protocol::protocol;
use self::values::{digest, digest_value, ht_stats, ht_stats_key, listpack, object};
use crate::base::glob::{Case, matches};
use crate::base::limits::BULK_BYTES_MAX;
use crate::base::number::{parse_f64, parse_u64};
use crate::base::position::Offset;
use crate::base::size::parse_size;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Arity, Class, Fault, Flags, Group, Keys, Spec, help, spec};
use crate::commands::{
    BlockOn, Command, CommandContext, Job, Outcome, Populate, Resume, SessionRow, SessionRun,
    SessionVerb, session_row,
};
use crate::engine::{Effects, Engine};
use crate::node::{Member, Verb, present};
use crate::resp::{Reply, Request};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const FLAGS: Flags = Flags::ADMIN
    .union(Flags::NOSCRIPT)
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::LOCKS_MEMBERS);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_row("DEBUG", AtLeast(2), FLAGS, debug).says(
    Group::Server,
    "1.0.0",
    "Depends on subcommand.",
    "For tests of this server.",
    "",
)];

/// Not in the table: clients that read it take DEBUG for one command.
const SUBCOMMANDS: &[SessionRow] = &[
    sub("CHANGE-REPL-ID", Exactly(2), change_history, "Names the stream anew from here on.", ""),
    sub("DIGEST", Exactly(2), digest, "The digest of the master's data, as Redis computes it.", ""),
    sub(
        "DIGEST",
        Exactly(3),
        digest_members,
        "Name, offset and digest of every member.",
        "MEMBERS",
    ),
    sub("DIGEST-VALUE", AtLeast(2), digest_value, "The same of single values.", "[key ...]"),
    sub("ERROR", Exactly(3), error, "Answers this error.", "text"),
    sub("HTSTATS", AtLeast(3), ht_stats, "How full the master's table of keys is.", "db [FULL]"),
    sub(
        "HTSTATS-KEY",
        AtLeast(3),
        ht_stats_key,
        "How full the table of a large set, hash or sorted set is.",
        "key [FULL]",
    ),
    sub("LISTPACK", Exactly(3), listpack, "Writes a listpack's elements into the log.", "key"),
    sub(
        "LOADAOF",
        Exactly(2),
        load_aof,
        "Puts what the append-only file holds in the place of the master's data.",
        "",
    ),
    sub("LOG", Exactly(3), log_line, "Writes a line into the log.", "text"),
    sub("OBJECT", Exactly(3), object, "How the master stores a key.", "key"),
    sub("PANIC", Exactly(2), panic, "Breaks a write at the master, which is then quarantined.", ""),
    sub("PANIC", Exactly(3), panic, "Breaks either kind of verb, likewise.", "<READ | WRITE>"),
    sub(
        "PAUSE-CRON",
        Exactly(3),
        pause_cron,
        "Stops what happens by itself at each beat of hz, or goes on.",
        "<0 | 1>",
    ),
    sub(
        "SET-ACTIVE-EXPIRE",
        Exactly(3),
        set_active_expire,
        "Stops the search for expired keys, or goes on.",
        "<0 | 1>",
    ),
    sub(
        "SET-DISABLE-DENY-SCRIPTS",
        Exactly(3),
        allow_all_in_scripts,
        "Lets scripts call what scripts may not, or not any more.",
        "<0 | 1>",
    ),
    sub("POPULATE", AtLeast(3), populate, "Makes keys.", "count [prefix [size]]"),
    sub("PROTOCOL", Exactly(3), protocol, "Answers an example of a type of reply.", "type"),
    sub(
        "QUICKLIST-PACKED-THRESHOLD",
        Exactly(3),
        packed_threshold,
        "Checks the size, and changes nothing: lists have no nodes of another kind here.",
        "bytes",
    ),
    sub(
        "RELOAD",
        AtLeast(2),
        reload,
        "Saves a snapshot, and puts what it holds in the place of the master's data.",
        "",
    ),
    sub("SLEEP", Exactly(3), sleep, "Answers later; nobody else waits.", "seconds"),
    sub("STREAM", Exactly(3), stream, "The replication stream from an offset on.", "offset"),
    sub(
        "STRINGMATCH-LEN",
        Exactly(4),
        match_pattern,
        "Matches so many letters a against a pattern.",
        "length pattern",
    ),
    sub("HELP", Exactly(2), tell, "Lists the subcommands.", ""),
];

const fn sub(
    name: &'static str,
    arity: Arity,
    verb: SessionVerb,
    summary: &'static str,
    syntax: &'static str,
) -> SessionRow {
    session_row(name, arity, FLAGS, verb).says(Group::Server, "1.0.0", "O(1)", summary, syntax)
}

fn debug(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    allowed(context)?;
    let (word, len) = (context.args.next()?, context.args.request().len());
    let is_meant = |it: &&SessionRow| {
        it.spec.name.as_bytes().eq_ignore_ascii_case(word) && it.spec.arity.fits(len)
    };
    match SUBCOMMANDS.iter().find(is_meant).map(|it| it.run) {
        Some(SessionRun::Verb(verb)) => verb(context),
        _ => Err(context.args.misused("DEBUG")),
    }
}

fn allowed(context: &CommandContext<'_>) -> Result<(), Fault> {
    const CLOSED: Fault = Fault::Static(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    );
    let who = context.server.settings().server.debug;
    if who.allows(context.client.peer.is_local) { Ok(()) } else { Err(CLOSED) }
}

/// Only this client sleeps. What is no number is no time, as in Redis.
fn sleep(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let seconds = parse_f64(context.args.next()?).unwrap_or(0.0);
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let then = Resume::AnswerOk(context.kept_request());
    Ok(Outcome::block(BlockOn::Time, Some(time), then))
}

/// Name, offset and digest of every member.
fn digest_members(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if !context.args.word("MEMBERS") {
        return Err(Fault::Syntax);
    }
    let (set, member_list) = (&context.server.set, context.server.set.member_list());
    let now = context.clock.wall_now();
    let mut digests = Vec::new();
    for member in present(&member_list) {
        let Some(reading) = set.read_unless_long(member) else {
            return Ok(Outcome::Busy(member.id));
        };
        // The lock keeps the offset and the data together.
        digests.push((member, member.applied(), reading.engine().digest(now)));
    }
    context.reply.array(digests.len());
    for (member, offset, digest) in digests {
        context.reply.array(3);
        context.reply.bulk(member.name.as_bytes());
        context.reply.int(offset.bytes() as i64);
        context.reply.bulk(digest.to_string().as_bytes());
    }
    Ok(Outcome::Answered)
}

fn change_history(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let position = context.server.set.change_history();
    log::info!("event=history-changed client={} position={position}", context.client.id);
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn error(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let text = String::from_utf8_lossy(context.args.next()?);
    // Whatever ends a line would end the reply.
    Err(Fault::Message(text.replace(['\r', '\n'], " ")))
}

fn log_line(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let text = String::from_utf8_lossy(context.args.next()?).into_owned();
    log::warn!("event=debug-log client={} text={text:?}", context.client.id);
    context.reply.ok();
    Ok(Outcome::Answered)
}

const NOT_POSITIVE: Fault = Fault::Static("ERR value is out of range, must be positive");

fn populate(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let number = |text: &[u8]| parse_u64(text).filter(|it| i64::try_from(*it).is_ok());
    let count = number(context.args.next()?).ok_or(NOT_POSITIVE)?;
    let prefix = if context.args.left() == 0 { b"key" } else { context.args.next()? };
    let size = if context.args.left() == 0 {
        0
    } else {
        number(context.args.next()?).ok_or(NOT_POSITIVE)?
    };
    context.args.done()?;
    if BULK_BYTES_MAX < size as usize {
        return Err(NOT_POSITIVE);
    }
    let keys = Populate {
        db: context.session.db,
        count,
        prefix: prefix.to_vec(),
        value_bytes: size as usize,
    };
    Ok(Outcome::apart(Job::Populate(Box::new(keys)), context.kept_request()))
}

/// Redis can load an older file, too, and keep what is there: replicas would have other data then.
fn reload(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let words = ["MERGE", "NOFLUSH", "NOSAVE"];
    while context.args.left() != 0 {
        if !words.iter().any(|it| context.args.word(it)) {
            return Err(Fault::Static(
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ));
        }
        if context.args.left() == 0 {
            return Err(Fault::Static(
                "ERR MERGE, NOFLUSH and NOSAVE are not here: the data of replicas would differ",
            ));
        }
    }
    Ok(Outcome::apart(Job::ReloadData, context.kept_request()))
}

fn load_aof(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    Ok(Outcome::apart(Job::LoadAof, context.kept_request()))
}

fn packed_threshold(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const REFUSED: Fault =
        Fault::Static("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    let bytes = parse_size(context.args.next()?).ok_or(REFUSED)?;
    if u64::from(u32::MAX) < bytes {
        return Err(REFUSED);
    }
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// For tests of patterns that take long: it answers, or the server is busy for ever.
fn match_pattern(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    /// Nobody else has this worker meanwhile.
    const LENGTH_MAX: u64 = 1 << 20;
    let length = parse_u64(context.args.next()?).filter(|it| *it <= LENGTH_MAX);
    let length = length.ok_or(Fault::NotInteger)?;
    let is_matched = matches(context.args.next()?, &vec![b'a'; length as usize], Case::Exact);
    context.reply.int(i64::from(is_matched));
    Ok(Outcome::Answered)
}

/// The backlog's bytes from an offset on.
fn stream(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let from = parse_u64(context.args.next()?).ok_or(Fault::NotInteger)?;
    let chunks = context.server.set.stream_from(Offset::new(from));
    let chunks = chunks.ok_or(Fault::Static("ERR the backlog does not have this offset"))?;
    context.reply.bulk(&chunks.concat());
    Ok(Outcome::Answered)
}

const PANICS: Spec =
    spec("DEBUG", AtLeast(2), Class::Write, Flags::NONE, Keys::NONE, Group::Server);

fn panic(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    // Its master is replaced like any other that has panicked.
    match context.args.left() {
        0 => panic_in_write(context),
        _ if context.args.word("WRITE") => panic_in_write(context),
        _ if context.args.word("READ") => panic_in_read(context),
        _ => Err(Fault::Syntax),
    }
}

/// A verb that breaks in the middle of the master's work.
fn panic_in_write(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    fn verb(_: &mut Engine, _: Args<'_>, _: &mut Effects, _: &mut Reply) -> Result<(), Fault> {
        panic!("DEBUG PANIC WRITE")
    }
    let (set, member_list) = (&context.server.set, context.server.set.member_list());
    let Some(mut writing) = set.write_unless_long(&member_list) else {
        return Ok(Outcome::Busy(set.master()));
    };
    let mut effects = Effects::default();
    let transaction = writing.begin(&mut effects, context.now);
    transaction.call_and_commit(Verb::Write(&PANICS, verb), context.args, context.reply)?;
    Ok(Outcome::Answered)
}

/// A verb that breaks in the middle of a replica's work; the master's, where there is no replica.
fn panic_in_read(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    fn verb(_: &Engine, _: Args<'_>, _: &mut Reply) -> Result<(), Fault> {
        panic!("DEBUG PANIC READ")
    }
    let (set, member_list) = (&context.server.set, context.server.set.member_list());
    let replica = |it: &&Arc<Member>| it.id != set.master() && it.in_service();
    let member = member_list.iter().find(replica).unwrap_or(&member_list[set.master().index()]);
    let Some(reading) = set.read_unless_long(member) else {
        return Ok(Outcome::Busy(member.id));
    };
    reading.run(verb, context.args, context.reply).map(|()| Outcome::Answered)
}

fn set_active_expire(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let is_on = context.args.next()? != b"0";
    let change = |it: &mut crate::config::Config| {
        it.set.active_expire = is_on;
        Ok::<(), Fault>(())
    };
    context.server.change_settings(change)?;
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn pause_cron(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let is_paused = context.args.next()? != b"0";
    context.server.cron_paused.store(is_paused, Relaxed);
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn allow_all_in_scripts(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let is_on = context.args.next()? != b"0";
    context.server.scripting.allows_all.store(is_on, Relaxed);
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// Whether it is a DEBUG that looks at no member, so that a script could call it.
pub fn is_of_no_member(command: &Command, request: Request<'_>) -> bool {
    let is_one =
        |it: &[u8]| [&b"PROTOCOL"[..], b"SLEEP"].iter().any(|name| it.eq_ignore_ascii_case(name));
    command.spec.name == ROWS[0].spec.name && request.get(1).is_some_and(is_one)
}

fn tell(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    help("DEBUG", SUBCOMMANDS.iter().map(|it| &it.spec), context.reply);
    Ok(Outcome::Answered)
}
