//! What is kept of requests and replies, and what of that is given back.

use super::*;
use crate::base::limits::{ADOPTED_BYTES_MIN, REPLY_BYTES_KEPT};
use crate::server::connection::Why;

/// The beginning of a request that is not whole, with so many bytes of its argument.
fn unfinished(argument: usize) -> Vec<u8> {
    let head = format!("*2\r\n$4\r\nECHO\r\n${}\r\n", 64 << 20);
    [head.into_bytes(), vec![b'x'; argument]].concat()
}

#[test]
fn only_an_unfinished_request_has_room_to_grow_in() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    assert!(client.room().is_none(), "nothing has come");
    proxy.ask(&mut client, "PING");
    assert!(client.room().is_none(), "all of it is served");
    assert_eq!(proxy.send(&mut client, b"*2\r\n$4\r\nECHO\r\n$5\r\nhel"), "");
    let room = client.room().expect("it is unfinished");
    room.extend_from_slice(b"lo\r\nPING");
    proxy.handle(&mut client, Event::Received { count: 8 });
    assert_eq!(replies(&mut client), "$5 hello");
    assert_eq!(proxy.go_on(&mut client, String::new()), "");
    let room = client.room().expect("PING has no end yet");
    room.extend_from_slice(b"\r\n");
    proxy.handle(&mut client, Event::Received { count: 2 });
    assert_eq!(replies(&mut client), "+PONG");
    assert!(client.room().is_none());
}

#[test]
fn who_waits_has_no_room_for_more() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    proxy.send(&mut client, b"BLPOP l 0\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhel");
    assert!(client.is_blocked() && client.room().is_none());
}

#[test]
fn a_request_may_grow_by_one_byte_beyond_what_may_be_sent() {
    let config = "[server]\nclient-query-buffer-limit = \"1mb\"\n";
    let mut proxy = Proxy::new(config);
    let mut client = proxy.connect();
    let mut begun = unfinished(1 << 20);
    begun.truncate(1 << 20);
    proxy.send(&mut client, &begun);
    assert!(!client.is_closed());
    let room = client.room().expect("a byte more tells that it is too long");
    assert_eq!(room.capacity() - room.len(), 1);
    room.push(b'x');
    proxy.handle(&mut client, Event::Received { count: 1 });
    assert!(client.is_closed());
    let why = |it| if let Action::Close(why) = it { Some(why) } else { None };
    assert_eq!(proxy.actions.drain(..).find_map(why), Some(Why::QueryLimit));
}

#[test]
fn what_nobody_has_read_is_given_to_who_takes_the_connection_over() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    proxy.send(&mut client, b"BLPOP l 0\r\nPING\r\nGET");
    assert_eq!(client.take_unread(), b"PING\r\nGET");
    assert_eq!(client.take_unread(), b"");
}

#[test]
fn what_is_much_is_freed_elsewhere_when_the_connection_has_ended() {
    let mut proxy = Proxy::new("");
    let is_much = |proxy: &mut Proxy, bytes: &[u8]| {
        let mut client = proxy.connect();
        proxy.send(&mut client, bytes);
        client.take_spent().is_some()
    };
    let head = unfinished(0).len();
    assert!(!is_much(&mut proxy, b"PING\r\n"));
    assert!(!is_much(&mut proxy, &unfinished(ADOPTED_BYTES_MIN - head - 1)));
    assert!(is_much(&mut proxy, &unfinished(ADOPTED_BYTES_MIN - head)), "what is unread");
    let set = format!("SET a {}\r\n", "x".repeat(60_000));
    let queued = format!("MULTI\r\n{}", set.repeat(20));
    assert!(is_much(&mut proxy, queued.as_bytes()), "what is queued");
    let half = format!("MULTI\r\n{}", set.repeat(10));
    assert!(!is_much(&mut proxy, half.as_bytes()));
    let both = [half.as_bytes(), &unfinished(ADOPTED_BYTES_MIN / 2)].concat();
    assert!(is_much(&mut proxy, &both), "both together");
    let mut client = proxy.connect();
    client.caller.replies.push(&vec![b'x'; ADOPTED_BYTES_MIN]);
    assert!(client.take_spent().is_some(), "what it has not taken");
}

#[test]
fn replies_count_as_many_beyond_what_every_client_has_room_for() {
    let proxy = Proxy::new("");
    let much = |bytes: usize| {
        let mut client = proxy.connect();
        client.caller.replies.push(&vec![b'x'; bytes]);
        client.has_much_to_send()
    };
    assert!(!much(0) && !much(16 << 10));
    assert!(much((16 << 10) + 1));
}

#[test]
fn a_long_reply_that_has_left_is_freed_elsewhere() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    let mut spent = |bytes: usize| {
        client.caller.replies.push(&vec![b'x'; bytes]);
        assert_eq!(replies(&mut client).len(), bytes);
        client.caller.replies.take_spent().is_some()
    };
    assert!(!spent(1000));
    assert!(spent(ADOPTED_BYTES_MIN));
    assert!(!spent(1000));
    assert_eq!(proxy.ask(&mut client, "PING"), "+PONG");
}

#[test]
fn a_worker_keeps_the_largest_reply_buffer_that_is_not_too_large() {
    let mut scratch = WorkerScratch::new(0, 1);
    let kept = |scratch: &mut WorkerScratch, bytes: usize| {
        scratch.return_output(Vec::with_capacity(bytes));
        let kept = scratch.take_output();
        let capacity = kept.capacity();
        scratch.return_output(kept);
        capacity
    };
    assert_eq!(kept(&mut scratch, 1000), 1000);
    assert_eq!(kept(&mut scratch, 500), 1000);
    assert_eq!(kept(&mut scratch, 2000), 2000);
    let most = REPLY_BYTES_KEPT;
    assert_eq!(kept(&mut scratch, most + 1), 2000);
    assert_eq!(kept(&mut scratch, most), most);
    scratch.return_output(vec![b'x'; 10]);
    assert!(scratch.take_output().is_empty(), "what is lent is empty");
}

#[test]
fn no_more_is_served_at_a_time_than_others_can_wait_for() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    let many = "GET a\r\n".repeat(3000);
    proxy.handle(&mut client, Event::Unserved(many.as_bytes()));
    proxy.handle(&mut client, Event::Proceed);
    assert_eq!(replies(&mut client).matches("$-1").count(), 1024);
    let set = format!("SET a {}\r\n", "x".repeat(30_000));
    let mut other = proxy.connect();
    proxy.ask(&mut other, set.trim());
    proxy.handle(&mut other, Event::Bytes("GET a\r\n".repeat(9).as_bytes()));
    let first = replies(&mut other);
    assert_eq!(first.matches("$30000").count(), 3, "64 KiB and the one that comes to them");
    assert_eq!(proxy.go_on(&mut other, first).matches("$30000").count(), 9);
}

#[test]
fn an_operators_requests_weigh_more() {
    let mut proxy = Proxy::new("");
    let mut client = proxy.connect();
    let many = "CONFIG GET maxmemory\r\n".repeat(100);
    proxy.handle(&mut client, Event::Unserved(many.as_bytes()));
    proxy.handle(&mut client, Event::Proceed);
    assert_eq!(replies(&mut client).matches("maxmemory").count(), 16, "each counts as 65");
}
