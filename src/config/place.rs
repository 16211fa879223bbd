//! Where in a config file something is wrong, told so that it can be found and put right.

use std::ops::Range;

/// What is wrong, and which bytes of the file say so.
#[derive(Debug)]
pub struct Wrong {
    pub span: Option<Range<usize>>,
    pub what: What,
}

/// The kinds of wrong.
#[derive(Debug)]
pub enum What {
    /// A value that its key does not take; what the key does take.
    Value(String),
    /// A value that its key takes and that does not do what it seems to: what it does, and what to
    /// write instead.
    Foolish(String),
    /// Anything else, in words.
    Static(String),
}

/// Values are told back up to this many characters.
const FOUND_CHARS_MAX: usize = 60;

impl Wrong {
    /// A value at `span` that should have been `accepted`.
    pub fn value(span: Range<usize>, accepted: String) -> Wrong {
        Wrong { span: Some(span), what: What::Value(accepted) }
    }

    /// Something at `span` that is wrong for a reason of its own.
    pub fn says(span: Range<usize>, what: String) -> Wrong {
        Wrong { span: Some(span), what: What::Static(what) }
    }

    /// A value at `span` that is accepted and `words` says what is foolish about.
    pub fn foolish(span: Range<usize>, words: String) -> Wrong {
        Wrong { span: Some(span), what: What::Foolish(words) }
    }

    /// The text without the line on which this is wrong, every other byte in its place; `None` when
    /// it is a whole table, or nobody knows where.
    pub fn blank(&self, text: &str) -> Option<String> {
        let line = line_of(text, self.span.as_ref()?);
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let length = text[start..].find('\n').unwrap_or(text.len() - start);
        let written = &text[start..start + length];
        let is_table = written.trim_start().starts_with('[');
        if is_table || written.trim().is_empty() {
            return None;
        }
        Some(format!("{}{}{}", &text[..start], " ".repeat(length), &text[start + length..]))
    }

    /// Whether it may be wrong only because another line is not there.
    pub fn is_of_another_line(&self) -> bool {
        matches!(&self.what, What::Static(words) if !words.starts_with("unknown key"))
    }

    /// One line: file, line, key, the value found, what is accepted.
    pub fn told(&self, file: &str, text: &str) -> String {
        let Some(span) = &self.span else { return format!("{file}: {}", self.words()) };
        let line = line_of(text, span);
        let key = key_at(text, line);
        let found = found(text, span, &key);
        match &self.what {
            What::Value(accepted) => {
                format!("{file}:{line}: {key} = {found} is not accepted; write {accepted}")
            }
            What::Foolish(words) => format!("{file}:{line}: {key} = {found} {words}"),
            What::Static(words) => format!("{file}:{line}: {words}"),
        }
    }

    fn words(&self) -> &str {
        match &self.what {
            What::Value(words) | What::Foolish(words) | What::Static(words) => words,
        }
    }
}

/// The line on which a place begins, counted from 1.
pub fn line_of(text: &str, span: &Range<usize>) -> usize {
    1 + text[..span.start.min(text.len())].matches('\n').count()
}

/// The value of `key` in a table whose header begins `span`, when it stands on a line of its own.
pub fn value_in_table(text: &str, span: &Range<usize>, key: &str) -> Option<Range<usize>> {
    let table = text.get(span.start..).filter(|it| it.starts_with('['))?;
    let mut at = span.start;
    for line in table.split_inclusive('\n') {
        if key_of(line.trim()) == Some(key) {
            let value = at + line.find('=')? + 1;
            let written = line.split('#').next().unwrap_or(line);
            return Some(value..at + written.trim_end().len());
        }
        at += line.len();
    }
    None
}

/// The value as written, shortened; a password or a secret is never repeated.
fn found(text: &str, span: &Range<usize>, key: &str) -> String {
    const HIDDEN: [&str; 6] =
        ["requirepass", "token-secret", "masterauth", "set.master", "password", "user.rules"];
    if HIDDEN.iter().any(|it| key.ends_with(it)) {
        return "(hidden)".to_owned();
    }
    let written = text.get(span.clone()).unwrap_or_default().trim();
    let flat = written.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.chars().count() <= FOUND_CHARS_MAX {
        true => flat,
        false => flat.chars().take(FOUND_CHARS_MAX).collect::<String>() + "…",
    }
}

/// The key that line `line` belongs to, with its table: the nearest `key =` and `[table]` above.
pub fn key_at(text: &str, line: usize) -> String {
    let above: Vec<&str> = text.lines().take(line).map(str::trim).collect();
    let key = above.iter().rev().find_map(|it| key_of(it)).unwrap_or_default();
    let is_header = |it: &&&str| it.starts_with('[') && it.contains(']') && key_of(it).is_none();
    let table = above.iter().rev().find(is_header);
    match table.map(|it| it.split(']').next().unwrap_or_default().trim_matches(['[', ' '])) {
        Some(table) => format!("{table}.{key}"),
        None => key.to_owned(),
    }
}

/// The key of a line that opens with `key =`.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_plain = |it: char| it.is_alphanumeric() || "-_.\"".contains(it);
    (!key.is_empty() && key.chars().all(is_plain)).then(|| key.trim_matches('"'))
}
