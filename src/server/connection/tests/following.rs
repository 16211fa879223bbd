//! Reads in a set that follows a master: here, there, or once the stream has come so far.

use super::*;
use crate::base::position::{Offset, Position};
use crate::commands::{BlockOn, Job};
use crate::node::{Condition, FoundMaster, Told};
use crate::route::Reason;
use crate::state::{JobReply, Message, Wrote};
use std::time::Duration;

/// A set that follows a master and forwards what is for that.
fn following(more: &str) -> Proxy {
    let proxy = Proxy::new(&format!("[set]\nwrites = \"forward\"\n[consistency]\n{more}\n"));
    follow(&proxy);
    proxy
}

/// Whether something goes to the master.
fn is_forwarded(proxy: &mut Proxy) -> bool {
    proxy.actions.drain(..).any(|it| matches!(it, Action::Apart(Job::Forward(_), _)))
}

/// What the session has seen is so many bytes ahead of the stream here.
fn see_ahead(proxy: &Proxy, client: &mut Connection, bytes: u64) -> Offset {
    let set = &proxy.server.set;
    let offset = Offset::new(set.head().bytes() + bytes);
    client.caller.session.floor = Some(Position { replid: set.history().replid, offset });
    offset
}

#[test]
fn what_only_the_master_can_tell_is_asked_there_and_says_why() {
    for (level, line, because) in [
        ("sticky", "GET a", None),
        ("eventual", "GET a", None),
        ("linearizable", "GET a", Some(Reason::Linearizable)),
        ("master", "GET a", Some(Reason::AskedMaster)),
        ("sticky", "XPENDING s g", Some(Reason::OfMember)),
        ("sticky", "PROXY ONCE LEVEL master DO GET a", Some(Reason::AskedMaster)),
    ] {
        let mut proxy = following(&format!("level = \"{level}\""));
        let mut client = proxy.connect();
        let reply = proxy.ask(&mut client, line);
        assert_eq!(is_forwarded(&mut proxy), because.is_some(), "{level} {line}: {reply}");
        let last = client.caller.session.last;
        assert_eq!(last.is_remote, because.is_some(), "{level} {line}");
        assert!(because.is_none() || last.because == because, "{level} {line}: {last:?}");
        assert_eq!(last.is_of_once, line.starts_with("PROXY"), "{level} {line}");
    }
}

#[test]
fn a_read_that_names_a_member_here_is_served_there() {
    let mut proxy = following("level = \"linearizable\"");
    assert_eq!(proxy.ask_anew("PROXY ONCE AT n2 DO GET a"), "$-1");
    assert!(!is_forwarded(&mut proxy));
}

#[test]
fn a_read_waits_until_the_stream_has_what_its_session_has_seen() {
    let mut proxy = following("level = \"sticky\"\non-lag = [\"wait 40ms\", \"master\"]");
    let mut client = proxy.connect();
    see_ahead(&proxy, &mut client, 0);
    assert_eq!(proxy.ask(&mut client, "GET a"), "$-1", "all of it is here");
    let needs = see_ahead(&proxy, &mut client, 1);
    assert_eq!(proxy.ask(&mut client, "GET a"), "");
    let on = |it| if let Action::Block(_, on) = it { Some(on) } else { None };
    let on = proxy.actions.drain(..).find_map(on);
    assert_eq!(on, Some(BlockOn::Offset(Condition::Streamed, needs)));
    proxy.now = NOW.plus(Duration::from_millis(40));
    assert_eq!(client.poll_deadline(), Some(proxy.now));
    let now = proxy.now;
    proxy.handle(&mut client, Event::Time(now));
    proxy.go_on(&mut client, String::new());
    assert!(is_forwarded(&mut proxy), "the next step is the master");
    assert_eq!(client.caller.session.last.because, Some(Reason::MasterOnLag));
}

#[test]
fn a_read_that_may_not_wait_is_stale_or_an_error_as_its_ladder_says() {
    for (ladder, reply) in [("stale", "$-1"), ("error", "-LAGGED")] {
        let mut proxy = following(&format!("level = \"sticky\"\non-lag = [\"{ladder}\"]"));
        let mut client = proxy.connect();
        see_ahead(&proxy, &mut client, 7);
        let told = proxy.ask(&mut client, "GET a");
        assert!(told.starts_with(reply), "{ladder}: {told}");
        assert!(!is_forwarded(&mut proxy));
    }
}

#[test]
fn what_a_forwarded_write_has_written_is_what_the_next_read_needs() {
    let mut proxy = following("level = \"sticky\"\non-lag = [\"error\"]");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "SET a 1");
    let slot = |it| if let Action::Apart(_, slot) = it { Some(slot) } else { None };
    let slot = proxy.actions.drain(..).find_map(slot).unwrap();
    let offset = Offset::new(proxy.server.set.head().bytes() + 30);
    let by = FoundMaster { number: 1, replid: None };
    let wrote = Some(Wrote::There(Told { offset, by }));
    let filled = JobReply { reply: Ok(b"+OK\r\n".to_vec()), wrote };
    proxy.handle(&mut client, Event::Message(Message::Filled(slot, filled)));
    assert_eq!(replies(&mut client), "+OK");
    let session = &client.caller.session;
    assert_eq!((session.last_write, session.floor.map(|it| it.offset)), (offset, Some(offset)));
    assert_eq!(code(&proxy.ask(&mut client, "GET a")), "-LAGGED");
}
