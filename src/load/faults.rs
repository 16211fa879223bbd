//! What is done to the target while it is loaded, and when.

use super::pace::Phase;
use super::settings::{FaultSetting, Settings};
use super::times::duration;
use crate::base::random::Random;
use std::time::Duration;

const FAULTS_MAX: u32 = 1_000;
/// So that faults do not fall as keys do.
const FAULTS_SEED: u64 = 0xFA17;

/// Something that is done to the target while it is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// When, since the measured part began.
    pub at: Duration,
    /// As it was written.
    pub what: String,
    /// The command that does it.
    pub command: Vec<String>,
    /// Whether it may be refused: its time is random, so that it may not fit what is there then.
    pub is_random: bool,
    /// Its place among the settings' faults: what undoes a fault has the same.
    pub number: usize,
    /// Whether it undoes the one of its number.
    pub is_undoing: bool,
}

/// The command that a failover to nobody by name stands for; see [`FAILOVER_TO`].
pub const FAILOVER: &str = "failover";
/// What makes a replica the master, with its name behind it.
pub const FAILOVER_TO: [&str; 3] = ["PROXY", "FAILOVER", "TO"];

/// What undoes those that were done: `all` in their order, of which so many were.
pub fn undoings(all: &[Fault], done: usize) -> impl Iterator<Item = &Fault> {
    let (done, left) = all.split_at(done);
    left.iter().filter(move |it| it.is_undoing && done.iter().any(|of| of.number == it.number))
}

/// What is done, in the order in which it is. The seed chooses what is left to chance.
pub fn faults(s: &Settings, phases: &[Phase], is_timeless: bool) -> Result<Vec<Fault>, String> {
    let whole: Duration = phases.iter().map(|it| it.time).sum();
    let mut random = Random::new(s.seed.unwrap_or(1) ^ FAULTS_SEED);
    let mut all = Vec::new();
    for FaultSetting { at, what } in &s.faults {
        let (times, is_random) = match at.strip_prefix("random") {
            Some(_) if is_timeless => {
                return Err("fault: random needs a duration to choose a time in".to_owned());
            }
            Some(count) => (random_times(count, whole, &mut random)?, true),
            None => (vec![duration("fault", at)?], false),
        };
        for at in times {
            if !is_random && whole <= at {
                let end = whole.as_secs_f64();
                let at = at.as_secs_f64();
                return Err(format!("fault: {what} at {at} s: the run ends after {end} s"));
            }
            fault(at, what, is_random, &mut all)?;
        }
    }
    all.sort_by_key(|it| it.at);
    Ok(all)
}

/// Moments of the run: one for ``, five for `*5`.
fn random_times(
    count: &str,
    whole: Duration,
    random: &mut Random,
) -> Result<Vec<Duration>, String> {
    let count = match count.strip_prefix('*') {
        Some(count) => count.parse::<u32>().ok().filter(|it| (1..=FAULTS_MAX).contains(it)),
        None => Some(1).filter(|_| count.is_empty()),
    };
    let count = count.ok_or_else(|| {
        format!("fault: write random, or random*5 for five; {FAULTS_MAX} at most")
    })?;
    let most = whole.as_micros().max(1) as u64;
    Ok((0..count).map(|_| Duration::from_micros(random.below(most))).collect())
}

/// Reads `pause n2`, or `pause n2 for 1s`, which is undone then.
fn fault(at: Duration, what: &str, is_random: bool, all: &mut Vec<Fault>) -> Result<(), String> {
    let words: Vec<&str> = what.split_whitespace().collect();
    let (words, time) = match words[..] {
        [what, node, "for", time] if undone(what).is_some() => (vec![what, node], Some(time)),
        _ => (words, None),
    };
    let number = all.len();
    let mut add = |at: Duration, words: &[&str], is_undoing: bool| {
        let command = fault_command(words).ok_or_else(|| {
            format!(
                "fault: {what} is not accepted; write pause, resume, drain or undrain with a node \
                 like n2, \"pause n2 for 1s\", cut, or failover with or without a node"
            )
        })?;
        let command = command.into_iter().map(str::to_owned).collect();
        let what = words.join(" ");
        all.push(Fault { at, what, command, is_random, number, is_undoing });
        Ok(())
    };
    if let Some(time) = time {
        let until = at + duration("fault", time)?;
        let undone = undone(words[0]).unwrap_or_default();
        add(until, &[undone, words[1]], true)?;
    }
    add(at, &words, false)
}

/// What undoes a fault.
fn undone(what: &str) -> Option<&'static str> {
    match what {
        "pause" => Some("resume"),
        "drain" => Some("undrain"),
        _ => None,
    }
}

fn fault_command<'w>(words: &[&'w str]) -> Option<Vec<&'w str>> {
    Some(match *words {
        ["pause", node] => vec!["PROXY", "NODE", node, "PAUSE"],
        ["resume", node] => vec!["PROXY", "NODE", node, "RESUME"],
        ["drain", node] => vec!["PROXY", "NODE", node, "DRAIN"],
        ["undrain", node] => vec!["PROXY", "NODE", node, "UNDRAIN"],
        ["cut"] => vec!["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
        // Of another server than Entourage; there a replica is chosen when it is time.
        [FAILOVER] => vec!["FAILOVER"],
        [FAILOVER, node] => FAILOVER_TO.into_iter().chain([node]).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::scenario::Scenario;

    fn refused(text: &str) -> String {
        Scenario::new(Settings::read("a", text).unwrap()).unwrap_err()
    }

    #[test]
    fn faults_come_at_times_or_at_random_and_are_undone() {
        let text = "duration = '10s'\nseed = 4\n[[fault]]\nat = 'random*20'\nwhat = 'cut'\n\
                    [[fault]]\nat = '1s'\nwhat = 'pause n2 for 500ms'";
        let of = |text: &str| Scenario::new(Settings::read("a", text).unwrap()).unwrap().faults;
        let faults = of(text);
        assert_eq!(faults.len(), 22);
        assert!(faults.is_sorted_by_key(|it| it.at) && faults == of(text));
        assert!(faults != of(&text.replace("seed = 4", "seed = 5")));
        let early = faults.iter().filter(|it| it.is_random && it.at < Duration::from_secs(5));
        assert!((3..17).contains(&early.count()));
        let resume = faults.iter().find(|it| it.what == "resume n2").unwrap();
        assert_eq!((resume.at, resume.is_random), (Duration::from_millis(1500), false));
        let of = |text: &str| Scenario::new(Settings::read("a", text).unwrap()).unwrap().faults;
        let faults = of("duration = '2s'\n[[fault]]\nat = '1s'\nwhat = 'pause n2 for 9s'\n\
                         [[fault]]\nat = '1500ms'\nwhat = 'drain n3 for 9s'");
        let left = |done: usize| undoings(&faults, done).map(|it| &*it.what).collect::<Vec<_>>();
        assert_eq!(left(0), Vec::<&str>::new());
        assert_eq!(left(1), ["resume n2"]);
        assert_eq!(left(2), ["resume n2", "undrain n3"]);
        assert_eq!(left(3), ["undrain n3"]);
        let late = refused("duration = '2s'\n[[fault]]\nat = '2s'\nwhat = 'cut'");
        assert_eq!(late, "fault: cut at 2 s: the run ends after 2 s");
        for at in ["random*0", "random*", "random5", "randomly"] {
            let why = refused(&format!("[[fault]]\nat = '{at}'\nwhat = 'cut'"));
            assert!(why.starts_with("fault: write random"), "{why}");
        }
    }
}
