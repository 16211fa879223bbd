//! A whole configuration as a file would say it: every setting with its value, secrets hidden.

use super::alerts::Webhook;
use super::listener::{Address, Listener};
use super::param::{Param, Section};
use super::rewrite::{limits, value};
use super::slot::Slot;
use super::table::PARAMS;
use super::tls::UpstreamTls;
use super::upstream::{Topology, Upstream};
use super::upstream_file::is_hosted_only;
use super::upstream_tuning::{BeatTo, UpstreamTuning};
use super::{Config, UserTable};
use crate::base::size::format_duration;
use crate::route::{Acks, Match, MemberConfig, Route};
use std::time::Duration;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

/// What stands in the place of a secret. Where a secret must have some length it has that.
const HIDDEN: &str = "(hidden, whatever it is)";
/// What stands in the place of a user's password or its hash: no rule that ACL SETUSER takes, so
/// that nobody gets this for a password.
const HIDDEN_RULE: &str = "#(hidden)";
/// Settings that are secrets, beside those of slots for secrets.
const SECRETS: &[&str] = &["requirepass", "masterauth"];

/// All that is in force, as TOML.
pub fn print(config: &Config) -> String {
    let mut document = DocumentMut::new();
    put_tables(&mut document, "listener", config.listeners.iter().map(listener));
    for section in [Section::Server, Section::Set, Section::Engine, Section::Alerts] {
        let table = params(config, section);
        if !table.is_empty() {
            document.insert(section.name(), Item::Table(table));
        }
        if section == Section::Server {
            document.insert("http", Item::Table(http(config)));
        }
    }
    put_tables(&mut document, "user", config.users.iter().map(user));
    put_tables(&mut document, "member", config.members.iter().map(member));
    if let Some(it) = &config.upstream {
        document.insert("upstream", Item::Table(upstream(it)));
    }
    let (default, rules) = config.routes.all().split_first().expect("there is a default route");
    let mut consistency = Table::new();
    put(&mut consistency, "level", config.routes.default_level().to_string());
    put_route(&mut consistency, default);
    put(&mut consistency, "sticky-scope", config.sticky_scope.as_str());
    document.insert("consistency", Item::Table(consistency));
    put_tables(&mut document, "route", rules.iter().map(route));
    document.to_string()
}

fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key, Item::Value(value.into()));
}

/// Puts what there is.
fn put_some(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        put(table, key, value);
    }
}

/// Puts a text, if it is one.
fn put_text(table: &mut Table, key: &str, text: &str) {
    put_some(table, key, (!text.is_empty()).then_some(text));
}

/// Puts a list, if something is in it.
fn put_list<T: Into<Value>>(table: &mut Table, key: &str, all: impl Iterator<Item = T>) {
    let list: Array = all.collect();
    if !list.is_empty() {
        put(table, key, list);
    }
}

fn put_time(table: &mut Table, key: &str, time: Duration) {
    put(table, key, format_duration(time));
}

/// Puts that there is a secret, if there is.
fn put_secret(table: &mut Table, key: &str, secret: &str) {
    put(table, key, if secret.is_empty() { "" } else { HIDDEN });
}

fn put_tables(document: &mut DocumentMut, name: &str, tables: impl Iterator<Item = Table>) {
    let tables: ArrayOfTables = tables.collect();
    if !tables.is_empty() {
        document.insert(name, Item::ArrayOfTables(tables));
    }
}

fn listener(it: &Listener) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", it.name.as_str());
    match &it.at {
        Address::Tcp(at) => put(&mut table, "bind", at.to_string()),
        Address::Unix(path) => put(&mut table, "unix", path.display().to_string()),
    }
    put_some(&mut table, "unixsocketperm", it.mode.map(|it| format!("{it:03o}")));
    if it.tls {
        put(&mut table, "tls", true);
    }
    if let Some(proxies) = &it.proxies {
        put(&mut table, "proxy-protocol", true);
        put_list(&mut table, "proxy-trusted", proxies.trusted.iter().map(ToString::to_string));
    }
    put_some(&mut table, "level", it.level.map(|it| it.to_string()));
    put_some(&mut table, "sticky-scope", it.sticky_scope.map(|it| it.as_str()));
    table
}

/// The settings of a section that are rows of the table of parameters.
fn params(config: &Config, section: Section) -> Table {
    let mut table = Table::new();
    let is_real = config.upstream.is_some();
    let is_here = |it: &&Param| it.section == section;
    for param in PARAMS.iter().filter(is_here) {
        let key = param.in_section();
        if is_real && is_hosted_only(section, key) {
            continue;
        }
        match &param.slot {
            Slot::Secret(at) => put_secret(&mut table, key, (at.of)(config)),
            Slot::Text(at) if SECRETS.contains(&key) => {
                put_secret(&mut table, key, (at.of)(config));
            }
            Slot::Limits(at) => put(&mut table, key, limits((at.of)(config))),
            Slot::Master => put(&mut table, key, param.slot.show(config)),
            slot => put_some(&mut table, key, value(slot, config)),
        }
    }
    if section == Section::Alerts {
        let alerts = &config.alerts;
        put(&mut table, "command", alerts.command.iter().map(String::as_str).collect::<Array>());
        let webhook = alerts.webhook.as_ref();
        let webhook = webhook.map(Webhook::address);
        put(&mut table, "webhook", webhook.unwrap_or_default());
    }
    table
}

fn http(config: &Config) -> Table {
    let (mut table, http) = (Table::new(), &config.http);
    put(&mut table, "bind", http.bind.map_or_else(String::new, |it| it.to_string()));
    put(&mut table, "allow-remote", http.allow_remote);
    put_secret(&mut table, "password", &http.password);
    put(&mut table, "admin", http.admin);
    table
}

fn user(it: &UserTable) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", it.name.as_str());
    let shown = |rule: &String| match rule.starts_with(['>', '<', '#', '!']) {
        true => HIDDEN_RULE.to_owned(),
        false => rule.clone(),
    };
    put(&mut table, "rules", it.rules.iter().map(shown).collect::<Array>());
    table
}

fn member(it: &MemberConfig) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", it.name.as_str());
    put_list(&mut table, "tags", it.tags.iter().map(String::as_str));
    put_some(&mut table, "zone", it.zone.as_deref());
    if it.dedicated {
        put(&mut table, "dedicated", true);
    }
    if let Some(address) = &it.address {
        put(&mut table, "weight", i64::from(it.weight));
        put(&mut table, "address", address.to_string());
    }
    table
}

fn upstream(it: &Upstream) -> Table {
    let mut table = Table::new();
    if let Topology::Sentinel(sentinels) = &it.topology {
        put_list(&mut table, "sentinels", sentinels.addresses.iter().map(ToString::to_string));
        put(&mut table, "master-name", sentinels.master_name.as_str());
        put(&mut table, "quorum", sentinels.quorum as i64);
        put_text(&mut table, "sentinel-user", &sentinels.user);
        let secret = (!sentinels.password.is_empty()).then_some(HIDDEN);
        put_some(&mut table, "sentinel-password", secret);
    }
    put_text(&mut table, "user", &it.user);
    put_some(&mut table, "password", (!it.password.is_empty()).then_some(HIDDEN));
    put_some(&mut table, "zone", it.zone.as_deref());
    put_time(&mut table, "connect-timeout", it.connect_timeout);
    put_time(&mut table, "replica-timeout", it.replica_timeout);
    put_time(&mut table, "reply-timeout", it.reply_timeout);
    put_time(&mut table, "probe-every", it.probe_every);
    put_time(&mut table, "buffer-for", it.buffer_for);
    put(&mut table, "queue-limit", it.queue_bytes_max as i64);
    put(&mut table, "tls", it.tls.is_some());
    if let Some(tls) = &it.tls {
        put_tls(&mut table, tls);
    }
    put_tuning(&mut table, &it.tuning);
    table
}

fn put_tls(table: &mut Table, tls: &UpstreamTls) {
    put_text(table, "tls-ca-cert-file", &tls.ca_cert_file);
    put_text(table, "tls-ca-cert-dir", &tls.ca_cert_dir);
    put_text(table, "tls-cert-file", &tls.cert_file);
    put_text(table, "tls-key-file", &tls.key_file);
    put(table, "tls-check-name", tls.checks_name);
    put_text(table, "tls-server-name", &tls.server_name);
}

fn put_tuning(table: &mut Table, tuning: &UpstreamTuning) {
    // Whoever names it asks for it, though no read does.
    if tuning.heartbeat.is_always {
        match &tuning.heartbeat.to {
            BeatTo::Channel(name) => put(table, "heartbeat-channel", name.as_str()),
            BeatTo::Key(name) => put(table, "heartbeat-key", name.as_str()),
        }
    }
    put_some(table, "heartbeat-every", tuning.heartbeat.every.map(format_duration));
    put_time(table, "eject-for", tuning.eject_for);
    put_time(table, "hedge-after", tuning.hedge_after);
    put(table, "hedge-percent", i64::from(tuning.hedge_percent));
    put(table, "audit-one-in", tuning.audit_one_in as i64);
    put_some(table, "shadow", tuning.shadow.as_ref().map(ToString::to_string));
    put(table, "shadow-one-in", tuning.shadow_one_in as i64);
}

fn route(it: &Route) -> Table {
    let mut table = Table::new();
    let Match { keys, groups, commands, class, dbs, users, clients, listeners } = &it.matches;
    put(&mut table, "name", it.name.as_str());
    put_list(&mut table, "keys", keys.iter().map(String::as_str));
    put_list(&mut table, "groups", groups.iter().map(|it| it.name()));
    put_list(&mut table, "commands", commands.iter().map(String::as_str));
    let class = Match::CLASSES.iter().find(|it| Some(it.0) == *class);
    put_some(&mut table, "class", class.map(|it| it.1));
    put_list(&mut table, "dbs", dbs.iter().map(|it| *it as i64));
    put_list(&mut table, "users", users.iter().map(String::as_str));
    put_list(&mut table, "clients", clients.iter().map(String::as_str));
    put_list(&mut table, "listeners", listeners.iter().map(String::as_str));
    if it.refuses {
        put(&mut table, "refuse", true);
    }
    put_some(&mut table, "level", it.level.map(|it| it.to_string()));
    put_route(&mut table, it);
    table
}

/// What a route has and `[consistency]` as well.
fn put_route(table: &mut Table, it: &Route) {
    put(table, "on-lag", it.ladder.steps().iter().map(ToString::to_string).collect::<Array>());
    put(table, "members", it.members.iter().map(ToString::to_string).collect::<Array>());
    let acks: Value = match it.acks {
        Acks::None => 0.into(),
        Acks::Count(count) => i64::from(count).into(),
        Acks::InSync => "in-sync".into(),
        Acks::All => "all".into(),
        Acks::Fsync => "fsync".into(),
    };
    put(table, "acks", acks);
    put_time(table, "acks-timeout", it.acks_timeout);
    put_time(table, "sticky-for", it.sticky_for.unwrap_or_default());
    put(table, "prefer-master", it.prefers_master);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed is a file that says the same.
    fn says_the_same(text: &str) {
        let config = Config::parse("e.toml", text).unwrap();
        let printed = print(&config);
        let again = Config::parse("printed", &printed);
        assert_eq!(again.as_ref(), Ok(&config), "{printed}");
    }

    #[test]
    fn what_is_printed_says_the_same() {
        says_the_same("");
        for text in [
            include_str!("../../config/entourage.toml"),
            include_str!("../../config/following.toml"),
            include_str!("../../config/persistent.toml"),
            include_str!("../../config/routes.toml"),
            include_str!("../../config/three-machines.toml"),
            include_str!("../../config/tls.toml"),
            include_str!("../../config/upstream.toml"),
            include_str!("../../config/wire-replicas.toml"),
        ] {
            // Secrets apart, and they are told of below.
            let is_plain = |it: &&str| {
                !["requirepass", "masterauth", "token-secret", "password"]
                    .iter()
                    .any(|key| it.trim_start().starts_with(key))
            };
            says_the_same(&text.lines().filter(is_plain).collect::<Vec<_>>().join("\n"));
        }
        says_the_same(
            "[[listener]]\nunix = '/s'\nunixsocketperm = '070'\nproxy-protocol = true\n\
             level = 'bounded 5ms 1mb'\nsticky-scope = 'user'\n\
             [[listener]]\nname = 'x'\nbind = '[::1]:7'\ntls = true\nproxy-protocol = true\n\
             proxy-trusted = ['10.0.0.0/8', '::1']\n\
             [server]\ntimeout = '1500ms'\nclient-output-buffer-limit = { normal = '1gb 2mb 3' }\n\
             slowlog-log-slower-than = -1\nlatency-tracking-info-percentiles = [50, 99.99]\n\
             tls-cert-file = 'c'\ntls-key-file = 'k'\ntls-auth-clients = 'no'\n\
             [set]\nreplicas = 3\nmaster = '[::1]:7'\nsave = '60 1'\ndir = '/d'\n\
             maxmemory-clients = '5%'\nnotify-keyspace-events = 'KEA'\n\
             [alerts]\ncommand = ['a', 'b c']\nwebhook = 'https://[::1]:8/x?y'\nlag = 0\n\
             [[user]]\nname = 'u'\nrules = 'on nopass ~* (+get ~x)'\n\
             [[member]]\n[[member]]\nname = 'r'\ntags = ['a', 'b']\nzone = 'z'\ndedicated = true\n\
             [consistency]\nlevel = 'sticky'\nacks = 'in-sync'\nsticky-for = '2s'\n\
             [[route]]\nname = 'one'\nkeys = ['a:*', 'b']\ngroups = 'string'\ncommands = 'get'\n\
             class = 'read'\ndbs = [1, 2]\nusers = 'u'\nclients = ''\nlisteners = 'x'\n\
             on-lag = ['catch-up', 'wait 20ms', 'stale']\nmembers = ['r', 'tag:a']\nacks = 'all'\n\
             [[route]]\nname = 'two'\nrefuse = true\non-lag = []\n",
        );
    }

    #[test]
    fn a_set_of_real_servers_is_printed_as_one() {
        says_the_same(
            "[upstream]\nsentinels = ['a:1', 'b:2', 'c:3']\nmaster-name = 'm'\nquorum = 3\n\
             sentinel-user = 's'\nuser = 'u'\ntls = true\ntls-ca-cert-file = 'f'\n\
             tls-check-name = false\nheartbeat-every = '20ms'\nheartbeat-key = 'k'\n\
             hedge-after = '5ms'\nshadow = 'd:4'\nqueue-limit = '1mb'\n",
        );
        says_the_same(
            "[[member]]\naddress = 'a:1'\nzone = 'z'\nweight = 3\n[[member]]\naddress = 'b:1'\n\
             [upstream]\nzone = 'z'\n[set]\nmin-replicas-to-write = 1\n\
             [consistency]\nprefer-master = true\n",
        );
    }

    #[test]
    fn secrets_are_hidden() {
        const SECRET: &str = "s3cret-s3cret-s3cret";
        let text = format!(
            "[server]\nrequirepass = '{SECRET}'\ntoken-secret = '{SECRET}'\n\
             [http]\npassword = '{SECRET}'\n\
             [set]\nmaster = 'redis://u:{SECRET}@h:1'\n\
             [[user]]\nname = 'u'\nrules = ['on', '>{SECRET}', '#{SECRET}', '~*']\n"
        );
        let real = format!(
            "[upstream]\nsentinels = ['a:1']\npassword = '{SECRET}'\nuser = 'u'\n\
             sentinel-password = '{SECRET}'\n"
        );
        for text in [text, real] {
            let config = Config::parse("e.toml", &text).unwrap();
            let printed = print(&config);
            assert!(!printed.contains(SECRET), "{printed}");
            assert!(printed.contains("password = \"(hidden"), "{printed}");
            assert!(Config::parse("printed", &printed).is_ok(), "{printed}");
        }
    }
}
