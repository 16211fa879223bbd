//! Verbs about files: snapshots, and the rewrite of the append-only file.

use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Job, Outcome, SessionRow, session_row};
use crate::state::{Background, DiskStatus, Orders};

const ADMIN: Flags =
    Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::DANGEROUS).union(Flags::NO_ASYNC_LOADING);
const ANY_TIME: Flags = Flags::LOADING.union(Flags::STALE).union(Flags::FAST);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("SAVE", Exactly(1), ADMIN.union(Flags::NO_MULTI).union(Flags::APART), save).says(
        Group::Server,
        "1.0.0",
        "O(N) where N is the number of keys; nobody but the client waits for it",
        "Makes a snapshot of all data on disk, and answers when it is there.",
        "",
    ),
    session_row("BGSAVE", AtLeast(1), ADMIN, bgsave).says(
        Group::Server,
        "1.0.0",
        "O(1)",
        "Begins to make a snapshot of all data on disk.",
        "[SCHEDULE]",
    ),
    session_row("BGREWRITEAOF", Exactly(1), ADMIN, rewrite).says(
        Group::Server,
        "1.0.0",
        "O(1)",
        "Begins to rewrite the append-only file, so that it is as short as it can be.",
        "",
    ),
    session_row("LASTSAVE", Exactly(1), ANY_TIME.union(Flags::DANGEROUS), last_save)
        .says(Group::Server, "1.0.0", "O(1)", "Answers when data was last saved.", "")
        .tips(&["nondeterministic_output"]),
];

const SAVING: Fault = Fault::Static("ERR Background save already in progress");
const NO_DIR: Fault =
    Fault::Static("ERR nothing is written to disk: set.dir names no directory for it");

fn save(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.server.disk().is_none() {
        return Err(NO_DIR);
    }
    Ok(Outcome::apart(Job::Save, context.kept_request()))
}

fn is_saving(status: &DiskStatus, orders: Orders) -> bool {
    orders.save || status.background.is_some_and(|it| it.0 == Background::Save)
}

fn is_rewriting(status: &DiskStatus, orders: Orders) -> bool {
    orders.rewrite || status.background.is_some_and(|it| it.0 == Background::Rewrite)
}

fn bgsave(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let may_be_later = context.args.left() != 0 && context.args.word("SCHEDULE");
    if context.args.left() != 0 {
        return Err(Fault::Syntax);
    }
    let server = context.server;
    if server.disk().is_none() {
        return Err(NO_DIR);
    }
    let orders = server.persistence.orders();
    let (is_saving, is_rewriting) = {
        let status = server.persistence.status();
        (is_saving(&status, orders), is_rewriting(&status, orders))
    };
    if is_saving {
        return Err(SAVING);
    }
    if is_rewriting && !may_be_later {
        return Err(Fault::Static(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE \
             SCHEDULE in order to schedule a BGSAVE whenever possible.",
        ));
    }
    server.persistence.ask(|it| it.save = true);
    server.wake_disk();
    let told = if is_rewriting { "scheduled" } else { "started" };
    context.reply.simple(&format!("Background saving {told}"));
    Ok(Outcome::Answered)
}

fn rewrite(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let server = context.server;
    if server.disk().is_none() {
        return Err(NO_DIR);
    }
    if !server.settings().set.disk.has_aof() {
        return Err(Fault::Static("ERR there is no append-only file: appendonly is no"));
    }
    let orders = server.persistence.orders();
    let (is_saving, is_rewriting) = {
        let status = server.persistence.status();
        (is_saving(&status, orders), is_rewriting(&status, orders))
    };
    if is_rewriting && !is_saving {
        return Err(Fault::Static("ERR Background append only file rewriting already in progress"));
    }
    server.persistence.ask(|it| it.rewrite = true);
    server.wake_disk();
    let told = if is_saving { "scheduled" } else { "started" };
    context.reply.simple(&format!("Background append only file rewriting {told}"));
    Ok(Outcome::Answered)
}

/// When data was last saved, in s since 1970: the time of the start where it never was, as Redis
/// has it, and 0 where it never will be.
fn last_save(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let server = context.server;
    let last = match server.disk() {
        None => 0,
        Some(_) => {
            let last = server.persistence.status().save.last;
            last.unwrap_or(server.process_info.at).0 / 1000
        }
    };
    context.reply.int(last as i64);
    Ok(Outcome::Answered)
}
