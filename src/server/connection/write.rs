//! A write's way: the gate, the master, the log, and what the client wants confirmed.

use super::batch::{BatchContext, is_long_write};
use super::call::Call;
use super::caller::Caller;
use super::overflow::reply_bytes_max;
use crate::base::ids::RouteId;
use crate::command::{Args, Fault};
use crate::commands::{Block, BlockOn, Command, Outcome, Resume};
use crate::engine::{BlockingKeys, Called};
use crate::metrics::Label;
use crate::node::{BlockedCall, Verb, Wanted};
use crate::resp::Request;
use crate::route::{Acks, Reason};
use crate::session::{AskedAcks, LastReply};
use crate::state::Waiting;

impl Caller {
    /// Runs a write at the master.
    #[inline]
    pub fn write(
        &mut self,
        call: &mut Call<'_>,
        verb: Verb<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        let (command, request) = (call.command, call.request);
        self.session.last = LastReply::OWN;
        let route = self.origin(None).route(command, request);
        context.begin_command(command);
        let master = match self.lock_master(call, context) {
            Ok(master) => master,
            Err(not_now) => return not_now.outcome(),
        };
        let writing = context.locks.writing();
        let scratch = &mut *context.scratch;
        let args = Args::new(request, command.words, self.session.db, &scratch.env);
        if !scratch.works_long && is_long_write(command, writing.engine(), args) {
            return Ok(Outcome::Long);
        }
        let effects = &mut scratch.effects;
        let transaction = writing.begin(effects, context.now);
        let outcome = transaction.call_and_commit(verb, args, &mut self.replies.out);
        let has_changed = !effects.is_empty();
        let end = self.position(context.set.head());
        match has_changed {
            true => {
                context.writes += 1;
                self.session.wrote(end, context.now);
            }
            false => self.session.saw_all(end),
        }
        self.session.last = LastReply::of_master(master, route, Reason::Write);
        context.count(Label::new(route, master, command.id), command);
        self.cache_read(command, request, end);
        if let Called::Block(keys) = outcome? {
            return Ok(self.block_on(keys, call, context));
        }
        if !has_changed {
            return Ok(Outcome::Answered);
        }
        Ok(self.confirmation_of(command, request, route).unwrap_or(Outcome::Answered))
    }

    /// Waits for keys. The master is locked since the call found nothing under them.
    #[cold]
    fn block_on(
        &mut self,
        mut keys: BlockingKeys,
        call: &mut Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Outcome {
        // Its reply comes from elsewhere.
        self.session.last = LastReply::OWN;
        let verb = call.command.blocking_verb(call.request).expect("only a blocking call blocks");
        let block = self.next_block();
        // From here on it may be served.
        self.client.set_waiting(Waiting::Blocked, block);
        if self.session.tracking.is_some() {
            self.cache_wait(call.command, call.request);
        }
        let timeout = keys.timeout;
        let blocked = BlockedCall {
            spec: &call.command.spec,
            verb,
            request: keys.again.take().map_or_else(|| call.request.to_owned(), |it| *it),
            db: self.session.db,
            protocol: self.replies.out.protocol(),
            reply_bytes_max: reply_bytes_max(self.output_limit()),
            client: self.client.clone(),
            block,
        };
        let wait = context.locks.writing().block(keys, blocked);
        Outcome::block(BlockOn::Keys, timeout, Resume::Served(wait))
    }

    /// What must be confirmed before this write's reply may leave: what its route asks for, or all
    /// that its keys' routes do where no single one may have it all.
    #[inline]
    pub fn confirmation_of(
        &self,
        command: &Command,
        request: Request<'_>,
        route: RouteId,
    ) -> Option<Outcome> {
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
        route: RouteId,
        routes: &mut Vec<RouteId>,
    ) {
        let mut note = |it| {
            if !routes.contains(&it) {
                routes.push(it);
            }
        };
        match self.settings.routes.mixes_acks() && 1 < command.spec.keys.count(request) {
            true => self.origin(None).each_route(command, request, note),
            false => note(route),
        }
    }

    /// What must be confirmed before the reply to writes of these routes may leave. A session may
    /// ask for more than its route, not for less.
    pub fn confirmation(&self, routes: &[RouteId]) -> Option<Outcome> {
        let of_route = |it: &RouteId| {
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
        let (on, timeout) = (BlockOn::Offset(wanted.condition(), offset), wanted.timeout());
        let then = Resume::Confirm { wanted, offset, owed: Vec::new(), slot: None };
        Some(Outcome::Block(Box::new(Block { on, timeout, then, route })))
    }
}
