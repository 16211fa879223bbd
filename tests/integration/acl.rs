//! Users and what they may do: beside a real Redis, which is told and asked the same.

use crate::support::{Server, Value, Wire, ok, starts, until, words};
use std::collections::{BTreeMap, BTreeSet};

/// What clients say, `client: command`, in this order. A client connects when it first speaks.
const TALK: &str = r#"
op: ACL WHOAMI
op: ACL LIST
op: ACL USERS
op: ACL GETUSER default
op: ACL GETUSER nobody
op: ACL SETUSER reader on >r ~a* %R~b* resetchannels &ch* +get +mget +select|0
op: ACL LIST
op: ACL GETUSER reader
op: ACL SETUSER reader +multi +exec +eval +publish +subscribe +psubscribe +ssubscribe +spublish
op: ACL SETUSER reader +hello +acl|whoami +client|id +copy +sort +discard +bitfield +getex +del
op: ACL SETUSER reader ( +set ~k* ) ( +set %W~w %RW~rw )
op: SET b1 other
op: RPUSH list 1 2
a: AUTH reader wrong
a: AUTH reader r
a: ACL WHOAMI
a: ACL LIST
a: GET a1
a: GET b1
a: GET x
a: MGET a1 b1
a: MGET a1 x
a: SET a1 v
a: SET k1 v
a: SET w v
a: SET w v GET
a: SET rw v GET
a: SET x v
a: DEL b1
a: GETEX b1 EX 10
a: GETEX a1 EX 10
a: COPY b1 a2
a: COPY a2 b2
a: COPY b1 w
a: BITFIELD b1 GET u8 0
a: BITFIELD b1 SET u8 0 1
a: SORT a3 BY x* GET y*
a: SORT a3 BY nosort
a: SORT a3 GET #
a: SORT b1 STORE a4
a: SORT a3 STORE b3
a: SELECT 0
a: SELECT 1
a: CLIENT ID
a: CLIENT LIST
a: CLIENT
a: CONFIG GET port
a: CONFIG NOSUCH
a: NOSUCH
a: GET
a: PUBLISH ch1 m
a: PUBLISH x m
a: SPUBLISH x m
a: PSUBSCRIBE x*
a: SUBSCRIBE x
a: SUBSCRIBE ch1 x
a: SSUBSCRIBE x
a: MULTI
a: GET x
a: EXEC
a: MULTI
a: GET a1
a: SET k1 w
a: EXEC
a: EVAL return(redis.call('get','a1')) 0
a: EVAL return(redis.pcall('get','x')) 0
a: EVAL return(redis.pcall('incr','a1')) 0
a: EVAL return(redis.pcall('publish','x','m')) 0
a: EVAL return(redis.pcall('set','k1','z')) 0
a: EVAL return(redis.acl_check_cmd('get','a1')) 0
a: EVAL return(redis.acl_check_cmd('get','x')) 0
a: EVAL return(redis.acl_check_cmd('incr','a1')) 0
a: EVAL return(redis.acl_check_cmd('config','get','x')) 0
a: EVAL return(redis.acl_check_cmd('config')) 0
a: EVAL return(redis.acl_check_cmd('GET')) 0
a: EVAL return(redis.acl_check_cmd('incr')) 0
a: EVAL return(1) 1 x
op: ACL DRYRUN reader get a1
op: ACL DRYRUN reader get x
op: ACL DRYRUN reader set b1 v
op: ACL DRYRUN reader incr a1
op: ACL DRYRUN reader publish x m
op: ACL DRYRUN reader subscribe ch1 y
op: ACL DRYRUN reader psubscribe ch*
op: ACL DRYRUN reader psubscribe ch1
op: ACL DRYRUN reader config get x
op: ACL DRYRUN reader config
op: ACL DRYRUN reader config nosuch
op: ACL DRYRUN reader get
op: ACL DRYRUN reader nosuch
op: ACL DRYRUN nobody get a1
op: ACL DRYRUN reader
op: ACL DRYRUN default get a1
op: ACL DRYRUN reader auth x
b: AUTH reader r
b: MULTI
b: GET a1
b: SET k1 q
b: PUBLISH ch1 m
op: ACL SETUSER reader -get
b: EXEC
op: ACL SETUSER reader +get clearselectors
b: SET k1 r
op: ACL SETUSER reader resetkeys
b: GET a1
b: ACL WHOAMI
op: ACL SETUSER reader off
b: ACL WHOAMI
c: AUTH reader r
op: ACL SETUSER reader on resetpass
c: AUTH reader r
op: ACL SETUSER reader nopass
c: AUTH reader whatever
op: ACL SETUSER reader reset
op: ACL LIST
c: ACL WHOAMI
c: PING
c: RESET
c: ACL WHOAMI
c: HELLO 2 AUTH reader x SETNAME n
c: AUTH a b c
c: AUTH x
op: ACL SETUSER reader on nopass +@all ~*
c: HELLO 3 AUTH reader x
c: ACL GETUSER reader
c: ACL DELUSER nobody
op: ACL DELUSER reader nobody
op: ACL DELUSER default
op: ACL SETUSER default -@dangerous
op: CONFIG GET port
op: KEYS *
op: ACL WHOAMI
"#;

/// Rules, of which most are wrong, for a user called `t`; then `GETUSER t`.
const RULES: &[&str] = &[
    "+foo",
    "-foo",
    "+@foo",
    "-@foo",
    "+config|foo",
    "-config|foo",
    "+config|get|x",
    "+get|",
    "+config|",
    "+select|1|2",
    "-select|1",
    "foo",
    "%~a",
    "%X~a",
    "%RR~a",
    "%R",
    "%W~a",
    "%rw~b",
    "%",
    "~",
    "&",
    "&c",
    "#abc",
    "!abc",
    "<x",
    "(",
    "()",
    "(+foo)",
    "(~a",
    ")",
    "+",
    "-",
    "@all",
    "+@",
    "-@",
    "",
    ">",
    ">a",
    ">a",
    "<",
    "<a",
    "(on)",
    "(+@all -get)",
    "clearselectors",
    "reset",
    "sanitize-payload",
    "skip-sanitize-payload",
    "on",
    "OFF",
    "nopass",
    "resetpass",
    "+@ALL",
    "allkeys",
    "~x",
    "%R~x",
    "resetkeys",
    "~x",
    "~x",
    "%R~x",
    "allchannels",
    "&x",
    "resetchannels",
    "&x",
    "&x",
    "nocommands",
    "+get",
    "-get",
    "+config|get",
    "-config|get",
    "allcommands",
    "-get",
    "-@all",
    "+GET",
    "-@all",
    "+select|0",
    "+SELECT|1",
    "-@all",
    "+select",
    "reset",
];

const QUESTIONS: &[&str] = &[
    "ACL",
    "ACL NOSUCH",
    "ACL WHOAMI x",
    "ACL USERS x",
    "ACL LIST x",
    "ACL GETUSER",
    "ACL GETUSER a b",
    "ACL SETUSER",
    "ACL DELUSER",
    "ACL CAT a b",
    "ACL CAT nosuch",
    "ACL CAT",
    "ACL GENPASS 0",
    "ACL GENPASS 4097",
    "ACL GENPASS x",
    "ACL GENPASS 1 2",
    "ACL GENPASS -1",
    "ACL LOG x",
    "ACL LOG 1 2",
    "ACL LOG RESET x",
    "ACL LOG 0",
    "ACL LOG -1",
    "ACL LOG RESET",
    "ACL LOG",
    "ACL SAVE",
    "ACL LOAD",
    "ACL LOAD x",
    "CLIENT KILL USER nosuch",
    "CONFIG GET acl*",
    "CONFIG SET acllog-max-len -1",
    "CONFIG SET acl-pubsub-default x",
    "CONFIG SET acl-pubsub-default allchannels",
    "ACL SETUSER open (+get)",
    "ACL GETUSER open",
    "CONFIG SET acl-pubsub-default resetchannels",
    "ACL DELUSER open",
    "MULTI",
    "ACL WHOAMI",
    "ACL SETUSER m on",
    "EXEC",
    "ACL GETUSER m",
    "EVAL return(redis.pcall('acl','whoami')) 0",
];

/// Rules are told in any order by Redis 7.0, which keeps what they come to, and in the order they
/// came in since 7.2.
fn told(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains("-@all") && !text.contains("+@all") {
        return text;
    }
    // Nor does 7.0 tell what is taken away from nothing.
    let text = text.replace(['"', '[', ']'], " ");
    let is_told = |it: &&str| !["-get", "-config|get"].contains(it);
    let mut words: Vec<&str> = text.split_whitespace().filter(is_told).collect();
    words.sort_unstable();
    words.join(" ")
}

fn answers(server: &Server) -> Vec<String> {
    let mut clients: BTreeMap<&str, Wire> = BTreeMap::new();
    let lines = TALK.lines().filter(|it| !it.is_empty());
    lines
        .map(|line| {
            let (name, command) = line.split_once(": ").unwrap();
            let wire = clients.entry(name).or_insert_with(|| server.dial());
            let reply = wire.ask(command);
            let reply = match command {
                "CLIENT ID" | "CONFIG GET port" if !reply.is_error() => "told".to_owned(),
                it if it.starts_with("HELLO") && !reply.is_error() => "told".to_owned(),
                _ => told(&reply),
            };
            format!("{line} → {reply}")
        })
        .collect()
}

#[test]
fn users_may_do_what_redis_lets_them_do() {
    let [redis, ours] = Server::both();
    let (redis, ours) = (answers(&redis), answers(&ours));
    let differ: Vec<_> = ours.iter().zip(&redis).filter(|it| it.0 != it.1).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn rules_are_taken_refused_and_told_as_redis_does() {
    let answers = |server: &Server| {
        let mut wire = server.dial();
        let mut tell = |rule: &&str| {
            let reply = wire.cmd(&["ACL", "SETUSER", "t", rule]).to_string();
            let user = wire.ask("ACL GETUSER t");
            (
                rule.to_string(),
                reply,
                user.items().map(|it| it.iter().map(told).collect::<Vec<_>>()),
            )
        };
        RULES.iter().map(&mut tell).collect::<Vec<_>>()
    };
    let [redis, ours] = Server::both();
    for (ours, redis) in answers(&ours).iter().zip(&answers(&redis)) {
        assert_eq!(ours, redis);
    }
}

#[test]
fn questions_are_answered_as_redis_does() {
    let answers = |server: &Server| {
        let mut wire = server.dial();
        let ask = |it: &&str| match *it {
            "ACL CAT" | "CONFIG GET acl*" => {
                let reply = wire.ask(it);
                let mut names: Vec<String> = reply.list().iter().map(Value::string).collect();
                names.sort();
                format!("{it} → {names:?}")
            }
            _ => format!("{it} → {}", wire.ask(it)),
        };
        QUESTIONS.iter().map(ask).collect::<Vec<_>>()
    };
    let [redis, ours] = Server::both();
    for (ours, redis) in answers(&ours).iter().zip(&answers(&redis)) {
        assert_eq!(ours, redis);
    }
}

/// The denials, newest first, without what differs by time and by connection.
fn denials(wire: &mut Wire) -> Vec<String> {
    let entries = wire.ask("ACL LOG 100");
    let entry = |it: &Value| {
        let parts = it.list();
        parts[..10].iter().map(Value::to_string).collect::<Vec<_>>().join(" ")
    };
    entries.list().iter().map(entry).collect()
}

#[test]
fn what_is_denied_is_kept_as_redis_keeps_it() {
    let answers = |server: &Server| {
        let (mut op, mut wire) = (server.dial(), server.dial());
        op.ask("ACL SETUSER u on >p ~a* &c* +get +multi +exec +eval +publish +acl|whoami");
        for line in [
            "AUTH u x",
            "AUTH nobody x",
            "AUTH u x",
            "AUTH u p",
            "GET a",
            "GET x",
            "GET x",
            "GET y",
            "SET a 1",
            "CONFIG GET x",
            "PUBLISH x m",
            "MULTI",
            "GET x",
            "EXEC",
            "EVAL redis.pcall('get','x') 0",
            "EVAL redis.pcall('set','a','1') 0",
            "GET x",
            "MULTI",
            "AUTH u y",
            "EXEC",
            "HELLO 2 AUTH u z",
        ] {
            wire.ask(line);
        }
        let mut seen = denials(&mut op);
        op.ask("CONFIG SET acllog-max-len 2");
        wire.ask("GET z");
        seen.extend(denials(&mut op));
        seen.push(op.ask("ACL LOG RESET").to_string());
        seen.push(op.ask("ACL LOG").to_string());
        seen
    };
    let [redis, ours] = Server::both();
    assert_eq!(answers(&ours), answers(&redis));
    let mut wire = ours.dial();
    let denied =
        |wire: &mut Wire, name: &str| crate::support::info_field(wire, "stats", name).unwrap();
    assert_eq!(denied(&mut wire, "acl_access_denied_auth"), "5");
    assert_eq!(denied(&mut wire, "acl_access_denied_cmd"), "3");
    assert_eq!(denied(&mut wire, "acl_access_denied_key"), "7");
    assert_eq!(denied(&mut wire, "acl_access_denied_channel"), "1");
}

#[test]
fn who_may_not_any_more_is_closed() {
    for server in Server::both() {
        let mut op = server.dial();
        ok(&mut op, "ACL SETUSER u on nopass ~* &a &b +@all");
        let log_in = || {
            let mut wire = server.dial();
            ok(&mut wire, "AUTH u x");
            wire
        };
        let (mut one, mut two, mut three) = (log_in(), log_in(), log_in());
        one.ask("SUBSCRIBE a");
        two.ask("SUBSCRIBE b");
        ok(&mut op, "ACL SETUSER u resetchannels &a");
        assert!(two.is_closed());
        ok(&mut op, "ACL SETUSER u allchannels");
        assert_eq!(op.ask("PUBLISH a m").int(), Some(1));
        assert_eq!(one.read().list()[2].string(), "m");
        assert_eq!(op.ask("ACL DELUSER u").int(), Some(1));
        assert!(one.is_closed());
        assert!(three.is_closed());
        // Its own user, too, when it has been answered.
        ok(&mut op, "ACL SETUSER u on nopass +@all");
        ok(&mut op, "AUTH u x");
        assert_eq!(op.ask("ACL DELUSER u").int(), Some(1));
        assert!(op.is_closed());
    }
}

#[test]
fn the_password_of_the_settings_is_the_default_users() {
    for server in Server::both() {
        let mut op = server.dial();
        ok(&mut op, "CONFIG SET requirepass a");
        ok(&mut op, "ACL SETUSER default >b");
        for password in ["a", "b"] {
            let mut wire = server.dial();
            assert!(wire.ask("PING").is_error());
            ok(&mut wire, &format!("AUTH {password}"));
        }
        ok(&mut op, "CONFIG SET requirepass c");
        let mut wire = server.dial();
        assert!(wire.ask("AUTH a").is_error());
        ok(&mut wire, "AUTH default c");
        ok(&mut op, "ACL SETUSER default nopass");
        assert!(!server.dial().ask("PING").is_error());
        ok(&mut op, "ACL SETUSER default off");
        assert!(server.dial().ask("PING").is_error());
    }
}

#[test]
fn a_batch_goes_by_the_rules_that_it_has_changed() {
    for server in Server::both() {
        let mut wire = server.dial();
        let lines = ["ACL SETUSER default -get", "GET a", "ACL SETUSER default +get", "GET a"];
        let batch = lines.map(|it| words(&it.split(' ').collect::<Vec<_>>()));
        let told: Vec<String> = wire.pipeline(&batch).iter().map(Value::to_string).collect();
        assert!(told[1].contains("NOPERM"), "{told:?}");
        assert!(!told[3].contains("NOPERM"), "{told:?}");
    }
}

#[test]
fn passwords_are_shown_to_nobody() {
    let ours = Server::entourage(&[]);
    let (mut op, mut monitor) = (ours.dial(), ours.dial());
    ok(&mut monitor, "MONITOR");
    ok(&mut op, "CONFIG SET slowlog-log-slower-than 0");
    ok(&mut op, "ACL SETUSER u on >topsecret");
    op.ask("AUTH topsecret x");
    op.ask("ACL DRYRUN u AUTH topsecret");
    let log = op.ask("SLOWLOG GET -1").to_string();
    assert!(!log.contains("topsecret") && log.contains("(redacted)"), "{log}");
    ok(&mut op, "SET end 1");
    let mut shown = String::new();
    while !shown.contains("end") {
        shown.push_str(&monitor.read().to_string());
    }
    assert!(!shown.contains("topsecret"), "{shown}");
    assert!(!ours.said().contains("topsecret"));
}

#[test]
fn commands_of_the_proxy_are_in_categories_too() {
    let ours = Server::entourage(&[]);
    let mut op = ours.dial();
    ok(&mut op, "ACL SETUSER u on nopass ~* +@all -@dangerous");
    let mut wire = ours.dial();
    ok(&mut wire, "AUTH u x");
    assert!(!wire.ask("PROXY LAST").is_error());
    assert!(!wire.ask("PROXY ONCE LEVEL eventual DO GET a").is_error());
    for refused in [
        "PROXY NODE r1 PAUSE",
        "PROXY FAILOVER",
        "PROXY RELOAD",
        "ACL LIST",
        "PROXY NODES",
        "PROXY STATS",
    ] {
        assert!(wire.ask(refused).to_string().contains("NOPERM"), "{refused}");
    }
    // What stands behind PROXY ONCE is asked for as well.
    ok(&mut op, "ACL SETUSER u -get resetkeys");
    let refused = wire.ask("PROXY ONCE LEVEL eventual DO GET a").to_string();
    assert!(refused.contains("NOPERM"), "{refused}");
}

#[test]
fn the_script_of_who_is_removed_ends() {
    let ours = Server::entourage(&[]);
    let mut op = ours.dial();
    let runs = |op: &mut Wire| op.ask("FUNCTION STATS").to_string().contains("duration_ms");
    let library = "#!lua name=l\nredis.register_function{function_name='f', callback=\
                   function() while true do end end, flags={'no-writes'}}";
    assert!(!op.cmd(&["FUNCTION", "LOAD", library]).is_error());
    for order in ["ACL DELUSER u", "CLIENT KILL USER u"] {
        ok(&mut op, "ACL SETUSER u on nopass ~* +@all");
        let mut wire = ours.dial();
        ok(&mut wire, "AUTH u x");
        wire.send(&[words(&["FCALL_RO", "f", "0"])]);
        until("it runs", || runs(&mut op).then_some(()));
        assert_eq!(op.ask(order).int(), Some(1));
        until("it has ended", || (!runs(&mut op)).then_some(()));
        assert!(wire.is_closed());
    }
}

#[test]
fn arguments_that_do_not_add_up_hide_no_keys() {
    let ours = Server::entourage(&[]);
    let mut op = ours.dial();
    ok(&mut op, "ACL SETUSER u on nopass ~a:* +@all");
    let mut wire = ours.dial();
    ok(&mut wire, "AUTH u x");
    for (line, denied) in [
        ("ZUNION 9 a:1 b1", true),
        ("ZUNION x a:1 b1", true),
        ("ZUNION 1 b1 x", true),
        ("ZUNION x a:1 a:2", false),
        ("ZUNION 9 a:1", false),
        ("ZUNIONSTORE b1 9 a:1", true),
        ("GEORADIUS a:1 0 0 1 m STORE a:5 STORE b5", true),
        ("GEORADIUS a:1 0 0 1 m STORE b5 STOREDIST a:5", true),
        ("GEORADIUS a:1 0 0 1 m COUNT STORE b5", false),
        ("GEORADIUSBYMEMBER a:1 m 1 m STORE a:5 STOREDIST b5", true),
        ("GEORADIUSBYMEMBER a:1 STORE 1 m STORE a:5", false),
    ] {
        let told = wire.ask(line).to_string();
        assert_eq!(told.contains("NOPERM"), denied, "{line} {told}");
    }
}

#[test]
fn many_rules_and_long_patterns_are_done_soon_or_refused() {
    let ours = Server::entourage(&[]);
    let mut op = ours.dial();
    let many = |rule: &dyn Fn(usize) -> String, count: usize| {
        let rules = (0..count).map(rule);
        let begin = ["ACL", "SETUSER", "u"].map(str::to_owned);
        begin.into_iter().chain(rules).collect::<Vec<String>>()
    };
    let mut told = |rule: &dyn Fn(usize) -> String, count| {
        let rules = many(rule, count);
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        op.cmd(&rules).to_string()
    };
    assert_eq!(told(&|_| "+@read".to_owned(), 30_000), "+OK");
    assert_eq!(told(&|it| format!("#{:064x}", it % 4096), 65_536), "+OK");
    assert!(told(&|it| format!("#{it:064x}"), 65_536).contains("may have 4096 passwords"));
    assert!(told(&|it| format!("~{it}"), 4097).contains("4096 patterns of keys"));
    assert!(told(&|_| format!("~{}", "a".repeat(4097)), 1).contains("4096 bytes"));
    let hostile = format!("~*{}b", "a".repeat(2000));
    assert_eq!(told(&|_| hostile.clone(), 1), "+OK");
    assert_eq!(told(&|it| ["on", "nopass", "+get"][it].to_owned(), 3), "+OK");
    let mut wire = ours.dial();
    ok(&mut wire, "AUTH u x");
    assert!(wire.cmd(&["GET", &"a".repeat(1 << 20)]).is_error());
}

#[test]
fn many_users_and_patterns_of_many_stars_are_no_burden() {
    let ours = Server::entourage(&[]);
    let mut op = ours.dial();
    let stars = "a*".repeat(2000) + "b";
    let key = "a".repeat(10_000);
    let pattern = format!("~{stars}");
    assert_eq!(
        op.cmd(&["ACL", "SETUSER", "u", "on", "nopass", "+get", &pattern]).to_string(),
        "+OK"
    );
    let many: Vec<_> = (0..1000)
        .map(|it| {
            words(&["ACL", "SETUSER", &format!("u{it}"), "on", ">p", "+get", &format!("~{it}:*")])
        })
        .collect();
    assert!(op.pipeline(&many).iter().all(|it| !it.is_error()));
    assert_eq!(op.ask("ACL USERS").list().len(), 1002);
    let mut wire = ours.dial();
    ok(&mut wire, "AUTH u x");
    assert!(wire.cmd(&["GET", &key]).is_error());
    ok(&mut wire, "AUTH u7 p");
    assert!(wire.ask("GET 7:a").is_nil());
    assert!(wire.ask("GET 77:a").is_error());
}

/// What each category holds, of what both know.
fn categories(server: &Server) -> BTreeMap<String, BTreeSet<String>> {
    let mut wire = server.dial();
    let names = wire.ask("ACL CAT").list().iter().map(Value::string).collect::<Vec<_>>();
    let commands = |name: &String| {
        let reply = wire.ask(&format!("ACL CAT {name}"));
        (name.clone(), reply.list().iter().map(Value::string).collect())
    };
    names.iter().map(commands).collect()
}

#[test]
fn a_category_holds_what_it_holds_in_redis() {
    // As Redis 7.2 and Valkey have it.
    const SINCE_7_2: [&str; 1] = ["wait"];
    let kinds = [Some(Server::redis(&[])), Server::valkey()];
    let ours = categories(&Server::entourage(&[]));
    let known = |all: &BTreeMap<String, BTreeSet<String>>| {
        all.values().flatten().cloned().collect::<BTreeSet<String>>()
    };
    for real in kinds.into_iter().flatten() {
        let theirs = categories(&real);
        let both: BTreeSet<String> = known(&ours).intersection(&known(&theirs)).cloned().collect();
        assert!(250 < both.len(), "{}", both.len());
        let nothing = BTreeSet::new();
        for (name, held) in &ours {
            let other = theirs.get(name).unwrap_or(&nothing);
            let differ = held.symmetric_difference(other).filter(|it| both.contains(*it));
            let is_newer = |it: &&String| SINCE_7_2.contains(&it.as_str()) && name == "blocking";
            let differ: Vec<_> = differ.filter(|it| !is_newer(it)).collect();
            assert!(differ.is_empty(), "{} @{name}: {differ:?}", real.program());
        }
    }
}

#[test]
fn a_connection_that_came_while_nobody_had_to_log_in_stays_known_and_no_other_does() {
    for server in Server::both() {
        let (mut op, mut early) = (server.dial(), server.dial());
        assert_eq!(early.ask("ECHO early").string(), "early");
        ok(&mut op, "ACL SETUSER default resetpass >p");
        assert_eq!(early.ask("ECHO early").string(), "early");
        let mut late = server.dial();
        starts(&late.ask("ECHO late"), "NOAUTH");
        ok(&mut op, "ACL SETUSER default nopass");
        assert_eq!(late.ask("ECHO late").string(), "late");
        ok(&mut op, "ACL SETUSER default resetpass >p");
        starts(&late.ask("ECHO late"), "NOAUTH");
        ok(&mut late, "AUTH p");
        ok(&mut op, "ACL SETUSER default off");
        assert_eq!(late.ask("ECHO late").string(), "late");
        assert_eq!(early.ask("RESET").string(), "RESET");
        starts(&early.ask("ECHO early"), "NOAUTH");
    }
}

#[test]
fn a_user_that_is_removed_ends_whatever_its_clients_do() {
    for server in Server::both() {
        let mut op = server.dial();
        ok(&mut op, "ACL SETUSER u on nopass ~* &* +@all");
        let log_in = || {
            let mut wire = server.dial();
            ok(&mut wire, "AUTH u x");
            wire
        };
        let [mut queues, mut hears, mut waits, mut watches, mut shown] = [(); 5].map(|()| log_in());
        ok(&mut queues, "MULTI");
        queues.ask("SET a 1");
        hears.ask("PSUBSCRIBE *");
        waits.send(&[words(&["BLPOP", "l", "0"])]);
        ok(&mut watches, "WATCH a");
        ok(&mut shown, "MONITOR");
        crate::support::until_blocked(&mut op, 1);
        ok(&mut op, "ACL SETUSER u off");
        assert_eq!(queues.ask("GET a").string(), "QUEUED", "who is here stays");
        assert_eq!(op.ask("ACL DELUSER u").int(), Some(1));
        for wire in [&mut queues, &mut hears, &mut waits, &mut watches] {
            assert!(wire.is_closed());
        }
        shown.read_to_end();
        assert_eq!(op.ask("RPUSH l 1").int(), Some(1), "nobody waits for it any more");
        assert!(op.ask("GET a").is_nil());
    }
}

#[test]
fn ten_thousand_users_and_a_megabyte_of_rules_are_told_and_found() {
    let ours = Server::entourage(&[]);
    let mut op = ours.dial();
    let users: Vec<_> = (0..10_000)
        .map(|it| {
            let keys = format!("~{it}:*");
            words(&["ACL", "SETUSER", &format!("u{it:05}"), "on", ">p", "+get", &keys])
        })
        .collect();
    assert!(op.pipeline(&users).iter().all(|it| it.string() == "OK"));
    let list = op.ask("ACL LIST");
    assert_eq!(list.list().len(), 10_001);
    assert!(list.list()[10_000].string().starts_with("user u09999 on #"));
    let mut wire = ours.dial();
    ok(&mut wire, "AUTH u07777 p");
    assert!(wire.ask("GET 7777:a").is_nil());
    starts(&wire.ask("GET 7778:a"), "NOPERM");
    let pad = "k".repeat(250);
    let patterns: Vec<String> = (0..4096).map(|it| format!("%R~{it:04}:{pad}*")).collect();
    let mut rules = vec!["ACL", "SETUSER", "much", "on", "nopass", "+get"];
    rules.extend(patterns.iter().map(String::as_str));
    assert_eq!(op.cmd(&rules).string(), "OK");
    ok(&mut wire, "AUTH much x");
    assert!(wire.ask(&format!("GET 4095:{pad}a")).is_nil());
    starts(&wire.ask(&format!("GET 4096:{pad}a")), "NOPERM");
    let told = op.ask("ACL GETUSER much");
    assert!(900_000 < told.list()[7].string().len());
    // One rule of a megabyte is wrong like others.
    let long = format!("~{}", "k".repeat(1 << 20));
    starts(&op.cmd(&["ACL", "SETUSER", "much", &long]), "ERR Error in ACL SETUSER modifier");
    let long = format!("+{}", "k".repeat(1 << 20));
    starts(&op.cmd(&["ACL", "SETUSER", "much", &long]), "ERR Error in ACL SETUSER modifier");
    let removed: Vec<_> = (0..10_000).map(|it| format!("u{it:05}")).collect();
    let mut remove = vec!["ACL", "DELUSER"];
    remove.extend(removed.iter().map(String::as_str));
    assert_eq!(op.cmd(&remove).int(), Some(10_000));
}
