//! Scripts of commands with their replies: the format of `src/engine/verbs/check.rs`, read whole so
//! that the replies can be written anew.
//!
//! Three words are for servers rather than for the bare engine: a first line `#! not redis: reason`
//! keeps a script from a real Redis, `#! since 7.2` before a command keeps that command from it,
//! and what follows an `@` line is for the bare engine only, because no real clock can be set.

use std::fs;
use std::path::PathBuf;

impl Step {
    /// Whether this reply is the one that was written down.
    pub fn allows(&self, got: &str) -> bool {
        without_blanks(got) == without_blanks(&self.reply)
    }

    /// Writes down another reply; what separates it from the next command stays.
    pub fn expect(&mut self, got: &str) {
        if !self.allows(got) {
            let gap = if self.reply.ends_with("\n\n") { "\n" } else { "" };
            self.reply = format!("{got}{gap}");
        }
    }
}

/// A script.
pub struct Script {
    /// Its file name.
    pub name: String,
    /// Why a real Redis answers otherwise, where one does.
    pub not_redis: Option<String>,
    /// All its lines.
    pub parts: Vec<Part>,
}

/// A line, or a command with its reply.
pub enum Part {
    /// Nothing to do.
    Text(String),
    /// Something to ask.
    Step(Step),
}

/// A command with its reply.
pub struct Step {
    /// Where it stands.
    pub line: usize,
    /// As it is written.
    pub command: String,
    /// Its reply, line by line.
    pub reply: String,
    /// Redis 7.0 does not know it.
    pub is_newer: bool,
    /// It stands behind an `@` line.
    pub is_clocked: bool,
}

impl Script {
    /// All scripts of `tests/commands`, by name.
    pub fn all() -> Vec<Script> {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/commands");
        let entries = fs::read_dir(&dir).expect("tests/commands is there");
        let mut names: Vec<String> = entries
            .map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|it| it.ends_with(".txt"))
            .collect();
        names.sort();
        names.into_iter().map(|it| Script::read(&it)).collect()
    }

    /// One script of `tests/commands`.
    pub fn read(name: &str) -> Script {
        let text = fs::read_to_string(path(name)).unwrap_or_else(|it| panic!("{name}: {it}"));
        let not_redis = text.strip_prefix("#! not redis:");
        let not_redis = not_redis.map(|it| it.lines().next().unwrap_or("").trim().to_owned());
        Script { name: name.into(), not_redis, parts: parts(&text) }
    }

    /// Its commands.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.parts.iter().filter_map(|it| match it {
            Part::Step(step) => Some(step),
            Part::Text(_) => None,
        })
    }

    /// Writes it back.
    pub fn write(&self) {
        let line = |it: &Part| match it {
            Part::Text(text) => format!("{text}\n"),
            Part::Step(step) => format!("> {}\n{}", step.command, step.reply),
        };
        let text: String = self.parts.iter().map(line).collect();
        fs::write(path(&self.name), text).expect("a script can be written");
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(name)
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = vec![];
    let (mut is_newer, mut is_clocked) = (false, false);
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        is_clocked |= line.starts_with("@ ");
        let Some(command) = line.strip_prefix("> ") else {
            is_newer |= line.starts_with("#! since ");
            parts.push(Part::Text(line.into()));
            continue;
        };
        let mut reply = String::new();
        while let Some((_, line)) = lines.next_if(|it| is_reply(it.1)) {
            reply.push_str(line);
            reply.push('\n');
        }
        let command = command.to_owned();
        parts.push(Part::Step(Step { line: number + 1, command, reply, is_newer, is_clocked }));
        is_newer = false;
    }
    parts
}

fn is_reply(line: &str) -> bool {
    ![">", "#", "@ "].iter().any(|it| line.starts_with(it))
}

/// Blank lines separate: a reply that has some of its own is still told from others by its lengths.
fn without_blanks(text: &str) -> String {
    text.lines().filter(|it| !it.is_empty()).map(|it| format!("{it}\n")).collect()
}

/// A reply as scripts write it: `\n` for line ends and other bytes escaped.
pub fn escape(raw: &[u8]) -> String {
    let escape = |it: &u8| match it {
        b'\r' => String::new(),
        b'\n' => "\n".into(),
        b' '..=b'~' => char::from(*it).to_string(),
        it => it.escape_ascii().to_string(),
    };
    raw.iter().map(escape).collect()
}

/// Splits a line at spaces; `"…"` keeps them and knows `\xHH`, `\n`, `\r`, `\"` and `\\`.
pub fn split(line: &str) -> Vec<Vec<u8>> {
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
            '\\' => word.extend(unescape(&mut chars)),
            other => word.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    panic!("unbalanced quotes: {text}");
}

fn unescape(chars: &mut std::str::CharIndices<'_>) -> Vec<u8> {
    let mut next = || chars.next().expect("an escape").1;
    match next() {
        'n' => vec![b'\n'],
        'r' => vec![b'\r'],
        'x' => {
            let digits: String = [next(), next()].iter().collect();
            vec![u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")]
        }
        other => other.to_string().into_bytes(),
    }
}
