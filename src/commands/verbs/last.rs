//! PROXY LAST: where the last reply came from. PROXY TAG says the same in front of each reply.

use super::once::token_of;
use crate::base::ids::MemberId;
use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};
use crate::node::RemoteMaster;
use crate::resp::Reply;
use crate::route::{Level, Reason};
use crate::session::{LastReply, Session};
use crate::state::Server;

/// Names with values that [`tell`] writes.
pub const FIELDS: usize = 7;

/// PROXY LAST.
pub fn last(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.map(FIELDS);
    tell(context.server, context.session, context.listener_level, context.reply);
    context.session.last.is_told = true;
    Ok(Outcome::Answered)
}

/// Tells where the last reply of this session came from, as names with values.
pub fn tell(server: &Server, session: &Session, listener: Option<Level>, reply: &mut Reply) {
    let LastReply { because, steps, .. } = session.last;
    reply.bulk(b"because");
    reply.bulk(because.map_or("proxy", Reason::as_str).as_bytes());
    reply.bulk(b"level");
    match level_of(server, session, listener) {
        Some(level) => reply.bulk(level.to_string().as_bytes()),
        None => reply.null(),
    }
    reply.bulk(b"steps");
    reply.bulk(steps.to_string().as_bytes());
    tell_member(server, &session.last, reply);
    reply.bulk(b"token");
    reply.bulk(token_of(server, session).as_bytes());
}

/// Tells who gave this reply, and how far behind.
pub fn tell_member(server: &Server, last: &LastReply, reply: &mut Reply) {
    reply.bulk(b"member");
    match last.member {
        MemberId::NONE => match server.set.remote().filter(|_| last.is_remote) {
            Some(remote) => reply.bulk(remote_name(&remote).as_bytes()),
            None => reply.null(),
        },
        member => reply.bulk(server.set.member(member).name.as_bytes()),
    }
    reply.bulk(b"behind-bytes");
    reply.int(last.behind_bytes as i64);
    reply.bulk(b"behind-us");
    reply.int(i64::try_from(last.behind_us).unwrap_or(-1));
}

/// The level of the read that was answered; `None` for what is no read, or goes to the master
/// whatever its level.
fn level_of(server: &Server, session: &Session, listener: Option<Level>) -> Option<Level> {
    let last = &session.last;
    match last.because? {
        Reason::Write | Reason::Watching | Reason::Transaction | Reason::AskedMember => None,
        _ if last.is_of_once => session.once_level,
        _ => Some(server.settings().routes.level(last.route, session.level, listener)),
    }
}

/// What the remote master is called where members are named.
pub fn remote_name(remote: &RemoteMaster) -> String {
    format!("remote {}", remote.address)
}
