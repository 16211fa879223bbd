//! The simulator as a program: any number of seeds, on all cores.
//!
//! ```text
//! cargo run --release --example sim -- --seeds 100000
//! cargo run --release --example sim -- --seed 17             one seed, and what happens in it
//! cargo run --release --example sim -- --plant AckCountedTwice
//! ```
//!
//! It is a root of its own of the same rooms as `src/lib.rs`, with the seams that only simulations
//! have; what nobody uses here is used there.
#![allow(dead_code, unused_imports, unused_macros)]

extern crate self as entourage;

#[path = "../../src/acl/mod.rs"]
pub mod acl;
#[path = "../../src/base/mod.rs"]
pub mod base;
#[path = "../../src/command/mod.rs"]
pub mod command;
#[path = "../../src/commands/mod.rs"]
pub mod commands;
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/script/mod.rs"]
pub mod script;
#[path = "../../src/engine/mod.rs"]
pub mod engine;
#[path = "../../src/metrics/mod.rs"]
pub mod metrics;
#[path = "../../src/node/mod.rs"]
pub mod node;
#[path = "../../src/persist/mod.rs"]
pub mod persist;
#[path = "../../src/pubsub/mod.rs"]
pub mod pubsub;
#[path = "../../src/replication/mod.rs"]
pub mod replication;
#[path = "../../src/resp/mod.rs"]
pub mod resp;
#[path = "../../src/route/mod.rs"]
pub mod route;
#[path = "../../src/runtime/mod.rs"]
pub mod runtime;
#[path = "../../src/server/mod.rs"]
pub mod server;
#[path = "../../src/session/mod.rs"]
pub mod session;
#[path = "../../src/state/mod.rs"]
pub mod state;
#[path = "mod.rs"]
mod sim;

use clap::{Parser, ValueEnum};
use sim::explore::{Asked, Explored, explore};
use sim::runs::Simulation;
use std::process::ExitCode;

/// As in `src/lib.rs`.
pub const IS_SIMULATED: bool = true;

/// Whole replica sets in one thread each, from a seed. Ends with 1 when a promise was not kept.
#[derive(Parser)]
struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// This seed alone, with what happens in it
    #[arg(long)]
    seed: Option<u64>,
    /// What happens in one run
    #[arg(long, default_value_t = 2500)]
    steps: u64,
    /// How many run at a time; 0 is one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// What is simulated
    #[arg(long, value_enum, default_value_t = What::Both)]
    what: What,
    /// Plant this fault, to see it found
    #[arg(long)]
    plant: Option<String>,
}

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Clients, connections and a hosted set
    Set,
    /// Sets that follow each other over links
    Wire,
    /// One after the other
    Both,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let planted = match &options.plant {
        None => None,
        Some(name) => match base::planted::named(name) {
            Some(planted) => Some(planted),
            None => {
                eprintln!("no such fault: {name}");
                return ExitCode::from(2);
            }
        },
    };
    let cores = std::thread::available_parallelism().map_or(1, |it| it.get());
    let asked = Asked {
        first: options.seed.unwrap_or(options.first),
        seeds: options.seed.map_or(options.seeds, |_| 1),
        steps: options.steps,
        threads: if options.threads == 0 { cores } else { options.threads },
        planted,
    };
    let mut is_clean = true;
    if options.what != What::Wire {
        is_clean &= one("a hosted set and its clients", &options, asked, sim::world::World::new);
    }
    if options.what != What::Set {
        is_clean &= one("sets and links", &options, asked, sim::wire::world::World::new);
    }
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one<S: Simulation>(
    name: &str,
    options: &Options,
    asked: Asked,
    new: impl Fn(u64) -> S + Sync,
) -> bool {
    println!("{name}");
    let explored: Explored = explore(asked, &new);
    if options.seed.is_some() && explored.found.is_none() {
        explored.trace.iter().for_each(|it| println!("{it}"));
    }
    println!("{explored}");
    explored.found.is_none()
}
