//! When requests are to be sent in the open loop: a rate that may change over time.

use super::measure::latencies;
use hdrhistogram::Histogram;
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
        // A rate of 0 all along would be no rate: as fast as requests are answered.
        if time.is_zero() || from == 0.0 && to == 0.0 {
            return Err(wrong());
        }
        Ok(Phase { name: format!("{kind} {rate}"), from, to, time })
    }

    /// Requests that are due before so many seconds of it have passed: the integral of the rate,
    /// and the one at its very beginning.
    fn due_before(&self, seconds: f64) -> u64 {
        let seconds = seconds.min(self.time.as_secs_f64());
        if seconds <= 0.0 {
            return 0;
        }
        // What is due at that very moment is not due before it, whatever the rounding.
        let sum = self.from * seconds + self.slope() * seconds * seconds / 2.0;
        (sum - SLACK).ceil().max(1.0) as u64
    }

    /// Seconds after which a request is due that has so many before it: where the integral of the
    /// rate comes to that many.
    fn due_at(&self, before: u64) -> f64 {
        if before == 0 {
            return 0.0;
        }
        let before = before as f64;
        // Not in the form that divides by the slope, which may be 0.
        let root = (self.from * self.from + 2.0 * self.slope() * before).sqrt();
        2.0 * before / (self.from + root)
    }

    /// By how much the rate grows in a second.
    fn slope(&self) -> f64 {
        (self.to - self.from) / self.time.as_secs_f64()
    }
}

/// A share of a request that is nothing but rounding.
const SLACK: f64 = 1e-6;

/// Of so many requests that are late each is looked at.
const LOOKED_AT: u64 = 100_000;

/// Times at which one thread's requests are due.
pub struct Schedule {
    phases: Vec<Phase>,
    at: usize,
    /// When the phase began: ns since the run did.
    began: u64,
    /// Requests of the phase that are on their way.
    sent: u64,
}

impl Schedule {
    /// The phases begin at 0, each behind the one before.
    pub fn new(phases: Vec<Phase>) -> Schedule {
        Schedule { phases, at: 0, began: 0, sent: 0 }
    }

    /// When the next request is due; `None` at the end.
    pub fn next_due(&mut self) -> Option<u64> {
        while let Some(phase) = self.phases.get(self.at) {
            let after = phase.due_at(self.sent) * 1e9;
            let time = phase.time.as_nanos() as u64;
            // A rate that falls to 0 has no time for what would come after that: not a number.
            if after < time as f64 {
                return Some(self.began + after as u64);
            }
            (self.at, self.began, self.sent) = (self.at + 1, self.began + time, 0);
        }
        None
    }

    /// The request that was due is on its way.
    pub fn advance(&mut self) {
        self.sent += 1;
    }

    /// Requests that are due before this moment, ns since the run began, and not on their way.
    pub fn left_before(&self, end: u64) -> u64 {
        let (mut began, mut sent, mut left) = (self.began, self.sent, 0);
        for phase in self.phases.iter().skip(self.at) {
            let seconds = end.saturating_sub(began) as f64 / 1e9;
            left += phase.due_before(seconds).saturating_sub(sent);
            (began, sent) = (began + phase.time.as_nanos() as u64, 0);
        }
        left
    }

    /// How long before this moment those that [`Schedule::left_before`] counts are due, in ns. Of
    /// very many only some are looked at, and stand for those around them.
    pub fn unsent_before(&mut self, end: u64) -> Histogram<u64> {
        let (mut unsent, mut left) = (latencies(), self.left_before(end));
        let share = left / LOOKED_AT + 1;
        while let Some(due) = self.next_due().filter(|it| *it < end && left != 0) {
            let count = share.min(left);
            unsent.saturating_record_n(end - due, count);
            left -= count;
            self.sent += count;
        }
        unsent
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
        for (text, expected) in [
            ("ramp 1000..3000 2s", 4000),
            ("step 500 3s", 1500),
            ("ramp 0..4000 2s", 4000),
            ("ramp 4000..0 2s", 4000),
        ] {
            let mut schedule = Schedule::new(vec![Phase::parse(text, seconds).unwrap()]);
            assert!(schedule.left_before(u64::MAX).abs_diff(expected) <= 1, "{text}");
            let (mut count, mut last) = (0u64, 0);
            while let Some(due) = schedule.next_due() {
                assert!(last <= due);
                let left = schedule.left_before(due + 1_000);
                assert!((1..=2).contains(&left), "{text}: {left} left at {due}");
                last = due;
                count += 1;
                schedule.advance();
            }
            assert!(count.abs_diff(expected) <= 1, "{text}: {count}");
        }
    }

    #[test]
    fn a_ramp_from_nothing_begins_slowly_and_at_once() {
        let mut schedule = Schedule::new(vec![Phase::parse("ramp 0..1000 10s", seconds).unwrap()]);
        let mut due = Vec::new();
        while let Some(at) = schedule.next_due().filter(|it| *it < 1_000_000_000) {
            due.push(at);
            schedule.advance();
        }
        // Half of the hundred per second that it has come to.
        assert!((49..=51).contains(&due.len()), "{due:?}");
        assert!(due[1] < 200_000_000, "{due:?}");
    }

    #[test]
    fn what_is_due_and_not_sent_is_known_at_the_end() {
        let phases = ["step 1000 1s", "step 10 1s"].map(|it| Phase::parse(it, seconds).unwrap());
        let mut schedule = Schedule::new(phases.to_vec());
        (0..900).for_each(|_| schedule.advance());
        assert_eq!(schedule.left_before(500_000_000), 0);
        assert_eq!(schedule.left_before(950_000_000), 50);
        assert_eq!(schedule.left_before(1_500_000_000), 105);
        assert_eq!(schedule.left_before(u64::MAX), 110);
    }

    #[test]
    fn of_what_is_due_and_not_sent_it_is_known_since_when() {
        let phases = ["step 1000 1s", "step 10 1s"].map(|it| Phase::parse(it, seconds).unwrap());
        let mut schedule = Schedule::new(phases.to_vec());
        (0..900).for_each(|_| schedule.advance());
        let unsent = schedule.unsent_before(1_500_000_000);
        assert_eq!(unsent.len(), 105);
        let is_about = |it: u64, ms: u64| it.abs_diff(ms * 1_000_000) <= ms * 1_000;
        assert!(is_about(unsent.max(), 600), "{}", unsent.max());
        // The last of the second phase that is late was due at 1.4 s.
        assert!(is_about(unsent.min(), 100), "{}", unsent.min());
        assert!(schedule.unsent_before(1_500_000_000).is_empty());
    }

    #[test]
    fn very_many_that_are_not_sent_are_all_counted() {
        let phase = Phase::parse("step 3000000 2s", seconds).unwrap();
        let unsent = Schedule::new(vec![phase]).unsent_before(2_000_000_000);
        assert_eq!(unsent.len(), 6_000_000);
        let median = unsent.value_at_quantile(0.5);
        assert!(median.abs_diff(1_000_000_000) < 2_000_000, "{median}");
    }

    #[test]
    fn what_is_no_phase_is_refused() {
        for wrong in
            ["", "ramp 5 5s", "step 1..2 5s", "step 5", "step 5 0s", "step x 1s", "ramp 0..0 1s"]
        {
            assert!(Phase::parse(wrong, seconds).is_err(), "{wrong}");
        }
    }
}
