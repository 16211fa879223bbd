//! A write's way: the gate, the master, the log, and what the client wants confirmed.

use super::parked::{Confirmation, Parked};
use super::visitor::{Shift, Stop, Visitor};
use super::wanted::Wanted;
use crate::admin::Command;
use crate::command::{Args, Fault};
use crate::engine::WriteVerb;
use crate::metrics::Label;
use crate::node::{Duty, View};
use crate::resp::Request;
use crate::route::{Acks, Reason};
use crate::session::{AskedAcks, Tags};

impl Visitor {
    /// Runs a write at the master.
    #[inline]
    pub fn write(
        &mut self,
        command: &Command,
        verb: WriteVerb,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Result<Option<Stop>, Fault> {
        self.pass_gate(shift)?;
        let route = self.origin().route(command, request);
        shift.begin(command);
        let master = shift.master()?.member().index;
        self.keep_up(shift.set)?;
        self.may_write_at(master)?;
        if self.is_held(|_| true) {
            return Ok(Some(Stop::Held));
        }
        let writing = shift.held.write(shift.set, shift.roster);
        let desk = &mut *shift.desk;
        let args = Args::new(request, command.words, self.session.db, &desk.world);
        let effects = &mut desk.effects;
        let outcome = writing.run(&command.spec, verb, args, effects, &mut self.reply, shift.now);
        let has_changed = !effects.is_empty();
        let end = self.position(shift.set.head());
        match has_changed {
            true => self.session.wrote(end, shift.now),
            false => self.session.saw(end),
        }
        if self.session.tags != Tags::Off {
            self.came_from(shift.set.member(master), Reason::Write, shift);
        }
        shift.count(Label::new(route, master as u16, command.id), command);
        if outcome.is_err() && shift.set.member(master).is(Duty::Quarantined) {
            shift.held.release();
            shift.set.replace_quarantined_master();
        }
        outcome?;
        Ok(if has_changed { self.confirmation_of(command, request, route) } else { None })
    }

    /// `min-replicas-to-write`, checked before anything is applied.
    #[inline]
    pub fn pass_gate(&self, shift: &Shift<'_, '_>) -> Result<(), Fault> {
        let Some(gate) = self.settings.set.gate() else { return Ok(()) };
        let (set, roster, now) = (shift.set, shift.roster, shift.now);
        let view = View { set, roster, now, with_ages: true };
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
        let wanted = Wanted::of_all(&self.house.set, &self.roster, asked)?;
        // The wait is told of under one label: the first route that asks for something.
        let labels = routes.iter().filter(|it| of_route(it).acks != Acks::None);
        let route = *labels.chain(routes).next()?;
        let offset = self.session.last_write;
        Some(Stop::Park(Parked::Acks(Confirmation { route, offset, wanted })))
    }
}
