//! Calls that wait for keys, and what serves, disturbs and ends them: drawn steps of several
//! clients, the same at Entourage and at a Valkey, each when all is at rest behind the one before.
//! Every reply to every client must be the same, who waits, keyspace events, and what is left.

mod stage;
mod steps;

use crate::schedules;
use crate::support::{Server, contents, digests, within};
use entourage::base::random::Random;
use stage::{Seen, Stage};
use std::collections::BTreeSet;
use std::time::Duration;
use steps::{Draw, Step};

/// Schedules of a run, and of a long one.
const SCHEDULES: [u64; 2] = [80, 2_000];
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays schedules of a seed. Answers how many, or what differs.
pub fn run(seed: u64, threads: &str) -> Result<String, String> {
    let Some(theirs) = Server::valkey() else {
        return Ok("SKIPPED: NO VALKEY-SERVER HERE, NAME ONE IN VALKEY_SERVER".into());
    };
    let draw = |ours: &Server, random: Random| {
        let (mut draw, mut steps) = (Draw::new(random), vec![]);
        let found = play(&theirs, ours, |stage| {
            let is_over = steps.len() == draw.steps;
            let step = (!is_over).then(|| draw.step(&stage.blocked(), stage.is_busy()))?;
            steps.push(step.clone());
            Some(step)
        });
        (steps, found)
    };
    schedules::run((seed, threads), SCHEDULES, draw, |ours, steps| {
        let mut rest = steps.iter().cloned();
        play(&theirs, ours, |_| rest.next())
    })
}

/// Plays steps at both servers. Answers what differs.
fn play(
    theirs: &Server,
    ours: &Server,
    mut next: impl FnMut(&Stage<'_>) -> Option<Step>,
) -> Option<String> {
    let (mut theirs, mut ours) = (Stage::new(theirs), Stage::new(ours));
    let mut found = None;
    while let Some(step) = next(&theirs).filter(|_| found.is_none()) {
        theirs.begin(&step);
        ours.begin(&step);
        let mut wanted = theirs.rest();
        if step.expires() {
            theirs.expire();
            wanted = theirs.rest();
        }
        found = ours.follow(&wanted).err().map(|seen| difference(&wanted, &seen));
    }
    let found = found.or_else(|| what_is_left(&mut theirs, &mut ours));
    theirs.end();
    ours.end();
    found
}

fn difference(wanted: &Seen, seen: &Seen) -> String {
    let differs = |name: &str, theirs: String, ours: String| match theirs == ours {
        true => String::new(),
        false => format!("{name}\n  valkey:    {theirs}\n  entourage: {ours}\n"),
    };
    let told = |it: &Seen| {
        [
            format!("{:?}", it.states),
            format!("{:?}", it.replies),
            it.events.join(" "),
            it.counts.join(" "),
        ]
    };
    let names = ["clients", "replies", "events", "counts"];
    let pairs = told(wanted).into_iter().zip(told(seen));
    names.iter().zip(pairs).map(|(name, (theirs, ours))| differs(name, theirs, ours)).collect()
}

/// Both hold the same, and all members do.
fn what_is_left(theirs: &mut Stage<'_>, ours: &mut Stage<'_>) -> Option<String> {
    let wanted = contents(theirs.operator());
    let mut held = contents(ours.operator());
    let are_same = within(PATIENCE, || {
        held = contents(ours.operator());
        (held == wanted).then_some(())
    });
    if are_same.is_none() {
        return Some(format!("left\n  valkey:    {wanted:?}\n  entourage: {held:?}\n"));
    }
    let agree = within(PATIENCE, || {
        let digests: BTreeSet<String> = digests(ours.operator()).into_iter().collect();
        (digests.len() == 1).then_some(())
    });
    agree.is_none().then(|| format!("members hold {:?}\n", digests(ours.operator())))
}
