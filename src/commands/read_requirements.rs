//! What a read of a session asks for: the one place where routes, levels and floors come together,
//! for the request path and for PROXY EXPLAIN.

use super::context::Command;
use crate::base::ids::RouteId;
use crate::base::position::{Coverage, Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::command::Class;
use crate::node::ReplicaSet;
use crate::resp::Request;
use crate::route::{Floor, LadderPosition, Level, Question, ReadRequirements, Route, Routes};
use crate::session::{Once, Session};

/// Where a request comes from.
#[derive(Clone, Copy)]
pub struct RequestContext<'a> {
    /// The rules in force.
    pub routes: &'a Routes,
    /// Who asks.
    pub session: &'a Session,
    /// What this one command asks for itself (PROXY ONCE).
    pub once: Option<&'a Once>,
    /// Name of the listener it came in by.
    pub listener: &'a str,
    /// The listener's own level.
    pub listener_level: Option<Level>,
    /// Where the stream ended when the read arrived, if that was before this plan: a floor does not
    /// move while a read waits for it.
    pub arrived: Option<Position>,
}

impl<'a> RequestContext<'a> {
    /// The number of the route of this request.
    #[inline]
    pub fn route(&self, command: &Command, request: Request<'_>) -> RouteId {
        match self.routes.is_trivial() {
            true => RouteId::DEFAULT,
            false => self.choose(command, request),
        }
    }

    /// Apart, so that servers without rules pay for no more than the look whether there are any.
    #[inline(never)]
    fn choose(&self, command: &Command, request: Request<'_>) -> RouteId {
        self.routes.choose(&self.question(command, request))
    }

    /// Tells the route of each key of this request.
    pub fn each_route(&self, command: &Command, request: Request<'_>, tell: impl FnMut(RouteId)) {
        self.routes.each(&self.question(command, request), tell);
    }

    /// The route that refuses this request, if one does.
    pub fn refusing(&self, command: &Command, request: Request<'_>) -> Option<&'a Route> {
        self.routes.refusing(&self.question(command, request))
    }

    fn question<'q>(&self, command: &'q Command, request: Request<'q>) -> Question<'q>
    where
        'a: 'q,
    {
        Question {
            command: &command.upper_name,
            class: command.class(request),
            group: command.spec.group,
            keys: command.spec.keys,
            request,
            db: self.session.db,
            user: &self.session.user,
            client: &self.session.name,
            listener: self.listener,
        }
    }

    /// What a request of `class` on `route` asks for.
    #[inline]
    pub fn ask(
        &self,
        class: Class,
        route: RouteId,
        set: &ReplicaSet,
        history: &ReplicationHistory,
        now: MonoUs,
        preferred: Option<usize>,
    ) -> ReadRequirements<'a> {
        let session = self.session;
        let level = self.routes.level(route, session.level, self.listener_level);
        let route = self.routes.get(route);
        let head = self.head_on_arrival(history).unwrap_or_else(|| set.head());
        let everyone = Some(Position { replid: history.replid, offset: head });
        let mut asked = ReadRequirements {
            class,
            level,
            floor: Floor::of(level, session.floor, everyone, head, history),
            watching: session.is_watching(),
            of_member: false,
            wrote_lately: session.wrote_lately(route.sticky_for, now),
            preferred,
            random: 0,
            ladder: &route.ladder,
            ladder_position: LadderPosition::START,
        };
        let is_plain = self.once.is_none() && session.ladder.is_none();
        if !is_plain || session.subscriptions.is_some() {
            self.as_wanted(&mut asked, everyone, head, history);
        }
        asked
    }

    /// As the session wants it, for one command or for all.
    #[cold]
    fn as_wanted(
        &self,
        asked: &mut ReadRequirements<'a>,
        everyone: Option<Position>,
        head: Offset,
        history: &ReplicationHistory,
    ) {
        let session = self.session;
        if let Some(once) = self.once {
            let level = once.level_over(asked.level);
            let floor = Floor::of(level, session.floor, everyone, head, history);
            asked.floor = once.floor.map_or(floor, |it| floor.and_of(level, it, history));
            asked.level = level;
        }
        // What was told is seen at every level: whoever publishes has written before.
        let told = session.subscriptions.as_ref().and_then(|it| it.told_in(history));
        asked.floor = told.map_or(asked.floor, |it| asked.floor.and_of(Level::Sticky, it, history));
        let once = self.once.and_then(|it| it.ladder.as_ref());
        asked.ladder = once.or(session.ladder.as_deref()).unwrap_or(asked.ladder);
    }

    fn head_on_arrival(&self, history: &ReplicationHistory) -> Option<Offset> {
        match history.cover(self.arrived?) {
            Coverage::To(offset) => Some(offset),
            Coverage::Lost(_) | Coverage::Foreign => None,
        }
    }
}

/// The replica a worker prefers, by its place among `replicas` replicas.
#[inline]
pub fn preferred_replica(worker: usize, replicas: usize) -> Option<usize> {
    match replicas {
        0 => None,
        _ => Some(worker % replicas),
    }
}
