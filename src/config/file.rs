//! The TOML file as written, and its way into the tree.

use super::leaf::{ACCEPTED, GroupName, Leaf, MemberWord, NameGlob};
use super::place::Wrong;
use super::slot::Slot;
use super::table::{PARAMS, Section};
use super::tree::selectable;
use super::{Address, Config, Listener};
use crate::base::limits::REPLICAS_MAX;
use crate::command::Class;
use crate::route::{
    Acks, Ladder, Level, Match, MemberConfig, Route, Routes, Selector, StickyScope,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::{Spanned, Value};

/// The sections that are rows of the parameter table: any key, checked against it.
type Params = BTreeMap<Spanned<String>, Spanned<Value>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    listener: Vec<Spanned<RawListener>>,
    server: Params,
    set: Params,
    member: Vec<Spanned<RawMember>>,
    engine: Params,
    consistency: RawConsistency,
    route: Vec<Spanned<RawRoute>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawListener {
    name: Option<Leaf<String>>,
    bind: Option<Leaf<SocketAddr>>,
    unix: Option<Leaf<PathBuf>>,
    level: Option<Leaf<Level>>,
    sticky_scope: Option<Leaf<StickyScope>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMember {
    name: Option<Spanned<Leaf<MemberWord>>>,
    #[serde(default)]
    tags: Vec<Leaf<MemberWord>>,
    zone: Option<Leaf<MemberWord>>,
    dedicated: Option<Leaf<bool>>,
}

/// Entries of a route's `members`, each with its place in the file.
type RawMembers = Vec<Spanned<Leaf<String>>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct RawConsistency {
    level: Option<Leaf<Level>>,
    on_lag: Option<Leaf<Ladder>>,
    members: Option<RawMembers>,
    acks: Option<Leaf<Acks>>,
    acks_timeout: Option<Leaf<Duration>>,
    sticky_for: Option<Leaf<Duration>>,
    sticky_scope: Option<Leaf<StickyScope>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRoute {
    name: Leaf<String>,
    #[serde(default)]
    keys: Vec<Leaf<String>>,
    #[serde(default)]
    groups: Vec<Leaf<GroupName>>,
    #[serde(default)]
    commands: Vec<Leaf<String>>,
    class: Option<Leaf<Class>>,
    #[serde(default)]
    dbs: Vec<Leaf<usize>>,
    #[serde(default)]
    users: Vec<Leaf<String>>,
    #[serde(default)]
    clients: Vec<Leaf<NameGlob>>,
    #[serde(default)]
    listeners: Vec<Leaf<String>>,
    level: Option<Leaf<Level>>,
    on_lag: Option<Leaf<Ladder>>,
    members: Option<RawMembers>,
    acks: Option<Leaf<Acks>>,
    acks_timeout: Option<Leaf<Duration>>,
    sticky_for: Option<Leaf<Duration>>,
}

impl Config {
    /// Reads a config file. `file` is its name in the refusal, which says on one line what is wrong
    /// and where.
    pub fn parse(file: &str, text: &str) -> Result<Config, String> {
        read(text).map_err(|wrong| wrong.told(file, text))
    }
}

fn read(text: &str) -> Result<Config, Wrong> {
    let raw: File = toml::from_str(text).map_err(of_serde)?;
    let mut config = Config::default();
    for (section, params) in
        [(Section::Server, &raw.server), (Section::Set, &raw.set), (Section::Engine, &raw.engine)]
    {
        take_params(&mut config, section, params)?;
    }
    if !raw.listener.is_empty() {
        config.listeners = listeners(raw.listener)?;
    }
    let says_replicas = raw.set.keys().any(|it| it.get_ref() == "replicas");
    let replicas = says_replicas.then_some(config.set.replicas);
    config.members = members(raw.member, replicas)?;
    if !says_replicas && !config.members.is_empty() {
        config.set.replicas = config.members.len() - 1;
    }
    config.sticky_scope =
        raw.consistency.sticky_scope.as_ref().map_or_else(Default::default, |it| it.0);
    let members = config.all_members();
    config.routes = routes(raw.consistency, raw.route, &config.listeners, &members)?;
    Ok(config)
}

/// What serde refused. A [`Leaf`] says what it accepts; the rest says what was found in its words.
fn of_serde(error: toml::de::Error) -> Wrong {
    let words = error.message().trim().replace('\n', " ");
    let span = error.span();
    match (words.strip_prefix(ACCEPTED), &span) {
        (Some(accepted), Some(span)) => Wrong::value(span.clone(), accepted.to_owned()),
        _ => {
            let words = words
                .replace("unknown field", "unknown key")
                .replace("expected one of", "accepted are");
            let words = words.replace("missing field", "missing key");
            Wrong { span, what: super::place::What::Static(words) }
        }
    }
}

fn take_params(config: &mut Config, section: Section, params: &Params) -> Result<(), Wrong> {
    for (key, value) in params {
        let name = key.get_ref();
        let here = || PARAMS.iter().filter(|it| it.section == section);
        let Some(param) = here().find(|it| it.name == name) else {
            let names = here().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ");
            let what = format!("unknown key `{name}`, accepted are {names}");
            return Err(Wrong::says(key.span(), what));
        };
        let taken = written(&param.slot, value.get_ref())
            .is_some_and(|it| param.slot.take(config, &it).is_ok());
        if !taken {
            return Err(Wrong::value(value.span(), param.slot.accepted()));
        }
    }
    Ok(())
}

/// The value in the words of CONFIG SET; `None` when no words fit.
fn written(slot: &Slot, value: &Value) -> Option<String> {
    match (slot, value) {
        (Slot::Text(_) | Slot::Secret(_), Value::String(it)) => Some(it.clone()),
        (Slot::Text(_) | Slot::Secret(_), _) | (_, Value::Datetime(_)) => None,
        (Slot::Switch(_), Value::Boolean(it)) => Some(if *it { "yes" } else { "no" }.to_owned()),
        (_, Value::Boolean(_)) => None,
        (_, Value::String(it)) => Some(it.clone()),
        (_, Value::Integer(it)) => Some(it.to_string()),
        (_, Value::Float(it)) => Some(it.to_string()),
        (Slot::Percentiles(_), Value::Array(all)) => all
            .iter()
            .map(|it| written(slot, it))
            .collect::<Option<Vec<_>>>()
            .map(|it| it.join(" ")),
        (Slot::Limits(_), Value::Table(all)) => {
            let pairs = all.iter().map(|(kind, limit)| Some(format!("{kind} {}", limit.as_str()?)));
            pairs.collect::<Option<Vec<_>>>().map(|it| it.join(" "))
        }
        (_, Value::Array(_) | Value::Table(_)) => None,
    }
}

fn listeners(raw: Vec<Spanned<RawListener>>) -> Result<Vec<Listener>, Wrong> {
    let mut listeners: Vec<Listener> = Vec::new();
    for raw in raw {
        let span = raw.span();
        let raw = raw.into_inner();
        let at = match (raw.bind, raw.unix) {
            (Some(bind), None) => Address::Tcp(bind.0),
            (None, Some(path)) => Address::Unix(path.0),
            _ => {
                return Err(Wrong::says(span, "a listener has either `bind` or `unix`".to_owned()));
            }
        };
        let name = raw.name.map_or_else(|| at.to_string(), |it| it.0);
        let level = raw.level.map(|it| it.0);
        let sticky_scope = raw.sticky_scope.map(|it| it.0);
        let listener = Listener { name, at, level, sticky_scope };
        if let Some(why) = listener.clashes(&listeners) {
            return Err(Wrong::says(span, why));
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The members as described. Where the file says how many replicas there are, no more than that
/// can be.
fn members(
    raw: Vec<Spanned<RawMember>>,
    replicas: Option<usize>,
) -> Result<Vec<MemberConfig>, Wrong> {
    let mut members: Vec<MemberConfig> = Vec::new();
    let places = 1 + replicas.unwrap_or(REPLICAS_MAX);
    for raw in raw {
        let (table, index) = (raw.span(), members.len());
        if index == places {
            let why = match replicas {
                Some(replicas) => format!("raise set.replicas, which is {replicas}"),
                None => format!("a set has at most {REPLICAS_MAX} replicas"),
            };
            return Err(Wrong::says(table, format!("at most {places} [[member]] here; {why}")));
        }
        let RawMember { name, tags, zone, dedicated } = raw.into_inner();
        let span = name.as_ref().map_or(table, Spanned::span);
        let member = MemberConfig {
            name: name.map_or_else(|| MemberConfig::default_name(index), |it| it.into_inner().0.0),
            tags: bare(tags).into_iter().map(|it| it.0).collect(),
            zone: zone.map(|it| it.0.0),
            dedicated: dedicated.is_some_and(|it| it.0),
        };
        if let Some(why) = member.clashes(index, members.iter().map(|it| it.name.as_str())) {
            return Err(Wrong::says(span, why));
        }
        members.push(member);
    }
    Ok(members)
}

/// Whom a route's entries name. Each must name somebody.
fn selectors(raw: RawMembers, members: &[MemberConfig]) -> Result<Vec<Selector>, Wrong> {
    let read = |raw: Spanned<Leaf<String>>| {
        let (span, text) = (raw.span(), raw.into_inner().0);
        let entry = Selector::parse(&text);
        let is_known = members.iter().any(|it| entry.selects(&it.name, &it.tags));
        if is_known { Ok(entry) } else { Err(Wrong::value(span, selectable(members))) }
    };
    raw.into_iter().map(read).collect()
}

fn routes(
    raw: RawConsistency,
    rules: Vec<Spanned<RawRoute>>,
    listeners: &[Listener],
    members: &[MemberConfig],
) -> Result<Routes, Wrong> {
    let level = raw.level.as_ref().map_or(Level::default(), |it| it.0);
    let name = Routes::DEFAULT_NAME.to_owned();
    let default = raw.over(&Route::default(), None, Match::default(), name, members)?;
    let mut made: Vec<Route> = Vec::new();
    for rule in rules {
        let span = rule.span();
        let rule = rule.into_inner().route(&default, members)?;
        let strange =
            rule.matches.listeners.iter().find(|it| listeners.iter().all(|at| at.name != **it));
        if let Some(name) = strange {
            let names = listeners.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
            let what = format!("route `{}` names listener `{name}`; there are {names}", rule.name);
            return Err(Wrong::says(span, what));
        }
        if rule.name == Routes::DEFAULT_NAME || made.iter().any(|it| it.name == rule.name) {
            return Err(Wrong::says(span, format!("the route name `{}` is taken", rule.name)));
        }
        if made.len() == Routes::RULES_MAX {
            return Err(Wrong::says(span, format!("more than {} routes", Routes::RULES_MAX)));
        }
        made.push(rule);
    }
    Ok(Routes::new(level, default, made))
}

impl RawConsistency {
    /// These settings over those of `base`.
    fn over(
        self,
        base: &Route,
        level: Option<Level>,
        matches: Match,
        name: String,
        members: &[MemberConfig],
    ) -> Result<Route, Wrong> {
        let sticky_for = self.sticky_for.map_or(base.sticky_for, |it| Some(it.0));
        Ok(Route {
            name,
            matches,
            level,
            ladder: self.on_lag.map_or(base.ladder, |it| it.0),
            members: match self.members {
                Some(entries) => selectors(entries, members)?,
                None => base.members.clone(),
            },
            acks: self.acks.map_or(base.acks, |it| it.0),
            acks_timeout: self.acks_timeout.map_or(base.acks_timeout, |it| it.0),
            sticky_for: sticky_for.filter(|it| !it.is_zero()),
        })
    }
}

impl RawRoute {
    fn route(self, default: &Route, members: &[MemberConfig]) -> Result<Route, Wrong> {
        let matches = Match {
            keys: bare(self.keys),
            groups: self.groups.iter().filter_map(|it| Match::group(&it.0.0)).collect(),
            commands: bare(self.commands),
            class: self.class.map(|it| it.0),
            dbs: bare(self.dbs),
            users: bare(self.users),
            clients: bare(self.clients).into_iter().map(|it| it.0).collect(),
            listeners: bare(self.listeners),
        };
        let level = self.level.map(|it| it.0);
        let raw = RawConsistency {
            level: None,
            on_lag: self.on_lag,
            members: self.members,
            acks: self.acks,
            acks_timeout: self.acks_timeout,
            sticky_for: self.sticky_for,
            sticky_scope: None,
        };
        raw.over(default, level, matches, self.name.0, members)
    }
}

fn bare<T>(leaves: Vec<Leaf<T>>) -> Vec<T> {
    leaves.into_iter().map(|it| it.0).collect()
}

#[cfg(test)]
mod tests;
