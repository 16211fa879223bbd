//! What every plan keeps, whatever the topology, the level and the ladder.

use super::*;
use crate::route::StepKind;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

const HEAD: u64 = 1000;
const MASTER: MemberId = MemberId(100);

fn candidate() -> impl Strategy<Value = Candidate> {
    (0..=HEAD, any::<bool>(), any::<bool>(), 0..4_u32, 0..3000_u64).prop_map(
        |(applied, in_service, paused, in_flight, behind_us)| {
            let applied = Offset::new(applied);
            Candidate { member: MemberId(0), applied, in_service, paused, in_flight, behind_us }
        },
    )
}

fn level() -> impl Strategy<Value = Level> {
    let bounded = (prop::option::of(0..3_u64), prop::option::of(0..HEAD))
        .prop_map(|(ms, bytes)| Level::Bounded { ms, bytes: bytes.or(ms.xor(Some(9))) });
    let plain = [Level::Master, Level::Linearizable, Level::Global, Level::Sticky, Level::Eventual];
    prop_oneof![2 => prop::sample::select(plain.to_vec()), 1 => bounded]
}

fn floor() -> impl Strategy<Value = Floor> {
    prop_oneof![
        6 => (0..=HEAD + 1).prop_map(|it| Floor::Needs(Offset::new(it))),
        1 => Just(Floor::Lost(Offset::new(5))),
        1 => Just(Floor::Foreign),
    ]
}

fn steps() -> impl Strategy<Value = Ladder> {
    let wait = Step::Wait(Duration::from_millis(20));
    let all = vec![Step::CatchUp, Step::OtherReplica, wait, Step::Master, Step::Stale];
    (prop::sample::subsequence(all, 0..=5).prop_shuffle(), any::<bool>()).prop_map(
        |(mut it, end)| {
            it.extend(end.then_some(Step::Error));
            Ladder::new(&it).unwrap()
        },
    )
}

fn ladder_position() -> impl Strategy<Value = LadderPosition> {
    let left = prop::option::of((0..2_u64).prop_map(Duration::from_millis));
    (0..3_u8, left).prop_map(|(step, left)| LadderPosition { step, left })
}

/// A whole question, with everything it is asked of.
#[derive(Clone, Debug)]
struct Case {
    level: Level,
    floor: Floor,
    preferred: Option<usize>,
    random: u64,
    ladder: Ladder,
    ladder_position: LadderPosition,
    master: Option<MemberId>,
    replicas: Vec<Candidate>,
}

fn case() -> impl Strategy<Value = Case> {
    let master = prop_oneof![4 => Just(Some(MASTER)), 1 => Just(None)];
    let ask =
        (level(), floor(), prop::option::of(0..6_usize), any::<u64>(), steps(), ladder_position());
    (ask, master, vec(candidate(), 0..5)).prop_map(|(ask, master, mut replicas)| {
        let (level, floor, preferred, random, ladder, ladder_position) = ask;
        replicas.iter_mut().enumerate().for_each(|(at, it)| it.member = MemberId::of(at));
        Case { level, floor, preferred, random, ladder, ladder_position, master, replicas }
    })
}

impl Case {
    fn asked(&self) -> ReadRequirements<'_> {
        ReadRequirements {
            class: Class::Read,
            level: self.level,
            floor: self.floor,
            watching: false,
            of_member: false,
            wrote_lately: false,
            preferred: self.preferred,
            random: self.random,
            ladder: &self.ladder,
            ladder_position: self.ladder_position,
        }
    }

    fn static_members(&self) -> StaticMembers<'_> {
        StaticMembers { master: self.master, replicas: &self.replicas, head: Offset::new(HEAD) }
    }

    fn plan(&self) -> Plan {
        plan(&self.asked(), &self.static_members())
    }

    fn replica(&self, member: MemberId) -> Option<&Candidate> {
        self.replicas.iter().find(|it| it.member == member)
    }

    /// Written apart from the code: whether this replica keeps the read's promise as it is.
    fn keeps_the_promise(&self, it: &Candidate) -> bool {
        match (self.level, self.floor) {
            (Level::Bounded { ms, bytes }, Floor::Needs(needs)) => {
                let late = ms.is_some_and(|ms| ms * 1000 < it.behind_us);
                let far = bytes.is_some_and(|bytes| bytes < HEAD - it.applied.bytes());
                !late && !far && needs <= it.applied
            }
            (_, Floor::Needs(needs)) => needs <= it.applied,
            _ => false,
        }
    }

    fn step_of(&self, plan: Plan) -> Option<usize> {
        self.ladder.steps().iter().position(|step| {
            matches!(
                (step, plan.because),
                (Step::CatchUp, Reason::CatchUp)
                    | (Step::OtherReplica, Reason::OtherReplica)
                    | (Step::Wait(_), Reason::Waiting)
                    | (Step::Master, Reason::MasterOnLag)
                    | (Step::Stale, Reason::StaleAllowed)
            )
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whoever_serves_is_in_service(case in case()) {
        let member = match case.plan().to {
            Where::Member(it) => it,
            Where::CatchUp { member, .. } | Where::Wait { member, .. } => member,
            Where::Refuse(_) => return Ok(()),
        };
        let serves = case.replica(member).is_some_and(|it| it.in_service);
        prop_assert!(serves || Some(member) == case.master);
    }

    #[test]
    fn a_replica_that_does_not_keep_the_promise_never_reads_silently(case in case()) {
        let plan = case.plan();
        match plan.to {
            Where::Member(it) if plan.because == Reason::StaleAllowed => {
                prop_assert!(case.ladder.steps().contains(&Step::Stale));
                prop_assert!(case.replica(it).is_some());
            }
            Where::Member(it) if Some(it) != case.master => {
                prop_assert!(case.keeps_the_promise(case.replica(it).unwrap()));
            }
            Where::CatchUp { member, needs, .. } => {
                let before = *case.replica(member).unwrap();
                let after = Candidate { applied: needs, behind_us: 0, ..before };
                prop_assert!(!after.paused, "a paused replica cannot catch up");
                prop_assert!(needs <= Offset::new(HEAD), "nobody can apply what is not there");
                prop_assert!(case.keeps_the_promise(&after));
            }
            _ => {}
        }
    }

    #[test]
    fn writes_and_pinned_reads_only_ever_go_to_the_master(case in case(), why in 0..7) {
        let ask = match why {
            0 => ReadRequirements { class: Class::Write, ..case.asked() },
            1 => ReadRequirements { watching: true, ..case.asked() },
            2 => ReadRequirements { of_member: true, ..case.asked() },
            3 => ReadRequirements { level: Level::Master, ..case.asked() },
            4 => ReadRequirements { floor: Floor::Lost(Offset::new(5)), ..case.asked() },
            5 => ReadRequirements { floor: Floor::Foreign, ..case.asked() },
            _ => ReadRequirements { wrote_lately: true, ..case.asked() },
        };
        let to = plan(&ask, &case.static_members()).to;
        let expected = case.master.map_or(Where::Refuse(Unavailable::MasterDown), Where::Member);
        prop_assert_eq!(to, expected);
    }

    #[test]
    fn a_step_is_taken_only_when_those_before_it_could_not_be(case in case()) {
        let plan = case.plan();
        let Some(taken) = case.step_of(plan) else { return Ok(()) };
        let serving = || case.replicas.iter().filter(|it| it.in_service);
        let reachable = case.floor != Floor::Needs(Offset::new(HEAD + 1));
        let first = usize::from(case.ladder_position.step);
        // A master that came while a later step was tried is better than an error.
        let came_late = taken < first && plan.because == Reason::MasterOnLag;
        prop_assert!(first <= taken || came_late);
        let steps = case.ladder.steps();
        let until = if came_late { steps.len() } else { taken };
        for (at, step) in steps.iter().enumerate().take(until).skip(first) {
            let could = match step {
                Step::Wait(_)
                    if at == first && case.ladder_position.left == Some(Duration::ZERO) =>
                {
                    false
                }
                Step::CatchUp => reachable && serving().any(|it| !it.paused),
                Step::OtherReplica => serving().any(|it| case.keeps_the_promise(it)),
                Step::Wait(_) | Step::Stale => serving().next().is_some(),
                Step::Master => case.master.is_some(),
                Step::Error => true,
            };
            prop_assert!(!could, "{} was passed over for {:?}", step, plan);
        }
    }

    #[test]
    fn a_fresh_preferred_replica_always_wins(case in case()) {
        let preferred = case.preferred.and_then(|it| case.replicas.get(it));
        let is_kept = |it: &&Candidate| it.in_service && case.keeps_the_promise(it);
        let Some(preferred) = preferred.filter(is_kept) else {
            return Ok(());
        };
        let fenced = case.level == Level::Linearizable && case.master.is_none();
        let lost = matches!(case.floor, Floor::Lost(_) | Floor::Foreign);
        if case.level != Level::Master && !fenced && !lost {
            prop_assert_eq!(case.plan().to, Where::Member(preferred.member));
        }
    }

    #[test]
    fn eventual_reads_whatever_is_in_service_and_never_waits(mut case in case()) {
        (case.level, case.floor) = (Level::Eventual, Floor::NONE);
        match case.plan().to {
            Where::Member(_) => {}
            Where::Refuse(Unavailable::MasterDown) => prop_assert!(case.master.is_none()),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn without_replicas_in_service_reads_go_to_the_master(mut case in case()) {
        case.replicas.iter_mut().for_each(|it| it.in_service = false);
        case.master = Some(MASTER);
        prop_assert_eq!(case.plan().to, Where::Member(MASTER));
    }

    /// Found by the simulator: a master that had gone was told as lag.
    #[test]
    fn a_ladder_that_asks_the_master_and_never_says_error_never_says_lagged(case in case()) {
        let asks = |step| case.ladder.steps().contains(&step);
        if let (true, false) = (asks(Step::Master), asks(Step::Error)) {
            let told = case.plan().to;
            let lagged = matches!(told, Where::Refuse(Unavailable::Lagged { .. }));
            prop_assert!(!lagged && told != Where::Refuse(Unavailable::NoMember), "{told:?}");
        }
    }

    #[test]
    fn waiting_always_ends(case in case()) {
        let mut case = case;
        case.ladder_position = LadderPosition::START;
        while let Where::Wait { step, .. } = case.plan().to {
            let over = LadderPosition { step, left: Some(Duration::ZERO) };
            prop_assert!(case.ladder_position.step < step || case.ladder_position != over);
            prop_assert!(usize::from(step) < case.ladder.steps().len());
            case.ladder_position = over;
        }
    }

    #[test]
    fn a_wait_goes_on_until_its_time_is_over(case in case()) {
        let mut case = case;
        case.ladder_position = LadderPosition::START;
        let Where::Wait { needs, at_most, step, .. } = case.plan().to else { return Ok(()) };
        let left = at_most / 2;
        case.ladder_position = LadderPosition { step, left: Some(left) };
        match case.plan().to {
            Where::Wait { needs: still, at_most, step: at, .. } => {
                prop_assert_eq!((still, at_most, at), (needs, left, step));
            }
            Where::Member(it) => {
                prop_assert!(case.keeps_the_promise(case.replica(it).unwrap()), "another will do");
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn of_two_the_less_busy_serves(random: u64, busy in 0..2_usize) {
        let idle = Candidate {
            member: MemberId(0),
            applied: Offset::ZERO,
            in_service: true,
            paused: false,
            in_flight: 0,
            behind_us: 0,
        };
        let mut replicas = [idle, Candidate { member: MemberId(1), ..idle }];
        replicas[busy].in_flight = 1;
        let ladder = Ladder::default();
        let case = Case {
            level: Level::Sticky,
            floor: Floor::NONE,
            preferred: None,
            random,
            ladder,
            ladder_position: LadderPosition::START,
            master: Some(MASTER),
            replicas: replicas.to_vec(),
        };
        prop_assert_eq!(case.plan().to, Where::Member(MemberId::of(1 - busy)));
    }
}

#[test]
fn every_reason_has_its_own_label_and_number() {
    for (at, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, at);
        assert!(Reason::ALL[..at].iter().all(|it| it.as_str() != reason.as_str()));
    }
}

#[test]
fn a_read_that_comes_back_from_a_wait_says_so() {
    let replica = Candidate {
        member: MemberId(3),
        applied: Offset::new(7),
        in_service: true,
        paused: false,
        in_flight: 0,
        behind_us: 0,
    };
    let ladder = Ladder::new(&[Step::Wait(Duration::from_millis(5)), Step::Error]).unwrap();
    let mut case = Case {
        level: Level::Sticky,
        floor: Floor::Needs(Offset::new(9)),
        preferred: Some(0),
        random: 0,
        ladder,
        ladder_position: LadderPosition::START,
        master: Some(MASTER),
        replicas: vec![replica],
    };
    let Where::Wait { member: MemberId(3), step, .. } = case.plan().to else {
        panic!("{:?}", case.plan())
    };
    case.ladder_position = LadderPosition { step, left: Some(Duration::ZERO) };
    let refused = Where::Refuse(Unavailable::Lagged { behind_bytes: 2, moving_bytes: Some(2) });
    assert_eq!(case.plan(), Plan { to: refused, because: Reason::Lagged });
    case.replicas[0].applied = Offset::new(9);
    assert_eq!(case.plan(), Plan { to: Where::Member(MemberId(3)), because: Reason::Waited });
}

#[test]
fn the_step_of_a_plan_is_the_one_of_the_ladder_that_was_taken() {
    let away = |applied, member| Candidate {
        member,
        applied: Offset::new(applied),
        in_service: true,
        paused: true,
        in_flight: 0,
        behind_us: 0,
    };
    let taken = |steps: &[Step]| {
        let case = Case {
            level: Level::Sticky,
            floor: Floor::Needs(Offset::new(9)),
            preferred: Some(0),
            random: 0,
            ladder: Ladder::new(steps).unwrap(),
            ladder_position: LadderPosition::START,
            master: Some(MASTER),
            replicas: vec![away(7, MemberId(0)), away(9, MemberId(1))],
        };
        case.plan().because.step()
    };
    let wait = Step::Wait(Duration::from_millis(1));
    for step in [Step::OtherReplica, wait, Step::Master, Step::Stale, Step::Error] {
        assert_eq!(taken(&[Step::CatchUp, step]), Some(step.kind()), "{step}");
    }
    assert_eq!(taken(&[]), Some(StepKind::Error), "a ladder that runs out");
    for (at, kind) in StepKind::ALL.iter().enumerate() {
        assert_eq!(*kind as usize, at);
    }
}

#[test]
fn the_time_that_is_left_is_that_of_the_wait_that_has_ended() {
    let wait = |ms| Step::Wait(Duration::from_millis(ms));
    let ladder = Ladder::new(&[wait(10), Step::OtherReplica, wait(20)]).unwrap();
    let behind = Candidate {
        member: MemberId(0),
        applied: Offset::ZERO,
        in_service: true,
        paused: false,
        in_flight: 0,
        behind_us: 0,
    };
    let case = Case {
        level: Level::Sticky,
        floor: Floor::Needs(Offset::new(5)),
        preferred: Some(0),
        random: 0,
        ladder,
        ladder_position: LadderPosition { step: 0, left: Some(Duration::ZERO) },
        master: Some(MASTER),
        replicas: vec![behind],
    };
    let Where::Wait { at_most, step, .. } = case.plan().to else { panic!("{:?}", case.plan()) };
    assert_eq!((at_most, step), (Duration::from_millis(20), 2));
}

#[test]
fn every_step_of_a_ladder_has_the_one_reason_that_it_was_taken() {
    for kind in StepKind::ALL {
        let reasons = Reason::ALL.iter().filter(|it| it.step() == Some(*kind));
        assert_eq!(reasons.count(), 1, "{kind:?}");
    }
}

/// Two replicas: what each has applied, and whether it is paused. The worker prefers the first.
fn of_two(needs: u64, replicas: [(u64, bool); 2], steps: &[Step]) -> Case {
    let replica = |at: usize| Candidate {
        member: MemberId::of(at),
        applied: Offset::new(replicas[at].0),
        in_service: true,
        paused: replicas[at].1,
        in_flight: 0,
        behind_us: 0,
    };
    Case {
        level: Level::Sticky,
        floor: Floor::Needs(Offset::new(needs)),
        preferred: Some(0),
        random: 0,
        ladder: Ladder::new(steps).unwrap(),
        ladder_position: LadderPosition::START,
        master: Some(MASTER),
        replicas: vec![replica(0), replica(1)],
    }
}

#[test]
fn after_a_wait_any_replica_that_has_become_fresh_serves() {
    let wait = Step::Wait(Duration::from_millis(5));
    let mut case = of_two(9, [(7, false), (9, false)], &[wait, Step::Error]);
    assert!(matches!(case.plan().to, Where::Wait { member: MemberId(0), .. }));
    case.ladder_position = LadderPosition { step: 0, left: Some(Duration::ZERO) };
    let fresh = Plan { to: Where::Member(MemberId(1)), because: Reason::Waited };
    assert_eq!(case.plan(), fresh);
}

#[test]
fn who_catches_up_goes_on_at_the_step_behind_that() {
    for (steps, next) in [
        (vec![Step::CatchUp, Step::Error], 1),
        (vec![Step::OtherReplica, Step::CatchUp], 2),
        (vec![Step::OtherReplica, Step::Wait(Duration::ZERO), Step::CatchUp], 3),
    ] {
        let plan = of_two(9, [(7, false), (7, false)], &steps).plan();
        let Where::CatchUp { step, .. } = plan.to else { panic!("{plan:?}") };
        assert_eq!(step, next, "{steps:?}");
    }
}

#[test]
fn a_read_waits_for_a_replica_that_moves_if_there_is_one_and_the_preferred_if_it_can() {
    let steps = [Step::Wait(Duration::from_millis(5))];
    for (paused, expected) in
        [([false, false], 0), ([false, true], 0), ([true, false], 1), ([true, true], 0)]
    {
        let case = of_two(9, paused.map(|it| (7, it)), &steps);
        for random in [0, u64::MAX] {
            let plan = Case { random, ..case.clone() }.plan();
            let Where::Wait { member, .. } = plan.to else { panic!("{plan:?}") };
            assert_eq!(member, MemberId::of(expected), "{paused:?}");
        }
    }
}

#[test]
fn a_refusal_tells_how_far_one_must_come_that_moves_and_can() {
    let moving = |needs, replicas| match of_two(needs, replicas, &[Step::Error]).plan().to {
        Where::Refuse(Unavailable::Lagged { moving_bytes, .. }) => moving_bytes,
        other => panic!("{other:?}"),
    };
    assert_eq!(moving(HEAD, [(HEAD - 9, false), (HEAD - 5, true)]), Some(9));
    assert_eq!(moving(HEAD, [(HEAD - 9, true), (HEAD - 5, true)]), None, "all are paused");
    let beyond = moving(HEAD + 1, [(HEAD, false), (HEAD, false)]);
    assert_eq!(beyond, None, "nobody can apply what the master does not have");
}

#[test]
fn any_two_replicas_are_thrown_as_often_as_any_others() {
    let replica = |at: usize| Candidate {
        member: MemberId::of(at),
        applied: Offset::ZERO,
        in_service: true,
        paused: false,
        in_flight: at as u32,
        behind_us: 0,
    };
    let mut random = crate::base::random::Random::new(1);
    let mut wins = [0; 4];
    for _ in 0..6000 {
        let case = Case {
            preferred: None,
            random: random.bits(),
            replicas: (0..4).map(replica).collect(),
            ..of_two(0, [(0, false); 2], &[])
        };
        let Where::Member(it) = case.plan().to else { panic!("{:?}", case.plan()) };
        wins[it.index()] += 1;
    }
    // The idlest is in three of six pairs, the next beats two more, the next one.
    for (won, expected) in wins.into_iter().zip([3000, 2000, 1000, 0_i32]) {
        assert!((won - expected).abs() < 200, "{wins:?}");
    }
}
