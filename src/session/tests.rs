//! What a session keeps of what it has said and seen.

use super::*;
use crate::base::position::ReplId;
use std::sync::Arc;

const OLD: ReplId = ReplId::new([1; 20]);
const NEW: ReplId = ReplId::new([2; 20]);

fn carried(replid: ReplId, offset: u64) -> Session {
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    let mut session = Session::default();
    session.wrote(at(replid, offset), MonoUs(1));
    let history = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(50));
    session.carry_over(&history);
    session
}

#[test]
fn a_floor_that_a_failover_shares_goes_on_in_the_new_history() {
    let session = carried(OLD, 50);
    assert_eq!(session.floor, Some(Position { replid: NEW, offset: Offset::new(50) }));
    assert_eq!((session.lost, session.last_write), (None, Offset::new(50)));
    assert_eq!(carried(NEW, 90).floor.map(|it| it.offset), Some(Offset::new(90)));
}

#[test]
fn what_a_failover_cut_off_is_lost_and_the_session_goes_on_from_before() {
    let session = carried(OLD, 80);
    assert_eq!(session.lost, Some(Lost { from: Offset::new(50), to: Offset::new(80) }));
    assert_eq!(session.floor, Some(Position { replid: NEW, offset: Offset::new(50) }));
    assert_eq!(session.last_write, Offset::new(50), "WAIT waits for what there is");
}

#[test]
fn of_a_history_that_was_replaced_only_own_writes_are_lost() {
    let history = ReplicationHistory::new(OLD).replaced(NEW);
    let old = Position { replid: OLD, offset: Offset::new(80) };
    let (mut reader, mut writer) = (Session::default(), Session::default());
    reader.saw(old);
    writer.wrote(old, MonoUs(1));
    [&mut reader, &mut writer].into_iter().for_each(|it| it.carry_over(&history));
    let start = Some(Position { replid: NEW, offset: Offset::ZERO });
    assert_eq!((reader.floor, reader.lost), (start, None));
    let lost = Some(Lost { from: Offset::ZERO, to: Offset::new(80) });
    assert_eq!((writer.floor, writer.lost), (start, lost));
}

#[test]
fn what_a_history_that_comes_later_has_cut_off_is_told_when_it_comes() {
    let old = ReplicationHistory::new(OLD);
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    let mut session = Session::default();
    session.was_told(at(OLD, 80), &old, Some(MonoUs(1)));
    session.was_told(at(NEW, 90), &old, Some(MonoUs(2)));
    session.was_told(at(NEW, 95), &old, None);
    assert_eq!((session.floor, session.lost), (Some(at(NEW, 95)), None));
    session.carry_over(&old);
    assert_eq!((session.floor, session.lost), (Some(at(NEW, 95)), None));
    let (mut same, new) = (session.clone(), old.promoted(NEW, Offset::new(50)));
    session.carry_over(&new);
    let lost = Lost { from: Offset::new(50), to: Offset::new(80) };
    assert_eq!((session.floor, session.lost.take()), (Some(at(NEW, 95)), Some(lost)));
    assert_eq!(session.last_write, Offset::new(90));
    session.carry_over(&new);
    assert_eq!(session.lost, None, "once");
    same.carry_over(&old.promoted(NEW, Offset::new(85)));
    assert_eq!((same.floor, same.lost), (Some(at(NEW, 95)), None));
}

#[test]
fn what_was_written_in_a_history_that_never_comes_is_lost_with_it() {
    let old = ReplicationHistory::new(OLD);
    let unknown = ReplId::new([9; 20]);
    let at = Position { replid: unknown, offset: Offset::new(90) };
    let mut session = Session::default();
    session.was_told(at, &old, Some(MonoUs(1)));
    session.carry_over(&old.promoted(NEW, Offset::new(50)).lacking(unknown));
    assert_eq!(session.lost, Some(Lost { from: Offset::ZERO, to: at.offset }));
    assert_eq!(session.last_write, Offset::ZERO);
}

#[test]
fn a_floor_of_an_unknown_history_is_kept_until_everything_has_been_seen() {
    let unknown = ReplId::new([9; 20]);
    let mut session = carried(unknown, 10);
    assert_eq!(session.floor.map(|it| it.replid), Some(unknown));
    let seen = Position { replid: NEW, offset: Offset::new(60) };
    assert!(!session.saw(seen), "a replica that is behind may have less than was seen");
    assert_eq!(session.floor.map(|it| it.replid), Some(unknown));
    session.saw_all(seen);
    assert_eq!(session.floor, Some(seen));
}

#[test]
fn a_write_is_recent_for_as_long_as_its_route_says() {
    let lately = |session: &Session, ms, now| {
        session.wrote_lately(Some(Duration::from_millis(ms)), MonoUs(now))
    };
    let mut session = Session::default();
    assert!(!lately(&session, 5, 0), "it has written nothing");
    session.wrote(Position { replid: OLD, offset: Offset::new(1) }, MonoUs(1000));
    assert!(lately(&session, 5, 1000) && lately(&session, 5, 5999));
    assert!(!lately(&session, 5, 6000) && !lately(&session, 5, 9000));
    assert!(!session.wrote_lately(None, MonoUs(1000)), "no route asks for it");
}

#[test]
fn where_a_write_stands_is_kept_while_it_is_not_the_history_of_today() {
    let old = ReplicationHistory::new(OLD);
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    let told = |session: &mut Session, replid, it, wrote: bool| {
        session.was_told(at(replid, it), &old, wrote.then_some(MonoUs(1)));
        session.wrote_in
    };
    let (mut writer, mut reader) = (Session::default(), Session::default());
    assert_eq!(told(&mut writer, OLD, 80, true), None);
    assert_eq!(told(&mut writer, NEW, 90, true), Some(NEW));
    assert_eq!(told(&mut writer, OLD, 95, false), Some(NEW), "a read moves no write");
    assert_eq!(told(&mut reader, OLD, 80, false), None);
    assert_eq!(told(&mut reader, NEW, 90, false), None, "it has written nothing");
}

#[test]
fn a_session_shares_its_floor_with_those_of_its_name_or_user() {
    let named = |scope, is_known| Session {
        scope: Some(scope),
        is_known,
        name: "app".into(),
        user: "ann".into(),
        ..Session::default()
    };
    let with = |scope, is_known| {
        let session = named(scope, is_known);
        session.shares_with().map(|(scope, name)| (scope, name.to_owned()))
    };
    let (of_name, of_user) = (StickyScope::ClientName, StickyScope::User);
    assert_eq!(with(StickyScope::Connection, true), None);
    assert_eq!(with(of_name, true), Some((of_name, "app".to_owned())));
    assert_eq!(with(of_user, true), Some((of_user, "ann".to_owned())));
    assert_eq!(with(of_user, false), None, "nobody knows who it is");
    let nameless = Session { name: "".into(), ..named(of_name, true) };
    assert_eq!(nameless.shares_with(), None);
}

#[test]
fn of_what_a_master_had_before_it_began_anew_only_own_writes_are_told_as_lost() {
    let old = ReplicationHistory::new(OLD);
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    for wrote in [None, Some(MonoUs(1))] {
        let mut session = Session::default();
        session.was_told(at(OLD, 80), &old, wrote);
        session.was_told(at(NEW, 5), &old, None);
        session.carry_over(&old.replaced(NEW));
        let lost = Lost { from: Offset::ZERO, to: Offset::new(80) };
        assert_eq!((session.floor, session.lost), (Some(at(NEW, 5)), wrote.map(|_| lost)));
    }
}

/// Two that share the floor of a user.
fn sharing() -> [Session; 2] {
    let (all, old) = (Arc::new(SharedFloors::default()), ReplicationHistory::new(OLD));
    let head = Position { replid: OLD, offset: Offset::new(900) };
    [1, 2].map(|id| {
        let shared = Some(all.join(StickyScope::User, "ann", &old, head));
        Session { id, shared, ..Session::default() }
    })
}

#[test]
fn what_one_of_a_scope_has_seen_the_others_have_seen() {
    let old = ReplicationHistory::new(OLD);
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    let [mut one, mut two] = sharing();
    one.saw(at(OLD, 70));
    assert!(one.share(&old) && two.share(&old));
    assert_eq!(two.floor, Some(at(OLD, 70)));
    two.share_all(at(OLD, 90));
    assert_eq!(two.floor, Some(at(OLD, 90)));
    assert!(one.share(&old));
    assert_eq!(one.floor, Some(at(OLD, 90)));
    one.floor = Some(at(NEW, 5));
    assert!(!one.share(&old), "they cannot be compared");
    assert_eq!(one.floor, Some(at(NEW, 5)));
    assert!(Session::default().share(&old), "it shares none");
}

#[test]
fn where_floors_cannot_be_compared_the_history_that_was_told_last_decides() {
    let old = ReplicationHistory::new(OLD);
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    let raised = |it: &Session| it.shared.as_ref().and_then(|it| it.raised().to);
    let [mut one, mut two] = sharing();
    two.share_all(at(OLD, 90));
    one.floor = Some(at(NEW, 5));
    for session in [&mut one, &mut two] {
        session.share_told(&old, at(NEW, 3));
        assert_eq!(session.floor, Some(at(NEW, 5)), "the higher of those of that history");
        assert_eq!(raised(session), Some(at(NEW, 5)));
    }
    let [mut one, _two] = sharing();
    one.share_all(at(OLD, 90));
    one.share_told(&old, at(NEW, 3));
    assert_eq!(one.floor, Some(at(NEW, 3)), "nobody has seen more of it");
}

#[test]
fn who_has_written_is_told_what_its_scope_has_lost_with_a_whole_history() {
    let new = ReplicationHistory::new(OLD).replaced(NEW);
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    for has_written in [false, true] {
        let [mut one, mut two] = sharing();
        one.share_all(at(OLD, 90));
        two.last_write = if has_written { Offset::new(60) } else { Offset::ZERO };
        assert!(two.share(&new));
        let lost = Lost { from: Offset::ZERO, to: Offset::new(90) };
        assert_eq!(two.floor, Some(at(NEW, 0)));
        assert_eq!(two.lost, has_written.then_some(lost));
    }
}

#[test]
fn a_message_raises_the_floor_to_where_it_was_published() {
    let old = ReplicationHistory::new(OLD);
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    let head = at(OLD, 99);
    let mut session = Session { subscriptions: Some(Box::default()), ..Session::default() };
    let mut told = |at, history: &ReplicationHistory, head| {
        session.heard(at, history, head);
        let told = session.subscriptions.as_ref().and_then(|it| it.told_in(history));
        (session.floor, told)
    };
    let both = |it| (Some(it), Some(it));
    assert_eq!(told(at(OLD, 30), &old, head), both(at(OLD, 30)));
    assert_eq!(told(at(OLD, 20), &old, head), both(at(OLD, 30)), "it never falls");
    assert_eq!(told(at(NEW, 40), &old, head), both(head), "nobody knows where that is");
    let mut session = Session::default();
    session.heard(at(OLD, 80), &old.promoted(NEW, Offset::new(50)), at(NEW, 95));
    assert_eq!(session.floor, Some(at(NEW, 50)), "the rest has been cut off");
}

#[test]
fn a_session_subscribes_or_watches_while_there_is_a_name_or_a_key() {
    let mut session = Session::default();
    assert!(!session.is_subscribed() && !session.is_watching());
    session.subscriptions = Some(Box::default());
    assert!(!session.is_subscribed());
    let subscriptions = session.subscriptions.as_mut().unwrap();
    subscriptions.add(SubscriptionKind::Channel, "news".into());
    assert!(session.is_subscribed());
    assert!(session.watches.add(0, b"key", OLD, || 1) && session.is_watching());
}

#[test]
fn what_is_told_late_of_a_history_that_is_over_is_carried_over_at_once() {
    let new = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(50));
    let at = |replid, it| Position { replid, offset: Offset::new(it) };
    let mut session = Session::default();
    session.was_told(at(OLD, 80), &new, Some(MonoUs(1)));
    let lost = Lost { from: Offset::new(50), to: Offset::new(80) };
    assert_eq!((session.floor, session.lost.take()), (Some(at(NEW, 50)), Some(lost)));
    assert_eq!(session.last_write, Offset::new(50));
    session.was_told(at(OLD, 40), &new, None);
    assert_eq!((session.floor, session.lost), (Some(at(NEW, 50)), None), "it never sinks");
}
