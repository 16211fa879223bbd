//! What is answered later: once it is on disk, or replicas have it.

use super::*;
use crate::base::ids::{BlockId, MemberId};
use crate::node::{Applied, ApplyBudget};
use crate::server::connection::{SYNC, Why};
use crate::state::{Message, UnblockAs};

#[test]
fn a_reply_to_a_write_waits_until_it_is_on_disk_and_what_is_behind_it_too() {
    let config = "[set]\ndir = \"/nowhere\"\nappendonly = true\nappendfsync = \"always\"\n";
    let mut proxy = Proxy::new(config);
    let set = proxy.server.set.clone();
    let file = set.add_file("appendonly");
    set.resume_file(file);
    let mut client = proxy.connect();
    let asked = |proxy: &mut Proxy| {
        let sync = |it| if let Action::Sync(at) = it { Some(at) } else { None };
        proxy.actions.drain(..).filter_map(sync).collect::<Vec<_>>()
    };
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1", "it has written nothing");
    assert_eq!(proxy.ask(&mut client, "SET a 1\r\nGET a"), "");
    let first = set.head();
    assert_eq!((asked(&mut proxy), client.caller.is_unsynced()), (vec![first], true));
    assert_eq!(proxy.ask(&mut client, "SET a 2"), "");
    assert_eq!(asked(&mut proxy), [], "it is asked for already");
    assert_eq!(proxy.ask(&mut client, "GET a"), "", "in its order");
    let synced = |proxy: &mut Proxy, client: &mut Connection| {
        proxy.handle(client, Event::Message(Message::Woken(SYNC)));
        replies(client)
    };
    assert_eq!(synced(&mut proxy, &mut client), "");
    assert_eq!(asked(&mut proxy), [first], "it is not there yet");
    set.next_for_wire(file, set.history().replid, usize::MAX);
    assert!(set.synced_file(file, first, NOW));
    assert_eq!(synced(&mut proxy, &mut client), "+OK $1 1");
    assert_eq!(asked(&mut proxy), [set.head()]);
    assert!(set.synced_file(file, set.head(), NOW));
    let rest = synced(&mut proxy, &mut client);
    assert_eq!(proxy.go_on(&mut client, rest), "+OK $1 2");
    assert!(!client.caller.is_unsynced());
}

#[test]
fn wait_is_answered_with_who_has_it_however_it_ends() {
    for (end, expected) in [(0, ":0"), (1, "-UNBLOCKED"), (2, ":0"), (3, ":2")] {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        assert_eq!(proxy.ask(&mut client, "SET a 1\r\nWAIT 2 0\r\nGET a"), "+OK");
        let id = client.caller.last_block;
        assert!(client.is_blocked() && !client.is_at_work());
        let set = proxy.server.set.clone();
        if end == 3 {
            for at in [1, 2] {
                while set.apply(set.member(MemberId(at)), ApplyBudget::ALL) == Applied::Some {}
            }
        }
        let message = match end {
            0 => Message::Unblocked(id, UnblockAs::Timeout),
            1 => Message::Unblocked(id, UnblockAs::Error),
            2 => Message::ServerClosing,
            _ => Message::Woken(id),
        };
        proxy.handle(&mut client, Event::Message(message));
        let reply = replies(&mut client);
        let reply = proxy.go_on(&mut client, reply);
        assert!(reply.starts_with(expected), "{end}: {reply}");
        assert!(end == 2 || reply.ends_with("$1 1"), "{end}: {reply}");
    }
}

/// Why it wants to be closed, if it does.
fn closed(proxy: &mut Proxy) -> Option<Why> {
    proxy
        .actions
        .drain(..)
        .find_map(|it| if let Action::Close(why) = it { Some(why) } else { None })
}

#[test]
fn who_waits_for_others_when_the_proxy_shuts_down_is_closed_and_who_works_goes_on() {
    for (lines, expected) in [("BLPOP l 0", Some(Why::ServerClosing)), ("PING", None)] {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, lines);
        closed(&mut proxy);
        proxy.handle(&mut client, Event::Message(Message::ServerClosing));
        assert_eq!(closed(&mut proxy), expected, "{lines}");
        let late = proxy.ask(&mut client, "BLPOP l 0");
        assert_eq!((late.as_str(), client.is_closed()), ("", true), "{lines}");
    }
}

#[test]
fn who_has_sent_more_than_may_wait_is_closed() {
    let config = "[server]\nclient-query-buffer-limit = \"1mb\"\n";
    for (bytes, expected) in [(1 << 20, None), ((1 << 20) + 1, Some(Why::QueryLimit))] {
        let mut proxy = Proxy::new(config);
        let mut client = proxy.connect();
        let head = format!("*2\r\n$4\r\nECHO\r\n${}\r\n", 8 << 20);
        let rest = "x".repeat(bytes - head.len());
        proxy.send(&mut client, format!("{head}{rest}").as_bytes());
        proxy.handle(&mut client, Event::Proceed);
        assert_eq!(closed(&mut proxy), expected, "{bytes}");
        let unread = client.caller.client.unread.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(unread, bytes as u64);
    }
}

#[test]
fn who_does_not_take_its_replies_is_closed() {
    let config = "[server.client-output-buffer-limit]\nnormal = \"1mb 0 0\"\n";
    for (count, expected) in [(15, None), (16, Some(Why::OutputLimit))] {
        let mut proxy = Proxy::new(config);
        let mut client = proxy.connect();
        proxy.ask(&mut client, &format!("SET a {}", "x".repeat(64 << 10)));
        for _ in 0..count {
            client.caller.replies.push(&vec![b'x'; 64 << 10]);
        }
        client.check_output(NOW, &mut proxy.actions);
        assert_eq!(closed(&mut proxy), expected, "{count}");
    }
}

#[test]
fn a_wait_that_another_ends_stays() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "SET a 1\r\nWAIT 2 0");
    let id = client.caller.last_block;
    for message in
        [Message::Woken(BlockId(id.0 + 1)), Message::Unblocked(BlockId(id.0 + 1), UnblockAs::Error)]
    {
        proxy.handle(&mut client, Event::Message(message));
        assert!(client.is_blocked() && replies(&mut client).is_empty());
    }
    proxy.handle(&mut client, Event::Message(Message::Killed));
    assert_eq!(closed(&mut proxy), Some(Why::Killed));
}

#[test]
fn what_a_transaction_need_not_wait_for_is_done_behind_it_and_what_it_would_is_refused() {
    let mut proxy = Proxy::new("");
    let reply = proxy.ask_anew("MULTI\r\nSET a 1\r\nREPLICAOF NO ONE\r\nGET a\r\nEXEC");
    assert_eq!(reply, "+OK +QUEUED +QUEUED +QUEUED *3 +OK +OK $1 1");
    let later = proxy.actions.drain(..).find_map(|it| match it {
        Action::Later(jobs) => Some(jobs.len()),
        _ => None,
    });
    assert_eq!(later, Some(1));
    let reply = proxy.ask_anew("MULTI\r\nPROXY NODE n2 REMOVE\r\nSET b 1\r\nEXEC\r\nGET b");
    assert!(reply.contains("which a transaction cannot wait for"), "{reply}");
    assert!(reply.ends_with("+OK $1 1"), "the others are done: {reply}");
    assert!(!proxy.actions.iter().any(|it| matches!(it, Action::Apart(..) | Action::Later(_))));
}

#[test]
fn what_looks_at_members_within_a_transaction_sees_what_was_written_before_it() {
    let mut proxy = Proxy::new("");
    let lines = "MULTI\r\nSET a 1\r\nCONFIG SET slowlog-max-len 5\r\nINCR a\r\nEXEC\r\nGET a";
    assert_eq!(proxy.ask_anew(lines), "+OK +QUEUED +QUEUED +QUEUED *3 +OK +OK :2 $1 2");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "MULTI\r\nCONFIG SET slowlog-max-len 5\r\nEXEC");
    let floor = client.caller.session.floor.map(|it| it.offset);
    assert_eq!(floor, Some(proxy.server.set.head()), "it has seen all there is");
}

#[test]
fn what_a_client_hears_of_its_own_is_no_part_of_replies_that_may_give_way_to_an_error() {
    for (before, within) in [("PING", true), ("PROXY ACKS 1 0", false)] {
        let mut proxy = Proxy::new("");
        let mut client = proxy.connect();
        proxy.ask(&mut client, "HELLO 3");
        proxy.ask(&mut client, &format!("SUBSCRIBE c\r\n{before}"));
        let reply = proxy.ask(&mut client, "MULTI\r\nPUBLISH c m\r\nEXEC");
        assert_eq!(reply.contains("message"), within, "{before}: {reply}");
        assert_eq!(client.caller.client.mailbox.has_messages(), !within, "{before}");
    }
}
