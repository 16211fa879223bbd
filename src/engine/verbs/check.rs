//! Runs the scripts of `tests/commands` against a bare engine; `tests/commands.rs` runs the same
//! scripts against a real Redis and against the whole proxy.
//!
//! A script is a list of `> COMMAND arg "quoted \x00 arg"` lines, each followed by its reply as it
//! goes over the wire, line by line. `@ 5` sets the clock to 5 ms and is skipped by servers with
//! clocks of their own; `#` begins a comment.

use crate::base::time::WallMs;
use crate::command::{Args, Fault, World};
use crate::engine::{Effects, Engine, Row, Run, Said, Thresholds};
use crate::resp::{OwnedRequest, Protocol, Reply};

/// Runs `tests/commands/<name>` and compares every reply.
pub fn check(name: &str) {
    let path = format!("{}/tests/commands/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{path}: {it}"));
    let mut bench = Bench::default();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if let Some(ms) = line.strip_prefix("@ ") {
            bench.world.now.set(WallMs(ms.parse().unwrap()));
        }
        let Some(command) = line.strip_prefix("> ") else { continue };
        let is_reply = |it: &(usize, &str)| ![">", "#", "@ "].iter().any(|p| it.1.starts_with(p));
        let mut wanted = String::new();
        while let Some((_, line)) = lines.next_if(is_reply) {
            wanted.push_str(line);
            wanted.push('\n');
        }
        let [got, wanted] = [bench.ask(&words(command)), wanted].map(|it| without_blanks(&it));
        assert_eq!(got, wanted, "{name}:{}: {command}", number + 1);
    }
}

/// Blank lines separate: a reply that has some of its own is still told from others by its lengths.
fn without_blanks(text: &str) -> String {
    text.lines().filter(|it| !it.is_empty()).map(|it| format!("{it}\n")).collect()
}

/// A bare engine with a clock to set.
pub struct Bench {
    /// The member.
    pub engine: Engine,
    /// Its clock and dice.
    pub world: World,
    /// What the last write said.
    pub effects: Effects,
    /// RESP2 unless set.
    pub protocol: Protocol,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            engine: Engine::new(7, Thresholds::default()),
            world: World::new(WallMs(1_000_000), 7),
            effects: Effects::default(),
            protocol: Protocol::Resp2,
        }
    }
}

impl Bench {
    /// Runs one command; answers its reply with line ends as `\n` and other bytes escaped.
    pub fn ask(&mut self, words: &[Vec<u8>]) -> String {
        let owned = OwnedRequest::of(words);
        let mut reply = Reply::new(self.protocol);
        if let Err(fault) = self.run(&owned, &mut reply) {
            reply.error(&fault.to_string());
        }
        let escape = |it: &u8| match it {
            b'\r' => String::new(),
            b'\n' => "\n".into(),
            b' '..=b'~' => char::from(*it).to_string(),
            it => it.escape_ascii().to_string(),
        };
        reply.bytes().iter().map(escape).collect()
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
        let args = Args::new(request, skip, 0, &self.world);
        match row.run {
            Run::Read(verb) => self.engine.read(verb, args, reply),
            Run::Either { read, is_read, .. } if is_read(request) => {
                self.engine.read(read, args, reply)
            }
            Run::Write(verb) | Run::Either { write: verb, .. } => {
                self.engine.write(&row.spec, verb, args, &mut self.effects, reply)
            }
            Run::Container(_) => unreachable!("containers do not nest"),
        }
    }
}

fn subcommand(rows: &'static [Row], name: &[u8]) -> &'static Row {
    let is_named = |it: &&Row| it.spec.name.as_bytes().eq_ignore_ascii_case(name);
    rows.iter().find(is_named).expect("a known subcommand")
}

/// What the last write said, in words; the client's own as `as sent`.
pub fn said(bench: &Bench) -> Vec<String> {
    let span = |said: &Said| match said {
        Said::AsSent => "as sent".to_owned(),
        Said::Instead(span) => {
            let text = String::from_utf8_lossy(&bench.effects.words()[span.clone()]).into_owned();
            let is_word = |it: &&str| !it.starts_with(['*', '$']);
            text.split("\r\n").filter(is_word).collect::<Vec<_>>().join(" ").trim_end().to_owned()
        }
    };
    bench.effects.items().iter().map(|it| span(&it.said)).collect()
}

/// Splits a line at spaces; `"…"` keeps them and knows `\xHH`, `\n`, `\r`, `\"` and `\\`.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = vec![];
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
                (word.as_bytes().to_vec(), after)
            }
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn unquote(text: &str) -> (Vec<u8>, &str) {
    let mut word = vec![];
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (word, &text[at + 1..]),
            '\\' => match chars.next().expect("an escape").1 {
                'n' => word.push(b'\n'),
                'r' => word.push(b'\r'),
                'x' => {
                    let digit = |it: char| it.to_digit(16).expect("a hexadecimal digit") as u8;
                    let high = digit(chars.next().unwrap().1);
                    word.push(high * 16 + digit(chars.next().unwrap().1));
                }
                other => word.extend_from_slice(other.to_string().as_bytes()),
            },
            other => word.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    panic!("unbalanced quotes: {text}");
}
