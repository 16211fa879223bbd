//! What the counts gained lately: INFO's `instantaneous_` lines.

use super::counters::Counters;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// As many samples as Redis takes the mean of.
const SAMPLES: usize = 16;
const BETWEEN_SAMPLES: Duration = Duration::from_millis(100);

/// Counts at one time.
#[derive(Clone, Copy, Default)]
struct Sample {
    at: MonoUs,
    counts: [u64; 6],
}

/// Gains per second.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Gains {
    /// Commands.
    pub commands: f64,
    /// Bytes read.
    pub bytes_in: f64,
    /// Bytes written.
    pub bytes_out: f64,
    /// Bytes of the stream.
    pub stream_bytes: f64,
    /// Bytes read from masters and replicas on the wire.
    pub repl_bytes_in: f64,
    /// Bytes written to replicas on the wire.
    pub repl_bytes_out: f64,
}

/// The counts of the last second and a half.
#[derive(Default)]
pub struct Rates {
    samples: [Sample; SAMPLES],
    taken: usize,
}

impl Rates {
    /// Takes a sample, unless the last was just now.
    pub fn note(&mut self, now: MonoUs, counters: &Counters, head: Offset) {
        let newest = self.newest();
        if self.taken != 0 && now < newest.at.plus(BETWEEN_SAMPLES) {
            return;
        }
        let Counters { commands, bytes_in, bytes_out, .. } = counters;
        let (repl_in, repl_out) = (&counters.repl_bytes_in, &counters.repl_bytes_out);
        let repl = [repl_in, repl_out].map(|it| it.load(Relaxed));
        let counts =
            [commands.get(), bytes_in.get(), bytes_out.get(), head.bytes(), repl[0], repl[1]];
        self.samples[self.taken % SAMPLES] = Sample { at: now, counts };
        self.taken += 1;
    }

    /// What was gained per second between the oldest sample and the newest.
    pub fn gains(&self) -> Gains {
        let newest = self.newest();
        let oldest = self.samples[if self.taken < SAMPLES { 0 } else { self.taken % SAMPLES }];
        let us = newest.at.since(oldest.at);
        if us == 0 {
            return Gains::default();
        }
        let gain = |at: usize| {
            newest.counts[at].saturating_sub(oldest.counts[at]) as f64 * 1e6 / us as f64
        };
        Gains {
            commands: gain(0),
            bytes_in: gain(1),
            bytes_out: gain(2),
            stream_bytes: gain(3),
            repl_bytes_in: gain(4),
            repl_bytes_out: gain(5),
        }
    }

    /// Forgets the samples.
    pub fn reset(&mut self) {
        *self = Rates::default();
    }

    fn newest(&self) -> Sample {
        self.samples[(self.taken + SAMPLES - 1) % SAMPLES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_those_of_the_samples_kept() {
        let (counters, mut rates) = (Counters::default(), Rates::default());
        assert_eq!(rates.gains(), Gains::default());
        for tenth in 0..40 {
            let (slow, fast) = (100, 200);
            let rate = if tenth < 20 { slow } else { fast };
            rates.note(MonoUs(tenth * 100_000), &counters, Offset::new(tenth * 10));
            rates.note(MonoUs(tenth * 100_000 + 50), &counters, Offset::ZERO);
            counters.commands.add(tenth as usize, rate / 10);
        }
        assert_eq!(rates.gains().commands, 200.0);
        assert_eq!(rates.gains().stream_bytes, 100.0);
        rates.reset();
        assert_eq!(rates.gains(), Gains::default());
    }
}
