//! How long other clients wait while one runs something long: two workers beside redis-server.

use crate::long_work::{Subject, WORKS, Work};
use crate::options::Options;
use crate::peers::{Binaries, Kind};
use crate::probes::{self, Seen};
use crate::table::{Table, milliseconds, ms};
use hdrhistogram::Histogram;
use std::time::Duration;

pub const WORKERS: u32 = 2;
const REPLICAS: u32 = 2;
const BAR_P999_MS: f64 = 5.0;
/// Longer than the idle thread of the same run.
const BAR_BEYOND_IDLE_MS: f64 = 5.0;

/// All rounds of one row on one server.
struct Stalls {
    longest_work: Duration,
    seen: Seen,
}

/// One row per kind of long work.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let redis = binaries.start(Kind::Redis, 0);
    let entourage = binaries.start_workers(WORKERS, REPLICAS);
    let mut subjects = [redis, entourage].map(|it| Subject::new(it?, options).ok());
    let asked = |it: &&Work| wanted(it, options);
    rows(WORKS.iter().filter(asked), &mut subjects, options)
}

/// One row per work of these.
pub fn rows<'w>(
    works: impl IntoIterator<Item = &'w Work>,
    subjects: &mut [Option<Subject>; 2],
    options: &Options,
) -> String {
    let mut table = Table::new(&[
        "while one client runs",
        "it takes ms: redis · entourage",
        "PING p50 · p99.9 · longest ms: redis",
        "entourage",
        "sticky GET: redis",
        "entourage",
        "idle thread, longest ms",
        "bar of entourage",
    ]);
    for work in works {
        eprintln!("side_by_side: stalls beside {}", work.name);
        table.push(cells(work.name, &rounds(work, subjects, options.rounds)));
    }
    table.to_string()
}

/// Whether one of the words of its name was asked for.
fn wanted(work: &Work, options: &Options) -> bool {
    work.name.split(' ').any(|it| options.wants(it))
}

fn rounds(work: &Work, subjects: &mut [Option<Subject>; 2], rounds: u32) -> [Option<Stalls>; 2] {
    let mut all = [(), ()].map(|()| Some(Stalls::none()));
    for _ in 0..rounds {
        for (subject, sum) in subjects.iter_mut().zip(&mut all) {
            let one = subject.as_mut().and_then(|it| round_or_say_why(work, it));
            *sum = sum.take().zip(one).map(|(sum, one)| sum.and(one));
        }
    }
    all
}

fn round_or_say_why(work: &Work, subject: &mut Subject) -> Option<Stalls> {
    if work.hosted && subject.party.kind != Kind::Entourage {
        return None;
    }
    let kind = subject.party.kind.name();
    let say = |why: String| eprintln!("side_by_side: {} at {kind}: {}", work.name, why.trim_end());
    subject.redial().and_then(|()| round(work, subject)).map_err(say).ok()
}

/// The others are watched until every replica has done the work, too.
fn round(work: &Work, subject: &mut Subject) -> Result<Stalls, String> {
    let deed = (work.prepare)(subject)?;
    let (longest_work, seen) = probes::beside(subject.party.port(), || {
        let took = subject.perform(&deed)?;
        subject.members.wait_until_drained()?;
        Ok(took)
    })?;
    Ok(Stalls { longest_work, seen })
}

impl Stalls {
    fn none() -> Stalls {
        Stalls { longest_work: Duration::ZERO, seen: Seen::nothing() }
    }

    fn and(mut self, other: Stalls) -> Stalls {
        self.longest_work = self.longest_work.max(other.longest_work);
        self.seen.add(&other.seen);
        self
    }

    /// The bar, and what missed it.
    fn verdict(&self) -> String {
        let longest_max = ms(self.seen.idle.max()) + BAR_BEYOND_IDLE_MS;
        let both = [("PING", &self.seen.ping), ("GET", &self.seen.get)];
        let missed = both.iter().filter(|(_, it)| {
            BAR_P999_MS < ms(it.value_at_quantile(0.999)) || longest_max < ms(it.max())
        });
        let missed: Vec<_> = missed.map(|(name, _)| *name).collect();
        let met = if missed.is_empty() { "met".into() } else { missed.join(", ") + " missed" };
        format!("≤ {BAR_P999_MS:.0} · {longest_max:.1} {met}")
    }
}

fn cells(name: &str, of: &[Option<Stalls>; 2]) -> Vec<String> {
    let each = |figure: fn(&Stalls) -> String| {
        of.each_ref().map(|it| it.as_ref().map_or("n/a".to_owned(), figure))
    };
    let mut cells = vec![name.to_owned()];
    cells.push(each(|it| format!("{:.0}", it.longest_work.as_secs_f64() * 1e3)).join(" · "));
    cells.extend(each(|it| times(&it.seen.ping)));
    cells.extend(each(|it| times(&it.seen.get)));
    cells.push(each(|it| format!("{:.1}", ms(it.seen.idle.max()))).join(" · "));
    cells.push(of[1].as_ref().map_or("n/a".to_owned(), Stalls::verdict));
    cells
}

fn times(of: &Histogram<u64>) -> String {
    format!("{:.2} · {}", ms(of.value_at_quantile(0.5)), milliseconds(of))
}
