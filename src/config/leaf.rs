//! Values that serde reads for us, each knowing what it takes.

use crate::base::limits::{DATABASES, REPLICAS_MAX};
use crate::base::size::parse_duration;
use crate::command::Class;
use crate::route::{Acks, Ladder, Level, Match, MemberConfig, Step, StickyScope};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::{Spanned, Value};

/// Begins the message of an error that says what a value should have been.
pub const ACCEPTED: &str = "accepted: ";

/// A value of type `T`, or an error that says what is accepted.
#[derive(Clone, Debug)]
pub struct Leaf<T>(pub T);

impl<'de, T: Setting> Deserialize<'de> for Leaf<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Leaf<T>, D::Error> {
        read_as(&Value::deserialize(from)?).map(Leaf)
    }
}

fn read_as<T: Setting, E: Error>(value: &Value) -> Result<T, E> {
    T::read(value).map_err(|accepted| E::custom(format!("{ACCEPTED}{accepted}")))
}

/// A list of values of type `T`. Where it has one entry, that may stand without the list.
#[derive(Clone, Debug)]
pub struct Many<T> {
    /// The entries, each with its place in the file. One without a list has the list's place.
    pub entries: Vec<(Option<Range<usize>>, T)>,
}

impl<T> Default for Many<T> {
    fn default() -> Many<T> {
        Many { entries: Vec::new() }
    }
}

impl<T> Many<T> {
    /// The entries alone.
    pub fn bare(self) -> Vec<T> {
        self.entries.into_iter().map(|it| it.1).collect()
    }
}

impl<'de, T: Setting> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Many<T>, D::Error> {
        from.deserialize_any(OneOrMany(PhantomData))
    }
}

struct OneOrMany<T>(PhantomData<T>);

impl<T: Setting> OneOrMany<T> {
    fn one<E: Error>(value: Value) -> Result<Many<T>, E> {
        Ok(Many { entries: vec![(None, read_as(&value)?)] })
    }
}

impl<'de, T: Setting> Visitor<'de> for OneOrMany<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or one entry")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Many<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = all.next_element::<Spanned<Leaf<T>>>()? {
            entries.push((Some(entry.span()), entry.into_inner().0));
        }
        Ok(Many { entries })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Many<T>, E> {
        OneOrMany::one(Value::String(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Many<T>, E> {
        OneOrMany::one(Value::Integer(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Many<T>, E> {
        OneOrMany::one(Value::Float(number))
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Many<T>, E> {
        OneOrMany::one(Value::Boolean(is))
    }
}

/// What can be written as one TOML value.
pub trait Setting: Sized {
    /// Reads it, or says what is accepted.
    fn read(value: &Value) -> Result<Self, String>;
}

fn text<T>(value: &Value, parse: impl Fn(&str) -> Option<T>, accepted: &str) -> Result<T, String> {
    value.as_str().and_then(parse).ok_or_else(|| accepted.to_owned())
}

impl Setting for Level {
    fn read(value: &Value) -> Result<Level, String> {
        text(value, Level::parse, Level::ACCEPTED)
    }
}

impl Setting for StickyScope {
    fn read(value: &Value) -> Result<StickyScope, String> {
        text(value, StickyScope::parse, StickyScope::ACCEPTED)
    }
}

impl Setting for Ladder {
    fn read(value: &Value) -> Result<Ladder, String> {
        let accepted = || format!("a list of steps: {}", Step::ACCEPTED);
        let steps = match value {
            Value::Array(steps) => steps.as_slice(),
            one => std::slice::from_ref(one),
        };
        let step = |it: &Value| it.as_str().and_then(Step::parse).ok_or_else(accepted);
        Ladder::new(&steps.iter().map(step).collect::<Result<Vec<_>, _>>()?)
    }
}

impl Setting for Acks {
    fn read(value: &Value) -> Result<Acks, String> {
        let accepted =
            || format!("a number from 0 to {REPLICAS_MAX}, \"in-sync\", \"all\" or \"fsync\"");
        match value {
            Value::String(it) => match it.to_ascii_lowercase().as_str() {
                "all" => Ok(Acks::All),
                "in-sync" | "all-in-sync" => Ok(Acks::InSync),
                "fsync" => Ok(Acks::Fsync),
                _ => Err(accepted()),
            },
            Value::Integer(0) => Ok(Acks::None),
            Value::Integer(it @ 1..) if *it <= REPLICAS_MAX as i64 => Ok(Acks::Count(*it as u16)),
            _ => Err(accepted()),
        }
    }
}

impl Setting for Duration {
    fn read(value: &Value) -> Result<Duration, String> {
        let parse = |it: &str| parse_duration(it.as_bytes(), None);
        text(value, parse, "a time with a unit, like \"500ms\" or \"2s\"")
    }
}

/// A listener's path.
impl Setting for PathBuf {
    fn read(value: &Value) -> Result<PathBuf, String> {
        let path = |it: &str| (!it.is_empty()).then(|| PathBuf::from(it));
        text(value, path, "a path, like \"/run/entourage.sock\"")
    }
}

/// Names: of routes, listeners, users, commands.
impl Setting for String {
    fn read(value: &Value) -> Result<String, String> {
        let name = |it: &str| (!it.trim().is_empty()).then(|| it.to_owned());
        text(value, name, "a text that is not empty, in quotes")
    }
}

/// A member's name, tag or zone.
#[derive(Clone, Debug)]
pub struct MemberWord(pub String);

impl Setting for MemberWord {
    fn read(value: &Value) -> Result<MemberWord, String> {
        let word = |it: &str| MemberConfig::is_word(it).then(|| MemberWord(it.to_owned()));
        text(value, word, MemberConfig::WORD_ACCEPTED)
    }
}

/// How much of the reads a member is to have, beside others.
#[derive(Clone, Debug)]
pub struct Weight(pub u32);

impl Setting for Weight {
    fn read(value: &Value) -> Result<Weight, String> {
        let weight = value.as_integer().and_then(|it| u32::try_from(it).ok());
        let weight = weight.filter(|it| (1..=MemberConfig::WEIGHT_MAX).contains(it));
        let accepted = || format!("a whole number from 1 to {}", MemberConfig::WEIGHT_MAX);
        weight.map(Weight).ok_or_else(accepted)
    }
}

/// Yes or no.
impl Setting for bool {
    fn read(value: &Value) -> Result<bool, String> {
        value.as_bool().ok_or_else(|| "true or false".to_owned())
    }
}

/// Globs that an empty text may have to match: names of clients, of which many have none.
#[derive(Clone, Debug)]
pub struct NameGlob(pub String);

impl Setting for NameGlob {
    fn read(value: &Value) -> Result<NameGlob, String> {
        text(value, |it| Some(NameGlob(it.to_owned())), "a text in quotes, like \"report-*\"")
    }
}

/// Rules of a user, of which there may be none.
#[derive(Clone, Debug)]
pub struct RuleText(pub String);

impl Setting for RuleText {
    fn read(value: &Value) -> Result<RuleText, String> {
        text(value, |it| Some(RuleText(it.to_owned())), "rules in quotes, like \"on ~* +@all\"")
    }
}

/// Reads or writes.
impl Setting for Class {
    fn read(value: &Value) -> Result<Class, String> {
        let class = |text: &str| Match::CLASSES.iter().find(|it| it.1 == text).map(|it| it.0);
        text(value, class, "\"read\" or \"write\"")
    }
}

/// A command group.
#[derive(Clone, Debug)]
pub struct GroupName(pub String);

impl Setting for GroupName {
    fn read(value: &Value) -> Result<GroupName, String> {
        let accepted = Match::group_names().collect::<Vec<_>>().join(", ");
        let known = |it: &str| Match::group_names().any(|known| known == it);
        text(value, |it| known(it).then(|| GroupName(it.to_owned())), &accepted)
    }
}

/// A database's number.
impl Setting for usize {
    fn read(value: &Value) -> Result<usize, String> {
        match value.as_integer().and_then(|it| usize::try_from(it).ok()) {
            Some(db) if db < DATABASES => Ok(db),
            _ => Err(format!("a database from 0 to {}", DATABASES - 1)),
        }
    }
}
