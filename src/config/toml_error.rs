//! What the TOML parser and serde refuse, in our words.

use super::leaf::ACCEPTED;
use super::place::{self, What, Wrong};
use super::redis_names;
use super::similar::nearest;
use super::table::PARAMS;
use std::ops::Range;

/// Whether a text is TOML at all, whatever it says.
pub fn is_toml(text: &str) -> bool {
    toml::from_str::<toml::Table>(text).is_ok()
}

/// What serde refused. A leaf says what it accepts; the rest says what was found in its words.
pub fn of_serde(text: &str, error: &toml::de::Error) -> Wrong {
    let words = error.message().trim().replace('\n', " ");
    let Some(span) = error.span() else { return Wrong { span: None, what: What::Static(words) } };
    if let Some(accepted) = words.strip_prefix(ACCEPTED) {
        return Wrong::value(span, accepted.to_owned());
    }
    if let Some(accepted) = words.contains(NUMBER_TOO_LARGE).then(|| accepted_at(text, &span)) {
        return Wrong::value(word_at(text, &span), accepted);
    }
    if let Some(what) = of_other_file(text, &span) {
        return Wrong::says(span, what);
    }
    if let Some((name, known)) = unknown_field(&words) {
        return Wrong::says(span, unknown_key(name, &known));
    }
    Wrong::says(span, words.replace("missing field", "missing key"))
}

/// What to say of a key that is none of those that are known here.
pub fn unknown_key(name: &str, known: &[&str]) -> String {
    if let Some(advice) = redis_names::advice(name) {
        return advice;
    }
    if let Some(meant) = nearest(name, known.iter().copied()) {
        return format!("unknown key `{name}`, did you mean `{meant}`?");
    }
    let known = known.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    format!("unknown key `{name}`, accepted are {known}")
}

/// serde's words of an unknown field: its name, then those that are known, each in backticks.
fn unknown_field(words: &str) -> Option<(&str, Vec<&str>)> {
    let mut names = words.strip_prefix("unknown field `")?.split('`').step_by(2);
    Some((names.next()?, names.filter(|it| !it.is_empty()).collect()))
}

/// A line that is no TOML because it is one of redis-server's own file.
fn of_other_file(text: &str, span: &Range<usize>) -> Option<String> {
    let line = text.lines().nth(place::line_of(text, span) - 1)?.trim();
    let is_plain = !line.starts_with('[') && !line.contains('=') && line.contains(' ');
    if !is_plain || is_toml(text) {
        return None;
    }
    let name = line.split(' ').next().unwrap_or_default();
    let advice = redis_names::advice(name).map_or(String::new(), |it| format!("; {it}"));
    Some(format!(
        "this is no TOML, which has lines like `key = value` below a [table]. A file of \
         redis-server is not read: config/docs/configuration.md has the keys there are{advice}"
    ))
}

/// What the TOML parser says of a number that nothing here can hold.
const NUMBER_TOO_LARGE: &str = "number too large";

/// What the key of the line with this place takes.
fn accepted_at(text: &str, span: &Range<usize>) -> String {
    let key = place::key_at(text, place::line_of(text, span));
    let param = PARAMS.iter().find(|it| it.key() == key);
    param.map_or_else(|| "a smaller number".to_owned(), |it| it.slot.accepted())
}

/// The whole word around a place that the parser gave up at.
fn word_at(text: &str, span: &Range<usize>) -> Range<usize> {
    let ends = |it: char| it.is_whitespace() || ",]}=#".contains(it);
    let start = text[..span.start].rfind(ends).map_or(0, |it| it + 1);
    let end = text[span.start..].find(ends).map_or(text.len(), |it| span.start + it);
    start..end.max(start)
}
