//! What clients say of their connection: the same lines to a real Redis and to Entourage, and the
//! verbs that look at other connections.

use crate::support::{Server, Wire, until};
use std::time::Instant;

/// One connection's lines; the replies must be equal.
const CONVERSATIONS: &[&str] = &[
    "PING; PING hi; PING a b; ECHO hi; ECHO; SELECT 15; SELECT 16; SELECT -1; SELECT x; SELECT",
    "HELLO x; HELLO 1; HELLO 4; HELLO 3 AUTH; HELLO 3 AUTH default; HELLO 2 FOO; HELLO 2 SETNAME",
    "HELLO 3 AUTH bob x; HELLO 2 AUTH default x SETNAME \u{1}; CLIENT GETNAME",
    "AUTH; AUTH x; AUTH default x; AUTH bob x; AUTH a b c",
    "CLIENT SETNAME bob; CLIENT GETNAME; SELECT 3; HELLO 3; CLIENT TRACKINGINFO; NOSUCH; RESET; \
     CLIENT GETNAME; GET x; CLIENT TRACKINGINFO; RESET x",
    "CLIENT; CLIENT FOO; CLIENT ID x; CLIENT SETNAME; CLIENT SETNAME \u{1}; CLIENT GETREDIR",
    "CLIENT REPLY FOO; CLIENT REPLY ON; CLIENT NO-EVICT on; CLIENT NO-EVICT x; CLIENT NO-EVICT off",
    "CLIENT UNBLOCK 999; CLIENT UNBLOCK x; CLIENT UNBLOCK 999 foo; CLIENT UNBLOCK 999 error",
    "CLIENT KILL 1.2.3.4:1; CLIENT KILL ID 999; CLIENT KILL ID x; CLIENT KILL ID 0; CLIENT KILL",
    "CLIENT KILL TYPE foo; CLIENT KILL TYPE normal SKIPME maybe; CLIENT KILL USER foo; \
     CLIENT KILL FOO bar; CLIENT KILL ADDR 1:2 LADDR; CLIENT KILL ADDR 1:2 LADDR 3:4; \
     CLIENT KILL TYPE replica; CLIENT KILL USER default ADDR 1:2",
    "CLIENT LIST TYPE foo; CLIENT LIST TYPE; CLIENT LIST TYPE pubsub; CLIENT LIST ID x; \
     CLIENT LIST ID; CLIENT LIST ID 998 999; CLIENT LIST foo; CLIENT INFO x",
    "COMMAND FOO; COMMAND COUNT x; COMMAND INFO nosuch get|x client|id|x; COMMAND DOCS nosuch get|x",
    "COMMAND GETKEYS GET; COMMAND GETKEYS SET a; COMMAND GETKEYS SET a b; COMMAND GETKEYS NOSUCH a; \
     COMMAND GETKEYS PING x; COMMAND GETKEYS MSET a b c d; COMMAND GETKEYS OBJECT ENCODING k; \
     COMMAND GETKEYS MULTI a; COMMAND GETKEYS OBJECT x",
    "COMMAND GETKEYSANDFLAGS SORT a BY x GET y STORE b LIMIT 0 1; \
     COMMAND GETKEYSANDFLAGS SORT a STORE b STORE c; COMMAND GETKEYS SORT a STORE; \
     COMMAND GETKEYSANDFLAGS SORT a BY STORE GET x; COMMAND GETKEYSANDFLAGS SORT_RO a GET b",
    "COMMAND GETKEYSANDFLAGS GEORADIUS a 1 1 1 m STORE b STOREDIST c; \
     COMMAND GETKEYS GEORADIUS a 1 1 1 m STORE; COMMAND GETKEYS GEORADIUS a 1 1 1 m STORE b STOREDIST; \
     COMMAND GETKEYSANDFLAGS GEORADIUSBYMEMBER a m 1 m STOREDIST b; \
     COMMAND GETKEYSANDFLAGS GEORADIUSBYMEMBER a STORE 1 m; COMMAND GETKEYS GEORADIUS_RO a 1 1 1 m; \
     COMMAND GETKEYSANDFLAGS GEOSEARCHSTORE a b FROMMEMBER a BYRADIUS 1 m",
    "COMMAND GETKEYSANDFLAGS SET a b; COMMAND GETKEYSANDFLAGS SET a b GET; \
     COMMAND GETKEYSANDFLAGS RENAME a b; COMMAND GETKEYSANDFLAGS DEL a b",
    "COMMAND LIST FOO; COMMAND LIST FILTERBY ACLCAT; COMMAND LIST FILTERBY FOO x; \
     COMMAND LIST FILTERBY MODULE x; COMMAND LIST FILTERBY ACLCAT nosuch; \
     COMMAND LIST FILTERBY PATTERN hset; COMMAND LIST FILTERBY PATTERN GETE?",
    "HELLO 3; COMMAND INFO get mset object|encoding; COMMAND GETKEYSANDFLAGS SET a b; GET nosuch",
    "CLUSTER; CLUSTER INFO; CLUSTER SLOTS; CLUSTER SHARDS; CLUSTER NODES; CLUSTER LINKS; \
     CLUSTER MYID; CLUSTER KEYSLOT k; CLUSTER KEYSLOT; CLUSTER COUNTKEYSINSLOT 1; \
     CLUSTER GETKEYSINSLOT 1 2; CLUSTER REPLICAS n; CLUSTER SLAVES n; CLUSTER HELP; CLUSTER HELP x; \
     CLUSTER FOO; cluster info x; CLUSTER COUNT-FAILURE-REPORTS n",
    "CLUSTER ADDSLOTS 1; CLUSTER ADDSLOTS; CLUSTER ADDSLOTSRANGE 1 2; CLUSTER DELSLOTS 1; \
     CLUSTER DELSLOTSRANGE 1 2; CLUSTER FLUSHSLOTS; CLUSTER SETSLOT 1 STABLE; CLUSTER MEET h 1; \
     CLUSTER FORGET n; CLUSTER REPLICATE n; CLUSTER FAILOVER; CLUSTER RESET a b c; \
     CLUSTER BUMPEPOCH; CLUSTER SET-CONFIG-EPOCH 1; CLUSTER SAVECONFIG",
    "READONLY; READWRITE; ASKING; READONLY x; READWRITE x; ASKING x; MULTI; READONLY; \
     CLUSTER INFO; CLUSTER FOO; EXEC; MULTI; ASKING; EXEC",
    "QUIT x",
];

#[test]
fn connections_are_spoken_to_as_redis_does() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    for conversation in CONVERSATIONS {
        let (expected, got) = (talk(&redis, conversation), talk(&ours, conversation));
        assert_eq!(got, expected, "{conversation}");
    }
}

/// Replies leave before all requests of a read are served, and the read may not have been the last.
#[test]
fn a_long_pipeline_of_long_replies_is_answered_to_its_end() {
    const REQUESTS: usize = 2_000;
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.cmd(&["SET", "long", &"x".repeat(1000)]);
    let pipeline = vec![crate::support::words(&["GET", "long"]); REQUESTS];
    let replies = wire.pipeline(&pipeline);
    assert_eq!(replies.len(), REQUESTS);
    assert!(replies.iter().all(|it| it.text().is_some_and(|it| it.len() == 1000)));
}

const MB: usize = 1 << 20;

/// A limit that is lowered holds for connections that are already there.
#[test]
fn the_longest_string_is_as_long_as_configured() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let answers = |server: &Server| {
        let (mut wire, mut other) = (server.dial(), server.dial());
        let (most, long) = ("x".repeat(MB), "x".repeat(MB + 1));
        let mut answers = vec![
            wire.cmd(&["SET", "grown", &long]),
            wire.ask("SET square 1"),
            wire.ask("CONFIG SET proto-max-bulk-len 1mb"),
            other.cmd(&["SET", "a", &most]),
            other.ask("APPEND a x"),
            other.ask("APPEND grown x"),
            other.ask("SETRANGE a 1048575 x"),
            other.ask("SETRANGE a 1048576 x"),
            other.cmd(&["APPEND", "new", &most]),
            other.cmd(&["SET", "square", &"x".repeat(600)]),
            other.ask("LCS square square LEN"),
        ];
        other.send_raw(format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n${}\r\n", MB + 1).as_bytes());
        answers.push(other.read());
        assert!(other.is_closed());
        answers.push(wire.ask("CONFIG SET proto-max-bulk-len 512mb"));
        answers.push(wire.cmd(&["SET", "a", &long]));
        answers.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(answers(&ours), answers(&redis));
}

#[test]
fn a_request_that_outgrows_the_query_buffer_ends_its_client() {
    for server in [Server::redis(&[]), Server::entourage(&[])] {
        let (mut wire, mut other) = (server.dial(), server.dial());
        assert_eq!(wire.ask("CONFIG SET client-query-buffer-limit 1mb").string(), "OK");
        let fits = "x".repeat(MB - 100);
        let pipeline = vec![crate::support::words(&["SET", "a", &fits]); 4];
        assert!(other.pipeline(&pipeline).iter().all(|it| it.text() == Some(b"OK")));
        // Short enough at its end to leave in one piece: a closed connection takes no more.
        other.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2000000\r\n");
        other.send_raw(&vec![b'x'; MB - 1000]);
        other.send_raw(&[b'x'; 1001]);
        assert!(other.is_closed());
        assert_eq!(wire.ask("STRLEN a").int(), Some(MB as i64 - 100));
    }
}

/// One long reply is pending output, however fast the client would read it.
#[test]
fn a_reply_past_the_hard_output_limit_ends_its_client() {
    for server in [Server::redis(&[]), Server::entourage(&[])] {
        let mut wire = server.dial();
        wire.cmd(&["SET", "long", &"x".repeat(200_000)]);
        wire.cmd(&["SET", "short", &"x".repeat(90_000)]);
        let limit = ["CONFIG", "SET", "client-output-buffer-limit", "normal 100000 0 0"];
        assert_eq!(wire.cmd(&limit).string(), "OK");
        assert_eq!(wire.ask("GET short").string().len(), 90_000);
        let mut other = server.dial();
        other.send(&[crate::support::words(&["GET", "long"])]);
        assert_eq!(other.read_to_end(), b"");
        assert_eq!(wire.ask("PING").string(), "PONG");
    }
}

fn talk(server: &Server, conversation: &str) -> Vec<String> {
    let mut wire = server.dial();
    let lines = conversation.split(';').map(str::trim);
    lines.map(|it| format!("{it} -> {}", without_versions(wire.ask(it).to_string()))).collect()
}

/// HELLO names a connection and a version of its own.
fn without_versions(reply: String) -> String {
    match reply.split_once("\"proto\"") {
        Some((_, rest)) => format!("proto{}", &rest[..4]),
        None => reply,
    }
}

#[test]
fn client_list_has_the_fields_of_redis_and_those_of_7_2_and_then_ours() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let fields = |server: &Server| {
        let line = server.dial().ask("CLIENT LIST").string();
        let line = line.lines().next().unwrap();
        let names = line.split_whitespace().map(|it| it.split('=').next().unwrap().to_string());
        names.collect::<Vec<_>>()
    };
    let mut expected = fields(&redis);
    expected.extend(["lib-name", "lib-ver", "level", "floor"].map(str::to_owned));
    assert_eq!(fields(&ours), expected);
}

#[test]
fn client_list_shows_what_others_are_doing() {
    let ours = Server::entourage(&[]);
    let (mut one, mut other) = (ours.dial(), ours.dial());
    let setup = [
        "CLIENT SETNAME bob",
        "CLIENT SETINFO LIB-NAME lib",
        "CLIENT SETINFO lib-ver 1.2",
        "SELECT 3",
        "CLIENT NO-EVICT ON",
        "MULTI",
        "GET a",
    ];
    setup.iter().for_each(|it| assert!(!one.ask(it).is_error(), "{it}"));
    // What others see is brought up to date once per batch, a moment after its replies.
    until("the line to be up to date", || {
        let line = other.ask("CLIENT LIST ID 1 2").string();
        let line = line.lines().find(|it| it.contains("name=bob"))?.to_string();
        let wanted = ["db=3", "flags=xe", "multi=1", "cmd=get", "lib-name=lib", "lib-ver=1.2"];
        wanted.iter().all(|it| line.contains(it)).then_some(())
    });
    assert!(other.ask("CLIENT SETINFO foo bar").is_error());
}

#[test]
fn client_list_names_no_command_behind_an_unknown_one() {
    let redis = Server::redis(&[]);
    let ours = Server::entourage(&[]);
    for wrong in ["NOSUCH a", "CLIENT NOSUCH", "CLIENT", "GET", "CLIENT ID 5"] {
        let [theirs, shown] = [&redis, &ours].map(|server| {
            let (mut one, mut other) = (server.dial(), server.dial());
            let id = one.ask("CLIENT ID").int().unwrap();
            assert!(one.ask(wrong).is_error());
            let line = other.ask(&format!("CLIENT LIST ID {id}")).string();
            line.split(' ').find(|it| it.starts_with("cmd=")).unwrap().to_owned()
        });
        assert_eq!(shown, theirs, "{wrong}");
    }
}

#[test]
fn a_killed_client_is_closed_and_killing_oneself_is_answered_first() {
    let ours = Server::entourage(&[]);
    let (mut killer, mut killed) = (ours.dial(), ours.dial());
    let id = killed.ask("CLIENT ID").int().unwrap();
    assert_eq!(killer.ask(&format!("CLIENT KILL ID {id}")).int(), Some(1));
    assert!(killed.is_closed());
    until("all others to be gone", || {
        killer.ask("CLIENT KILL TYPE normal SKIPME yes").int().filter(|it| *it == 0)
    });
    let own = killer.ask("CLIENT INFO").string();
    let own = own.split(' ').find_map(|it| it.strip_prefix("addr=")).unwrap().to_string();
    assert_eq!(killer.ask(&format!("CLIENT KILL {own}")).string(), "OK");
    assert!(killer.is_closed());
}

#[test]
fn unblock_ends_another_client_s_wait() {
    let ours = Server::entourage(&[]);
    for (reason, reply) in [("TIMEOUT", ":"), ("ERROR", "-UNBLOCKED")] {
        let (mut waiting, mut other) = (ours.dial(), ours.dial());
        let id = waiting.ask("CLIENT ID").int().unwrap();
        waiting.send(&[crate::support::words(&["WAIT", "99", "0"])]);
        until("the client to wait", || {
            other.ask(&format!("CLIENT UNBLOCK {id} {reason}")).int().filter(|it| *it == 1)
        });
        assert!(waiting.read().to_string().starts_with(reply));
    }
}

#[test]
fn replies_are_left_out_as_asked() {
    for server in [Server::redis(&[]), Server::entourage(&[])] {
        let mut wire = server.dial();
        let lines = ["CLIENT REPLY OFF", "PING a", "NOSUCH", "CLIENT REPLY ON", "PING b"];
        lines.iter().for_each(|it| say(&mut wire, it));
        assert_eq!([wire.read().string(), wire.read().string()], ["OK", "b"]);
        let lines =
            ["CLIENT REPLY SKIP", "PING a", "PING b", "CLIENT REPLY SKIP", "RESET", "PING c"];
        lines.iter().for_each(|it| say(&mut wire, it));
        assert_eq!([wire.read().string(), wire.read().string()], ["b", "c"]);
        let lines = ["CLIENT REPLY OFF", "PING a", "RESET", "PING b"];
        lines.iter().for_each(|it| say(&mut wire, it));
        assert_eq!([wire.read().string(), wire.read().string()], ["RESET", "b"]);
    }
}

fn say(wire: &mut Wire, line: &str) {
    wire.send(&[crate::support::words(&line.split(' ').collect::<Vec<_>>())]);
}

#[test]
fn every_container_answers_help() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    for container in ["CLIENT", "COMMAND", "CONFIG", "LATENCY", "MEMORY", "OBJECT", "PROXY"] {
        let lines = wire.ask(&format!("{container} HELP"));
        let first = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        assert_eq!(lines.list()[0].string(), first);
    }
}

#[test]
fn a_password_is_asked_for_before_anything_else() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    for server in [&redis, &ours] {
        assert_eq!(server.dial().ask("CONFIG SET requirepass secret").string(), "OK");
    }
    let lines = "GET a; PING; HELLO; HELLO 3; HELLO 4; AUTH wrong; AUTH default wrong; \
         AUTH bob secret; HELLO 2 AUTH default wrong; HELLO 3 AUTH default secret; GET a; RESET; \
         GET a; AUTH secret; GET a; RESET; AUTH default secret; GET a; QUIT";
    assert_eq!(talk(&ours, lines), talk(&redis, lines));
}

/// Clients of which the server has yet to notice that they are gone, the one asking aside.
fn others(wire: &mut Wire) -> usize {
    wire.ask("CLIENT LIST").string().lines().count() - 1
}

/// What it has sent ahead does not hide that it has gone.
#[test]
fn a_waiting_client_that_has_gone_or_been_killed_is_let_go() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    for is_killed in [false, true] {
        let mut waiting = server.dial();
        let id = waiting.ask("CLIENT ID").int().unwrap();
        waiting.send_raw(b"SET x 1\r\nWAIT 9 0\r\n");
        assert_eq!(waiting.read().string(), "OK");
        until("the client to wait", || {
            wire.ask(&format!("CLIENT LIST ID {id}")).string().contains("flags=b").then_some(())
        });
        waiting.send_raw(b"PING\r\n");
        if is_killed {
            assert_eq!(wire.ask(&format!("CLIENT KILL ID {id}")).int(), Some(1));
        } else {
            drop(waiting);
        }
        until("the client to be gone", || (others(&mut wire) == 0).then_some(()));
    }
}

#[test]
fn a_sleeping_client_can_be_woken() {
    let server = Server::entourage(&[]);
    let (mut sleeping, mut other) = (server.dial(), server.dial());
    let id = sleeping.ask("CLIENT ID").int().unwrap();
    sleeping.send_raw(b"DEBUG SLEEP 1e9\r\n");
    until("the client to sleep", || {
        other.ask(&format!("CLIENT UNBLOCK {id}")).int().filter(|it| *it == 1)
    });
    assert_eq!(sleeping.read().string(), "OK");
    sleeping.send_raw(b"DEBUG SLEEP 1e9\r\n");
    drop(sleeping);
    until("the client to be gone", || (others(&mut other) == 0).then_some(()));
}

/// A page in a browser can send a form anywhere, this port included.
#[test]
fn an_http_request_runs_nothing() {
    for request in ["POST / HTTP/1.1\r\n\r\n", "Host: x\r\n", "GET / x\r\nHOST: y\r\n"] {
        let server = Server::entourage(&[]);
        let mut wire = server.dial();
        wire.send_raw(format!("{request}SET pwned 1\r\n").as_bytes());
        assert!(wire.is_closed());
        assert_eq!(server.dial().ask("EXISTS pwned").int(), Some(0));
    }
}

/// Whoever sends many of them does not write our log.
#[test]
fn http_requests_are_logged_once_a_second_at_most() {
    let server = Server::entourage(&[]);
    let began = Instant::now();
    for _ in 0..300 {
        let mut wire = server.dial();
        wire.send_raw(b"POST / HTTP/1.1\r\n\r\n");
        assert!(wire.is_closed());
    }
    let most = 1 + began.elapsed().as_secs() as usize;
    let lines = server.said().matches("event=http-refused").count();
    assert!((1..=most).contains(&lines), "{lines} lines in {most} s");
}

#[test]
fn looks_of_a_client_with_no_touch_are_no_uses() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.ask("SET a 1");
    let Some(dump) = wire.ask("DUMP a").text().map(<[u8]>::to_vec) else { panic!("no payload") };
    let restore: [&[u8]; 7] = [b"RESTORE", b"a", b"0", &dump, b"REPLACE", b"IDLETIME", b"1000"];
    wire.cmd(&restore);
    let mut idle_after = |line: &str| {
        wire.ask(line);
        wire.ask("OBJECT IDLETIME a").int().unwrap()
    };
    assert!(1000 <= idle_after("CLIENT NO-TOUCH ON"));
    assert!(1000 <= idle_after("GET a"));
    assert!(idle_after("TOUCH a") < 1000);
}
