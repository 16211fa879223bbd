//! PROXY ONCE: one command under a consistency of its own.

use super::batch::BatchContext;
use super::call::Call;
use super::caller::Caller;
use crate::base::ids::MemberId;
use crate::command::{Args, Fault, codes};
use crate::commands::verbs::once::once;
use crate::commands::{Command, Handler, Outcome, table};
use crate::node::ReplicaSet;
use crate::resp::Request;
use crate::route::{Plan, Reason, Where};
use crate::session::Once;

impl Caller {
    /// Runs the command behind DO as if it had come alone, under what stands before it. A read that
    /// waits is served again from here when it has waited.
    #[cold]
    pub fn run_once(&mut self, prefix: Call<'_>, context: &mut BatchContext<'_, '_>) -> Outcome {
        let (mut once, command, request) = match self.asked_once(&prefix, context) {
            Ok(asked) => asked,
            Err(fault) => return self.refuse(Some(prefix.command), fault, context),
        };
        self.note(Some(command));
        if let Some(outcome) = self.refused(command, request, context) {
            return outcome;
        }
        // Put back at the end: the random numbers go on as if nothing had been asked.
        let seed = once.seed.take().map(|it| context.scratch.env.reseed(it));
        let route = self.origin(Some(&once)).route(command, request);
        let level = self.settings.routes.level(route, self.session.level, self.listener_level);
        self.session.once_level = Some(once.level_over(level));
        let mut call = Call { command, request, once: Some(Box::new(once)), ..prefix };
        let outcome = self.run(&mut call, context);
        if let Some(seed) = seed {
            context.scratch.env.reseed(seed);
        }
        outcome
    }

    /// What is asked for, of which command, and that command's own words.
    fn asked_once<'r>(
        &self,
        prefix: &Call<'r>,
        context: &BatchContext<'_, '_>,
    ) -> Result<(Once, &'static Command, Request<'r>), Fault> {
        let mut args =
            Args::new(prefix.request, prefix.command.words, self.session.db, &context.scratch.env);
        let once = once(&self.server, &mut args)?;
        let words = prefix.request.behind(prefix.request.len() - args.left());
        if words.is_empty() {
            return Err(Fault::Static(
                "ERR PROXY ONCE needs a command behind DO: PROXY ONCE LEVEL master DO GET key",
            ));
        }
        let inner = table().find(words)?;
        match inner.handler {
            Handler::Read(_)
            | Handler::Write(_)
            | Handler::Blocking(_)
            | Handler::Script(_)
            | Handler::ReadOrWait { .. }
            | Handler::Either { .. } => Ok((once, inner, words)),
            Handler::Session(_) | Handler::Prefix | Handler::Container => {
                let text = "ERR PROXY ONCE is for commands that read or write data, not for";
                Err(Fault::Message(format!("{text} '{}'", inner.name)))
            }
        }
    }
}

impl Call<'_> {
    /// A write that names a member must name the master. Asked with the master's lock held.
    #[inline]
    pub fn may_write_at(&self, master: MemberId) -> Result<(), Fault> {
        match self.once.as_ref().and_then(|it| it.at) {
            Some(at) if at != master => Err(codes::NOT_MASTER),
            _ => Ok(()),
        }
    }
}

/// The plan of a read that names its member.
pub fn plan_at(at: MemberId, set: &ReplicaSet) -> Result<Plan, Fault> {
    let member = set.member(at);
    if !member.in_service() {
        return Err(codes::not_in_service(&member.name, member.flags()));
    }
    Ok(Plan { to: Where::Member(at), because: Reason::AskedMember })
}
