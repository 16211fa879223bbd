//! What may stand behind a login in one write, what may not stand before it, and what a client can cost that
//! has not logged in.

use crate::support::process::{forget_peak, peak_bytes};
use crate::support::wire::encode;
use crate::support::{Address, Server, Value, Wire, ok, others, until, words};
use std::fmt::Display;
use std::io::Write;

const MB: u64 = 1 << 20;

/// More arguments than may be sent before a login.
fn many() -> Vec<u8> {
    let pairs: Vec<String> = (0..12).map(|it| format!("k{it}")).collect();
    encode(&words(&[&["MSET".to_owned()], &pairs[..]].concat()))
}

/// A longer value than may be sent before a login.
fn long() -> Vec<u8> {
    encode(&words(&["SET", "long", &"x".repeat(20_000)]))
}

fn command(line: &str) -> Vec<u8> {
    encode(&words(&line.split(' ').collect::<Vec<_>>()))
}

/// What a new connection is answered until it is closed. Between two pieces it waits for a reply.
fn answers(address: &Address, pieces: &[Vec<u8>]) -> Vec<String> {
    let mut wire = Wire::dial_at(address).unwrap();
    let mut heard = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        if 0 < at {
            heard.extend(wire.try_read().map(told));
        }
        // Who is refused may find the connection closed while it still sends.
        let _ = wire.try_send_raw(piece);
    }
    let _ = wire.try_send_raw(&command("QUIT"));
    while let Some(value) = wire.try_read() {
        heard.push(told(value));
    }
    heard
}

/// HELLO tells a version and a number of its own.
fn told(value: Value) -> String {
    if value.items().is_some() { "hello".to_owned() } else { value.to_string() }
}

/// Both with a password, and what they answer to the same pieces.
fn equal(cases: &[(impl Display, Vec<Vec<u8>>)]) {
    let servers = Server::both();
    for server in &servers {
        ok(&mut server.dial(), "CONFIG SET requirepass secret");
    }
    for (name, pieces) in cases {
        let [redis, ours] = servers.each_ref().map(|server| {
            server.addresses().iter().map(|it| answers(it, pieces)).collect::<Vec<_>>()
        });
        assert_eq!(ours, redis, "over TCP and over a unix socket: {name}");
        println!("{name}: {redis:?}");
    }
}

/// Requests in one write.
fn one(parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![parts.concat()]
}

#[test]
fn a_large_request_right_behind_a_login_is_served() {
    let auth = || command("AUTH secret");
    equal(&[
        ("AUTH", one(&[auth(), many(), long()])),
        ("AUTH with a user", one(&[command("AUTH default secret"), many(), long()])),
        ("AUTH in a line", one(&[b"AUTH secret\r\n".to_vec(), many(), long()])),
        ("HELLO", one(&[command("HELLO 2 AUTH default secret"), many(), long()])),
        ("HELLO 3", one(&[command("HELLO 3 AUTH default secret"), long(), many()])),
        ("AUTH at the second try", one(&[command("AUTH wrong"), auth(), many(), long()])),
        ("AUTH after RESET", one(&[auth(), command("RESET"), auth(), many(), long()])),
    ]);
}

#[test]
fn a_large_request_that_is_cut_anywhere_behind_a_login_is_served() {
    let whole = [command("AUTH secret"), many(), long()].concat();
    let login = command("AUTH secret").len();
    let cuts = [0, 1, 3, 4, 5, 20, 150, 200, 250, 300, 1000, 17_000];
    let cases: Vec<_> = cuts
        .iter()
        .map(|it| {
            let (before, after) = whole.split_at(login + it);
            (format!("cut after {it} bytes"), vec![before.to_vec(), after.to_vec()])
        })
        .collect();
    equal(&cases);
}

#[test]
fn a_large_request_before_a_login_is_refused() {
    let auth = || command("AUTH secret");
    equal(&[
        ("many arguments", one(&[many()])),
        ("a long argument", one(&[long()])),
        ("after a wrong password", one(&[command("AUTH wrong"), many()])),
        ("after a RESET in the same write", one(&[auth(), command("RESET"), many()])),
        ("after a RESET in the next write", vec![auth(), [command("RESET"), many()].concat()]),
        ("after a RESET, a long argument", vec![auth(), [command("RESET"), long()].concat()]),
        ("as many as allowed", one(&[command("MSET 1 2 3 4 5 6 7 8 9")])),
        ("one more than allowed", one(&[command("MSET 1 2 3 4 5 6 7 8 9 10")])),
        ("as long as allowed", one(&[command(&format!("GET {}", "x".repeat(16_384)))])),
        ("longer than allowed", one(&[command(&format!("GET {}", "x".repeat(16_385)))])),
        ("an endless line", one(&[vec![b'x'; 1 << 20]])),
    ]);
}

#[test]
fn what_config_set_changes_holds_for_what_stands_behind_it_in_one_write() {
    let set = |value: &str| command(&format!("CONFIG SET {value}"));
    let auth = || command("AUTH secret");
    let value = |bytes: usize| encode(&words(&["SET", "a", &"x".repeat(bytes)]));
    equal(&[
        ("lowered", one(&[auth(), set("proto-max-bulk-len 1mb"), value(1_500_000)])),
        ("raised", one(&[auth(), set("proto-max-bulk-len 2mb"), value(1_500_000)])),
        (
            "raised with half a value in the same write",
            vec![
                [auth(), set("proto-max-bulk-len 3mb"), value(2_500_000)[..25].to_vec()].concat(),
                value(2_500_000)[25..].to_vec(),
            ],
        ),
        ("a query buffer", one(&[auth(), set("client-query-buffer-limit 1mb"), value(1_500_000)])),
        ("a larger one", one(&[auth(), set("client-query-buffer-limit 1gb"), value(1_500_000)])),
    ]);
}

#[test]
fn who_has_not_logged_in_and_asks_without_end_and_reads_nothing_is_closed() {
    Server::both().iter().for_each(who_reads_nothing_is_closed);
}

fn who_reads_nothing_is_closed(server: &Server) {
    let mut operator = server.dial();
    ok(&mut operator, "CONFIG SET requirepass secret");
    for address in server.addresses() {
        for request in [b"PING\r\n".repeat(1_000), command("GET x").repeat(1_000), many()] {
            forget_peak(server.pid());
            let before = peak_bytes(server.pid());
            let mut client = Wire::dial_at(&address).unwrap();
            let mut socket = client.socket().try_clone().unwrap();
            socket.set_nonblocking(true);
            until("the client to be known", || (others(&mut operator).len() == 1).then_some(()));
            until("the client to be closed", || {
                // What does not fit is sent again, from its beginning: it need not make sense.
                let _ = socket.write(&request);
                others(&mut operator).is_empty().then_some(())
            });
            socket.set_nonblocking(false);
            client.read_to_end();
            let grown = peak_bytes(server.pid()).saturating_sub(before);
            assert!(grown < 16 * MB, "{grown} bytes for one client at {address:?}");
        }
    }
}

/// Each has sent as much as it may, and goes on no further.
#[test]
fn unfinished_requests_before_a_login_cost_a_constant_each() {
    const CLIENTS: u64 = 200;
    const EACH: u64 = 320 << 10;
    let [_, server] = Server::both();
    let mut operator = server.dial();
    ok(&mut operator, "CONFIG SET requirepass secret");
    let mut unfinished = command(&format!("MSET {}", vec!["x".repeat(16_384); 9].join(" ")));
    unfinished.truncate(unfinished.len() - 1);
    for address in server.addresses() {
        forget_peak(server.pid());
        let before = peak_bytes(server.pid());
        let mut clients: Vec<Wire> = (0..CLIENTS)
            .map(|_| {
                let mut client = Wire::dial_at(&address).unwrap();
                client.send_raw(&unfinished);
                client
            })
            .collect();
        // Whoever has been refused has been read to the end.
        clients.iter_mut().for_each(|it| it.send_raw(b"\n"));
        clients.iter_mut().for_each(|it| crate::support::starts(&it.read(), "NOAUTH"));
        let grown = peak_bytes(server.pid()).saturating_sub(before);
        assert!(grown < CLIENTS * EACH, "{grown} bytes for {CLIENTS} clients");
    }
}
