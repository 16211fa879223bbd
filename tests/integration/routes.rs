//! Routes over the wire: what rules match, what their acks wait for, and a config file read again
//! while clients are served.

use crate::support::{BOTH, Server, Wire, node, ok, order, starts, until};

const DOOR: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";

fn with_config(text: &str) -> (Server, Wire) {
    let server = Server::entourage_with_config(&format!("{DOOR}{text}"));
    let wire = server.dial();
    (server, wire)
}

/// A server whose replicas stand still before this key was written: who reads it there finds
/// nothing.
fn late(text: &str) -> (Server, Wire) {
    let (server, mut wire) = with_config(text);
    order(&mut wire, BOTH, "PAUSE");
    ok(&mut server.dial(), "SET key 1");
    (server, wire)
}

/// Whether the read goes to the master.
fn is_fresh(wire: &mut Wire) -> bool {
    !wire.ask("GET key").is_nil()
}

/// The route a command takes, as EXPLAIN tells it.
fn route(wire: &mut Wire, command: &str) -> String {
    wire.ask(&format!("PROXY EXPLAIN {command}")).list()[1].string()
}

fn level(level: &str) -> String {
    format!("{DOOR}[consistency]\nlevel = \"{level}\"\n")
}

#[test]
fn a_client_s_name_chooses_its_route_from_the_moment_it_is_given() {
    let (_server, mut wire) = late(
        "[[route]]\nname = \"reports\"\nclients = [\"report-*\"]\nlevel = \"eventual\"\n\
         [[route]]\nname = \"nobody\"\nclients = [\"\"]\nlevel = \"master\"\n",
    );
    assert_eq!(route(&mut wire, "GET key"), "route nobody (clients \"\")");
    assert!(is_fresh(&mut wire));
    ok(&mut wire, "CLIENT SETNAME report-1");
    assert_eq!(route(&mut wire, "GET key"), "route reports (clients report-*)");
    wire.ask("HELLO 2 SETNAME web");
    assert_eq!(route(&mut wire, "GET key"), "route default (no rule matched)");
    let mut other = _server.dial();
    other.ask("HELLO 2 SETNAME report-2");
    assert!(!is_fresh(&mut other), "eventual");
}

#[test]
fn a_class_is_what_this_request_does_whatever_its_command_may_do() {
    let (_server, mut wire) = with_config(
        "[[route]]\nname = \"reads\"\nkeys = [\"a*\", \"b*\"]\nclass = \"read\"\n\
         [[route]]\nname = \"writes\"\nclass = \"write\"\n",
    );
    assert_eq!(route(&mut wire, "GET a"), "route reads (keys a* b*, class read)");
    assert_eq!(route(&mut wire, "SORT a"), "route reads (keys a* b*, class read)");
    assert_eq!(route(&mut wire, "SORT a STORE b"), "route writes (class write)");
    let near = "GEORADIUS a 1 1 1 m";
    assert_eq!(route(&mut wire, near), "route reads (keys a* b*, class read)");
    let stored = "GEORADIUSBYMEMBER a m 1 m STOREDIST b";
    assert_eq!(route(&mut wire, stored), "route writes (class write)");
    assert_eq!(route(&mut wire, "SET a 1"), "route writes (class write)");
    assert_eq!(route(&mut wire, "GET c"), "route default (no rule matched)");
}

#[test]
fn in_sync_waits_for_those_that_are_fed_and_is_never_content_with_none() {
    // Without an end: what must not be waited for would be waited for until the test gives up.
    let (_server, mut wire) =
        with_config("[consistency]\nacks = \"in-sync\"\nacks-timeout = \"0s\"\n");
    assert_eq!(wire.ask("PROXY ACKS").to_string(), "[\"in-sync\", :0]");
    ok(&mut wire, "SET a 1");
    assert_eq!(wire.ask("WAIT 2 1").int(), Some(2), "both had it when the reply came");
    order(&mut wire, &["n2"], "PAUSE");
    ok(&mut wire, "SET a 2");
    assert_eq!(wire.ask("WAIT 1 1").int(), Some(1));
    order(&mut wire, &["n3"], "DRAIN");
    // A drained replica is fed, and may or may not have it.
    starts(&wire.ask("SET a 3"), "NOTDURABLE applied offset=");
    assert_eq!(wire.ask("GET a").string(), "3", "it has happened");
    assert_eq!(wire.ask("MULTI").string(), "OK");
    wire.ask("SET a 4");
    starts(&wire.ask("EXEC"), "NOTDURABLE applied offset=");
    order(&mut wire, &["n2"], "RESUME");
    ok(&mut wire, "SET a 5");
    order(&mut wire, &["n3"], "UNDRAIN");
    ok(&mut wire, "SET a 6");
    assert_eq!(wire.ask("WAIT 2 1").int(), Some(2));
}

#[test]
fn a_session_asks_for_those_in_sync_by_itself() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "PROXY ACKS IN-SYNC 0");
    assert_eq!(wire.ask("PROXY ACKS").to_string(), "[\"in-sync\", :0]");
    order(&mut wire, BOTH, "PAUSE");
    starts(&wire.ask("SET a 1"), "NOTDURABLE applied offset=");
    order(&mut wire, BOTH, "RESUME");
    ok(&mut wire, "SET a 2");
    ok(&mut wire, "PROXY ACKS 0");
}

#[test]
fn a_write_of_several_routes_has_what_each_of_its_keys_needs() {
    let (_server, mut wire) = with_config(
        "[[route]]\nname = \"sync\"\nkeys = [\"sync:*\"]\nacks = \"in-sync\"\n\
         acks-timeout = \"0s\"\n\
         [[route]]\nname = \"two\"\nkeys = [\"two:*\"]\nacks = 2\nacks-timeout = \"5ms\"\n",
    );
    ok(&mut wire, "PROXY NODE n3 PAUSE");
    ok(&mut wire, "MSET sync:1 a plain b");
    starts(&wire.ask("MSET two:1 a plain b"), "NOTDURABLE applied offset=");
    ok(&mut wire, "PROXY NODE n3 RESUME");
    ok(&mut wire, "MSET sync:1 a two:1 b");
    assert_eq!(wire.ask("WAIT 2 1").int(), Some(2));
}

#[test]
fn a_file_read_again_is_in_force_for_connections_that_are_there() {
    let (server, mut wire) = late("[consistency]\nlevel = \"eventual\"\n");
    let mut other = server.dial();
    assert!(!is_fresh(&mut wire) && !is_fresh(&mut other));
    server.write_config(&level("master"));
    assert!(!is_fresh(&mut wire), "nobody has read it yet");
    ok(&mut wire, "PROXY RELOAD");
    assert!(is_fresh(&mut wire) && is_fresh(&mut other));
    let door = DOOR.to_owned() + "level = \"eventual\"\n";
    server.write_config(&door);
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(other.ask("PROXY CONSISTENCY").string(), "eventual", "the listener's level");
    assert_eq!(server.dial().ask("PROXY CONSISTENCY").string(), "eventual");
    let rule = "[[route]]\nname = \"fresh\"\nkeys = [\"k*\"]\nlevel = \"master\"\n";
    server.write_config(&format!("{DOOR}{rule}"));
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(route(&mut other, "GET key"), "route fresh (keys k*)");
}

#[test]
fn a_read_that_waits_while_the_ladder_changes_goes_on_by_the_new_one() {
    let consistency = "[consistency]\nlevel = \"global\"\non-lag =";
    let ladder = |it: &str| format!("{consistency} [{it}]\n");
    let (server, mut wire) = late(&ladder("\"other-replica\", \"wait 1000s\", \"error\""));
    let mut reader = server.dial();
    let id = reader.ask("CLIENT ID").int().unwrap();
    reader.send_raw(b"GET key\r\n");
    until("the read to wait", || {
        let clients = wire.ask("INFO clients").string();
        clients.contains("blocked_clients:1").then_some(())
    });
    server.write_config(&format!("{DOOR}{}", ladder("\"master\"")));
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(wire.ask(&format!("CLIENT UNBLOCK {id}")).int(), Some(1));
    assert_eq!(reader.read().string(), "1");
}

#[test]
fn a_floor_outlives_a_reload() {
    let (server, mut wire) = late("");
    ok(&mut wire, "SET mine 1");
    let token = wire.ask("PROXY TOKEN");
    server.write_config(&format!("{}[server]\ntimeout = 100\n", level("sticky")));
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(wire.ask("PROXY TOKEN"), token);
    assert_eq!(wire.ask("GET mine").string(), "1");
}

#[test]
fn sighup_reads_the_file_again_and_the_log_says_what_changed() {
    let config = level("eventual");
    let server = Server::entourage_with_config_and(&config, &[]);
    let mut wire = server.dial();
    order(&mut wire, BOTH, "PAUSE");
    ok(&mut server.dial(), "SET key 1");
    assert!(!is_fresh(&mut wire));
    server.write_config(&format!("{}[server]\nmaxclients = 77\n", level("master")));
    server.hang_up();
    until("the reload", || is_fresh(&mut wire).then_some(()));
    let reloaded = "event=reloaded by=SIGHUP file=entourage.toml \
                    changed=server.maxclients,consistency";
    until("the log", || server.said().contains(reloaded).then_some(()));
    server.write_config("[server]\nmaxclients = 0\n");
    server.hang_up();
    let refused =
        "event=reload-refused why=entourage.toml:2: server.maxclients = 0 is not accepted";
    until("the refusal", || server.said().contains(refused).then_some(()));
    assert!(is_fresh(&mut wire));
    assert_eq!(wire.ask("CONFIG GET maxclients").list()[1].string(), "77");
    assert_eq!(server.stop().code(), Some(0), "SIGHUP has not ended it, SIGTERM does");
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_the_answer_says_where() {
    let (server, mut wire) = late("[consistency]\nlevel = \"eventual\"\n");
    let broken = |line: &str| format!("{}{line}\n", level("master"));
    let cases = [
        (
            "[server]\nmaxclients = 0",
            "RELOADFAILED entourage.toml:7: server.maxclients = 0 is not accepted",
        ),
        (
            "acks = \"fsync\"",
            "RELOADFAILED entourage.toml:6: acks = \"fsync\" needs an append-only file",
        ),
        ("[server]\nmaxclient = 5", "RELOADFAILED entourage.toml:7: unknown key `maxclient`"),
        (
            "[set]\nmin-replicas-to-write = 9",
            "RELOADFAILED entourage.toml:7: set.min-replicas-to-write = 9",
        ),
        (
            "[set]\nreplicas = 1",
            "RELOADFAILED entourage.toml: set.replicas = 1 needs a restart: it is 2",
        ),
        (
            "[[member]]\nzone = \"a\"",
            "RELOADFAILED entourage.toml: member.name, member.tags, member.zone and member.dedicated need a \
             restart: the file has n1 (zone a); it had none",
        ),
        (
            "[server]\nthreads = 7",
            "RELOADFAILED entourage.toml: server.threads = 7 needs a restart",
        ),
        (
            "[[listener]]\nbind = \"127.0.0.1:1\"",
            "RELOADFAILED entourage.toml: listener.bind, listener.unix, listener.unixsocketperm, listener.name and listener.tls need a restart",
        ),
    ];
    for (line, why) in cases {
        server.write_config(&broken(line));
        starts(&wire.ask("PROXY RELOAD"), why);
        assert!(!is_fresh(&mut wire), "{line}");
    }
    let moved = level("master").replace("{port}", "1");
    server.write_config(&moved);
    starts(&wire.ask("PROXY RELOAD"), "RELOADFAILED entourage.toml: listener.bind");
    assert!(!is_fresh(&mut wire));
}

#[test]
fn flags_win_over_the_file_and_the_file_over_config_set() {
    let (server, mut wire) = with_config("[server]\nmaxclients = 50\n");
    let get =
        |wire: &mut Wire, name: &str| wire.ask(&format!("CONFIG GET {name}")).list()[1].string();
    ok(&mut wire, "CONFIG SET maxclients 60 loglevel debug timeout 9");
    server.write_config(&format!("{DOOR}[server]\nmaxclients = 70\nloglevel = \"verbose\"\n"));
    ok(&mut wire, "PROXY RELOAD");
    let now = ["maxclients", "loglevel", "timeout"].map(|it| get(&mut wire, it));
    assert_eq!(now, ["70", "warning", "0"]);
}

#[test]
fn without_a_file_there_is_nothing_to_read_and_nothing_ends() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    starts(&wire.ask("PROXY RELOAD"), "RELOADFAILED there is no config file");
    server.hang_up();
    until("the refusal", || server.said().contains("why=there is no config file").then_some(()));
    ok(&mut wire, "MULTI");
    starts(&wire.ask("PROXY RELOAD"), "ERR Command not allowed inside a transaction");
}

/// GETs counted under this name.
fn gets(wire: &mut Wire, route: &str) -> u64 {
    let stats = wire.ask("PROXY STATS").string();
    let lines = stats.lines().filter(|it| {
        it.starts_with("service_") && it.contains(&format!("route={route},")) && it.contains("get")
    });
    lines.map(count).sum()
}

fn count(line: &str) -> u64 {
    let after = line.split("calls=").nth(1).unwrap_or_else(|| panic!("no calls in {line}"));
    after.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn what_was_counted_under_a_name_stays_under_it_when_rules_move() {
    let rule = |it: &str| format!("[[route]]\nname = \"{it}\"\nkeys = [\"{it}:*\"]\n");
    let config = |names: &[&str]| names.iter().map(|it| rule(it)).collect::<String>();
    let (server, mut wire) = with_config(&config(&["red", "blue"]));
    let read = |wire: &mut Wire, name: &str, times: usize| {
        (0..times).for_each(|_| assert!(wire.ask(&format!("GET {name}:1")).is_nil()));
    };
    read(&mut wire, "red", 2);
    read(&mut wire, "blue", 3);
    for names in [&["blue", "green", "red"][..], &["green", "blue"]] {
        server.write_config(&format!("{DOOR}{}", config(names)));
        ok(&mut wire, "PROXY RELOAD");
        read(&mut wire, "red", 10);
        read(&mut wire, "blue", 100);
        read(&mut wire, "green", 1000);
    }
    let counted = ["red", "blue", "green", "default"].map(|it| gets(&mut wire, it));
    assert_eq!(counted, [12, 203, 2000, 10]);
}

/// What EXPLAIN tells of a command, without the words that differ from one run to the next.
fn explained(wire: &mut Wire, command: &str) -> String {
    let told = wire.ask(&format!("PROXY EXPLAIN {command}"));
    let lines = told.list().iter().map(|it| it.string());
    let is_told =
        |it: &String| ["members ", "chosen ", "because "].iter().any(|w| it.starts_with(w));
    let word = |it: String| it.split(':').take(2).collect::<Vec<_>>().join(":");
    lines.filter(is_told).map(word).collect::<Vec<_>>().join("; ")
}

/// Route, member and kind of everything that was served.
fn served(wire: &mut Wire) -> Vec<[String; 3]> {
    let stats = wire.ask("PROXY STATS").string();
    let labels = stats.lines().filter_map(|it| it.strip_prefix("service_us{")?.split('}').next());
    let value = |it: &str| it.split('=').nth(1).unwrap().to_owned();
    labels
        .map(|it| it.split(',').map(value).collect::<Vec<_>>().try_into().expect("three labels"))
        .collect()
}

#[test]
fn in_the_example_reports_run_at_their_own_member_and_nothing_else_does() {
    let example = include_str!("../../config/routes.toml");
    let example = example.replace("127.0.0.1:6379", "127.0.0.1:{port}");
    let server = Server::entourage_with_config(&example.replace("127.0.0.1:6380", "127.0.0.1:0"));
    let mut operator = server.dial();
    for state in ["UNDRAIN", "DRAIN FORCE"] {
        order(&mut operator, BOTH, state);
        for _ in 0..8 {
            let mut wire = server.dial();
            ok(&mut wire, "SET plain 1");
            wire.ask("RPUSH list 3 1 2");
            assert!(wire.ask("KEYS *").list().len() == 2 && wire.ask("SCAN 0").list().len() == 2);
            assert!(3 <= wire.ask("SORT list").list().len());
            assert_eq!(wire.ask("SORT list STORE sorted").int().map(|it| 3 <= it), Some(true));
            wire.ask("DEL sorted");
            for read in ["GET plain", "DBSIZE", "LRANGE list 0 -1", "EXISTS cache:1", "TTL plain"] {
                wire.ask(read);
            }
        }
    }
    let all = served(&mut operator);
    for [route, member, kind] in &all {
        assert_eq!(route == "analytics", member == "reports", "{route} {member} {kind}");
    }
    let at = |member: &str, kind: &str| all.iter().any(|[_, m, k]| m == member && k == kind);
    assert!(["keys", "scan", "sort"].iter().all(|it| at("reports", it)), "{all:?}");
    assert!(at("n1", "get") && (at("n2", "get") || at("n3", "get")), "{all:?}");

    let keys = "members tag:analytics → reports; chosen reports; because fresh-preferred";
    assert!(explained(&mut operator, "KEYS *").starts_with(keys));
    let get = "members not dedicated to other routes → n2, n3; chosen n1; because no-replicas";
    assert!(explained(&mut operator, "GET plain").starts_with(get));
    let refused = "REFUSEDORDER reports is the last replica in service that route `analytics` names: \
                   without it its reads have only their ladder (catch-up, wait 2s, error); write";
    for what in ["DRAIN", "REMOVE"] {
        let told = operator.ask(&format!("PROXY NODE reports {what}")).string();
        assert_eq!(told, format!("{refused} {what} FORCE if that is meant"));
    }
    order(&mut operator, &["reports"], "DRAIN FORCE");
    assert!(server.said().contains("event=route-without-member route=analytics last=reports"));
    starts(&operator.ask("KEYS *"), "LAGGED no member that may serve this read is in service");
    let nobody = "chosen nobody: -LAGGED, no member that may serve it is in service; because lagged: no member";
    assert!(explained(&mut operator, "KEYS *").contains(nobody));
    order(&mut operator, &["reports"], "UNDRAIN");
    assert_eq!(operator.ask("KEYS *").list().len(), 2);
}

/// Three members, of which the last is there for the route `keys`, with this ladder.
fn with_reports(rest: &str) -> (Server, Wire) {
    with_config(&format!(
        "[[member]]\n[[member]]\nzone = \"b\"\n[[member]]\nname = \"reports\"\nzone = \"a\"\n\
         tags = [\"big\", \"slow\"]\ndedicated = true\n\
         [[route]]\nname = \"keys\"\ncommands = [\"keys\"]\nmembers = [\"tag:slow\"]\n{rest}"
    ))
}

#[test]
fn the_ladder_decides_when_the_member_of_a_route_is_behind_or_away() {
    let (_server, mut wire) = with_reports("");
    order(&mut wire, &["reports"], "PAUSE");
    ok(&mut wire, "SET key 1");
    assert_eq!(wire.ask("KEYS *").list().len(), 1, "the default ladder ends at the master");
    let master = "members tag:slow → reports; chosen n1; because master-on-lag";
    assert!(explained(&mut wire, "KEYS *").starts_with(master));
    order(&mut wire, &["reports"], "DRAIN FORCE");
    assert!(explained(&mut wire, "KEYS *").starts_with(master));
    assert_eq!(wire.ask("KEYS *").list().len(), 1);

    let (_server, mut wire) = with_reports("on-lag = [\"error\"]\n");
    order(&mut wire, &["reports"], "PAUSE");
    ok(&mut wire, "SET key 1");
    starts(&wire.ask("KEYS *"), "LAGGED no member is fresh enough, ");
    order(&mut wire, &["reports"], "RESUME");
    until("it to catch up", || (!wire.ask("KEYS *").is_error()).then_some(()));
    starts(&wire.ask("PROXY FAILOVER TO reports"), "OK paused-us=");
    starts(&wire.ask("KEYS *"), "LAGGED no member that may serve this read is in service");
    assert!(explained(&mut wire, "KEYS *").starts_with("members tag:slow → no replica; "));
    assert!(explained(&mut wire, "GET key").contains("chosen n"), "others go on");
    assert_eq!(wire.ask("GET key").string(), "1");
}

#[test]
fn a_read_that_waits_is_served_by_none_but_the_members_of_its_route() {
    let (server, mut wire) = with_reports("on-lag = [\"wait 1000s\", \"error\"]\n");
    order(&mut wire, &["reports"], "PAUSE");
    let mut reader = server.dial();
    ok(&mut reader, "SET key 1");
    reader.send_raw(b"KEYS *\r\n");
    until("the read to wait", || {
        wire.ask("INFO clients").string().contains("blocked_clients:1").then_some(())
    });
    // Another replica has what the read needs, and more.
    ok(&mut wire, "SET other 1");
    assert_eq!(wire.ask("WAIT 1 0").int(), Some(1));
    assert!(wire.ask("INFO clients").string().contains("blocked_clients:1"));
    order(&mut wire, &["reports"], "RESUME");
    assert!(!reader.read().list().is_empty());
    let all = served(&mut wire);
    let keys: Vec<_> = all.iter().filter(|it| it[0] == "keys").map(|it| it[1].as_str()).collect();
    assert_eq!(keys, ["reports"]);
}

#[test]
fn a_member_is_added_with_a_name_and_serves_the_routes_of_its_tags() {
    let (_server, mut wire) = with_reports("on-lag = [\"error\"]\n");
    let refusals = [
        ("NAME reports", "REFUSEDORDER no member was added: the member name `reports` is taken"),
        (
            "NAME n7",
            "REFUSEDORDER no member was added: the member name `n7` is kept for the 7th member",
        ),
        ("NAME n2", "REFUSEDORDER no member was added: the member name `n2` is taken"),
        ("NAME tag:a", "ERR a name, a tag or a zone is 1 to 64 letters, digits, "),
        ("NAME", "ERR syntax error"),
        ("extra", "ERR syntax error"),
    ];
    for (words, why) in refusals {
        starts(&wire.ask(&format!("PROXY NODE ADD {words}")), why);
    }
    let add = "PROXY NODE ADD NAME extra TAG slow TAG new ZONE c DEDICATED";
    assert_eq!(wire.ask(add).string(), "extra");
    assert_eq!(wire.ask("PROXY NODE ADD").string(), "n5");
    for name in ["extra", "n5"] {
        until("its sync", || (node(&mut wire, name)["state"].string() == "ok").then_some(()));
    }
    order(&mut wire, &["reports"], "DRAIN");
    let told = explained(&mut wire, "KEYS *");
    assert!(told.starts_with("members tag:slow → reports, extra; chosen extra; because"), "{told}");
    assert!(wire.ask("KEYS *").list().is_empty());
    let told = explained(&mut wire, "GET key");
    assert!(told.starts_with("members not dedicated to other routes → n2, n5; "), "{told}");

    let shown = |wire: &mut Wire, name: &str| {
        let it = node(wire, name);
        (it["zone"].string(), it["tags"].to_string(), it["dedicated"].int())
    };
    assert_eq!(shown(&mut wire, "extra"), ("c".into(), "[\"slow\", \"new\"]".into(), Some(1)));
    assert_eq!(shown(&mut wire, "reports").1, "[\"big\", \"slow\"]");
    assert_eq!(shown(&mut wire, "n2"), ("b".into(), "[]".into(), Some(0)));
    let info = wire.ask("INFO replication").string();
    assert!(
        info.contains("hosted1:name=reports,") && info.contains("hosted2:name=extra,"),
        "{info}"
    );
}
