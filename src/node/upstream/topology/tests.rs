//! Members that tell of themselves.

use super::*;
use crate::route::{Allowed, Members};

pub fn view_of(master: Option<usize>, members: usize) -> UpstreamView {
    let state = |at| match master {
        Some(master) if at == master => MemberState::Master,
        _ => MemberState::Replica,
    };
    let member = |at| ViewMember {
        state: state(at),
        at: None,
        fresh_at: None,
        life: 0,
        load: Arc::default(),
        share: 100,
        is_ejected: false,
        ejections: 0,
    };
    UpstreamView {
        master: master.map(MemberId::of),
        members: (0..members).map(member).collect(),
        history: None,
        epoch: 1,
    }
}

use crate::base::position::ReplId;

const OLD: ReplId = ReplId::new([1; 20]);
const NEW: ReplId = ReplId::new([2; 20]);

fn report(is_master: bool, replid: ReplId, offset: u64) -> Report {
    Report {
        is_master,
        at: Position { replid, offset: Offset::new(offset) },
        past: Vec::new(),
        follows: None,
        is_linked: !is_master,
        is_syncing: false,
        proxy: None,
        acked: Vec::new(),
    }
}

/// One of three members tells this, a second after the one before.
struct Told {
    topology: Topology,
    now: MonoUs,
}

impl Told {
    fn new(has_sentinels: bool) -> Told {
        let mut topology = Topology::new(has_sentinels);
        (0..3).for_each(|_| {
            topology.add(1, MonoUs(0)).unwrap();
        });
        Told { topology, now: MonoUs(0) }
    }

    fn tell(&mut self, member: u16, report: Report) -> bool {
        self.now = MonoUs(self.now.0 + 1_000_000);
        self.topology.reported(MemberId(member), report, self.now)
    }

    fn states(&self) -> Vec<&'static str> {
        self.topology.view().members.iter().map(|it| it.state.as_str()).collect()
    }
}

#[test]
fn the_one_that_says_so_is_the_master_and_two_that_do_are_none() {
    let mut told = Told::new(false);
    assert_eq!(told.states(), ["unknown"; 3]);
    assert!(told.tell(0, report(true, OLD, 10)));
    assert!(told.tell(1, report(false, OLD, 9)));
    told.tell(2, Report { is_linked: false, ..report(false, OLD, 9) });
    assert_eq!(told.states(), ["master", "replica", "link-down"]);
    assert!(!told.tell(1, report(false, OLD, 10)), "a place is no change");
    let epoch = told.topology.view().epoch;
    told.tell(1, report(true, NEW, 10));
    assert_eq!(told.states(), ["two-masters", "two-masters", "link-down"]);
    let view = told.topology.view();
    assert!(view.master.is_none() && epoch < view.epoch);
    told.topology.failed(MemberId(0), MemberState::Silent);
    assert_eq!(told.states(), ["silent", "master", "link-down"]);
    told.tell(2, report(false, OLD, 11));
    assert_eq!(told.states(), ["silent", "master", "other-history"]);
    assert!(!told.topology.view().serves_reads(2));
}

#[test]
fn with_sentinels_nobody_is_master_whom_they_do_not_name() {
    let mut told = Told::new(true);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    assert_eq!(told.states(), ["not-appointed", "replica", "unknown"]);
    assert!(told.topology.appoint(Some(MemberId(0))));
    assert_eq!(told.states()[0], "master");
    told.topology.appoint(Some(MemberId(1)));
    assert_eq!(told.topology.view().master, None, "who is named does not say so yet");
    let promoted = Report {
        past: vec![Position { replid: OLD, offset: Offset::new(8) }],
        ..report(true, NEW, 12)
    };
    told.tell(1, promoted);
    assert_eq!(told.states()[..2], ["not-appointed", "master"]);
    let history = told.topology.view().history.unwrap();
    let floor = |offset| Position { replid: OLD, offset: Offset::new(offset) };
    use crate::base::position::Coverage;
    assert_eq!(history.cover(floor(8)), Coverage::To(Offset::new(8)));
    assert_eq!(history.cover(floor(9)), Coverage::Lost(Offset::new(8)));
}

#[test]
fn how_old_a_replica_is_goes_by_what_the_master_had_when_it_was_asked() {
    let mut told = Told::new(false);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    told.tell(0, report(true, OLD, 20));
    told.tell(1, report(false, OLD, 15));
    let fresh = |told: &Told, age| told.topology.view().fresh_replicas(age, told.now);
    assert_eq!((fresh(&told, 3_000_000), fresh(&told, 2_999_999)), (1, 0));
    told.tell(1, report(false, OLD, 20));
    assert_eq!((fresh(&told, 2_000_000), fresh(&told, 1_999_999)), (1, 0));
    let needs = |age| told.topology.needs_for_age(age, told.now).map(|it| it.0.offset.bytes());
    assert_eq!([5_000_000, 2_000_000, 1_000_000].map(needs), [Some(10), Some(20), None]);
    told.topology.failed(MemberId(1), MemberState::Silent);
    assert_eq!(fresh(&told, 9_000_000), 0, "who does not answer is not known to be fresh");
}

#[test]
fn of_two_replicas_the_less_busy_one_is_taken() {
    let view = view_of(Some(0), 3);
    (0..5).for_each(|_| view.members[1].load.begin());
    let mut random = crate::base::random::Random::new(1);
    let mut chosen = [0; 3];
    for _ in 0..200 {
        chosen[view.replica(None, random.bits(), |_| true).unwrap().index()] += 1;
    }
    assert!(chosen[0] == 0 && chosen[1] < chosen[2], "{chosen:?}");
    assert_eq!(view.replica(None, 0, |it| it == MemberId(0)), None, "the master is no replica");
}

#[test]
fn one_of_more_weight_gets_more_and_a_slow_one_less() {
    let chosen = |view: &UpstreamView| {
        let mut random = crate::base::random::Random::new(1);
        let mut chosen = [0; 3];
        for _ in 0..300 {
            chosen[view.replica(None, random.bits(), |_| true).unwrap().index()] += 1;
        }
        chosen
    };
    let mut view = view_of(Some(0), 3);
    view.members[2].share = 300;
    for at in [1, 2] {
        view.members[at].load.answered(MonoUs(0), MonoUs(200));
    }
    let [_, light, heavy] = chosen(&view);
    assert!(2 * light < heavy, "{light} {heavy}");
    view.members[2].share = 100;
    view.members[2].load.answered(MonoUs(0), MonoUs(2000));
    let [_, fast, slow] = chosen(&view);
    assert!(slow < fast, "{slow} {fast}");
}

#[test]
fn a_replica_that_comes_back_begins_with_less() {
    let mut told = Told::new(false);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    let share = |told: &Told| told.topology.view().members[1].share;
    assert_eq!(share(&told), 100, "at the start there is nobody to spare it");
    told.topology.failed(MemberId(1), MemberState::Silent);
    told.tell(1, report(false, OLD, 10));
    assert_eq!(share(&told), 10);
    (0..5).for_each(|_| {
        told.tell(0, report(true, OLD, 10));
    });
    assert_eq!(share(&told), 55);
    (0..5).for_each(|_| {
        told.tell(0, report(true, OLD, 10));
    });
    assert_eq!(share(&told), 100);
}

#[test]
fn a_drained_replica_is_fed_and_not_read() {
    let mut told = Told::new(false);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    assert!(told.topology.leave(MemberId(1), Availability::Drained));
    let view = told.topology.view();
    assert_eq!(view.members[1].state, MemberState::Drained);
    assert!(!view.serves_reads(1));
    assert_eq!(view.fresh_replicas(10_000_000, told.now), 1);
    assert!(told.topology.leave(MemberId(1), Availability::Full));
    assert!(told.topology.view().serves_reads(1));
}

#[test]
fn members_have_places_in_their_order_and_each_is_a_change() {
    let mut topology = Topology::new(false);
    for it in 0..3 {
        assert_eq!(topology.add(1, MonoUs(0)), Some(MemberId::of(it)));
        assert_eq!(topology.view().epoch, it as u64 + 1);
    }
}

#[test]
fn a_member_begins_another_life_each_time_that_it_cannot_be_reached_any_more() {
    let mut told = Told::new(false);
    let unreachable = || MemberState::Unreachable("refused".into());
    let life = |told: &Told| told.topology.view().members[0].life;
    assert_eq!(life(&told), 0);
    for (state, expected) in [
        (MemberState::Silent, 0),
        (unreachable(), 1),
        (unreachable(), 1),
        (MemberState::Loading, 1),
        (unreachable(), 2),
    ] {
        told.topology.failed(MemberId(0), state);
        assert_eq!(life(&told), expected);
    }
    told.tell(0, report(true, OLD, 10));
    assert_eq!(life(&told), 2);
    told.topology.failed(MemberId(0), unreachable());
    assert_eq!(life(&told), 3);
}

#[test]
fn only_places_of_the_master_itself_tell_how_old_a_replica_is() {
    let mut told = Told::new(true);
    told.topology.appoint(Some(MemberId(0)));
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(true, OLD, 500));
    assert_eq!(told.states()[..2], ["master", "not-appointed"]);
    let needs = told.topology.needs_for_age(u64::MAX, told.now).map(|it| it.0.offset.bytes());
    assert_eq!(needs, Some(10));
    told.tell(0, report(true, OLD, 20));
    let needs = told.topology.needs_for_age(0, told.now).map(|it| it.0.offset.bytes());
    assert_eq!(needs, Some(20));
}

#[test]
fn another_history_of_the_same_master_is_a_change() {
    let mut told = Told::new(false);
    assert!(told.tell(0, report(true, OLD, 10)));
    assert!(!told.tell(0, report(true, OLD, 20)));
    assert!(told.tell(0, report(true, NEW, 20)));
}

#[test]
fn who_was_away_is_fresh_only_by_what_it_tells_afterwards() {
    let mut told = Told::new(false);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    let fresh = |told: &Told| told.topology.view().fresh_replicas(u64::MAX, told.now);
    assert_eq!(fresh(&told), 1);
    told.tell(1, Report { is_syncing: true, ..report(false, OLD, 10) });
    assert_eq!(told.states()[1], "syncing");
    told.tell(1, report(false, OLD, 5));
    assert_eq!((told.states()[1], fresh(&told)), ("replica", 0));
}

#[test]
fn a_replica_without_its_link_serves_who_takes_anything_and_a_plan_sees_the_others() {
    let mut told = Told::new(false);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    assert_eq!(told.topology.view().unfed_replica(None, |_| true), None);
    told.tell(2, Report { is_linked: false, ..report(false, OLD, 9) });
    let view = told.topology.view();
    assert_eq!(view.unfed_replica(None, |_| true), Some(MemberId(2)));
    let only = |at| {
        let places = Places::of([MemberId(at)].into_iter());
        Some(Allowed { places, named: true })
    };
    assert_eq!([1, 2].map(|it| view.unfed_replica(only(it), |_| true)), [None, Some(MemberId(2))]);
    assert_eq!((Members::master(&view), view.replicas()), (Some(MemberId(0)), 3));
    assert_eq!(view.head(), Offset::MAX);
    let serves = [0, 1, 2].map(|it| Members::replica(&view, it).in_service);
    assert_eq!(serves, [false, true, false]);
}

#[test]
fn a_state_says_why_where_somebody_has_said_so() {
    assert_eq!(MemberState::LinkDown.to_string(), "link-down");
    assert_eq!(MemberState::Refused("NOAUTH".into()).to_string(), "refused (NOAUTH)");
}

#[test]
fn many_places_of_the_master_are_remembered_the_newest_all_and_of_the_older_some() {
    let mut told = Told::new(false);
    for it in 1..=2000 {
        told.tell(0, report(true, OLD, it * 10));
    }
    let needs = |age| told.topology.needs_for_age(age, told.now).map(|it| it.0.offset.bytes());
    let second = 1_000_000;
    assert_eq!(needs(0), Some(20_000));
    assert_eq!(needs(50 * second), Some(20_000 - 500), "each of the last is there");
    let old = needs(1000 * second).expect("it is remembered");
    assert!((10_000..17_000).contains(&old), "at most so old, and of those thinned out: {old}");
}

fn ejected(told: &Told) -> Vec<bool> {
    told.topology.view().members.iter().map(|it| it.is_ejected).collect()
}

#[test]
fn a_replica_that_fails_is_spared_while_another_can_serve_and_for_no_longer() {
    let mut told = Told::new(false);
    told.topology.eject_for(Duration::from_secs(3));
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    told.tell(2, report(false, OLD, 10));
    let view = told.topology.view();
    (0..3).for_each(|_| view.members[1].load.failed());
    assert!(told.tell(0, report(true, OLD, 10)), "that is a change");
    assert_eq!(ejected(&told), [false, true, false]);
    let view = told.topology.view();
    let chosen = |view: &UpstreamView, it: u64| view.replica(None, it << 32 | it, |_| true);
    assert!((0..50).all(|it| chosen(&view, it) == Some(MemberId(2))));
    let only = Allowed { places: Places::of([MemberId(1)].into_iter()), named: true };
    assert_eq!(view.replica(Some(only), 7, |_| true), Some(MemberId(1)), "nobody else may");
    // The other goes, too: it is better than none.
    told.topology.failed(MemberId(2), MemberState::Silent);
    assert_eq!(chosen(&told.topology.view(), 1), Some(MemberId(1)));
    told.tell(2, report(false, OLD, 10));
    told.tell(0, report(true, OLD, 10));
    assert_eq!(ejected(&told), [false, true, false]);
    told.tell(0, report(true, OLD, 10));
    assert_eq!(ejected(&told), [false, false, false], "its time is over");
    assert!(told.topology.view().members[1].share < 100, "and it begins with little");
    assert_eq!(told.topology.view().members[1].ejections, 1);
}

#[test]
fn one_slow_answer_ejects_no_replica_and_nothing_but_slow_ones_do() {
    let mut told = Told::new(false);
    told.topology.eject_for(Duration::from_secs(60));
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    told.tell(2, report(false, OLD, 10));
    let look = |told: &mut Told, took_us: &[u64]| {
        let view = told.topology.view();
        for took_us in took_us {
            view.members[1].load.answered(told.now, told.now.plus(Duration::from_micros(*took_us)));
        }
        view.members[2].load.answered(told.now, told.now.plus(Duration::from_micros(300)));
        told.now = told.now.plus(Duration::from_millis(250));
        told.topology.reported(MemberId(0), report(true, OLD, 10), told.now);
    };
    look(&mut told, &[300, 50_000]);
    (0..8).for_each(|_| look(&mut told, &[300]));
    // One that comes alone counts once.
    look(&mut told, &[50_000]);
    (0..8).for_each(|_| look(&mut told, &[]));
    look(&mut told, &[300, 300]);
    assert_eq!(ejected(&told), [false; 3]);
    (0..3).for_each(|_| look(&mut told, &[50_000, 60_000]));
    assert_eq!(ejected(&told), [false; 3]);
    look(&mut told, &[50_000]);
    assert_eq!(ejected(&told), [false, true, false]);
}

#[test]
fn a_replica_that_comes_and_goes_is_spared_until_its_time_is_over() {
    let mut told = Told::new(false);
    told.topology.eject_for(Duration::from_secs(600));
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    let view = told.topology.view();
    (0..3).for_each(|_| view.members[1].load.failed());
    told.tell(0, report(true, OLD, 10));
    assert_eq!(ejected(&told), [false, true, false]);
    told.topology.failed(MemberId(1), MemberState::Unreachable("gone".into()));
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    told.tell(0, report(true, OLD, 10));
    assert_eq!(ejected(&told), [false, true, false]);
}

#[test]
fn who_is_in_maintenance_is_nobody_whatever_it_tells() {
    let mut told = Told::new(false);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    assert!(told.topology.leave(MemberId(1), Availability::Maintenance));
    told.tell(1, report(true, NEW, 10));
    assert_eq!(told.states()[..2], ["master", "maintenance"], "it is no second master");
    assert_eq!(told.topology.view().fresh_replicas(u64::MAX, told.now), 0);
    told.topology.leave(MemberId(1), Availability::Full);
    assert_eq!(told.states()[..2], ["two-masters", "two-masters"]);
}

#[test]
fn two_that_change_roles_do_so_at_once_and_what_was_asked_before_comes_too_late() {
    let mut told = Told::new(false);
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    let before = told.now;
    told.now = MonoUs(told.now.0 + 5);
    let past = vec![Position { replid: OLD, offset: Offset::new(10) }];
    let new = Report { past, ..report(true, NEW, 10) };
    let both = [(MemberId(0), report(false, NEW, 10)), (MemberId(1), new)];
    assert!(told.topology.reported_both(both, told.now));
    assert_eq!(told.states()[..2], ["replica", "master"]);
    assert!(!told.topology.reported(MemberId(0), report(true, OLD, 10), before));
    assert_eq!(told.states()[..2], ["replica", "master"], "that is the past");
}

/// Sentinels' members, the first of which is the master: they are kept for three answers, and
/// places rest for ten seconds.
fn kept() -> Told {
    let mut told = Told::new(true);
    told.topology.set_keeping(Keeping { unnamed_max: 3, rest: Duration::from_secs(10) });
    told.topology.appoint(Some(MemberId(0)));
    told.tell(0, report(true, OLD, 10));
    told.tell(1, report(false, OLD, 10));
    told.topology.failed(MemberId(2), MemberState::Unreachable("refused".into()));
    told
}

impl Told {
    /// A sentinel has named these so often. Answers who is none any more by that.
    fn name(&mut self, members: &[u16], times: usize) -> Vec<u16> {
        let places = Places::of(members.iter().map(|it| MemberId(*it)));
        let gone: Vec<Places> =
            (0..times).map(|_| self.topology.note_named(places, self.now)).collect();
        gone.into_iter().flat_map(Places::iter).map(|it| it.0).collect()
    }
}

#[test]
fn who_is_of_no_use_and_is_not_named_for_long_is_none_any_more() {
    let mut told = kept();
    assert_eq!(told.name(&[0, 1], 3), [0; 0]);
    assert_eq!(told.name(&[0, 1, 2], 1), [0; 0], "it is named: its time begins anew");
    assert_eq!(told.name(&[0, 1], 3), [0; 0]);
    let epoch = told.topology.view().epoch;
    assert_eq!(told.name(&[0, 1], 1), [2]);
    let view = told.topology.view();
    assert!(epoch < view.epoch, "that is a change");
    assert_eq!((view.count(), view.members[2].is_there(), view.serves_reads(2)), (2, false, false));
    assert_eq!(told.states(), ["master", "replica", "gone"]);
    // Whatever is still heard of it, and whatever an operator says, is of nobody.
    assert!(!told.tell(2, report(false, OLD, 10)));
    assert!(!told.topology.failed(MemberId(2), MemberState::Silent));
    assert!(!told.topology.leave(MemberId(2), Availability::Maintenance));
    assert_eq!(told.states(), ["master", "replica", "gone"]);
    assert_eq!(told.name(&[0, 1], 9), [0; 0], "once");
}

#[test]
fn who_is_of_use_or_the_master_or_at_work_is_kept_whoever_is_named() {
    let mut told = kept();
    let load = told.topology.view().members[2].load.clone();
    load.begin();
    assert_eq!(told.name(&[], 20), [0; 0], "something is under way to it");
    load.end();
    for order in [Availability::Maintenance, Availability::Drained] {
        told.topology.leave(MemberId(2), order);
        assert_eq!(told.name(&[], 20), [0; 0], "an operator has taken it away: {order:?}");
    }
    told.topology.leave(MemberId(2), Availability::Full);
    told.tell(2, Report { is_linked: false, ..report(false, OLD, 9) });
    assert_eq!(told.name(&[], 20), [0; 0], "who takes old data reads it there");
    for busy in [MemberState::Doubtful, MemberState::Loading] {
        told.topology.failed(MemberId(2), busy);
        assert_eq!(told.name(&[], 20), [0; 0]);
    }
    told.topology.failed(MemberId(0), MemberState::Silent);
    assert_eq!(told.name(&[], 20), [0; 0], "the one is appointed, the others may take over");
    told.topology.failed(MemberId(2), MemberState::Silent);
    assert_eq!(told.name(&[], 1), [2]);
    told.topology.appoint(None);
    assert_eq!(told.name(&[], 4), [0]);
}

#[test]
fn replicas_of_another_master_and_masters_that_nobody_names_are_forgotten() {
    let mut told = kept();
    told.tell(2, report(true, NEW, 10));
    assert_eq!(told.states()[2], "not-appointed");
    assert_eq!(told.name(&[0, 1], 4), [2]);
    let mut told = kept();
    told.tell(2, report(false, NEW, 10));
    assert_eq!(told.states()[2], "other-history");
    assert_eq!(told.name(&[0, 1], 4), [2]);
}

#[test]
fn a_place_rests_before_another_has_it_who_gives_cursors_of_its_own() {
    let mut told = kept();
    let life = told.topology.view().members[2].life;
    told.name(&[0, 1], 4);
    let gone_at = told.now;
    let mut add = |after_us: u64| {
        told.topology.add(1, gone_at.plus(Duration::from_micros(after_us))).expect("a place")
    };
    assert_eq!(add(9_999_999), MemberId(3), "what was sent to the other may still be answered");
    assert_eq!(add(10_000_000), MemberId(2));
    assert_eq!(add(10_000_000), MemberId(4));
    let view = told.topology.view();
    assert_eq!((view.members[2].state.as_str(), view.count()), ("unknown", 5));
    assert_ne!(view.members[2].life, life);
    // What the one before was asked is not what this one tells.
    let mut tell = |asked_us| {
        let asked_at = gone_at.plus(Duration::from_micros(asked_us));
        told.topology.reported(MemberId(2), report(false, OLD, 10), asked_at)
    };
    assert!(!tell(9_999_999));
    assert!(tell(10_000_001));
    assert_eq!(told.states()[2], "replica");
}

#[test]
fn places_are_no_more_than_there_can_be() {
    let mut told = kept();
    (3..=REPLICAS_MAX).for_each(|at| {
        assert_eq!(told.topology.add(1, told.now), Some(MemberId::of(at)));
    });
    assert_eq!(told.topology.add(1, told.now), None);
    told.name(&[0, 1], 4);
    assert_eq!(told.topology.add(1, told.now), None, "they rest");
    let rested = told.now.plus(Duration::from_secs(10));
    assert_eq!(told.topology.add(1, rested), Some(MemberId(2)));
}

#[test]
fn members_of_a_file_are_kept_for_ever() {
    let mut told = Told::new(false);
    told.topology.failed(MemberId(2), MemberState::Silent);
    assert_eq!(told.name(&[], 1000), [0; 0]);
    assert_eq!(told.states(), ["unknown", "unknown", "silent"]);
}

#[test]
fn a_proxy_is_no_master_and_no_replica_whoever_names_it() {
    let proxy =
        |run: &str, offset| Report { proxy: Some(run.to_owned()), ..report(true, OLD, offset) };
    let mut told = Told::new(false);
    told.topology.set_run_id("me");
    assert!(told.tell(0, proxy("me", 10)));
    assert!(told.tell(1, proxy("other", 10)));
    assert_eq!(told.states(), ["proxy", "proxy", "unknown"]);
    let view = told.topology.view();
    assert_eq!((view.master, view.serves_reads(0)), (None, false));
    assert_eq!(view.members[0].state.to_string(), "proxy (it is this proxy itself)");
    assert!(view.members[1].state.why().ends_with("an Entourage in front of some: other"));
    // It is no second master beside one.
    told.tell(2, report(true, OLD, 10));
    assert_eq!(told.states(), ["proxy", "proxy", "master"]);
    let mut told = kept();
    told.topology.set_run_id("me");
    told.tell(0, proxy("me", 20));
    assert_eq!(told.states(), ["proxy", "replica", "unreachable"]);
    assert_eq!(told.topology.view().master, None);
    // Nobody counts on it, so it is forgotten once nobody names it.
    told.topology.appoint(None);
    assert_eq!(told.name(&[1], 4), [0, 2]);
}
