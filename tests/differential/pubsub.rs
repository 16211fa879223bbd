//! Channels, patterns, shard channels and keyspace events: drawn steps of several connections, the
//! same at Entourage and at a Redis, each when all is at rest behind the one before. All that
//! each connection gets must be the same, and what CLIENT LIST tells of each.

mod stage;
mod steps;

use crate::replay::Replay;
use crate::shrink::leave_out;
use crate::support::Server;
use entourage::base::random::Random;
use stage::{Stage, difference};
use std::env;
use steps::{Draw, Step};

/// Schedules of a run, and of a long one.
const SCHEDULES: [u64; 2] = [60, 3_000];

/// Plays schedules of a seed. Answers how many, or what differs.
pub fn run(seed: u64, threads: &str) -> Result<String, String> {
    let theirs = Server::redis(&[]);
    let ours = Server::entourage(&["--replicas", "2", "--threads", threads]);
    let replay = Replay::of(&ours);
    let schedules = SCHEDULES[usize::from(env::var_os("ENTOURAGE_LONG").is_some())];
    let mut played = 0;
    for number in 0..schedules {
        let random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let steps = Draw::new(random).steps();
        played += steps.len();
        if let Some(found) = play(&theirs, &ours, &steps) {
            let (steps, found) = leave_out(steps, found, |steps| play(&theirs, &ours, steps));
            let lines: Vec<String> = steps.iter().map(|it| format!("  {it}\n")).collect();
            return Err(format!("schedule {number} of seed {seed}:\n{}{found}", lines.concat()));
        }
    }
    replay.compare(&ours)?;
    Ok(format!("({played} steps of {schedules} schedules, seed {seed}, {threads} workers)"))
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
