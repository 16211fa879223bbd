//! Which keys go, policy by policy.

use super::*;
use crate::engine::Thresholds;
use std::collections::BTreeSet;

const NOW: WallMs = WallMs(1_790_000_000_000);

fn engine(policy: Policy) -> Engine {
    let eviction = EvictionRules { policy, ..EvictionRules::default() };
    Engine::new(1, Thresholds { eviction, ..Thresholds::default() })
}

fn put(engine: &mut Engine, db: usize, key: &str, deadline: Option<u64>, at: WallMs) {
    let deadline = deadline.map(|it| WallMs(NOW.0 + it));
    engine.db_mut_at(db, at).put_string(key.as_bytes(), b"v", deadline);
}

fn keys(engine: &Engine, db: usize) -> BTreeSet<String> {
    let name = |it: &KeySlot| String::from_utf8_lossy(it.key()).into_owned();
    engine.space(db).table().iter().map(name).collect()
}

fn evict(engine: &mut Engine, most: usize) -> usize {
    let mut effects = Effects::default();
    let evicted = (0..most).map_while(|_| engine.evict(NOW, &mut effects)).count();
    assert_eq!(effects.items().len(), evicted, "each is said");
    evicted
}

#[test]
fn without_a_policy_nothing_goes() {
    let mut engine = engine(Policy::NoEviction);
    put(&mut engine, 0, "a", Some(1), NOW);
    assert_eq!(evict(&mut engine, 5), 0);
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let mut engine = engine(Policy::AllkeysLru);
    for at in 0..1000 {
        let used = WallMs(NOW.0 - (1000 - at) * 1000);
        put(&mut engine, (at % 2) as usize, &format!("{at}"), None, used);
    }
    assert_eq!(evict(&mut engine, 500), 500);
    let left: Vec<u64> =
        [0, 1].iter().flat_map(|db| keys(&engine, *db)).map(|it| it.parse().unwrap()).collect();
    // Redis' own test wants as much of samples of ten.
    let new = left.iter().filter(|it| 500 <= **it).count();
    assert!(400 < new, "{new} of the newer half are left");
    assert!(left.iter().all(|it| 50 < *it), "the oldest have gone");
}

#[test]
fn what_is_used_since_it_was_looked_at_stays() {
    let mut engine = engine(Policy::AllkeysLru);
    for at in 0..16 {
        put(&mut engine, 0, &format!("{at}"), None, WallMs(NOW.0 - 100_000 - at));
    }
    assert_eq!(evict(&mut engine, 4), 4);
    let left = keys(&engine, 0);
    for key in &left {
        engine.db_mut_at(0, NOW).used(key.as_bytes());
    }
    (0..12).for_each(|at| put(&mut engine, 0, &format!("new {at}"), None, WallMs(NOW.0 - 50_000)));
    assert_eq!(evict(&mut engine, 10), 10);
    let stay = keys(&engine, 0).intersection(&left).count();
    assert!(10 <= stay, "{stay} of {}", left.len());
}

#[test]
fn what_is_used_most_seldom_goes_first_and_an_overwrite_is_a_use() {
    let mut engine = engine(Policy::AllkeysLfu);
    for at in 0..400 {
        put(&mut engine, 0, &format!("{at}"), None, NOW);
        let uses = if at % 2 == 0 { 0 } else { 200 };
        for _ in 0..uses / 2 {
            engine.db_mut_at(0, NOW).used(format!("{at}").as_bytes());
            put(&mut engine, 0, &format!("{at}"), None, NOW);
        }
    }
    assert_eq!(evict(&mut engine, 200), 200);
    let often = keys(&engine, 0).iter().filter(|it| it.parse::<u32>().unwrap() % 2 == 1).count();
    assert!(180 <= often, "{often} of those that are used often are left");
}

#[test]
fn volatile_policies_leave_what_has_no_deadline() {
    for policy in
        [Policy::VolatileLru, Policy::VolatileLfu, Policy::VolatileRandom, Policy::VolatileTtl]
    {
        for every in [2, 50] {
            let mut engine = engine(policy);
            for at in 0..1000 {
                let deadline = (at % every == 0).then_some(1000 + at);
                put(&mut engine, (at % 3) as usize, &format!("{at}"), deadline, NOW);
            }
            assert_eq!(evict(&mut engine, 2000), (1000 / every) as usize, "{policy:?}");
            let left: usize = (0..3).map(|db| keys(&engine, db).len()).sum();
            assert_eq!(left, 1000 - (1000 / every) as usize);
        }
    }
}

/// Few have a deadline, and those that are in use have the latest by far.
#[test]
fn a_late_deadline_makes_no_key_more_likely_to_go() {
    const PERSISTENT: u64 = 50_000;
    const SOON: u64 = 2000;
    const HOT: u64 = 5;
    for policy in [Policy::VolatileLru, Policy::VolatileLfu, Policy::VolatileRandom] {
        let mut engine = engine(policy);
        let cold = WallMs(NOW.0 - 100_000);
        (0..PERSISTENT).for_each(|at| put(&mut engine, 0, &format!("p{at}"), None, cold));
        for at in 0..SOON {
            put(&mut engine, 0, &format!("s{at}"), Some(3_600_000 + at), cold);
        }
        for at in 0..HOT {
            let (key, years) = (format!("h{at}"), 315_360_000_000 + at);
            put(&mut engine, 0, &key, Some(years), NOW);
            for _ in 0..100 {
                engine.db_mut_at(0, NOW).used(key.as_bytes());
            }
        }
        let hot = |engine: &Engine| keys(engine, 0).iter().filter(|it| it.starts_with('h')).count();
        assert_eq!(evict(&mut engine, 324), 324);
        if policy == Policy::VolatileRandom {
            assert!(1 < hot(&engine), "{} are left of a sixth that goes", hot(&engine));
            continue;
        }
        assert_eq!(hot(&engine), HOT as usize, "{policy:?}");
        // Whatever is used goes last.
        assert_eq!(evict(&mut engine, 1600), 1600);
        assert_eq!(hot(&engine), HOT as usize, "{policy:?}");
    }
}

/// All of them are as likely to go, whatever their deadlines are, and none is left out for long.
#[test]
fn few_with_a_deadline_go_by_chance() {
    let mut engine = engine(Policy::VolatileRandom);
    (0..20_000).for_each(|at| put(&mut engine, 0, &format!("p{at}"), None, NOW));
    // Each is due twice as late as the one before, or nearly.
    for at in 0..400_u32 {
        let late = 1.05_f64.powi(at as i32) as u64;
        put(&mut engine, 0, &format!("{at}"), Some(1000 + u64::from(at) + late), NOW);
    }
    assert_eq!(evict(&mut engine, 200), 200);
    let left: Vec<u32> = keys(&engine, 0).iter().filter_map(|it| it.parse().ok()).collect();
    for quarter in 0..4 {
        let count = left.iter().filter(|it| **it / 100 == quarter).count();
        assert!((25..=75).contains(&count), "{count} of 100 are left in quarter {quarter}");
    }
}

#[test]
fn the_next_deadline_goes_first() {
    let mut engine = engine(Policy::VolatileTtl);
    for at in 0..100 {
        put(&mut engine, (at % 2) as usize, &format!("{at}"), Some(100_000 - at), NOW);
    }
    assert_eq!(evict(&mut engine, 60), 60);
    let left = [0, 1].iter().flat_map(|db| keys(&engine, *db));
    assert!(left.map(|it| it.parse::<u64>().unwrap()).all(|it| it < 40));
}

#[test]
fn random_policies_take_of_all_databases() {
    let mut engine = engine(Policy::AllkeysRandom);
    (0..100).for_each(|at| put(&mut engine, at % 4, &format!("{at}"), None, NOW));
    assert_eq!(evict(&mut engine, 40), 40);
    assert!((0..4).all(|db| keys(&engine, db).len() == 15));
    assert_eq!(evict(&mut engine, 100), 60);
}

#[test]
fn an_eviction_says_what_it_brings() {
    let mut engine = engine(Policy::AllkeysLru);
    put(&mut engine, 0, "a", None, NOW);
    let text = engine.evict(NOW, &mut Effects::default()).expect("a key goes");
    assert_eq!((text.is_shared, text.is_deferred), (true, false));
    assert_eq!(text.bytes, size_of::<KeySlot>() + 32);
    let many: Vec<u8> = vec![b'x'; 4 << 20];
    engine.db_mut_at(0, NOW).put_string(b"b", &many, None);
    let long = engine.evict(NOW, &mut Effects::default()).expect("a key goes");
    assert!(long.is_shared && long.is_deferred && many.len() <= long.bytes);
}
