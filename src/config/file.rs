//! The TOML file as written, and its way into the tree.

use super::alert_rows;
use super::http::RawHttp;
use super::leaf::{GroupName, Leaf, Many, MemberWord, NameGlob, Weight};
use super::listener_file::{RawListener, listeners};
use super::outside::Outside;
use super::param::{Param, Section};
use super::place::{self, Wrong};
use super::slot::Slot;
use super::table::PARAMS;
use super::toml_error::{is_toml, of_serde, unknown_key};
use super::tree::selectable;
use super::upstream::Upstream;
use super::upstream_file::{Members, RawUpstream, misplaced, upstream};
use super::users::{RawUser, users};
use super::{Config, Listener};
use crate::base::limits::REPLICAS_MAX;
use crate::base::remote_address::RemoteAddress;
use crate::command::Class;
use crate::route::{
    Acks, Ladder, Level, Match, MemberConfig, Route, Routes, Selector, StickyScope,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use toml::{Spanned, Value};

/// The sections that are rows of the parameter table: any key, checked against it.
type Params = BTreeMap<Spanned<String>, Spanned<Value>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    listener: Vec<Spanned<RawListener>>,
    server: Params,
    http: RawHttp,
    set: Params,
    member: Vec<Spanned<RawMember>>,
    upstream: Option<Spanned<RawUpstream>>,
    user: Vec<RawUser>,
    engine: Params,
    alerts: Params,
    consistency: RawConsistency,
    route: Vec<Spanned<RawRoute>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMember {
    name: Option<Spanned<Leaf<MemberWord>>>,
    #[serde(default)]
    tags: Many<MemberWord>,
    zone: Option<Leaf<MemberWord>>,
    dedicated: Option<Leaf<bool>>,
    weight: Option<Spanned<Leaf<Weight>>>,
    address: Option<Leaf<RemoteAddress>>,
}

/// Names that must be those of something, each with its place in the file.
type Names = Spanned<Many<String>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct RawConsistency {
    level: Option<Leaf<Level>>,
    on_lag: Option<Leaf<Ladder>>,
    members: Option<Names>,
    acks: Option<Leaf<Acks>>,
    acks_timeout: Option<Leaf<Duration>>,
    sticky_for: Option<Leaf<Duration>>,
    prefer_master: Option<Leaf<bool>>,
    sticky_scope: Option<Leaf<StickyScope>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRoute {
    name: Leaf<String>,
    #[serde(default)]
    keys: Many<String>,
    #[serde(default)]
    groups: Many<GroupName>,
    commands: Option<Names>,
    class: Option<Leaf<Class>>,
    #[serde(default)]
    dbs: Many<usize>,
    #[serde(default)]
    users: Many<String>,
    #[serde(default)]
    clients: Many<NameGlob>,
    listeners: Option<Names>,
    level: Option<Leaf<Level>>,
    on_lag: Option<Leaf<Ladder>>,
    members: Option<Names>,
    acks: Option<Leaf<Acks>>,
    acks_timeout: Option<Leaf<Duration>>,
    sticky_for: Option<Leaf<Duration>>,
    prefer_master: Option<Leaf<bool>>,
    refuse: Option<Leaf<bool>>,
}

impl Config {
    /// Reads a config file. `file` is its name in the refusal, which says what is wrong and where,
    /// on one line for each that is.
    pub fn parse(file: &str, text: &str) -> Result<Config, String> {
        Config::parse_with(file, text, &Outside::NOTHING)
    }

    /// The same, with names of hosts and of commands looked up.
    pub fn parse_with(file: &str, text: &str, outside: &Outside<'_>) -> Result<Config, String> {
        let told = |wrong: Wrong| wrong.told(file, text);
        let (raw, config) = written_down(text).map_err(|first| {
            let all: Vec<String> = all_wrong(text, first).into_iter().map(told).collect();
            all.join("\n")
        })?;
        made(raw, config, outside).map_err(told)
    }
}

/// The file as written, and the settings of its sections. What is wrong with it is so by itself,
/// whatever else the file says.
fn written_down(text: &str) -> Result<(File, Config), Wrong> {
    let raw: File = toml::from_str(text).map_err(|it| of_serde(text, &it))?;
    let mut config = Config::default();
    for (section, params) in [
        (Section::Server, &raw.server),
        (Section::Set, &raw.set),
        (Section::Engine, &raw.engine),
        (Section::Alerts, &raw.alerts),
    ] {
        take_params(&mut config, text, section, params)?;
    }
    Ok((raw, config))
}

/// Lines of one file that are told to be wrong.
const WRONG_LINES_MAX: usize = 20;

/// The first, and what else is wrong on other lines: they are read with each line left out that is
/// wrong. Ends where leaving one out would make another wrong.
fn all_wrong(text: &str, first: Wrong) -> Vec<Wrong> {
    let mut left = text.to_owned();
    let mut found = vec![first];
    while found.len() < WRONG_LINES_MAX {
        let without = found.last().and_then(|it| it.blank(&left));
        let Some(without) = without.filter(|it| is_toml(it)) else { break };
        left = without;
        match written_down(&left) {
            Err(wrong) if !wrong.is_of_another_line() => found.push(wrong),
            _ => break,
        }
    }
    found.sort_by_key(|it| it.span.as_ref().map(|it| it.start));
    found
}

/// The settings of a file, with what must fit together.
fn made(raw: File, mut config: Config, outside: &Outside<'_>) -> Result<Config, Wrong> {
    if !raw.listener.is_empty() {
        config.listeners = listeners(raw.listener, outside)?;
    }
    config.http = raw.http.made(outside)?;
    config.users = users(raw.user, &config, outside)?;
    let says_replicas = raw.set.keys().any(|it| it.get_ref() == "replicas");
    let replicas = says_replicas.then_some(config.set.replicas);
    let is_unaddressed = |it: &&Spanned<RawMember>| it.get_ref().address.is_none();
    let said = Members {
        unaddressed: raw.member.iter().find(is_unaddressed).map(Spanned::span),
        are_addressed: !raw.member.iter().all(|it| is_unaddressed(&it)),
    };
    config.upstream = upstream(raw.upstream, &said)?;
    if config.upstream.is_some() {
        misplaced(Section::Set, raw.set.keys())?;
        misplaced(Section::Engine, raw.engine.keys())?;
    }
    config.members = members(raw.member, replicas)?;
    if !says_replicas && !config.members.is_empty() {
        config.set.replicas = config.members.len() - 1;
    }
    config.sticky_scope =
        raw.consistency.sticky_scope.as_ref().map_or_else(Default::default, |it| it.0);
    let names = Known { listeners: &config.listeners, members: &config.all_members(), outside };
    let base = match config.upstream {
        Some(_) => Route { ladder: Upstream::default_ladder(), ..Route::default() },
        None => Route::default(),
    };
    config.routes = routes(&base, raw.consistency, raw.route, &names)?;
    Ok(config)
}

fn take_params(
    config: &mut Config,
    text: &str,
    section: Section,
    params: &Params,
) -> Result<(), Wrong> {
    for (key, value) in params {
        let name = key.get_ref();
        let here = || PARAMS.iter().filter(|it| it.section == section);
        if section == Section::Alerts && alert_rows::take_other(config, name, value)? {
            continue;
        }
        let Some(param) = here().find(|it| it.in_section() == name) else {
            let others = if section == Section::Alerts { alert_rows::OTHERS } else { &[] };
            let names = here().map(Param::in_section).chain(others.iter().copied());
            let names: Vec<&str> = names.collect();
            return Err(Wrong::says(key.span(), unknown_key(name, &names)));
        };
        let taken = written(&param.slot, value.get_ref())
            .is_some_and(|it| param.slot.take(config, &it).is_ok());
        if !taken {
            let at = wrong_entry(text, &param.slot, value).unwrap_or_else(|| value.span());
            return Err(Wrong::value(at, param.slot.accepted()));
        }
    }
    Ok(())
}

/// The entry of a table of limits that is not taken, where each stands on a line of its own.
fn wrong_entry(text: &str, slot: &Slot, value: &Spanned<Value>) -> Option<Range<usize>> {
    let taken = |kind: &String, limit: &Value| {
        let words = format!("{kind} {}", limit.as_str().unwrap_or_default());
        slot.take(&mut Config::default(), &words).is_ok()
    };
    let (kind, _) = value.get_ref().as_table()?.iter().find(|(kind, limit)| !taken(kind, limit))?;
    place::value_in_table(text, &value.span(), kind)
}

/// The value in the words of CONFIG SET; `None` when no words fit.
fn written(slot: &Slot, value: &Value) -> Option<String> {
    match (slot, value) {
        (
            Slot::Text(_) | Slot::FileName(_) | Slot::Secret(_) | Slot::Save(_) | Slot::Master,
            value,
        ) => value.as_str().map(str::to_owned),
        (_, Value::Datetime(_)) => None,
        (Slot::Switch(_), Value::Boolean(it)) => Some(if *it { "yes" } else { "no" }.to_owned()),
        // Its words are those of TOML.
        (Slot::CountHosted(_), Value::Boolean(it)) => Some(it.to_string()),
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
        let RawMember { name, tags, zone, dedicated, weight, address } = raw.into_inner();
        if let (Some(weight), None) = (&weight, &address) {
            let why = "a weight is for a real server, which has an `address`".to_owned();
            return Err(Wrong::says(weight.span(), why));
        }
        let span = name.as_ref().map_or(table, Spanned::span);
        let member = MemberConfig {
            name: name.map_or_else(|| MemberConfig::default_name(index), |it| it.into_inner().0.0),
            tags: tags.bare().into_iter().map(|it| it.0).collect(),
            zone: zone.map(|it| it.0.0),
            dedicated: dedicated.is_some_and(|it| it.0),
            weight: weight.map_or(1, |it| it.into_inner().0.0),
            address: address.map(|it| it.0),
        };
        if let Some(why) = member.clashes(index, members.iter().map(|it| it.name.as_str())) {
            return Err(Wrong::says(span, why));
        }
        members.push(member);
    }
    Ok(members)
}

/// What the names in a route may be those of.
struct Known<'a> {
    listeners: &'a [Listener],
    members: &'a [MemberConfig],
    outside: &'a Outside<'a>,
}

/// These names, each of which must be one of something: `accepted` says of what.
fn named(
    names: Option<Names>,
    is_known: impl Fn(&str) -> bool,
    accepted: impl Fn() -> String,
) -> Result<Vec<String>, Wrong> {
    let Some(names) = names else { return Ok(Vec::new()) };
    let whole = names.span();
    let one = |(span, name): (Option<Range<usize>>, String)| match is_known(&name) {
        true => Ok(name),
        false => Err(Wrong::value(span.unwrap_or_else(|| whole.clone()), accepted())),
    };
    names.into_inner().entries.into_iter().map(one).collect()
}

impl Known<'_> {
    /// Whom a route's entries name. Each must name somebody.
    fn selectors(&self, names: Names) -> Result<Vec<Selector>, Wrong> {
        let is_known = |text: &str| {
            let entry = Selector::parse(text);
            self.members.iter().any(|it| entry.selects(&it.name, &it.tags))
        };
        let names = named(Some(names), is_known, || selectable(self.members))?;
        Ok(names.iter().map(|it| Selector::parse(it)).collect())
    }

    fn listeners(&self, names: Option<Names>) -> Result<Vec<String>, Wrong> {
        let all = || self.listeners.iter().map(|it| it.name.as_str());
        named(names, |name| all().any(|it| it == name), || all().collect::<Vec<_>>().join(", "))
    }

    fn commands(&self, names: Option<Names>) -> Result<Vec<String>, Wrong> {
        const ACCEPTED: &str =
            "the name of a command, like \"get\", or \"object\" for all that begin with it";
        named(names, |name| self.outside.has_command(name), || ACCEPTED.to_owned())
    }
}

fn routes(
    base: &Route,
    raw: RawConsistency,
    rules: Vec<Spanned<RawRoute>>,
    known: &Known<'_>,
) -> Result<Routes, Wrong> {
    let level = raw.level.as_ref().map_or(Level::default(), |it| it.0);
    let name = Routes::DEFAULT_NAME.to_owned();
    let default = raw.over(base, None, Match::default(), name, known)?;
    let mut made: Vec<Route> = Vec::new();
    for rule in rules {
        let span = rule.span();
        let rule = rule.into_inner().route(&default, known)?;
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
        known: &Known<'_>,
    ) -> Result<Route, Wrong> {
        let sticky_for = self.sticky_for.map_or(base.sticky_for, |it| Some(it.0));
        Ok(Route {
            name,
            matches,
            level,
            ladder: self.on_lag.map_or(base.ladder, |it| it.0),
            members: match self.members {
                Some(entries) => known.selectors(entries)?,
                None => base.members.clone(),
            },
            acks: self.acks.map_or(base.acks, |it| it.0),
            acks_timeout: self.acks_timeout.map_or(base.acks_timeout, |it| it.0),
            sticky_for: sticky_for.filter(|it| !it.is_zero()),
            prefers_master: self.prefer_master.map_or(base.prefers_master, |it| it.0),
            refuses: false,
        })
    }
}

impl RawRoute {
    fn route(self, default: &Route, known: &Known<'_>) -> Result<Route, Wrong> {
        let groups = self.groups.bare();
        let matches = Match {
            keys: self.keys.bare(),
            groups: groups.iter().filter_map(|it| Match::group(&it.0)).collect(),
            commands: known.commands(self.commands)?,
            class: self.class.map(|it| it.0),
            dbs: self.dbs.bare(),
            users: self.users.bare(),
            clients: self.clients.bare().into_iter().map(|it| it.0).collect(),
            listeners: known.listeners(self.listeners)?,
        };
        let level = self.level.map(|it| it.0);
        let raw = RawConsistency {
            level: None,
            on_lag: self.on_lag,
            members: self.members,
            acks: self.acks,
            acks_timeout: self.acks_timeout,
            sticky_for: self.sticky_for,
            prefer_master: self.prefer_master,
            sticky_scope: None,
        };
        let refuses = self.refuse.is_some_and(|it| it.0);
        Ok(Route { refuses, ..raw.over(default, level, matches, self.name.0, known)? })
    }
}

#[cfg(test)]
mod tests;
