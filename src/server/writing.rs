//! A write's way: the gate, the master, the log, and what the client wants confirmed.

use super::parked::{Confirmation, Parked};
use super::visitor::{Shift, Stop, Visitor};
use crate::admin::Command;
use crate::command::{Args, Fault};
use crate::engine::WriteVerb;
use crate::metrics::Label;
use crate::node::{Duty, View};
use crate::resp::Request;
use crate::route::Acks;
use std::time::Duration;

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
        shift.count(Label::new(route, master as u16, command.id), command);
        if outcome.is_err() && shift.set.member(master).is(Duty::Quarantined) {
            shift.held.release();
            shift.set.replace_quarantined_master();
        }
        outcome?;
        Ok(if has_changed { self.confirmation(route) } else { None })
    }

    /// `min-replicas-to-write`, checked before anything is applied.
    #[inline]
    pub fn pass_gate(&self, shift: &Shift<'_, '_>) -> Result<(), Fault> {
        let Some(gate) = self.settings.set.gate() else { return Ok(()) };
        let (set, roster, now) = (shift.set, shift.roster, shift.now);
        let view = View { set, roster, now, with_ages: true };
        if gate.allows(view.fed()) { Ok(()) } else { Err(Fault::NoReplicas) }
    }

    /// What must be confirmed before this write's reply may leave.
    #[inline]
    pub fn confirmation(&self, number: u16) -> Option<Stop> {
        let route = self.settings.routes.get(number);
        let count = |acks| match acks {
            Acks::None => 0,
            Acks::Count(count) => usize::from(count),
            Acks::All => self.roster.len() - 1,
        };
        // A session may ask for more than its route, not for less.
        let (wanted, timeout) = match self.session.acks {
            Some(it) if count(route.acks) <= count(it.acks) => (count(it.acks), it.timeout),
            _ => (count(route.acks), route.acks_timeout),
        };
        if wanted == 0 {
            return None;
        }
        let timeout = (timeout != Duration::ZERO).then_some(timeout);
        let offset = self.session.last_write;
        Some(Stop::Park(Parked::Acks(Confirmation { route: number, offset, wanted, timeout })))
    }
}
