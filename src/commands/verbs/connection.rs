//! Verbs of the connection itself: who it is, which protocol and database it speaks of.

use crate::acl::{DEFAULT_USER, Denial, DenialContext, DenialReason, DeniedName, PasswordDigest};
use crate::base::limits::DATABASES;
use crate::base::number;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Outcome, SessionRow, denial, session_row};
use crate::node::unwatch_all;
use crate::resp::Protocol;
use crate::session::{ReplyMode, Tags};
use crate::state::version::REDIS_VERSION;
use std::sync::atomic::Ordering::Relaxed;

const QUICK: Flags = Flags::FAST.union(Flags::LOADING).union(Flags::STALE);
const ANYONE: Flags = QUICK.union(Flags::NOSCRIPT).union(Flags::NO_AUTH).union(Flags::ALLOW_BUSY);
/// Also of a subscriber that speaks RESP2.
const ALWAYS: Flags = ANYONE.union(Flags::IN_PUBSUB);

const WRONG_PASSWORD: Fault =
    Fault::Static("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PASSWORD_SET: Fault = Fault::Static(
    "ERR AUTH <password> called without any password configured for the default user. \
     Are you sure your configuration is correct?",
);
const HELLO_NEEDS_AUTH: Fault = Fault::Static(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
     <user> <pass> option can be used to authenticate the client and select the RESP protocol \
     version at the same time",
);
const BAD_NAME: Fault =
    Fault::Static("ERR Client names cannot contain spaces, newlines or special characters.");

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("PING", AtLeast(1), Flags::FAST.union(Flags::IN_PUBSUB), ping)
        .says(Group::Connection, "1.0.0", "O(1)", "Answers PONG, or what it is given.", "[message]")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    session_row("ECHO", Exactly(2), QUICK, echo).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Answers what it is given.",
        "message",
    ),
    session_row("SELECT", Exactly(2), QUICK, select).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Changes the database of this connection.",
        "index",
    ),
    session_row("HELLO", AtLeast(1), ANYONE, hello).says(
        Group::Connection,
        "6.0.0",
        "O(1)",
        "Agrees on a protocol and says who we are.",
        "[protover [AUTH username password] [SETNAME clientname]]",
    ),
    session_row("AUTH", AtLeast(2), ANYONE, auth).says(
        Group::Connection,
        "1.0.0",
        "O(N) where N is the length of the password",
        "Says who the client is.",
        "[username] password",
    ),
    session_row("QUIT", AtLeast(1), ALWAYS, quit).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Closes this connection.",
        "",
    ),
    session_row("RESET", Exactly(1), ALWAYS, reset).says(
        Group::Connection,
        "6.2.0",
        "O(1)",
        "Makes this connection as it was when it was new.",
        "",
    ),
];

fn ping(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.session.subscriptions.is_some() && context.args.left() <= 1 {
        return ping_of_subscriber(context);
    }
    match context.args.left() {
        0 => context.reply.simple("PONG"),
        1 => context.reply.bulk(context.args.next()?),
        _ => return Err(Fault::WrongArity("ping".into())),
    }
    Ok(Outcome::Answered)
}

/// A subscriber that speaks RESP2 takes every reply for a message: this one looks like a message.
#[cold]
fn ping_of_subscriber(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let given = context.args.rest().next();
    let is_like_message =
        context.session.is_subscribed() && context.reply.protocol() == Protocol::Resp2;
    if is_like_message {
        context.reply.array(2);
        context.reply.bulk(b"pong");
        context.reply.bulk(given.unwrap_or_default());
        return Ok(Outcome::Answered);
    }
    match given {
        Some(given) => context.reply.bulk(given),
        None => context.reply.simple("PONG"),
    }
    Ok(Outcome::Answered)
}

fn echo(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.bulk(context.args.next()?);
    Ok(Outcome::Answered)
}

fn select(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let db = context.args.int()?;
    let db = usize::try_from(db).ok().filter(|it| *it < DATABASES).ok_or(Fault::DbOutOfRange)?;
    context.session.db = db;
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// What HELLO asks for.
#[derive(Default)]
struct Wishes<'a> {
    protocol: Option<Protocol>,
    identity: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a str>,
}

fn hello(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let wishes = wishes(context)?;
    if let Some((user, password)) = wishes.identity {
        identify(context, user, password)?;
    }
    if !context.session.is_known {
        return Err(HELLO_NEEDS_AUTH);
    }
    if let Some(name) = wishes.name {
        rename(context, name);
    }
    if let Some(protocol) = wishes.protocol {
        context.reply.speak(protocol);
        if protocol == Protocol::Resp2 {
            context.session.tags = Tags::Off;
        }
    }
    introduce(context);
    Ok(Outcome::Answered)
}

fn wishes<'a>(context: &mut CommandContext<'a>) -> Result<Wishes<'a>, Fault> {
    let mut wishes = Wishes::default();
    if context.args.left() == 0 {
        return Ok(wishes);
    }
    let version = number::parse_i64(context.args.next()?)
        .ok_or(Fault::Static("ERR Protocol version is not an integer or out of range"))?;
    wishes.protocol = Some(match version {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return Err(Fault::Static("NOPROTO unsupported protocol version")),
    });
    while let Some(option) = context.args.peek() {
        if 3 <= context.args.left() && context.args.word("AUTH") {
            wishes.identity = Some((context.args.next()?, context.args.next()?));
        } else if 2 <= context.args.left() && context.args.word("SETNAME") {
            wishes.name = Some(printable(context.args.next()?).ok_or(BAD_NAME)?);
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(Fault::Message(format!("ERR Syntax error in HELLO option '{option}'")));
        }
    }
    Ok(wishes)
}

fn introduce(context: &mut CommandContext<'_>) {
    let protocol = if context.reply.protocol() == Protocol::Resp3 { 3 } else { 2 };
    let reply = &mut *context.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(protocol);
    reply.bulk(b"id");
    reply.int(context.client.id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

fn auth(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let first = context.args.next()?;
    let (user, password) = match context.args.left() {
        0 if context.server.accounts.needs_no_password() => return Err(NO_PASSWORD_SET),
        0 => (DEFAULT_USER.as_bytes(), first),
        1 => (first, context.args.next()?),
        _ => return Err(Fault::Syntax),
    };
    identify(context, user, password)?;
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn identify(context: &mut CommandContext<'_>, user: &[u8], password: &[u8]) -> Result<(), Fault> {
    let name = std::str::from_utf8(user).ok();
    // What takes long is done before anybody has to wait for it.
    let given = PasswordDigest::of(password);
    let (server, client) = (context.server, context.client);
    let mut log_in = |name| server.log_in(client, context.session, name, |it| it.lets_in(&given));
    if !name.is_some_and(&mut log_in) {
        note_failed_login(context, user);
        return Err(WRONG_PASSWORD);
    }
    Ok(())
}

fn become_user(context: &mut CommandContext<'_>, name: &str) {
    context.session.user = name.into();
    context.session.rules = context.server.accounts.rules_of(name);
    context.client.names.lock().user = name.into();
}

/// The log of the process tells the name only of a user there is: a password in its place would
/// stand there else. ACL LOG has it as it was said.
fn note_failed_login(context: &CommandContext<'_>, user: &[u8]) {
    let (server, client) = (context.server, context.client);
    server.counters.failed_logins.fetch_add(1, Relaxed);
    let place = match context.session.is_in_exec {
        true => DenialContext::Multi,
        false => DenialContext::TopLevel,
    };
    let times = (context.now, context.args.now());
    let denied = Denial {
        object: DeniedName::of(context.args.request().get(0).unwrap_or_default()),
        user: DeniedName::of(user),
        ..denial(context.table, server, client, DenialReason::Auth, place, times)
    };
    server.accounts.deny(denied, server.settings().server.acl_log_entries_max);
    if let Some(count) = server.log_limits.failed_login.note(context.now) {
        let (id, address) = (client.id, &client.peer.address);
        let name = std::str::from_utf8(user).unwrap_or_default();
        let name = server.accounts.look(|it| it.get(name).map(|it| it.name().to_owned()));
        let name = name.unwrap_or_else(|| "(unknown)".to_owned());
        log::warn!("event=login-failed client={id} addr={address} user={name:?} count={count}");
    }
}

fn quit(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.ok();
    Ok(Outcome::Close)
}

fn reset(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let subscriptions = context.session.subscriptions.as_ref();
    if context.is_too_long(subscriptions.map_or(0, |it| it.len())) {
        return Ok(Outcome::Long);
    }
    if let Some(subscriptions) = &mut context.session.subscriptions {
        let ended = subscriptions.take_names();
        context.server.pubsub.unsubscribe_all(&ended, context.client.id);
        context.client.subscribed.note(subscriptions);
    }
    unwatch_all(&context.server.set, context.session);
    if context.session.tracking.take().is_some() {
        super::client::tracking::end(context.server, context.client);
    }
    let is_known = context.server.accounts.lets_in_anybody();
    become_user(context, DEFAULT_USER);
    let session = &mut *context.session;
    session.queue = None;
    session.db = 0;
    (session.has_logged_in, session.is_known) = (is_known, is_known);
    // What CLIENT REPLY SKIP has said is for this command.
    if session.replies != ReplyMode::SkipThis {
        session.replies = ReplyMode::On;
    }
    (session.no_evict, session.no_touch) = (false, false);
    context.args.env.touches.set(true);
    (session.level, session.scope, session.acks) = (None, None, None);
    (session.ladder, session.tags) = (None, Tags::Off);
    context.reply.speak(Protocol::Resp2);
    context.client.flags.clear();
    if std::mem::take(&mut context.session.is_monitor) {
        context.server.monitors.leave(context.client);
    }
    rename(context, "");
    context.reply.simple("RESET");
    Ok(Outcome::Answered)
}

/// A name as clients may give themselves one: no spaces, nothing that would break a line.
pub fn printable(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok()?;
    name.iter().all(|it| (b'!'..=b'~').contains(it)).then_some(text)
}

/// Gives the client this name; none when it is empty.
pub fn rename(context: &mut CommandContext<'_>, name: &str) {
    context.session.name = name.into();
    context.client.names.lock().name = name.into();
    context.server.settle_scope(context.session);
}

/// CLIENT SETNAME.
pub fn set_name(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let name = printable(context.args.next()?).ok_or(BAD_NAME)?;
    rename(context, name);
    context.reply.ok();
    Ok(Outcome::Answered)
}
