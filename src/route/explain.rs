//! A plan told in words: what PROXY EXPLAIN answers.

use super::{
    Allowed, Among, Candidate, Floor, Level, Members, Plan, ReadRequirements, Reason, Route,
    Unavailable, Where, plan,
};
use crate::base::ids::MemberId;
use crate::base::position::Offset;

/// One replica, as the plan saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Considered {
    /// Its name.
    pub name: String,
    /// How it stood.
    pub stood: Candidate,
    /// Stream bytes it had still to apply.
    pub behind_bytes: u64,
    /// Whether it is the replica the worker prefers.
    pub preferred: bool,
    /// Whether it may serve reads of this route.
    pub allowed: bool,
}

/// A plan with all that it was made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The route's name, and what made it match.
    pub route: String,
    /// The level of the read.
    pub level: Level,
    /// Who shares the session's floor, where sessions are known.
    pub scope: Option<String>,
    /// What the level needed.
    pub floor: Floor,
    /// Whose floor that is, if the level has one.
    pub floor_of: Option<String>,
    /// The ladder, as written.
    pub ladder: String,
    /// Which replicas may serve the read, and what says so, unless all may.
    pub members: Option<String>,
    /// The master's name, if one is in service.
    pub master: Option<String>,
    /// The master's offset.
    pub head: Offset,
    /// The replicas.
    pub candidates: Vec<Considered>,
    /// Where the request goes.
    pub plan: Plan,
    /// The name of the member it goes to.
    pub chosen: Option<String>,
}

/// Plans, and tells how. `allowed` are the members that may serve, unless all may. `name` turns a
/// member's number into its name.
pub fn explain(
    route: &Route,
    ask: &ReadRequirements<'_>,
    members: &impl Members,
    allowed: Option<Allowed>,
    name: impl Fn(MemberId) -> String,
) -> Explanation {
    let head = members.head();
    let candidates = (0..members.replicas()).map(|at| {
        let stood = members.replica(at);
        let behind_bytes = head.since(stood.applied);
        Considered {
            name: name(stood.member),
            stood,
            behind_bytes,
            preferred: ask.preferred == Some(at),
            allowed: allowed.is_none_or(|it| it.places.has(stood.member)),
        }
    });
    // A place without a name is one that its member has left.
    let candidates: Vec<Considered> = candidates.filter(|it| !it.name.is_empty()).collect();
    let plan = match allowed {
        Some(allowed) => plan(ask, &Among { members, allowed }),
        None => plan(ask, members),
    };
    Explanation {
        route: route.told(),
        level: ask.level,
        scope: None,
        floor: ask.floor,
        floor_of: None,
        ladder: ask.ladder.to_string(),
        members: allowed.map(|it| told(it, route, &candidates)),
        master: members.master().map(&name),
        head,
        candidates,
        plan,
        chosen: plan.to.member().map(&name),
    }
}

/// `tag:analytics → reports`.
fn told(allowed: Allowed, route: &Route, candidates: &[Considered]) -> String {
    let by = match allowed.named {
        true => route.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        false => "not dedicated to other routes".to_owned(),
    };
    let names: Vec<&str> =
        candidates.iter().filter(|it| it.allowed).map(|it| it.name.as_str()).collect();
    let names = if names.is_empty() { "no replica".to_owned() } else { names.join(", ") };
    format!("{by} → {names}")
}

impl Explanation {
    /// One line per fact, in the order they were weighed.
    pub fn lines(&self) -> Vec<String> {
        let master = self.master.as_deref().unwrap_or("none in service");
        let mut lines = vec![format!("route {}", self.route), format!("level {}", self.level)];
        lines.extend(self.scope.iter().map(|it| format!("scope {it}")));
        let of = self.floor_of.as_deref().map_or(String::new(), |it| format!(" {it}"));
        lines.push(format!("floor {}{of}", self.floor));
        lines.push(format!("ladder {}", self.ladder));
        lines.extend(self.members.iter().map(|it| format!("members {it}")));
        lines.push(format!("master {master} offset {}", self.head));
        lines.extend(self.candidates.iter().map(Considered::line));
        lines.push(format!("chosen {}", self.choice()));
        let because = self.plan.because;
        lines.push(format!("because {}: {}", because.as_str(), self.sentence(because)));
        lines
    }

    /// What the reason means here: replicas are behind only where some serve, and a read that needs
    /// nothing finds no replica fresh enough.
    fn sentence(&self, because: Reason) -> &'static str {
        let serves = |it: &Considered| it.allowed && it.stood.in_service;
        let is_served = self.candidates.iter().any(serves);
        let needs_nothing = self.level == Level::Eventual && self.floor == Floor::NONE;
        match because {
            Reason::Lagged if !is_served => {
                "no member that may serve it is in service; the ladder has nothing left"
            }
            Reason::MasterOnLag if !is_served => {
                "no member that may serve it is in service; the ladder says master"
            }
            Reason::FreshPreferred if needs_nothing => {
                "eventual asks for nothing, and this is the worker's own replica"
            }
            Reason::FreshOther if needs_nothing => "eventual asks for nothing, any replica will do",
            because => because.sentence(),
        }
    }

    fn choice(&self) -> String {
        let name = self.chosen.as_deref().unwrap_or("nobody");
        match self.plan.to {
            Where::Member(_) => name.to_owned(),
            Where::CatchUp { needs, .. } => format!("{name} after catching up to {needs}"),
            Where::Wait { needs, at_most, .. } => {
                format!("{name} once it has {needs}, waiting {at_most:?} at most")
            }
            Where::Refuse(Unavailable::Lagged { behind_bytes, .. }) => {
                format!("{name}: -LAGGED, {behind_bytes} bytes are missing")
            }
            Where::Refuse(Unavailable::NoMember) => {
                format!("{name}: -LAGGED, no member that may serve it is in service")
            }
            Where::Refuse(Unavailable::MasterDown) => format!("{name}: -MASTERDOWN"),
        }
    }
}

impl Considered {
    fn line(&self) -> String {
        let Candidate { applied, in_service, paused, in_flight, behind_us, .. } = self.stood;
        let notes = [
            (self.preferred, " preferred"),
            (!self.allowed, " not-allowed"),
            (!in_service, " out-of-service"),
            (paused, " paused"),
        ];
        let notes: String = notes.iter().filter(|it| it.0).map(|it| it.1).collect();
        let (name, bytes) = (&self.name, self.behind_bytes);
        let lag = match behind_us {
            u64::MAX => format!("behind {bytes} bytes, nobody can tell for how long"),
            // It has heard nothing for so long, whether there was something to hear or not.
            us if paused => format!("behind {bytes} bytes, at most {us} us old"),
            us => format!("behind {bytes} bytes {us} us"),
        };
        format!("replica {name} offset {applied} {lag} in-flight {in_flight}{notes}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::places::Places;
    use crate::command::Class;
    use crate::route::{Ladder, LadderPosition, Selector, StaticMembers, Step};

    fn explained(route: &Route, allowed: Option<Allowed>) -> Vec<String> {
        explained_at(
            Level::Sticky,
            Floor::Needs(Offset::new(95)),
            &Ladder::default(),
            route,
            allowed,
        )
    }

    fn explained_at(
        level: Level,
        floor: Floor,
        ladder: &Ladder,
        route: &Route,
        allowed: Option<Allowed>,
    ) -> Vec<String> {
        explanation(level, floor, ladder, route, allowed).lines()
    }

    fn explanation(
        level: Level,
        floor: Floor,
        ladder: &Ladder,
        route: &Route,
        allowed: Option<Allowed>,
    ) -> Explanation {
        let stands = |member, applied, in_service| Candidate {
            member,
            applied: Offset::new(applied),
            in_service,
            paused: false,
            in_flight: 1,
            behind_us: 40,
        };
        let replicas = [stands(MemberId(1), 90, true), stands(MemberId(2), 100, false)];
        let members = StaticMembers {
            master: Some(MemberId(0)),
            replicas: &replicas,
            head: Offset::new(100),
        };
        let ask = ReadRequirements {
            class: Class::Read,
            level,
            floor,
            watching: false,
            of_member: false,
            wrote_lately: false,
            preferred: Some(0),
            random: 0,
            ladder,
            ladder_position: LadderPosition::START,
        };
        explain(route, &ask, &members, allowed, |it| format!("n{}", it.0 + 1))
    }

    #[test]
    fn an_explanation_shows_everything_that_was_weighed() {
        let told = explained(&Route::default(), None);
        let expected = [
            "route default (no rule matched)",
            "level sticky",
            "floor 95",
            "ladder catch-up, master",
            "master n1 offset 100",
            "replica n2 offset 90 behind 10 bytes 40 us in-flight 1 preferred",
            "replica n3 offset 100 behind 0 bytes 40 us in-flight 1 out-of-service",
            "chosen n2 after catching up to 95",
            "because catch-up: this replica is behind, applies what it is missing, and reads",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_explanation_shows_who_may_serve_and_what_says_so() {
        let members = ["tag:analytics", "n1"].map(Selector::parse).to_vec();
        let route = Route { members, ..Route::default() };
        let only = |member: u16, named| {
            Some(Allowed { places: Places::of([MemberId(member)].into_iter()), named })
        };
        let told = explained(&route, only(2, true));
        assert_eq!(told[4], "members tag:analytics, n1 → n3");
        assert!(told[6].ends_with("in-flight 1 preferred not-allowed"), "{}", told[6]);
        assert!(told[7].ends_with("in-flight 1 out-of-service"), "{}", told[7]);
        assert_eq!(told[8], "chosen n1", "the ladder ends at the master");
        let told = explained(&route, only(0, true));
        assert_eq!(told[4], "members tag:analytics, n1 → no replica");
        let told = explained(&Route::default(), only(1, false));
        assert_eq!(told[4], "members not dedicated to other routes → n2");
        assert_eq!(told[8], "chosen n2 after catching up to 95");
    }

    #[test]
    fn a_reason_says_no_more_than_is_true() {
        let nobody = Some(Allowed { places: Places::of([].into_iter()), named: true });
        let route = Route::default();
        let last = |level, floor, ladder: &Ladder, allowed| {
            explained_at(level, floor, ladder, &route, allowed).pop().unwrap()
        };
        let (default, none) = (Ladder::default(), Ladder::new(&[]).unwrap());
        let eventual = |allowed| last(Level::Eventual, Floor::NONE, &default, allowed);
        let told = "because fresh-preferred: eventual asks for nothing, and this is the worker's";
        assert!(eventual(None).starts_with(told), "{}", eventual(None));
        let told = "because master-on-lag: no member that may serve it is in service; the ladder";
        assert!(eventual(nobody).starts_with(told), "{}", eventual(nobody));
        let refused = last(Level::Eventual, Floor::NONE, &none, nobody);
        let told = "because lagged: no member that may serve it is in service; the ladder has";
        assert!(refused.starts_with(told), "{refused}");
        // A message has raised its floor.
        let fresh = last(Level::Eventual, Floor::Needs(Offset::new(90)), &default, None);
        assert!(fresh.ends_with("this worker's own replica is fresh enough"), "{fresh}");
        let refused = last(Level::Sticky, Floor::Needs(Offset::new(95)), &none, None);
        assert!(refused.starts_with("because lagged: replicas are behind"), "{refused}");
    }

    #[test]
    fn an_age_is_told_as_far_as_it_is_known() {
        let line = |paused, behind_us| {
            let (member, applied) = (MemberId(1), Offset::new(90));
            let in_service = behind_us != u64::MAX;
            let stood = Candidate { member, applied, in_service, paused, in_flight: 0, behind_us };
            let name = "n2".to_owned();
            Considered { name, stood, behind_bytes: 10, preferred: false, allowed: true }.line()
        };
        let told = "replica n2 offset 90 behind 10 bytes";
        assert_eq!(line(false, 40), format!("{told} 40 us in-flight 0"));
        assert_eq!(line(true, 40), format!("{told}, at most 40 us old in-flight 0 paused"));
        let unknown = "nobody can tell for how long in-flight 0 out-of-service paused";
        assert_eq!(line(true, u64::MAX), format!("{told}, {unknown}"));
    }

    #[test]
    fn replicas_are_called_behind_only_where_the_read_needs_something() {
        let (route, allowed) = (Route::default(), None);
        let ladder = Ladder::new(&[Step::Master]).unwrap();
        let needs = Floor::Needs(Offset::new(95));
        let told = explained_at(Level::Sticky, needs, &ladder, &route, allowed);
        let because = "because master-on-lag: replicas are behind; the ladder says master";
        assert_eq!(told.last().unwrap(), because);
        assert_eq!(
            explained_at(Level::Eventual, Floor::NONE, &ladder, &route, None)[2],
            "floor none"
        );
        for (level, floor, expected) in [
            (Level::Eventual, Floor::NONE, "eventual asks for nothing, any replica will do"),
            (Level::Eventual, needs, "this replica is fresh enough"),
            (Level::Sticky, Floor::NONE, "this replica is fresh enough"),
        ] {
            let explained = explanation(level, floor, &ladder, &route, allowed);
            assert_eq!(explained.sentence(Reason::FreshOther), expected);
        }
    }
}
