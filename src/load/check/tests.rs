//! The checker against histories that are right or wrong by construction.

mod simulated;

use super::*;
use simulated::{Mistake, Plan, Run};

const MS: u64 = 1_000_000;

fn write(client: u32, key: u64, version: u64, began_ms: u64, ended_ms: u64) -> Event {
    let (began, ended) = (began_ms * MS, Some(ended_ms * MS));
    Event::Write(WriteEvent { client, key, version, began, ended, is_confirmed: false })
}

fn confirmed(event: Event) -> Event {
    match event {
        Event::Write(it) => Event::Write(WriteEvent { is_confirmed: true, ..it }),
        Event::Read(_) => panic!("a read is not confirmed"),
    }
}

fn unanswered(event: Event) -> Event {
    match event {
        Event::Write(it) => Event::Write(WriteEvent { ended: None, ..it }),
        Event::Read(_) => panic!("a read has an answer"),
    }
}

fn read(client: u32, key: u64, version: u64, began_ms: u64, ended_ms: u64) -> Event {
    let version = Some(version).filter(|it| *it != 0);
    let (began, ended) = (began_ms * MS, ended_ms * MS);
    Event::Read(ReadEvent { client, key, version, began, ended, target: client as u16 })
}

fn verdict(checks: &str, events: &[Event], ends: &[(u64, Option<u64>)]) -> Verdict {
    let mut checker = Checker::new(Checks::parse(checks).unwrap(), 8);
    events.iter().for_each(|it| checker.observe(*it));
    ends.iter().for_each(|(key, version)| checker.final_value(*key, *version));
    checker.finish()
}

/// Events that contradict each other, in the order in which they began, among others that do not:
/// each check must show these and no others.
#[track_caller]
fn contradict(check: CheckName, events: &[Event]) {
    let mut all: Vec<Event> = Vec::new();
    for noise in 0..200 {
        // Another key, by other clients, before and between and after.
        all.push(write(90, 1_000, noise + 1, noise * 10, noise * 10 + 1));
        all.push(read(91, 1_000, noise + 1, noise * 10 + 2, noise * 10 + 3));
    }
    all.extend(events);
    all.sort_by_key(Event::place);
    let verdict = verdict(check.name(), &all, &[]);
    assert_eq!(verdict.count(check).1, 1, "{:?}", verdict.counts);
    let shown: Vec<&Violation> = verdict.violations.iter().filter(|it| it.check == check).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].events, events, "{}", shown[0]);
    // Without any one of them there is no contradiction.
    for at in 0..events.len() {
        let mut fewer = events.to_vec();
        fewer.remove(at);
        let without = self::verdict(check.name(), &fewer, &[]);
        assert_eq!(without.count(check).1, 0, "event {at} is not needed");
    }
}

#[test]
fn who_was_given_a_token_must_see_what_it_stands_for() {
    let token = |taken_ms: u64, given_ms: u64| {
        let (taken, given) = (taken_ms * MS, given_ms * MS);
        TokenEvent { from: 1, to: 2, taken, given }
    };
    let found = |token: TokenEvent, events: &[Event]| {
        let mut checker = Checker::new(Checks::parse("tokens").unwrap(), 8);
        checker.observe_token(token);
        events.iter().for_each(|it| checker.observe(*it));
        checker.finish()
    };
    let wrote = [write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 4), read(2, 5, 1, 7, 8)];
    let verdict = found(token(5, 6), &wrote);
    assert_eq!(verdict.count(CheckName::Tokens), (1, 1));
    let text = verdict.violations[0].to_string();
    assert!(text.contains("5.000 –        6.000 ms  client 1     gave its token to client 2"));
    assert_eq!(verdict.violations[0].events.len(), 3, "{text}");
    // What the client has read counts, too.
    let read_it =
        [write(3, 5, 1, 1, 2), write(3, 5, 2, 3, 4), read(1, 5, 2, 4, 5), read(2, 5, 1, 7, 8)];
    assert_eq!(found(token(5, 6), &read_it).count(CheckName::Tokens).1, 1);
    // Not what it did after the token was taken, nor what is read before it is handed in.
    assert_eq!(found(token(3, 6), &wrote).count(CheckName::Tokens), (1, 0));
    assert_eq!(found(token(5, 9), &wrote).count(CheckName::Tokens), (0, 0));
    let for_another = TokenEvent { to: 4, ..token(5, 6) };
    assert_eq!(found(for_another, &wrote).count(CheckName::Tokens), (0, 0));
}

#[test]
fn only_what_is_certain_counts_as_stale() {
    let found = |shared_below: u64, events: &[Event]| {
        let checks = Checks::parse("staleness").unwrap();
        let mut checker = Checker::new(checks, 8).shared_below(shared_below);
        events.iter().for_each(|it| checker.observe(*it));
        let staleness = checker.finish().staleness.unwrap();
        (staleness.reads(), staleness.stale())
    };
    let old = [write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 4), read(2, 5, 1, 5, 6)];
    assert_eq!(found(0, &old), (1, 1));
    assert_eq!(found(5, &old), (1, 1));
    // All clients write it: another's write may have come between.
    assert_eq!(found(6, &old), (0, 0));
    // Version 1 has no answer yet when it is seen: perhaps it came late.
    let late = [write(1, 5, 2, 3, 4), read(2, 5, 1, 5, 6), write(1, 5, 1, 1, 900)];
    assert_eq!(found(0, &late), (1, 0));
    let unanswered = [unanswered(write(1, 5, 1, 1, 1)), write(1, 5, 2, 3, 4), read(2, 5, 1, 5, 6)];
    assert_eq!(found(0, &unanswered), (1, 0));
}

#[test]
fn a_client_must_see_its_own_write() {
    let events = [write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 4), read(1, 5, 1, 5, 6)];
    contradict(CheckName::ReadYourWrites, &events);
    let others = [write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 4), read(2, 5, 1, 5, 6)];
    assert!(verdict("read-your-writes", &others, &[]).is_clean());
    let early = [write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 5), read(1, 5, 1, 4, 6)];
    assert!(verdict("read-your-writes", &early, &[]).is_clean());
    // One request begins in the instant in which the other ends.
    contradict(
        CheckName::ReadYourWrites,
        &[write(1, 5, 1, 1, 2), write(1, 5, 2, 2, 4), read(1, 5, 1, 4, 6)],
    );
}

#[test]
fn a_client_must_not_see_time_go_back() {
    contradict(
        CheckName::MonotonicReads,
        &[write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 4), read(2, 5, 2, 5, 6), read(2, 5, 1, 6, 7)],
    );
    // Also before the write has its answer.
    contradict(
        CheckName::MonotonicReads,
        &[write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 400), read(2, 5, 2, 5, 6), read(2, 5, 1, 6, 7)],
    );
    let two_clients =
        [write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 4), read(2, 5, 2, 5, 6), read(3, 5, 1, 7, 8)];
    assert!(verdict("monotonic-reads", &two_clients, &[]).is_clean());
}

#[test]
fn a_version_that_nobody_wrote_is_no_evidence_of_another_wrong() {
    let events = [write(1, 5, 1, 1, 2), read(2, 5, 7, 3, 4), read(2, 5, 1, 5, 6)];
    let verdict = verdict("all", &events, &[]);
    let violated: Vec<CheckName> = verdict.violations.iter().map(|it| it.check).collect();
    assert_eq!(violated, [CheckName::WrittenValues]);
    assert_eq!(verdict.violations[0].events, [events[1]]);
}

#[test]
fn a_write_without_an_answer_may_happen_late() {
    // Version 2 was sent on a connection that broke; it happens after version 3.
    let late = unanswered(write(1, 5, 2, 3, 3));
    let mut events = [
        write(1, 5, 1, 1, 2),
        late,
        write(1, 5, 3, 4, 5),
        read(1, 5, 3, 6, 7),
        read(1, 5, 2, 8, 9),
        read(1, 5, 2, 10, 11),
    ];
    assert!(verdict("all", &events, &[(5, Some(2))]).is_clean());
    // However late the checker hears of it.
    events.swap(1, 5);
    assert!(verdict("all", &events, &[(5, Some(2))]).is_clean());
    let back = [&events[..], &[read(1, 5, 3, 12, 13)]].concat();
    let verdict = verdict("linearizable", &back, &[]);
    assert_eq!(verdict.count(CheckName::Linearizable).1, 1);
}

#[test]
fn a_later_write_must_not_be_seen_without_the_earlier() {
    let events = [
        write(1, 5, 1, 1, 2),
        write(1, 5, 2, 3, 4),
        write(1, 6, 1, 5, 6),
        read(2, 6, 1, 7, 8),
        read(2, 5, 1, 9, 10),
    ];
    contradict(CheckName::MonotonicWrites, &events);
    let mut others = events;
    others[2] = write(3, 6, 1, 5, 6);
    assert!(verdict("monotonic-writes", &others, &[]).is_clean());
}

#[test]
fn a_write_must_not_be_seen_without_what_its_client_had_read() {
    let events = [
        write(1, 5, 1, 1, 2),
        write(1, 5, 2, 3, 4),
        read(2, 5, 2, 5, 6),
        write(2, 6, 1, 7, 8),
        read(3, 6, 1, 9, 10),
        read(3, 5, 1, 11, 12),
    ];
    contradict(CheckName::WritesFollowReads, &events);
    let mut before = events;
    before[2] = read(2, 5, 2, 5, 9);
    assert!(verdict("writes-follow-reads", &before, &[]).is_clean());
}

#[test]
fn an_answered_write_must_be_seen_from_then_on() {
    let events = [write(1, 5, 1, 1, 2), write(1, 5, 2, 3, 4), read(2, 5, 1, 5, 6)];
    contradict(CheckName::NoLostWrite, &events);
    assert!(verdict("no-lost-confirmed-write", &events, &[]).is_clean());
    contradict(CheckName::NoLostConfirmedWrite, &[events[0], confirmed(events[1]), events[2]]);
    // A read at a replica is stale, and shows no loss.
    let mut checker = Checker::new(Checks::parse("no-lost-write").unwrap(), 8).lost_only_at(&[1]);
    events.iter().for_each(|it| checker.observe(*it));
    assert!(checker.finish().is_clean());
}

#[test]
fn the_final_value_shows_a_loss() {
    let writes = [write(1, 5, 1, 1, 2), confirmed(write(1, 5, 2, 3, 4)), write(1, 5, 3, 5, 6)];
    let lost = |version| {
        let verdict = verdict("no-lost-write,no-lost-confirmed-write", &writes, &[(5, version)]);
        let shown: Vec<(CheckName, Vec<Event>)> =
            verdict.violations.iter().map(|it| (it.check, it.events.clone())).collect();
        shown
    };
    let (acked, confirmed) = (CheckName::NoLostWrite, CheckName::NoLostConfirmedWrite);
    assert_eq!(lost(Some(3)), []);
    assert_eq!(lost(Some(2)), [(acked, writes[1..].to_vec())]);
    let both = [(acked, vec![writes[0], writes[2]]), (confirmed, writes[..2].to_vec())];
    assert_eq!(lost(Some(1)), both);
    assert_eq!(lost(None), [(acked, vec![writes[2]]), (confirmed, vec![writes[1]])]);
    assert_eq!(lost(Some(9)), [(CheckName::WrittenValues, vec![])]);
}

#[test]
fn linearizability_shows_the_least_contradiction() {
    // Two reads that do not agree on what came last, while a write is under way.
    contradict(
        CheckName::Linearizable,
        &[write(1, 5, 1, 1, 2), write(2, 5, 2, 3, 90), read(3, 5, 2, 5, 6), read(4, 5, 1, 7, 8)],
    );
    contradict(
        CheckName::Linearizable,
        &[write(1, 5, 1, 1, 2), write(2, 5, 2, 3, 4), read(3, 5, 1, 500, 501)],
    );
    // Two writes at once: readers must agree on their order.
    contradict(
        CheckName::Linearizable,
        &[
            write(1, 5, 3, 1, 10),
            write(2, 5, 2, 2, 11),
            read(4, 5, 2, 14, 15),
            read(3, 5, 3, 16, 17),
        ],
    );
    let end = verdict("linearizable", &[write(1, 5, 1, 1, 2)], &[(5, None)]);
    assert_eq!(end.violations[0].events, [write(1, 5, 1, 1, 2)]);
    assert_eq!(end.violations[0].final_value, Some(FinalValue { key: 5, version: None }));
}

#[test]
fn staleness_is_measured_in_versions_and_in_time() {
    let mut events: Vec<Event> = (1..=10).map(|it| write(1, 5, it, it * 10, it * 10 + 1)).collect();
    events.extend([read(2, 5, 7, 110, 111), read(2, 5, 10, 112, 113), read(3, 5, 9, 100, 115)]);
    let staleness = verdict("staleness", &events, &[]).staleness.unwrap();
    assert_eq!((staleness.reads(), staleness.stale()), (3, 1));
    assert_eq!(staleness.versions_behind.max(), 3);
    // Version 8 was acknowledged at 81 ms.
    assert!(staleness.us_behind.equivalent(staleness.us_behind.max(), 29_000));
    assert_eq!(staleness.targets, [(2, 2, 1), (3, 1, 0)]);
}

#[test]
fn what_is_right_is_never_a_violation() {
    for seed in 0..60 {
        for plan in [Plan::ONE_WRITER, Plan::SHARED, Plan::LOST_ANSWERS, Plan::PIPELINED] {
            let run = Run::new(seed, plan, Mistake::None);
            let verdict = verdict("all", &run.events, &run.ends);
            let shown: Vec<String> = verdict.violations.iter().map(|it| it.to_string()).collect();
            assert!(verdict.is_clean(), "seed {seed}, {plan:?}:\n{}", shown.join("\n"));
            let (compared, _) = verdict.count(CheckName::Linearizable);
            let undecided = verdict.undecided as f64 / compared as f64;
            assert!(undecided < 0.02, "{} of {compared}, {plan:?}", verdict.undecided);
            assert_eq!(verdict.not_checked, 0);
        }
    }
}

/// What contradicts linearizability by itself does so without anything that could be left out.
#[track_caller]
fn are_minimal(verdict: &Verdict) {
    let shown = verdict.violations.iter().filter(|it| it.check == CheckName::Linearizable);
    shown.filter(|it| it.final_value.is_none()).for_each(simulated::assert_minimal);
}

#[test]
fn what_is_wrong_is_found() {
    for seed in 0..60 {
        for (mistake, check) in [
            (Mistake::OlderRead, CheckName::NoLostWrite),
            (Mistake::OlderRead, CheckName::Linearizable),
            (Mistake::DroppedWrite, CheckName::NoLostWrite),
            (Mistake::DroppedWrite, CheckName::Linearizable),
            (Mistake::DroppedConfirmed, CheckName::NoLostConfirmedWrite),
            (Mistake::NeverWritten, CheckName::WrittenValues),
            (Mistake::SwappedReads, CheckName::MonotonicReads),
            (Mistake::LostAtTheEnd, CheckName::NoLostWrite),
            (Mistake::LostAtTheEnd, CheckName::Linearizable),
        ] {
            let run = Run::new(seed, Plan::ONE_WRITER, mistake);
            let verdict = verdict("all", &run.events, &run.ends);
            assert!(0 < verdict.count(check).1, "seed {seed}: {mistake:?} is not seen by {check}");
            are_minimal(&verdict);
        }
        let run = Run::new(seed, Plan::SHARED, Mistake::OlderRead);
        let verdict = verdict("linearizable", &run.events, &run.ends);
        assert!(0 < verdict.count(CheckName::Linearizable).1, "seed {seed}: shared");
        are_minimal(&verdict);
    }
}

#[test]
fn replicas_that_respect_floors_are_right_and_others_are_not() {
    let sessions = "read-your-writes,monotonic-reads,monotonic-writes,writes-follow-reads";
    let mut found = [0; 4];
    for seed in 0..40 {
        let run = Run::of_replicas(seed, true);
        let right = verdict(&format!("{sessions},staleness"), &run.events, &run.ends);
        let shown: Vec<String> = right.violations.iter().map(|it| it.to_string()).collect();
        assert!(right.is_clean(), "seed {seed}:\n{}", shown.join("\n"));
        assert!(100 < right.staleness.unwrap().stale(), "must not pass by being fresh");
        assert!(right.counts.iter().all(|(_, pairs, _)| 100 < *pairs), "{:?}", right.counts);
        let run = Run::of_replicas(seed, false);
        let wrong = verdict(sessions, &run.events, &run.ends);
        for (at, (_, _, violations)) in wrong.counts[..4].iter().enumerate() {
            found[at] += violations;
        }
    }
    assert!(found.iter().all(|it| 100 < *it), "{found:?}");
}
