//! Channels, patterns, shard channels and keyspace events: drawn steps of several connections, the
//! same at Entourage and at a Redis, each when all is at rest behind the one before. All that
//! each connection gets must be the same, and what CLIENT LIST tells of each.

mod stage;
mod steps;

use crate::schedules;
use crate::support::Server;
use entourage::base::random::Random;
use stage::{Stage, difference};
use steps::{Draw, Step};

/// Schedules of a run, and of a long one.
const SCHEDULES: [u64; 2] = [60, 3_000];

/// Plays schedules of a seed. Answers how many, or what differs.
pub fn run(seed: u64, threads: &str) -> Result<String, String> {
    let theirs = Server::redis(&[]);
    let play = |ours: &Server, steps: &[Step]| play(&theirs, ours, steps);
    let draw = |ours: &Server, random: Random| {
        let steps = Draw::new(random).steps();
        let found = play(ours, &steps);
        (steps, found)
    };
    schedules::run((seed, threads), SCHEDULES, draw, play)
}

/// Plays steps at both servers. Answers what differs.
fn play(theirs: &Server, ours: &Server, steps: &[Step]) -> Option<String> {
    let (mut theirs, mut ours) = (Stage::new(theirs), Stage::new(ours));
    let mut found = None;
    for step in steps {
        theirs.begin(step);
        ours.begin(step);
        let wanted = theirs.rest();
        if let Err(seen) = ours.follow(&wanted) {
            found = Some(format!("behind {step}\n{}", difference(&wanted, &seen)));
            break;
        }
    }
    theirs.end();
    ours.end();
    found
}
