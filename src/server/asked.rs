//! A command of an operator who has no connection: who uses the status page.

use super::jobs;
use crate::base::time::Clock;
use crate::command::{Args, CallEnv};
use crate::commands::{CommandContext, Handler, Outcome, table};
use crate::resp::{OwnedRequest, Protocol, Reply};
use crate::runtime::clock::{self, SystemClock};
use crate::runtime::stream::Peer;
use crate::session::Session;
use crate::state::{Client, JobReply, Server};
use std::sync::Arc;

/// What a client says for whom nobody asks on.
const NOT_HERE: &str = "ERR this is no place for it";

/// Answers a command of the proxy itself, as the default user is answered in RESP2; an error's
/// text without its `-`. For a thread that may wait.
pub async fn ask(server: &Arc<Server>, words: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, String> {
    let client = Arc::new(Client::new(0, Peer::default(), clock::mono_now()));
    let (outcome, written) = verb(server, &client, words)?;
    match outcome {
        Outcome::Answered => Ok(written),
        Outcome::Apart(work) => {
            let JobReply { reply, .. } = jobs::work(work.0, server, &client).await;
            reply
        }
        _ => Err(NOT_HERE.to_owned()),
    }
}

/// What the verb has come to, and what it has written.
fn verb(
    server: &Arc<Server>,
    client: &Arc<Client>,
    words: &[impl AsRef<[u8]>],
) -> Result<(Outcome, Vec<u8>), String> {
    let owned = OwnedRequest::of(words);
    let request = owned.borrow();
    let command = table().find(request).map_err(|it| it.to_string())?;
    let Handler::Session(verb) = command.handler else { return Err(NOT_HERE.to_owned()) };
    let mut session = Session {
        user: "default".to_owned(),
        is_known: true,
        has_logged_in: true,
        ..Session::default()
    };
    let (mut reply, env) = (Reply::new(Protocol::Resp2), CallEnv::new(SystemClock.wall_now(), 0));
    let mut context = CommandContext {
        table: table(),
        server,
        session: &mut session,
        client,
        listener: "",
        listener_level: None,
        args: Args::new(request, command.words, 0, &env),
        reply: &mut reply,
        now: clock::mono_now(),
        clock: &SystemClock,
        works_long: true,
    };
    let outcome = verb(&mut context).map_err(|it| it.to_string())?;
    Ok((outcome, reply.into_bytes()))
}
