//! CONFIG GET and SET as redis-server 7.0.15 answers them.

use super::*;
use std::time::Duration;

fn get(config: &Config, patterns: &str) -> Vec<(String, String)> {
    config.get(patterns.split(' ').map(str::as_bytes))
}

fn one(config: &Config, name: &str) -> String {
    let found = get(config, name);
    assert_eq!(found.len(), 1, "{name}");
    found.into_iter().next().unwrap().1
}

fn set(config: &mut Config, pairs: &[(&str, &str)]) -> Result<(), String> {
    let pairs: Vec<_> = pairs.iter().map(|(name, to)| (name.as_bytes(), to.as_bytes())).collect();
    config.set(&pairs)
}

#[track_caller]
fn refused(name: &str, to: &str, why: &str) {
    let mut config = Config::default();
    let expected = format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}");
    assert_eq!(set(&mut config, &[(name, to)]).unwrap_err(), expected);
    assert_eq!(config, Config::default());
}

#[test]
fn patterns_find_names_and_their_older_ones_once() {
    let config = Config::default();
    let names = |patterns: &str| -> Vec<String> {
        get(&config, patterns).into_iter().map(|it| it.0).collect()
    };
    let lag = ["min-replicas-max-lag", "min-slaves-max-lag"];
    assert_eq!(names("MIN-*-LAG min-replicas-max-lag"), lag);
    assert_eq!(names("MAXCLIENTS"), ["MAXCLIENTS"]);
    assert_eq!(names("nothing none*"), Vec::<String>::new());
    assert_eq!(names("*").len(), {
        let aliases = PARAMS.iter().filter(|it| it.alias.is_some()).count();
        let secrets = PARAMS.iter().filter(|it| !it.is_told()).count();
        PARAMS.iter().count() - secrets + aliases + fixed::names().count()
    });
}

#[test]
fn a_secret_is_neither_shown_nor_changed() {
    let mut config = Config::default();
    config.server.token_secret = "0123456789abcdef".into();
    assert_eq!(get(&config, "token-secret token* *secret"), []);
    let refused = set(&mut config, &[("token-secret", "0123456789abcdef")]).unwrap_err();
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'token-secret'";
    assert_eq!(refused, unknown);
    assert!(!get(&config, "*").iter().any(|it| it.1.contains("0123456789abcdef")));
}

#[test]
fn values_look_as_redis_writes_them() {
    let config = Config::default();
    let facts = [
        ("maxclients", "10000"),
        ("tcp-keepalive", "300"),
        ("repl-backlog-size", "1048576"),
        ("min-slaves-max-lag", "10"),
        ("latency-tracking", "yes"),
        ("latency-tracking-info-percentiles", "50 99 99.9"),
        ("loglevel", "notice"),
        ("list-max-listpack-size", "-2"),
        ("save", ""),
        ("appendonly", "no"),
        ("port", "6379"),
        ("bind", "127.0.0.1"),
        ("unixsocket", ""),
        ("proto-max-bulk-len", "536870912"),
        ("client-query-buffer-limit", "1073741824"),
        (
            "client-output-buffer-limit",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
    ];
    for (name, value) in facts {
        assert_eq!(one(&config, name), value, "{name}");
    }
}

#[test]
fn what_is_set_is_shown() {
    let facts = [
        ("maxclients", "77", "77"),
        ("timeout", "5", "5"),
        ("min-replicas-max-lag", "500ms", "500ms"),
        ("min-slaves-max-lag", "2000ms", "2"),
        ("repl-backlog-size", "100kb", "102400"),
        ("repl-backlog-size", "1", "16384"),
        ("hz", "0", "1"),
        ("hz", "1000", "500"),
        ("latency-tracking", "NO", "no"),
        ("latency-tracking-info-percentiles", "50 99.99", "50 99.99"),
        ("latency-tracking-info-percentiles", "", ""),
        ("loglevel", "WARNING", "warning"),
        ("requirepass", "s3 cret", "s3 cret"),
        ("hash-max-ziplist-value", "1kb", "1024"),
        ("list-max-listpack-size", "-9", "-9"),
        ("list-compress-depth", "0", "0"),
        ("maxmemory-policy", "ALLKEYS-LFU", "allkeys-lfu"),
        ("maxmemory", "100mb", "104857600"),
        ("maxmemory-clients", "5%", "5%"),
        ("save", "", ""),
        ("appendonly", "no", "no"),
        (
            "client-output-buffer-limit",
            "replica 1kb 2 3 normal 1gb 2mb 3",
            "normal 1073741824 2097152 3 slave 1024 2 3 pubsub 33554432 8388608 60",
        ),
    ];
    for (name, to, shown) in facts {
        let mut config = Config::default();
        set(&mut config, &[(name, to)]).unwrap();
        assert_eq!(one(&config, name), shown, "{name} {to}");
    }
}

#[test]
fn a_value_that_does_not_fit_is_refused_in_redis_words() {
    let integer = "argument couldn't be parsed into an integer";
    for (name, to) in [("maxclients", "abc"), ("maxclients", " 5"), ("timeout", "007"), ("hz", "")]
    {
        refused(name, to, integer);
    }
    let below = "argument must be between 0 and 2147483647 inclusive";
    for name in ["timeout", "tcp-keepalive", "min-replicas-max-lag", "min-replicas-to-write"] {
        refused(name, "-1", below);
        refused(name, "99999999999", below);
    }
    refused("maxclients", "0", "argument must be between 1 and 4294967295 inclusive");
    refused("repl-ping-replica-period", "0", "argument must be between 1 and 2147483647 inclusive");
    refused("repl-backlog-size", "1x", "argument must be a memory value");
    refused("repl-backlog-size", "-1", "argument must be a memory value");
    // A set's is the newest of the three, and the only one without units.
    for (to, why) in [("1kb", integer), ("abc", integer), ("9223372036854775808", integer)] {
        refused("set-max-listpack-value", to, why);
    }
    let from_zero = "argument must be between 0 and 9223372036854775807 inclusive";
    refused("set-max-listpack-value", "-1", from_zero);
    for name in ["hash-max-listpack-value", "zset-max-listpack-value"] {
        refused(name, "9223372036854775808", from_zero);
        refused(name, "abc", "argument must be a memory value");
        refused(name, "-1", "argument must be a memory value");
    }
    refused("latency-tracking", "maybe", "argument must be 'yes' or 'no'");
    refused(
        "loglevel",
        "loud",
        "argument(s) must be one of the following: debug, verbose, notice, warning",
    );
    refused("databases", "3", "can't set immutable config: this is not adjustable here");
    refused("threads", "3", "can't set immutable config");
    refused("port", "1", "can't set immutable config");
}

#[test]
fn what_makes_no_sense_here_has_redis_default_and_a_reason_why_it_has_no_other() {
    let follows = "can't set immutable config: a set that follows a master leaves evictions to it, \
                   and what is large is freed apart";
    refused("replica-ignore-maxmemory", "no", follows);
    let disk = "set.dir names no directory, so nothing is written to disk";
    refused("appendonly", "yes", disk);
    refused("save", "3600 1", disk);
    refused("dbfilename", "a/b", "argument can't be a path, just a filename");
    refused("dir", "/tmp", "can't set immutable config");
    for name in fixed::names() {
        let (value, why) = fixed(name).unwrap();
        assert_eq!(set(&mut Config::default(), &[(name, value)]), Ok(()), "{name}");
        assert!(why.len() < 120 && param(name).is_none(), "{name}: {why}");
    }
}

#[test]
fn what_applications_switch_when_they_start_is_taken_and_told_as_it_is() {
    for (name, told) in [("activerehashing", "no"), ("lazyfree-lazy-user-del", "yes")] {
        let mut config = Config::default();
        for to in ["yes", "no", "NO"] {
            assert_eq!(set(&mut config, &[(name, to)]), Ok(()), "{name} {to}");
        }
        assert_eq!((config.value(name), &config), (Some(told.into()), &Config::default()));
        refused(name, "1", "argument must be 'yes' or 'no'");
    }
    refused("dynamic-hz", "yes", "can't set immutable config: this is not adjustable here");
}

#[test]
fn limits_and_percentiles_have_refusals_of_their_own() {
    let limit = "client-output-buffer-limit";
    refused(limit, "normal 1 2", "Wrong number of arguments in buffer limit configuration.");
    let kind = "Invalid client class specified in buffer limit configuration.";
    refused(limit, "master 1 2 3", kind);
    let wrong = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    for to in ["normal x 2 3", "normal 1 2 x", "normal 1 2 -3"] {
        refused(limit, to, wrong);
    }
    let name = "latency-tracking-info-percentiles";
    refused(name, "a", &format!("Invalid {name} parameters"));
    refused(name, "101", &format!("{name} parameters should sit between [0.0,100.0]"));
}

#[test]
fn several_are_set_together_or_not_at_all() {
    let mut config = Config::default();
    let unknown = set(&mut config, &[("maxclients", "5"), ("nope", "1")]).unwrap_err();
    assert_eq!(unknown, "ERR Unknown option or number of arguments for CONFIG SET - 'nope'");
    let twice = set(&mut config, &[("maxclients", "5"), ("MAXCLIENTS", "6")]).unwrap_err();
    assert!(twice.ends_with("argument 'MAXCLIENTS') - duplicate parameter"), "{twice}");
    let spelt = set(&mut config, &[("MAXclients", "abc")]).unwrap_err();
    assert!(spelt.contains("argument 'maxclients')"), "{spelt}");
    assert!(set(&mut config, &[("maxclients", "5"), ("timeout", "-1")]).is_err());
    assert_eq!(config, Config::default());
    set(&mut config, &[("maxclients", "5"), ("timeout", "3")]).unwrap();
    assert_eq!((config.server.maxclients, config.server.timeout), (5, Duration::from_secs(3)));
}

#[test]
fn the_gate_needs_both_of_its_settings() {
    let mut config = Config::default();
    assert_eq!(config.set.gate(), None);
    set(&mut config, &[("min-replicas-to-write", "1")]).unwrap();
    assert_eq!(config.set.gate().map(|it| it.max_lag), Some(Duration::from_secs(10)));
    set(&mut config, &[("min-replicas-max-lag", "0")]).unwrap();
    assert_eq!(config.set.gate(), None);
}
