//! ACL: the users, and what they may do.

use super::help::help;
use crate::acl::{
    Categories, DEFAULT_USER, Denial, Selector, User, UserEdits, UsersFault, is_user_name,
};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{
    CommandContext, Job, Outcome, SessionRow, catalogue, categories, check, session_container,
    session_row,
};
use crate::resp::{OwnedRequest, Reply};
use crate::runtime::process;

const ANYONE: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const OPERATOR: Flags = ANYONE.union(Flags::ADMIN);
const BY_USERS: &str = "O(N). Where N is the number of configured users.";
/// Entries of ACL LOG that are shown when nobody says how many.
const SHOWN: usize = 10;
const SECRET_BITS: i64 = 256;
const SECRET_BITS_MAX: i64 = 4096;

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("ACL", ACL).says(
    Group::Server,
    "6.0.0",
    "Depends on subcommand.",
    "Says who may do what.",
    "",
)];

const ACL: &[SessionRow] = &[
    session_row("CAT", AtLeast(2), ANYONE, cat).says(
        Group::Server,
        "6.0.0",
        "O(1) since the categories and commands are a fixed set.",
        "Lists the categories, or the commands of one.",
        "[categoryname]",
    ),
    session_row("DELUSER", AtLeast(3), OPERATOR, delete_users).says(
        Group::Server,
        "6.0.0",
        "O(1) amortized time considering the typical user.",
        "Removes users and closes their clients.",
        "username [username ...]",
    ),
    session_row("DRYRUN", AtLeast(4), OPERATOR, dry_run).says(
        Group::Server,
        "7.0.0",
        "O(1).",
        "Tells whether a user may do something, and does nothing.",
        "username command [arg [arg ...]]",
    ),
    session_row("GENPASS", AtLeast(2), ANYONE, generate).says(
        Group::Server,
        "6.0.0",
        "O(1)",
        "Makes up a password that nobody guesses.",
        "[bits]",
    ),
    session_row("GETUSER", Exactly(3), OPERATOR, get_user).says(
        Group::Server,
        "6.0.0",
        "O(N). Where N is the number of password, command and pattern rules that the user has.",
        "Tells the rules of a user.",
        "username",
    ),
    session_row("LIST", Exactly(2), OPERATOR, list).says(
        Group::Server,
        "6.0.0",
        BY_USERS,
        "Tells all users as an ACL file would.",
        "",
    ),
    session_row("LOAD", Exactly(2), OPERATOR, load).says(
        Group::Server,
        "6.0.0",
        BY_USERS,
        "Reads the ACL file again.",
        "",
    ),
    session_row("LOG", AtLeast(2), OPERATOR, log).says(
        Group::Server,
        "6.0.0",
        "O(N) with N being the number of entries shown.",
        "Tells what has been denied lately, or forgets it.",
        "[count | RESET]",
    ),
    session_row("SAVE", Exactly(2), OPERATOR, save).says(
        Group::Server,
        "6.0.0",
        BY_USERS,
        "Writes the users into the ACL file.",
        "",
    ),
    session_row("SETUSER", AtLeast(3), OPERATOR, set_user).says(
        Group::Server,
        "6.0.0",
        "O(N). Where N is the number of rules provided.",
        "Makes a user, or gives one more rules.",
        "username [rule [rule ...]]",
    ),
    session_row("USERS", Exactly(2), OPERATOR, users).says(
        Group::Server,
        "6.0.0",
        BY_USERS,
        "Tells the names of all users.",
        "",
    ),
    session_row("WHOAMI", Exactly(2), ANYONE, who_am_i).says(
        Group::Server,
        "6.0.0",
        "O(1)",
        "Answers the user of this connection.",
        "",
    ),
    help(Group::Server, "6.0.0"),
];

fn who_am_i(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.bulk(context.session.user.as_bytes());
    Ok(Outcome::Answered)
}

fn users(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let reply = &mut *context.reply;
    context.server.accounts.look(|users| {
        reply.array(users.all().len());
        users.all().for_each(|it| reply.bulk(it.name().as_bytes()));
    });
    Ok(Outcome::Answered)
}

fn list(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const ELEMENTS: usize = 16;
    let count = context.server.accounts.look(|it| it.all().len());
    if context.is_too_long(count.saturating_mul(ELEMENTS)) {
        return Ok(Outcome::Long);
    }
    let reply = &mut *context.reply;
    context.server.accounts.look(|users| {
        reply.array(users.all().len());
        users.all().for_each(|it| reply.bulk(&it.text()));
    });
    Ok(Outcome::Answered)
}

/// A user's name, as ACL SETUSER takes it.
fn user_name(name: &[u8]) -> Result<&str, Fault> {
    let name = std::str::from_utf8(name).ok().filter(|it| is_user_name(it));
    name.ok_or(Fault::Static("ERR Usernames can't contain spaces or null characters"))
}

fn set_user(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.is_too_long(cost(context)) {
        return Ok(Outcome::Long);
    }
    let name = user_name(context.args.next()?)?;
    may_be_there(context, name)?;
    let rules = context.args.rest();
    let (known, all_channels) = (catalogue(context.table), context.server.settings().hears_all());
    let change = context.server.change_users(context.client.id, |users| {
        let user = users.with_rules(name, rules, known, all_channels)?;
        Ok(vec![(name.to_owned(), Some(user))])
    });
    let closes_own = change.map_err(|fault: UsersFault| Fault::Message(format!("ERR {fault}")))?;
    context.reply.ok();
    Ok(if closes_own { Outcome::Close } else { Outcome::Answered })
}

/// What rules cost, as elements that are touched: each is compared with many.
fn cost(context: &CommandContext<'_>) -> usize {
    const COMPARED: usize = 64;
    const BYTES: usize = 16;
    let bytes: usize = context.args.request().iter().map(<[u8]>::len).sum();
    context.args.left().saturating_mul(COMPARED).saturating_add(bytes / BYTES)
}

/// Whether there may be this user, beside all that there are already.
fn may_be_there(context: &CommandContext<'_>, name: &str) -> Result<(), Fault> {
    const USERS_MAX: usize = 65536;
    const NO_ROOM: Fault = Fault::Static("ERR there are 65536 users already, and may be no more");
    let accounts = &context.server.accounts;
    let may = accounts.look(|it| it.get(name).is_some() || it.all().len() < USERS_MAX);
    if may { Ok(()) } else { Err(NO_ROOM) }
}

fn delete_users(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const DEFAULT_STAYS: Fault = Fault::Static("ERR The 'default' user cannot be removed");
    let names = context.args.rest();
    if names.clone().any(|it| it == DEFAULT_USER.as_bytes()) {
        return Err(DEFAULT_STAYS);
    }
    let mut removed = 0;
    let closes_own = context.server.change_users(context.client.id, |users| {
        let names = names.filter_map(|it| std::str::from_utf8(it).ok());
        let mut known: Vec<&str> = names.filter(|it| users.get(it).is_some()).collect();
        known.sort_unstable();
        known.dedup();
        removed = known.len();
        Ok::<UserEdits, Fault>(known.iter().map(|it| ((*it).to_owned(), None)).collect())
    })?;
    context.reply.count(removed);
    Ok(if closes_own { Outcome::Close } else { Outcome::Answered })
}

fn get_user(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let name = std::str::from_utf8(context.args.next()?).unwrap_or_default();
    let user = context.server.accounts.look(|it| it.get(name).cloned());
    let Some(user) = user else {
        context.reply.null();
        return Ok(Outcome::Answered);
    };
    tell_user(context.reply, &user);
    Ok(Outcome::Answered)
}

fn tell_user(reply: &mut Reply, user: &User) {
    reply.map(6);
    let flags = user.flags();
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|it| reply.bulk(it.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(user.passwords().len());
    user.passwords().iter().for_each(|it| reply.bulk(it.to_string().as_bytes()));
    tell_selector(reply, user.root());
    reply.bulk(b"selectors");
    reply.array(user.selectors().len());
    for selector in user.selectors() {
        reply.map(3);
        tell_selector(reply, selector);
    }
}

fn tell_selector(reply: &mut Reply, selector: &Selector) {
    reply.bulk(b"commands");
    reply.bulk(selector.commands_text().as_bytes());
    reply.bulk(b"keys");
    reply.bulk(&selector.keys_text());
    reply.bulk(b"channels");
    reply.bulk(&selector.channels_text());
}

fn cat(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    match context.args.left() {
        0 => {
            let names: Vec<String> = Categories::all().names().collect();
            context.reply.array(names.len());
            names.iter().for_each(|it| context.reply.bulk(it.as_bytes()));
        }
        1 => {
            let name = context.args.next()?;
            let category = Categories::named(name).ok_or_else(|| {
                let name = String::from_utf8_lossy(name);
                Fault::Message(format!("ERR Unknown category '{name}'"))
            })?;
            let is_in = |it: &&crate::commands::Command| categories(it).contains(category);
            let commands = context.table.all().iter().filter(is_in);
            let mark = context.reply.mark();
            let mut count = 0;
            for command in commands {
                context.reply.bulk(command.name.as_bytes());
                count += 1;
            }
            context.reply.close_array(mark, count);
        }
        _ => return Err(context.args.misused("ACL")),
    }
    Ok(Outcome::Answered)
}

fn dry_run(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let name = context.args.next()?;
    let user = std::str::from_utf8(name).ok();
    let user = user.and_then(|name| context.server.accounts.look(|it| it.get(name).cloned()));
    let user = user.ok_or_else(|| {
        Fault::Message(format!("ERR User '{}' not found", String::from_utf8_lossy(name)))
    })?;
    let request = OwnedRequest::of(context.args.rest());
    let request = request.borrow();
    let command = context.table.locate(request).map_err(|_| {
        let name = String::from_utf8_lossy(request.get(0).unwrap_or_default());
        Fault::Message(format!("ERR Command '{name}' not found"))
    })?;
    if !command.spec.arity.fits(request.len()) {
        return Err(Fault::WrongArity(command.name.clone()));
    }
    match check(&user, command, request) {
        Ok(()) => context.reply.ok(),
        Err(denied) => context.reply.bulk(denied.foretold(&command.name, request).as_bytes()),
    }
    Ok(Outcome::Answered)
}

fn generate(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const WRONG: Fault = Fault::Static(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive \
         number up to 4096",
    );
    let bits = match context.args.left() {
        0 => SECRET_BITS,
        1 => context.args.int()?,
        _ => return Err(context.args.misused("ACL")),
    };
    if !(1..=SECRET_BITS_MAX).contains(&bits) {
        return Err(WRONG);
    }
    let digits = (bits as usize).div_ceil(4);
    let mut secret = String::new();
    while secret.len() < digits {
        let bytes = process::secret()
            .map_err(|why| Fault::Message(format!("ERR no random bytes: {why}")))?;
        bytes.iter().for_each(|it| secret.push_str(&format!("{it:02x}")));
    }
    secret.truncate(digits);
    context.reply.bulk(secret.as_bytes());
    Ok(Outcome::Answered)
}

fn log(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let count = match context.args.left() {
        0 => SHOWN,
        1 if context.args.word("RESET") => {
            context.server.accounts.forget_denials();
            context.reply.ok();
            return Ok(Outcome::Answered);
        }
        1 => usize::try_from(context.args.int()?).unwrap_or(0),
        _ => return Err(context.args.misused("ACL")),
    };
    let (denials, now) = (context.server.accounts.denials(count), context.args.now());
    context.reply.array(denials.len());
    denials
        .iter()
        .for_each(|it| tell_denial(context.reply, it, now.0.saturating_sub(it.updated.0)));
    Ok(Outcome::Answered)
}

fn tell_denial(reply: &mut Reply, denial: &Denial, age_ms: u64) {
    reply.map(10);
    reply.bulk(b"count");
    reply.int(denial.count as i64);
    reply.bulk(b"reason");
    reply.bulk(denial.reason.name().as_bytes());
    reply.bulk(b"context");
    reply.bulk(denial.context.name().as_bytes());
    reply.bulk(b"object");
    reply.bulk(denial.object.bytes());
    reply.bulk(b"username");
    reply.bulk(denial.user.bytes());
    reply.bulk(b"age-seconds");
    reply.double_text(&format!("{}", age_ms as f64 / 1000.0));
    reply.bulk(b"client-info");
    reply.bulk(denial.client.as_bytes());
    reply.bulk(b"entry-id");
    reply.int(denial.id as i64);
    reply.bulk(b"timestamp-created");
    reply.int(denial.created.0 as i64);
    reply.bulk(b"timestamp-last-updated");
    reply.int(denial.updated.0 as i64);
}

fn load(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    at_file(context, Job::LoadUsers)
}

fn save(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    at_file(context, Job::SaveUsers)
}

fn at_file(context: &mut CommandContext<'_>, job: Job) -> Result<Outcome, Fault> {
    const NO_FILE: Fault = Fault::Static(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify \
         users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a \
         Redis configuration file set) in order to store users in the Redis configuration.",
    );
    if !context.server.settings().has_users_file() {
        return Err(NO_FILE);
    }
    Ok(Outcome::apart(job, context.kept_request()))
}
