//! How the scripts of `tests/commands` are written. `tests/support/script.rs` reads them with this
//! file, too, so it names nothing of the server.
//!
//! A script is a list of `> COMMAND arg "quoted \x00 arg"` lines, each followed by its reply as it
//! goes over the wire, line by line. `@ 5` sets the clock to 5 ms; `#` begins a comment, and
//! `#! since 7.2` before a command says that Redis 7.0 does not know it.

/// A line, or a command with its reply.
pub enum Part {
    /// A clock to set, a comment, or nothing.
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

impl Step {
    /// Whether this reply is the one that was written down.
    pub fn allows(&self, got: &str) -> bool {
        without_blanks(got) == without_blanks(&self.reply)
    }
}

/// Blank lines separate: a reply that has some of its own is still told from others by its lengths.
fn without_blanks(text: &str) -> String {
    text.lines().filter(|it| !it.is_empty()).map(|it| format!("{it}\n")).collect()
}

/// The parts of a script.
pub fn parts(text: &str) -> Vec<Part> {
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
