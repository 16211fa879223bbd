//! Routes: rules that say which requests they are for, and what those requests get.

use super::{Allowed, Ladder, Level, Match, Question, Selector};
use crate::base::ids::{MemberId, RouteId};
use crate::base::places::Places;
use crate::command::Class;
use std::time::Duration;

/// How many replicas must confirm a write before its reply leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Acks {
    /// Reply once the master has it.
    #[default]
    None,
    /// This many replicas.
    Count(u16),
    /// All replicas that are in service and being fed when the write is made, and one at least. One
    /// that is paused, drained or disconnected meanwhile is no longer waited for.
    InSync,
    /// None, but it is on disk here.
    Fsync,
    /// All replicas of the set, those too that are paused or disconnected.
    All,
}

impl Acks {
    /// Whether what this asks for is always at least what `other` asks for.
    pub fn covers(self, other: Acks) -> bool {
        match (self, other) {
            (Acks::Fsync, Acks::Fsync) => true,
            (Acks::All, Acks::Fsync) => false,
            (Acks::All, _) | (_, Acks::None) | (Acks::InSync, Acks::InSync | Acks::Count(1)) => {
                true
            }
            (Acks::Count(this), Acks::Count(other)) => other <= this,
            _ => false,
        }
    }
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
    /// The replicas that may serve its reads; any that is not dedicated when there are none here.
    /// What only the master may answer (its level says so, or WATCH, or a lost history) it answers
    /// all the same.
    pub members: Vec<Selector>,
    /// Confirmations its writes need.
    pub acks: Acks,
    /// How long they may take.
    pub acks_timeout: Duration,
    /// After a write, reads go to the master for this long.
    pub sticky_for: Option<Duration>,
    /// Its reads go to the master while there is one, and as its level says while there is none:
    /// of real servers.
    pub prefers_master: bool,
    /// Its requests are answered with an error, and do nothing.
    pub refuses: bool,
}

impl Route {
    /// Its name, and what made it match.
    pub fn told(&self) -> String {
        match self.name == Routes::DEFAULT_NAME {
            true => format!("{} (no rule matched)", self.name),
            false => format!("{} ({})", self.name, self.matches),
        }
    }

    /// Which of these members may serve its reads; `None` when all may. Each is told by its place,
    /// name and tags, and whether it is dedicated.
    pub fn allowed<'m>(
        &self,
        members: impl Iterator<Item = (MemberId, &'m str, &'m [String], bool)>,
    ) -> Option<Allowed> {
        let named = !self.members.is_empty();
        let mut bars_one = named;
        let may_serve = |(member, name, tags, dedicated): (MemberId, &str, &[String], bool)| {
            let serves = if named {
                self.members.iter().any(|it| it.selects(name, tags))
            } else {
                !dedicated
            };
            bars_one |= !serves;
            serves.then_some(member)
        };
        let places = Places::of(members.filter_map(may_serve));
        bars_one.then_some(Allowed { places, named })
    }
}

impl Default for Route {
    fn default() -> Route {
        Route {
            name: Routes::DEFAULT_NAME.to_owned(),
            matches: Match::default(),
            level: None,
            ladder: Ladder::default(),
            members: Vec::new(),
            acks: Acks::None,
            acks_timeout: Duration::from_secs(1),
            sticky_for: None,
            prefers_master: false,
            refuses: false,
        }
    }
}

/// The rules in order: the first that matches wins. Route 0 is the default and matches everything
/// the others leave.
///
/// A route's number is its name's for as long as the process lives: [`Routes::after`]. What was
/// counted under a number is told under its name, and a number chosen before a reload still means
/// the same route after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routes {
    /// By number. Those that no file names any more stay, as they were last.
    routes: Vec<Route>,
    /// Numbers of the rules in force, in their order.
    order: Vec<RouteId>,
    level: Level,
    looks_at_keys: bool,
    mixes_acks: bool,
    refuses: bool,
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
        let order = (1..=rules.len() as u16).map(RouteId).collect();
        Routes::of(level, std::iter::once(default).chain(rules).collect(), order)
    }

    fn of(level: Level, routes: Vec<Route>, order: Vec<RouteId>) -> Routes {
        let rules = || order.iter().map(|it| &routes[it.index()]);
        let looks_at_keys = rules().any(|it| !it.matches.keys.is_empty());
        let all_acks = || rules().chain(&routes[..1]).map(|it| it.acks);
        let of_replicas = |it| !matches!(it, Acks::None | Acks::Fsync);
        let mixes_acks = (all_acks().any(|it| it == Acks::InSync)
            && all_acks().any(|it| matches!(it, Acks::Count(_))))
            || (all_acks().any(|it| it == Acks::Fsync) && all_acks().any(of_replicas));
        let refuses = rules().any(|it| it.refuses);
        Routes { routes, order, level, looks_at_keys, mixes_acks, refuses }
    }

    /// The same with another level for everything nobody says otherwise of.
    pub fn with_level(self, level: Level) -> Routes {
        Routes { level, ..self }
    }

    /// These rules in the place of those `before`: a name that was there keeps its number, another
    /// gets a new one. Refused when there have been too many names.
    pub fn after(self, before: &Routes) -> Result<Routes, String> {
        let mut routes = before.routes.clone();
        let mut order = Vec::with_capacity(self.order.len());
        routes[0] = self.routes[0].clone();
        for rule in self.order.iter().map(|it| self.get(*it)) {
            let known = routes.iter().position(|it| it.name == rule.name);
            match known {
                Some(at) => routes[at] = rule.clone(),
                None => routes.push(rule.clone()),
            }
            order.push(RouteId(known.unwrap_or(routes.len() - 1) as u16));
        }
        match routes.len() - 1 <= Routes::RULES_MAX {
            true => Ok(Routes::of(self.level, routes, order)),
            false => Err(format!(
                "more than {} names of routes since the start: use earlier ones again, or restart",
                Routes::RULES_MAX
            )),
        }
    }

    /// Whether the rules in force are the same, in the same order.
    pub fn has_the_rules_of(&self, other: &Routes) -> bool {
        let of = |it: &Routes| it.order.iter().map(|at| it.get(*at).clone()).collect::<Vec<_>>();
        of(self) == of(other)
    }

    /// Whether there is nothing to choose: only the default route.
    #[inline]
    pub fn is_trivial(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether a choice depends on keys.
    #[inline]
    pub fn looks_at_keys(&self) -> bool {
        self.looks_at_keys
    }

    /// Whether no single route may have what all keys of a write need: one wants those in sync,
    /// another a number.
    #[inline]
    pub fn mixes_acks(&self) -> bool {
        self.mixes_acks
    }

    /// Whether a route asks for acks.
    pub fn asks_acks(&self) -> bool {
        self.routes.iter().any(|it| it.acks != Acks::None)
    }

    /// Whether any rule in force refuses anything.
    #[inline]
    pub fn refuses(&self) -> bool {
        self.refuses
    }

    /// The route that refuses this request, if one does: that of one of its keys is enough.
    pub fn refusing(&self, ask: &Question<'_>) -> Option<&Route> {
        let rules = self.order.iter().map(|it| self.get(*it));
        let mut refusing = rules.filter(|it| it.refuses).map(|it| &it.matches);
        // Most requests are of commands that no such rule is for.
        if !refusing.any(|it| it.takes(ask.command, ask.group, ask.class)) {
            return None;
        }
        let mut found = None;
        self.each(ask, |it| found = found.or(Some(self.get(it)).filter(|it| it.refuses)));
        found
    }

    /// The number of the route of this request. When its keys fall under different routes, the
    /// strictest of them: for a read the one with the strongest level, for a write the one that
    /// wants most confirmations. So no key gets a weaker promise than its own route makes.
    #[inline]
    pub fn choose(&self, ask: &Question<'_>) -> RouteId {
        match (self.is_trivial(), self.looks_at_keys) {
            (true, _) => RouteId::DEFAULT,
            (false, false) => self.first(ask, |it| it.keys.is_empty()),
            (false, true) => self.strictest(ask),
        }
    }

    /// Tells the route of each key of this request, and that of a request without keys.
    pub fn each(&self, ask: &Question<'_>, mut tell: impl FnMut(RouteId)) {
        let mut is_keyless = true;
        ask.keys.each(ask.request, |key| {
            is_keyless = false;
            tell(self.first(ask, |it| it.holds(key)));
        });
        if is_keyless {
            tell(self.first(ask, |it| it.keys.is_empty()));
        }
    }

    fn first(&self, ask: &Question<'_>, holds: impl Fn(&Match) -> bool) -> RouteId {
        let fits = |it: &Match| it.suits(ask) && holds(it);
        self.order
            .iter()
            .copied()
            .find(|it| fits(&self.get(*it).matches))
            .unwrap_or(RouteId::DEFAULT)
    }

    fn strictest(&self, ask: &Question<'_>) -> RouteId {
        let mut strictest = None;
        self.each(ask, |route| {
            let laxity = self.laxity(route, ask.class);
            if strictest.is_none_or(|(_, it)| laxity < it) {
                strictest = Some((route, laxity));
            }
        });
        strictest.map_or(RouteId::DEFAULT, |(route, _)| route)
    }

    /// Less for a stricter route; first comes what requests of this class care about.
    fn laxity(&self, route: RouteId, class: Class) -> (u16, u8) {
        let missing = match (class, self.get(route).acks) {
            (Class::Write, Acks::All) => 0,
            (Class::Write, Acks::InSync) => 1,
            (Class::Write, Acks::Count(count)) => u16::MAX - 1 - count,
            (Class::Write, Acks::Fsync) => u16::MAX - 1,
            _ => u16::MAX,
        };
        (missing, self.level(route, None, None).weakness())
    }

    /// The level of a read: what the session asked for, else its route's, else its listener's, else
    /// the default.
    #[inline]
    pub fn level(&self, route: RouteId, session: Option<Level>, listener: Option<Level>) -> Level {
        session.or(self.get(route).level).or(listener).unwrap_or(self.level)
    }

    /// Route number `at`, which came from [`Routes::choose`].
    #[inline]
    pub fn get(&self, at: RouteId) -> &Route {
        &self.routes[at.index()]
    }

    /// All routes there have been; a route's place is its number.
    pub fn all(&self) -> &[Route] {
        &self.routes
    }

    /// The default route and the rules in force, with their numbers.
    pub fn in_force(&self) -> impl Iterator<Item = (RouteId, &Route)> {
        let rules = self.order.iter().copied();
        std::iter::once(RouteId::DEFAULT).chain(rules).map(|it| (it, self.get(it)))
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
    use crate::command::{Group, Keys};
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
        let (user, client, listener) = ("default", "", "main");
        let ask = Question { command, class, group, keys, request, db, user, client, listener };
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
    fn a_request_is_refused_by_the_route_of_any_of_its_keys() {
        let refusing =
            |name: &str, matches| Route { refuses: true, ..rule(name, Level::Master, matches) };
        let flush = Match { commands: vec!["flushall".into()], ..Match::default() };
        let rules = vec![
            rule("open", Level::Master, keys(&["secret:open"])),
            refusing("secret", keys(&["secret:*"])),
            refusing("no-flush", flush),
        ];
        let routes = Routes::new(Level::Sticky, Route::default(), rules);
        let refused = |words: &str, keys| {
            let owned = OwnedRequest::of(words.split(' '));
            let (request, command) = (owned.borrow(), words.split(' ').next().unwrap());
            let (class, group, db) = (Class::Read, Group::String, 0);
            let (user, client, listener) = ("default", "", "main");
            let ask = Question { command, class, group, keys, request, db, user, client, listener };
            routes.refusing(&ask).map_or("", |it| it.name.as_str()).to_owned()
        };
        assert!(routes.refuses() && !Routes::default().refuses());
        assert_eq!(refused("GET secret:1", Keys::READ), "secret");
        assert_eq!(refused("GET secret:open", Keys::READ), "", "the first rule wins");
        assert_eq!(refused("MGET a secret:open secret:1", Keys::READ_ALL), "secret");
        assert_eq!(refused("MGET a b", Keys::READ_ALL), "");
        assert_eq!(refused("FLUSHALL", Keys::NONE), "no-flush");
        assert_eq!(refused("DBSIZE", Keys::NONE), "");
    }

    #[test]
    fn the_session_has_the_last_word_on_its_level() {
        let rules = vec![
            rule("r", Level::Global, Match::default()),
            Route { level: None, ..Route::default() },
        ];
        let routes = Routes::new(Level::Sticky, Route::default(), rules);
        let (session, listener) = (Some(Level::Master), Some(Level::Eventual));
        assert_eq!(routes.level(RouteId(1), session, listener), Level::Master);
        assert_eq!(routes.level(RouteId(1), None, listener), Level::Global);
        assert_eq!(routes.level(RouteId(2), None, listener), Level::Eventual);
        assert_eq!(routes.level(RouteId(2), None, None), Level::Sticky);
        assert!(Routes::default().is_trivial());
    }

    #[test]
    fn a_name_keeps_its_number_over_reloads_and_no_other_ever_gets_it() {
        let routes = |names: &str| {
            let rules = names.split_whitespace();
            let rules = rules.map(|it| rule(it, Level::Eventual, keys(&[&format!("{it}:*")])));
            Routes::new(Level::Sticky, Route::default(), rules.collect())
        };
        let names =
            |it: &Routes| -> Vec<String> { it.all().iter().map(|it| it.name.clone()).collect() };
        let get = |it: &Routes, key: &str| {
            chosen(it, &format!("GET {key}"), Group::String, Keys::READ, 0)
        };
        let first = routes("a b");
        let second = routes("c b").after(&first).unwrap();
        assert_eq!(names(&second), ["default", "a", "b", "c"]);
        assert_eq!((get(&second, "c:1"), get(&second, "a:1")), ("c".into(), "default".into()));
        let third = routes("b a").after(&second).unwrap();
        assert_eq!(names(&third), ["default", "a", "b", "c"]);
        assert_eq!(routes("b a").after(&third).unwrap(), third, "nothing new changes nothing");
        let bare = routes("").after(&third).unwrap();
        assert!(bare.is_trivial() && !bare.looks_at_keys());
        assert_eq!(bare.get(RouteId(1)).name, "a", "a number of before is still its route");
    }

    #[test]
    fn the_order_of_the_new_file_decides_and_its_default_too() {
        let all = |name: &str| rule(name, Level::Eventual, Match::default());
        let first = Routes::new(Level::Sticky, Route::default(), vec![all("a"), all("b")]);
        let default = Route { acks: Acks::All, ..Route::default() };
        let second = Routes::new(Level::Global, default, vec![all("b"), all("a")]);
        let second = second.after(&first).unwrap();
        assert_eq!(chosen(&first, "GET k", Group::String, Keys::READ, 0), "a");
        assert_eq!(chosen(&second, "GET k", Group::String, Keys::READ, 0), "b");
        assert_eq!(
            (second.get(RouteId::DEFAULT).acks, second.default_level()),
            (Acks::All, Level::Global)
        );
    }

    #[test]
    fn too_many_names_are_refused() {
        let many = |from: usize| {
            let names = from..from + Routes::RULES_MAX;
            let rules = names.map(|it| rule(&it.to_string(), Level::Master, Match::default()));
            Routes::new(Level::Sticky, Route::default(), rules.collect())
        };
        let first = many(0);
        assert!(many(0).after(&first).is_ok());
        assert!(many(1).after(&first).unwrap_err().starts_with("more than 1000 names of routes"));
    }

    #[test]
    fn acks_that_differ_in_kind_do_not_cover_each_other() {
        let all =
            [Acks::None, Acks::Count(1), Acks::Count(2), Acks::InSync, Acks::All, Acks::Fsync];
        let covers = |it: Acks| all.iter().filter(|other| it.covers(**other)).count();
        assert_eq!(all.map(covers), [1, 2, 3, 3, 5, 2]);
        assert!(Acks::InSync.covers(Acks::Count(1)) && !Acks::InSync.covers(Acks::Count(2)));
        let acks = |acks| Route { acks, ..rule("r", Level::Master, Match::default()) };
        let mixes = |it: Vec<Route>| Routes::new(Level::Sticky, acks(Acks::Count(1)), it);
        assert!(mixes(vec![acks(Acks::InSync)]).mixes_acks());
        assert!(!mixes(vec![acks(Acks::All)]).mixes_acks());
    }

    #[test]
    fn in_force_are_the_default_route_and_the_rules_in_their_order() {
        let rules = vec![
            rule("one", Level::Eventual, keys(&["one:*"])),
            rule("two", Level::Global, keys(&["two:*"])),
        ];
        let before = Routes::new(Level::Sticky, Route::default(), rules);
        let turned = vec![rule("two", Level::Global, keys(&["two:*"]))];
        let after = Routes::new(Level::Sticky, Route::default(), turned).after(&before).unwrap();
        let of = |routes: &Routes| -> Vec<(u16, String)> {
            routes.in_force().map(|(at, it)| (at.0, it.name.clone())).collect()
        };
        let told = |all: &[(u16, &str)]| -> Vec<(u16, String)> {
            all.iter().map(|it| (it.0, it.1.to_owned())).collect()
        };
        assert_eq!(of(&before), told(&[(0, "default"), (1, "one"), (2, "two")]));
        assert_eq!(of(&after), told(&[(0, "default"), (2, "two")]), "a name keeps its number");
    }

    /// From the strictest on. Some that no table of routes has side by side are here, too.
    const BY_STRICTNESS: [Acks; 7] = [
        Acks::All,
        Acks::InSync,
        Acks::Count(3),
        Acks::Count(2),
        Acks::Count(1),
        Acks::Fsync,
        Acks::None,
    ];

    #[test]
    fn of_two_keys_of_a_write_the_one_that_wants_more_decides_wherever_it_stands() {
        for (at, strict) in BY_STRICTNESS.iter().enumerate() {
            for lax in &BY_STRICTNESS[at + 1..] {
                let rule_of = |name, acks: &Acks, glob: &str| Route {
                    acks: *acks,
                    ..rule(name, Level::Sticky, keys(&[glob]))
                };
                let rules = vec![rule_of("strict", strict, "s:*"), rule_of("lax", lax, "l:*")];
                let routes = Routes::new(Level::Sticky, Route::default(), rules);
                for words in ["MSET s:1 l:1", "MSET l:1 s:1"] {
                    let name = chosen(&routes, words, Group::String, Keys::READ_ALL, 0);
                    assert_eq!(name, "strict", "{words} of {strict:?} and {lax:?}");
                }
            }
        }
    }

    #[test]
    fn of_keys_that_want_the_same_the_first_decides() {
        let rules = ["a", "b"].map(|it| rule(it, Level::Eventual, keys(&[&format!("{it}:*")])));
        let routes = Routes::new(Level::Sticky, Route::default(), rules.to_vec());
        let mget = |words| chosen(&routes, words, Group::String, Keys::READ_ALL, 0);
        assert_eq!((mget("MGET a:1 b:1"), mget("MGET b:1 a:1")), ("a".into(), "b".into()));
    }

    #[test]
    fn confirmations_mix_where_no_route_asks_for_all_that_two_of_them_want() {
        let (count, sync) = (Acks::Count(1), Acks::InSync);
        for (acks, mixes) in [
            ([count, sync], true),
            ([Acks::Fsync, count], true),
            ([Acks::Fsync, sync], true),
            ([Acks::Fsync, Acks::All], true),
            ([Acks::Fsync, Acks::None], false),
            ([count, Acks::All], false),
            ([sync, Acks::All], false),
            ([count, Acks::Count(2)], false),
        ] {
            for [one, other] in [acks, [acks[1], acks[0]]] {
                let rules = [("one", one), ("other", other)]
                    .map(|(name, acks)| Route { acks, ..rule(name, Level::Sticky, keys(&[name])) });
                let routes = Routes::new(Level::Sticky, Route::default(), rules.to_vec());
                assert_eq!(routes.mixes_acks(), mixes, "{one:?} {other:?}");
            }
        }
    }
}
