//! The end of the server: it waits for nobody who waits for something else, or who does not read.

use crate::support::servers::SOCKET;
use crate::support::{BOTH, Server, Wire, info_field, ok, order, until_blocked, until_unsent};

/// Longer than any test: who has to be waited for shows.
const CONFIG: &str = "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[[listener]]\nunix = \"socket\"\n\
                      [server]\nshutdown-timeout = \"10000s\"\n\
                      [consistency]\nlevel = \"sticky\"\non-lag = [\"wait 1h\", \"error\"]\n";

fn patient() -> Server {
    if Server::is_stand_in() {
        Server::entourage(&[])
    } else {
        Server::entourage_with_config(CONFIG)
    }
}

fn both() -> [Server; 2] {
    [Server::redis(&["--unixsocket", SOCKET]), patient()]
}

/// Brings clients into a state, at each address, and ends the server; answers with them.
fn ended(server: Server, enter: impl Fn(&mut Wire, &mut Wire)) -> Vec<Wire> {
    let mut operator = server.dial();
    let mut clients = Vec::new();
    for address in server.addresses() {
        let mut client = Wire::dial_at(&address).unwrap();
        enter(&mut operator, &mut client);
        clients.push(client);
    }
    server.terminate();
    assert_eq!(server.until_ended().code(), Some(0));
    assert_eq!(operator.read_to_end(), b"");
    clients
}

/// Sends these lines, and waits until the client is blocked beside those that were before.
fn block(operator: &mut Wire, client: &mut Wire, lines: &str) {
    let blocked = info_field(operator, "clients", "blocked_clients").unwrap();
    client.send_raw(lines.as_bytes());
    until_blocked(operator, blocked.parse::<usize>().unwrap() + 1);
}

#[test]
fn a_client_that_never_reads_does_not_hold_up_the_end() {
    for server in both() {
        ended(server, |operator, client| {
            ok(operator, &format!("SET long {}", "x".repeat(100_000)));
            // Whoever reads it has to see it; Redis has no replicas and gives up.
            operator.ask("WAIT 2 1000");
            client.send_raw(&b"GET long\r\n".repeat(400));
            until_unsent(operator);
        });
    }
}

#[test]
fn a_client_in_wait_does_not_hold_up_the_end() {
    for server in both() {
        let clients = ended(server, |operator, client| {
            ok(client, "SET a 1");
            block(operator, client, "WAIT 9 0\r\n");
        });
        for mut client in clients {
            // Redis says nothing; how many replicas there are is as good an answer.
            let last = client.read_to_end();
            assert!([&b""[..], b":0\r\n", b":2\r\n"].contains(&&last[..]), "{last:?}");
        }
    }
}

/// It is under way already, so that what waits begins to do so only after the end has begun.
#[test]
fn what_begins_to_wait_after_the_end_has_begun_is_answered_all_the_same() {
    let waits = "WAIT 9 0\r\n".repeat(100);
    let clients = ended(patient(), |operator, client| {
        ok(client, "SET a 1");
        block(operator, client, &format!("DEBUG SLEEP 1\r\n{waits}PING\r\n"));
    });
    for mut client in clients {
        let told = String::from_utf8(client.read_to_end()).unwrap();
        assert_eq!(told, format!("+OK\r\n{}+PONG\r\n", ":2\r\n".repeat(100)));
    }
}

/// Of those that come behind, nothing is done.
#[test]
fn what_a_pause_holds_after_the_end_has_begun_is_not_done() {
    let clients = ended(patient(), |operator, client| {
        block(operator, client, "DEBUG SLEEP 1\r\nINCR n\r\nPING\r\n");
        ok(operator, "CLIENT PAUSE 100000000 WRITE");
    });
    for mut client in clients {
        assert_eq!(client.read_to_end(), b"+OK\r\n");
    }
}

/// Nobody may think that it was done.
#[test]
fn what_a_pause_holds_is_not_answered_at_the_end() {
    for held in ["INCR n\r\n", "PING\r\nINCR n\r\nPING\r\n", "MULTI\r\nINCR n\r\nEXEC\r\n"] {
        for server in both() {
            let clients = ended(server, |operator, client| {
                ok(operator, "CLIENT PAUSE 100000000 WRITE");
                block(operator, client, held);
            });
            let answered: &[u8] = match held.split("\r\n").next() {
                Some("PING") => b"+PONG\r\n",
                Some("MULTI") => b"+OK\r\n",
                _ => b"",
            };
            for mut client in clients {
                assert_eq!(client.read_to_end(), answered, "{held:?}");
            }
        }
    }
}

#[test]
fn unfinished_requests_and_transactions_do_not_hold_up_the_end() {
    for begun in ["*2\r\n$4\r\nECHO\r\n$10\r\nhalf", "MULTI\r\nSET a 1\r\n", "WATCH a\r\n", "PIN"] {
        for server in both() {
            ended(server, |_, client| {
                client.send_raw(format!("PING\r\n{begun}").as_bytes());
                assert_eq!(client.read().string(), "PONG");
            });
        }
    }
}

/// It was done, and whether it is confirmed will never be known.
#[test]
fn a_write_that_waits_for_confirmation_does_not_hold_up_the_end() {
    let clients = ended(patient(), |operator, client| {
        order(operator, BOTH, "PAUSE");
        ok(client, "PROXY ACKS all 100000000");
        block(operator, client, "SET a 1\r\n");
    });
    for mut client in clients {
        let last = client.read_to_end();
        assert!(last.is_empty() || last.starts_with(b"-NOTDURABLE"), "{}", last.escape_ascii());
    }
}

#[test]
fn a_read_that_waits_for_a_replica_does_not_hold_up_the_end() {
    let clients = ended(patient(), |operator, client| {
        order(operator, BOTH, "PAUSE");
        ok(client, "SET a 1");
        client.send_raw(b"PING\r\nGET a\r\n");
        assert_eq!(client.read().string(), "PONG");
    });
    for mut client in clients {
        let last = client.read_to_end();
        let is_fair = last.is_empty() || last.starts_with(b"-LAGGED") || last == b"$1\r\n1\r\n";
        assert!(is_fair, "{}", last.escape_ascii());
    }
}

#[test]
fn shutdown_asked_for_by_a_client_waits_for_no_other_either() {
    for server in both() {
        let (mut operator, mut waiting, mut silent) = (server.dial(), server.dial(), server.dial());
        ok(&mut operator, &format!("SET long {}", "x".repeat(100_000)));
        operator.ask("WAIT 2 1000");
        ok(&mut waiting, "SET a 1");
        block(&mut operator, &mut waiting, "WAIT 9 0\r\n");
        silent.send_raw(&b"GET long\r\n".repeat(400));
        until_unsent(&mut operator);
        operator.send_raw(b"SHUTDOWN NOSAVE\r\n");
        assert_eq!(server.until_ended().code(), Some(0));
        assert_eq!(operator.read_to_end(), b"");
    }
}
