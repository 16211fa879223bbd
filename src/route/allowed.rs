//! Which members may serve a route's reads.

use super::{Candidate, Members};
use crate::base::ids::MemberId;
use crate::base::places::Places;
use crate::base::position::Offset;
use std::fmt;

/// One entry of a route's `members`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// The member of this name.
    Name(String),
    /// The members that have this tag.
    Tag(String),
}

impl Selector {
    const TAG: &str = "tag:";

    /// Reads an entry: a name, or `tag:` and a tag.
    pub fn parse(text: &str) -> Selector {
        match text.strip_prefix(Selector::TAG) {
            Some(tag) => Selector::Tag(tag.to_owned()),
            None => Selector::Name(text.to_owned()),
        }
    }

    /// Whether it selects a member of this name and with these tags. Letters may be of any case, as
    /// in PROXY NODE.
    pub fn selects(&self, name: &str, tags: &[String]) -> bool {
        match self {
            Selector::Name(it) => it.eq_ignore_ascii_case(name),
            Selector::Tag(it) => tags.iter().any(|tag| tag.eq_ignore_ascii_case(it)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Name(name) => f.write_str(name),
            Selector::Tag(tag) => write!(f, "{}{tag}", Selector::TAG),
        }
    }
}

/// The members that may serve the reads of a route which not all may serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowed {
    /// Who they are; the master may be among them, and counts only while it is a replica.
    pub places: Places,
    /// The route names them. Otherwise these are all that are not dedicated to other routes.
    pub named: bool,
}

impl Allowed {
    /// The replica that this worker prefers, by its place among all replicas: the allowed ones are
    /// shared out among the workers as all of them are where nothing is said.
    pub fn preferred(self, worker: usize, master: MemberId) -> Option<usize> {
        let replicas = self.places.without(master);
        let chosen = replicas.iter().nth(worker.checked_rem(replicas.len())?)?;
        Some(chosen.index() - usize::from(master < chosen))
    }
}

/// Members of which only some may serve: the others count as out of service.
pub struct Among<'m, M> {
    /// All of them.
    pub members: &'m M,
    /// Those that may.
    pub allowed: Allowed,
}

impl<M: Members> Members for Among<'_, M> {
    fn master(&self) -> Option<MemberId> {
        self.members.master()
    }

    fn head(&self) -> Offset {
        self.members.head()
    }

    fn replicas(&self) -> usize {
        self.members.replicas()
    }

    fn replica(&self, at: usize) -> Candidate {
        let it = self.members.replica(at);
        let is_allowed = self.allowed.places.has(it.member);
        Candidate { in_service: it.in_service && is_allowed, ..it }
    }

    fn are_named(&self) -> bool {
        self.allowed.named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Class;
    use crate::route::{
        Floor, Ladder, LadderPosition, Level, Plan, ReadRequirements, Reason, StaticMembers, Step,
        Unavailable, Where, plan,
    };
    use std::time::Duration;

    fn places(places: &[u16]) -> Places {
        Places::of(places.iter().copied().map(MemberId))
    }

    #[test]
    fn selectors_read_names_and_tags() {
        let tags = ["analytics".to_owned()];
        let selects = |text: &str| Selector::parse(text).selects("reports", &tags);
        assert!(selects("reports") && selects("Reports") && selects("tag:Analytics"));
        assert!(!selects("analytics") && !selects("tag:reports") && !selects("report"));
        for text in ["reports", "tag:analytics"] {
            assert_eq!(Selector::parse(text).to_string(), text);
        }
    }

    #[test]
    fn workers_share_the_allowed_replicas_among_them() {
        let preferred = |places, master| {
            let allowed = Allowed { places, named: true };
            (0..4).map(|it| allowed.preferred(it, MemberId(master))).collect::<Vec<_>>()
        };
        let to = |all: [usize; 4]| all.map(Some).to_vec();
        assert_eq!(preferred(places(&[1, 3]), 0), to([0, 2, 0, 2]));
        assert_eq!(preferred(places(&[1, 3]), 3), to([1, 1, 1, 1]), "a master is no replica");
        assert_eq!(preferred(places(&[0, 1, 3]), 1), to([0, 2, 0, 2]));
        assert_eq!(preferred(places(&[2]), 2), vec![None; 4]);
    }

    /// Plans an eventual read of members 1 to 3, of which these serve and these may.
    fn planned(ladder: &[Step], serve: &[u16], allowed: &[u16], named: bool) -> Plan {
        let replicas = [1, 2, 3].map(MemberId).map(|member| Candidate {
            member,
            applied: Offset::new(100),
            in_service: serve.contains(&member.0),
            paused: false,
            in_flight: 0,
            behind_us: 0,
        });
        let members = StaticMembers {
            master: Some(MemberId(0)),
            replicas: &replicas,
            head: Offset::new(100),
        };
        let allowed = Allowed { places: places(allowed), named };
        let ladder = Ladder::new(ladder).unwrap();
        let ask = ReadRequirements {
            class: Class::Read,
            level: Level::Eventual,
            floor: Floor::NONE,
            watching: false,
            of_member: false,
            wrote_lately: false,
            preferred: allowed.preferred(0, MemberId(0)),
            random: 7,
            ladder: &ladder,
            ladder_position: LadderPosition::START,
        };
        plan(&ask, &Among { members: &members, allowed })
    }

    #[test]
    fn reads_go_to_allowed_members_alone() {
        let default = Ladder::default();
        for serve in [&[1, 2, 3][..], &[1, 3], &[3]] {
            let plan = planned(default.steps(), serve, &[3], true);
            assert_eq!(
                (plan.to, plan.because),
                (Where::Member(MemberId(3)), Reason::FreshPreferred)
            );
            let plan = planned(default.steps(), serve, &[2, 3], true);
            assert_ne!(plan.to, Where::Member(MemberId(1)));
        }
    }

    #[test]
    fn the_ladder_decides_when_no_named_member_is_in_service() {
        let wait = Step::Wait(Duration::from_secs(1));
        let refused = Where::Refuse(Unavailable::NoMember);
        let cases: [(&[Step], Where); 5] = [
            (&[Step::CatchUp, Step::Master], Where::Member(MemberId(0))),
            (&[Step::Error], refused),
            (&[], refused),
            (&[Step::CatchUp, Step::OtherReplica, wait, Step::Error], refused),
            (&[Step::Stale], refused),
        ];
        for (ladder, to) in cases {
            assert_eq!(planned(ladder, &[1, 2], &[3], true).to, to, "{ladder:?}");
        }
    }

    #[test]
    fn where_none_is_named_a_set_without_replicas_in_service_reads_at_the_master() {
        let plan = planned(&[Step::Error], &[3], &[1, 2], false);
        assert_eq!((plan.to, plan.because), (Where::Member(MemberId(0)), Reason::NoReplicas));
    }
}
