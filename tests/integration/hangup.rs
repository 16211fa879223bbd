//! Clients that hang up, over TCP and over a unix socket: what they sent whole is done, and nothing
//! of them stays behind.

use crate::support::process::open_files;
use crate::support::{
    Address, Ending, HANG_UPS, Server, Value, Wire, info_field, others, until, until_alone, within,
};
use std::time::Duration;

/// As many as show a fault that comes about once in a hundred times.
const TIMES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client may have said last; it goes without waiting for an answer.
const LAST_WORDS: &[&[u8]] = &[
    b"",
    b"\r\n",
    b"PIN",
    b"PING\r\n",
    b"*1\r\n",
    b"*0\r\n",
    b"*2\r\n$4\r\nECHO\r\n$10\r\nhalf",
    b"CLIENT REPLY OFF\r\nSET a 1\r\n",
    b"CLIENT REPLY SKIP\r\nSET a 1\r\n",
    b"NOSUCH\r\n",
    b"*x\r\n",
    b"QUIT\r\n",
];

/// Connects, speaks and ends `TIMES` times, then waits until the server has nobody but the operator.
fn come_and_go(
    server: &Server,
    address: &Address,
    ending: Ending,
    say: impl Fn(&mut Wire),
) -> Result<(), String> {
    let mut operator = server.dial();
    until_alone(&mut operator);
    let files = open_files(server.pid());
    let come = || {
        let mut client = Wire::dial_at(address).unwrap();
        say(&mut client);
        client
    };
    // What half-closed is kept: the server has to close its side first.
    let kept: Vec<_> = (0..TIMES).map(|_| ending.end(come(), &mut operator)).collect();
    // Who is served has been accepted after all who came before.
    assert_eq!(Wire::dial_at(address).unwrap().ask("PING").string(), "PONG");
    let is_over = within(PATIENCE, || {
        let connected = info_field(&mut operator, "clients", "connected_clients");
        let alone = connected.as_deref() == Some("1") && others(&mut operator).is_empty();
        (alone && open_files(server.pid()) <= files).then_some(())
    });
    drop(kept);
    is_over.ok_or_else(|| {
        let (listed, open) = (others(&mut operator).len(), open_files(server.pid()));
        format!(
            "{} at {address:?} after {ending:?}: {listed} clients listed, {open} files open \
             instead of {files}",
            server.program()
        )
    })
}

/// Every case has servers of its own, so that what one leaves behind is not found in the next.
fn nothing_stays_behind(ending: Ending, addresses: usize, says: &[&[u8]], is_answered: bool) {
    for words in says {
        for server in Server::both() {
            for address in server.addresses().iter().take(addresses) {
                let gone = come_and_go(&server, address, ending, |client| {
                    client.send_raw(words);
                    if is_answered {
                        client.read();
                    }
                });
                gone.unwrap_or_else(|why| panic!("{}: {why}", words.escape_ascii()));
            }
        }
    }
}

#[test]
fn clients_that_close_whatever_they_said_last_leave_nothing_behind() {
    nothing_stays_behind(Ending::Close, 2, LAST_WORDS, false);
}

#[test]
fn clients_that_half_close_whatever_they_said_last_leave_nothing_behind() {
    nothing_stays_behind(Ending::HalfClose, 2, LAST_WORDS, false);
}

/// A unix socket knows no reset.
#[test]
fn clients_that_reset_whatever_they_said_last_leave_nothing_behind() {
    nothing_stays_behind(Ending::Reset, 1, LAST_WORDS, false);
}

#[test]
fn clients_that_end_after_an_answer_leave_nothing_behind() {
    for ending in HANG_UPS {
        nothing_stays_behind(ending, 2, &[b"PING\r\n", b"SET a 1\r\n"], true);
    }
}

#[test]
fn who_has_gone_without_a_login_takes_no_place_of_those_who_know_the_password() {
    for server in Server::both() {
        for address in server.addresses() {
            let mut operator = server.dial();
            for setting in ["maxclients 50", "requirepass secret"] {
                operator.ask(&format!("CONFIG SET {setting}"));
            }
            for words in LAST_WORDS {
                for _ in 0..60 {
                    // One that is turned away may find the connection closed.
                    let _ = Wire::dial_at(&address).and_then(|mut it| it.try_send_raw(words));
                }
                let after = words.escape_ascii();
                until(&format!("a place at {} after {after}", server.program()), || {
                    let mut client = Wire::dial_at(&address).ok()?;
                    client.try_send_raw(b"AUTH secret\r\n").ok()?;
                    (client.read_until(b"\r\n") == b"+OK\r\n").then_some(())
                });
            }
            operator.ask("CONFIG SET requirepass ");
        }
    }
}

/// A short read may hold all there is and yet not be the last word.
#[test]
fn what_was_sent_whole_before_the_end_is_done() {
    for server in Server::both() {
        let mut operator = server.dial();
        for address in server.addresses() {
            for ending in [Ending::Close, Ending::HalfClose] {
                operator.ask("FLUSHALL");
                let kept: Vec<_> = (0..TIMES)
                    .map(|_| {
                        let mut client = Wire::dial_at(&address).unwrap();
                        client
                            .send_raw(b"CLIENT REPLY OFF\r\nINCR n\r\n*2\r\n$4\r\nINCR\r\n$1\r\nm");
                        ending.end(client, &mut operator)
                    })
                    .collect();
                until(&format!("{} to count {TIMES} after {ending:?}", server.program()), || {
                    let count = operator.ask("GET n");
                    (count.text() == Some(TIMES.to_string().as_bytes())).then_some(())
                });
                until_alone(&mut operator);
                assert!(operator.ask("GET m").is_nil(), "what was sent by half is not done");
                drop(kept);
            }
        }
    }
}

#[test]
fn a_long_value_sent_whole_before_the_end_is_stored() {
    const BYTES: usize = 300_000;
    for server in Server::both() {
        let mut operator = server.dial();
        for address in server.addresses() {
            for ending in [Ending::Close, Ending::HalfClose] {
                operator.ask("FLUSHALL");
                let mut client = Wire::dial_at(&address).unwrap();
                client.send(&[crate::support::words(&["SET", "long", &"x".repeat(BYTES)])]);
                let kept = ending.end(client, &mut operator);
                until(&format!("{} to store it after {ending:?}", server.program()), || {
                    (operator.ask("STRLEN long").int() == Some(BYTES as i64)).then_some(())
                });
                until_alone(&mut operator);
                drop(kept);
            }
        }
    }
}

#[test]
fn requests_sent_before_a_half_close_are_answered_and_then_the_connection_ends() {
    const REQUESTS: usize = 10_000;
    for server in Server::both() {
        for address in server.addresses() {
            let mut client = Wire::dial_at(&address).unwrap();
            client.send_raw(&b"PING\r\n".repeat(REQUESTS));
            client.half_close();
            assert_eq!(client.read_many(REQUESTS), vec![Value::Simple(b"PONG".into()); REQUESTS]);
            let mut operator = server.dial();
            until_alone(&mut operator);
            assert_eq!(client.read_to_end(), b"");
        }
    }
}

/// It leaves with a pipeline that nobody has read yet, and replies that nobody takes.
#[test]
fn a_client_that_goes_in_the_middle_of_a_long_pipeline_leaves_nothing_behind() {
    for server in Server::both() {
        let mut operator = server.dial();
        operator.cmd(&["SET", "long", &"x".repeat(10_000)]);
        until_alone(&mut operator);
        let files = open_files(server.pid());
        for address in server.addresses() {
            for ending in HANG_UPS {
                let mut client = Wire::dial_at(&address).unwrap();
                assert_eq!(client.ask("PING").string(), "PONG");
                client.send_raw(&b"*2\r\n$3\r\nGET\r\n$4\r\nlong\r\n".repeat(2_000));
                let kept = ending.end(client, &mut operator);
                until_alone(&mut operator);
                drop(kept);
                until("its socket to be closed", || {
                    (open_files(server.pid()) <= files).then_some(())
                });
            }
        }
    }
}
