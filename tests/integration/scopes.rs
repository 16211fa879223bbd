//! Floors that connections share: the real binary, asked over the wire. What one connection of a
//! scope has seen, the others see, and nobody else has to.

use crate::support::{BOTH, Server, Wire, ok, order, starts};

/// A server at level sticky whose replicas stand still: a read that nothing tells of a write does
/// not see it.
fn paused() -> (Server, Wire) {
    let server = Server::entourage(&["--level", "sticky"]);
    let mut operator = server.dial();
    order(&mut operator, BOTH, "PAUSE");
    (server, operator)
}

/// A connection of this name that shares the floor of its scope.
fn named(server: &Server, name: &str, scope: &str) -> Wire {
    let mut wire = server.dial();
    if !name.is_empty() {
        ok(&mut wire, &format!("CLIENT SETNAME {name}"));
    }
    ok(&mut wire, &format!("PROXY CONSISTENCY SCOPE {scope}"));
    wire
}

/// The offset of a session's floor.
fn floor(wire: &mut Wire) -> u64 {
    let token = wire.ask("PROXY TOKEN").string();
    token.split(':').nth(1).and_then(|it| it.parse().ok()).expect("an offset")
}

fn explained(wire: &mut Wire) -> String {
    let told = wire.ask("PROXY EXPLAIN GET a");
    told.list().iter().map(|it| it.string() + "\n").collect()
}

#[test]
fn connections_of_one_name_see_each_others_writes_and_reads() {
    let (server, mut operator) = paused();
    let [mut one, mut same] = ["app"; 2].map(|it| named(&server, it, "client-name"));
    let mut other = named(&server, "jobs", "client-name");
    let mut nameless = [0; 2].map(|_| named(&server, "", "client-name"));
    let mut alone = named(&server, "app", "connection");
    ok(&mut one, "SET a 1");
    assert_eq!(same.ask("GET a").string(), "1");
    for wire in [&mut other, &mut alone].into_iter().chain(&mut nameless) {
        assert!(wire.ask("GET a").is_nil(), "nothing tells it of the write");
    }
    // A read that shows something raises the floor for all, too.
    ok(&mut nameless[0], "SET b 1");
    let end = floor(&mut nameless[0]);
    assert_eq!((floor(&mut nameless[1]), floor(&mut other)), (0, 0));
    assert!(floor(&mut one) < end && floor(&mut same) == floor(&mut one));
    assert_eq!(same.ask("PROXY ONCE LEVEL master DO GET b").string(), "1");
    assert_eq!((floor(&mut one), floor(&mut same)), (end, end));
    assert_eq!((floor(&mut alone), floor(&mut other)), (0, 0));
    order(&mut operator, BOTH, "RESUME");
    for wire in [&mut one, &mut same] {
        assert_eq!(wire.ask("GET a").string(), "1");
    }
}

#[test]
fn a_pipeline_leaves_its_writes_to_the_name_it_had() {
    let (server, _operator) = paused();
    let [mut one, mut same] = ["app"; 2].map(|it| named(&server, it, "client-name"));
    let mut other = named(&server, "jobs", "client-name");
    let lines = ["SET a 1", "CLIENT SETNAME jobs", "SET b 1", "CLIENT SETNAME none", "SET c 1"];
    one.send(&lines.map(|it| crate::support::words(&it.split(' ').collect::<Vec<_>>())));
    assert!(one.read_many(lines.len()).iter().all(|it| it.string() == "OK"));
    let floors = [&mut same, &mut other, &mut one].map(floor);
    assert!(0 < floors[0] && floors.is_sorted(), "{floors:?}");
    assert!(floors[0] < floors[1] && floors[1] < floors[2], "each its own: {floors:?}");
    ok(&mut one, "CLIENT SETNAME app");
    assert_eq!(floor(&mut same), floors[2], "who moves takes along what it has seen");
    assert_eq!([&mut other, &mut one].map(floor), [floors[1], floors[2]]);
    ok(&mut same, "CLIENT SETNAME new");
    assert_eq!(floor(&mut same), floors[2], "and never goes back");
}

#[test]
fn the_user_is_a_scope_too() {
    let (server, _operator) = paused();
    let [mut one, mut same] = ["x", "y"].map(|it| named(&server, it, "user"));
    let mut other = server.dial();
    ok(&mut one, "SET a 1");
    assert_eq!(same.ask("GET a").string(), "1");
    assert!(other.ask("GET a").is_nil(), "its scope is its connection");
    ok(&mut other, "PROXY CONSISTENCY SCOPE user");
    assert_eq!(other.ask("GET a").string(), "1");
    assert_eq!(other.ask("PROXY CONSISTENCY SCOPE").string(), "user");
    assert_eq!(other.ask("RESET").string(), "RESET");
    assert_eq!(other.ask("PROXY CONSISTENCY SCOPE").string(), "connection");
    let kept = floor(&mut other);
    assert_eq!(kept, floor(&mut one), "its own floor is kept");
    ok(&mut one, "SET b 1");
    assert_eq!((floor(&mut other), floor(&mut same)), (kept, floor(&mut one)));
}

#[test]
fn a_session_without_a_password_shares_nothing() {
    let (server, mut operator) = paused();
    ok(&mut operator, "CONFIG SET requirepass secret");
    let mut wires = [0; 2].map(|_| server.dial());
    for wire in &mut wires {
        ok(wire, "AUTH secret");
        ok(wire, "PROXY CONSISTENCY SCOPE user");
    }
    let [one, same] = &mut wires;
    ok(one, "SET a 1");
    assert_eq!(same.ask("GET a").string(), "1");
    assert_eq!(same.ask("RESET").string(), "RESET");
    starts(&same.ask("GET a"), "NOAUTH ");
    ok(same, "AUTH secret");
    ok(same, "PROXY CONSISTENCY SCOPE user");
    assert!(explained(same).contains("scope user \"default\" (2 connections)"));
}

#[test]
fn a_failover_carries_a_shared_floor_along() {
    let (server, mut operator) = paused();
    let [mut one, mut same] = ["app"; 2].map(|it| named(&server, it, "client-name"));
    ok(&mut one, "SET a 1");
    order(&mut operator, BOTH, "RESUME");
    for round in 0..20 {
        let to = ["n2", "n3", "n1"][round % 3];
        let told = operator.ask(&format!("PROXY FAILOVER TO {to}"));
        assert!(told.string().starts_with("OK"), "{told}");
        let replicas = ["n1", "n2", "n3"].into_iter().filter(|it| *it != to);
        let replicas: Vec<&str> = replicas.collect();
        order(&mut operator, &replicas, "PAUSE");
        ok(&mut one, &format!("SET a {round}"));
        assert_eq!(same.ask("GET a").string(), round.to_string());
        order(&mut operator, &replicas, "RESUME");
    }
    let told = explained(&mut same);
    assert!(!told.contains("foreign-history") && !told.contains("lost"), "{told}");
}

#[test]
fn what_a_closed_connection_had_seen_its_successor_sees() {
    let (server, _operator) = paused();
    for round in 0..50 {
        let mut wire = named(&server, "app", "client-name");
        if 0 < round {
            assert_eq!(wire.ask("GET a").string(), (round - 1).to_string());
        }
        ok(&mut wire, &format!("SET a {round}"));
    }
}

#[test]
fn the_file_says_the_scope_of_all_or_of_a_listener() {
    let server = Server::entourage_with_config(
        "[consistency]\nlevel = \"sticky\"\nsticky-scope = \"client-name\"\n\
         [[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n",
    );
    let mut wires = [0; 3].map(|_| server.dial());
    order(&mut wires[0], BOTH, "PAUSE");
    let [one, same, other] = &mut wires;
    ok(one, "CLIENT SETNAME app");
    ok(same, "CLIENT SETNAME app");
    ok(one, "SET a 1");
    assert_eq!(same.ask("GET a").string(), "1");
    assert!(other.ask("GET a").is_nil());
    assert_eq!(other.ask("PROXY CONSISTENCY SCOPE").string(), "client-name");
    ok(same, "PROXY CONSISTENCY SCOPE connection");
    ok(one, "SET b 1");
    assert!(floor(same) < floor(one));
    ok(same, "PROXY CONSISTENCY DEFAULT SCOPE DEFAULT");
    assert_eq!(floor(same), floor(one));
}

#[test]
fn an_explanation_says_whose_floor_a_read_keeps_to() {
    let (server, _operator) = paused();
    let mut nameless = named(&server, "", "client-name");
    let told = explained(&mut nameless);
    assert!(told.contains("scope client-name, and without one this connection alone"), "{told}");
    assert!(told.contains("of this connection"), "{told}");
    let [mut one, mut same] = ["app"; 2].map(|it| named(&server, it, "client-name"));
    ok(&mut one, "SET a 1");
    let id = one.ask("CLIENT ID").int().unwrap();
    let told = explained(&mut same);
    assert!(told.contains("scope client-name \"app\" (2 connections)"), "{told}");
    assert!(
        told.contains(&format!("of client-name \"app\", raised last by client id={id}")),
        "{told}"
    );
    ok(&mut same, "PROXY CONSISTENCY global");
    assert!(explained(&mut same).contains("of every client of this proxy"));
    ok(&mut same, "PROXY CONSISTENCY eventual");
    assert!(explained(&mut same).contains("\nfloor none\n"));
}

#[test]
fn words_that_consistency_does_not_know_change_nothing() {
    let server = Server::entourage(&["--level", "sticky"]);
    let mut wire = server.dial();
    let scope = "ERR a scope is connection, client-name or user, or default";
    let level = "ERR a level is master,";
    for (words, why) in [
        ("SCOPE everybody", scope),
        ("eventual SCOPE nobody", scope),
        ("eventual SCOPE", scope),
        ("quick SCOPE user", level),
        ("SCOPE user eventual", scope),
    ] {
        starts(&wire.ask(&format!("PROXY CONSISTENCY {words}")), why);
    }
    assert_eq!(wire.ask("PROXY CONSISTENCY").string(), "sticky");
    assert_eq!(wire.ask("PROXY CONSISTENCY SCOPE").string(), "connection");
    ok(&mut wire, "PROXY CONSISTENCY bounded 5ms SCOPE User");
    assert_eq!(wire.ask("PROXY CONSISTENCY").string(), "bounded 5ms");
    assert_eq!(wire.ask("PROXY CONSISTENCY SCOPE").string(), "user");
}
