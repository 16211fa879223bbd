//! Schedules: drawn steps of several clients, played at two servers, and made short when something
//! differs.

use super::replay::Replay;
use super::shrink::leave_out;
use crate::support::Server;
use entourage::base::random::Random;
use std::env;
use std::fmt::Display;

/// A schedule that fails is played again at most so often, to make it short.
const REPLAYS_MAX: usize = 80;

/// Plays schedules of a seed, as many as the first of `counts`, or as the second in a long run.
/// `draw` plays what it draws at both, and `play` plays steps: they answer what
/// differs. Answers how many were played, or what differs.
pub fn run<S: Clone + Display>(
    (seed, threads): (u64, &str),
    counts: [u64; 2],
    draw: impl Fn(&Server, Random) -> (Vec<S>, Option<String>),
    play: impl Fn(&Server, &[S]) -> Option<String>,
) -> Result<String, String> {
    let ours = Server::entourage(&["--replicas", "2", "--threads", threads]);
    let replay = Replay::of(&ours);
    let schedules = counts[usize::from(env::var_os("ENTOURAGE_LONG").is_some())];
    let mut played = 0;
    for number in 0..schedules {
        let random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let (steps, found) = draw(&ours, random);
        played += steps.len();
        if let Some(found) = found {
            let mut replays_left = REPLAYS_MAX;
            let (steps, found) = leave_out(steps, found, |steps| {
                replays_left = replays_left.checked_sub(1)?;
                play(&ours, steps)
            });
            let lines: Vec<String> = steps.iter().map(|it| format!("  {it}\n")).collect();
            return Err(format!("schedule {number} of seed {seed}:\n{}{found}", lines.concat()));
        }
    }
    replay.compare(&ours)?;
    Ok(format!("({played} steps of {schedules} schedules, seed {seed}, {threads} workers)"))
}
