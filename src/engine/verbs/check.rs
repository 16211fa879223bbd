//! Runs the scripts of `tests/commands` against a bare engine; `tests/integration/commands.rs` runs
//! the same scripts against a real Redis and against the whole proxy.

pub mod format;

use crate::base::time::WallMs;
use crate::command::{Args, CallEnv, Fault};
use crate::engine::{EffectBody, Effects, Engine, Row, Run, Thresholds};
use crate::resp::{OwnedRequest, Protocol, Reply};
pub use format::words;
use format::{Part, escape};

/// Runs `tests/commands/<name>` and compares every reply.
pub fn check(name: &str) {
    let path = format!("{}/tests/commands/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{path}: {it}"));
    let mut bench = Bench::default();
    for part in format::parts(&text) {
        match part {
            Part::Text(line) => {
                if let Some(ms) = line.strip_prefix("@ ") {
                    bench.env.now.set(WallMs(ms.parse().unwrap()));
                }
            }
            Part::Step(step) => {
                let (line, command, wanted) = (step.line, &step.command, &step.reply);
                let got = bench.ask(command);
                assert!(step.allows(&got), "{name}:{line}: {command}\nwanted\n{wanted}got\n{got}");
            }
        }
    }
}

/// A bare engine with a clock to set.
pub struct Bench {
    /// The member.
    pub engine: Engine,
    /// Its clock and random numbers.
    pub env: CallEnv,
    /// What the last write said.
    pub effects: Effects,
    /// RESP2 unless set.
    pub protocol: Protocol,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            engine: Engine::new(7, Thresholds::default()),
            env: CallEnv::new(WallMs(1_000_000), 7),
            effects: Effects::default(),
            protocol: Protocol::Resp2,
        }
    }
}

impl Bench {
    /// Runs the command that a line says; answers its reply as scripts write it.
    pub fn ask(&mut self, line: &str) -> String {
        self.ask_words(&words(line))
    }

    /// As [`Bench::ask`], for words that no line can say.
    pub fn ask_words(&mut self, words: &[Vec<u8>]) -> String {
        let owned = OwnedRequest::of(words);
        let mut reply = Reply::new(self.protocol);
        if let Err(fault) = self.run(&owned, &mut reply) {
            reply.error(&fault.to_string());
        }
        escape(reply.bytes())
    }

    /// What the stream says of a line, in words; the client's own as `as sent`.
    pub fn body(&mut self, line: &str) -> Vec<String> {
        self.effects.begin(0);
        self.ask(line);
        body(self)
    }

    /// Each line has its reply.
    pub fn expect_replies(&mut self, facts: &[(&str, &str)]) {
        for (line, wanted) in facts {
            assert_eq!(self.ask(line), *wanted, "{line}");
        }
    }

    /// The stream says this of each line.
    pub fn expect_said(&mut self, facts: &[(&str, &[&str])]) {
        for (line, wanted) in facts {
            assert_eq!(self.body(line), *wanted, "{line}");
        }
    }

    /// A line counts as so many changes, and who watches the key hears of it if that is any.
    pub fn expect_changes(&mut self, key: &str, line: &str, changes: u64) {
        self.expect_heard(key, line, changes, changes != 0);
    }

    /// A line counts as so many changes, and who watches the key hears of it, or not.
    pub fn expect_heard(&mut self, key: &str, line: &str, changes: u64, is_heard: bool) {
        let before = self.engine.written().changes;
        let version = self.engine.space_mut(0).watch(key.as_bytes());
        self.ask(line);
        assert_eq!(self.engine.written().changes, before + changes, "{line}");
        let is_same = self.engine.space(0).version(key.as_bytes()) == Some(version);
        assert_eq!(is_same, !is_heard, "{line}");
    }

    /// All texts that a scan (`HSCAN key`) meets from its first cursor to its last.
    pub fn scanned(&mut self, scan: &str, options: &str) -> Vec<String> {
        let (mut cursor, mut met) = ("0".to_owned(), Vec::new());
        loop {
            let mut replies = texts(&self.ask(&format!("{scan} {cursor} {options}")));
            met.extend(replies.split_off(1));
            cursor = replies.pop().unwrap();
            if cursor == "0" {
                return met;
            }
        }
    }

    fn run(&mut self, owned: &OwnedRequest, reply: &mut Reply) -> Result<(), Fault> {
        let request = owned.borrow();
        let row = super::find(request.get(0).unwrap()).expect("a known command");
        let (row, skip) = match row.run {
            Run::Container(rows) => (subcommand(rows, request.get(1).unwrap()), 2),
            _ => (row, 1),
        };
        if !row.spec.arity.fits(request.len()) {
            return Err(Fault::WrongArity(row.spec.name.to_lowercase()));
        }
        let args = Args::new(request, skip, 0, &self.env);
        self.effects.clear();
        match row.run {
            Run::Read(verb) => self.engine.read(verb, args, reply),
            Run::Either { read, is_read, .. } if is_read(request) => {
                self.engine.read(read, args, reply)
            }
            Run::ReadOrWait { read, is_read, .. } if is_read(request) => {
                self.engine.read(read, args, reply)
            }
            Run::Write(verb) | Run::Either { write: verb, .. } => {
                self.engine.write(&row.spec, verb, args, &mut self.effects, reply)
            }
            Run::Blocking(verb) | Run::ReadOrWait { wait: verb, .. } => {
                self.engine.write(&row.spec, verb, args, &mut self.effects, reply).map(drop)
            }
            Run::Container(_) => unreachable!("containers do not nest"),
        }
    }
}

fn subcommand(rows: &'static [Row], name: &[u8]) -> &'static Row {
    let is_named = |it: &&Row| it.spec.name.as_bytes().eq_ignore_ascii_case(name);
    rows.iter().find(is_named).expect("a known subcommand")
}

/// The texts in a reply of such.
pub fn texts(reply: &str) -> Vec<String> {
    let is_text = |it: &&str| !it.starts_with(['*', '$', '%', '~']);
    reply.lines().filter(is_text).map(str::to_owned).collect()
}

/// What the last write said, in words; the client's own as `as sent`.
pub fn body(bench: &Bench) -> Vec<String> {
    let span = |body: &EffectBody| match body {
        EffectBody::AsSent => "as sent".to_owned(),
        other => {
            let encoded = bench.effects.encoded(other).expect("it has words");
            let text = String::from_utf8_lossy(&encoded);
            let is_word = |it: &&str| !it.starts_with(['*', '$']);
            text.split("\r\n").filter(is_word).collect::<Vec<_>>().join(" ").trim_end().to_owned()
        }
    };
    bench.effects.items().iter().map(|it| span(&it.body)).collect()
}
