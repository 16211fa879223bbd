//! What a run has come to.

use super::beside::{Done, LagPoint};
use super::check::Verdict;
use super::measure::{Totals, latencies};
use super::members::Served;
use hdrhistogram::Histogram;
use std::time::Duration;

/// What a run has come to.
pub struct Outcome {
    /// What was measured.
    pub totals: Totals,
    /// What the checks say, if there were any.
    pub verdict: Option<Verdict>,
    /// How long the measured part was.
    pub time: Duration,
    /// Processor seconds of the load generator meanwhile.
    pub cpu_s: f64,
    /// Faults that were done.
    pub faults: Vec<Done>,
    /// What each target says it is.
    pub servers: Vec<String>,
    /// Which members of an Entourage served the reads.
    pub served: Option<Served>,
    /// How far replicas were behind.
    pub lags: Vec<LagPoint>,
    /// The open loop: of requests that were due before the end and have not been sent, how long
    /// before it they were due, in ns: the least that an answer would have taken.
    pub unsent: Histogram<u64>,
    /// When the measured part began: ns since the run did.
    pub measured_from: u64,
    /// What members had served when there was a new master.
    pub promoted: Vec<Served>,
    /// What whoever reads the results should know.
    pub notes: Vec<String>,
    /// Why this is not the run that was asked for.
    pub shortcomings: Vec<String>,
    /// Seconds as a HdrHistogram log, if that was asked for.
    pub hdr: Vec<u8>,
}

impl Outcome {
    /// Latencies of all that was due, if not all of it was sent: what was not, as if it had been
    /// answered at the end.
    pub fn all_due(&self) -> Option<Histogram<u64>> {
        (!self.unsent.is_empty()).then(|| {
            let mut due = self.totals.all.clone();
            due.add(&self.unsent).expect("their bounds are the same");
            due
        })
    }

    /// One of which nothing else is known.
    pub fn of(totals: Totals, time: Duration) -> Outcome {
        Outcome {
            totals,
            verdict: None,
            time,
            cpu_s: 0.0,
            faults: Vec::new(),
            servers: Vec::new(),
            served: None,
            lags: Vec::new(),
            unsent: latencies(),
            measured_from: 0,
            promoted: Vec::new(),
            notes: Vec::new(),
            shortcomings: Vec::new(),
            hdr: Vec::new(),
        }
    }
}
