//! Connections without shells: what they answer, request by request, in one thread.

use super::{Action, BatchContext, Connection, Event, WorkerScratch};
use crate::base::ids::{MemberId, SlotId};
use crate::base::position::{Offset, Position, ReplId};
use crate::base::remote_address::RemoteAddress;
use crate::base::time::{Clock, MonoUs, WallMs};
use crate::command::codes::LINK_DOWN;
use crate::commands::Job;
use crate::config::Config;
use crate::engine::Thresholds;
use crate::node::{Awaited, DiskTrouble, MemberFlags, RemoteMaster, ReplicaSet, new_replid};
use crate::runtime::stream::Peer;
use crate::session::TokenSigner;
use crate::state::{JobReply, Message, ProcessInfo, Server};
use std::collections::VecDeque;
use std::sync::Arc;

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn mono_ns(&self) -> u64 {
        5_000_000_000
    }

    fn wall_now(&self) -> WallMs {
        WallMs(1_700_000_000_000)
    }
}

const NOW: MonoUs = MonoUs(5_000_000);

/// A proxy whose connections are served by the calling thread.
struct Proxy {
    server: Arc<Server>,
    scratch: WorkerScratch,
    actions: Vec<Action>,
}

impl Proxy {
    fn new(config: &str) -> Proxy {
        let config = Config::parse("a test", config).expect("it is sound");
        let (id, thresholds) = (new_replid(), Thresholds::default());
        let set = ReplicaSet::new(config.set.replicas, 1, id, thresholds, 1 << 20, 1 << 20);
        let (birth, signer) = (ProcessInfo::now(0, String::new()), TokenSigner::new(b"a secret"));
        let server = Server::new(Arc::new(set), 1, config, birth, signer, None);
        let scratch = WorkerScratch::new(0, 1);
        Proxy { server: Arc::new(server), scratch, actions: Vec::new() }
    }

    fn connect(&self) -> Connection {
        let peer = Peer {
            address: "client:1".into(),
            local_address: "proxy:6379".into(),
            is_unix: false,
            is_local: true,
            descriptor: 0,
        };
        let client = self.server.clients.enter(peer, usize::MAX, NOW).expect("there is room");
        Connection::open(self.server.clone(), client, "main".into(), NOW)
    }

    fn handle(&mut self, connection: &mut Connection, event: Event<'_>) {
        connection.caller.refresh(NOW);
        let member_list = connection.caller.member_list.clone();
        let (set, actions) = (&self.server.set, &mut self.actions);
        let mut context = BatchContext::begin(
            &mut self.scratch,
            set,
            &member_list,
            &Still,
            Still.mono_ns(),
            actions,
        );
        connection.handle(event, &mut context);
    }

    /// Sends one line, and answers what is to be sent back.
    fn ask(&mut self, connection: &mut Connection, line: &str) -> String {
        self.send(connection, format!("{line}\r\n").as_bytes())
    }

    fn send(&mut self, connection: &mut Connection, bytes: &[u8]) -> String {
        self.handle(connection, Event::Bytes(bytes));
        replies(connection)
    }

    /// As [`Proxy::ask`], of a client that has said nothing before.
    fn ask_anew(&mut self, line: &str) -> String {
        let mut connection = self.connect();
        self.ask(&mut connection, line)
    }
}

fn replies(connection: &mut Connection) -> String {
    let mut all = Vec::new();
    while let Some(bytes) = connection.poll_transmit() {
        let count = bytes.len();
        all.extend_from_slice(bytes);
        connection.transmitted(count);
    }
    String::from_utf8_lossy(&all).replace("\r\n", " ").trim_end().to_owned()
}

/// The first word of a reply: the code of an error.
fn code(reply: &str) -> &str {
    reply.split(' ').next().unwrap_or_default()
}

fn follow(proxy: &Proxy) {
    let address = RemoteAddress { host: "there".into(), port: 1 };
    proxy.server.set.follow(RemoteMaster::new(address, NOW));
}

#[test]
fn what_is_written_and_read_is_answered_in_order() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    let all = proxy.ask(&mut client, "SET a 1\r\nGET a\r\nINCR a\r\nGET a\r\nNONSENSE\r\nPING");
    let expected = "+OK $1 1 :2 $1 2 -ERR unknown command 'NONSENSE', with args beginning with:  \
                    +PONG";
    assert_eq!(all, expected);
}

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
fn who_has_gone_is_on_no_list() {
    let mut proxy = Proxy::new("");
    let (mut subscriber, mut monitor) = (proxy.connect(), proxy.connect());
    proxy.ask(&mut subscriber, "SUBSCRIBE c");
    proxy.ask(&mut monitor, "MONITOR");
    assert_eq!(proxy.ask_anew("PUBSUB NUMSUB c"), "*2 $1 c :1");
    assert!(proxy.server.monitors.are_any());
    drop((subscriber, monitor));
    assert_eq!(proxy.ask_anew("PUBSUB NUMSUB c"), "*2 $1 c :0");
    assert!(!proxy.server.monitors.are_any());
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

#[test]
fn http_is_turned_away_and_its_connection_closed() {
    for line in ["POST / HTTP/1.1", "Host: here"] {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, line);
        assert!(client.is_closing() || client.is_closed(), "{line}");
    }
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    assert_eq!(code(&proxy.ask(&mut client, "GETS /")), "-ERR");
    assert!(!client.is_closing());
}

#[test]
fn a_tag_stands_in_front_of_what_a_member_has_answered() {
    let mut proxy = Proxy::new("[set]\nreplicas = 1\n");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "HELLO 3");
    assert_eq!(proxy.ask(&mut client, "PROXY TAG ALL"), "+OK");
    let read = proxy.ask(&mut client, "GET a");
    assert!(read.starts_with('|') && read.ends_with('_'), "{read}");
    assert_eq!(proxy.ask(&mut client, "PING"), "+PONG", "the proxy's own");
    assert_eq!(proxy.ask(&mut client, "PROXY TAG STALE"), "+OK");
    assert_eq!(proxy.ask(&mut client, "GET a"), "_", "it is not stale");
    assert_eq!(proxy.ask(&mut client, "PROXY TAG OFF"), "+OK");
    assert_eq!(proxy.ask(&mut client, "GET a"), "_");
}

#[test]
fn a_stale_read_is_tagged_where_the_ladder_allows_it() {
    let mut proxy = Proxy::new(
        "[set]\nreplicas = 1\n[consistency]\nlevel = \"sticky\"\non-lag = [\"stale\"]\n",
    );
    let mut client = proxy.connect();
    proxy.ask(&mut client, "HELLO 3\r\nPROXY TAG STALE\r\nSET a 1");
    let read = proxy.ask(&mut client, "GET a");
    assert!(read.starts_with("|4 $5 stale #t"), "{read}");
    assert!(read.ends_with('_'), "the replica has nothing yet: {read}");
}

#[test]
fn a_history_that_nobody_knows_sends_reads_to_the_master() {
    let mut proxy = Proxy::new("[set]\nreplicas = 1\n[consistency]\nlevel = \"sticky\"\n");
    let mut client = proxy.connect();
    let unknown = Position { replid: ReplId::new([9; 20]), offset: Offset::new(7) };
    client.caller.session.floor = Some(unknown);
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1");
    assert_eq!(client.caller.session.last.member, MemberId(0));
    assert_ne!(client.caller.session.floor.map(|it| it.replid), Some(unknown.replid));
}

/// What was sent to the master: the requests' words, and the replies that are awaited.
fn forwarded(proxy: &mut Proxy) -> Option<(String, VecDeque<Awaited>, SlotId)> {
    proxy.actions.drain(..).find_map(|it| match it {
        Action::Apart(Job::Forward(it) | Job::Leased(it, _), slot) => {
            let text = String::from_utf8(it.bytes).unwrap();
            let words =
                text.split("\r\n").filter(|it| !it.is_empty() && !it.starts_with(['*', '$']));
            Some((words.collect::<Vec<_>>().join(" "), it.replies, slot))
        }
        _ => None,
    })
}

fn forwarding(more: &str) -> Proxy {
    let proxy = Proxy::new(&format!("[set]\nwrites = \"forward\"\n{more}"));
    follow(&proxy);
    proxy
}

fn answered(
    proxy: &mut Proxy,
    client: &mut Connection,
    slot: SlotId,
    reply: Result<&str, &str>,
) -> String {
    let reply = reply.map(|it| it.as_bytes().to_vec()).map_err(str::to_owned);
    let filled = Message::Filled(slot, JobReply { reply, wrote: None });
    proxy.handle(client, Event::Message(filled));
    proxy.handle(client, Event::Proceed);
    replies(client)
}

#[test]
fn what_is_refused_among_gathered_writes_keeps_its_place() {
    let route = "[[route]]\nname = \"secret\"\nkeys = [\"secret:*\"]\nrefuse = true\n";
    let mut proxy = forwarding(route);
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "SET a 1\r\nSET secret:1 x\r\nSET b 1"), "");
    let (words, awaited, _) = forwarded(&mut proxy).unwrap();
    assert_eq!((words.as_str(), awaited.len()), ("SET a 1 SET b 1", 3));
    assert!(matches!(&awaited[1], Awaited::Known(it) if it.starts_with(b"-REFUSED")));
}

#[test]
fn what_is_tagged_waits_for_keys_or_looks_before_it_writes_is_sent_by_itself() {
    for (before, lines, first) in [
        ("HELLO 3\r\nPROXY TAG ALL", "SET a 1\r\nSET b 1", "SET a 1"),
        ("PING", "SET a 1\r\nBLPOP l 0", "SET a 1"),
        ("PING", "BLPOP l 0\r\nSET a 1", "BLPOP l 0"),
        ("PING", "SET a 1\r\nSORT l STORE k\r\nSET b 1", "SET a 1 SORT l STORE k SET b 1"),
        ("PING", "SET a 1\r\nSORT l\r\nSET b 1", "SET a 1"),
        ("PING", "SET a 1\r\nPUBLISH c m", "SET a 1"),
        ("PING", "PUBLISH c m\r\nSET a 1", "PUBLISH c m"),
    ] {
        let mut proxy = forwarding("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, before);
        assert_eq!(proxy.ask(&mut client, lines), "", "{lines}");
        assert_eq!(forwarded(&mut proxy).unwrap().0, first, "{lines}");
    }
}

#[test]
fn a_transaction_is_forwarded_whole_and_selects_only_if_it_was_done() {
    for (reply, db) in [
        (Ok("*2\r\n+OK\r\n+OK\r\n"), 3),
        (Ok("*-1\r\n"), 0),
        (Ok("-EXECABORT x\r\n"), 0),
        (Err("UNKNOWN x"), 0),
    ] {
        let mut proxy = forwarding("");
        let mut client = proxy.connect();
        let queued = proxy.ask(&mut client, "MULTI\r\nSET a 1\r\nSELECT 3\r\nEXEC");
        assert_eq!(queued, "+OK +QUEUED +QUEUED");
        let (words, awaited, slot) = forwarded(&mut proxy).unwrap();
        assert_eq!(words, "MULTI SET a 1 SELECT 3 EXEC");
        assert_eq!(awaited, [Awaited::Last(4)]);
        answered(&mut proxy, &mut client, slot, reply);
        assert_eq!(client.caller.session.db, db, "{reply:?}");
    }
    let mut proxy = forwarding("");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "MULTI\r\nSELECT 16\r\nEXEC");
    let (_, _, slot) = forwarded(&mut proxy).unwrap();
    answered(&mut proxy, &mut client, slot, Ok("*1\r\n+OK\r\n"));
    assert_eq!(client.caller.session.db, 0, "there is no such database");
}

#[test]
fn a_transaction_of_what_is_said_to_the_proxy_stays_and_one_of_both_is_refused() {
    for (lines, words) in [
        ("MULTI\r\nEXEC", Some("MULTI EXEC")),
        ("MULTI\r\nPUBLISH c m\r\nEXEC", Some("MULTI PUBLISH c m EXEC")),
        ("MULTI\r\nPING\r\nECHO x\r\nEXEC", Some("MULTI PING ECHO x EXEC")),
        ("MULTI\r\nCLIENT ID\r\nEXEC", None),
        ("MULTI\r\nSUBSCRIBE c\r\nEXEC", None),
        ("MULTI\r\nSET a 1\r\nCLIENT ID\r\nEXEC", None),
    ] {
        let mut proxy = forwarding("");
        let mut client = proxy.connect();
        let reply = proxy.ask(&mut client, lines);
        let sent = forwarded(&mut proxy).map(|it| it.0);
        assert_eq!(sent.as_deref(), words, "{lines}: {reply}");
        let is_refused = reply.contains("EXECABORT");
        assert_eq!(is_refused, lines.contains("SET a 1\r\nCLIENT"), "{lines}: {reply}");
    }
}

#[test]
fn a_watch_at_the_master_has_a_connection_of_its_own_until_it_ends() {
    let mut proxy = forwarding("");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "WATCH a"), "");
    let (words, _, slot) = forwarded(&mut proxy).unwrap();
    assert_eq!(words, "WATCH a");
    assert_eq!(answered(&mut proxy, &mut client, slot, Ok("+OK\r\n")), "+OK");
    assert!(client.caller.session.watches_remote);
    assert_eq!(proxy.ask(&mut client, "UNWATCH"), "+OK");
    assert!(!client.caller.session.watches_remote);
    let refused = proxy.ask(&mut client, "MULTI\r\nWATCH a");
    assert!(refused.contains("-ERR WATCH inside MULTI"), "{refused}");
    assert!(!client.caller.session.watches_remote && forwarded(&mut proxy).is_none());
}

#[test]
fn a_transaction_runs_whole_or_not_at_all() {
    for (lines, expected) in [
        (
            "MULTI\r\nSET a 1\r\nINCR a\r\nGET a\r\nEXEC",
            "+OK +QUEUED +QUEUED +QUEUED *3 +OK :2 $1 2",
        ),
        (
            "MULTI\r\nSET a x\r\nINCR a\r\nEXEC\r\nGET a",
            "+OK +QUEUED +QUEUED *2 +OK -ERR value is not an integer or out of range $1 x",
        ),
        (
            "MULTI\r\nSET a 1\r\nNONSENSE\r\nEXEC\r\nGET a",
            "+OK +QUEUED -ERR unknown command 'NONSENSE', with args beginning with:  \
          -EXECABORT Transaction discarded because of previous errors. $-1",
        ),
        ("MULTI\r\nSET a 1\r\nDISCARD\r\nGET a", "+OK +QUEUED +OK $-1"),
        (
            "MULTI\r\nSELECT 3\r\nSET a 1\r\nEXEC\r\nGET a\r\nSELECT 0\r\nGET a",
            "+OK +QUEUED +QUEUED *2 +OK +OK $1 1 +OK $-1",
        ),
        ("WATCH a\r\nSET a 1\r\nMULTI\r\nSET a 2\r\nEXEC\r\nGET a", "+OK +OK +OK +QUEUED *-1 $1 1"),
        (
            "WATCH a\r\nUNWATCH\r\nSET a 1\r\nMULTI\r\nSET a 2\r\nEXEC",
            "+OK +OK +OK +OK +QUEUED *1 +OK",
        ),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("MULTI\r\nMULTI\r\nEXEC", "+OK -ERR MULTI calls can not be nested *0"),
        ("MULTI\r\nBLPOP l 0\r\nEXEC", "+OK +QUEUED *1 *-1"),
        ("MULTI\r\nWAIT 9 0\r\nEXEC", "+OK +QUEUED *1 :2"),
        ("MULTI\r\nWAITAOF 0 9 0\r\nEXEC", "+OK +QUEUED *1 *2 :0 :0"),
        ("MULTI\r\nSORT l\r\nSORT l STORE k\r\nEXEC", "+OK +QUEUED +QUEUED *2 *0 :0"),
        ("MULTI\r\nCLIENT REPLY OFF\r\nEXEC", "+OK +QUEUED"),
        ("RPUSH l a\r\nBLPOP l 0\r\nLLEN l", ":1 *2 $1 l $1 a :0"),
    ] {
        assert_eq!(Proxy::new("").ask_anew(lines), expected, "{lines}");
    }
}

#[test]
fn replies_are_silenced_as_client_reply_says() {
    for (lines, expected) in [
        ("CLIENT REPLY SKIP\r\nSET a 1\r\nGET a", "$1 1"),
        ("CLIENT REPLY OFF\r\nSET a 1\r\nNONSENSE\r\nCLIENT REPLY ON\r\nGET a", "+OK $1 1"),
        ("CLIENT REPLY OFF\r\nSUBSCRIBE c\r\nCLIENT REPLY ON", "*3 $9 subscribe $1 c :1"),
    ] {
        let reply = Proxy::new("").ask_anew(lines);
        assert!(reply.starts_with(expected), "{lines}: {reply}");
    }
}

#[test]
fn a_message_reaches_all_who_subscribe_and_its_publisher_before_its_reply() {
    let mut proxy = Proxy::new("");
    let (mut other, mut client) = (proxy.connect(), proxy.connect());
    proxy.ask(&mut other, "SUBSCRIBE c");
    assert_eq!(proxy.ask(&mut client, "PUBLISH c m"), ":1");
    assert!(client.caller.session.floor.is_some_and(|it| Offset::ZERO < it.offset));
    assert_eq!(client.caller.session.last_write, proxy.server.set.head());
    for message in other.caller.client.mailbox.take().unwrap() {
        proxy.handle(&mut other, Event::Message(message));
    }
    assert_eq!(replies(&mut other), "*3 $7 message $1 c $1 m");
    assert_eq!(other.caller.session.floor, client.caller.session.floor);
    proxy.ask(&mut client, "HELLO 3");
    proxy.ask(&mut client, "SUBSCRIBE c");
    for (lines, expected) in [
        ("PUBLISH c m", ">3 $7 message $1 c $1 m :2"),
        ("PUBLISH d m", ":0"),
        ("MULTI\r\nPUBLISH c m\r\nEXEC", "+OK +QUEUED *1 >3 $7 message $1 c $1 m :2"),
    ] {
        assert_eq!(proxy.ask(&mut client, lines), expected, "{lines}");
    }
    proxy.ask(&mut client, "PROXY TAG STALE");
    assert_eq!(proxy.ask(&mut client, "PUBLISH c m"), ":2", "its own comes like everyone's");
    assert!(client.caller.client.mailbox.has_messages());
}

#[test]
fn scripts_are_answered_as_redis_answers_them() {
    let unknown = "0".repeat(40);
    for (lines, expected) in [
        ("EVAL \"return 1\" 0".to_owned(), ":1"),
        ("EVAL \"return {KEYS[1],ARGV[1]}\" 1 k v".into(), "*2 $1 k $1 v"),
        ("EVAL \"return 1\" x".into(), "-ERR value is not an integer or out of range"),
        ("EVAL \"return 1\" -1".into(), "-ERR Number of keys can't be negative"),
        (
            "EVAL \"return 1\" 2 a".into(),
            "-ERR Number of keys can't be greater than number of args",
        ),
        (format!("EVALSHA {unknown} 0"), "-NOSCRIPT No matching script. Please use EVAL."),
        ("EVAL \"return redis.call('set',KEYS[1],ARGV[1])\" 1 k v\r\nGET k".into(), "+OK $1 v"),
        ("SET k v\r\nEVAL_RO \"return redis.call('get',KEYS[1])\" 1 k".into(), "+OK $1 v"),
        ("EVAL \"redis.call('select',3) redis.call('set','k','v')\" 0\r\nGET k".into(), "$-1 $-1"),
        ("EVAL \"return redis.pcall('incr')['err'] ~= nil\" 0".into(), ":1"),
        (
            "EVAL \"redis.call('set','k','1') return redis.call('incr','k')\" 0\r\nGET k".into(),
            ":2 $1 2",
        ),
        ("EVAL \"return redis.call('publish','c','m')\" 0".into(), ":0"),
        (
            "MULTI\r\nEVAL \"return redis.call('incr','k')\" 0\r\nGET k\r\nEXEC".into(),
            "+OK +QUEUED +QUEUED *2 :1 $1 1",
        ),
        (
            "SCRIPT LOAD \"return 7\"\r\nEVALSHA 41bd5f4f5fd9c3e4dc3d6ad1e1f4ad1c0d1a9b3e 0".into(),
            "$40",
        ),
    ] {
        let reply = Proxy::new("").ask_anew(&lines);
        assert!(reply.starts_with(expected), "{lines}: {reply}");
    }
    for lines in [
        "EVAL_RO \"return redis.call('set','k','v')\" 0",
        "EVAL \"#!lua flags=no-writes\\nreturn redis.call('set','k','v')\" 0",
        "EVAL \"return redis.call('nonsense')\" 0",
        "EVAL \"return redis.call('watch','k')\" 0",
        "EVAL \"return redis.call('multi')\" 0",
        "FCALL f 0",
        "EVAL \"syntax error\" 0",
    ] {
        let reply = Proxy::new("").ask_anew(lines);
        assert!(reply.starts_with("-"), "{lines}: {reply}");
        assert_eq!(Proxy::new("").ask_anew(&format!("{lines}\r\nGET k")), format!("{reply} $-1"));
    }
}
