//! Reads that nobody can serve at once, and what of them is counted.

use super::*;
use crate::base::ids::{MemberId, RouteId};
use crate::commands::BlockOn;
use crate::metrics::Place;
use crate::node::{Applied, ApplyBudget, MemberFlags};
use crate::route::{Reason, StepKind};
use crate::state::Message;
use std::time::Duration;

/// A set of a master and one replica, which nobody feeds: a read of what was just written goes by
/// this ladder.
fn lagging(ladder: &str) -> Proxy {
    let level = "level = \"sticky\"";
    Proxy::new(&format!("[set]\nreplicas = 1\n[consistency]\n{level}\n{ladder}\n"))
}

fn apply(proxy: &Proxy, member: u16) {
    let set = proxy.server.set.clone();
    while set.apply(set.member(MemberId(member)), ApplyBudget::ALL) == Applied::Some {}
}

fn wake(proxy: &mut Proxy, client: &mut Connection) -> String {
    proxy.handle(client, Event::Message(Message::Woken(client.caller.last_block)));
    let reply = replies(client);
    proxy.go_on(client, reply)
}

/// How often a step of the ladder was taken, wherever that led.
fn steps(proxy: &Proxy, step: StepKind) -> u64 {
    proxy.server.metrics.snapshot().tally().ladder[step as usize]
}

#[test]
fn a_read_waits_for_its_replica_and_is_served_once_that_has_what_it_needs() {
    let mut proxy = lagging("on-lag = [\"wait 50ms\", \"master\"]");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "SET a 1\r\nGET a"), "+OK");
    assert!(client.is_blocked());
    assert_eq!(client.poll_deadline(), Some(NOW.plus(Duration::from_millis(50))));
    let on = |it| if let Action::Block(_, on) = it { Some(on) } else { None };
    let on = proxy.actions.drain(..).find_map(on);
    assert!(matches!(on, Some(BlockOn::Offset(_, head)) if head == proxy.server.set.head()));
    apply(&proxy, 1);
    proxy.now = NOW.plus(Duration::from_millis(7));
    assert_eq!(wake(&mut proxy, &mut client), "$1 1");
    let last = client.caller.session.last;
    assert_eq!((last.member, last.because), (MemberId(1), Some(Reason::Waited)));
    assert_eq!((last.behind_bytes, last.steps.to_string()), (0, "wait".to_owned()));
    assert_eq!(steps(&proxy, StepKind::Wait), 1, "a wait counts once");
}

#[test]
fn when_its_wait_is_over_a_read_goes_on_with_the_next_step() {
    for (next, reply, because) in [
        ("stale", "$-1", Some(Reason::StaleAllowed)),
        ("master", "$1 1", Some(Reason::MasterOnLag)),
        ("error", "-LAGGED", None),
    ] {
        let mut proxy = lagging(&format!("on-lag = [\"wait 50ms\", \"{next}\"]"));
        let mut client = proxy.connect();
        proxy.ask(&mut client, "SET a 1\r\nGET a");
        proxy.now = NOW.plus(Duration::from_millis(50));
        let now = proxy.now;
        proxy.handle(&mut client, Event::Time(now));
        let told = replies(&mut client);
        let told = proxy.go_on(&mut client, told);
        assert!(told.starts_with(reply), "{next}: {told}");
        let last = client.caller.session.last;
        assert!(because.is_none() || last.because == because, "{next}: {last:?}");
        let steps = last.steps.to_string();
        assert!(steps.starts_with("wait"), "{next}: {steps}");
    }
}

#[test]
fn a_wait_that_was_for_nothing_is_not_begun_again() {
    let mut proxy = lagging("on-lag = [\"wait 50ms\", \"master\"]");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "SET a 1\r\nGET a");
    // Somebody has said that there is something to see, and there is not.
    assert_eq!(wake(&mut proxy, &mut client), "$1 1");
    assert_eq!(client.caller.session.last.because, Some(Reason::MasterOnLag));
}

#[test]
fn a_read_whose_replica_is_removed_goes_on_waiting_for_another() {
    let config = "[set]\nreplicas = 2\n[consistency]\nlevel = \"sticky\"\n\
                  on-lag = [\"wait 50ms\", \"master\"]\n";
    let mut proxy = Proxy::new(config);
    let mut client = proxy.connect();
    proxy.ask(&mut client, "SET a 1\r\nGET a");
    assert!(client.is_blocked());
    let set = proxy.server.set.clone();
    let waits_for = 1;
    set.remove_member(set.member(MemberId(waits_for)), NOW).unwrap();
    proxy.now = NOW.plus(Duration::from_millis(20));
    assert_eq!(wake(&mut proxy, &mut client), "");
    assert!(client.is_blocked());
    assert_eq!(client.poll_deadline(), Some(NOW.plus(Duration::from_millis(50))), "what is left");
    apply(&proxy, 2);
    assert_eq!(wake(&mut proxy, &mut client), "$1 1");
    assert_eq!(client.caller.session.last.member, MemberId(2));
}

#[test]
fn how_far_behind_reads_were_is_counted_where_they_were_served() {
    let mut proxy = lagging("on-lag = [\"stale\"]");
    let mut client = proxy.connect();
    proxy.ask(&mut client, "SET a 1\r\nGET a");
    let behind = proxy.server.set.head().bytes();
    let place = Place { route: RouteId::DEFAULT, member: MemberId(1) };
    let all = proxy.server.metrics.snapshot();
    let staleness = all.staleness();
    let bytes = &staleness.get(&place).expect("one was stale").bytes;
    assert_eq!((bytes.count(), bytes.sum()), (1, behind));
    assert_eq!(client.caller.session.last.behind_bytes, behind);
    assert_eq!(client.caller.session.last.behind_us, 0, "the clock stands still");
    assert_eq!(steps(&proxy, StepKind::Stale), 1);
}

#[test]
fn who_needs_a_master_that_is_out_of_service_has_it_replaced_on_a_thread_of_its_own() {
    for line in [
        "SET a 1",
        "WATCH a",
        "MULTI\r\nSET a 1\r\nEXEC",
        "PROXY ONCE LEVEL master DO GET a",
        "EVAL \"return 1\" 0",
    ] {
        let mut proxy = Proxy::new("[set]\nreplicas = 1\n");
        let set = proxy.server.set.clone();
        set.member(MemberId(0)).enter(MemberFlags::QUARANTINED, NOW);
        let mut client = proxy.connect();
        proxy.handle(&mut client, Event::Bytes(format!("{line}\r\n").as_bytes()));
        assert!(client.is_long_next(), "{line}");
        assert_eq!(set.master(), MemberId(0));
        let reply = replies(&mut client);
        let reply = proxy.go_on(&mut client, reply);
        assert!(!reply.contains('-') || reply == "$-1", "{line}: {reply}");
        assert_eq!(set.master(), MemberId(1), "{line}");
    }
    for line in ["PING", "CLIENT ID", "INFO server", "PROXY ONCE AT n2 DO GET a", "MULTI"] {
        let mut proxy = Proxy::new("[set]\nreplicas = 1\n");
        proxy.server.set.member(MemberId(0)).enter(MemberFlags::QUARANTINED, NOW);
        let mut client = proxy.connect();
        proxy.handle(&mut client, Event::Bytes(format!("{line}\r\n").as_bytes()));
        assert!(!client.is_long_next() && !replies(&mut client).is_empty(), "{line}");
    }
}

#[test]
fn nobody_writes_where_the_master_is_out_of_service_and_none_can_take_its_place() {
    let mut proxy = Proxy::new("[set]\nreplicas = 0\n");
    proxy.server.set.member(MemberId(0)).enter(MemberFlags::QUARANTINED, NOW);
    for line in ["SET a 1", "GET a", "MULTI\r\nSET a 1\r\nEXEC"] {
        let reply = proxy.ask_anew(line);
        assert!(reply.contains("MASTERDOWN"), "{line}: {reply}");
    }
}

#[test]
fn what_ends_the_connection_is_silenced_like_anything_else() {
    assert_eq!(Proxy::new("").ask_anew("CLIENT REPLY OFF\r\nQUIT"), "");
    assert_eq!(Proxy::new("").ask_anew("QUIT"), "+OK");
}
