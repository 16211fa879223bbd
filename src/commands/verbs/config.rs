//! CONFIG: the settings while the server runs.

use super::help::help;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{
    CommandContext, Job, Outcome, ServersConfig, SessionRow, session_container, session_row,
};
use crate::config::{Config, are_of_servers, asks_servers, cannot_set};
use crate::resp::Reply;
use crate::state::{Server, clients_allowed};

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const CHANGES: Flags = ADMIN.union(Flags::LOCKS_MEMBERS);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("CONFIG", CONFIG).says(
    Group::Server,
    "2.0.0",
    "Depends on subcommand.",
    "Looks at the settings and changes them.",
    "",
)];

const CONFIG: &[SessionRow] = &[
    session_row("GET", AtLeast(3), ADMIN, get).says(
        Group::Server,
        "2.0.0",
        "O(N) where N is the number of parameters.",
        "Answers the parameters that a pattern names.",
        "parameter [parameter ...]",
    ),
    session_row("SET", AtLeast(4), CHANGES.union(Flags::CHANGES_MEMBERS), set)
        .says(
            Group::Server,
            "2.0.0",
            "O(N) where N is the number of parameters.",
            "Changes parameters, all or none.",
            "parameter value [parameter value ...]",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    session_row("RESETSTAT", Exactly(2), CHANGES, reset_stat)
        .says(Group::Server, "2.0.0", "O(1)", "Forgets what INFO has counted.", "")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    session_row("REWRITE", Exactly(2), ADMIN, rewrite)
        .says(
            Group::Server,
            "2.8.0",
            "O(N) where N is the length of the config file",
            "Writes into the config file what was changed at run time.",
            "",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    help(Group::Server, "5.0.0"),
];

fn get(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (server, reply) = (context.server, &mut *context.reply);
    if server.upstream.is_some() {
        let patterns: Vec<&[u8]> = context.args.rest().collect();
        let own = server.settings().get_own(patterns.iter().copied());
        let theirs = patterns.into_iter().filter(|it| asks_servers(it));
        let patterns: Vec<Vec<u8>> = theirs.map(<[u8]>::to_vec).collect();
        if patterns.is_empty() {
            answer(&own, reply);
            return Ok(Outcome::Answered);
        }
        let asked = ServersConfig::Get { own, patterns, protocol: reply.protocol() };
        return Ok(Outcome::apart(Job::ServersConfig(asked.into()), context.kept_request()));
    }
    let found = server.settings().get(context.args.rest());
    answer(&found, reply);
    Ok(Outcome::Answered)
}

/// Names and values.
fn answer(found: &[(String, String)], reply: &mut Reply) {
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

/// Names of settings that a line of the log tells.
const NAMES_LOGGED_MAX: usize = 20;

/// The names among names and values, for a line of the log.
pub fn names_logged<W: AsRef<[u8]>>(words: &[W]) -> String {
    let names = words.iter().step_by(2).take(NAMES_LOGGED_MAX);
    names.map(|it| it.as_ref().escape_ascii().to_string()).collect::<Vec<_>>().join(",")
}

fn set(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let words: Vec<&[u8]> = context.args.rest().collect();
    if !words.len().is_multiple_of(2) {
        return Err(Fault::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|it| (it[0], it[1])).collect();
    if context.server.upstream.is_some() && are_of_servers(&pairs).map_err(Fault::Message)? {
        let asked = ServersConfig::Set(words.into_iter().map(<[u8]>::to_vec).collect());
        return Ok(Outcome::apart(Job::ServersConfig(asked.into()), context.kept_request()));
    }
    let is_local = context.client.peer.is_local;
    let change = |it: &mut Config| {
        it.may_set(pairs.iter().map(|it| it.0), is_local)?;
        let before = it.server.maxclients;
        it.set(&pairs)?;
        check_maxclients(before, it.server.maxclients)?;
        // Last: certificates are in force at once.
        check_certificates(context.server, &pairs, it)
    };
    let changed = context.server.change_settings(change);
    let who = context.client.logged();
    if let Err(why) = changed {
        if let Some(count) = context.server.log_limits.config_refused.note(context.now) {
            log::warn!("event=config-refused {who} by=CONFIG-SET why={why:?} count={count}");
        }
        return Err(Fault::Message(why));
    }
    log::info!("event=config-set {who} names={}", names_logged(&words));
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// Reads certificates that are named, anew even if they are named as before: whoever has replaced
/// a file says its name again.
fn check_certificates(
    server: &Server,
    pairs: &[(&[u8], &[u8])],
    settings: &Config,
) -> Result<(), String> {
    let is_of_tls = |it: &[u8]| it.get(..4).is_some_and(|it| it.eq_ignore_ascii_case(b"tls-"));
    let Some((name, _)) = pairs.iter().find(|it| is_of_tls(it.0)) else { return Ok(()) };
    let name = String::from_utf8_lossy(name).to_lowercase();
    server.tls.load(settings).map_err(|why| {
        log::error!("event=tls-files-refused why={why}");
        cannot_set(&name, &why)
    })
}

/// Refuses more clients than there can be sockets for, in Redis' words.
fn check_maxclients(before: usize, after: usize) -> Result<(), String> {
    let allowed = if before < after { clients_allowed(after) } else { after };
    if allowed < after {
        let why = format!(
            "The operating system is not able to handle the specified number of clients, try with \
             {allowed}"
        );
        return Err(cannot_set("maxclients", &why));
    }
    Ok(())
}

fn reset_stat(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.server.reset_stats();
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn rewrite(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.server.process_info.file.is_empty() {
        return Err(Fault::Static("ERR The server is running without a config file"));
    }
    Ok(Outcome::apart(Job::Rewrite, context.kept_request()))
}
