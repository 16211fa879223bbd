//! When requests are to be sent in the open loop: a rate that may change over time.

use std::time::Duration;

/// A stretch of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Phase {
    /// What it is called in reports.
    pub name: String,
    /// Requests per second at its start; 0 is as fast as they are answered.
    pub from: f64,
    /// Requests per second at its end.
    pub to: f64,
    /// How long it is.
    pub time: Duration,
}

impl Phase {
    /// Reads `ramp 1000..20000 5s`, `step 5000 5s` or `spike 50000 1s`.
    pub fn parse(
        text: &str,
        duration: impl Fn(&str) -> Result<Duration, String>,
    ) -> Result<Phase, String> {
        let wrong = || {
            format!(
                "phase \"{text}\": write one like \"ramp 1000..20000 5s\", \"step 5000 5s\" or \
                 \"spike 50000 1s\""
            )
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[kind, rate, time] = &words[..] else { return Err(wrong()) };
        let number = |text: &str| text.parse::<u32>().map(f64::from).map_err(|_| wrong());
        let (from, to) = match (kind, rate.split_once("..")) {
            ("ramp", Some((from, to))) => (number(from)?, number(to)?),
            ("step" | "spike", None) => (number(rate)?, number(rate)?),
            _ => return Err(wrong()),
        };
        let time = duration(time).map_err(|it| format!("phase \"{text}\": {it}"))?;
        if time.is_zero() || to == 0.0 && kind != "ramp" {
            return Err(wrong());
        }
        // A rate of 0 would be no rate: as fast as requests are answered.
        let (from, to) = (from.max(1.0), to.max(1.0));
        Ok(Phase { name: format!("{kind} {rate}"), from, to, time })
    }

    /// Requests per second, this long after it began.
    fn rate_at(&self, after: f64) -> f64 {
        let share = (after / self.time.as_secs_f64()).clamp(0.0, 1.0);
        self.from + (self.to - self.from) * share
    }
}

/// Times at which one thread's requests are due.
pub struct Schedule {
    phases: Vec<Phase>,
    at: usize,
    /// When the phase began, and when the next request is due: ns since the run began.
    began: u64,
    due: f64,
}

impl Schedule {
    /// The phases begin at 0, each behind the one before.
    pub fn new(phases: Vec<Phase>) -> Schedule {
        Schedule { phases, at: 0, began: 0, due: 0.0 }
    }

    /// When the next request is due; `None` at the end.
    pub fn next_due(&mut self) -> Option<u64> {
        while let Some(phase) = self.phases.get(self.at) {
            let end = self.began + phase.time.as_nanos() as u64;
            if (self.due as u64) < end {
                return Some(self.due as u64);
            }
            (self.at, self.began, self.due) = (self.at + 1, end, end as f64);
        }
        None
    }

    /// The request that was due is on its way.
    pub fn advance(&mut self) {
        if let Some(phase) = self.phases.get(self.at) {
            let after = (self.due - self.began as f64) / 1e9;
            self.due += 1e9 / phase.rate_at(after).max(1e-3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Result<Duration, String> {
        let text = text.strip_suffix('s').ok_or("no time")?;
        text.parse().map(Duration::from_secs_f64).map_err(|_| "no time".to_owned())
    }

    #[test]
    fn a_ramp_has_the_mean_of_its_rates_and_a_step_its_own() {
        for (text, expected) in [("ramp 1000..3000 2s", 4000), ("step 500 3s", 1500)] {
            let mut schedule = Schedule::new(vec![Phase::parse(text, seconds).unwrap()]);
            let (mut count, mut last) = (0u64, 0);
            while let Some(due) = schedule.next_due() {
                assert!(last <= due);
                last = due;
                count += 1;
                schedule.advance();
            }
            assert!(count.abs_diff(expected) <= 20, "{text}: {count}");
        }
    }

    #[test]
    fn what_is_no_phase_is_refused() {
        for wrong in ["", "ramp 5 5s", "step 1..2 5s", "step 5", "step 5 0s", "step x 1s"] {
            assert!(Phase::parse(wrong, seconds).is_err(), "{wrong}");
        }
    }
}
