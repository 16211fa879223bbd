//! Redis' own test suite, 7.0.15, in external mode: every test passes that `redis_suite.txt` does
//! not name with its reason, and none passes that it names.
//!
//! It takes some 15 minutes and its source, so it is ignored: `tests/run.sh --long` fetches the one
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

/// What differs, a line each: `FAILS|SKIP unit | test | reason`.
const EXCEPTIONS: &str = include_str!("redis_suite.txt");
/// Programs that the suite calls by their place in the source.
const PROGRAMS: [&str; 3] = ["redis-cli", "redis-benchmark", "redis-server"];

/// What is expected of a test that is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// It fails, and others after it go on.
    Fails,
    /// It is not begun: it never ends, or the tests behind it cannot run.
    Skip,
}

struct Exception {
    expected: Expected,
    unit: String,
    test: String,
}

/// The lines of [`EXCEPTIONS`]; each has a reason.
fn exceptions() -> Vec<Exception> {
    let lines = EXCEPTIONS.lines().filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines.map(read_exception).collect()
}

fn read_exception(line: &str) -> Exception {
    let parts: Vec<&str> = line.splitn(3, " | ").map(str::trim).collect();
    let [head, test, reason] = parts[..] else { panic!("three parts each: {line}") };
    let (word, unit) = head.split_once(' ').unwrap_or_else(|| panic!("a word and a unit: {line}"));
    let expected = match word {
        "FAILS" => Expected::Fails,
        "SKIP" => Expected::Skip,
        _ => panic!("FAILS or SKIP: {line}"),
    };
    assert!(!reason.is_empty(), "a reason each: {line}");
    Exception { expected, unit: unit.trim().to_owned(), test: test.to_owned() }
}

/// A copy of the suite, in which it can write.
fn suite(source: &Path) -> Dir {
    let dir = Dir::new();
    let copied = Command::new("cp").arg("-r").arg(source.join("tests")).arg(dir.path()).status();
    assert!(copied.is_ok_and(|it| it.success()), "{}", source.display());
    fs::create_dir(dir.join("src")).expect("a folder for programs");
    for name in PROGRAMS {
        symlink(program(name), dir.join("src").join(name)).expect("a link");
    }
    dir
}

fn program(name: &str) -> PathBuf {
    let variable = name.to_ascii_uppercase().replace('-', "_");
    std::env::var_os(variable).map_or_else(|| Path::new("/usr/bin").join(name), PathBuf::from)
}

/// All units that have a test which can run in external mode.
fn units(suite: &Dir) -> Vec<String> {
    if let Ok(asked) = std::env::var("UNITS") {
        return asked.split_whitespace().map(str::to_owned).collect();
    }
    let mut units = Vec::new();
    for folder in ["unit", "unit/type"] {
        let files = fs::read_dir(suite.join(&format!("tests/{folder}"))).expect("the suite");
        for file in files {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|it| it == "tcl") {
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
    /// What ended the unit before its end, if so.
    broken_off: Option<String>,
}

fn run(suite: &Dir, unit: &str, skipped: &[&str]) -> Ran {
    let data = Dir::new();
    let server = Server::entourage_with_config(&format!(
        "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[server]\nenable-debug-command = \"yes\"\n\
         [set]\ndir = \"{}\"\n",
        data.path()
    ));
    let skips = suite.file("skips", skipped.join("\n"));
    let output = Command::new("timeout")
        .args(["300", "tclsh", "tests/test_helper.tcl", "--host", "127.0.0.1", "--port"])
        .arg(server.port().to_string())
        .args(["--single", unit, "--durable", "--ignore-encoding", "--clients", "1"])
        .args(["--timeout", "120", "--skipfile"])
        .arg(skips)
        .current_dir(suite.path())
        .output()
        .expect("tclsh runs");
    read_output(&String::from_utf8_lossy(&output.stdout))
}

fn read_output(output: &str) -> Ran {
    let mut ran = Ran { tests: BTreeMap::new(), broken_off: None };
    let plain = without_colours(output);
    let mut lines = plain.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("[ok]: ") {
            let name = rest.rsplit_once(" (").map_or(rest, |it| it.0);
            ran.tests.entry(name.to_owned()).or_insert(true);
        } else if let Some(rest) = line.strip_prefix("[err]: ") {
            let name = rest.rsplit_once(" in tests/").map_or(rest, |it| it.0);
            let why = lines.clone().next().unwrap_or_default();
            println!("failed: {name}: {why}");
            ran.tests.insert(name.to_owned(), false);
        } else if line.starts_with("[exception]") || line.starts_with("[TIMEOUT]") {
            ran.broken_off.get_or_insert_with(|| line.to_owned());
        }
    }
    if !plain.contains("All tests passed") && ran.tests.values().all(|it| *it) {
        ran.broken_off.get_or_insert_with(|| "it did not come to its end".to_owned());
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

#[test]
#[ignore = "15 minutes, and the suite's source"]
fn what_is_not_named_passes_and_what_is_named_does_not() {
    let source = std::env::var_os("REDIS_SOURCE").expect("REDIS_SOURCE names redis-7.0.15");
    let suite = suite(Path::new(&source));
    let exceptions = exceptions();
    let (mut passed, mut findings) = (0, Vec::new());
    for unit in units(&suite) {
        let of_unit: Vec<&Exception> = exceptions.iter().filter(|it| it.unit == unit).collect();
        let with = |expected| of_unit.iter().filter(move |it| it.expected == expected);
        let skipped: Vec<&str> = with(Expected::Skip).map(|it| &*it.test).collect();
        let failing: Vec<&str> = with(Expected::Fails).map(|it| &*it.test).collect();
        let ran = run(&suite, &unit, &skipped);
        println!("{unit}: {} tests", ran.tests.len());
        passed += ran.tests.values().filter(|it| **it).count();
        findings.extend(ran.broken_off.map(|it| format!("{unit}: broken off: {it}")));
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
    println!("{passed} passed");
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn each_exception_is_named_once_with_a_reason() {
    let mut names: Vec<(String, String)> =
        exceptions().into_iter().map(|it| (it.unit, it.test)).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn output_of_the_suite_is_read() {
    let output =
        "\u{1b}[0;32m[ok]\u{1b}[0m: one (two) (3 ms)\n[err]: other in tests/unit/a.tcl\nwhy\n";
    let ran = read_output(output);
    let expected = [("one (two)".to_owned(), true), ("other".to_owned(), false)];
    assert_eq!(ran.tests, BTreeMap::from(expected));
    assert!(ran.broken_off.is_none());
    assert!(read_output("[ok]: one (1 ms)\n").broken_off.is_some());
}
