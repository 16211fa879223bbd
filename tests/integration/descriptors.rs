//! A server that may open few files: it has as many clients as fit, says so, and turns the others away.

use crate::support::{Server, Wire, ok, until_alone};
use std::collections::BTreeMap;

const FILES: i64 = 100;
const CLIENTS: usize = 150;

fn maxclients(wire: &mut Wire) -> i64 {
    wire.ask("CONFIG GET maxclients").list()[1].string().parse().unwrap()
}

#[test]
fn as_many_clients_are_allowed_as_files_can_be_opened() {
    for server in Server::both_with_open_files(&format!("-n {FILES}")) {
        let allowed = maxclients(&mut server.dial());
        assert!((FILES / 4..FILES).contains(&allowed), "{allowed}");
        assert!(server.said().contains("maxclients"), "it warns: {}", server.said());
    }
}

#[test]
fn every_client_gets_an_answer_and_a_place_that_is_left_is_given_again() {
    for server in Server::both_with_open_files(&format!("-n {FILES}")) {
        let mut operator = server.dial();
        until_alone(&mut operator);
        let allowed = maxclients(&mut operator) as usize;
        let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| server.dial()).collect();
        let mut answers = BTreeMap::new();
        for client in &mut clients {
            // Who is turned away may find the connection closed while it still sends.
            let _ = client.try_send_raw(b"PING\r\n");
            *answers.entry(client.read().to_string()).or_insert(0) += 1;
        }
        let turned_away = "-ERR max number of clients reached".to_owned();
        let expected =
            [("+PONG".to_owned(), allowed - 1), (turned_away, CLIENTS + 1 - allowed)].into();
        assert_eq!(answers, expected);
        drop(clients);
        until_alone(&mut operator);
        let mut again: Vec<Wire> = (1..allowed).map(|_| server.dial()).collect();
        again.iter_mut().for_each(|it| assert_eq!(it.ask("PING").string(), "PONG"));
        assert!(!server.said().contains("accept-failed"), "{}", server.said());
    }
}

/// More than fit is refused, and what was allowed before stays allowed.
#[test]
fn maxclients_cannot_be_set_above_what_files_can_be_opened() {
    for server in Server::both_with_open_files(&format!("-n {FILES}")) {
        let mut wire = server.dial();
        let allowed = maxclients(&mut wire);
        ok(&mut wire, "CONFIG SET maxclients 20");
        for above in [allowed + 1, 5000] {
            let refused = wire.ask(&format!("CONFIG SET maxclients {above}")).string();
            assert_eq!(
                refused,
                format!(
                    "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The \
                     operating system is not able to handle the specified number of clients, try \
                     with {allowed}"
                )
            );
            assert_eq!(maxclients(&mut wire), 20);
        }
        ok(&mut wire, &format!("CONFIG SET maxclients {allowed}"));
    }
}

#[test]
fn a_limit_that_may_be_raised_is_raised() {
    for server in Server::both_with_open_files(&format!("-S -n {FILES}")) {
        let mut wire = server.dial();
        assert_eq!(maxclients(&mut wire), 10_000);
        let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| server.dial()).collect();
        clients.iter_mut().for_each(|it| assert_eq!(it.ask("PING").string(), "PONG"));
    }
}

/// The limit of open files follows maxclients, up to where it may not be raised.
#[test]
fn maxclients_can_be_raised_as_far_as_the_limit_can() {
    const HARD: i64 = 300;
    for server in Server::both_with_open_files(&format!("-S -n {FILES}; ulimit -H -n {HARD}")) {
        let mut wire = server.dial();
        until_alone(&mut wire);
        let allowed = maxclients(&mut wire);
        assert!((HARD / 2..HARD).contains(&allowed), "{allowed}");
        ok(&mut wire, "CONFIG SET maxclients 50");
        ok(&mut wire, &format!("CONFIG SET maxclients {allowed}"));
        let mut clients: Vec<Wire> = (1..allowed).map(|_| server.dial()).collect();
        clients.iter_mut().for_each(|it| assert_eq!(it.ask("PING").string(), "PONG"));
    }
}
