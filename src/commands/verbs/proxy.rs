//! PROXY: what clients ask of their own consistency. What operators do to members is in
//! [`super::members`].

use super::alerts::{alerts, events};
use super::drill;
use super::help::help;
use super::last;
use super::members;
use super::once;
use super::upgrade::upgrade;
use super::upstream_audit;
use super::upstream_explain::upstream_explained;
use crate::base::ids::{MemberId, RouteId};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Class, Fault, Flags, Group};
use crate::commands::{
    Command, CommandContext, Handler, Job, Outcome, RemoteAsk, RemoteRead, RequestContext,
    SessionRow, preferred_replica, session_container, session_prefix, session_row, stats,
    stats_json,
};
use crate::config::Config;
use crate::node::{FollowerStatus, RemoteMaster, View, Writes, present};
use crate::resp::{OwnedRequest, Request};
use crate::route::{Acks, Explanation, Level, Reason, StickyScope, explain};
use crate::runtime::tasks;
use crate::session::{AskedAcks, Session};
use std::borrow::Cow;
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
const ANY_TIME: Flags = Flags::LOADING.union(Flags::STALE);
const OPERATOR: Flags = ANY_TIME.union(Flags::ADMIN);
/// Tells of the whole set what no client needs: names, counters, places of members.
const TELLS: Flags = ANY_TIME.union(Flags::DANGEROUS);

const SUBCOMMANDS: &[SessionRow] = &[
    session_row("ACKS", AtLeast(2), ANY_TIME, acks).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Tells or sets how many replicas confirm each write of this session.",
        "[0 | <replicas | IN-SYNC | ALL | FSYNC> timeout-milliseconds]",
    ),
    session_row("ALERTS", Exactly(2), TELLS, alerts).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of alerts",
        "Tells which alerts are raised: about what, since when, how bad it is and was, and what it \
         means.",
        "",
    ),
    session_row("ATLEAST", AtLeast(3), ANY_TIME, once::at_least).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Makes this session's reads see at least what the token's session had seen, and says what \
         they do on lag until the next ATLEAST.",
        "token [WAIT milliseconds] [ELSE <MASTER | ERROR | STALE>]",
    ),
    session_row("AUDIT", Exactly(2), OPERATOR, upstream_audit::audit).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of findings",
        "Tells how reads of real servers came out that were checked or compared.",
        "",
    ),
    session_row("CONSISTENCY", AtLeast(2), ANY_TIME, consistency).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Tells or sets the level of this session's reads, and who shares its floor.",
        "[level | DEFAULT] [SCOPE [CONNECTION | CLIENT-NAME | USER | DEFAULT]]",
    ),
    session_row("EVENTS", AtLeast(2), OPERATOR, events).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of events",
        "Tells what has happened lately, newest first: failovers, resyncs, panics, changes of the \
         configuration, alerts.",
        "[COUNT count]",
    ),
    session_row("EXPLAIN", AtLeast(3), ANY_TIME, explain_request).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of members",
        "Tells where a command would go and why, or what a failover would do, without doing it.",
        "command [arg [arg ...]] | FAILOVER [TO <name | host port>]",
    ),
    session_row("FAILOVER", AtLeast(2), OPERATOR.union(Flags::NO_MULTI), members::fail_over).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is what the new master has still to apply",
        "Makes a replica the master; the old master becomes a replica.",
        "TO name [TIMEOUT milliseconds]",
    ),
    help(Group::Proxy, SINCE),
    session_row("LAST", Exactly(2), ANY_TIME, last::last).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Tells where the last reply came from: which member, why, at which level, by which steps \
         of the ladder, how far behind, and the token behind it.",
        "",
    ),
    session_row("NODE", AtLeast(3), OPERATOR, members::node).says(
        Group::Proxy,
        SINCE,
        "O(1)",
        "Pauses, resumes, drains, undrains or removes a replica, or adds one.",
        "name <PAUSE | RESUME | DRAIN [FORCE] | UNDRAIN | MAINTENANCE [FORCE] | REMOVE [FORCE]> | \
         ADD [NAME name] [TAG tag [TAG tag ...]] [ZONE zone] [DEDICATED]",
    ),
    session_row("NODES", AtLeast(2), TELLS, members::nodes).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of members",
        "Tells how every member stands: as a map, or as text for a terminal.",
        "[TEXT]",
    ),
    session_prefix("ONCE", AtLeast(4), ANY_TIME.union(Flags::NO_MULTI)).says(
        Group::Proxy,
        SINCE,
        "That of the command.",
        "Runs one command under a level, floor and ladder of its own, at a member, or with random \
         that fall as the seed says.",
        "[LEVEL level] [ATLEAST token] [WAIT milliseconds] [ELSE <MASTER | ERROR | STALE>] \
         [AT member] [SEED number] DO command [arg [arg ...]]",
    ),
    session_row("RELOAD", Exactly(2), OPERATOR.union(Flags::NO_MULTI), reload).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the length of the config file",
        "Reads the config file again and puts it in force for all connections.",
        "",
    ),
    session_row("STATS", AtLeast(2), TELLS, tell_stats).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is the number of things that were measured",
        "Tells service times, staleness served and waits, as text or as JSON.",
        "[JSON]",
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
    session_row("UPGRADE", AtLeast(3), OPERATOR.union(Flags::NO_MULTI), upgrade).says(
        Group::Proxy,
        SINCE,
        "O(N) where N is what the other process has still to apply",
        "Lets the process that asks, over the upgrade socket, take this one's place.",
        "<BEGIN | SOCKETS path | ROLE pid path master | END pid>",
    ),
];

/// Answers OK; an error that says file, line and key when the file cannot be used, and then nothing
/// has changed.
fn reload(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    Ok(Outcome::apart(Job::Reload, context.kept_request()))
}

fn tell_stats(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let is_json = context.args.word("JSON");
    context.args.done()?;
    if is_json {
        context.reply.bulk(stats_json(context.server, context.table).as_bytes());
    } else {
        context.reply.verbatim(&stats(context.server, context.table));
    }
    Ok(Outcome::Answered)
}

/// Answers the level in force on the default route or the scope, or changes the session's.
fn consistency(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.args.left() == 0 {
        let settings = context.server.settings();
        let level =
            settings.routes.level(RouteId::DEFAULT, context.session.level, context.listener_level);
        context.reply.bulk(level.to_string().as_bytes());
        return Ok(Outcome::Answered);
    }
    let words: Vec<_> = context.args.rest().map(String::from_utf8_lossy).collect();
    let is_scope = |it: &Cow<'_, str>| it.eq_ignore_ascii_case("scope");
    let (level, scope) = match words.iter().position(is_scope) {
        Some(at) => (&words[..at], Some(&words[at + 1..])),
        None => (&words[..], None),
    };
    if level.is_empty() && scope.is_some_and(<[_]>::is_empty) {
        let session = &context.session;
        let scope = session.scope.unwrap_or(session.scope_default);
        context.reply.bulk(scope.as_str().as_bytes());
        return Ok(Outcome::Answered);
    }
    let level = if level.is_empty() { None } else { Some(asked_level(&level.join(" "))?) };
    let scope = scope.map(|it| asked_scope(&it.join(" "))).transpose()?;
    context.session.level = level.unwrap_or(context.session.level);
    if let Some(scope) = scope {
        context.session.scope = scope;
        context.server.settle_scope(context.session);
    }
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// The level of this text; `None` for what the routes say.
fn asked_level(text: &str) -> Result<Option<Level>, Fault> {
    match Level::parse(text) {
        None if text.eq_ignore_ascii_case("default") => Ok(None),
        None => Err(Fault::Message(format!("ERR a level is {}, or default", Level::ACCEPTED))),
        level => Ok(level),
    }
}

/// The scope of this text; `None` for what the listener says.
fn asked_scope(text: &str) -> Result<Option<StickyScope>, Fault> {
    let accepted = || format!("ERR a scope is {}, or default", StickyScope::ACCEPTED);
    match StickyScope::parse(text) {
        None if text.eq_ignore_ascii_case("default") => Ok(None),
        None => Err(Fault::Message(accepted())),
        scope => Ok(scope),
    }
}

/// Answers how many replicas and how many milliseconds, or changes the session's.
fn acks(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    match context.args.left() {
        0 => tell_acks(context),
        _ => {
            let asked = asked_acks(&mut context.args)?;
            let has_aof = context.server.settings().set.disk.has_aof();
            if asked.is_some_and(|it| it.acks == Acks::Fsync) && !has_aof {
                return Err(NO_FILE);
            }
            context.session.acks = asked;
            match too_many(context) {
                Some(told) => context.reply.simple(&told),
                None => context.reply.ok(),
            }
        }
    }
    Ok(Outcome::Answered)
}

const NO_FILE: Fault =
    Fault::Static("ERR acks fsync needs an append-only file: set.dir and set.appendonly");

/// What there is to say of acks that no write can get now. They are taken all the same: replicas
/// come and go.
fn too_many(context: &CommandContext<'_>) -> Option<String> {
    let Some(AskedAcks { acks: Acks::Count(wanted), .. }) = context.session.acks else {
        return None;
    };
    let followers = context.server.set.followers(context.now);
    let counts_hosted = context.server.set.counts_hosted();
    let counts = |it: &&FollowerStatus| it.is_replica() && (counts_hosted || it.member.is_none());
    let there_are = followers.iter().filter(counts).count();
    (there_are < wanted.into()).then(|| {
        format!(
            "OK, but there are {there_are} replicas: until there are {wanted}, every write \
                 waits for its timeout and answers -NOTDURABLE"
        )
    })
}

fn tell_acks(context: &mut CommandContext<'_>) {
    let settings = context.server.settings();
    let route = settings.routes.get(RouteId::DEFAULT);
    let default = AskedAcks { acks: route.acks, timeout: route.acks_timeout };
    let asked = context.session.acks.unwrap_or(default);
    context.reply.array(2);
    match asked.acks {
        Acks::None => context.reply.bulk(b"0"),
        Acks::Count(count) => context.reply.bulk_int(count.into()),
        Acks::InSync => context.reply.bulk(b"in-sync"),
        Acks::All => context.reply.bulk(b"all"),
        Acks::Fsync => context.reply.bulk(b"fsync"),
    }
    context.reply.int(asked.timeout.as_millis() as i64);
}

fn asked_acks(args: &mut Args<'_>) -> Result<Option<AskedAcks>, Fault> {
    const NOT_A_COUNT: Fault =
        Fault::Static("ERR acks is a number of replicas, in-sync, all, or fsync");
    const NO_TIMEOUT: Fault = Fault::Static(
        "ERR a timeout in milliseconds is missing behind the number of replicas, 0 for one without \
         an end: PROXY ACKS 1 1000",
    );
    const NOT_A_TIMEOUT: Fault = Fault::Static(
        "ERR the timeout is a number of milliseconds, 0 for one without an end: PROXY ACKS 1 1000",
    );
    let acks = if args.word("all") {
        Acks::All
    } else if args.word("fsync") {
        Acks::Fsync
    } else if args.word("in-sync") || args.word("all-in-sync") {
        Acks::InSync
    } else {
        match args.int().ok().and_then(|it| u16::try_from(it).ok()).ok_or(NOT_A_COUNT)? {
            0 => Acks::None,
            count => Acks::Count(count),
        }
    };
    if acks == Acks::None && args.left() == 0 {
        return Ok(None);
    }
    if args.left() == 0 {
        return Err(NO_TIMEOUT);
    }
    let ms = args.int().ok().and_then(|it| u32::try_from(it).ok()).ok_or(NOT_A_TIMEOUT)?;
    args.done()?;
    let timeout = Duration::from_millis(ms.into());
    Ok((acks != Acks::None).then_some(AskedAcks { acks, timeout }))
}

fn explain_request(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.args.word("FAILOVER") {
        return drill::explain_failover(context);
    }
    let owned = OwnedRequest::of(context.args.rest());
    let request = owned.borrow();
    let command = context.table.find(request)?;
    let (class, kind) = match command.handler {
        Handler::Read(_) => (Class::Read, "read"),
        Handler::ReadOrWait { is_read, .. } if is_read(request) => (Class::Read, "read"),
        Handler::ReadOrWait { .. } => (Class::Write, "wait"),
        Handler::Either { is_read, .. } if is_read(request) => (Class::Read, "read"),
        Handler::Write(_) | Handler::Blocking(_) | Handler::Either { .. } => {
            (Class::Write, "write")
        }
        Handler::Script(it) if it.reads_only => (Class::Read, "read"),
        Handler::Script(_) => (Class::Write, "write"),
        Handler::Prefix => {
            return Err(Fault::Static("ERR explain the command behind DO, without PROXY ONCE"));
        }
        Handler::Session(_) | Handler::Container => (Class::Session, "session"),
    };
    let mut lines = vec![format!("command {} {kind}", command.name)];
    let settings = context.server.settings();
    if let Some(route) = origin(context, &settings).refusing(command, request) {
        lines.push(format!("route {}", route.told()));
        lines.push("refused -REFUSED: the route says refuse = true".into());
    } else if command.name == "exec" {
        lines.push("of reads alone on one route, and nothing watched: as one read on it".into());
        lines.push("of anything else: the master, as one write".into());
    } else if class == Class::Session {
        lines.push("answered by the proxy itself, by no member".into());
    } else {
        lines.extend(told(context, class, command, request));
    }
    context.reply.array(lines.len());
    lines.iter().for_each(|it| context.reply.bulk(it.as_bytes()));
    Ok(Outcome::Answered)
}

/// Where a request of this client comes from.
fn origin<'a>(context: &'a CommandContext<'_>, settings: &'a Config) -> RequestContext<'a> {
    RequestContext {
        routes: &settings.routes,
        session: context.session,
        once: None,
        listener: context.listener,
        listener_level: context.listener_level,
        arrived: None,
    }
}

/// What the request path would weigh for this request, now and on this worker.
fn told(
    context: &CommandContext<'_>,
    class: Class,
    command: &Command,
    request: Request<'_>,
) -> Vec<String> {
    let (settings, set) = (context.server.settings(), &*context.server.set);
    let (member_list, history) = (set.member_list(), set.history());
    let origin = origin(context, &settings);
    let number = origin.route(command, request);
    let route = settings.routes.get(number);
    let allowed = context.server.allowed_members(&settings, &member_list);
    let allowed = allowed.and_then(|it| it.on(number)).filter(|_| class == Class::Read);
    let preferred = match allowed {
        Some(allowed) => allowed.preferred(tasks::worker(), set.master()),
        None => preferred_replica(tasks::worker(), member_list.len() - 1),
    };
    let mut ask = origin.ask(class, number, set, &history, context.now, preferred);
    ask.of_member = command.spec.flags.contains(Flags::AT_MASTER);
    if let Some(upstream) = &context.server.upstream {
        if command.may_write() {
            ask.class = Class::Write;
        }
        return upstream_explained(context, upstream, route, ask, &history);
    }
    let view = View { set, member_list: &member_list, now: context.now, with_ages: true };
    let is_there = |it: MemberId| present(&member_list).any(|member| member.id == it);
    let name = |it| if is_there(it) { set.member(it).name.clone() } else { String::new() };
    let explanation = Explanation {
        scope: (ask.level == Level::Sticky).then(|| scope_told(context.session)),
        floor_of: floor_of(ask.level, context.session),
        ..explain(route, &ask, &view, allowed, name)
    };
    let mut lines = explanation.lines();
    if set.writes() == Writes::Forwarded
        && let Some(remote) = set.remote()
    {
        let remote_ask =
            RemoteAsk { read: &ask, watches: context.session.watches_remote, has_waited: false };
        let way = match class {
            Class::Write => RemoteRead::AtMaster(Reason::Write),
            _ => remote_ask.weigh(set, context.now),
        };
        return forwarding_told(&remote, way, lines);
    }
    let gate = settings.set.gate().filter(|_| class == Class::Write);
    if gate.is_some_and(|it| !it.allows(view.fed())) {
        lines.push("refused -NOREPLICAS: too few replicas are near enough to the master".into());
    }
    lines
}

/// The same in a set that follows a remote master and forwards to it.
fn forwarding_told(remote: &RemoteMaster, way: RemoteRead, mut lines: Vec<String>) -> Vec<String> {
    let name = last::remote_name(remote);
    let (chosen, because) = match way {
        RemoteRead::Here => return lines,
        RemoteRead::AtMaster(because) => {
            (name, format!("{}: {}", because.as_str(), because.sentence()))
        }
        RemoteRead::Waits(needs, at_most) => (
            format!("nobody yet, then a member here or {name}"),
            format!("waiting: the stream comes to offset {needs}, or {at_most:?} have passed"),
        ),
        RemoteRead::Lagged(needs) => {
            ("nobody".to_owned(), format!("lagged: the stream has not come to offset {needs}"))
        }
    };
    // What members here would do is of no account.
    lines.retain(|it| !["chosen ", "because "].iter().any(|word| it.starts_with(word)));
    lines.extend([format!("chosen {chosen}"), format!("because {because}")]);
    lines
}

/// Who shares this session's floor: `client-name "app" (3 connections)`.
fn scope_told(session: &Session) -> String {
    let Some(shared) = &session.shared else {
        return match session.scope.unwrap_or(session.scope_default) {
            StickyScope::Connection => "connection".to_owned(),
            scope => format!("{scope}, and without one this connection alone"),
        };
    };
    let (scope, name) = shared.key();
    let (sessions, plural) = (shared.sessions(), if shared.sessions() == 1 { "" } else { "s" });
    format!("{scope} \"{name}\" ({sessions} connection{plural})")
}

/// Whose floor a read at this level keeps to, if it keeps to one.
fn floor_of(level: Level, session: &Session) -> Option<String> {
    let told = match (level, &session.shared) {
        (Level::Master | Level::Bounded { .. } | Level::Eventual, _) => return None,
        (Level::Global, _) => "of every client of this proxy".to_owned(),
        (Level::Linearizable, _) => "of the master when the read arrives".to_owned(),
        (Level::Sticky, None) => "of this connection".to_owned(),
        (Level::Sticky, Some(shared)) => {
            let ((scope, name), by) = (shared.key(), shared.raised().by);
            let whose = match by {
                0 => "a client that has left".to_owned(),
                by if by == session.id => "this connection".to_owned(),
                by => format!("client id={by}"),
            };
            format!("of {scope} \"{name}\", raised last by {whose}")
        }
    };
    Some(told)
}
