//! What goes to the master that a set follows, and what comes of it.

use super::*;
use crate::base::ids::SlotId;
use crate::commands::Job;
use crate::node::Awaited;
use crate::resp::encode_command;
use crate::script::sha1hex;
use crate::state::{JobReply, Message};
use std::collections::VecDeque;

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
    let all = replies(client);
    proxy.go_on(client, all)
}

#[test]
fn writes_that_follow_each_other_are_sent_together_and_what_is_behind_waits() {
    let mut proxy = forwarding("");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "SET a 1\r\nINCR b\r\nGET a\r\nSET c 1"), "");
    let (words, awaited, slot) = forwarded(&mut proxy).unwrap();
    assert_eq!(words, "SET a 1 INCR b");
    assert_eq!(awaited, [Awaited::Last(1), Awaited::Last(1)]);
    assert!(client.is_blocked() && client.is_at_work());
    assert_eq!(answered(&mut proxy, &mut client, slot, Ok("+OK\r\n:1\r\n")), "+OK :1 $-1");
    let (words, _, slot) = forwarded(&mut proxy).unwrap();
    assert_eq!(words, "SET c 1");
    let lost = answered(&mut proxy, &mut client, slot, Err("UNKNOWN x"));
    assert_eq!(lost, "-UNKNOWN x");
    assert!(!client.is_blocked());
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
fn what_is_no_request_is_answered_behind_the_writes_before_it() {
    let mut proxy = forwarding("");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "SET a 1\r\n*x"), "");
    let (words, _, slot) = forwarded(&mut proxy).unwrap();
    assert_eq!(words, "SET a 1");
    let all = answered(&mut proxy, &mut client, slot, Ok("+OK\r\n"));
    assert!(all.starts_with("+OK -ERR Protocol error"), "{all}");
    assert!(client.is_closing());
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
fn whatever_ends_a_transaction_here_ends_what_it_watched_at_the_master() {
    let refused = "[[route]]\nname = \"secret\"\nkeys = [\"secret:*\"]\nrefuse = true\n";
    for (lines, answer) in [
        ("MULTI\r\nNOSUCH\r\nSET a 1\r\nEXEC", "-EXECABORT"),
        ("MULTI\r\nSET a\r\nEXEC", "-EXECABORT"),
        ("MULTI\r\nSET secret:1 x\r\nEXEC", "-EXECABORT"),
        ("MULTI\r\nEXEC x", "-EXECABORT"),
        ("MULTI\r\nSET a 1\r\nCLIENT ID\r\nEXEC", "-EXECABORT"),
        ("MULTI\r\nCLIENT GETNAME\r\nEXEC", "*1"),
        ("MULTI\r\nNOSUCH\r\nDISCARD", "+OK"),
    ] {
        let mut proxy = forwarding(refused);
        let mut client = proxy.connect();
        proxy.ask(&mut client, "WATCH a");
        let (_, _, slot) = forwarded(&mut proxy).unwrap();
        answered(&mut proxy, &mut client, slot, Ok("+OK\r\n"));
        assert!(client.caller.session.watches_remote);
        let reply = proxy.ask(&mut client, lines);
        assert!(reply.contains(answer), "{lines}: {reply}");
        assert!(forwarded(&mut proxy).is_none(), "{lines}");
        assert!(!client.caller.session.watches_remote, "{lines}: {reply}");
    }
}

/// As many bytes as this, once it is encoded.
fn set_of(bytes: usize) -> Vec<u8> {
    let encoded = |len: usize| {
        let (mut out, value) = (Vec::new(), vec![b'x'; len]);
        encode_command(&mut out, [&b"SET"[..], b"a", &value].into_iter());
        out
    };
    let rest = encoded(bytes - 100).len() - (bytes - 100);
    encoded(bytes - rest)
}

#[test]
fn what_is_large_is_sent_without_what_is_behind_it() {
    for (bytes, count) in [((1 << 20) - 1, 2), (1 << 20, 1)] {
        let mut proxy = forwarding("");
        let mut client = proxy.connect();
        let large = set_of(bytes);
        assert_eq!(large.len(), bytes);
        proxy.send(&mut client, &[&large, &b"SET b 1\r\n"[..]].concat());
        assert_eq!(forwarded(&mut proxy).unwrap().1.len(), count, "{bytes}");
    }
}

#[test]
fn what_is_silenced_or_queued_is_not_sent_with_others() {
    for (before, lines, first) in [
        ("CLIENT REPLY OFF", "SET a 1\r\nSET b 1", "SET a 1"),
        ("MULTI", "SET a 1\r\nSET b 1\r\nEXEC\r\nSET c 1", "MULTI SET a 1 SET b 1 EXEC"),
        ("PING", "SET a 1\r\nSELECT 2\r\nSET b 1", "SET a 1"),
    ] {
        let mut proxy = forwarding("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, before);
        proxy.ask(&mut client, lines);
        assert_eq!(forwarded(&mut proxy).unwrap().0, first, "{lines}");
    }
}

#[test]
fn a_script_that_is_known_here_goes_with_its_text() {
    let script_of = |proxy: &mut Proxy| {
        proxy.actions.drain(..).find_map(|it| match it {
            Action::Apart(Job::Forward(it), _) => Some(it.script),
            _ => None,
        })
    };
    let sha = sha1hex(b"return 1");
    let sha = std::str::from_utf8(&sha).unwrap();
    let mut proxy = forwarding("");
    proxy.ask_anew(&format!("EVALSHA {sha} 0"));
    assert_eq!(script_of(&mut proxy), Some(None), "only the master may know it");
    proxy.server.scripting.note(b"return 1").unwrap();
    proxy.ask_anew(&format!("EVALSHA {sha} 0"));
    assert_eq!(script_of(&mut proxy), Some(Some(b"return 1"[..].into())));
    proxy.ask_anew("EVAL \"return 1\" 0");
    assert_eq!(script_of(&mut proxy), Some(None), "it is its text");
}
