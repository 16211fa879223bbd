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

    /// One line: file, line, key, the value found, what is accepted.
    pub fn told(&self, file: &str, text: &str) -> String {
        let Some(span) = &self.span else { return format!("{file}: {}", self.words()) };
        let line = 1 + text[..span.start.min(text.len())].matches('\n').count();
        let What::Value(accepted) = &self.what else {
            return format!("{file}:{line}: {}", self.words());
        };
        let key = key_at(text, line);
        let found = found(text, span, &key);
        format!("{file}:{line}: {key} = {found} is not accepted; write {accepted}")
    }

    fn words(&self) -> &str {
        match &self.what {
            What::Value(words) | What::Static(words) => words,
        }
    }
}

/// The value as written, shortened; a password or a secret is never repeated.
fn found(text: &str, span: &Range<usize>, key: &str) -> String {
    if key.ends_with("requirepass") || key.ends_with("token-secret") {
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
fn key_at(text: &str, line: usize) -> String {
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
