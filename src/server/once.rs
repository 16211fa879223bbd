//! PROXY ONCE: one command under a consistency of its own.

use super::visitor::{Shift, Stop, Visitor};
use crate::admin::verbs::once::once;
use crate::admin::{Command, Handler, table};
use crate::command::{Args, Fault};
use crate::node::Set;
use crate::resp::Request;
use crate::route::{Plan, Reason, Where};
use crate::session::Once;

impl Visitor {
    /// Runs the command behind DO, as if it had come alone, under what stands before it. A read
    /// that waits is served again from here when it has waited.
    #[cold]
    pub fn once(
        &mut self,
        command: &Command,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Option<Stop> {
        let (once, inner, words) = match self.asked_once(command, request, shift) {
            Ok(asked) => asked,
            Err(fault) => {
                self.climb = None;
                return self.refuse(Some(command), fault, shift);
            }
        };
        self.note(inner);
        if self.is_held(|it| it.would_write(inner, words)) {
            return Some(Stop::Held);
        }
        shift.served += 1;
        let seed = once.seed.map(|it| shift.desk.world.reseed(it));
        self.session.once = Some(Box::new(once));
        let stop = self.run(inner, words, shift);
        self.session.once = None;
        if let Some(seed) = seed {
            shift.desk.world.reseed(seed);
        }
        stop
    }

    /// What is asked for, of which command, and that command's own words.
    fn asked_once<'r>(
        &self,
        command: &Command,
        request: Request<'r>,
        shift: &Shift<'_, '_>,
    ) -> Result<(Once, &'static Command, Request<'r>), Fault> {
        let mut args = Args::new(request, command.words, self.session.db, &shift.desk.world);
        let once = once(&self.house, &mut args)?;
        let words = request.behind(request.len() - args.left());
        if words.is_empty() {
            return Err(Fault::Says("ERR PROXY ONCE needs a command behind DO"));
        }
        let inner = table().find(words)?;
        match inner.handler {
            Handler::Read(_) | Handler::Write(_) | Handler::Either { .. } => {
                Ok((once, inner, words))
            }
            Handler::Session(_) | Handler::Prefix | Handler::Container => {
                let text = "ERR PROXY ONCE is for commands that read or write data, not for";
                Err(Fault::Told(format!("{text} '{}'", inner.name)))
            }
        }
    }

    /// A write that names a member must name the master. Asked with the master's lock held.
    #[inline]
    pub fn may_write_at(&self, master: usize) -> Result<(), Fault> {
        let Some(once) = &self.session.once else { return Ok(()) };
        match once.at {
            Some(at) if at != master => {
                Err(Fault::Says("ERR AT names a replica, and writes go to the master"))
            }
            _ => Ok(()),
        }
    }
}

/// The plan of a read that names its member.
pub fn plan_at(at: usize, set: &Set) -> Result<Plan, Fault> {
    let member = set.member(at);
    if !member.in_service() {
        let (name, duties) = (&member.name, member.duties());
        return Err(Fault::Told(format!("ERR {name} is not in service: it is {duties}")));
    }
    Ok(Plan { to: Where::Member(at as u16), because: Reason::AskedMember })
}
