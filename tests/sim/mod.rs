//! The simulation: whole connections over a whole replica set in one thread, from a seed. Checkers
//! that know nothing of offsets look at every reply; planted faults show that they can fail.
//!
//! `cargo test --profile checked --lib sim` runs it; `SIM_SEED=17 cargo test … -- --nocapture`
//! replays one seed and prints what happened.

mod apart;
mod asked;
mod clock;
mod coverage;
mod finding;
mod crash;
mod fleeting;
mod followers;
mod hearers;
pub mod runs;
// Of the program alone: the tests run seeds in their own way.
#[cfg(not(test))]
pub mod explore;
mod shrink;
mod frame;
mod judge;
mod ledger;
mod ending;
mod errands;
mod members;
mod peer;
mod poppers;
mod script;
mod shell;
mod states;
mod surprises;
pub mod wire;
#[cfg(test)]
mod tests;
pub mod world;
