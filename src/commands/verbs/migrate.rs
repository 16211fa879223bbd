//! MIGRATE: its row and its grammar. The work waits for another server, and is done by `server`.

use crate::base::number::parse_u64;
use crate::command::Arity::AtLeast;
use crate::command::{Access, Args, Begin, Fault, Find, Flags, Group, KeySpec, Keys};
use crate::commands::{
    CommandContext, Credentials, Job, Migration, Outcome, SessionRow, session_row,
};
use crate::resp::Request;
use std::time::Duration;

const FLAGS: Flags = Flags::MOVABLEKEYS.union(Flags::DANGEROUS).union(Flags::APART);
const MISPLACED: Fault = Fault::Static(
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
);
/// Where the key, or the empty string in its place, stands.
const KEY: usize = 3;
/// Where the options begin.
const OPTIONS: usize = 6;

const KEYS: Keys = Keys(&[
    KeySpec::one(KEY, Access::TAKE),
    KeySpec::new(
        Begin::Keyword("KEYS", -2),
        Find::Range { last: -1, step: 1, limit: 0 },
        Access(&["RW", "access", "delete", "incomplete"]),
    ),
]);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_row("MIGRATE", AtLeast(6), FLAGS, migrate)
    .writes()
    .keys(KEYS)
    .says(
        Group::Generic,
        "2.6.0",
        "As DUMP and DEL here and RESTORE there, and O(N) for the way between them",
        "Moves keys to another server.",
        "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] [[AUTH password] | \
         [AUTH2 username password]] [KEYS key [key ...]]",
    )
    .tips(&["nondeterministic_output"])];

fn migrate(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const TIMEOUT_MS: u64 = 1000;
    let args = &mut context.args;
    let host = String::from_utf8_lossy(args.next()?).into_owned();
    // What is no port is nobody's, as in Redis.
    let port = parse_u64(args.next()?).and_then(|it| u16::try_from(it).ok()).unwrap_or(0);
    let key = args.next()?;
    let mut numbers = *args;
    args.next().and_then(|_| args.next())?;
    let options = Options::parse(args, key)?;
    let db = numbers.next()?;
    let ms = match numbers.int()? {
        ms @ 1.. => ms as u64,
        _ => TIMEOUT_MS,
    };
    let db = crate::base::number::parse_i64(db).ok_or(Fault::NotInteger)?;
    let migration = Migration {
        host,
        port,
        db,
        timeout: Duration::from_millis(ms),
        copies: options.copies,
        replaces: options.replaces,
        credentials: options.credentials,
        keys: options.keys.unwrap_or_else(|| vec![key.into()]),
    };
    let job = Job::Migrate { db: context.session.db, migration: Box::new(migration) };
    Ok(Outcome::apart(job, context.kept_request()))
}

#[derive(Default)]
struct Options {
    copies: bool,
    replaces: bool,
    credentials: Option<Credentials>,
    keys: Option<Vec<Box<[u8]>>>,
}

impl Options {
    fn parse(args: &mut Args<'_>, key: &[u8]) -> Result<Options, Fault> {
        let mut options = Options::default();
        while args.left() != 0 {
            if args.word("COPY") {
                options.copies = true;
            } else if args.word("REPLACE") {
                options.replaces = true;
            } else if args.word("AUTH") {
                options.credentials =
                    Some(Credentials { user: None, password: args.next()?.into() });
            } else if args.word("AUTH2") {
                let (user, password) = (args.next()?, args.next()?);
                options.credentials =
                    Some(Credentials { user: Some(user.into()), password: password.into() });
            } else if args.word("KEYS") {
                if !key.is_empty() {
                    return Err(MISPLACED);
                }
                options.keys = Some(args.rest().map(Into::into).collect());
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(options)
    }
}

/// Where the keys stand: behind KEYS when it is there, else in the key's own place. A word that
/// belongs to AUTH is not looked at.
pub fn places(request: Request<'_>) -> Result<Vec<(usize, Access)>, Fault> {
    const INVALID: Fault = Fault::Static("ERR Invalid arguments specified for command");
    let is = |at: usize, word: &str| {
        request.get(at).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
    };
    let mut at = OPTIONS;
    while at < request.len() && !is(at, "KEYS") {
        at += match at {
            _ if is(at, "AUTH") => 2,
            _ if is(at, "AUTH2") => 3,
            _ => 1,
        };
    }
    let has_key = request.get(KEY).is_some_and(|it| !it.is_empty());
    match at + 1 < request.len() {
        true if has_key => Err(INVALID),
        true => Ok((at + 1..request.len()).map(|it| (it, Access::TAKE)).collect()),
        false => Ok(vec![(KEY, Access::TAKE)]),
    }
}
