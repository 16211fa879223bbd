//! Where requests go in a set whose members are real servers, and with which others.

use super::*;
use crate::base::ids::{MemberId, RouteId, SlotId};
use crate::base::position::{Offset, Position, ReplId};
use crate::base::time::MonoUs;
use crate::commands::{Job, Leased};
use crate::node::upstream::{MemberState, Report, RunAcks, RunKind};
use crate::resp::encode_command;
use crate::route::Reason;
use crate::script::sha1hex;
use crate::session::{Lost, SubscriptionKind, Subscriptions};
use crate::state::{Aim, JobReply, Message};

const HISTORY: ReplId = ReplId::new([1; 20]);

/// Three real servers of which nothing has been heard.
fn unknown(more: &str) -> Proxy {
    let members: String = (0..3)
        .map(|it| format!("[[member]]\nname = \"m{it}\"\naddress = \"h:700{it}\"\n"))
        .collect();
    Proxy::new(&format!("{more}\n{members}"))
}

/// The first of them is the master, the others are its replicas.
fn upstream(more: &str) -> Proxy {
    let proxy = unknown(more);
    (0..3).for_each(|it| tell(&proxy, it, it == 0));
    proxy
}

fn tell(proxy: &Proxy, member: u16, is_master: bool) {
    tell_with_link(proxy, member, is_master, !is_master);
}

fn tell_with_link(proxy: &Proxy, member: u16, is_master: bool, is_linked: bool) {
    let report = Report {
        is_master,
        at: Position { replid: HISTORY, offset: Offset::new(100) },
        past: Vec::new(),
        follows: None,
        is_linked,
        is_syncing: false,
        proxy: None,
        acked: Vec::new(),
    };
    let upstream = proxy.server.upstream.as_ref().unwrap();
    // Behind whatever time it was when they became members.
    upstream.reported(&upstream.member(MemberId(member)), report, MonoUs(u64::MAX / 2));
}

/// What is to be sent, its words in a line.
#[derive(Debug)]
struct Sent {
    words: String,
    to: To,
    slot: SlotId,
}

// A test has one of these at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum To {
    Member(Aim, RunKind, Option<RunAcks>),
    Own(Leased),
}

impl Sent {
    /// Whether it is for the master, with so many replies up to that of the last write.
    fn is_for_master(&self, replies: usize) -> bool {
        let To::Member(Aim::Master, RunKind::Master { written, .. }, _) = self.to else {
            return false;
        };
        written == replies
    }

    fn aim(&self) -> Aim {
        let To::Member(aim, ..) = self.to else { panic!("{self:?}") };
        aim
    }

    fn needs(&self) -> Option<Position> {
        let To::Member(_, RunKind::Read(read), _) = self.to else { panic!("{self:?}") };
        read.needs
    }
}

fn words(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).unwrap();
    let words = text.split("\r\n").filter(|it| !it.is_empty() && !it.starts_with(['*', '$']));
    words.collect::<Vec<_>>().join(" ")
}

fn sent(proxy: &mut Proxy) -> Option<Sent> {
    proxy.actions.drain(..).find_map(|it| match it {
        Action::Apart(Job::Upstream(it), slot) => {
            let to = To::Member(it.aim, it.run.kind, it.run.acks);
            Some(Sent { words: words(it.run.bytes), to, slot })
        }
        Action::Apart(Job::Leased(it, how), slot) => {
            Some(Sent { words: words(it.bytes), to: To::Own(how), slot })
        }
        _ => None,
    })
}

/// What a new client's lines have sent first.
fn first(proxy: &mut Proxy, lines: &str) -> Sent {
    let mut client = proxy.connect();
    let reply = proxy.ask(&mut client, lines);
    sent(proxy).unwrap_or_else(|| panic!("{lines}: {reply}"))
}

fn answer(proxy: &mut Proxy, client: &mut Connection, slot: SlotId, reply: &str) -> String {
    let filled = JobReply { reply: Ok(reply.into()), wrote: None };
    proxy.handle(client, Event::Message(Message::Filled(slot, filled)));
    let all = replies(client);
    proxy.go_on(client, all)
}

#[test]
fn requests_of_one_batch_that_go_to_the_same_member_are_sent_together() {
    for (lines, together) in [
        ("SET a 1\r\nSET b 1", "SET a 1 SET b 1"),
        ("SET a 1\r\nGET a\r\nSORT l\r\nSORT l STORE k", "SET a 1 GET a SORT l SORT l STORE k"),
        ("SET a 1\r\nXNEW a\r\nGET a", "SET a 1 XNEW a GET a"),
        ("XNEW a\r\nSET a 1", "XNEW a SET a 1"),
        ("GET a\r\nGET b\r\nEXISTS a", "GET a GET b EXISTS a"),
        ("GET a\r\nSET b 1", "GET a"),
        ("GET a\r\nXNEW b", "GET a"),
        ("GET a\r\nSORT_RO l", "GET a SORT_RO l"),
        ("GET a\r\nSORT l", "GET a"),
        ("GET a\r\nXPENDING s g", "GET a"),
        ("GET a\r\nSCAN 0", "GET a"),
        ("SET a 1\r\nHSCAN h 0", "SET a 1"),
        ("SCAN 0\r\nGET a", "SCAN 0"),
        ("ZSCAN z 0\r\nGET a", "ZSCAN z 0"),
        ("SET a 1\r\nPING", "SET a 1"),
        ("SET a 1\r\nMULTI", "SET a 1"),
        ("SET a 1\r\nPUBLISH c m", "SET a 1"),
        ("PROXY ONCE LEVEL master DO GET a\r\nGET a", "GET a"),
        ("HELLO 3\r\nPROXY TAG ALL\r\nSET a 1\r\nSET b 1", "SET a 1"),
        ("CLIENT REPLY SKIP\r\nSET a 1\r\nSET b 1", "SET a 1"),
    ] {
        assert_eq!(first(&mut upstream(""), lines).words, together, "{lines}");
    }
}

#[test]
fn no_more_is_gathered_than_may_wait_for_its_first_reply() {
    let many = |count: usize| vec!["SET a 1"; count].join("\r\n");
    let count = |lines: &str| first(&mut upstream(""), lines).words.matches("SET a 1").count();
    assert_eq!(count(&many(1 << 10)), 1 << 10);
    assert_eq!(count(&many((1 << 10) + 1)), 1 << 10);
    let large = format!("SET a {}", "x".repeat(1 << 20));
    let mut proxy = upstream("");
    let mut client = proxy.connect();
    let mut encoded = Vec::new();
    for line in [large.as_str(), "SET b 1"] {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        encode_command(&mut encoded, words.into_iter());
    }
    proxy.send(&mut client, &encoded);
    let sent = sent(&mut proxy).unwrap();
    assert!(sent.words == large, "what is large goes by itself");
}

#[test]
fn requests_of_two_routes_are_not_sent_together() {
    let route = "[[route]]\nname = \"s\"\nkeys = [\"s:*\"]\nlevel = \"eventual\"\n";
    for (lines, together) in [
        ("GET a\r\nGET s:1", "GET a"),
        ("GET s:1\r\nGET s:2", "GET s:1 GET s:2"),
        ("SET a 1\r\nSET s:1 1", "SET a 1"),
        ("SET s:1 1\r\nSET s:2 1", "SET s:1 1 SET s:2 1"),
        ("SET a 1\r\nGET s:1", "SET a 1 GET s:1"),
        ("SET a 1\r\nXNEW b", "SET a 1 XNEW b"),
        ("SET s:1 1\r\nXNEW b", "SET s:1 1"),
    ] {
        assert_eq!(first(&mut upstream(route), lines).words, together, "{lines}");
    }
}

#[test]
fn writes_go_to_the_master_and_say_up_to_which_reply_something_is_written() {
    for (lines, written) in [
        ("SET a 1", 1),
        ("SET a 1\r\nGET a", 1),
        ("SET a 1\r\nGET a\r\nINCR a", 3),
        ("XNEW a", 1),
        ("PROXY ONCE LEVEL master DO GET a", 0),
        ("OBJECT FREQ a\r\nGET a", 0),
        ("SORT l", 0),
    ] {
        let sent = first(&mut upstream(""), lines);
        assert!(sent.is_for_master(written), "{lines}: {sent:?}");
    }
}

#[test]
fn where_the_stream_stands_is_asked_behind_all_but_eventual_reads() {
    let asks = |config: &str, lines: &str| {
        let sent = first(&mut upstream(config), lines);
        let To::Member(_, RunKind::Master { wants_place, .. }, _) = sent.to else {
            panic!("{lines}: {sent:?}")
        };
        wants_place
    };
    let eventual = "[consistency]\nlevel = \"eventual\"\n";
    assert!(asks("", "SORT l") && !asks(eventual, "SORT l"));
    assert!(asks(eventual, "SET a 1") && asks(eventual, "SORT l\r\nSET a 1"));
    let mixed = "[consistency]\nlevel = \"eventual\"\n\
                 [[route]]\nname = \"s\"\nkeys = [\"s:*\"]\nlevel = \"sticky\"\n";
    assert!(asks(mixed, "SORT a\r\nSORT s:1"), "one of them is not eventual");
}

#[test]
fn reads_go_to_a_replica_and_ask_it_for_what_their_session_has_seen() {
    for (level, needs_floor) in [("sticky", true), ("eventual", false)] {
        let mut proxy = upstream(&format!("[consistency]\nlevel = \"{level}\"\n"));
        let mut client = proxy.connect();
        let floor = Position { replid: HISTORY, offset: Offset::new(70) };
        client.caller.session.floor = Some(floor);
        assert_eq!(proxy.ask(&mut client, "GET a"), "");
        let sent = sent(&mut proxy).unwrap();
        assert!(matches!(sent.aim(), Aim::Replica(MemberId(1 | 2))), "{level}: {sent:?}");
        assert_eq!(sent.needs(), needs_floor.then_some(floor), "{level}");
        let last = client.caller.session.last;
        assert!(!last.is_remote && last.route == RouteId::DEFAULT, "{last:?}");
        assert_eq!(answer(&mut proxy, &mut client, sent.slot, "$1\r\n1\r\n"), "$1 1");
    }
}

#[test]
fn a_read_that_only_the_master_may_serve_says_why() {
    let prefers = "[consistency]\nprefer-master = true\n";
    let linearizable = "[consistency]\nlevel = \"linearizable\"\n";
    for (config, line, because) in [
        (prefers, "GET a", Reason::PrefersMaster),
        (linearizable, "GET a", Reason::Linearizable),
        ("", "SORT l", Reason::Write),
        ("", "PROXY ONCE LEVEL master DO GET a", Reason::AskedMaster),
    ] {
        let mut proxy = upstream(config);
        let mut client = proxy.connect();
        proxy.ask(&mut client, line);
        assert!(sent(&mut proxy).unwrap().is_for_master(0), "{line}");
        let last = client.caller.session.last;
        assert_eq!((last.because, last.is_remote), (Some(because), true), "{line}");
    }
}

#[test]
fn without_a_master_eventual_reads_are_served_by_who_has_lost_its_link() {
    for (level, is_linked, expected) in [
        ("eventual", false, Aim::Replica(MemberId(2))),
        ("sticky", false, Aim::Master),
        ("eventual", true, Aim::Replica(MemberId(2))),
    ] {
        let mut proxy = unknown(&format!("[consistency]\nlevel = \"{level}\"\n"));
        tell_with_link(&proxy, 2, false, is_linked);
        assert_eq!(first(&mut proxy, "GET a").aim(), expected, "{level} {is_linked}");
    }
}

#[test]
fn a_scan_goes_on_where_it_has_begun_as_long_as_that_server_lives() {
    let cursor = |member: u64| (5 << 10 | member).to_string();
    let mut proxy = upstream("");
    let begun = first(&mut proxy, "SCAN 0 COUNT 7");
    assert!(matches!(begun.aim(), Aim::Replica(_)), "{begun:?}");
    let sent = first(&mut proxy, &format!("SCAN {} COUNT 7", cursor(2)));
    assert_eq!((sent.words.as_str(), sent.aim()), ("SCAN 5 COUNT 7", Aim::Replica(MemberId(2))));
    let sent = first(&mut proxy, &format!("HSCAN h {}", cursor(1)));
    assert_eq!((sent.words.as_str(), sent.aim()), ("HSCAN h 5", Aim::Replica(MemberId(1))));
    let sent = first(&mut proxy, &format!("SCAN {}", cursor(0)));
    assert!(sent.is_for_master(0), "{sent:?}");
    let lost = |proxy: &mut Proxy, cursor: String| {
        let reply = proxy.ask_anew(&format!("SCAN {cursor}"));
        let sent = self::sent(proxy);
        assert_eq!(sent.is_none(), reply.starts_with('-'), "{cursor}: {reply}");
        sent.is_none()
    };
    assert!(lost(&mut proxy, cursor(3)), "there is no such member");
    let upstream = proxy.server.upstream.clone().unwrap();
    upstream.failed(&upstream.member(MemberId(2)), MemberState::Silent);
    assert!(lost(&mut proxy, cursor(2)), "it does not answer");
    tell(&proxy, 2, false);
    assert!(!lost(&mut proxy, cursor(2)), "it has been the same all the time");
    upstream.failed(&upstream.member(MemberId(2)), MemberState::Unreachable("x".into()));
    tell(&proxy, 2, false);
    assert!(lost(&mut proxy, cursor(2)), "it may have begun anew");
}

#[test]
fn a_scan_that_goes_on_asks_for_its_sessions_floor_unless_it_is_eventual() {
    for (level, needs_floor) in [("sticky", true), ("eventual", false)] {
        let mut proxy = upstream(&format!("[consistency]\nlevel = \"{level}\"\n"));
        let mut client = proxy.connect();
        let floor = Position { replid: HISTORY, offset: Offset::new(70) };
        client.caller.session.floor = Some(floor);
        proxy.ask(&mut client, &format!("SCAN {}", 5 << 10 | 2));
        let sent = sent(&mut proxy).unwrap();
        assert_eq!(sent.needs(), needs_floor.then_some(floor), "{level}");
    }
}

#[test]
fn what_must_be_confirmed_is_asked_of_the_most_that_route_and_session_want() {
    let acks = |config: &str, lines: &str| {
        let sent = first(&mut upstream(config), lines);
        let To::Member(_, _, acks) = sent.to else { panic!("{lines}: {sent:?}") };
        (sent.words, acks.map(|it| it.replicas))
    };
    let one = "[consistency]\nacks = 1\n";
    assert_eq!(acks("", "SET a 1"), ("SET a 1".into(), None));
    assert_eq!(acks(one, "SET a 1"), ("SET a 1".into(), Some(1)));
    assert_eq!(acks(one, "GET a").1, None, "it writes nothing");
    assert_eq!(acks("[consistency]\nacks = \"all\"\n", "SET a 1").1, Some(2));
    assert_eq!(acks("[consistency]\nacks = \"in-sync\"\n", "SET a 1").1, Some(2));
    assert_eq!(acks(one, "PROXY ACKS 2 0\r\nSET a 1").1, Some(2));
    assert_eq!(acks("[consistency]\nacks = 2\n", "PROXY ACKS 1 0\r\nSET a 1").1, Some(2));
    assert_eq!(acks(one, "SET a 1\r\nGET a").0, "SET a 1", "a read is not held up");
    for (config, read, write) in [
        (one, "SORT l", "SET a 1"),
        (one, "SORT l", "XNEW a 1"),
        ("[consistency]\nlevel = \"linearizable\"\nacks = 1\n", "GET a", "SET a 1"),
    ] {
        let mut proxy = upstream(config);
        let mut client = proxy.connect();
        proxy.ask(&mut client, &format!("{read}\r\n{write}"));
        let sent = sent(&mut proxy).expect("the read");
        assert_eq!(sent.words, read, "a write that is to be confirmed is no part of it: {sent:?}");
    }
}

#[test]
fn a_command_that_is_unknown_here_goes_to_the_master_only_for_who_may_do_anything() {
    for (before, is_subscribed, is_forwarded) in [
        ("PING", false, true),
        ("PING", true, false),
        ("MULTI", false, false),
        ("ACL SETUSER u on nopass ~* +@all -get\r\nAUTH u x", false, false),
    ] {
        let mut proxy = upstream("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, before);
        if is_subscribed {
            let mut subscriptions = Subscriptions::default();
            subscriptions.add(SubscriptionKind::Channel, "c".into());
            client.caller.session.subscriptions = Some(Box::new(subscriptions));
        }
        let reply = proxy.ask(&mut client, "XNEW a");
        assert_eq!(sent(&mut proxy).is_some(), is_forwarded, "{before}: {reply}");
        assert_eq!(reply.starts_with("-ERR unknown command"), !is_forwarded, "{before}: {reply}");
    }
    let reply = upstream("").ask_anew("SENTINEL masters");
    assert!(reply.starts_with("-ERR unknown command"), "a master is not asked for that: {reply}");
}

#[test]
fn what_was_lost_is_told_instead_of_what_nobody_knows_here() {
    let mut proxy = upstream("");
    let mut client = proxy.connect();
    client.caller.session.lost = Some(Lost { from: Offset::new(5), to: Offset::new(9) });
    assert_eq!(code(&proxy.ask(&mut client, "XNEW a")), "-LOSTWRITE");
    assert!(sent(&mut proxy).is_none());
    proxy.ask(&mut client, "XNEW a");
    assert!(sent(&mut proxy).is_some());
}

#[test]
fn verbs_of_the_proxy_are_answered_by_the_master_where_it_has_what_they_tell() {
    for (line, words) in [
        ("SCRIPT LOAD x", "SCRIPT LOAD x"),
        ("SCRIPT EXISTS x", "SCRIPT EXISTS x"),
        ("PUBSUB CHANNELS", "PUBSUB CHANNELS"),
        ("MODULE LIST", "MODULE LIST"),
    ] {
        let sent = first(&mut upstream(""), line);
        assert_eq!(sent.words, words);
        assert!(sent.is_for_master(1), "{line}: {sent:?}");
    }
    for (line, how, words) in [
        ("SCRIPT KILL", Leased::Kill, "SCRIPT KILL"),
        ("FUNCTION STATS", Leased::Kill, "FUNCTION STATS"),
        ("MIGRATE h 1 k 0 1", Leased::Once, "MIGRATE h 1 k 0 1"),
        ("SELECT 3", Leased::Once, "SELECT 3"),
        ("WATCH a", Leased::Watch, "WATCH a"),
        ("BLPOP l 0", Leased::Once, "BLPOP l 0"),
    ] {
        let sent = first(&mut upstream(""), line);
        assert_eq!(sent.words, words);
        assert!(matches!(sent.to, To::Own(it) if it == how), "{line}: {sent:?}");
    }
    let acked = first(&mut upstream(""), "WAITAOF 1 0 0").words;
    assert!(acked.starts_with("PUBLISH") && acked.ends_with("WAITAOF 1 0 0"), "{acked}");
}

#[test]
fn verbs_that_only_hosted_members_know_are_refused() {
    for line in ["SAVE", "BGSAVE", "REPLICAOF NO ONE", "DEBUG SLEEP 0", "FAILOVER", "LASTSAVE"] {
        let mut proxy = upstream("");
        let reply = proxy.ask_anew(line);
        assert!(reply.starts_with("-NOTHOSTED") && sent(&mut proxy).is_none(), "{line}: {reply}");
        let name = line.split(' ').next().unwrap();
        assert!(reply.contains(name), "{line}: {reply}");
    }
}

#[test]
fn a_database_is_asked_for_before_a_client_is_in_it_and_once() {
    let mut proxy = upstream("");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "SELECT 0"), "+OK");
    assert_eq!(proxy.ask(&mut client, "SELECT 3"), "");
    let sent = sent(&mut proxy).unwrap();
    assert_eq!(answer(&mut proxy, &mut client, sent.slot, "+OK\r\n"), "+OK");
    assert_eq!(client.caller.session.db, 3);
    assert_eq!(proxy.ask_anew("SELECT 3"), "+OK", "it is there");
    for refused in ["SELECT 16", "SELECT x"] {
        let reply = proxy.ask_anew(refused);
        assert!(reply.starts_with("-ERR") && self::sent(&mut proxy).is_none(), "{reply}");
    }
}

#[test]
fn what_a_client_subscribes_to_is_subscribed_to_at_the_master_first() {
    for line in ["SUBSCRIBE c", "PSUBSCRIBE c*", "SSUBSCRIBE c"] {
        let mut proxy = upstream("");
        let mut client = proxy.connect();
        assert_eq!(proxy.ask(&mut client, line), "", "{line}");
        assert!(client.is_blocked(), "{line}");
        let id = client.caller.last_block;
        proxy.handle(&mut client, Event::Message(Message::Woken(id)));
        let reply = replies(&mut client);
        assert_eq!(proxy.go_on(&mut client, reply), "", "{line}: it is not there yet");
    }
}

#[test]
fn a_script_that_only_reads_goes_where_reads_go_and_others_to_the_master() {
    let known = sha1hex(b"return 1");
    let known = std::str::from_utf8(&known).unwrap();
    let mut proxy = upstream("");
    assert!(first(&mut proxy, "EVAL \"return 1\" 0").is_for_master(1));
    let sent = first(&mut proxy, "EVAL_RO \"return 1\" 0");
    assert!(matches!(sent.aim(), Aim::Replica(_)), "{sent:?}");
    let lines = format!("EVALSHA {known} 0\r\nSET a 1");
    let sent = first(&mut proxy, &lines);
    assert_eq!(sent.words, format!("EVALSHA {known} 0"), "it may have to be told its text");
    let lines = format!("EVALSHA_RO {known} 0\r\nGET a");
    let sent = first(&mut proxy, &lines);
    assert_eq!(sent.words, format!("EVALSHA_RO {known} 0"));
}
