//! Requests of more than a million words, and replies past the output limit of their client.

use crate::support::process::{forget_peak, peak_bytes, resident_bytes};
use crate::support::servers::SOCKET;
use crate::support::wire::encode;
use crate::support::{Address, Server, Wire, info_field, ok, others, until, until_alone, words};
use std::thread;

const MB: u64 = 1 << 20;

/// One command of this many words, the last of which come from `word`.
fn command(name: &[&str], count: usize, word: impl Fn(usize) -> String) -> Vec<u8> {
    let mut of = words(name);
    of.extend((0..count).map(|it| word(it).into_bytes()));
    encode(&of)
}

/// What each is answered to all of these, over TCP and over a unix socket.
fn answers(server: &Server, requests: &[Vec<u8>]) -> Vec<Vec<String>> {
    let of = |address: &Address| {
        let mut wire = Wire::dial_at(address).unwrap();
        let ask = |it: &Vec<u8>| {
            wire.send_raw(it);
            wire.read().to_string()
        };
        requests.iter().map(ask).collect()
    };
    server.addresses().iter().map(of).collect()
}

#[test]
fn a_request_may_have_more_than_a_million_words() {
    let pair = |it: usize| if it.is_multiple_of(2) { format!("k{it}") } else { "v".to_owned() };
    let requests = [
        command(&["SADD", "s"], 1_048_576, |it| it.to_string()),
        command(&["SCARD", "s"], 0, |_| String::new()),
        command(&["MSET"], 1_200_000, pair),
        command(&["DBSIZE"], 0, |_| String::new()),
        command(&["EXISTS"], 1_200_000, |it| format!("k{it}")),
        command(&["DEL"], 1_200_000, |it| format!("k{it}")),
        command(&["DEL", "s"], 0, |_| String::new()),
        command(&["DBSIZE"], 0, |_| String::new()),
    ];
    let servers = Server::both();
    let [redis, ours] = servers.each_ref().map(|it| answers(it, &requests));
    assert_eq!(redis[0][..4], [":1048576", ":1048576", "+OK", ":600001"]);
    assert_eq!(ours, redis);
}

/// The members agree about a command of which they only get the effects.
#[test]
fn replicas_apply_a_write_of_more_than_a_million_words() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.send_raw(&command(&["SADD", "s"], 1_100_000, |it| it.to_string()));
    assert_eq!(wire.read().int(), Some(1_100_000));
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    let digests = wire.ask("DEBUG DIGEST MEMBERS");
    let of = |at: usize| digests.list()[at].list()[2].clone();
    assert_eq!((of(0), of(0)), (of(1), of(2)));
}

#[test]
fn a_request_of_many_words_is_queued_and_done_in_a_transaction() {
    for server in Server::both() {
        let mut wire = server.dial();
        ok(&mut wire, "MULTI");
        wire.send_raw(&command(&["SADD", "s"], 1_100_000, |it| it.to_string()));
        assert_eq!(wire.read().string(), "QUEUED");
        assert_eq!(wire.ask("EXEC").list()[0].int(), Some(1_100_000));
    }
}

#[test]
fn words_that_are_announced_cost_nothing_before_they_arrive() {
    const CLIENTS: usize = 200;
    for server in Server::both() {
        let mut operator = server.dial();
        for address in server.addresses() {
            for begun in
                ["*2147483647\r\n", "*2147483647\r\n$4\r\nMSET\r\n", "*2\r\n$536870912\r\n"]
            {
                forget_peak(server.pid());
                let before = resident_bytes(server.pid());
                let clients: Vec<Wire> = (0..CLIENTS)
                    .map(|_| {
                        let mut client = Wire::dial_at(&address).unwrap();
                        client.send_raw(format!("PING\r\n{begun}").as_bytes());
                        assert_eq!(client.read().string(), "PONG");
                        client
                    })
                    .collect();
                assert_eq!(others(&mut operator).len(), CLIENTS, "nobody was refused");
                drop(clients);
                until_alone(&mut operator);
                let grown = peak_bytes(server.pid()).saturating_sub(before);
                assert!(grown < 32 * MB, "{} took {grown} bytes for {begun:?}", server.program());
            }
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let servers = Server::both();
    let long = "1".repeat(100_000);
    for begun in [
        "*2147483648\r\n",
        "*9999999999999999999\r\n",
        "*1x\r\n",
        "*1\r\n$536870913\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$\r\n",
        "*1\r\nPING\r\n",
        &format!("*{long}"),
        &format!("*1\r\n${long}"),
    ] {
        let [redis, ours] = servers.each_ref().map(|server| {
            let of = |address: &Address| {
                let mut wire = Wire::dial_at(address).unwrap();
                // Who is refused may find the connection closed while it still sends.
                let _ = wire.try_send_raw(begun.as_bytes());
                let refused = wire.read().to_string();
                (refused, wire.try_read().is_none())
            };
            server.addresses().iter().map(of).collect::<Vec<_>>()
        });
        assert_eq!(ours, redis, "{}", &begun[..begun.len().min(40)]);
        assert!(ours.iter().all(|it| it.1), "the connection is closed");
    }
}

/// Redis looks at its limit of 64 kB only while the end of the line has not come: a line that ends in
/// the next read is served.
#[test]
fn a_line_a_little_above_64_kb_is_served_and_one_far_above_it_is_refused() {
    for server in Server::both() {
        for address in server.addresses() {
            let mut wire = Wire::dial_at(&address).unwrap();
            for len in [60_000, 65_536, 66_000, 70_000] {
                wire.send_raw(format!("SET long {}\r\n", "x".repeat(len)).as_bytes());
                assert_eq!(wire.read().string(), "OK", "{len} bytes at {}", server.program());
                assert_eq!(wire.ask("STRLEN long").int(), Some(len as i64));
            }
            let _ = wire.try_send_raw(format!("SET long {}\r\n", "x".repeat(1 << 20)).as_bytes());
            let refused = wire.read().string();
            assert_eq!(refused, "ERR Protocol error: too big inline request");
            assert!(wire.try_read().is_none());
        }
    }
}

/// Redis looks at what it has not taken apart yet, and so lets many short words pass.
#[test]
fn the_words_of_a_request_are_bounded_by_the_query_buffer() {
    let server = Server::entourage(&["--unix", SOCKET]);
    let mut operator = server.dial();
    ok(&mut operator, "CONFIG SET client-query-buffer-limit 1mb");
    for address in server.addresses() {
        let mut wire = Wire::dial_at(&address).unwrap();
        wire.send_raw(&command(&["DEL"], 60_000, |it| format!("k{it}")));
        assert_eq!(wire.read().int(), Some(0));
        forget_peak(server.pid());
        let before = resident_bytes(server.pid());
        let _ = wire.try_send_raw(&command(&["DEL"], 2_000_000, |it| format!("k{it}")));
        assert!(wire.try_read().is_none(), "it is closed without a word");
        let grown = peak_bytes(server.pid()).saturating_sub(before);
        assert!(grown < 32 * MB, "{grown} bytes for a client that may have 1 MB");
    }
    until_alone(&mut operator);
}

const LIMIT: u64 = 32 * MB;
/// Copies of values on their way, and what the allocator rounds up.
const BESIDE: u64 = 48 * MB;

/// With a limit of output, and with collections that are larger.
fn limited() -> [Server; 2] {
    let servers = Server::both();
    for server in &servers {
        let mut wire = server.dial();
        let value = |it: usize| format!("{it}{}", "x".repeat(MB as usize));
        wire.cmd(&["SET", "big", &value(0)]);
        for it in 0..64 {
            wire.cmd(&["RPUSH", "l", &value(it)]);
            wire.cmd(&["HSET", "h", &it.to_string(), &value(it)]);
            wire.cmd(&["SADD", "s", &value(it)]);
            wire.cmd(&["ZADD", "z", &it.to_string(), &value(it)]);
        }
        wire.ask("WAIT 2 2000");
        let limit = format!("normal {LIMIT} 0 0");
        let set = wire.cmd(&["CONFIG", "SET", "client-output-buffer-limit", &limit]);
        assert_eq!(set.string(), "OK");
    }
    servers
}

/// A client that asks for too much is closed without a byte of a value, and what it asked for behind that
/// is not done. All that while, the server has grown by no more than the limit and a little.
fn ends_without_an_answer(server: &Server, address: &Address, requests: &[u8]) {
    forget_peak(server.pid());
    let before = resident_bytes(server.pid());
    let mut client = Wire::dial_at(address).unwrap();
    client.send_raw(&[requests, b"INCR behind\r\n"].concat());
    assert!(!client.read_to_end().contains(&b'x'), "{} sent some of it", server.program());
    let grown = peak_bytes(server.pid()).saturating_sub(before);
    let shown = requests[..requests.len().min(40)].escape_ascii();
    assert!(grown < LIMIT + BESIDE, "{} took {grown} bytes for {shown}", server.program());
    let mut operator = server.dial();
    until_alone(&mut operator);
    assert!(operator.ask("GET behind").is_nil());
}

fn each_ends_without_an_answer(requests: &[Vec<u8>]) {
    for server in limited() {
        for address in server.addresses() {
            requests.iter().for_each(|it| ends_without_an_answer(&server, &address, it));
        }
    }
}

#[test]
fn a_reply_of_many_values_past_the_output_limit_is_not_built() {
    each_ends_without_an_answer(&[command(&["MGET"], 600, |_| "big".to_owned())]);
}

#[test]
fn a_whole_collection_past_the_output_limit_is_not_built() {
    let lines = ["LRANGE l 0 -1", "HGETALL h", "HVALS h", "SMEMBERS s", "ZRANGE z 0 -1"];
    each_ends_without_an_answer(&lines.map(|it| format!("{it}\r\n").into_bytes()));
}

/// All of it is done all the same, or it would not be a transaction.
#[test]
fn replies_of_a_transaction_past_the_output_limit_are_not_built_and_all_of_it_is_done() {
    let queued = "GET big\r\n".repeat(100);
    let requests = format!("MULTI\r\nINCR first\r\n{queued}INCR last\r\nEXEC\r\n");
    for server in limited() {
        for address in server.addresses() {
            ends_without_an_answer(&server, &address, requests.as_bytes());
            let mut operator = server.dial();
            let done = operator.ask("MGET first last").to_string();
            assert_eq!(done, "[\"1\", \"1\"]", "{}", server.program());
            operator.ask("DEL first last");
        }
    }
}

#[test]
fn a_reply_within_the_output_limit_arrives() {
    for server in limited() {
        for address in server.addresses() {
            let mut client = Wire::dial_at(&address).unwrap();
            client.send_raw(&command(&["MGET"], 30, |_| "big".to_owned()));
            let value = format!("${}\r\n0{}\r\n", MB + 1, "x".repeat(MB as usize));
            assert_eq!(client.read_exact(5), b"*30\r\n");
            (0..30).for_each(|_| assert!(client.read_exact(value.len()) == value.as_bytes()));
        }
    }
}

#[test]
fn several_clients_that_ask_for_too_much_are_closed_while_others_are_served() {
    const CLIENTS: usize = 8;
    for server in limited() {
        forget_peak(server.pid());
        let before = resident_bytes(server.pid());
        let used = |wire: &mut Wire| -> Option<u64> {
            info_field(wire, "memory", "used_memory")?.parse().ok()
        };
        let used_before = used(&mut server.dial()).expect("a number");
        let request = command(&["MGET"], 600, |_| "big".to_owned());
        let addresses = server.addresses();
        thread::scope(|scope| {
            for address in addresses.iter().cycle().take(CLIENTS) {
                let request = &request;
                scope.spawn(move || {
                    let mut client = Wire::dial_at(address).unwrap();
                    client.send_raw(request);
                    assert_eq!(client.read_to_end(), b"");
                });
            }
            let mut operator = server.dial();
            for at in 0..100 {
                ok(&mut operator, &format!("SET k {at}"));
            }
        });
        let grown = peak_bytes(server.pid()).saturating_sub(before);
        assert!(grown < CLIENTS as u64 * LIMIT + BESIDE, "{grown} bytes at {}", server.program());
        let mut operator = server.dial();
        until_alone(&mut operator);
        until("the memory to be given back", || {
            (used(&mut operator)? < used_before + LIMIT).then_some(())
        });
    }
}

#[test]
fn as_many_choices_are_answered_as_the_client_may_be_sent() {
    const CHOICES: usize = 6_000_000;
    let server = Server::entourage(&[]);
    let (mut wire, mut other) = (server.dial(), server.dial());
    ok(&mut wire, "SELECT 0");
    assert_eq!(wire.ask("SADD s a b").int(), Some(2));
    // Eleven bytes of header, and seven for each.
    let ask = words(&["SRANDMEMBER", "s", "-6000000"]);
    wire.send(&[ask.clone(), words(&["PING"])]);
    assert_eq!(wire.read_until(b"\r\n"), format!("*{CHOICES}\r\n").into_bytes());
    wire.read_exact(7 * CHOICES);
    assert_eq!(wire.read().to_string(), "+PONG");
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "normal 32mb 0 0"];
    assert_eq!(other.cmd(&limit).to_string(), "+OK");
    wire.send(&[ask]);
    assert!(wire.is_closed());
    assert!(server.said().contains("event=output-limit"), "{}", server.said());
}
