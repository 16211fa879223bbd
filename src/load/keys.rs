//! Which key a request is about.

use crate::base::random::Random;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How keys are chosen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Distribution {
    /// Each as likely.
    Uniform,
    /// The most popular first, by this exponent; which are popular is scattered over all keys.
    Zipfian(f64),
    /// One after the other.
    Sequential,
    /// This share of the keys has that share of the requests.
    Hot(f64, f64),
    /// Zipfian, by age: the last that was made is the most popular.
    Latest(f64),
}

impl Distribution {
    /// Reads what the setting says.
    pub fn parse(text: &str) -> Result<Distribution, String> {
        const EXPECTED: &str = "write uniform, zipfian 0.99, sequential, hot 0.2 0.8 or latest \
                                0.99";
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |text: &str| text.parse::<f64>().map_err(|_| EXPECTED.to_owned());
        let theta = |text: &str| {
            let theta = number(text)?;
            if !(0.0 < theta && theta < 1.0) {
                return Err(format!(
                    "{theta} is no exponent; write one between 0 and 1, like 0.99"
                ));
            }
            Ok(theta)
        };
        let share = |text: &str| {
            let share = number(text)?;
            if !(0.0 < share && share < 1.0) {
                return Err(format!("{share} is no share; write one between 0 and 1, like 0.2"));
            }
            Ok(share)
        };
        Ok(match words[..] {
            ["uniform"] => Distribution::Uniform,
            ["sequential"] => Distribution::Sequential,
            ["zipfian"] => Distribution::Zipfian(0.99),
            ["zipfian", it] => Distribution::Zipfian(theta(it)?),
            ["latest"] => Distribution::Latest(0.99),
            ["latest", it] => Distribution::Latest(theta(it)?),
            ["hot"] => Distribution::Hot(0.2, 0.8),
            ["hot", keys, requests] => Distribution::Hot(share(keys)?, share(requests)?),
            _ => return Err(EXPECTED.to_owned()),
        })
    }
}

/// Numbers by Zipf's law (Gray et al., SIGMOD 1994, as YCSB has it).
#[derive(Clone, Debug)]
struct Zipf {
    count: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
    second: f64,
}

impl Zipf {
    fn new(count: u64, theta: f64) -> Zipf {
        let zeta_of = |count: u64| (1..=count).map(|it| (it as f64).powf(-theta)).sum::<f64>();
        let zeta = zeta_of(count);
        let n = count as f64;
        let eta = (1.0 - (2.0 / n).powf(1.0 - theta)) / (1.0 - zeta_of(2) / zeta);
        Zipf { count: n, zeta, alpha: 1.0 / (1.0 - theta), eta, second: 1.0 + 0.5_f64.powf(theta) }
    }

    fn next(&self, random: &mut Random) -> u64 {
        let u = (random.bits() >> 11) as f64 / (1u64 << 53) as f64;
        let uz = u * self.zeta;
        if uz < 1.0 {
            return 0;
        }
        if uz < self.second {
            return 1;
        }
        let at = self.count * (self.eta * u - self.eta + 1.0).powf(self.alpha);
        (at as u64).min(self.count as u64 - 1)
    }
}

/// Chooses keys: numbers below a count, and new ones from there on.
#[derive(Clone, Debug)]
pub struct Keys {
    count: u64,
    distribution: Distribution,
    zipf: Option<Zipf>,
    hot: u64,
    hot_below: u64,
    next: u64,
}

impl Keys {
    /// Chooses among `count` keys, which is not 0.
    pub fn new(count: u64, distribution: Distribution) -> Keys {
        let mut keys = Keys { count, distribution, zipf: None, hot: 1, hot_below: 0, next: 0 };
        match distribution {
            Distribution::Zipfian(theta) | Distribution::Latest(theta) if 2 < count => {
                keys.zipf = Some(Zipf::new(count, theta));
            }
            Distribution::Hot(of_keys, of_requests) => {
                keys.hot = ((count as f64 * of_keys) as u64).clamp(1, count);
                keys.hot_below = (of_requests * (1u64 << 32) as f64) as u64;
            }
            _ => {}
        }
        keys
    }

    /// Sequential keys begin here.
    pub fn begin_at(&mut self, at: u64) {
        self.next = at % self.count;
    }

    /// The next; `made` counts all that there are by now.
    pub fn next(&mut self, random: &mut Random, made: &AtomicU64) -> u64 {
        match (self.distribution, &self.zipf) {
            (Distribution::Sequential, _) => {
                let key = self.next;
                self.next = if key + 1 == self.count { 0 } else { key + 1 };
                key
            }
            (Distribution::Zipfian(_), Some(zipf)) => scatter(zipf.next(random)) % self.count,
            (Distribution::Latest(_), Some(zipf)) => made.load(Relaxed) - 1 - zipf.next(random),
            (Distribution::Hot(..), _) => {
                let bits = random.bits();
                if bits >> 32 < self.hot_below {
                    return random.below(self.hot);
                }
                match self.count - self.hot {
                    0 => random.below(self.count),
                    cold => self.hot + random.below(cold),
                }
            }
            _ => random.below(self.count),
        }
    }
}

/// Another number for each number (the end of SplitMix64), so that popular keys are not neighbours.
fn scatter(number: u64) -> u64 {
    Random::new(number).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of_top(text: &str, top: usize) -> f64 {
        let made = AtomicU64::new(1000);
        let mut keys = Keys::new(1000, Distribution::parse(text).unwrap());
        let mut random = Random::new(3);
        let mut counts = vec![0u32; 1000];
        (0..100_000).for_each(|_| counts[keys.next(&mut random, &made) as usize] += 1);
        counts.sort();
        f64::from(counts.iter().rev().take(top).sum::<u32>()) / 100_000.0
    }

    #[test]
    fn distributions_have_their_shapes() {
        assert!(share_of_top("uniform", 10) < 0.02);
        assert!(share_of_top("sequential", 10) < 0.011);
        let zipfian = share_of_top("zipfian 0.99", 10);
        assert!((0.35..0.55).contains(&zipfian), "{zipfian}");
        let hot = share_of_top("hot 0.1 0.9", 100);
        assert!((0.88..0.92).contains(&hot), "{hot}");
    }

    #[test]
    fn the_latest_are_those_that_were_made_last() {
        let made = AtomicU64::new(1500);
        let mut keys = Keys::new(1000, Distribution::Latest(0.99));
        let mut random = Random::new(3);
        let new = (0..1000).filter(|_| 1490 <= keys.next(&mut random, &made)).count();
        assert!(350 < new, "{new}");
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for wrong in ["", "zipf", "zipfian 1.5", "hot 0 1", "hot 2", "latest x"] {
            assert!(Distribution::parse(wrong).is_err(), "{wrong}");
        }
    }
}
