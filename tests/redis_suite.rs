//! Redis' own test suite, 7.0.15: every test passes that the lists of `redis_suite/` do not name
//! with its reason, and none passes that they name.
//!
//! It is run in two modes. In external mode the suite is given one server of ours, with replicas
//! that serve reads. In spawn mode it starts its servers by itself: `redis_suite/redis-server`
//! stands where it looks for Redis', and makes one of our files of its config file.
//!
//! It takes some 30 minutes and its source, so it is ignored: `tests/run.sh --long` fetches the one
//! and takes the other. By hand, with the unpacked source of Debian's package `redis`:
//!
//! ```text
//! REDIS_SOURCE=…/redis-7.0.15 UNITS="unit/scan unit/expire" \
//!   cargo test --profile checked --test redis_suite -- --ignored --nocapture
//! ```

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::Server;
use support::on_disk::Dir;

/// Who starts the servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    External,
    Spawned,
}

impl Mode {
    /// What differs: a reason behind `=`, and the tests it is the reason of, a line each:
    /// `FAILS|SKIP|ENDS unit | test`, or `EDIT unit | text => another`. The test `*` is the whole
    /// unit.
    fn list(self) -> &'static str {
        match self {
            Mode::External => include_str!("redis_suite/external.txt"),
            Mode::Spawned => include_str!("redis_suite/spawned.txt"),
        }
    }

    /// What stands in the suite's `src/` of each program that it calls by its place.
    fn programs(self) -> [(&'static str, PathBuf); 3] {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redis_suite/redis-server");
        let server = match self {
            Mode::External => program("redis-server"),
            Mode::Spawned => ours,
        };
        let [cli, benchmark] = ["redis-cli", "redis-benchmark"];
        [("redis-server", server), (cli, program(cli)), (benchmark, program(benchmark))]
    }

    /// The units of this mode.
    fn units(self, suite: &Dir) -> Vec<String> {
        if let Ok(asked) = std::env::var("UNITS") {
            return asked.split_whitespace().map(str::to_owned).collect();
        }
        match self {
            Mode::External => units_in(suite, &["unit", "unit/type"], |_| true),
            // The others start no server that external mode would not do for them.
            Mode::Spawned => units_in(suite, &["unit", "unit/type", "integration"], |text| {
                text.contains("external:skip")
            }),
        }
    }
}

fn program(name: &str) -> PathBuf {
    let variable = name.to_ascii_uppercase().replace('-', "_");
    std::env::var_os(variable).map_or_else(|| Path::new("/usr/bin").join(name), PathBuf::from)
}

/// What is expected of a test that is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// It fails, and others after it go on.
    Fails,
    /// It is not begun: it never ends, or the tests behind it cannot run, or chance decides.
    Skip,
    /// A block of tests ends with this error, outside of any of them.
    Ends,
    /// The unit is run with this text in the place of that, so that what stands behind it can run.
    Edit,
}

struct Exception {
    expected: Expected,
    unit: String,
    test: String,
    reason: String,
}

/// The lines of a list; each has a reason above it.
fn exceptions(list: &str) -> Vec<Exception> {
    let mut reason = "";
    let mut found = Vec::new();
    for line in list.lines().filter(|it| !it.is_empty() && !it.starts_with('#')) {
        match line.strip_prefix("= ") {
            Some(it) => reason = it.trim(),
            None => found.push(read_exception(line, reason)),
        }
    }
    found
}

fn read_exception(line: &str, reason: &str) -> Exception {
    let (head, test) = line.split_once(" | ").unwrap_or_else(|| panic!("two parts each: {line}"));
    let (word, unit) = head.split_once(' ').unwrap_or_else(|| panic!("a word and a unit: {line}"));
    let expected = match word {
        "FAILS" => Expected::Fails,
        "SKIP" => Expected::Skip,
        "ENDS" => Expected::Ends,
        "EDIT" => Expected::Edit,
        _ => panic!("FAILS, SKIP, ENDS or EDIT: {line}"),
    };
    assert!(!reason.is_empty(), "a reason each: {line}");
    let [unit, test, reason] = [unit, test, reason].map(|it| it.trim().to_owned());
    Exception { expected, unit, test, reason }
}

/// A copy of the suite, in which it can write.
fn suite(source: &Path, mode: Mode) -> Dir {
    let dir = Dir::new();
    let copied = Command::new("cp").arg("-r").arg(source.join("tests")).arg(dir.path()).status();
    assert!(copied.is_ok_and(|it| it.success()), "{}", source.display());
    fs::create_dir(dir.join("src")).expect("a folder for programs");
    for (name, program) in mode.programs() {
        symlink(program, dir.join("src").join(name)).expect("a link");
    }
    dir
}

/// The units of these folders whose text is as it should be.
fn units_in(suite: &Dir, folders: &[&str], is_one: impl Fn(&str) -> bool) -> Vec<String> {
    let mut units = Vec::new();
    for folder in folders {
        let files = fs::read_dir(suite.join(&format!("tests/{folder}"))).expect("the suite");
        for file in files {
            let path = file.expect("a file").path();
            let is_unit = path.extension().is_some_and(|it| it == "tcl");
            if is_unit && is_one(&fs::read_to_string(&path).unwrap_or_default()) {
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                units.push(format!("{folder}/{name}"));
            }
        }
    }
    units.sort();
    units
}

/// What became of the tests of one unit.
struct Ran {
    /// Each test that has ended, and whether it passed.
    tests: BTreeMap<String, bool>,
    /// What ended the unit, or a block of it, before its end.
    broken_off: Vec<String>,
}

fn run(suite: &Dir, mode: Mode, unit: &str, skipped: &[&str]) -> Ran {
    let mut command = Command::new("timeout");
    command.args(["1200", "tclsh", "tests/test_helper.tcl", "--single", unit, "--durable"]);
    command.args(["--ignore-encoding", "--clients", "1", "--timeout", "300", "--skipfile"]);
    command.arg(suite.file("skips", skipped.join("\n"))).current_dir(suite.path());
    let data = Dir::new();
    let server = (mode == Mode::External).then(|| {
        Server::entourage_with_config(&format!(
            "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[server]\nenable-debug-command = \
             \"yes\"\n[set]\ndir = \"{}\"\n",
            data.path()
        ))
    });
    match &server {
        Some(server) => {
            command.args(["--host", "127.0.0.1", "--port", &server.port().to_string()]);
        }
        None => {
            command.env("ENTOURAGE_BIN", env!("CARGO_BIN_EXE_entourage"));
        }
    }
    let output = command.output().expect("tclsh runs");
    read_output(&String::from_utf8_lossy(&output.stdout))
}

/// Puts one text in the place of another, wherever a unit has it.
fn edit(suite: &Dir, unit: &str, edit: &str) {
    let path = suite.join(&format!("tests/{unit}.tcl"));
    let text = fs::read_to_string(&path).expect("the unit");
    let (old, new) = edit.split_once(" => ").unwrap_or_else(|| panic!("two texts: {edit}"));
    assert!(text.contains(old), "{unit} has no {old}");
    fs::write(path, text.replace(old, new)).expect("the copy is ours");
}

fn read_output(output: &str) -> Ran {
    let mut ran = Ran { tests: BTreeMap::new(), broken_off: Vec::new() };
    let plain = without_colours(output);
    let mut lines = plain.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("[ok]: ") {
            let name = rest.rsplit_once(" (").map_or(rest, |it| it.0);
            ran.tests.entry(name.to_owned()).or_insert(true);
        } else if let Some(rest) = line.strip_prefix("[err]: ") {
            let why = lines.clone().next().unwrap_or_default();
            match rest.rsplit_once(" in tests/") {
                Some((name, _)) => {
                    println!("failed: {name}: {why}");
                    ran.tests.insert(name.to_owned(), false);
                }
                // Outside of a test: what stood behind it in its block was not run.
                None => ran.broken_off.push(format!("{rest} {why}")),
            }
        } else if line.starts_with("[exception]") || line.starts_with("[TIMEOUT]") {
            ran.broken_off.push(line.to_owned());
        }
    }
    if !plain.contains("The End") {
        ran.broken_off.push("it did not come to its end".to_owned());
    }
    ran
}

/// The text without the escapes that colour it.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = behind.split_once('m').map_or("", |it| it.1);
    }
    plain + rest
}

/// Runs all units of a mode, and compares what came of them with its list.
fn check(mode: Mode) {
    let source = std::env::var_os("REDIS_SOURCE").expect("REDIS_SOURCE names redis-7.0.15");
    let suite = suite(Path::new(&source), mode);
    let exceptions = exceptions(mode.list());
    let (mut passed, mut findings) = (0, Vec::new());
    let units = mode.units(&suite);
    for unit in &units {
        let of_unit: Vec<&Exception> = exceptions.iter().filter(|it| it.unit == *unit).collect();
        let with = |expected| of_unit.iter().filter(move |it| it.expected == expected);
        let tests = |expected| -> Vec<&str> { with(expected).map(|it| &*it.test).collect() };
        let skipped = tests(Expected::Skip);
        if skipped.contains(&"*") {
            continue;
        }
        let (failing, ends) = (tests(Expected::Fails), tests(Expected::Ends));
        tests(Expected::Edit).iter().for_each(|it| edit(&suite, unit, it));
        let ran = run(&suite, mode, unit, &skipped);
        let passed_here = ran.tests.values().filter(|it| **it).count();
        println!("{unit}: {} tests, {passed_here} passed", ran.tests.len());
        passed += passed_here;
        let is_named = |it: &String| ends.iter().any(|end| it.contains(end));
        let unnamed = ran.broken_off.iter().filter(|it| !is_named(it));
        findings.extend(unnamed.map(|it| format!("{unit}: broken off: {it}")));
        let did_not = ends.iter().filter(|end| !ran.broken_off.iter().any(|it| it.contains(**end)));
        findings.extend(did_not.map(|it| format!("{unit}: {it}: named, and did not end it")));
        for (test, is_ok) in &ran.tests {
            match (is_ok, failing.contains(&&**test)) {
                (false, false) => findings.push(format!("{unit}: {test}: fails")),
                (true, true) => {
                    findings.push(format!("{unit}: {test}: passes, though it is named"))
                }
                _ => {}
            }
        }
        let unknown = failing.iter().filter(|it| !ran.tests.contains_key(**it));
        findings.extend(unknown.map(|it| format!("{unit}: {it}: named, and did not run")));
    }
    println!("{mode:?}: {passed} passed in {} units; what differs, and why:", units.len());
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    exceptions.iter().for_each(|it| *counted.entry(&it.reason).or_default() += 1);
    counted.iter().for_each(|(reason, count)| println!("{count:4}  {reason}"));
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
#[ignore = "15 minutes, and the suite's source"]
fn beside_one_server_what_is_not_named_passes_and_what_is_named_does_not() {
    check(Mode::External);
}

#[test]
#[ignore = "20 minutes, and the suite's source"]
fn of_servers_that_it_starts_what_is_not_named_passes_and_what_is_named_does_not() {
    check(Mode::Spawned);
}

#[test]
fn each_exception_is_named_once_with_a_reason() {
    for mode in [Mode::External, Mode::Spawned] {
        let mut names: Vec<(String, String)> =
            exceptions(mode.list()).into_iter().map(|it| (it.unit, it.test)).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

#[test]
fn output_of_the_suite_is_read() {
    let output = "\u{1b}[0;32m[ok]\u{1b}[0m: one (two) (3 ms)\n[err]: other in tests/unit/a.tcl\n\
                  why\nThe End";
    let ran = read_output(output);
    let expected = [("one (two)".to_owned(), true), ("other".to_owned(), false)];
    assert_eq!(ran.tests, BTreeMap::from(expected));
    assert!(ran.broken_off.is_empty());
    assert_eq!(read_output("[ok]: one (1 ms)\n").broken_off.len(), 1);
    assert_eq!(read_output("[err]: I/O error\nThe End").broken_off, ["I/O error The End"]);
}
