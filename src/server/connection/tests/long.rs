//! What is long, by estimate: it goes to a thread for that, and who waits for it waits apart.

use super::*;
use crate::base::ids::MemberId;
use crate::base::lowered::lower_long_elements;
use crate::commands::BlockOn;
use crate::node::{Applied, ApplyBudget};

/// So many elements are not long, and one more are.
const MOST: usize = 20;

/// A set `s` of so many members, and a list `l` of as many elements, at all members.
fn proxy(elements: usize) -> Proxy {
    let mut proxy = Proxy::new("[set]\nreplicas = 1\n");
    for it in 0..elements {
        assert_eq!(
            proxy.ask_anew(&format!("SADD s {it}\r\nRPUSH l {it}")),
            format!(":1 :{}", it + 1)
        );
    }
    let set = proxy.server.set.clone();
    while set.apply(set.member(MemberId(1)), ApplyBudget::ALL) == Applied::Some {}
    lower_long_elements(MOST);
    proxy
}

/// Whether these lines end in a wait for a thread for long work.
fn is_long(proxy: &mut Proxy, lines: &str) -> bool {
    let mut client = proxy.connect();
    proxy.handle(&mut client, Event::Bytes(format!("{lines}\r\n").as_bytes()));
    let is_long = client.is_long_next();
    let reply = replies(&mut client);
    let all = proxy.go_on(&mut client, reply);
    assert!(!client.has_more(), "it is served: {all}");
    assert!(!client.is_long_next());
    is_long
}

#[test]
fn a_request_is_long_from_one_word_or_element_more_on_than_nobody_notices() {
    for (line, words) in [
        ("SMEMBERS s", 2),
        ("SUNIONSTORE t s", 3),
        ("MULTI\r\nSMEMBERS s\r\nEXEC", 2),
        ("MULTI\r\nSMEMBERS s\r\nSET a 1\r\nEXEC", 5),
        ("PROXY ONCE LEVEL master DO SMEMBERS s", 2),
        ("PROXY ONCE AT n2 DO SMEMBERS s", 2),
        ("PROXY ONCE LEVEL eventual DO SMEMBERS s", 2),
    ] {
        assert!(!is_long(&mut proxy(MOST - words), line), "{line}");
        assert!(is_long(&mut proxy(MOST - words + 1), line), "{line}");
    }
    for line in ["GET a", "SCARD s", "SISMEMBER s 1", "RPUSH l x", "LINDEX l 0"] {
        assert!(!is_long(&mut proxy(5 * MOST), line), "{line}");
    }
}

#[test]
fn many_words_are_long_whatever_they_ask_for() {
    let words = |count: usize| (0..count).map(|it| format!(" k{it}")).collect::<String>();
    let mut proxy = proxy(0);
    for name in ["MGET", "DEL"] {
        assert!(!is_long(&mut proxy, &format!("{name}{}", words(MOST - 1))));
        assert!(is_long(&mut proxy, &format!("{name}{}", words(MOST))));
    }
}

#[test]
fn what_is_queued_is_long_together() {
    let half = MOST / 2 + 1;
    let mut proxy = proxy(half);
    assert!(!is_long(&mut proxy, "MULTI\r\nSMEMBERS s\r\nEXEC"));
    assert!(is_long(&mut proxy, "MULTI\r\nSMEMBERS s\r\nLRANGE l 0 -1\r\nEXEC"));
    assert!(!is_long(&mut proxy, "MULTI\r\nSMEMBERS s\r\nSET a 1\r\nEXEC"));
    assert!(is_long(&mut proxy, "MULTI\r\nSMEMBERS s\r\nSET a 1\r\nSUNIONSTORE t s\r\nEXEC"));
}

#[test]
fn exec_of_what_looks_at_members_has_a_thread_of_its_own() {
    let mut proxy = proxy(1);
    assert!(is_long(&mut proxy, "MULTI\r\nSET a 1\r\nCONFIG SET maxmemory 0\r\nEXEC"));
    assert!(!is_long(&mut proxy, "MULTI\r\nSET a 1\r\nCONFIG GET maxmemory\r\nEXEC"));
}

#[test]
fn within_the_turn_of_a_script_another_goes_to_a_thread_of_its_own() {
    for (line, expected) in [
        ("EVAL \"return 1\" 0", false),
        ("MULTI\r\nEVAL \"return 1\" 0\r\nEXEC", true),
        ("MULTI\r\nSET a 1\r\nEXEC", false),
        ("SET a 1", false),
    ] {
        for is_within in [false, true] {
            let mut proxy = proxy(0);
            proxy.scratch.is_within = is_within;
            let told = is_long(&mut proxy, line);
            assert_eq!(told, is_within && (expected || line.starts_with("EVAL")), "{line}");
        }
    }
}

/// What a client waits for that sends this while somebody reads the member for long.
fn waits_for(proxy: &mut Proxy, reads: MemberId, line: &str) -> Option<BlockOn> {
    let set = proxy.server.set.clone();
    let mut client = proxy.connect();
    let long = set.read_long(set.member(reads));
    proxy.actions.clear();
    proxy.ask(&mut client, line);
    drop(long);
    proxy
        .actions
        .drain(..)
        .find_map(|it| if let Action::Block(_, on) = it { Some(on) } else { None })
}

#[test]
fn who_needs_a_member_that_is_read_for_long_waits_for_that_and_others_do_not() {
    let (master, replica) = (MemberId(0), MemberId(1));
    for (line, of_master, of_replica) in [
        ("SET a 1", true, false),
        ("GET a", false, false),
        ("MULTI\r\nSET a 1\r\nEXEC", true, false),
        ("CLIENT TRACKING ON", true, false),
        ("CLIENT PAUSE 1 WRITE", true, false),
        ("CONFIG SET maxmemory 0", true, true),
        ("DEBUG JMAP", true, false),
        ("PING", false, false),
        ("CLIENT ID", false, false),
        ("INFO server", false, false),
    ] {
        let mut proxy = proxy(0);
        for (member, waits) in [(master, of_master), (replica, of_replica)] {
            let on = waits_for(&mut proxy, member, line);
            assert_eq!(on, waits.then_some(BlockOn::Free(member)), "{line} {member:?}");
        }
    }
}
