//! PROXY UPGRADE: what the process that takes our place asks for. What comes of it is in
//! `server/upgrade.rs`.

use crate::command::Fault;
use crate::commands::{CommandContext, Job, Outcome};
use crate::runtime::process;
use crate::state::UpgradeStep;

const ELSEWHERE: Fault =
    Fault::Static("ERR PROXY UPGRADE is for who has come by server.upgrade-socket");
const USAGE: Fault =
    Fault::Static("ERR write PROXY UPGRADE BEGIN, SOCKETS path, ROLE pid path master or END pid");

const FIRST: Fault = Fault::Static(
    "ERR this is the first process of its system or container, which ends with it: start another",
);

const NOT_BACK: Fault =
    Fault::Static("ERR not yet: the process that had this one's place has ended a moment ago");

/// PROXY UPGRADE: its row is among those of `proxy.rs`.
pub(super) fn upgrade(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if !context.client.peer.is_trusted {
        return Err(ELSEWHERE);
    }
    if process::id() == 1 {
        return Err(FIRST);
    }
    if context.args.word("BEGIN") {
        context.args.done()?;
        if context.server.upgrade.claimed_by().is_some_and(process::has_ended) {
            return Err(NOT_BACK);
        }
        let told = about(context);
        context.reply.bulk(told.as_bytes());
        return Ok(Outcome::Answered);
    }
    let step = if context.args.word("SOCKETS") {
        UpgradeStep::Sockets(path(context)?)
    } else if context.args.word("ROLE") {
        let (pid, path) = (pid(context)?, path(context)?);
        let master = String::from_utf8_lossy(context.args.next()?).into_owned();
        UpgradeStep::Role { pid, path, master }
    } else if context.args.word("END") {
        UpgradeStep::End(pid(context)?)
    } else {
        return Err(USAGE);
    };
    context.args.done()?;
    Ok(Outcome::apart(Job::Upgrade(Box::new(step)), context.kept_request()))
}

fn pid(context: &mut CommandContext<'_>) -> Result<u32, Fault> {
    u32::try_from(context.args.int()?).ok().filter(|it| *it != 0).ok_or(USAGE)
}

fn path(context: &mut CommandContext<'_>) -> Result<String, Fault> {
    let path = String::from_utf8_lossy(context.args.next()?).into_owned();
    if path.starts_with('/') { Ok(path) } else { Err(USAGE) }
}

/// Who we are, a line each: our number, whom we follow, where the stream ends here, whether our
/// members are real servers, and our directory.
fn about(context: &CommandContext<'_>) -> String {
    let settings = context.server.settings();
    let dir = settings.set.disk.dir.as_str();
    let master = context.server.set.remote().map(|it| it.address.to_string());
    format!(
        "pid:{}\r\nmaster:{}\r\noffset:{}\r\nupstream:{}\r\ndir:{}\r\n",
        process::id(),
        master.unwrap_or_default(),
        context.server.set.head(),
        u8::from(context.server.upstream.is_some()),
        if dir.is_empty() { String::new() } else { process::absolute(dir) },
    )
}
