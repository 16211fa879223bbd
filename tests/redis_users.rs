//! Redis' own tests of users and passwords, which start servers by themselves: ours, behind a script
//! that takes a config file of Redis. They are run where REDIS_SOURCE names a directory with the
//! source of Redis 7.0.15.

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use support::on_disk::Dir;

const UNITS: [&str; 3] = ["unit/auth", "unit/acl", "unit/acl-v2"];
const EXCEPTIONS: &str = include_str!("redis_users/exceptions.txt");

/// A directory as the suite wants it: its tests, and programs where it looks for them.
fn prepared(source: &str) -> Dir {
    let dir = Dir::new();
    let copied = Command::new("cp").args(["-r", &format!("{source}/tests"), dir.path()]).status();
    assert!(copied.expect("it runs").success());
    fs::create_dir(dir.join("src")).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redis_users/redis-server");
    symlink(ours, dir.join("src/redis-server")).unwrap();
    for name in ["redis-cli", "redis-benchmark"] {
        let found = Command::new("which").arg(name).output().expect("it runs").stdout;
        let found = String::from_utf8(found).unwrap();
        symlink(found.trim(), dir.join("src").join(name)).unwrap();
    }
    dir
}

/// The tests of a unit that fail, and how many pass.
fn failed(dir: &Dir, unit: &str) -> (BTreeSet<String>, usize) {
    let mut command = Command::new("tclsh");
    command.args(["tests/test_helper.tcl", "--single", unit, "--durable", "--clients", "1"]);
    command.current_dir(dir.path()).env("ENTOURAGE_BIN", env!("CARGO_BIN_EXE_entourage"));
    let said = command.output().expect("there is a tclsh").stdout;
    // Without its colours.
    let said = String::from_utf8_lossy(&said);
    let (first, colours) = said.split_once('\x1b').unwrap_or((&said, ""));
    let plain = colours.split('\x1b').map(|it| it.split_once('m').map_or("", |it| it.1));
    let said = format!("{first}{}", plain.collect::<String>());
    let named = |line: &str| {
        let (_, rest) = line.split_once("[err]")?;
        let name = rest.split_once(": ")?.1.rsplit_once(" in tests/")?.0;
        Some(name.to_owned())
    };
    assert!(said.contains("The End"), "{said}");
    (said.lines().filter_map(named).collect(), said.matches("[ok]").count())
}

#[test]
#[ignore = "the source of redis"]
fn redis_own_tests_of_users_pass_but_for_those_that_are_declared() {
    let source = env::var("REDIS_SOURCE").expect("REDIS_SOURCE names redis-7.0.15");
    let dir = prepared(&source);
    for unit in UNITS {
        let is_of_unit = |line: &'static str| {
            line.split_once(' ').filter(|it| it.0 == unit).map(|it| it.1.to_owned())
        };
        let declared: BTreeSet<String> = EXCEPTIONS.lines().filter_map(is_of_unit).collect();
        let (failed, passed) = failed(&dir, unit);
        assert_eq!(failed, declared, "{unit}");
        assert!(5 < passed, "{unit}: {passed}");
    }
}
