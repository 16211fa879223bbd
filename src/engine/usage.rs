//! When a key was last used, or how often it is: what evictions go by, in 32 bits of its record.
//!
//! ```text
//!   bit 31   30 … 24   23 … 8                7 … 0
//!     0      second of the last use, of the wall clock, modulo 2³¹; all 0: not known
//!     1        0       minute of the last    how often: Redis' logarithmic counter
//!                      count, modulo 2¹⁶
//! ```
//!
//! Which of the two a key has is told by the key itself, so that a change of the policy needs not
//! walk through all keys, and takes none of them for what it is not.

use crate::base::time::WallMs;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

const COUNTED: u32 = 1 << 31;
const SECONDS: u32 = COUNTED - 1;
const MINUTES: u64 = 0xFFFF;

/// What a key that is new counts as (Redis' `LFU_INIT_VAL`).
const COUNT_OF_NEW: u8 = 5;

/// Which keys go when there is no room (Redis' `maxmemory-policy`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Of those with a deadline the ones that were used longest ago.
    VolatileLru,
    /// Of those with a deadline the ones that are used most seldom.
    VolatileLfu,
    /// Any with a deadline.
    VolatileRandom,
    /// Those whose deadline is next.
    VolatileTtl,
    /// Those that were used longest ago.
    AllkeysLru,
    /// Those that are used most seldom.
    AllkeysLfu,
    /// Any.
    AllkeysRandom,
    /// None: writes are refused.
    #[default]
    NoEviction,
}

impl Policy {
    /// All of them with their names, in Redis' order.
    pub const ALL: [(Policy, &str); 8] = [
        (Policy::VolatileLru, "volatile-lru"),
        (Policy::VolatileLfu, "volatile-lfu"),
        (Policy::VolatileRandom, "volatile-random"),
        (Policy::VolatileTtl, "volatile-ttl"),
        (Policy::AllkeysLru, "allkeys-lru"),
        (Policy::AllkeysLfu, "allkeys-lfu"),
        (Policy::AllkeysRandom, "allkeys-random"),
        (Policy::NoEviction, "noeviction"),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Policy::ALL[self as usize].1
    }

    /// Whether uses are counted, and not only remembered.
    #[inline]
    pub fn counts_uses(self) -> bool {
        matches!(self, Policy::VolatileLfu | Policy::AllkeysLfu)
    }

    /// Whether keys without a deadline stay.
    pub fn spares_persistent(self) -> bool {
        use Policy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
        matches!(self, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl)
    }
}

/// How keys are chosen that are evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EvictionRules {
    /// `maxmemory-policy`.
    pub policy: Policy,
    /// `maxmemory-samples`.
    pub samples: usize,
    /// `lfu-log-factor`.
    pub log_factor: usize,
    /// `lfu-decay-time`, minutes.
    pub decay_minutes: usize,
}

impl Default for EvictionRules {
    fn default() -> EvictionRules {
        let policy = Policy::default();
        EvictionRules { policy, samples: 5, log_factor: 10, decay_minutes: 1 }
    }
}

/// What noting a use needs beside the rules: random numbers for counters, and a time for what has
/// none of its own. Alone on its cache lines, since reads write it while uses are counted.
#[derive(Default, Debug)]
#[repr(align(128))]
pub struct UsageClock {
    random: AtomicU64,
    second: AtomicU32,
}

impl UsageClock {
    /// The time of what is applied from the stream, which brings none, from here on.
    pub fn tell(&self, now: WallMs) {
        self.second.store(second_of(now), Relaxed);
    }

    fn now(&self) -> WallMs {
        WallMs(u64::from(self.second.load(Relaxed)) * 1000)
    }

    /// True one time in `sides`. Throws that two threads make at once may fall alike.
    fn is_hit(&self, sides: u64) -> bool {
        let mut random = crate::base::random::Random::new(self.random.load(Relaxed));
        let bits = random.bits();
        self.random.store(bits, Relaxed);
        sides <= 1 || (u128::from(bits) * u128::from(sides)) >> 64 == 0
    }
}

/// The second of a time; never 0, which is not known.
fn second_of(now: WallMs) -> u32 {
    (now.0 / 1000) as u32 & SECONDS
}

/// What is known of the uses of one key.
#[derive(Default, Debug)]
pub struct Usage(AtomicU32);

impl Clone for Usage {
    fn clone(&self) -> Usage {
        Usage(AtomicU32::new(self.0.load(Relaxed)))
    }
}

impl Usage {
    /// Nothing is known.
    pub const fn unknown() -> Usage {
        Usage(AtomicU32::new(0))
    }

    /// Remembers a use at `now`. Writes only when the second has changed, or the counter, so that a
    /// hot key's cache line stays shared. Answers what was known before when it has written.
    #[inline]
    pub fn touch(&self, now: WallMs, rules: &EvictionRules, clock: &UsageClock) -> Option<u32> {
        if now.0 == 0 || rules.policy.counts_uses() {
            return self.touch_slowly(now, rules, clock);
        }
        self.set_second(second_of(now))
    }

    #[inline]
    fn set_second(&self, second: u32) -> Option<u32> {
        let before = self.0.load(Relaxed);
        if second == 0 || before == second {
            return None;
        }
        self.0.store(second, Relaxed);
        Some(before)
    }

    #[cold]
    #[inline(never)]
    fn touch_slowly(&self, now: WallMs, rules: &EvictionRules, clock: &UsageClock) -> Option<u32> {
        let now = if now.0 == 0 { clock.now() } else { now };
        if !rules.policy.counts_uses() {
            return self.set_second(second_of(now));
        }
        if now.0 == 0 {
            return None;
        }
        let count = match self.0.load(Relaxed) {
            0 => COUNT_OF_NEW,
            _ => more(self.frequency(now, rules), rules, clock),
        };
        self.set_count(count, now)
    }

    /// It is as if it were used so often, as of `now`.
    pub fn set_count(&self, count: u8, now: WallMs) -> Option<u32> {
        let minute = ((now.0 / 60_000) & MINUTES) as u32;
        let (before, after) = (self.0.load(Relaxed), COUNTED | minute << 8 | u32::from(count));
        if before == after {
            return None;
        }
        self.0.store(after, Relaxed);
        Some(before)
    }

    /// It was last used then.
    pub fn set_used_at(&self, used: WallMs) {
        self.set_second(second_of(used));
    }

    /// It is used at least so often elsewhere.
    pub fn raise_count(&self, count: u8, now: WallMs, rules: &EvictionRules) {
        let own = if self.0.load(Relaxed) == 0 { 0 } else { self.frequency(now, rules) };
        self.set_count(own.max(count), now);
    }

    /// What another entry of the same key knew.
    pub fn set_like(&self, other: &Usage) {
        self.0.store(other.0.load(Relaxed), Relaxed);
    }

    /// How long it has not been used, in seconds: 0 where nobody knows.
    pub fn idle_s(&self, now: WallMs) -> u64 {
        let word = self.0.load(Relaxed);
        if word == 0 {
            return 0;
        }
        if word & COUNTED != 0 {
            return minutes_since(word, now) * 60;
        }
        let idle_s = second_of(now).wrapping_sub(word) & SECONDS;
        // A clock that was set back.
        if SECONDS / 2 < idle_s { 0 } else { u64::from(idle_s) }
    }

    /// How often it is used, by Redis' counter, which grows ever more slowly and shrinks with time.
    pub fn frequency(&self, now: WallMs, rules: &EvictionRules) -> u8 {
        let word = self.0.load(Relaxed);
        let (count, minutes) = match word {
            0 => return COUNT_OF_NEW,
            _ if word & COUNTED != 0 => (word as u8, minutes_since(word, now)),
            _ => (COUNT_OF_NEW, self.idle_s(now) / 60),
        };
        let lost = minutes.checked_div(rules.decay_minutes as u64).unwrap_or(0);
        u64::from(count).saturating_sub(lost) as u8
    }
}

fn minutes_since(word: u32, now: WallMs) -> u64 {
    (now.0 / 60_000).wrapping_sub(u64::from(word >> 8)) & MINUTES
}

/// The counter after another use.
fn more(count: u8, rules: &EvictionRules, clock: &UsageClock) -> u8 {
    let above = u64::from(count.saturating_sub(COUNT_OF_NEW));
    let sides = above.saturating_mul(rules.log_factor as u64).saturating_add(1);
    if count == u8::MAX || !clock.is_hit(sides) { count } else { count + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMs = WallMs(1_790_000_000_000);

    fn counting() -> EvictionRules {
        EvictionRules { policy: Policy::AllkeysLfu, ..EvictionRules::default() }
    }

    fn later(minutes: u64) -> WallMs {
        WallMs(NOW.0 + minutes * 60_000)
    }

    #[test]
    fn a_policy_stands_at_its_place() {
        assert!(Policy::ALL.iter().enumerate().all(|(at, it)| it.0 as usize == at));
    }

    #[test]
    fn a_key_is_idle_since_its_last_use_and_written_once_a_second() {
        let (usage, clock, rules) =
            (Usage::unknown(), UsageClock::default(), EvictionRules::default());
        assert_eq!(usage.idle_s(NOW), 0);
        assert_eq!(usage.touch(NOW, &rules, &clock), Some(0));
        assert_eq!(usage.touch(NOW, &rules, &clock), None);
        assert_eq!((usage.idle_s(NOW), usage.idle_s(later(2))), (0, 120));
        assert_eq!(usage.idle_s(WallMs(NOW.0 - 5000)), 0, "the clock was set back");
    }

    #[test]
    fn what_comes_without_a_time_is_of_the_time_that_was_told_last() {
        let (usage, clock, rules) =
            (Usage::unknown(), UsageClock::default(), EvictionRules::default());
        assert_eq!(usage.touch(WallMs(0), &rules, &clock), None);
        clock.tell(NOW);
        assert_eq!(usage.touch(WallMs(0), &rules, &clock), Some(0));
        assert_eq!(usage.idle_s(later(1)), 60);
    }

    #[test]
    fn uses_count_ever_less_and_are_forgotten_a_step_a_minute() {
        let (usage, clock, rules) = (Usage::unknown(), UsageClock::default(), counting());
        let mut after = |uses: u32| {
            for _ in 0..uses {
                usage.touch(NOW, &rules, &clock);
            }
            usage.frequency(NOW, &rules)
        };
        assert_eq!(after(1), COUNT_OF_NEW);
        // Redis' table: 100 hits come to 10, 1000 to 18, 100,000 to 142.
        let told = [99, 900, 99_000].map(&mut after);
        assert!((8..=13).contains(&told[0]), "{told:?}");
        assert!((15..=24).contains(&told[1]), "{told:?}");
        assert!((125..=160).contains(&told[2]), "{told:?}");
        assert_eq!(usage.frequency(later(10), &rules), told[2] - 10);
        assert_eq!(usage.frequency(later(1000), &rules), 0);
        let never = EvictionRules { decay_minutes: 0, ..rules };
        assert_eq!(usage.frequency(later(1000), &never), told[2]);
    }

    #[test]
    fn a_change_of_the_policy_takes_no_time_for_a_count() {
        let (clock, lru, lfu) = (UsageClock::default(), EvictionRules::default(), counting());
        let usage = Usage::unknown();
        usage.touch(NOW, &lru, &clock);
        assert_eq!(usage.frequency(NOW, &lfu), COUNT_OF_NEW);
        assert_eq!(usage.frequency(later(3), &lfu), COUNT_OF_NEW - 3);
        usage.touch(later(3), &lfu, &clock);
        assert_eq!(usage.idle_s(later(5)), 120);
        usage.touch(later(5), &lru, &clock);
        assert_eq!(usage.idle_s(WallMs(later(5).0 + 7000)), 7);
    }

    #[test]
    fn what_is_told_from_elsewhere_only_raises() {
        let (usage, rules) = (Usage::unknown(), counting());
        usage.raise_count(40, NOW, &rules);
        usage.raise_count(7, NOW, &rules);
        assert_eq!(usage.frequency(NOW, &rules), 40);
    }
}
