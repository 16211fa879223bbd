//! Verbs of the connection itself: who it is, which protocol and database it speaks of.

use crate::admin::version::REDIS_VERSION;
use crate::admin::{After, House, SessionRow, Turn, session_row, unwatch_all};
use crate::base::limits::DATABASES;
use crate::base::number;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::resp::Protocol;
use crate::session::{Replies, Tags};

const QUICK: Flags = Flags::FAST.and(Flags::LOADING).and(Flags::STALE);
const ANYONE: Flags =
    QUICK.and(Flags::NO_SCRIPT).and(Flags::NO_AUTH).and(Flags::ALLOW_BUSY).and(Flags::IN_PUBSUB);
const DEFAULT_USER: &str = "default";

const WRONG_PASSWORD: Fault =
    Fault::Says("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PASSWORD_SET: Fault = Fault::Says(
    "ERR AUTH <password> called without any password configured for the default user. \
     Are you sure your configuration is correct?",
);
const HELLO_NEEDS_AUTH: Fault = Fault::Says(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
     <user> <pass> option can be used to authenticate the client and select the RESP protocol \
     version at the same time",
);
const BAD_NAME: Fault =
    Fault::Says("ERR Client names cannot contain spaces, newlines or special characters.");

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("PING", AtLeast(1), Flags::FAST.and(Flags::IN_PUBSUB), ping)
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
    session_row("QUIT", AtLeast(1), ANYONE, quit).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Closes this connection.",
        "",
    ),
    session_row("RESET", Exactly(1), ANYONE, reset).says(
        Group::Connection,
        "6.2.0",
        "O(1)",
        "Makes this connection as it was when it was new.",
        "",
    ),
];

fn ping(turn: &mut Turn<'_>) -> Result<After, Fault> {
    match turn.args.left() {
        0 => turn.reply.simple("PONG"),
        1 => turn.reply.bulk(turn.args.next()?),
        _ => return Err(Fault::WrongArity("ping".into())),
    }
    Ok(After::Answered)
}

fn echo(turn: &mut Turn<'_>) -> Result<After, Fault> {
    turn.reply.bulk(turn.args.next()?);
    Ok(After::Answered)
}

fn select(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let db = turn.args.int()?;
    let db = usize::try_from(db).ok().filter(|it| *it < DATABASES).ok_or(Fault::DbOutOfRange)?;
    turn.session.db = db;
    turn.reply.ok();
    Ok(After::Answered)
}

/// What HELLO asks for.
#[derive(Default)]
struct Wishes<'a> {
    protocol: Option<Protocol>,
    identity: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a str>,
}

fn hello(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let wishes = wishes(turn)?;
    if let Some((user, password)) = wishes.identity {
        identify(turn, user, password)?;
    }
    if !turn.session.is_known {
        return Err(HELLO_NEEDS_AUTH);
    }
    if let Some(name) = wishes.name {
        rename(turn, name);
    }
    if let Some(protocol) = wishes.protocol {
        turn.reply.speak(protocol);
        if protocol == Protocol::Resp2 {
            turn.session.tags = Tags::Off;
        }
    }
    introduce(turn);
    Ok(After::Answered)
}

fn wishes<'a>(turn: &mut Turn<'a>) -> Result<Wishes<'a>, Fault> {
    let mut wishes = Wishes::default();
    if turn.args.left() == 0 {
        return Ok(wishes);
    }
    let version = number::parse_i64(turn.args.next()?)
        .ok_or(Fault::Says("ERR Protocol version is not an integer or out of range"))?;
    wishes.protocol = Some(match version {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return Err(Fault::Says("NOPROTO unsupported protocol version")),
    });
    while let Some(option) = turn.args.peek() {
        if 3 <= turn.args.left() && turn.args.word("AUTH") {
            wishes.identity = Some((turn.args.next()?, turn.args.next()?));
        } else if 2 <= turn.args.left() && turn.args.word("SETNAME") {
            wishes.name = Some(printable(turn.args.next()?).ok_or(BAD_NAME)?);
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(Fault::Told(format!("ERR Syntax error in HELLO option '{option}'")));
        }
    }
    Ok(wishes)
}

fn introduce(turn: &mut Turn<'_>) {
    let protocol = if turn.reply.protocol() == Protocol::Resp3 { 3 } else { 2 };
    let reply = &mut *turn.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(protocol);
    reply.bulk(b"id");
    reply.int(turn.client.id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

fn auth(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let first = turn.args.next()?;
    let (user, password) = match turn.args.left() {
        0 if password_of(turn.house).is_none() => return Err(NO_PASSWORD_SET),
        0 => (DEFAULT_USER.as_bytes(), first),
        1 => (first, turn.args.next()?),
        _ => return Err(Fault::Syntax),
    };
    identify(turn, user, password)?;
    turn.reply.ok();
    Ok(After::Answered)
}

fn identify(turn: &mut Turn<'_>, user: &[u8], password: &[u8]) -> Result<(), Fault> {
    let is_right = match password_of(turn.house) {
        Some(expected) => is_same(expected.as_bytes(), password),
        None => true,
    };
    if user != DEFAULT_USER.as_bytes() || !is_right {
        return Err(WRONG_PASSWORD);
    }
    turn.session.user = DEFAULT_USER.into();
    turn.session.is_known = true;
    turn.client.names.lock().user = DEFAULT_USER.into();
    Ok(())
}

fn password_of(house: &House) -> Option<String> {
    house.settings().server.password().map(str::to_owned)
}

/// Compares in a time that depends on what was given, never on how much of it is right.
fn is_same(expected: &[u8], given: &[u8]) -> bool {
    let mut differs = u8::from(expected.len() != given.len());
    for (at, byte) in given.iter().enumerate() {
        let other = expected.get(at % expected.len().max(1)).copied().unwrap_or(0);
        differs |= std::hint::black_box(byte ^ other);
    }
    differs == 0
}

fn quit(turn: &mut Turn<'_>) -> Result<After, Fault> {
    turn.reply.ok();
    Ok(After::Close)
}

fn reset(turn: &mut Turn<'_>) -> Result<After, Fault> {
    unwatch_all(&turn.house.set, turn.session);
    let is_known = password_of(turn.house).is_none();
    let session = &mut *turn.session;
    session.queue = None;
    session.db = 0;
    session.user = DEFAULT_USER.into();
    session.is_known = is_known;
    session.replies = Replies::On;
    (session.no_evict, session.no_touch) = (false, false);
    turn.args.world.touches.set(true);
    (session.level, session.acks) = (None, None);
    (session.ladder, session.tags) = (None, Tags::Off);
    turn.reply.speak(Protocol::Resp2);
    turn.client.names.lock().user = DEFAULT_USER.into();
    turn.client.flags.clear();
    rename(turn, "");
    turn.reply.simple("RESET");
    Ok(After::Answered)
}

/// A name as clients may give themselves one: no spaces, nothing that would break a line.
pub fn printable(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok()?;
    name.iter().all(|it| (b'!'..=b'~').contains(it)).then_some(text)
}

/// Gives the client this name; none when it is empty.
pub fn rename(turn: &mut Turn<'_>, name: &str) {
    turn.session.name = name.into();
    turn.client.names.lock().name = name.into();
}

/// CLIENT SETNAME.
pub fn set_name(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let name = printable(turn.args.next()?).ok_or(BAD_NAME)?;
    rename(turn, name);
    turn.reply.ok();
    Ok(After::Answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_is_the_same() {
        for (one, other) in [("", ""), ("a", "a"), ("secret", "secret")] {
            assert!(is_same(one.as_bytes(), other.as_bytes()));
        }
        let wrong =
            [("", "a"), ("a", ""), ("ab", "abab"), ("abab", "ab"), ("a", "b"), ("ab", "aa")];
        for (one, other) in wrong {
            assert!(!is_same(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
    }
}
