//! Where in a config file a setting stands that was found foolish only beside others.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::{Spanned, Value};

/// A setting by its table and key; tables that may stand several times are counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A key of a `[[listener]]`.
    Listener(usize, &'static str),
    /// A whole `[[member]]`.
    Member(usize),
    /// A key of a `[[route]]`.
    Route(usize, &'static str),
    /// A key of `[consistency]`.
    Consistency(&'static str),
    /// A key of `[server]`.
    Server(&'static str),
    /// A key of `[set]`.
    Set(&'static str),
    /// A key of `[http]`.
    Http(&'static str),
}

type Table = BTreeMap<String, Spanned<Value>>;

/// The tables of a file, with the places of their values.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Tables {
    listener: Vec<Table>,
    member: Vec<Spanned<Table>>,
    route: Vec<Table>,
    consistency: Table,
    server: Table,
    set: Table,
    http: Table,
}

impl Tables {
    /// Those of a file that has been read without an error.
    pub fn of(text: &str) -> Tables {
        toml::from_str(text).unwrap_or_default()
    }

    /// Where the value of a setting stands; `None` when the file does not say it.
    pub fn span(&self, place: Place) -> Option<Range<usize>> {
        let value = match place {
            Place::Member(at) => return self.member.get(at).map(Spanned::span),
            Place::Listener(at, key) => self.listener.get(at)?.get(key),
            Place::Route(at, key) => self.route.get(at)?.get(key),
            Place::Consistency(key) => self.consistency.get(key),
            Place::Server(key) => self.server.get(key),
            Place::Set(key) => self.set.get(key),
            Place::Http(key) => self.http.get(key),
        };
        value.map(Spanned::span)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Listener(_, key) => write!(f, "listener.{key}"),
            Place::Member(_) => f.write_str("member"),
            Place::Route(_, key) => write!(f, "route.{key}"),
            Place::Consistency(key) => write!(f, "consistency.{key}"),
            Place::Server(key) => write!(f, "server.{key}"),
            Place::Set(key) => write!(f, "set.{key}"),
            Place::Http(key) => write!(f, "http.{key}"),
        }
    }
}
