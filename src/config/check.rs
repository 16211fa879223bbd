//! A whole configuration: file and flags read, what is wrong refused, what is foolish told.

use super::locate::{Place, Tables};
use super::outside::{KnownCommand, Outside};
use super::place::Wrong;
use super::{Address, Config, Overrides};
use crate::acl::DEFAULT_USER;
use crate::base::glob::{Case, is_literal, matches};
use crate::command::Class;
use crate::route::{Acks, Ladder, Match, Route, Step};
use std::path::Path;
use std::time::Duration;

/// A configuration that can be used.
#[derive(Clone, PartialEq, Debug)]
pub struct Checked {
    /// It.
    pub config: Config,
    /// What is allowed in it and does not do what it seems to: one line each, with the place and
    /// what to write instead.
    pub warnings: Vec<String>,
}

/// One of which nothing is foolish.
impl From<Config> for Checked {
    fn from(config: Config) -> Checked {
        Checked { config, warnings: Vec::new() }
    }
}

impl Checked {
    /// Reads `file`, if one is named, and puts `flags` over it. Refused with one line that says
    /// what is wrong, where, and what is accepted.
    pub fn read(
        file: Option<&Path>,
        flags: &Overrides,
        outside: &Outside<'_>,
    ) -> Result<Checked, String> {
        let Some(path) = file else {
            return Checked::with_flags(Config::default(), None, flags, outside);
        };
        let name = path.display().to_string();
        let text = (outside.read)(path).map_err(|why| format!("{name}: cannot be read: {why}"))?;
        let config = Config::parse_with(&name, &text, outside)?;
        Checked::with_flags(config, Some((&name, &text)), flags, outside)
    }

    fn with_flags(
        mut config: Config,
        file: Option<(&str, &str)>,
        flags: &Overrides,
        outside: &Outside<'_>,
    ) -> Result<Checked, String> {
        flags.apply(&mut config, outside)?;
        if config.upstream.is_some() && flags.replicas.is_some() {
            let why = "--replicas is for hosted members, and this set's are real servers";
            return Err(why.to_owned());
        }
        let (name, text) = file.unwrap_or_default();
        let tables = Tables::of(text);
        // Listeners of flags stand in no file.
        let in_file = |place| match place {
            Place::Listener(..) if flags.says_listeners() => None,
            _ => tables.span(place),
        };
        if let Some((place, why)) = config.contradiction() {
            return Err(match (in_file(place), file) {
                (Some(span), _) => Wrong::says(span, why).told(name, text),
                (None, Some(_)) => format!("{name}: {why}"),
                (None, None) => why,
            });
        }
        let told = |(place, words): (Place, String)| match in_file(place) {
            Some(span) => Wrong::foolish(span, words).told(name, text),
            None => format!("{place} {words}"),
        };
        let warnings = config.foolish(outside.commands).into_iter().map(told).collect();
        Ok(Checked { config, warnings })
    }
}

impl Config {
    /// What is allowed and does not do what it seems to.
    fn foolish(&self, commands: &[KnownCommand]) -> Vec<(Place, String)> {
        let (default, rules) = self.routes.all().split_first().expect("there is a default route");
        let mut found = self.open_listeners();
        found.extend(self.gate_without_lag());
        found.extend(self.idle_dir());
        found.extend(self.http.foolish());
        found.extend(self.idle_password());
        found.extend(self.idle_certificate_user());
        let of_default = |key| Place::Consistency(key);
        found.extend(of_acks(default, self.set.replicas, of_default));
        found.extend(of_ladder(default, of_default));
        for (at, rule) in rules.iter().enumerate() {
            let here = |key| Place::Route(at, key);
            // What is inherited has been told of where it stands.
            if rule.acks != default.acks {
                found.extend(of_acks(rule, self.set.replicas, here));
            }
            if rule.ladder != default.ladder {
                found.extend(of_ladder(rule, here));
            }
            found.extend(self.of_users(rule, here));
            found.extend(of_refusing(rule, default, here));
            if !commands.is_empty() {
                found.extend(self.of_matches(rule, &rules[..at], commands, here));
            }
        }
        found
    }

    /// Whoever can reach the machine can do everything, or nothing.
    fn open_listeners(&self) -> Vec<(Place, String)> {
        // What a file of users says of the default user is not known here.
        if self.has_users_file() || !self.lets_in_anybody() {
            return Vec::new();
        }
        let is_open = |at: &Address| matches!(at, Address::Tcp(at) if !at.ip().is_loopback());
        let open = self.listeners.iter().enumerate().filter(|(_, it)| is_open(&it.at));
        let what = if self.server.protected_mode {
            "and clients from other machines are refused: there is no password, and \
             server.protected-mode is on"
        } else {
            "open to other machines, and there is no password"
        };
        let told = |at: &Address| {
            format!("listens at {at}, {what}; set server.requirepass, or bind to 127.0.0.1")
        };
        open.map(|(at, it)| (Place::Listener(at, "bind"), told(&it.at))).collect()
    }

    /// Whether clients need not say who they are.
    fn lets_in_anybody(&self) -> bool {
        match self.users.iter().find(|it| it.is_default()) {
            // The last word counts, as always.
            Some(default) => default.rules.iter().fold(false, |is_open, rule| match rule {
                it if it.eq_ignore_ascii_case("nopass") => true,
                it if it.eq_ignore_ascii_case("resetpass") || it.starts_with(['>', '#']) => false,
                it if it.eq_ignore_ascii_case("reset") => false,
                _ => is_open,
            }),
            None => self.server.password().is_none(),
        }
    }

    /// A password that the default user's own rules overrule.
    fn idle_password(&self) -> Option<(Place, String)> {
        self.server.password()?;
        let by = if self.has_users_file() {
            "server.aclfile"
        } else if self.describes_default() {
            "[[user]] `default`"
        } else {
            return None;
        };
        let words = format!("is not used: {by} says how the default user logs in; leave it out");
        Some((Place::Server("requirepass"), words))
    }

    /// Certificates that name users, where no client is asked for one.
    fn idle_certificate_user(&self) -> Option<(Place, String)> {
        if self.tls.client_user == "off" || self.tls.auth_clients != "no" {
            return None;
        }
        let words = "is not used: no client is asked for a certificate; set \
                     server.tls-auth-clients to yes or optional, or leave it out";
        Some((Place::Server("tls-auth-clients-user"), words.to_owned()))
    }

    fn of_users(
        &self,
        rule: &Route,
        here: impl Fn(&'static str) -> Place,
    ) -> Option<(Place, String)> {
        if self.has_users_file() {
            return None;
        }
        let is_known =
            |name: &str| name == DEFAULT_USER || self.users.iter().any(|it| it.name == name);
        let strange = rule.matches.users.iter().find(|it| !is_known(it))?;
        let words = format!(
            "names user `{strange}`, and there is no [[user]] of this name: its requests come only \
             once ACL SETUSER has made it; add the user, or leave it out"
        );
        Some((here("users"), words))
    }

    fn gate_without_lag(&self) -> Option<(Place, String)> {
        let is_off = self.set.min_replicas != 0 && self.set.max_lag.is_zero();
        is_off.then(|| {
            let words = format!(
                "switches set.min-replicas-to-write = {} off; write a time above 0",
                self.set.min_replicas
            );
            (Place::Set("min-replicas-max-lag"), words)
        })
    }

    /// A directory into which nothing goes by itself.
    fn idle_dir(&self) -> Option<(Place, String)> {
        let disk = &self.set.disk;
        let is_idle = !disk.dir.is_empty() && !disk.appendonly && disk.save.is_empty();
        let words = "is a directory into which only BGSAVE writes; set set.appendonly or set.save";
        is_idle.then(|| (Place::Set("dir"), words.to_owned()))
    }

    /// A rule that no request ever takes.
    fn of_matches(
        &self,
        rule: &Route,
        above: &[Route],
        commands: &[KnownCommand],
        here: impl Fn(&'static str) -> Place,
    ) -> Option<(Place, String)> {
        if taken(&rule.matches, commands).next().is_none() {
            let words = "is for nothing: no command fits its groups, commands and class at once; \
                         leave one of them out";
            return Some((here("name"), words.to_owned()));
        }
        if rule.refuses && !rule.matches.keys.is_empty() && names_no_keys(rule, commands) {
            let words = "refuses nothing: none of its commands has keys; leave out `keys`";
            return Some((here("name"), words.to_owned()));
        }
        let by = above.iter().find(|it| self.hides(&it.matches, &rule.matches, commands))?;
        let by = &by.name;
        let words = format!(
            "is never taken: route `{by}` above it takes all that it is for; move it above `{by}`, \
             or make `{by}` narrower"
        );
        Some((here("name"), words))
    }

    /// Whether every request that `below` matches is one that `above` matches.
    fn hides(&self, above: &Match, below: &Match, commands: &[KnownCommand]) -> bool {
        let listeners: Vec<String> = self.listeners.iter().map(|it| it.name.clone()).collect();
        let in_above = |it: (&KnownCommand, Class)| above.takes(&it.0.name, it.0.group, it.1);
        covers(&above.keys, &below.keys, glob_covers)
            && covers(&above.clients, &below.clients, glob_covers)
            && covers(&above.dbs, &below.dbs, |one, other| one == other)
            && covers(&above.users, &below.users, |one, other| one == other)
            && covers(&above.listeners, or_all(&below.listeners, &listeners), |a, b| a == b)
            && taken(below, commands).all(in_above)
    }
}

/// The commands that a rule is for, by what they do.
fn taken<'c>(
    rule: &'c Match,
    commands: &'c [KnownCommand],
) -> impl Iterator<Item = (&'c KnownCommand, Class)> {
    let each = commands.iter().flat_map(|it| it.classes.iter().map(move |class| (it, *class)));
    each.filter(|(it, class)| rule.takes(&it.name, it.group, *class))
}

/// A list, or all there are where the list says nothing.
fn or_all<'l, T>(list: &'l [T], all: &'l [T]) -> &'l [T] {
    if list.is_empty() { all } else { list }
}

/// Whether a list of criteria lets everything through that another does; an empty one lets
/// everything.
fn covers<T>(above: &[T], below: &[T], one_covers: impl Fn(&T, &T) -> bool) -> bool {
    let is_covered = |it: &T| above.iter().any(|by| one_covers(by, it));
    above.is_empty() || (!below.is_empty() && below.iter().all(is_covered))
}

/// Whether all that `below` matches is surely matched by `above`. Only plain cases are seen: the
/// same glob, a text and a glob, and globs that end with their one star.
fn glob_covers(above: &String, below: &String) -> bool {
    const SPECIAL: [char; 4] = ['*', '?', '[', '\\'];
    if above == below {
        return true;
    }
    if is_literal(below.as_bytes()) {
        return matches(above.as_bytes(), below.as_bytes(), Case::Exact);
    }
    let Some(prefix) = above.strip_suffix('*').filter(|it| !it.contains(SPECIAL)) else {
        return false;
    };
    below.split(SPECIAL).next().unwrap_or_default().starts_with(prefix)
}

/// Whether all that a rule is for is without keys.
fn names_no_keys(rule: &Route, commands: &[KnownCommand]) -> bool {
    taken(&rule.matches, commands).all(|(it, _)| !it.has_keys)
}

/// A refusing rule that leaves no way back, or says what nobody will ever get.
fn of_refusing(
    rule: &Route,
    default: &Route,
    here: impl Fn(&'static str) -> Place,
) -> Option<(Place, String)> {
    if !rule.refuses {
        return None;
    }
    if rule.matches == Match::default() {
        let words = "refuses every command of everybody, PROXY RELOAD and CONFIG too; say which";
        return Some((here("refuse"), words.to_owned()));
    }
    let plain = Route {
        name: rule.name.clone(),
        matches: rule.matches.clone(),
        level: None,
        refuses: true,
        ..default.clone()
    };
    let words = "leaves nothing for the route's level, ladder, members and acks; leave them out";
    (*rule != plain).then(|| (here("refuse"), words.to_owned()))
}

fn of_acks(
    route: &Route,
    replicas: usize,
    here: impl Fn(&'static str) -> Place,
) -> Option<(Place, String)> {
    let words = match route.acks {
        Acks::Count(count) if replicas < count.into() => format!(
            "is more than the {replicas} replicas there are: every write waits for its \
             acks-timeout and answers -NOTDURABLE; write {replicas} at most, or raise set.replicas"
        ),
        Acks::InSync if replicas == 0 => "has no replica to wait for: every write answers \
                                          -NOTDURABLE; write 0, or raise set.replicas"
            .to_owned(),
        _ => return None,
    };
    Some((here("acks"), words))
}

fn of_ladder(route: &Route, here: impl Fn(&'static str) -> Place) -> Vec<(Place, String)> {
    let words = ladder_words(&route.ladder, !route.members.is_empty());
    words.into_iter().map(|it| (here("on-lag"), it)).collect()
}

/// What is foolish about a ladder; `are_named` says whether its route names its members.
fn ladder_words(ladder: &Ladder, are_named: bool) -> Vec<String> {
    let steps = ladder.steps();
    if steps.is_empty() {
        let words = "has no step: a read answers -LAGGED as soon as its replica is behind; write \
                     [\"error\"] if that is meant, else [\"catch-up\", \"master\"]";
        return vec![words.to_owned()];
    }
    let mut found = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if *step == Step::Wait(Duration::ZERO) {
            found.push("waits for no time at `wait`; write a time above 0".to_owned());
        }
        let before = &steps[..at];
        // At the master nothing lags. Where there is no master, only what needs none can help.
        let is_late = before.contains(&Step::Master) && !matches!(step, Step::Error | Step::Stale);
        // Only a route that names its members comes past `stale`: when none of them serves.
        let is_spared = *step == Step::Error || (are_named && *step == Step::Master);
        if is_late {
            found.push(format!(
                "never comes to `{step}`: `master` in front of it answers every read; write \
                 `{step}` in front of `master`"
            ));
        } else if before.contains(&Step::Stale) && !is_spared {
            found.push(format!(
                "never comes to `{step}`: `stale` in front of it answers every read; write `stale` \
                 last"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests;
