//! A write's way: the gate, the master, the log, and what the client wants confirmed.

use super::acks::Wanted;
use super::connection::{BatchContext, Connection, Stop};
use super::parked::{Confirmation, Parked};
use crate::command::{Args, Fault};
use crate::commands::Command;
use crate::engine::WriteVerb;
use crate::metrics::Label;
use crate::node::{MemberFlag, View};
use crate::resp::Request;
use crate::route::{Acks, Reason};
use crate::session::{AskedAcks, Tags};

impl Connection {
    /// Runs a write at the master.
    #[inline]
    pub fn write(
        &mut self,
        command: &Command,
        verb: WriteVerb,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Option<Stop>, Fault> {
        self.pass_gate(context)?;
        let route = self.origin().route(command, request);
        context.begin(command);
        let master = context.master()?.member().index;
        self.keep_up(context.set)?;
        self.may_write_at(master)?;
        if self.is_held(|_| true) {
            return Ok(Some(Stop::LockCache));
        }
        let writing = context.locks.write(context.set, context.member_list);
        let scratch = &mut *context.scratch;
        let args = Args::new(request, command.words, self.session.db, &scratch.env);
        let effects = &mut scratch.effects;
        let outcome = writing.run(&command.spec, verb, args, effects, &mut self.reply, context.now);
        let has_changed = !effects.is_empty();
        let end = self.position(context.set.head());
        match has_changed {
            true => self.session.wrote(end, context.now),
            false => self.session.saw(end),
        }
        if self.session.tags != Tags::Off {
            self.came_from(context.set.member(master), Reason::Write, context);
        }
        context.count(Label::new(route, master as u16, command.id), command);
        if outcome.is_err() && context.set.member(master).is(MemberFlag::Quarantined) {
            context.locks.release();
            context.set.replace_quarantined_master();
        }
        outcome?;
        Ok(if has_changed { self.confirmation_of(command, request, route) } else { None })
    }

    /// `min-replicas-to-write`, checked before anything is applied.
    #[inline]
    pub fn pass_gate(&self, context: &BatchContext<'_, '_>) -> Result<(), Fault> {
        let Some(gate) = self.settings.set.gate() else { return Ok(()) };
        let (set, member_list, now) = (context.set, context.member_list, context.now);
        let view = View { set, member_list, now, with_ages: true };
        if gate.allows(view.fed()) { Ok(()) } else { Err(Fault::NoReplicas) }
    }

    /// What must be confirmed before this write's reply may leave: what its route asks for, or all
    /// that its keys' routes do where no single one may have it all.
    #[inline]
    pub fn confirmation_of(
        &self,
        command: &Command,
        request: Request<'_>,
        route: u16,
    ) -> Option<Stop> {
        let rules = &self.settings.routes;
        let nobody_asks = self.session.acks.is_none() && rules.get(route).acks == Acks::None;
        if nobody_asks && !rules.mixes_acks() {
            return None;
        }
        let mut routes = Vec::new();
        self.note_routes(command, request, route, &mut routes);
        self.confirmation(&routes)
    }

    /// Notes whose acks this write must have, each route once.
    pub fn note_routes(
        &self,
        command: &Command,
        request: Request<'_>,
        route: u16,
        routes: &mut Vec<u16>,
    ) {
        let mut note = |it| {
            if !routes.contains(&it) {
                routes.push(it);
            }
        };
        match self.settings.routes.mixes_acks() && 1 < command.spec.keys.count(request) {
            true => self.origin().each_route(command, request, note),
            false => note(route),
        }
    }

    /// What must be confirmed before the reply to writes of these routes may leave. A session may
    /// ask for more than its route, not for less.
    pub fn confirmation(&self, routes: &[u16]) -> Option<Stop> {
        let of_route = |it: &u16| {
            let route = self.settings.routes.get(*it);
            AskedAcks { acks: route.acks, timeout: route.acks_timeout }
        };
        let asked = self.session.acks.into_iter().chain(routes.iter().map(of_route));
        let mut asked = asked.filter(|it| it.acks != Acks::None).peekable();
        asked.peek()?;
        let wanted = Wanted::of_all(&self.server.set, &self.member_list, asked)?;
        // The wait is told of under one label: the first route that asks for something.
        let labels = routes.iter().filter(|it| of_route(it).acks != Acks::None);
        let route = *labels.chain(routes).next()?;
        let offset = self.session.last_write;
        Some(Stop::Park(Parked::Acks(Confirmation { route, offset, wanted })))
    }
}
