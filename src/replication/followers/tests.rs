//! What a follower goes through, and what is known of it.

use super::*;
use FollowerState::{Disconnected, FullResync, Handshake, Online};
use proptest::prelude::*;

const WHY: DisconnectReason = DisconnectReason::FeedLimit;

fn at(bytes: u64) -> Offset {
    Offset::new(bytes)
}

fn states() -> [FollowerState; 4] {
    let online = Online { sent: at(9), acked: at(5) };
    [Handshake, FullResync { at: at(9) }, online, Disconnected { why: WHY }]
}

/// What each transition makes of each state; `None` where it is a broken promise of ours.
#[test]
fn a_state_is_left_only_as_its_picture_says() {
    type By = fn(FollowerState) -> FollowerState;
    let online = |sent, acked| Some(Online { sent: at(sent), acked: at(acked) });
    let gone = Some(Disconnected { why: WHY });
    let facts: [(&str, By, [Option<FollowerState>; 4]); 6] = [
        ("handshake", |it| it.handshake(), [Some(Handshake), None, None, Some(Handshake)]),
        (
            "full_resync",
            |it| it.full_resync(at(7)),
            [Some(FullResync { at: at(7) }), None, None, None],
        ),
        ("resume", |it| it.resume(at(7)), [online(7, 7), None, None, None]),
        ("online", |it| it.online(at(7)), [None, online(9, 7), None, None]),
        ("send", |it| it.send(at(12)), [None, None, online(12, 5), None]),
        ("disconnect", |it| it.disconnect(WHY), [gone; 4]),
    ];
    for (name, by, becomes) in facts {
        for (state, becomes) in states().into_iter().zip(becomes) {
            let did = std::panic::catch_unwind(|| by(state)).ok();
            assert_eq!(did, becomes, "{name} of one {state}");
        }
    }
}

#[test]
fn an_acknowledgement_never_goes_back_and_a_lie_is_a_peers_fault() {
    let state = Online { sent: at(9), acked: at(5) };
    assert_eq!(state.ack(at(7)), Ok(Online { sent: at(9), acked: at(7) }));
    assert_eq!(state.ack(at(3)), Ok(state), "it came late");
    let lie = PeerFault::AckBeyondSent { acked: at(10), sent: at(9) };
    assert_eq!(state.ack(at(10)), Err(lie));
    assert_eq!(Handshake.ack(at(0)), Err(PeerFault::AckBeforeOnline));
    let mut followers = Followers::default();
    let id = followers.add(FollowerKind::Wire, "peer".into(), 100);
    followers.change(id, |it| it.resume(at(9)));
    assert_eq!(followers.ack(id, at(10), MonoUs(1)), Err(lie));
    let why = DisconnectReason::Peer(lie);
    assert_eq!(followers.get(id).state, Disconnected { why });
}

#[test]
#[should_panic(expected = "a follower that is gone")]
fn an_id_outlives_its_follower_and_is_never_anothers() {
    let mut followers = Followers::default();
    let first = followers.add(FollowerKind::Wire, "one".into(), 100);
    followers.remove(first);
    let second = followers.add(FollowerKind::Wire, "two".into(), 100);
    assert_ne!(first, second);
    assert_eq!(followers.iter().map(|it| it.0).collect::<Vec<_>>(), [second]);
    followers.get(first);
}

#[derive(Clone, Debug)]
enum Deed {
    Write(u64),
    Send(u64),
    Tighten(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (1..200u64).prop_map(Deed::Write),
        1 => (1..5000u64).prop_map(Deed::Write),
        3 => (0..1001u64).prop_map(Deed::Send),
        1 => (0..2000u64).prop_map(Deed::Tighten),
    ];
    prop::collection::vec(deed, 1..100)
}

proptest! {
    #[test]
    fn a_bound_holds_but_for_one_write_and_no_write_alone_disconnects(
        start in 0..u64::MAX / 2,
        deeds in deeds(),
    ) {
        let (mut head, mut max, mut longest) = (at(start), 1000, 0);
        let mut followers = Followers::default();
        let id = followers.add(FollowerKind::Wire, "peer".into(), max);
        followers.change(id, |it| it.resume(head));
        for deed in deeds {
            let Some(next) = followers.get(id).state.next() else { break };
            let before = head;
            match deed {
                Deed::Write(len) => {
                    head = head.after(len as usize);
                    longest = longest.max(len);
                    followers.look_after_bounds(before, head);
                }
                Deed::Send(mille) => {
                    let part = head.since(next) * mille / 1000;
                    followers.send(id, next.after(part as usize));
                }
                Deed::Tighten(bytes) => {
                    max = bytes;
                    followers.set_bytes_max(FollowerKind::Wire, max);
                    followers.look_after_bounds(head, head);
                }
            }
            let waits = head.since(next);
            match followers.get(id).state {
                Online { sent, .. } => prop_assert!(head.since(sent) <= max + longest),
                Disconnected { .. } => {
                    prop_assert!(max < waits);
                    prop_assert!(before == head || next != before, "it had all before");
                    prop_assert_eq!(followers.take_over_bound(), [id]);
                }
                state => prop_assert!(false, "{}", state),
            }
        }
    }
}

fn wire(followers: &mut Followers, bytes_max: u64) -> FollowerId {
    let id = followers.add(FollowerKind::Wire, "peer".into(), bytes_max);
    followers.change(id, |it| it.resume(at(9)));
    id
}

#[test]
fn who_is_gone_is_not_told_of_any_more_and_the_others_are() {
    let mut followers = Followers::default();
    let [gone, stays] = [1, 1].map(|it| wire(&mut followers, it));
    followers.look_after_bounds(at(9), at(10));
    followers.look_after_bounds(at(10), at(100));
    followers.look_after_bounds(at(100), at(200));
    assert!(followers.has_over_bound());
    followers.remove(gone);
    assert_eq!(followers.take_over_bound(), [stays]);
}

#[test]
fn what_a_follower_has_on_disk_is_known_while_it_is_fed() {
    let mut followers = Followers::default();
    let id = wire(&mut followers, 100);
    followers.heard(id, MonoUs(7));
    assert_eq!(followers.get(id).heard_at, MonoUs(7));
    assert_eq!(followers.synced(id, at(8)), Ok(()));
    followers.change(id, |it| it.send(at(12)));
    assert_eq!(followers.get(id).on_disk, at(8), "it is fed as before");
    let lie = PeerFault::AckBeyondSent { acked: at(13), sent: at(12) };
    assert_eq!(followers.synced(id, at(13)), Err(lie));
    assert_eq!(followers.get(id).on_disk, at(0));
    assert_eq!(followers.synced(id, at(8)), Ok(()), "it was on its way");
    assert_eq!(followers.get(id).on_disk, at(0));
}

#[test]
fn a_hosted_replica_says_whether_it_was_sent_anything() {
    let mut followers = Followers::default();
    let id = followers.add(FollowerKind::Hosted, "n2".into(), 100);
    assert!(!followers.send_hosted(id, at(9), |_| unreachable!("it is not online")));
    followers.change(id, |it| it.resume(at(9)));
    assert!(!followers.send_hosted(id, at(9), |sent| sent));
    assert!(followers.send_hosted(id, at(9), |sent| sent.after(3)));
    assert_eq!(followers.get(id).state, Online { sent: at(12), acked: at(9) });
}

#[test]
fn every_state_and_every_reason_has_a_word_of_its_own() {
    let reasons = [
        DisconnectReason::FeedLimit,
        DisconnectReason::NotApplicable,
        DisconnectReason::Quarantined,
        DisconnectReason::Promoted,
        DisconnectReason::ResyncFailed,
        DisconnectReason::Removed,
        DisconnectReason::Replaced,
        DisconnectReason::Peer(PeerFault::AckBeforeOnline),
        DisconnectReason::Peer(PeerFault::Silent),
    ];
    let words = states().map(|it| it.to_string()).into_iter();
    let words: Vec<String> = words.chain(reasons.map(|it| it.to_string())).collect();
    for (place, word) in words.iter().enumerate() {
        assert!(!word.is_empty() && !words[..place].contains(word), "{word:?}");
    }
}
