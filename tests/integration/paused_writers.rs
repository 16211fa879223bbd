//! Writes held by CLIENT PAUSE: they are done for those who are still there when it ends, and for
//! nobody else.

use crate::support::{
    Address, ENDINGS, Ending, HANG_UPS, Server, Wire, ok, others, until, until_alone,
    until_blocked, words,
};
use std::time::{Duration, Instant};

/// Requests of which the first write is held, and what stands before the pause.
const HELD: &[(&str, &str)] = &[
    ("", "INCR n\r\n"),
    ("", "INCR n\r\nGET n\r\nINCR n\r\n"),
    ("", "PING\r\nGET n\r\nINCR n\r\n"),
    ("", "MULTI\r\nINCR n\r\nGET n\r\nEXEC\r\n"),
    ("MULTI\r\nINCR n\r\n", "EXEC\r\nINCR n\r\n"),
    ("WATCH n\r\nMULTI\r\nINCR n\r\n", "EXEC\r\n"),
];

const FOR_LONG: &str = "CLIENT PAUSE 100000000 WRITE";

/// A client that has said this much before the pause.
fn before(address: &Address, lines: &str) -> Wire {
    let mut client = Wire::dial_at(address).unwrap();
    client.send_raw(format!("{lines}ECHO ready\r\n").as_bytes());
    let answers = lines.lines().count() + 1;
    assert_eq!(client.read_many(answers).len(), answers);
    client
}

/// The release comes at once, before anybody can have noticed by looking now and then.
#[test]
fn a_held_write_is_not_done_once_its_client_is_gone() {
    for server in Server::both() {
        let mut operator = server.dial();
        for address in server.addresses() {
            for (earlier, held) in HELD {
                for ending in ENDINGS {
                    if ending == Ending::MoreThenClose && server.program() == "redis-server" {
                        // Redis reads on only after the release: it may do what was held first.
                        continue;
                    }
                    let mut client = before(&address, earlier);
                    ok(&mut operator, FOR_LONG);
                    client.send_raw(held.as_bytes());
                    until_blocked(&mut operator, 1);
                    let rest = ending.end(client, &mut operator);
                    assert_eq!(operator.ask("PING").string(), "PONG");
                    ok(&mut operator, "CLIENT UNPAUSE");
                    until_alone(&mut operator);
                    let written = operator.ask("GET n");
                    assert!(
                        written.is_nil(),
                        "{} did {held:?} after {ending:?} at {address:?}",
                        server.program()
                    );
                    drop(rest);
                }
            }
        }
    }
}

/// The client goes while the pause lasts, as the clock says, or it is tried again with a longer one.
fn held_for_a_time(server: &Server, address: &Address, mode: &str, ending: Ending, held: &str) {
    let mut operator = server.dial();
    until_alone(&mut operator);
    for pause_ms in [200, 2_000, 20_000] {
        let mut client = before(address, "");
        let begun = Instant::now();
        ok(&mut operator, &format!("CLIENT PAUSE {pause_ms} {mode}"));
        client.send_raw(held.as_bytes());
        let rest = ending.end(client, &mut operator);
        let is_in_time = begun.elapsed() < Duration::from_millis(pause_ms);
        // Held itself until the pause is over.
        ok(&mut operator, "SET over 1");
        until_alone(&mut operator);
        let written = operator.ask("GETDEL n");
        drop(rest);
        if is_in_time {
            let name = server.program();
            assert!(written.is_nil(), "{name} did {held:?} after {ending:?} and PAUSE {mode}");
            return;
        }
    }
    panic!("a client needs more than 20 s to go");
}

#[test]
fn a_write_held_until_the_time_is_up_is_not_done_once_its_client_is_gone() {
    for server in Server::both() {
        for address in server.addresses() {
            for ending in ENDINGS {
                held_for_a_time(&server, &address, "WRITE", ending, "INCR n\r\n");
            }
        }
    }
}

/// Nobody can be killed meanwhile: CLIENT KILL is held, too.
#[test]
fn what_a_pause_of_all_holds_is_not_done_once_its_client_is_gone() {
    for server in Server::both() {
        for address in server.addresses() {
            for ending in HANG_UPS {
                for held in ["INCR n\r\n", "PING\r\nINCR n\r\n", "MULTI\r\nINCR n\r\nEXEC\r\n"] {
                    held_for_a_time(&server, &address, "ALL", ending, held);
                }
            }
        }
    }
}

#[test]
fn those_who_stay_are_served_when_the_pause_ends_though_others_have_left() {
    const CLIENTS: usize = 60;
    for server in Server::both() {
        let mut operator = server.dial();
        ok(&mut operator, FOR_LONG);
        let addresses = server.addresses();
        let mut clients: Vec<Wire> = (0..CLIENTS)
            .map(|at| Wire::dial_at(&addresses[at % addresses.len()]).unwrap())
            .collect();
        clients.iter_mut().for_each(|it| it.send(&[words(&["INCR", "n"]), words(&["PING"])]));
        until_blocked(&mut operator, CLIENTS);
        let mut staying = Vec::new();
        let mut left = Vec::new();
        for (at, client) in clients.into_iter().enumerate() {
            match at % 4 {
                0 => left.extend(Ending::Close.end(client, &mut operator)),
                1 => left.extend(Ending::HalfClose.end(client, &mut operator)),
                2 => left.extend(Ending::Reset.end(client, &mut operator)),
                _ => staying.push(client),
            }
        }
        // A server that is busy may hear of it later than of the end of the pause.
        until("those who left to be gone", || {
            (others(&mut operator).len() == staying.len()).then_some(())
        });
        ok(&mut operator, "CLIENT UNPAUSE");
        let mut counts: Vec<i64> =
            staying.iter_mut().map(|it| it.read().int().expect("a count")).collect();
        counts.sort();
        assert_eq!(counts, (1..=staying.len() as i64).collect::<Vec<_>>());
        staying.iter_mut().for_each(|it| assert_eq!(it.read().string(), "PONG"));
        assert_eq!(operator.ask("GET n").string(), staying.len().to_string());
        drop(left);
    }
}

#[test]
fn a_client_that_leaves_between_two_pauses_that_follow_each_other_has_asked_for_nothing() {
    for server in Server::both() {
        let mut operator = server.dial();
        for address in server.addresses() {
            let (mut stays, mut leaves) = (before(&address, ""), before(&address, ""));
            ok(&mut operator, FOR_LONG);
            stays.send_raw(b"INCR stays\r\n");
            leaves.send_raw(b"INCR leaves\r\n");
            until_blocked(&mut operator, 2);
            drop(leaves);
            operator.send_raw(format!("CLIENT UNPAUSE\r\n{FOR_LONG}\r\n").as_bytes());
            operator.read_many(2).iter().for_each(|it| assert_eq!(it.string(), "OK"));
            until("one to be gone", || (others(&mut operator).len() == 1).then_some(()));
            ok(&mut operator, "CLIENT UNPAUSE");
            assert_eq!(stays.read().int(), Some(1));
            let done = operator.ask("MGET stays leaves");
            assert_eq!(done.to_string(), "[\"1\", nil]", "{}", server.program());
            operator.ask("DEL stays");
        }
    }
}

/// Redis 7.0 panics at the first of these (mended in 7.2), so it is not asked; Valkey is.
#[test]
fn unblock_does_not_concern_a_client_held_by_a_pause() {
    for server in Server::valkey().into_iter().chain([Server::entourage(&[])]) {
        for mode in ["TIMEOUT", "ERROR"] {
            let (mut operator, mut held) = (server.dial(), server.dial());
            operator.ask("DEL n");
            let id = held.ask("CLIENT ID").int().unwrap();
            ok(&mut operator, FOR_LONG);
            held.send_raw(b"INCR n\r\nPING\r\n");
            until_blocked(&mut operator, 1);
            let unblocked = operator.ask(&format!("CLIENT UNBLOCK {id} {mode}"));
            assert_eq!(unblocked.int(), Some(0), "{} {mode}", server.program());
            until_blocked(&mut operator, 1);
            assert!(operator.ask("GET n").is_nil());
            ok(&mut operator, "CLIENT UNPAUSE");
            assert_eq!(
                held.read_many(2).iter().map(|it| it.to_string()).collect::<Vec<_>>(),
                [":1", "+PONG"]
            );
        }
    }
}
