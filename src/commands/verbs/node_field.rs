//! What PROXY NODES tells of a member, field by field.

use crate::metrics::json::Json;
use crate::resp::Reply;

/// What there is to know of a member in one respect.
pub enum Field {
    /// A word, or a few.
    Word(String),
    /// A number.
    Number(i64),
    /// Microseconds, unless nobody can tell.
    Micros(Option<u64>),
    /// Yes or no.
    YesOrNo(bool),
    /// Several words.
    Words(Vec<String>),
}

impl Field {
    /// Writes it as a reply.
    pub fn answer(&self, reply: &mut Reply) {
        match self {
            Field::Word(word) => reply.bulk(word.as_bytes()),
            Field::Number(number) => reply.int(*number),
            Field::Micros(us) => reply.int(us.map_or(-1, |it| it as i64)),
            Field::YesOrNo(is) => reply.boolean(*is),
            Field::Words(words) => {
                reply.array(words.len());
                words.iter().for_each(|it| reply.bulk(it.as_bytes()));
            }
        }
    }

    /// Writes it as a value of JSON; null where nobody can tell.
    pub fn json(&self, json: &mut Json) {
        match self {
            Field::Word(word) => json.string(word),
            Field::Number(number) => json.number(number),
            Field::Micros(Some(us)) => json.number(us),
            Field::Micros(None) => json.number("null"),
            Field::YesOrNo(is) => json.number(is),
            Field::Words(words) => json.array(words, |it, word| it.string(word)),
        }
    }

    /// As a terminal shows it; nothing where there is nothing to say.
    pub fn text(&self) -> String {
        match self {
            Field::Word(word) => word.clone(),
            Field::Number(number) => number.to_string(),
            Field::Micros(us) => us.map_or_else(|| "unknown".into(), |it| it.to_string()),
            Field::YesOrNo(is) => if *is { "yes" } else { "no" }.into(),
            Field::Words(words) => words.join(", "),
        }
    }
}

/// One member for a terminal: its name, and below it a line for each field that says something.
pub fn block(name: &str, fields: &[(&str, Field)]) -> String {
    let mut text = format!("{name}\n");
    for (field, value) in fields {
        let value = value.text();
        if !value.is_empty() {
            text += &format!("  {field:<13} {value}\n");
        }
    }
    text
}
