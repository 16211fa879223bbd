//! What is refused or held back, in which state of the set and by which settings.

use super::*;
use crate::base::ids::MemberId;
use crate::base::position::{Offset, Position};
use crate::command::codes::LINK_DOWN;
use crate::node::{DiskTrouble, MemberFlags};
use crate::session::Lost;

#[test]
fn a_set_without_a_link_to_its_master_refuses_what_could_be_stale_where_it_is_told_to() {
    for serves_stale in [true, false] {
        let config = format!("[set]\nreplica-serve-stale-data = {serves_stale}\n");
        let mut proxy = Proxy::new(&config);
        let mut early = proxy.connect();
        assert_eq!(proxy.ask(&mut early, "GET a"), "$-1", "it follows nobody");
        follow(&proxy);
        let (down, pong) = (format!("-{LINK_DOWN}"), "+PONG".to_owned());
        let (expected, pong) = if serves_stale { ("$-1", pong) } else { ("-MASTERDOWN", down) };
        for client in [&mut early, &mut proxy.connect()] {
            assert_eq!(code(&proxy.ask(client, "GET a")), expected);
            assert_eq!(proxy.ask(client, "PING"), pong);
            assert_eq!(code(&proxy.ask(client, "CLIENT ID"))[..1], *":", "it touches no data");
        }
    }
}

#[test]
fn a_set_that_follows_forwards_writes_or_refuses_them() {
    for (writes, expected) in [("readonly", "-READONLY"), ("forward", "")] {
        let mut proxy = Proxy::new(&format!("[set]\nwrites = \"{writes}\"\n"));
        let mut client = proxy.connect();
        assert_eq!(proxy.ask(&mut client, "SET a 1"), "+OK");
        follow(&proxy);
        assert_eq!(proxy.ask(&mut client, "GET a"), "$1 1");
        let mut other = proxy.connect();
        for client in [&mut client, &mut other] {
            assert_eq!(code(&proxy.ask(client, "SET a 2")), expected);
        }
    }
}

#[test]
fn while_data_is_loaded_only_what_touches_none_is_answered() {
    let mut proxy = Proxy::new("");
    let mut early = proxy.connect();
    proxy.server.set.set_loading(true);
    for client in [&mut early, &mut proxy.connect()] {
        assert_eq!(code(&proxy.ask(client, "GET a")), "-LOADING");
        assert_eq!(code(&proxy.ask(client, "SET a 1")), "-LOADING");
        assert_eq!(code(&proxy.ask(client, "CLIENT ID"))[..1], *":");
    }
    proxy.server.set.set_loading(false);
    assert_eq!(proxy.ask(&mut early, "GET a"), "$-1");
}

#[test]
fn what_cannot_be_kept_is_not_written_but_by_a_set_that_follows() {
    for (trouble, words) in [(DiskTrouble::AppendOnlyFile, "AOF"), (DiskTrouble::Snapshot, "RDB")] {
        let mut proxy = Proxy::new("[set]\nwrites = \"readonly\"\n");
        let mut client = proxy.connect();
        proxy.server.set.set_disk_trouble(Some(trouble));
        for line in ["SET a 1", "PING", "MULTI\r\nSET a 1\r\nEXEC"] {
            let reply = proxy.ask(&mut client, line);
            assert!(reply.contains("MISCONF") && reply.contains(words), "{line}: {reply}");
        }
        assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
        assert_eq!(proxy.ask(&mut client, "MULTI\r\nGET a\r\nEXEC"), "+OK +QUEUED *1 $-1");
        let script = proxy.ask(&mut client, "EVAL \"return redis.call('set','a','1')\" 0");
        assert!(script.contains("MISCONF"), "{script}");
        follow(&proxy);
        assert_eq!(proxy.ask(&mut client, "PING"), "+PONG");
        assert_eq!(code(&proxy.ask(&mut client, "SET a 1")), "-READONLY");
    }
}

#[test]
fn what_waits_runs_apart_or_has_a_level_of_its_own_is_not_queued() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    for line in ["PROXY ONCE LEVEL master DO GET a", "BGSAVE", "MONITOR", "SUBSCRIBE c"] {
        assert_eq!(proxy.ask(&mut client, "MULTI"), "+OK");
        let reply = proxy.ask(&mut client, line);
        if reply != "+QUEUED" {
            assert!(reply.starts_with("-ERR"), "{line}: {reply}");
            assert_eq!(code(&proxy.ask(&mut client, "EXEC")), "-EXECABORT", "{line}");
        } else {
            assert_eq!(proxy.ask(&mut client, "DISCARD"), "+OK");
        }
    }
    assert_eq!(proxy.ask(&mut client, "MULTI"), "+OK");
    let reply = proxy.ask(&mut client, "PROXY ONCE LEVEL master DO GET a");
    assert!(reply.contains("not allowed inside a transaction"), "{reply}");
    assert_eq!(proxy.ask(&mut client, "DISCARD"), "+OK");
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
}

#[test]
fn a_subscriber_of_resp2_only_subscribes_and_one_of_resp3_does_anything() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "SUBSCRIBE c"), "*3 $9 subscribe $1 c :1");
    let refused = proxy.ask(&mut client, "GET a");
    assert!(refused.starts_with("-ERR Can't execute 'get'"), "{refused}");
    assert_eq!(proxy.ask(&mut client, "PING"), "*2 $4 pong $0");
    assert_eq!(proxy.ask(&mut client, "UNSUBSCRIBE"), "*3 $11 unsubscribe $1 c :0");
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "HELLO 3");
    assert_eq!(proxy.ask(&mut client, "SUBSCRIBE c"), ">3 $9 subscribe $1 c :1");
    assert_eq!(proxy.ask(&mut client, "GET a"), "_");
}

#[test]
fn who_monitors_touches_no_data() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "MONITOR"), "+OK");
    for line in ["GET a", "SET a 1", "PUBLISH c m", "EVAL \"return 1\" 0"] {
        let reply = proxy.ask(&mut client, line);
        assert!(reply.contains("Replica can't interact with the keyspace"), "{line}: {reply}");
    }
    assert!(proxy.ask(&mut client, "PING").contains("+PONG"));
    assert!(proxy.ask(&mut client, "RESET").contains("+RESET"));
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
}

#[test]
fn what_was_lost_is_told_once_and_to_a_transaction_at_its_end() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    let lost = Some(Lost { from: Offset::new(5), to: Offset::new(9) });
    client.caller.session.lost = lost;
    assert_eq!(code(&proxy.ask(&mut client, "GET a")), "-LOSTWRITE");
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
    assert_eq!(proxy.ask(&mut client, "MULTI\r\nGET a"), "+OK +QUEUED");
    client.caller.session.lost = lost;
    assert_eq!(proxy.ask(&mut client, "GET a"), "+QUEUED");
    assert_eq!(proxy.ask(&mut client, "EXEC"), "*2 $-1 $-1");
    assert_eq!(code(&proxy.ask(&mut client, "GET a")), "-LOSTWRITE");
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
}

#[test]
fn a_floor_that_a_failover_cut_off_is_told_of_by_whatever_is_asked_next() {
    for line in ["GET a", "SET a 1", "PING"] {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, "SET a 1");
        let set = proxy.server.set.clone();
        let floor = client.caller.session.floor.expect("it has written");
        let beyond = Position { offset: floor.offset.after(9), ..floor };
        client.caller.session.wrote(beyond, NOW);
        set.fail_over(set.member(MemberId(1))).unwrap();
        assert_eq!(code(&proxy.ask(&mut client, line)), "-LOSTWRITE", "{line}");
        assert_ne!(code(&proxy.ask(&mut client, line)), "-LOSTWRITE", "{line}");
    }
}

#[test]
fn a_pause_of_writers_holds_what_moves_the_stream_and_nothing_else() {
    for (before, line, reply, is_held) in [
        ("PING", "GET a", "$-1", false),
        ("PING", "SET a 1", "", true),
        ("PING", "PUBLISH c m", "", true),
        ("PING", "PING", "+PONG", false),
        ("MULTI\r\nGET a", "EXEC", "*1 $-1", false),
        ("MULTI\r\nSET a 1", "EXEC", "", true),
        ("MULTI\r\nPUBLISH c m", "EXEC", "", true),
        ("MULTI\r\nPUBLISH c m", "DISCARD", "+OK", false),
        ("MULTI", "SET a 1", "", true),
    ] {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, before);
        assert_eq!(proxy.ask_anew("CLIENT PAUSE 1000000 WRITE"), "+OK");
        assert_eq!(proxy.ask(&mut client, line), reply, "{before} {line}");
        assert_eq!(client.is_blocked(), is_held, "{before} {line}");
        assert_eq!(proxy.ask_anew("CLIENT UNPAUSE"), "+OK");
        assert_eq!(proxy.ask_anew("SET b 1"), "+OK");
        assert_eq!(proxy.ask_anew("CLIENT PAUSE 1000000 ALL"), "+OK");
        assert_eq!(proxy.ask_anew("GET b"), "");
    }
}

#[test]
fn without_enough_good_replicas_nothing_is_written() {
    let mut proxy = Proxy::new("[set]\nreplicas = 1\nmin-replicas-to-write = 1\n");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "SET a 1"), "+OK");
    let set = proxy.server.set.clone();
    set.member(MemberId(1)).enter(MemberFlags::UNSYNCED, NOW);
    for line in ["SET a 2", "MULTI\r\nSET a 2\r\nEXEC", "EVAL \"redis.call('del','a')\" 0"] {
        let reply = proxy.ask(&mut client, line);
        assert!(reply.contains("NOREPLICAS"), "{line}: {reply}");
    }
    assert_eq!(proxy.ask(&mut client, "GET a"), "$1 1");
}

#[test]
fn a_bulk_string_may_be_as_long_as_the_settings_say_and_less_before_auth() {
    let mut proxy = Proxy::new("[server]\nproto-max-bulk-len = \"2mb\"\n");
    let announce = |proxy: &mut Proxy, bytes: usize| {
        let mut client = proxy.connect();
        proxy.send(&mut client, format!("*2\r\n$4\r\nPING\r\n${bytes}\r\n").as_bytes())
    };
    assert_eq!(announce(&mut proxy, 2 << 20), "");
    assert_eq!(announce(&mut proxy, (2 << 20) + 1), "-ERR Protocol error: invalid bulk length");
    let mut proxy = Proxy::new("[server]\nrequirepass = \"p\"\n");
    assert_eq!(announce(&mut proxy, 16384), "");
    let refused = announce(&mut proxy, 16385);
    assert!(refused.starts_with("-ERR Protocol error: unauthenticated bulk length"), "{refused}");
}

#[test]
fn subscribers_and_monitors_have_an_output_limit_of_their_own() {
    let mut proxy = Proxy::new(
        "[server.client-output-buffer-limit]\nnormal = \"7mb 0 0\"\npubsub = \"5mb 0 0\"\n",
    );
    let limit = |proxy: &mut Proxy, line: &str| {
        let mut client = proxy.connect();
        proxy.ask(&mut client, line);
        client.caller.output_limit().hard_bytes >> 20
    };
    assert_eq!(limit(&mut proxy, "PING"), 7);
    assert_eq!(limit(&mut proxy, "SUBSCRIBE c"), 5);
    assert_eq!(limit(&mut proxy, "SUBSCRIBE c\r\nUNSUBSCRIBE c"), 7);
    assert_eq!(limit(&mut proxy, "MONITOR"), 5);
}

#[test]
fn a_route_that_refuses_is_asked_of_each_request_behind_a_look_whether_any_does() {
    let route = "[[route]]\nname = \"secret\"\nkeys = [\"secret:*\"]\nrefuse = true\n";
    let mut proxy = Proxy::new(route);
    assert_eq!(code(&proxy.ask_anew("GET secret:1")), "-REFUSED");
    assert_eq!(proxy.ask_anew("GET open:1"), "$-1");
    assert_eq!(code(&proxy.ask_anew("SET secret:1 a")), "-REFUSED");
}

#[test]
fn settings_that_change_hold_from_the_next_batch_on() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "CONFIG SET min-replicas-to-write 5"), "+OK");
    assert_eq!(code(&proxy.ask(&mut client, "SET a 1")), "-NOREPLICAS");
    assert_eq!(proxy.ask_anew("CONFIG SET min-replicas-to-write 0"), "+OK");
    assert_eq!(proxy.ask(&mut client, "SET a 1"), "+OK");
}
