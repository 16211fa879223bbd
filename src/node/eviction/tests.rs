//! How room is made, and when there is none.

use super::*;
use crate::base::ids::MemberId;
use crate::engine::{EvictionRules, Policy, Thresholds};
use crate::node::transaction::tests::write;
use crate::node::{Applied, ApplyBudget, PauseMode, new_replid};
use crate::replication::DisconnectReason;
use std::sync::atomic::AtomicU64;

/// A clock that goes on by so many nanoseconds with each look.
struct Ticking {
    now_ns: AtomicU64,
    step_ns: u64,
}

impl Clock for Ticking {
    fn mono_ns(&self) -> u64 {
        self.now_ns.fetch_add(self.step_ns, Relaxed)
    }

    fn wall_now(&self) -> WallMs {
        WallMs(1_790_000_000_000)
    }
}

fn ticking() -> Ticking {
    Ticking { now_ns: AtomicU64::new(1_000_000), step_ns: 1000 }
}

fn set(policy: Policy) -> ReplicaSet {
    let eviction = EvictionRules { policy, ..EvictionRules::default() };
    let thresholds = Thresholds { eviction, ..Thresholds::default() };
    let set = ReplicaSet::new(1, 7, new_replid(), thresholds, 1 << 20, 1 << 20);
    for at in 0..1000 {
        write(&set, &format!("SET key:{at} value"), WallMs(1_000_000));
    }
    set
}

fn make_room(set: &ReplicaSet) -> Room {
    let member_list = set.member_list();
    set.write(&member_list).make_room(&ticking())
}

fn keys(set: &ReplicaSet) -> usize {
    set.master_counts(WallMs(1_000_000)).keys()
}

fn limit(set: &ReplicaSet, used: u64, limit: u64, slice_us: u64) {
    set.eviction.simulated_bytes.store(used, Relaxed);
    set.eviction.set_limit(limit, slice_us);
}

#[test]
fn keys_go_until_there_is_room_and_the_stream_says_so() {
    let set = set(Policy::AllkeysLru);
    assert_eq!(make_room(&set), Room::Enough);
    limit(&set, 10_000, 10_000, 500);
    assert_eq!((make_room(&set), keys(&set)), (Room::Enough, 1000));
    limit(&set, 10_500, 10_000, 500);
    let before = set.head();
    assert_eq!(make_room(&set), Room::Enough);
    let gone = 1000 - keys(&set);
    assert!((4..=20).contains(&gone), "{gone} keys of some 60 bytes for 500");
    assert_eq!(set.eviction.evicted.load(Relaxed), gone as u64);
    assert!(before < set.head());
    assert!(!set.eviction.is_tight());
}

#[test]
fn a_long_eviction_is_a_sample_of_latency_and_a_short_one_is_not() {
    let set = set(Policy::AllkeysLru);
    let samples = |set: &ReplicaSet| {
        let of = set.latency.of(LatencyEvent::EvictionCycle);
        of.map_or(Vec::new(), |it| it.samples.iter().map(|it| it.took_ms).collect())
    };
    set.latency.set_threshold(10);
    limit(&set, 10_500, 10_000, 500_000);
    let member_list = set.member_list();
    assert_eq!(set.write(&member_list).make_room(&ticking()), Room::Enough);
    assert_eq!(samples(&set), Vec::<u64>::new(), "a few microseconds");
    limit(&set, 10_500, 10_000, 500_000);
    let slow = Ticking { step_ns: 10_000_000, ..ticking() };
    assert_eq!(set.write(&member_list).make_room(&slow), Room::Enough);
    let [took_ms] = samples(&set)[..] else { panic!("one second has one sample") };
    assert!((20..500).contains(&took_ms), "two looks at least: {took_ms}");
}

#[test]
fn a_slice_ends_with_its_time_and_others_go_on() {
    let set = set(Policy::AllkeysRandom);
    limit(&set, 50_000, 10_000, 3);
    let mut wanted = std::pin::pin!(set.eviction.wanted());
    assert_eq!(make_room(&set), Room::Soon);
    let waker = futures::task::noop_waker_ref();
    let poll = wanted.as_mut().poll(&mut std::task::Context::from_waker(waker));
    assert!(poll.is_ready(), "whoever goes on has been called");
    assert!((16..=64).contains(&(1000 - keys(&set))));
    let rounds = (0..1000).take_while(|_| make_room(&set) == Room::Soon).count();
    assert!(rounds < 100 && !set.eviction.is_tight());
}

#[test]
fn without_a_key_that_may_go_there_is_no_room() {
    for policy in [Policy::NoEviction, Policy::VolatileLru, Policy::VolatileTtl] {
        let set = set(policy);
        limit(&set, 20_000, 10_000, 500);
        assert_eq!((make_room(&set), keys(&set)), (Room::Lacking, 1000), "{policy:?}");
        assert!(set.eviction.exceeded_ms(MonoUs(10_001_000)).1 != 0);
    }
}

#[test]
fn nothing_goes_while_clients_are_held_back() {
    let set = set(Policy::AllkeysLru);
    limit(&set, 20_000, 10_000, 500);
    set.pause_clients(PauseMode::Writers, MonoUs(9_000_000), MonoUs(0));
    assert_eq!((make_room(&set), keys(&set)), (Room::Enough, 1000));
}

#[test]
fn what_replicas_have_yet_to_give_back_counts_as_gone() {
    let set = set(Policy::AllkeysLru);
    let at = set.head();
    let flight = |bytes, is_deferred| InFlight { bytes, at, frees: None, is_deferred };
    limit(&set, 10_700, 10_000, 500);
    set.eviction.note_in_flight(flight(300, false));
    set.eviction.note_in_flight(flight(400, false));
    // Nobody has applied anything: the feeds have no tasks here.
    assert_eq!(set.bytes_over(), None);
    assert_eq!((make_room(&set), keys(&set)), (Room::Enough, 1000));
    // However long the replica takes, even if it is to let go of all it has: until it has done so.
    let replica = set.member(MemberId(1));
    set.pause(replica, MonoUs(1)).unwrap();
    assert_eq!(set.bytes_over(), None);
    set.disconnect(replica, DisconnectReason::FeedLimit);
    assert_eq!(set.bytes_over(), None);
    assert_eq!((make_room(&set), keys(&set)), (Room::Enough, 1000));
    set.let_go_unsynced(replica);
    until(|| set.bytes_over() == Some(700));
}

fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

#[test]
fn what_all_replicas_have_applied_is_not_on_its_way() {
    let set = set(Policy::AllkeysLru);
    let at = set.head();
    limit(&set, 10_700, 10_000, 500);
    set.eviction.note_in_flight(InFlight { bytes: 700, at, frees: None, is_deferred: false });
    assert_eq!(set.bytes_over(), None);
    while set.apply(set.member(MemberId(1)), ApplyBudget::ALL) == Applied::Some {}
    assert_eq!(set.bytes_over(), Some(700));
}

#[test]
fn who_evicts_for_long_is_not_waited_for() {
    let set = set(Policy::AllkeysRandom);
    // A thousand looks at the clock, and more.
    limit(&set, 50_000, 10_000, u64::MAX);
    let member_list = set.member_list();
    let mut writing = set.write(&member_list);
    // A millisecond with each look.
    let slow = Ticking { step_ns: 1_000_000, ..ticking() };
    assert_eq!(writing.make_room(&slow), Room::Enough);
    assert!(set.member(MemberId(0)).is_long_held());
    drop(writing);
    assert!(!set.member(MemberId(0)).is_long_held());
}

#[test]
fn what_an_eviction_brings_depends_on_who_shares_it() {
    let of = |is_shared, is_deferred| Evicted { bytes: 100, is_shared, is_deferred };
    assert_eq!(brought(of(true, false), 0), (100, 100));
    assert_eq!(brought(of(true, false), 2), (100, 0));
    assert_eq!(brought(of(false, false), 2), (300, 100));
    assert_eq!(brought(of(false, true), 0), (100, 0));
}
