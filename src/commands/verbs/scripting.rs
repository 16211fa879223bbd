//! Scripts: the commands that run them, and SCRIPT and FUNCTION as far as they are the proxy's.
//! How one is run stands in `server/connection/script.rs`; libraries of functions are data, in
//! `engine/verbs/functions.rs`.

use super::help::help;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Fault, Flags, Group, KeySpec, Keys};
use crate::commands::{
    CommandContext, Outcome, ScriptBy, ScriptRun, SessionRow, session_container, session_row,
    session_script,
};
use crate::script::{Purpose, sha1hex};
use crate::state::Killed;

const RUNS: Flags = Flags::NOSCRIPT
    .union(Flags::STALE)
    .union(Flags::SKIP_MONITOR)
    .union(Flags::MOVABLEKEYS)
    .union(Flags::NO_MANDATORY_KEYS);
const WRITES: Flags = RUNS.union(Flags::MAY_REPLICATE);
const ANY_TIME: Flags = Flags::NOSCRIPT.union(Flags::ALLOW_BUSY);
const READ: KeySpec = KeySpec::counted(2, Access::READ);
const READ_KEYS: Keys = Keys(&[READ.noting("Only what is called tells which keys are read.")]);
const CHANGED: KeySpec = KeySpec::counted(2, Access::CHANGE);
const CHANGED_KEYS: Keys = Keys(&[CHANGED.noting("Only what is called tells what is done.")]);
const COST: &str = "Depends on the script that is executed.";
const FUNCTION_COST: &str = "Depends on the function that is executed.";
const BY_TEXT: &str = "script numkeys [key [key ...]] [arg [arg ...]]";
const BY_SHA: &str = "sha1 numkeys [key [key ...]] [arg [arg ...]]";
const BY_NAME: &str = "function numkeys [key [key ...]] [arg [arg ...]]";

const fn runs(name: &'static str, by: ScriptBy, reads_only: bool) -> SessionRow {
    let run = ScriptRun { by, reads_only };
    // Redis notes nothing of those by SHA-1.
    let (flags, keys) = match (reads_only, by) {
        (true, ScriptBy::Sha) => (RUNS, Keys(&[READ])),
        (true, _) => (RUNS, READ_KEYS),
        (false, ScriptBy::Sha) => (WRITES, Keys(&[CHANGED])),
        (false, _) => (WRITES, CHANGED_KEYS),
    };
    session_script(name, flags, keys, run)
}

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    runs("EVAL", ScriptBy::Text, false).says(
        Group::Scripting,
        "2.6.0",
        COST,
        "Runs a script.",
        BY_TEXT,
    ),
    runs("EVAL_RO", ScriptBy::Text, true).says(
        Group::Scripting,
        "7.0.0",
        COST,
        "Runs a script that only reads.",
        BY_TEXT,
    ),
    runs("EVALSHA", ScriptBy::Sha, false).says(
        Group::Scripting,
        "2.6.0",
        COST,
        "Runs a script that is known, by the SHA-1 of its text.",
        BY_SHA,
    ),
    runs("EVALSHA_RO", ScriptBy::Sha, true).says(
        Group::Scripting,
        "7.0.0",
        COST,
        "Runs a script that is known and only reads, by the SHA-1 of its text.",
        BY_SHA,
    ),
    runs("FCALL", ScriptBy::Function, false).says(
        Group::Scripting,
        "7.0.0",
        FUNCTION_COST,
        "Calls a function.",
        BY_NAME,
    ),
    runs("FCALL_RO", ScriptBy::Function, true).says(
        Group::Scripting,
        "7.0.0",
        FUNCTION_COST,
        "Calls a function that only reads.",
        BY_NAME,
    ),
    session_container("SCRIPT", SCRIPT).says(
        Group::Scripting,
        "2.6.0",
        "Depends on subcommand.",
        "Keeps the texts of scripts.",
        "",
    ),
    session_container("FUNCTION", FUNCTION).says(
        Group::Scripting,
        "7.0.0",
        "Depends on subcommand.",
        "Keeps libraries of functions.",
        "",
    ),
];

const SCRIPT: &[SessionRow] = &[
    session_row("EXISTS", AtLeast(3), Flags::NOSCRIPT, exists)
        .says(
            Group::Scripting,
            "2.6.0",
            "O(N) with N being the number of scripts to check (so checking a single script is an \
             O(1) operation).",
            "Says which scripts are known.",
            "sha1 [sha1 ...]",
        )
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"]),
    session_row("FLUSH", AtLeast(2), Flags::NOSCRIPT, flush)
        .says(
            Group::Scripting,
            "2.6.0",
            "O(N) with N being the number of scripts in cache",
            "Forgets all scripts.",
            "[ASYNC | SYNC]",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    session_row("KILL", Exactly(2), ANY_TIME, |it| kill(it, Purpose::Scripts))
        .says(Group::Scripting, "2.6.0", "O(1)", "Stops a script that has written nothing.", "")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"]),
    session_row("LOAD", Exactly(3), Flags::NOSCRIPT.union(Flags::STALE), load)
        .says(
            Group::Scripting,
            "2.6.0",
            "O(N) with N being the length in bytes of the script body.",
            "Makes a script known.",
            "script",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    session_row("DEBUG", Exactly(3), Flags::NOSCRIPT, debug).says(
        Group::Scripting,
        "3.2.0",
        "O(1)",
        "Refuses to debug scripts.",
        "<YES | SYNC | NO>",
    ),
    session_row("SHOW", Exactly(3), Flags::NOSCRIPT, show).says(
        Group::Scripting,
        "8.0.0",
        "O(1)",
        "Answers the text of a script.",
        "sha1",
    ),
    help(Group::Scripting, "5.0.0"),
];

const FUNCTION: &[SessionRow] = &[
    session_row("KILL", Exactly(2), ANY_TIME, |it| kill(it, Purpose::Functions))
        .says(Group::Scripting, "7.0.0", "O(1)", "Stops a function that has written nothing.", "")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"]),
    session_row("STATS", Exactly(2), ANY_TIME, stats)
        .says(Group::Scripting, "7.0.0", "O(1)", "Answers what runs, and how much there is.", "")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    help(Group::Scripting, "7.0.0"),
];

fn exists(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let scripts = context.server.scripting.scripts.read();
    context.reply.array(context.args.left());
    for name in context.args.rest() {
        context.reply.int(scripts.find(name).is_some().into());
    }
    Ok(Outcome::Answered)
}

fn flush(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let args = &mut context.args;
    let is_known = args.left() == 0 || args.word("ASYNC") || args.word("SYNC");
    if !is_known || args.left() != 0 {
        return Err(Fault::Static("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    context.server.scripting.flush();
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn load(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let text = context.args.next()?;
    let scripting = &context.server.scripting;
    let sha = sha1hex(text);
    let message = |it: Vec<u8>| Fault::Message(String::from_utf8_lossy(&it).into_owned());
    scripting.compile(&sha, text).map_err(message)?;
    scripting.scripts.write().keep(text).map_err(Fault::Message)?;
    context.reply.bulk(&sha);
    Ok(Outcome::Answered)
}

fn show(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let name = context.args.next()?;
    let scripts = context.server.scripting.scripts.read();
    let Some((_, script)) = scripts.find(name) else {
        return Err(Fault::Static("NOSCRIPT No matching script."));
    };
    context.reply.bulk(&script.text);
    Ok(Outcome::Answered)
}

/// There is no debugger, and so none to end.
fn debug(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let args = &mut context.args;
    if args.word("NO") {
        context.reply.ok();
        return Ok(Outcome::Answered);
    }
    match args.word("YES") || args.word("SYNC") {
        true => Err(Fault::Static(
            "ERR scripts are not debugged here: there is no debugger. Run the script at a \
             redis-server with redis-cli --ldb.",
        )),
        false => Err(Fault::Static("ERR Use SCRIPT DEBUG YES/SYNC/NO")),
    }
}

fn kill(context: &mut CommandContext<'_>, purpose: Purpose) -> Result<Outcome, Fault> {
    match context.server.scripting.kill(purpose) {
        Killed::Told => {
            context.reply.ok();
            Ok(Outcome::Answered)
        }
        Killed::NothingRuns => Err(Fault::Static("NOTBUSY No scripts in execution right now.")),
        Killed::HasWritten => Err(Fault::Static(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You \
             can either wait the script termination or kill the server in a hard way using the \
             SHUTDOWN NOSAVE command.",
        )),
        Killed::Other(of) => Err(Fault::Busy(of == Purpose::Functions)),
    }
}

fn stats(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (server, now) = (context.server, context.clock.mono_now());
    let libraries = server.set.master_counts(context.clock.wall_now()).libraries;
    let reply = &mut *context.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match server.scripting.running().iter().find(|it| it.purpose == Purpose::Functions) {
        None => reply.null(),
        Some(running) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&running.name);
            reply.bulk(b"command");
            let request = running.request.borrow();
            reply.array(request.len());
            request.iter().for_each(|it| reply.bulk(it));
            reply.bulk(b"duration_ms");
            reply.int((now.since(running.began) / 1000) as i64);
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.count(libraries.iter().len());
    reply.bulk(b"functions_count");
    reply.count(libraries.functions_count());
    Ok(Outcome::Answered)
}
