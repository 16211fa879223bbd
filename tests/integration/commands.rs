//! Runs every script of `tests/commands` against a real Redis and against Entourage with a master
//! and two replicas. `BLESS=1` writes the replies anew from the real Redis.

use crate::support::script::{Part, Script, Step, escape, words};
use crate::support::{Server, Wire};
use std::fmt::Write;

#[test]
fn redis_answers_as_the_scripts_say() {
    let redis = Server::redis(&[]);
    let bless = std::env::var_os("BLESS").is_some();
    let mut found = String::new();
    for mut script in Script::all() {
        match (&script.not_redis, bless) {
            (Some(reason), _) => println!("skipped {}: {reason}", script.name),
            (None, true) => rewrite(&mut script, &mut redis.dial()),
            (None, false) => found += &run(&script, &mut redis.dial(), |it| !it.is_newer),
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// What Redis 7 lacks, as a newer server has it.
#[test]
fn valkey_answers_as_its_scripts_say() {
    let Some(valkey) = Server::valkey() else {
        println!("SKIPPED: NO VALKEY-SERVER HERE, NAME ONE IN VALKEY_SERVER");
        return;
    };
    let found = run(&Script::read("strings-newer.txt"), &mut valkey.dial(), |_| true);
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn entourage_answers_as_the_scripts_say() {
    let ours = Server::entourage(&[]);
    let mut found = String::new();
    for script in Script::all() {
        found += &run(&script, &mut ours.dial(), |it| !(it.is_newer && Server::is_stand_in()));
    }
    assert!(found.is_empty(), "\n{found}");
}

/// Plays a script on empty databases; answers what differed.
fn run(script: &Script, wire: &mut Wire, wanted: impl Fn(&Step) -> bool) -> String {
    clear(wire);
    let mut found = String::new();
    for step in script.steps().filter(|it| !it.is_clocked && wanted(it)) {
        let got = ask(wire, step);
        if !step.allows(&got) {
            let (name, line, command) = (&script.name, step.line, &step.command);
            let _ = write!(found, "{name}:{line}: {command}\nwanted\n{}got\n{got}\n", step.reply);
        }
    }
    found
}

fn rewrite(script: &mut Script, wire: &mut Wire) {
    clear(wire);
    for part in &mut script.parts {
        if let Part::Step(step) = part
            && !step.is_clocked
            && !step.is_newer
        {
            let got = ask(wire, step);
            expect(step, &got);
        }
    }
    script.write();
}

/// Writes down another reply; what separates it from the next command stays.
fn expect(step: &mut Step, got: &str) {
    if !step.allows(got) {
        let gap = if step.reply.ends_with("\n\n") { "\n" } else { "" };
        step.reply = format!("{got}{gap}");
    }
}

fn clear(wire: &mut Wire) {
    assert_eq!(wire.ask("FLUSHALL").text(), Some(&b"OK"[..]));
}

fn ask(wire: &mut Wire, step: &Step) -> String {
    wire.send(&[words(&step.command)]);
    escape(&wire.read_raw().1)
}
