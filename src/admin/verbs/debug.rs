//! DEBUG: for tests of this server, behind `enable-debug-command`.

use crate::admin::{After, Park, SessionRow, SessionRun, SessionVerb, Turn, session_row};
use crate::base::number::{parse_f64, parse_u64};
use crate::base::position::Offset;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Arity, Class, Fault, Flags, Group, Keys, Spec, help, spec};
use crate::config::DebugAccess;
use crate::engine::{Effects, Engine};
use crate::node::Member;
use crate::resp::Reply;
use crate::runtime::clock;
use std::sync::Arc;
use std::time::Duration;

const FLAGS: Flags = Flags::ADMIN.and(Flags::NO_SCRIPT).and(Flags::LOADING).and(Flags::STALE);

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
    sub("DIGEST", Exactly(2), digest, "Name, offset and digest of every member.", ""),
    sub("OBJECT", Exactly(3), object, "How the master stores a key.", "key"),
    sub("PANIC", Exactly(2), panic, "Breaks a write at the master, which is then quarantined.", ""),
    sub("PANIC", Exactly(3), panic, "Breaks either kind of verb, likewise.", "<READ | WRITE>"),
    sub(
        "SET-ACTIVE-EXPIRE",
        Exactly(3),
        set_active_expire,
        "Stops the search for expired keys, or goes on.",
        "<0 | 1>",
    ),
    sub("SLEEP", Exactly(3), sleep, "Answers later; nobody else waits.", "seconds"),
    sub("STREAM", Exactly(3), stream, "The replication stream from an offset on.", "offset"),
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

fn debug(turn: &mut Turn<'_>) -> Result<After, Fault> {
    allowed(turn)?;
    let (word, len) = (turn.args.next()?, turn.args.request().len());
    let is_meant = |it: &&SessionRow| {
        it.spec.name.as_bytes().eq_ignore_ascii_case(word) && it.spec.arity.fits(len)
    };
    match SUBCOMMANDS.iter().find(is_meant).map(|it| it.run) {
        Some(SessionRun::Verb(verb)) => verb(turn),
        _ => Err(unknown(word)),
    }
}

fn allowed(turn: &Turn<'_>) -> Result<(), Fault> {
    const CLOSED: Fault = Fault::Says(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    );
    match turn.house.settings().server.debug {
        DebugAccess::Yes => Ok(()),
        DebugAccess::Local if turn.client.stream.is_local() => Ok(()),
        DebugAccess::Local | DebugAccess::No => Err(CLOSED),
    }
}

fn unknown(word: &[u8]) -> Fault {
    let word = String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned();
    Fault::Told(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
    ))
}

/// Only this client sleeps. What is no number is no time, as in Redis.
fn sleep(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let seconds = parse_f64(turn.args.next()?).unwrap_or(0.0);
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    Ok(After::Park(Park::Sleep { time }))
}

/// Name, offset and digest of every member.
fn digest(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let (set, roster) = (&turn.house.set, turn.house.set.roster());
    let now = clock::wall_now();
    turn.reply.array(roster.len());
    for member in roster.iter() {
        // The lock keeps the offset and the data together.
        let (offset, digest) = {
            let reading = set.read(member);
            (member.applied(), reading.engine().digest(now))
        };
        turn.reply.array(3);
        turn.reply.bulk(member.name.as_bytes());
        turn.reply.int(offset.bytes() as i64);
        turn.reply.bulk(digest.to_string().as_bytes());
    }
    Ok(After::Answered)
}

/// The backlog's bytes from an offset on.
fn stream(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let from = parse_u64(turn.args.next()?).ok_or(Fault::NotInteger)?;
    let bytes = turn.house.set.stream_from(Offset::new(from));
    turn.reply.bulk(&bytes.ok_or(Fault::Says("ERR the backlog does not have this offset"))?);
    Ok(After::Answered)
}

const PANICS: Spec =
    spec("DEBUG", AtLeast(2), Class::Write, Flags::NONE, Keys::NONE, Group::Server);

fn panic(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let outcome = match turn.args.left() {
        0 => panic_in_write(turn),
        _ if turn.args.word("WRITE") => panic_in_write(turn),
        _ if turn.args.word("READ") => panic_in_read(turn),
        _ => return Err(Fault::Syntax),
    };
    turn.house.set.replace_quarantined_master();
    outcome.map(|()| After::Answered)
}

/// A verb that breaks in the middle of the master's work.
fn panic_in_write(turn: &mut Turn<'_>) -> Result<(), Fault> {
    fn verb(_: &mut Engine, _: Args<'_>, _: &mut Effects, _: &mut Reply) -> Result<(), Fault> {
        panic!("DEBUG PANIC WRITE")
    }
    let roster = turn.house.set.roster();
    let mut writing = turn.house.set.write(&roster);
    writing.run(&PANICS, verb, turn.args, &mut Effects::default(), turn.reply, turn.now)
}

/// A verb that breaks in the middle of a replica's work; the master's, where there is no replica.
fn panic_in_read(turn: &mut Turn<'_>) -> Result<(), Fault> {
    fn verb(_: &Engine, _: Args<'_>, _: &mut Reply) -> Result<(), Fault> {
        panic!("DEBUG PANIC READ")
    }
    let (set, roster) = (&turn.house.set, turn.house.set.roster());
    let replica = |it: &&Arc<Member>| it.index != set.master() && it.in_service();
    let member = roster.iter().find(replica).unwrap_or(&roster[set.master()]);
    set.read(member).run(verb, turn.args, turn.reply)
}

fn set_active_expire(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let is_on = turn.args.next()? != b"0";
    let change = |it: &mut crate::config::Config| {
        it.set.active_expire = is_on;
        Ok::<(), Fault>(())
    };
    turn.house.change_settings(change)?;
    turn.reply.ok();
    Ok(After::Answered)
}

/// As much as can be told without being Redis.
fn object(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let (set, roster) = (&turn.house.set, turn.house.set.roster());
    let key = turn.args.next()?;
    let reading = set.read(&roster[set.master()]);
    let slot = reading.engine().view(turn.session.db, turn.args.now()).peek(key);
    let slot = slot.ok_or(Fault::NoSuchKey)?;
    let text = format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        slot.encoding(),
        slot.bytes(),
        slot.touched_s(),
        (turn.args.now().0 / 1000).saturating_sub(u64::from(slot.touched_s())),
    );
    turn.reply.simple(&text);
    Ok(After::Answered)
}

fn tell(turn: &mut Turn<'_>) -> Result<After, Fault> {
    help("DEBUG", SUBCOMMANDS.iter().map(|it| &it.spec), turn.reply);
    Ok(After::Answered)
}
