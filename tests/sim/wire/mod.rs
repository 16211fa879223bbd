//! The simulation of replicas on the wire: whole replica sets that follow each other over links
//! which deliver late, in pieces, and are cut at any byte. Both ends of a link are the state
//! machines of the product; there are no sockets and no tasks. Checkers know nothing of offsets:
//! every write says its number, so that the data itself tells which writes it has come from.
//!
//! `cargo test --profile checked --lib sim::wire` runs it; `SIM_SEED=17 cargo test … -- --nocapture`
//! replays one seed and prints what happened.

mod pipe;
pub mod replica_set;
pub mod master_end;
pub mod replica_end;
pub mod link;
mod ledger;
mod clients;
pub mod world;
mod changes;
#[cfg(test)]
mod tests;
