//! DEBUG POPULATE: many keys at once, for tests.

use crate::command::codes::READ_ONLY;
use crate::command::{Args, CallEnv, Fault};
use crate::commands::Populate;
use crate::engine::Effects;
use crate::engine::verbs;
use crate::node::Verb;
use crate::resp::{OwnedRequest, Protocol, Reply};
use crate::runtime::{clock, tasks};
use crate::state::Server;
use std::ops::Range;
use std::time::Duration;

/// Keys that are made while the master is held: others have it in between.
const AT_ONCE: u64 = 256;
/// How often it looks whether writers are held back still.
const PAUSED_REST: Duration = Duration::from_millis(10);

/// Makes the keys that are not there. Unlike Redis', they are written as any others: replicas have
/// them, too. Not for a worker.
pub fn populate(server: &Server, keys: &Populate) -> Result<(), String> {
    let mut from = 0;
    while from < keys.count {
        if server.set.is_following() {
            return Err(READ_ONLY.to_string());
        }
        if server.set.pause_in_force(clock::mono_now()).is_some() {
            tasks::rest(PAUSED_REST);
            continue;
        }
        let until = keys.count.min(from + AT_ONCE);
        make(server, keys, from..until).map_err(|it| it.to_string())?;
        from = until;
    }
    Ok(())
}

fn make(server: &Server, keys: &Populate, which: Range<u64>) -> Result<(), Fault> {
    let Some(row) = verbs::find(b"SETNX") else { return Ok(()) };
    let Some(verb) = row.run.write_verb() else { return Ok(()) };
    let env = CallEnv::new(clock::wall_now(), clock::entropy());
    let (mut effects, mut reply) = (Effects::default(), Reply::new(Protocol::Resp2));
    let member_list = server.set.member_list();
    let mut writing = server.set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, clock::mono_now());
    for at in which {
        let key = [&keys.prefix[..], b":", at.to_string().as_bytes()].concat();
        let mut value = format!("value:{at}").into_bytes();
        if keys.value_bytes != 0 {
            value.resize(keys.value_bytes, 0);
        }
        let request = OwnedRequest::of([&b"SETNX"[..], &key, &value]);
        let args = Args::new(request.borrow(), 1, keys.db, &env);
        transaction.call(Verb::Write(&row.spec, verb), args, &mut reply)?;
        reply.clear();
    }
    transaction.commit();
    Ok(())
}
