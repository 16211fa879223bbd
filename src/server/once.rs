//! PROXY ONCE: one command under a consistency of its own.

use super::connection::{BatchContext, Connection, Stop};
use crate::command::{Args, Fault};
use crate::commands::verbs::once::once;
use crate::commands::{Command, Handler, table};
use crate::node::ReplicaSet;
use crate::resp::Request;
use crate::route::{Plan, Reason, Where};
use crate::session::Once;

impl Connection {
    /// The command behind DO, which is to run as if it had come alone, under what stands before
    /// it; or what becomes of the request instead. A read that waits is served again from here when
    /// it has waited.
    #[cold]
    pub fn begin_once<'r>(
        &mut self,
        command: &Command,
        request: Request<'r>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(&'static Command, Request<'r>), Option<Stop>> {
        let (mut once, inner, words) = match self.asked_once(command, request, context) {
            Ok(asked) => asked,
            Err(fault) => {
                self.retry = None;
                return Err(self.refuse(Some(command), fault, context));
            }
        };
        self.note(inner);
        if self.is_held(|it| it.would_write(inner, words)) {
            return Err(Some(Stop::LockCache));
        }
        // The other way round at the end: the random numbers go on as if nothing had been asked.
        once.seed = once.seed.map(|it| context.scratch.env.reseed(it));
        self.session.once = Some(Box::new(once));
        Ok((inner, words))
    }

    /// The session is as it was before.
    #[cold]
    pub fn end_once(&mut self, context: &mut BatchContext<'_, '_>) {
        if let Some(seed) = self.session.once.take().and_then(|it| it.seed) {
            context.scratch.env.reseed(seed);
        }
    }

    /// What is asked for, of which command, and that command's own words.
    fn asked_once<'r>(
        &self,
        command: &Command,
        request: Request<'r>,
        context: &BatchContext<'_, '_>,
    ) -> Result<(Once, &'static Command, Request<'r>), Fault> {
        let mut args = Args::new(request, command.words, self.session.db, &context.scratch.env);
        let once = once(&self.server, &mut args)?;
        let words = request.behind(request.len() - args.left());
        if words.is_empty() {
            return Err(Fault::Static("ERR PROXY ONCE needs a command behind DO"));
        }
        let inner = table().find(words)?;
        match inner.handler {
            Handler::Read(_) | Handler::Write(_) | Handler::Either { .. } => {
                Ok((once, inner, words))
            }
            Handler::Session(_) | Handler::Prefix | Handler::Container => {
                let text = "ERR PROXY ONCE is for commands that read or write data, not for";
                Err(Fault::Message(format!("{text} '{}'", inner.name)))
            }
        }
    }

    /// A write that names a member must name the master. Asked with the master's lock held.
    #[inline]
    pub fn may_write_at(&self, master: usize) -> Result<(), Fault> {
        let Some(once) = &self.session.once else { return Ok(()) };
        match once.at {
            Some(at) if at != master => {
                Err(Fault::Static("ERR AT names a replica, and writes go to the master"))
            }
            _ => Ok(()),
        }
    }
}

/// The plan of a read that names its member.
pub fn plan_at(at: usize, set: &ReplicaSet) -> Result<Plan, Fault> {
    let member = set.member(at);
    if !member.in_service() {
        let (name, flags) = (&member.name, member.flags());
        return Err(Fault::Message(format!("ERR {name} is not in service: it is {flags}")));
    }
    Ok(Plan { to: Where::Member(at as u16), because: Reason::AskedMember })
}
