//! A test harness of few lines for tests that take options of their own: it prints what libtest
//! prints, and understands as much of libtest's command line as cargo users type.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Options of libtest that bring a value; all of them are ignored.
const LIBTEST_VALUES: &[&str] = &["skip", "test-threads", "color", "format", "logfile"];
/// Options of libtest without one.
const LIBTEST_WORDS: &[&str] = &[
    "include-ignored",
    "ignored",
    "nocapture",
    "no-capture",
    "exact",
    "list",
    "test",
    "bench",
    "quiet",
    "show-output",
];

/// A run: its options, and what came of its tests.
pub struct Suite {
    name: &'static str,
    options: HashMap<String, String>,
    filters: Vec<String>,
    begun: Instant,
    passed: u32,
    failed: u32,
    filtered: u32,
}

impl Suite {
    /// Reads the command line; `known` are this suite's own options, each with a value.
    pub fn new(name: &'static str, known: &[&str]) -> Suite {
        let mut suite = Suite {
            name,
            options: HashMap::new(),
            filters: Vec::new(),
            begun: Instant::now(),
            passed: 0,
            failed: 0,
            filtered: 0,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            suite.take(&arg, &mut args, known);
        }
        suite
    }

    fn take(&mut self, arg: &str, rest: &mut impl Iterator<Item = String>, known: &[&str]) {
        let Some(name) = arg.strip_prefix("--") else {
            return if !arg.starts_with('-') {
                self.filters.push(arg.into())
            };
        };
        let (name, given) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let takes_value = known.contains(&name) || LIBTEST_VALUES.contains(&name);
        match takes_value {
            true => {
                let value = given.or_else(|| rest.next());
                let value = value.unwrap_or_else(|| panic!("--{name} needs a value"));
                self.options.insert(name.into(), value);
            }
            false if LIBTEST_WORDS.contains(&name) => {}
            false => panic!("--{name} is unknown; known: --{}", known.join(" --")),
        }
    }

    /// The text of an option.
    pub fn text<'a>(&'a self, option: &str, default: &'a str) -> &'a str {
        self.options.get(option).map_or(default, String::as_str)
    }

    /// The number of an option.
    pub fn number(&self, option: &str, default: u64) -> u64 {
        let parse = |it: &String| it.parse().unwrap_or_else(|_| panic!("--{option} {it}?"));
        self.options.get(option).map_or(default, parse)
    }

    /// Whether the command line asks for this test.
    pub fn wants(&self, test: &str) -> bool {
        let full = format!("{}::{test}", self.name);
        self.filters.is_empty() || self.filters.iter().any(|it| full.contains(it))
    }

    /// Runs one test unless it is filtered out; a panic is a failure.
    pub fn test(&mut self, name: &str, body: impl FnOnce() -> Result<String, String>) {
        if !self.wants(name) {
            self.filtered += 1;
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(body));
        let outcome = outcome.unwrap_or_else(|_| Err("it panicked".into()));
        match outcome {
            Ok(remark) => {
                self.passed += 1;
                println!("test {}::{name} ... ok {remark}", self.name);
            }
            Err(why) => {
                self.failed += 1;
                println!("test {}::{name} ... FAILED\n{why}", self.name);
            }
        }
    }

    /// Prints the sum and ends the process as libtest does.
    pub fn finish(self) -> ! {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        println!(
            "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered \
             out; finished in {:.2}s\n",
            self.passed,
            self.failed,
            self.filtered,
            self.begun.elapsed().as_secs_f64()
        );
        std::process::exit(if self.failed == 0 { 0 } else { 101 });
    }
}
