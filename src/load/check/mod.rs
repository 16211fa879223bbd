//! The consistency checker: what was written and read in a run, compared with what was promised.
//!
//! [`Checker`] takes events in ([`Event`]), puts them in order (`arrivals`), remembers what is
//! recent of keys (`keys`, `recent`) and of clients (`sessions`), and finds violations: of the
//! guarantees of sessions, of writes that must not be lost (`lost`), and of linearizability
//! (`linearizable`).

mod event;
mod checks;
mod violation;
mod verdict;
mod checker;
mod arrivals;
mod keys;
mod recent;
mod findings;
mod reading;
mod memory;
mod sessions;
mod lost;
mod staleness;
mod linearizable;
mod search;
mod shrink;
#[cfg(test)]
mod tests;

pub use checker::Checker;
pub use checks::{CheckName, Checks};
pub use event::{Batch, Event, ReadEvent, TokenEvent, WriteEvent};
pub use staleness::{StaleSecond, Staleness};
pub use verdict::Verdict;
pub use violation::{FinalValue, Violation};
