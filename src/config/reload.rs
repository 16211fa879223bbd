//! A config file read again: what it may change while clients are served, and what it may not.

use super::param::{Param, Section, When};
use super::rewrite::REPLICAS;
use super::table::PARAMS;
use super::{Config, Listener};
use crate::base::ids::RouteId;
use crate::route::MemberConfig;

/// The one that REPLICAOF changes.
const MASTER: &str = "set.master";

impl Config {
    /// The settings that the file read again asks for, in the place of these. They are what a start
    /// with that file would have, CONFIG SET or not. Refused as a whole, with the key, when that
    /// takes a restart.
    ///
    /// `members` are those that there are now: PROXY NODE adds and removes some. A file may
    /// describe them, or those that it described before.
    pub fn reloaded(&self, file: Config, members: &[MemberConfig]) -> Result<Config, String> {
        let has_these = file.all_members() == members;
        if let Some(why) = self.other_members(&file).filter(|_| !has_these) {
            return Err(why);
        }
        let fixed = PARAMS
            .iter()
            .filter(|it| it.when == When::Start && it.section != Section::Nowhere)
            .filter(|it| !(has_these && it.key() == REPLICAS) && it.key() != MASTER)
            .find(|it| !it.slot.is_same(self, &file));
        if let Some(param) = fixed {
            let (now, then) = (param.slot.show(self), param.slot.show(&file));
            let key = param.key();
            if key == REPLICAS && self.all_members() != members {
                return Err(format!(
                    "{key} = {then} and what the file says of members is neither what it was at \
                     the start nor what there is now: {}; describe one of these, or restart",
                    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                ));
            }
            return Err(format!("{key} = {then} needs a restart: it is {now} now"));
        }
        if self.upstream != file.upstream {
            return Err("what the file says of upstream needs a restart".to_owned());
        }
        if let Some(why) = self.moved_listener(&file.listeners) {
            return Err(why);
        }
        if self.http.is_elsewhere(&file.http) {
            return Err("http.bind and http.allow-remote need a restart".to_owned());
        }
        let routes = file.routes.clone().after(&self.routes)?;
        let mut after = Config { routes, ..file };
        // Whom the set follows is changed by who waits for that.
        after.set.master = self.set.master.clone();
        Ok(after)
    }

    /// What is different about the members. One that was added since the start is not in the file.
    fn other_members(&self, file: &Config) -> Option<String> {
        let list =
            |it: &Config| it.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let told = |it: &Config| if it.members.is_empty() { "none".to_owned() } else { list(it) };
        // A table that says no more than its place does changes nothing.
        let places = self.members.len().max(file.members.len());
        let all = |it: &Config| {
            let unnamed = (it.members.len()..places).map(MemberConfig::unnamed);
            it.members.iter().cloned().chain(unnamed).collect::<Vec<_>>()
        };
        (all(self) != all(file)).then(|| {
            format!(
                "member.name, member.tags, member.zone and member.dedicated need a restart: the \
                 file has {}; it had {}",
                told(file),
                told(self)
            )
        })
    }

    /// What is different about where listeners are; their levels may change.
    fn moved_listener(&self, after: &[Listener]) -> Option<String> {
        let how = |it: &Listener| {
            let tls = if it.tls { " with TLS" } else { "" };
            it.mode.map_or_else(|| tls.to_owned(), |mode| format!("{tls} with mode {mode:o}"))
        };
        let places = |all: &[Listener]| {
            let place = |it: &Listener| match it.at.to_string() {
                at if at == it.name => format!("{at}{}", how(it)),
                at => format!("{} at {at}{}", it.name, how(it)),
            };
            all.iter().map(place).collect::<Vec<_>>().join(", ")
        };
        let (now, then) = (places(&self.listeners), places(after));
        (now != then).then(|| {
            format!(
                "listener.bind, listener.unix, listener.unixsocketperm, listener.name and \
                 listener.tls need a restart: the file has {then}; this process has {now}"
            )
        })
    }

    /// Keys whose values are different in `after`, for the log.
    pub fn changes(&self, after: &Config) -> Vec<String> {
        let differs = |it: &&Param| !it.slot.is_same(self, after);
        let mut keys: Vec<String> = PARAMS.iter().filter(differs).map(Param::key).collect();
        if self.routes.default_level() != after.routes.default_level()
            || self.routes.get(RouteId::DEFAULT) != after.routes.get(RouteId::DEFAULT)
            || self.sticky_scope != after.sticky_scope
        {
            keys.push("consistency".to_owned());
        }
        if !self.routes.has_the_rules_of(&after.routes) {
            keys.push("route".to_owned());
        }
        if self.users != after.users {
            keys.push("user".to_owned());
        }
        for (key, is_same) in [
            ("alerts.command", self.alerts.command == after.alerts.command),
            ("alerts.webhook", self.alerts.webhook == after.alerts.webhook),
        ] {
            if !is_same {
                keys.push(key.to_owned());
            }
        }
        if self.http != after.http {
            keys.push("http".to_owned());
        }
        let differ = |is_same: fn(&Listener, &Listener) -> bool| {
            !self.listeners.iter().zip(&after.listeners).all(|(one, other)| is_same(one, other))
        };
        if differ(|a, b| (a.level, a.sticky_scope) == (b.level, b.sticky_scope)) {
            keys.push("listener.level".to_owned());
        }
        if differ(|a, b| a.proxies == b.proxies) {
            keys.push("listener.proxy-protocol".to_owned());
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("e.toml", text).unwrap()
    }

    /// Read again by a process whose members are those of the start.
    fn reloaded(before: &Config, after: Config) -> Result<Config, String> {
        before.reloaded(after, &before.all_members())
    }

    #[test]
    fn a_file_may_say_what_was_at_the_start_or_what_there_is_now() {
        let before = config("");
        let mut now = before.all_members();
        now.push(MemberConfig { tags: vec!["x".into()], ..MemberConfig::unnamed(3) });
        assert!(before.reloaded(config(""), &now).is_ok());
        let text = "[[member]]\n[[member]]\n[[member]]\n[[member]]\ntags = 'x'\n";
        let after = before.reloaded(config(text), &now).unwrap();
        assert_eq!((after.set.replicas, after.all_members()), (3, now.clone()));
        assert_eq!(before.changes(&after), ["set.replicas"]);
        let why = before.reloaded(config("[set]\nreplicas = 5\n"), &now).unwrap_err();
        let told = "set.replicas = 5 and what the file says of members is neither what it was at \
                    the start nor what there is now: n1, n2, n3, n4 (tag:x); describe one of \
                    these, or restart";
        assert_eq!(why, told);
        let untagged = before.reloaded(config("[set]\nreplicas = 3\n"), &now).unwrap_err();
        assert!(untagged.starts_with("set.replicas = 3 and what"), "{untagged}");
        now.truncate(2);
        assert!(before.reloaded(config("[set]\nreplicas = 1\n"), &now).is_ok(), "one was removed");
    }

    #[test]
    fn what_may_change_while_clients_are_served_does() {
        let before = config("[[route]]\nname = \"a\"\nlevel = \"master\"\n");
        let file = "[server]\nloglevel = \"warning\"\nrequirepass = \"s3cret\"\n\
                    [set]\nmin-replicas-to-write = 1\n\
                    [consistency]\nlevel = \"eventual\"\nacks = 1\n\
                    [[listener]]\nname = \"main\"\nbind = \"127.0.0.1:6379\"\nlevel = \"global\"\n\
                    [[route]]\nname = \"b\"\n[[route]]\nname = \"a\"\n";
        let after = reloaded(&before, config(file)).unwrap();
        let changed = [
            "server.requirepass",
            "server.loglevel",
            "set.min-replicas-to-write",
            "consistency",
            "route",
            "listener.level",
        ];
        assert_eq!(before.changes(&after), changed);
        assert_eq!(after.routes.get(RouteId(1)).name, "a", "its number is its own");
        let again = reloaded(&after, config(file)).unwrap();
        assert_eq!((after.changes(&again), again), (Vec::new(), after));
    }

    #[test]
    fn what_config_set_has_said_gives_way_to_the_file() {
        let mut running = config("");
        running.set(&[(&b"maxclients"[..], &b"5"[..])]).unwrap();
        let after = reloaded(&running, config("")).unwrap();
        assert_eq!(after, Config::default());
        assert_eq!(running.changes(&after), ["server.maxclients"]);
    }

    #[test]
    fn what_takes_a_restart_is_refused_with_its_key() {
        let before = config("");
        let refused = |text: &str| reloaded(&before, config(text)).unwrap_err();
        assert_eq!(
            refused("[set]\nreplicas = 1\n"),
            "set.replicas = 1 needs a restart: it is 2 now"
        );
        let threads = "server.threads = 3 needs a restart: it is 0 now";
        assert_eq!(refused("[server]\nthreads = 3\nmaxclients = 7\n"), threads);
        let why = refused("[server]\ntoken-secret = \"0123456789abcdef\"\n");
        assert_eq!(why, "server.token-secret = (hidden) needs a restart: it is (hidden) now");
        let why = refused("[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:7\"\n");
        assert!(why.starts_with("listener.bind") && why.contains("main at 127.0.0.1:7"), "{why}");
        assert!(why.ends_with("this process has main at 127.0.0.1:6379"), "{why}");
        let why = refused("[[listener]]\nbind = \"127.0.0.1:7\"\n");
        assert!(why.contains("the file has 127.0.0.1:7; this process"), "{why}");
    }

    #[test]
    fn members_are_those_of_the_start() {
        let with = |text: &str| config(&format!("[set]\nreplicas = 2\n{text}"));
        let refused = |before: &str, after: &str| reloaded(&with(before), with(after)).unwrap_err();
        let keys = "member.name, member.tags, member.zone and member.dedicated need a restart: ";
        let reports = "[[member]]\n[[member]]\nname = 'reports'\ndedicated = true\n";
        let told = "the file has n1, reports (dedicated); it had none";
        assert_eq!(refused("", reports), format!("{keys}{told}"));
        let told = "the file has none; it had n1, reports (dedicated)";
        assert_eq!(refused(reports, ""), format!("{keys}{told}"));
        let zone = "[[member]]\nzone = 'a'\n";
        assert_eq!(refused(zone, ""), format!("{keys}the file has none; it had n1 (zone a)"));
        assert!(reloaded(&with("[[member]]\n"), with("")).is_ok(), "it says nothing");
        let route = format!("{reports}[[route]]\nname = 'r'\nmembers = ['reports']\n");
        let after = reloaded(&with(reports), with(&route)).unwrap();
        assert_eq!(with(reports).changes(&after), ["route"], "routes may change");
    }
}
