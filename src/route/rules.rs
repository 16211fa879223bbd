//! Routes: rules that say which requests they are for, and what those requests get.

use super::{Ladder, Level};
use crate::base::glob::{Case, matches};
use crate::command::{Class, Group, Keys};
use crate::resp::Request;
use std::time::Duration;

/// What a rule is for. An empty list matches everything, a list matches when one of its entries
/// does, a rule matches when all its lists do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Match {
    /// Glob patterns of keys.
    pub keys: Vec<String>,
    /// Command groups.
    pub groups: Vec<Group>,
    /// Commands by name; a container's name stands for all its subcommands.
    pub commands: Vec<String>,
    /// Databases.
    pub dbs: Vec<usize>,
    /// Users.
    pub users: Vec<String>,
    /// Listeners by name.
    pub listeners: Vec<String>,
}

/// How many replicas must confirm a write before its reply leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Acks {
    /// Reply once the master has it.
    #[default]
    None,
    /// This many replicas.
    Count(u16),
    /// All replicas of the set, those too that are paused or cut off.
    All,
}

/// One rule, and what the requests it matches get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Its name, the metrics label.
    pub name: String,
    /// What it is for.
    pub matches: Match,
    /// The promise of its reads; `None` leaves that to the listener and the default.
    pub level: Option<Level>,
    /// What its reads try on lag.
    pub ladder: Ladder,
    /// Confirmations its writes need.
    pub acks: Acks,
    /// How long they may take.
    pub acks_timeout: Duration,
    /// After a write, reads go to the master for this long.
    pub sticky_for: Option<Duration>,
}

impl Default for Route {
    fn default() -> Route {
        Route {
            name: Routes::DEFAULT_NAME.to_owned(),
            matches: Match::default(),
            level: None,
            ladder: Ladder::default(),
            acks: Acks::None,
            acks_timeout: Duration::from_secs(1),
            sticky_for: None,
        }
    }
}

/// All that rules look at. Keys are only searched for when a rule asks.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The command, upper-case; `CONTAINER|SUBCOMMAND` for a subcommand.
    pub command: &'a str,
    /// Whether it reads or writes.
    pub class: Class,
    /// Its group.
    pub group: Group,
    /// Where its keys stand.
    pub keys: Keys,
    /// Its arguments.
    pub request: Request<'a>,
    /// The session's database.
    pub db: usize,
    /// The session's user.
    pub user: &'a str,
    /// The listener it came in by.
    pub listener: &'a str,
}

impl Match {
    /// The group of this name.
    pub fn group(name: &str) -> Option<Group> {
        Group::ALL.iter().copied().find(|it| it.name() == name)
    }

    /// Names of all groups, for refusals.
    pub fn group_names() -> impl Iterator<Item = &'static str> {
        Group::ALL.iter().map(|it| it.name())
    }

    /// Whether everything but the keys matches.
    fn suits(&self, ask: &Question<'_>) -> bool {
        let named =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|it| it == name);
        (self.groups.is_empty() || self.groups.contains(&ask.group))
            && (self.commands.is_empty()
                || self.commands.iter().any(|it| is_or_holds(it, ask.command)))
            && (self.dbs.is_empty() || self.dbs.contains(&ask.db))
            && named(&self.users, ask.user)
            && named(&self.listeners, ask.listener)
    }

    fn holds(&self, key: &[u8]) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|it| matches(it.as_bytes(), key, Case::Exact))
    }
}

fn is_or_holds(name: &str, command: &str) -> bool {
    let head = command.split('|').next().unwrap_or_default();
    name.eq_ignore_ascii_case(command) || name.eq_ignore_ascii_case(head)
}

/// The rules in order: the first that matches wins. Route 0 is the default and matches everything
/// the others leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routes {
    routes: Vec<Route>,
    level: Level,
    looks_at_keys: bool,
}

impl Routes {
    /// The name of route 0.
    pub const DEFAULT_NAME: &str = "default";
    /// Rules at most; their number is a metrics label.
    pub const RULES_MAX: usize = 1000;

    /// The default route with the level of everything nobody says otherwise of, then the rules in
    /// order.
    pub fn new(level: Level, default: Route, rules: Vec<Route>) -> Routes {
        assert!(rules.len() <= Routes::RULES_MAX, "config refuses more rules");
        let looks_at_keys = rules.iter().any(|it| !it.matches.keys.is_empty());
        let routes = std::iter::once(default).chain(rules).collect();
        Routes { routes, level, looks_at_keys }
    }

    /// Whether there is nothing to choose: only the default route.
    #[inline]
    pub fn is_trivial(&self) -> bool {
        self.routes.len() == 1
    }

    /// Whether a choice depends on keys. If not, it may be kept per command, database, user and
    /// listener.
    #[inline]
    pub fn looks_at_keys(&self) -> bool {
        self.looks_at_keys
    }

    /// The number of the route of this request. When its keys fall under different routes, the
    /// strictest of them: for a read the one with the strongest level, for a write the one that
    /// wants most confirmations. So no key gets a weaker promise than its own route makes.
    #[inline]
    pub fn choose(&self, ask: &Question<'_>) -> u16 {
        match (self.is_trivial(), self.looks_at_keys) {
            (true, _) => 0,
            (false, false) => self.first(ask, |it| it.keys.is_empty()),
            (false, true) => self.strictest(ask),
        }
    }

    fn first(&self, ask: &Question<'_>, holds: impl Fn(&Match) -> bool) -> u16 {
        let rules = self.routes.iter().enumerate().skip(1);
        let mut found = rules.filter(|(_, it)| it.matches.suits(ask) && holds(&it.matches));
        found.next().map_or(0, |(at, _)| at as u16)
    }

    fn strictest(&self, ask: &Question<'_>) -> u16 {
        let mut strictest = None;
        ask.keys.each(ask.request, |key| {
            let route = self.first(ask, |it| it.holds(key));
            let laxity = self.laxity(route, ask.class);
            if strictest.is_none_or(|(_, it)| laxity < it) {
                strictest = Some((route, laxity));
            }
        });
        strictest.map_or_else(|| self.first(ask, |it| it.keys.is_empty()), |(route, _)| route)
    }

    /// Less for a stricter route; first comes what requests of this class care about.
    fn laxity(&self, route: u16, class: Class) -> (u16, u8) {
        let missing = match (class, self.get(route).acks) {
            (Class::Write, Acks::All) => 0,
            (Class::Write, Acks::Count(count)) => u16::MAX - count,
            _ => u16::MAX,
        };
        (missing, self.level(route, None, None).weakness())
    }

    /// The level of a read: what the session asked for, else its route's, else its listener's, else
    /// the default.
    #[inline]
    pub fn level(&self, route: u16, session: Option<Level>, listener: Option<Level>) -> Level {
        session.or(self.get(route).level).or(listener).unwrap_or(self.level)
    }

    /// Route number `at`, which came from [`Routes::choose`].
    #[inline]
    pub fn get(&self, at: u16) -> &Route {
        &self.routes[usize::from(at)]
    }

    /// All routes; a route's place is its number.
    pub fn all(&self) -> &[Route] {
        &self.routes
    }

    /// The level of everything nobody says otherwise of.
    pub fn default_level(&self) -> Level {
        self.level
    }
}

impl Default for Routes {
    fn default() -> Routes {
        Routes::new(Level::default(), Route::default(), Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedRequest;

    fn rule(name: &str, level: Level, matches: Match) -> Route {
        Route { name: name.to_owned(), level: Some(level), matches, ..Route::default() }
    }

    fn keys(globs: &[&str]) -> Match {
        Match { keys: globs.iter().map(|it| it.to_string()).collect(), ..Match::default() }
    }

    fn chosen(routes: &Routes, words: &str, group: Group, keys: Keys, db: usize) -> String {
        let owned = OwnedRequest::of(words.split(' '));
        let request = owned.borrow();
        let command = words.split(' ').next().unwrap();
        let class = if command == "MSET" { Class::Write } else { Class::Read };
        let (user, listener) = ("default", "main");
        let ask = Question { command, class, group, keys, request, db, user, listener };
        routes.get(routes.choose(&ask)).name.clone()
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let in_db_1 = Match { dbs: vec![1], ..Match::default() };
        let hashes = Match { groups: vec![Group::Hash], ..Match::default() };
        let ttl = Match { commands: vec!["ttl".into(), "object".into()], ..Match::default() };
        let rules = vec![
            rule("one", Level::Eventual, in_db_1),
            rule("hashes", Level::Global, hashes),
            rule("looks", Level::Eventual, ttl),
        ];
        let routes = Routes::new(Level::Sticky, Route::default(), rules);
        assert!(!routes.looks_at_keys() && !routes.is_trivial());
        assert_eq!(chosen(&routes, "HGET a f", Group::Hash, Keys::READ, 1), "one");
        assert_eq!(chosen(&routes, "HGET a f", Group::Hash, Keys::READ, 0), "hashes");
        assert_eq!(chosen(&routes, "TTL a", Group::Generic, Keys::PEEK, 0), "looks");
        assert_eq!(chosen(&routes, "OBJECT|FREQ a", Group::Generic, Keys::PEEK, 0), "looks");
        assert_eq!(chosen(&routes, "GET a", Group::String, Keys::READ, 0), "default");
    }

    #[test]
    fn keys_of_several_routes_get_the_strictest() {
        let rules = vec![
            rule("cache", Level::Eventual, keys(&["cache:*", "tmp:?"])),
            rule("bank", Level::Linearizable, keys(&["bank:*"])),
        ];
        let routes = Routes::new(Level::Sticky, Route::default(), rules);
        let mget = |words: &str| chosen(&routes, words, Group::String, Keys::READ_ALL, 0);
        assert_eq!(mget("MGET cache:1 tmp:1"), "cache");
        assert_eq!(mget("MGET cache:1 bank:1"), "bank");
        assert_eq!(mget("MGET bank:1 user:1"), "bank");
        assert_eq!(mget("MGET cache:1 user:1"), "default");
        assert_eq!(chosen(&routes, "DBSIZE", Group::Server, Keys::NONE, 0), "default");
    }

    #[test]
    fn a_write_gets_the_most_confirmations_that_any_of_its_keys_needs() {
        let rules = vec![
            rule("strong", Level::Linearizable, keys(&["strong:*"])),
            Route { acks: Acks::Count(2), ..rule("two", Level::Eventual, keys(&["two:*"])) },
            Route { acks: Acks::All, ..rule("all", Level::Eventual, keys(&["all:*"])) },
        ];
        let routes = Routes::new(Level::Sticky, Route::default(), rules);
        let mset = |words: &str| chosen(&routes, words, Group::String, Keys::READ_ALL, 0);
        assert_eq!(mset("MSET plain two:1"), "two");
        assert_eq!(mset("MSET two:1 plain"), "two");
        assert_eq!(mset("MSET strong:1 two:1"), "two");
        assert_eq!(mset("MSET two:1 all:1 strong:1"), "all");
        assert_eq!(mset("MSET plain strong:1"), "strong");
        assert_eq!(mset("MGET two:1 strong:1"), "strong", "a read cares about its level");
    }

    #[test]
    fn the_session_has_the_last_word_on_its_level() {
        let rules = vec![
            rule("r", Level::Global, Match::default()),
            Route { level: None, ..Route::default() },
        ];
        let routes = Routes::new(Level::Sticky, Route::default(), rules);
        let (session, listener) = (Some(Level::Master), Some(Level::Eventual));
        assert_eq!(routes.level(1, session, listener), Level::Master);
        assert_eq!(routes.level(1, None, listener), Level::Global);
        assert_eq!(routes.level(2, None, listener), Level::Eventual);
        assert_eq!(routes.level(2, None, None), Level::Sticky);
        assert!(Routes::default().is_trivial());
    }
}
