//! CONFIG in front of real servers: what is the proxy's own it answers itself, what is about data
//! the servers do.

use crate::support::{Kind, RealSet, Value, Wire, info_field, ok, starts, until};
use std::collections::BTreeMap;

/// What CONFIG GET answers.
fn got(wire: &mut Wire, patterns: &str) -> BTreeMap<String, String> {
    let reply = wire.ask(&format!("CONFIG GET {patterns}"));
    let pairs = reply.list().chunks(2);
    pairs.map(|it| (it[0].string(), it[1].string())).collect()
}

fn said(value: &Value) -> String {
    value.string()
}

#[test]
fn what_applications_set_when_they_start_is_set_at_the_servers() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let proxy = set.proxy("");
        let (mut ours, mut listener) = (proxy.dial(), proxy.dial());
        let events = "notify-keyspace-events";
        assert_eq!(got(&mut ours, events)[events], "");
        ok(&mut ours, "CONFIG SET notify-keyspace-events KEA");
        assert_eq!(got(&mut ours, events)[events], "AKE", "as the master says it");
        for member in &set.members {
            assert_eq!(got(&mut member.dial(), events)[events], "AKE", "whoever may take over");
        }
        listener.ask("PSUBSCRIBE __keyevent@0__:*");
        ok(&mut ours, "SET k v");
        let told = listener.read();
        let told: Vec<String> = told.list()[2..].iter().map(said).collect();
        assert_eq!(told, ["__keyevent@0__:set", "k"]);
        starts(&ours.ask("CONFIG SET notify-keyspace-events !"), "ERR CONFIG SET failed");
        let mut master = set.members[0].dial();
        ok(&mut ours, "CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru");
        let policy = got(&mut master, "maxmemory*");
        assert_eq!(policy["maxmemory"], (100 << 20).to_string());
        assert_eq!(policy["maxmemory-policy"], "allkeys-lru");
        assert_eq!(got(&mut ours, "maxmemory maxmemory-policy").len(), 2);
        assert_eq!(got(&mut ours, "maxmemory")["maxmemory"], (100 << 20).to_string());
        assert_eq!(got(&mut set.members[1].dial(), "maxmemory")["maxmemory"], "0");
        // As it was asked for, and unknown as the server says it.
        assert_eq!(
            got(&mut ours, "MaxMemory timeout").keys().collect::<Vec<_>>(),
            ["MaxMemory", "timeout"]
        );
        assert!(got(&mut ours, "nosuch").is_empty());
        starts(&ours.ask("CONFIG SET nosuch 1"), "ERR Unknown option");
    }
}

#[test]
fn what_is_the_proxys_own_is_its_own_and_what_servers_keep_stays() {
    let set = RealSet::new(Kind::Redis, 1, &["--databases", "7"]);
    let proxy = set.proxy("");
    let (mut ours, mut master) = (proxy.dial(), set.members[0].dial());
    ok(&mut master, "CONFIG SET timeout 77 masterauth secret");
    ok(&mut ours, "CONFIG SET timeout 55");
    let all = got(&mut ours, "*");
    assert_eq!((all["timeout"].as_str(), all["databases"].as_str()), ("55", "7"));
    assert_eq!(
        (all["masterauth"].as_str(), got(&mut master, "timeout")["timeout"].as_str()),
        ("", "77")
    );
    assert_eq!(got(&mut ours, "databases save")["databases"], "7");
    assert!(all.contains_key("alerts.lag") && all.contains_key("hash-max-listpack-entries"));
    let dir = got(&mut master, "dir");
    assert_eq!(got(&mut ours, "dir"), dir);
    for kept in ["dir /tmp", "save 60", "appendonly yes", "databases 3", "dbfilename x"] {
        let reply = ours.ask(&format!("CONFIG SET maxmemory 1gb {kept}")).string();
        assert!(reply.contains("is set there, not through this proxy"), "{reply}");
    }
    let reply = ours.ask("CONFIG SET maxmemory 1gb timeout 3").string();
    assert!(reply.contains("it is this proxy's own"), "{reply}");
    starts(&ours.ask("CONFIG SET maxmemory"), "ERR");
    assert_eq!(got(&mut master, "maxmemory")["maxmemory"], "0", "all of it or none");
    // In RESP3 it is a map, as CONFIG GET always is.
    ours.ask("HELLO 3");
    assert!(ours.ask("CONFIG GET maxmemory timeout").to_string().starts_with('%'));
    ours.ask("MULTI");
    ours.ask("CONFIG SET maxmemory 1gb");
    ours.ask("SET k v");
    starts(&ours.ask("EXEC"), "EXECABORT");
    assert_eq!(got(&mut master, "maxmemory")["maxmemory"], "0");
}

#[test]
fn who_may_not_is_told_whose_rights_are_lacking() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    for member in &set.members {
        ok(&mut member.dial(), "ACL SETUSER app on >secret ~* &* +@all -config");
    }
    let users = "[[user]]\nname = \"reader\"\nrules = \"on >pw ~* &* +@all -config|set\"\n";
    let proxy = set.proxy(&format!("[upstream]\nuser = \"app\"\npassword = \"secret\"\n{users}"));
    let mut ours = proxy.dial();
    let reply = ours.ask("CONFIG SET maxmemory 1gb").string();
    assert!(reply.starts_with("NOPERM the master lets the user of this proxy"), "{reply}");
    starts(&ours.ask("CONFIG GET maxmemory"), "NOPERM the master");
    assert_eq!(got(&mut ours, "timeou*").len(), 1, "what is the proxy's own is told anyway");
    ok(&mut ours, "AUTH reader pw");
    starts(&ours.ask("CONFIG SET maxmemory 1gb"), "NOPERM this user has no permissions");
    for member in &set.members {
        ok(&mut member.dial(), "ACL SETUSER app +config");
    }
    assert_eq!(got(&mut ours, "maxmemory")["maxmemory"], "0");
    starts(&ours.ask("CONFIG SET maxmemory 1gb"), "NOPERM this user has no permissions");
}

#[test]
fn without_a_master_servers_settings_wait_for_one_and_the_proxys_do_not() {
    let mut set = RealSet::new(Kind::Redis, 0, &[]);
    let proxy = set.proxy("[upstream]\nbuffer-for = \"200ms\"\nprobe-every = \"50ms\"\n");
    let (mut ours, mut wire) = (proxy.dial(), proxy.dial());
    set.members.pop().unwrap().crash();
    until("it to be missed", || {
        info_field(&mut wire, "replication", "upstream_master")?.is_empty().then_some(())
    });
    ok(&mut ours, "CONFIG SET timeout 9");
    assert_eq!(got(&mut ours, "timeout")["timeout"], "9");
    starts(&ours.ask("CONFIG GET maxmemory"), "MASTERDOWN");
    starts(&ours.ask("CONFIG SET maxmemory 1gb"), "MASTERDOWN");
    assert_eq!(got(&mut ours, "*")["timeout"], "9");
}
