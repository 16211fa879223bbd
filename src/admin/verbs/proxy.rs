//! PROXY: what clients ask of their own consistency. What operators do to members is in
//! [`super::members`].

use super::help::help;
use super::members;
use super::once;
use crate::admin::{
    After, Command, Handler, Origin, Park, SessionRow, Turn, home_of, session_container,
    session_prefix, session_row, stats, table,
};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Class, Fault, Flags, Group};
use crate::node::View;
use crate::resp::{OwnedRequest, Request};
use crate::route::{Acks, Level, explain};
use crate::runtime::tasks;
use crate::session::AskedAcks;
use std::time::Duration;

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("PROXY", SUBCOMMANDS).says(
    Group::Proxy,
    SINCE,
    "Depends on subcommand.",
    "A container for what can be asked of the proxy itself.",
    "",
)];

const SINCE: &str = "0.1.0";
const ANY_TIME: Flags = Flags::LOADING.and(Flags::STALE);
const OPERATOR: Flags = ANY_TIME.and(Flags::ADMIN);

const SUBCOMMANDS: &[SessionRow] = &[
    session_row("ACKS", AtLeast(2), ANY_TIME, acks).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Tells or sets how many replicas confirm each write of this session.",
        "[0 | <replicas | IN-SYNC | ALL> timeout-milliseconds]",
    ),
    session_row("ATLEAST", AtLeast(3), ANY_TIME, once::at_least).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Makes this session's reads see at least what the token's session had seen, and says what \
         they do on lag until the next ATLEAST.",
        "token [WAIT milliseconds] [ELSE <MASTER | ERROR | STALE>]",
    ),
    session_row("CONSISTENCY", AtLeast(2), ANY_TIME, consistency).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Tells or sets the level of this session's reads.",
        "[level | DEFAULT]",
    ),
    session_row("EXPLAIN", AtLeast(3), ANY_TIME, explain_request).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of members",
        "Tells where a command would go and why, without running it.",
        "command [arg [arg ...]]",
    ),
    session_row("FAILOVER", Exactly(4), OPERATOR.and(Flags::NO_MULTI), members::fail_over).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is what the new master has still to apply",
        "Makes a replica the master; the old master becomes a replica.",
        "TO name",
    ),
    help(Group::Proxy, SINCE),
    session_row("NODE", AtLeast(3), OPERATOR, members::node).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Pauses, resumes, drains or undrains a replica, or adds one.",
        "<name <PAUSE | RESUME | DRAIN | UNDRAIN> | ADD>",
    ),
    session_row("NODES", Exactly(2), ANY_TIME, members::nodes).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of members",
        "Tells how every member stands.",
        "",
    ),
    session_prefix("ONCE", AtLeast(4), ANY_TIME.and(Flags::NO_MULTI)).says(
        Group::Proxy,
        SINCE,
        "That of the command.",
        "Runs one command under a level, floor and ladder of its own, at a member, or with dice \
         that fall as the seed says.",
        "[LEVEL level] [ATLEAST token] [WAIT milliseconds] [ELSE <MASTER | ERROR | STALE>] \
         [AT member] [SEED number] DO command [arg [arg ...]]",
    ),
    session_row("RELOAD", Exactly(2), OPERATOR.and(Flags::NO_MULTI), reload).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the length of the config file",
        "Reads the config file again and puts it in force for all connections.",
        "",
    ),
    session_row("STATS", Exactly(2), ANY_TIME, tell_stats).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of things that were measured",
        "Tells service times, staleness served and waits.",
        "",
    ),
    session_row("TAG", AtLeast(2), ANY_TIME, once::tag).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Tells or sets which replies begin with an attribute that says where they come from.",
        "[OFF | STALE | ALL]",
    ),
    session_row("TOKEN", Exactly(2), ANY_TIME, once::token).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Tells what this session has seen, for ATLEAST on another connection.",
        "",
    ),
];

/// Answers OK; an error that says file, line and key when the file cannot be used, and then nothing
/// has changed.
fn reload(_: &mut Turn<'_>) -> Result<After, Fault> {
    Ok(After::Park(Park::Reload))
}

fn tell_stats(turn: &mut Turn<'_>) -> Result<After, Fault> {
    turn.reply.verbatim(&stats(turn.house));
    Ok(After::Answered)
}

/// Answers the level in force on the default route, or changes the session's.
fn consistency(turn: &mut Turn<'_>) -> Result<After, Fault> {
    if turn.args.left() == 0 {
        let settings = turn.house.settings();
        let level = settings.routes.level(0, turn.session.level, turn.listener_level);
        turn.reply.bulk(level.to_string().as_bytes());
        return Ok(After::Answered);
    }
    let words = turn.args.rest().collect::<Vec<_>>().join(&b' ');
    let text = String::from_utf8_lossy(&words);
    turn.session.level = match Level::parse(&text) {
        Some(level) => Some(level),
        None if text.eq_ignore_ascii_case("default") => None,
        None => {
            return Err(Fault::Told(format!("ERR a level is {}, or default", Level::ACCEPTED)));
        }
    };
    turn.reply.ok();
    Ok(After::Answered)
}

/// Answers how many replicas and how many milliseconds, or changes the session's.
fn acks(turn: &mut Turn<'_>) -> Result<After, Fault> {
    match turn.args.left() {
        0 => tell_acks(turn),
        _ => {
            turn.session.acks = asked_acks(&mut turn.args)?;
            turn.reply.ok();
        }
    }
    Ok(After::Answered)
}

fn tell_acks(turn: &mut Turn<'_>) {
    let settings = turn.house.settings();
    let route = settings.routes.get(0);
    let default = AskedAcks { acks: route.acks, timeout: route.acks_timeout };
    let asked = turn.session.acks.unwrap_or(default);
    turn.reply.array(2);
    match asked.acks {
        Acks::None => turn.reply.bulk(b"0"),
        Acks::Count(count) => turn.reply.bulk_int(count.into()),
        Acks::InSync => turn.reply.bulk(b"in-sync"),
        Acks::All => turn.reply.bulk(b"all"),
    }
    turn.reply.int(asked.timeout.as_millis() as i64);
}

fn asked_acks(args: &mut Args<'_>) -> Result<Option<AskedAcks>, Fault> {
    const NOT_A_COUNT: Fault = Fault::Says("ERR acks is a number of replicas, in-sync, or all");
    const NOT_A_TIMEOUT: Fault = Fault::Says("ERR timeout is not an integer or out of range");
    let acks = match () {
        () if args.word("all") => Acks::All,
        () if args.word("in-sync") || args.word("all-in-sync") => Acks::InSync,
        () => match args.int().ok().and_then(|it| u16::try_from(it).ok()).ok_or(NOT_A_COUNT)? {
            0 => Acks::None,
            count => Acks::Count(count),
        },
    };
    if acks == Acks::None && args.left() == 0 {
        return Ok(None);
    }
    let ms = args.int().ok().and_then(|it| u32::try_from(it).ok()).ok_or(NOT_A_TIMEOUT)?;
    args.done()?;
    let timeout = Duration::from_millis(ms.into());
    Ok((acks != Acks::None).then_some(AskedAcks { acks, timeout }))
}

fn explain_request(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let owned = OwnedRequest::of(turn.args.rest());
    let request = owned.borrow();
    let command = table().find(request)?;
    let (class, kind) = match command.handler {
        Handler::Read(_) => (Class::Read, "read"),
        Handler::Either { is_read, .. } if is_read(request) => (Class::Read, "read"),
        Handler::Write(_) | Handler::Either { .. } => (Class::Write, "write"),
        Handler::Prefix => {
            return Err(Fault::Says("ERR explain the command behind DO, without PROXY ONCE"));
        }
        Handler::Session(_) | Handler::Container => (Class::Session, "session"),
    };
    let mut lines = vec![format!("command {} {kind}", command.name)];
    match class {
        Class::Session => lines.push("answered by the proxy itself, by no member".into()),
        class => lines.extend(told(turn, class, command, request)),
    }
    turn.reply.array(lines.len());
    lines.iter().for_each(|it| turn.reply.bulk(it.as_bytes()));
    Ok(After::Answered)
}

/// What the corridor would weigh for this request, now and on this worker.
fn told(turn: &Turn<'_>, class: Class, command: &Command, request: Request<'_>) -> Vec<String> {
    let (settings, set) = (turn.house.settings(), &*turn.house.set);
    let (roster, lineage) = (set.roster(), set.lineage());
    let origin = Origin {
        routes: &settings.routes,
        session: turn.session,
        listener: turn.listener,
        listener_level: turn.listener_level,
        arrived: None,
    };
    let number = origin.route(command, request);
    let route = settings.routes.get(number);
    let home = home_of(tasks::worker(), roster.len() - 1);
    let mut ask = origin.ask(class, number, set, &lineage, turn.now, home);
    ask.of_member = command.spec.flags.has(Flags::AT_MASTER);
    let view = View { set, roster: &roster, now: turn.now, with_ages: true };
    let name = |it| set.member(usize::from(it)).name.clone();
    let mut lines = explain(route, &ask, &view, name).lines();
    let gate = settings.set.gate().filter(|_| class == Class::Write);
    if gate.is_some_and(|it| !it.allows(view.fed())) {
        lines.push("refused -NOREPLICAS: too few replicas are near enough to the master".into());
    }
    lines
}
