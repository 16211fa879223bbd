//! Clients that write all their requests before they read the first reply: every reply is there, in
//! order, and what nobody has taken yet costs the server little.

use crate::support::process::{forget_peak, peak_bytes, resident_bytes};
use crate::support::{Address, Server, Value, Wire, info_field, ok, until, until_alone};
use std::io::Write;

const MB: u64 = 1 << 20;
/// What replies that nobody has taken may cost beside the requests themselves.
const UNREAD_BYTES_MAX: u64 = 64 * MB;
/// Room of the client's socket: what is in the system's buffers proves nothing about the server.
const SOCKET_BYTES: usize = 64 << 10;

/// A client whose socket takes few replies.
fn narrow(address: &Address) -> Wire {
    let wire = Wire::dial_at(address).unwrap();
    wire.socket().set_buffers(SOCKET_BYTES);
    wire
}

/// Writes `count` requests before it reads, then checks each reply.
fn written_first(
    server: &Server,
    count: usize,
    prepare: impl Fn(&mut Wire),
    request: impl Fn(usize) -> String,
    is_right: impl Fn(usize, &Value) -> bool,
) {
    for address in server.addresses() {
        let mut operator = server.dial();
        ok(&mut operator, "FLUSHALL");
        prepare(&mut operator);
        let requests: String = (0..count).map(&request).collect();
        forget_peak(server.pid());
        let before = resident_bytes(server.pid());
        let mut client = narrow(&address);
        client.send_raw(requests.as_bytes());
        let grown = peak_bytes(server.pid()).saturating_sub(before);
        for at in 0..count {
            let reply = client.read();
            assert!(is_right(at, &reply), "{at}: {reply} at {address:?}");
        }
        assert_eq!(client.ask("ECHO end").string(), "end");
        // Redis keeps all replies that have not been taken, unless it is told a limit.
        if server.program() == "entourage" {
            let requests = requests.len() as u64;
            assert!(
                grown < requests + UNREAD_BYTES_MAX,
                "{grown} bytes for {requests} of requests"
            );
        }
    }
}

#[test]
fn reads_that_are_all_written_before_one_reply_is_taken_are_served_in_order() {
    const KEYS: usize = 10;
    // Lengths of their own, so that a reply that is out of place is found out.
    let len = |at: usize| 4000 + at % KEYS;
    for server in Server::both() {
        written_first(
            &server,
            50_000,
            |wire| {
                (0..KEYS).for_each(|it| ok(wire, &format!("SET v{it} {}", "x".repeat(len(it)))));
                wire.ask("WAIT 2 1000");
            },
            |at| format!("*2\r\n$3\r\nGET\r\n$2\r\nv{}\r\n", at % KEYS),
            |at, reply| reply.text().is_some_and(|it| it.len() == len(at)),
        );
    }
}

#[test]
fn counts_that_are_all_written_before_one_reply_is_taken_are_served_in_order() {
    for server in Server::both() {
        written_first(
            &server,
            1_000_000,
            |_| {},
            |_| "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n".to_owned(),
            |at, reply| reply.int() == Some(at as i64 + 1),
        );
    }
}

#[test]
fn writes_that_are_all_written_before_one_reply_is_taken_are_served_in_order() {
    const ECHO_EVERY: usize = 100;
    let is_echo = |at: usize| at.is_multiple_of(ECHO_EVERY);
    for server in Server::both() {
        written_first(
            &server,
            1_000_000,
            |_| {},
            |at| match is_echo(at) {
                true => format!("ECHO {at}\r\n"),
                false => format!("*3\r\n$3\r\nSET\r\n$2\r\nk{}\r\n$1\r\nv\r\n", at % 10),
            },
            |at, reply| match is_echo(at) {
                true => reply.text() == Some(at.to_string().as_bytes()),
                false => *reply == Value::Simple(b"OK".into()),
            },
        );
    }
}

#[test]
fn transactions_that_are_all_written_before_one_reply_is_taken_are_served_in_order() {
    for server in Server::both() {
        written_first(
            &server,
            400_000,
            |_| {},
            |at| ["MULTI\r\n", "INCR n\r\n", "GET n\r\n", "EXEC\r\n"][at % 4].to_owned(),
            |at, reply| match at % 4 {
                0 => reply.text() == Some(b"OK"),
                3 => reply.list()[0].int() == Some(at as i64 / 4 + 1),
                _ => reply.text() == Some(b"QUEUED"),
            },
        );
    }
}

/// They read and write at the same time as usual, and go on as if nobody else were there.
#[test]
fn others_are_served_beside_a_client_that_does_not_read() {
    for server in Server::both() {
        let mut operator = server.dial();
        ok(&mut operator, &format!("SET v {}", "x".repeat(4000)));
        for address in server.addresses() {
            let mut silent = narrow(&address);
            silent.send_raw(&b"*2\r\n$3\r\nGET\r\n$1\r\nv\r\n".repeat(20_000));
            let mut other = Wire::dial_at(&address).unwrap();
            for at in 0..1000 {
                ok(&mut other, &format!("SET k {at}"));
                assert_eq!(other.ask("GET k").string(), at.to_string());
            }
            let replies = silent.read_many(20_000);
            assert!(replies.iter().all(|it| it.text().is_some_and(|it| it.len() == 4000)));
        }
    }
}

/// Requests that wait behind unread replies count as much as those that are not complete yet. Redis
/// does them at once, and keeps the replies.
#[test]
fn a_client_that_writes_past_its_query_buffer_and_reads_nothing_is_closed() {
    let [_, server] = Server::both();
    let mut operator = server.dial();
    ok(&mut operator, &format!("SET v {}", "x".repeat(4000)));
    ok(&mut operator, "CONFIG SET client-query-buffer-limit 1mb");
    for address in server.addresses() {
        let mut client = narrow(&address);
        assert_eq!(client.ask("PING").string(), "PONG");
        let mut socket = client.socket().try_clone().unwrap();
        socket.set_nonblocking(true);
        let requests = b"*2\r\n$3\r\nGET\r\n$1\r\nv\r\n".repeat(1000);
        until("the client to be closed", || {
            // What does not fit is sent again, from its beginning: it need not make sense.
            let _ = socket.write(&requests);
            crate::support::others(&mut operator).is_empty().then_some(())
        });
        socket.set_nonblocking(false);
        client.read_to_end();
        until_alone(&mut operator);
    }
    assert!(server.said().contains("event=query-buffer-limit"), "{}", server.said());
}

/// What the client has sent is still read when nothing of its replies has left.
#[test]
fn a_client_that_does_not_read_and_closes_is_gone_at_once() {
    for server in Server::both() {
        let mut operator = server.dial();
        ok(&mut operator, &format!("SET v {}", "x".repeat(4000)));
        for address in server.addresses() {
            let mut client = narrow(&address);
            assert_eq!(client.ask("PING").string(), "PONG");
            client.send_raw(&b"*2\r\n$3\r\nGET\r\n$1\r\nv\r\n".repeat(50_000));
            drop(client);
            until_alone(&mut operator);
            let blocked = info_field(&mut operator, "clients", "blocked_clients");
            assert_eq!(blocked.as_deref(), Some("0"));
        }
    }
}
