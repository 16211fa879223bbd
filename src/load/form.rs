//! What kind of value the checks follow, and where it says its version.

use super::control::write_request;
use super::values::version_of;
use crate::base::number::parse_i64;

/// Commands that the checks follow; of one form in a scenario.
pub const FOLLOWED: &str = "`SET {key} {value}` (with GET, KEEPTTL or XX behind it, or nothing) \
                            with `GET {key}`, `HSET {key} field {value}` with `HGET {key} field`, \
                            or `INCR {key}` with `GET {key}`";

/// What a command means to the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Nothing.
    Unchecked,
    /// It writes a version of a key, as `SET {key} {value}` does.
    Write,
    /// It reads one, as `GET {key}` does.
    Read,
}

/// What the form of one command is found by.
pub struct Followed<'c> {
    /// As it was written.
    pub text: &'c str,
    /// What it means.
    pub meaning: Meaning,
    /// Its form, if it is of one.
    pub form: Option<&'c Form>,
}

/// The kind of value that keys hold under checks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// A string that begins with its version: SET and GET.
    #[default]
    Text,
    /// The same in this field of a hash: HSET and HGET.
    Hash(String),
    /// A number that is its own version: INCR and GET.
    Counter,
}

impl Form {
    /// What a command means to the checks, and to which form it belongs; GET belongs to any.
    pub fn of(words: &[&str]) -> (Meaning, Option<Form>) {
        let name = words.first().map(|it| it.to_ascii_uppercase()).unwrap_or_default();
        let is_keyed = words.get(1).is_some_and(|it| ["{key}", "{new}"].contains(it));
        let field = words.get(2).filter(|it| !it.contains('{')).map(|it| (*it).to_owned());
        match (name.as_str(), &words[1.min(words.len())..]) {
            _ if !is_keyed => (Meaning::Unchecked, None),
            ("GET", [_]) => (Meaning::Read, None),
            ("SET", [_, "{value}"]) => (Meaning::Write, Some(Form::Text)),
            ("SET", [_, "{value}", word]) if is_followed_behind_set(word) => {
                (Meaning::Write, Some(Form::Text))
            }
            ("INCR", ["{key}"]) => (Meaning::Write, Some(Form::Counter)),
            ("HSET", [_, _, "{value}"]) if field.is_some() => {
                (Meaning::Write, field.map(Form::Hash))
            }
            ("HGET", [_, _]) if field.is_some() => (Meaning::Read, field.map(Form::Hash)),
            _ => (Meaning::Unchecked, None),
        }
    }

    /// Whether no value as a reply means that nothing was written, as it does for SET; with GET it
    /// is what the key had before.
    pub fn is_nil_unwritten(words: &[&str]) -> bool {
        let is_set = words.first().is_some_and(|it| it.eq_ignore_ascii_case("SET"));
        is_set && !words.iter().skip(3).any(|it| it.eq_ignore_ascii_case("GET"))
    }

    /// The one form of all commands that are checked.
    pub fn of_all(commands: &[Followed<'_>]) -> Result<Form, String> {
        let mut found: Option<(&str, &Form)> = None;
        for command in commands {
            let Some(form) = command.form else { continue };
            match found {
                Some((other, it)) if it != form => {
                    return Err(format!(
                        "check: \"{other}\" and \"{}\" are of values of two kinds; checks follow \
                         one: {FOLLOWED}",
                        command.text
                    ));
                }
                _ => found = Some((command.text, form)),
            }
        }
        let form = found.map_or(Form::Text, |it| it.1.clone());
        let get = commands.iter().find(|it| it.meaning == Meaning::Read && it.form.is_none());
        if let (Form::Hash(_), Some(get)) = (&form, get) {
            return Err(format!("check: \"{}\" does not read what HSET writes", get.text));
        }
        Ok(form)
    }

    /// The command that gives a key its first value.
    pub fn filling(&self) -> String {
        match self {
            Form::Text => "SET {key} {value}".to_owned(),
            Form::Hash(field) => format!("HSET {{key}} {field} {{value}}"),
            Form::Counter => "SET {key} 0".to_owned(),
        }
    }

    /// Appends the request that reads a key.
    pub fn write_read(&self, into: &mut Vec<u8>, key: &[u8]) {
        match self {
            Form::Text | Form::Counter => write_request(into, &[b"GET", key]),
            Form::Hash(field) => write_request(into, &[b"HGET", key, field.as_bytes()]),
        }
    }

    /// The version that a value says, counted from `base`: what an earlier run has written is as if
    /// there were nothing.
    pub fn version(&self, value: &[u8], base: u64) -> Option<u64> {
        match self {
            Form::Text | Form::Hash(_) => version_of(value)?.checked_sub(base),
            Form::Counter => u64::try_from(parse_i64(value)?).ok(),
        }
    }
}

/// Words behind a SET that leave a value in place and ask for no more than that there is one, which
/// the filling has seen to.
fn is_followed_behind_set(word: &str) -> bool {
    ["GET", "KEEPTTL", "XX"].iter().any(|it| it.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Meaning, Option<Form>) {
        Form::of(&text.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn commands_are_followed_where_a_value_can_be_told() {
        let hash = || Some(Form::Hash("f".to_owned()));
        assert_eq!(of("GET {key}"), (Meaning::Read, None));
        assert_eq!(of("set {new} {value} GET"), (Meaning::Write, Some(Form::Text)));
        assert_eq!(of("INCR {key}"), (Meaning::Write, Some(Form::Counter)));
        assert_eq!(of("HSET {key} f {value}"), (Meaning::Write, hash()));
        assert_eq!(of("HGET {key} f"), (Meaning::Read, hash()));
        assert_eq!(of("SET {key} {value} xx"), (Meaning::Write, Some(Form::Text)));
        for (text, expected) in
            [("set {key} {value} XX", true), ("SET {key} {value} get", false), ("INCR k", false)]
        {
            let words: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(Form::is_nil_unwritten(&words), expected, "{text}");
        }
        for other in [
            "",
            "GET",
            "SET {key} {value} NX",
            "SET {key} {value} {other}",
            "SET {key} x",
            "INCR {new}",
            "HSET {key} {client} {value}",
        ] {
            assert_eq!(of(other), (Meaning::Unchecked, None), "{other}");
        }
    }

    #[test]
    fn values_say_their_version() {
        assert_eq!(Form::Counter.version(b"12", 99), Some(12));
        assert_eq!(Form::Counter.version(b"x", 0), None);
        assert_eq!(Form::Text.version(b"0000000000000010:1:", 6), Some(10));
        assert_eq!(Form::Text.version(b"0000000000000010:1:", 17), None);
    }
}
