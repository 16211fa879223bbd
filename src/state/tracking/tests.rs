//! How many are told, by whom, and what is bounded.

use super::*;
use crate::base::limits::BROADCAST_KEYS_MAX;
use crate::base::position::{Offset, ReplId};
use crate::base::time::MonoUs;
use crate::runtime::stream::Peer;

const AT: Position = Position { replid: ReplId::new([7; 20]), offset: Offset::ZERO };

fn tracking() -> Arc<Tracking> {
    Arc::new(Tracking::new(Arc::new(KeyChanges::new(1))))
}

fn client(id: u64) -> Arc<Client> {
    Arc::new(Client::new(id, Peer::default(), MonoUs(1)))
}

fn enter(tracking: &Tracking, id: u64, prefixes: Option<&[&'static [u8]]>) -> Arc<Client> {
    let prefixes = prefixes.map(|it| it.iter().map(|it| Bytes::from_static(it)).collect());
    let (client, asked) = (client(id), session::Tracking { prefixes, ..Default::default() });
    tracking.enter(&client, None, &asked);
    client
}

fn told(clients: &[Arc<Client>]) -> usize {
    clients.iter().map(|it| it.mailbox.take_told().len()).sum()
}

fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

#[test]
fn a_lock_of_the_master_tells_so_many_and_a_task_tells_the_rest() {
    let tracking = tracking();
    let clients: Vec<_> = (0..400).map(|it| enter(&tracking, it, None)).collect();
    let keys: Vec<Vec<u8>> = (0..10_u8).map(|it| vec![it]).collect();
    let asked = session::Tracking::default();
    for client in &clients {
        keys.iter().for_each(|key| tracking.read(client, &asked, key, AT));
    }
    assert_eq!(tracking.items(), 4000);
    let (mut changed, mut left) = (ChangedKeys::default(), READERS_TOLD_MAX);
    keys.iter().for_each(|it| changed.note(it));
    tracking.tell(&changed, AT, None, &mut left);
    assert_eq!(left, READERS_TOLD_MAX - 800, "a key's readers are told together");
    let mut all = 0;
    until(|| {
        all += told(&clients);
        4000 <= all
    });
    assert_eq!((all, tracking.items()), (4000, 0), "each of each");
}

#[test]
fn who_is_told_by_prefix_is_told_by_the_task_where_they_are_many() {
    let tracking = tracking();
    let many = READERS_TOLD_MAX as u64 + 1;
    let clients: Vec<_> = (1..=many).map(|it| enter(&tracking, it, Some(&[b"a"]))).collect();
    let few: Vec<_> = [enter(&tracking, many + 1, Some(&[b"b"]))].into();
    let keys: BroadcastKeys = [&b"a1"[..], b"b1", b"c1"].map(|it| (it.into(), 0)).into();
    let mut left = READERS_TOLD_MAX;
    tracking.broadcast(keys, AT, &mut left);
    assert_eq!((told(&few), left), (1, READERS_TOLD_MAX - 1), "the others are left to the task");
    let mut all = 0;
    until(|| {
        all += told(&clients);
        many as usize <= all
    });
    assert_eq!(all, many as usize);
    // So many keys are looked up by the task, and each is told once.
    let count = BROADCAST_KEYS_MAX + 1;
    let keys = (0..count).map(|it| (format!("b{it:06}").into_bytes().into(), 0)).collect();
    tracking.broadcast(keys, AT, &mut left);
    let mut all = 0;
    until(|| {
        all += told(&few);
        2 <= all
    });
    assert_eq!((all, left), (2, READERS_TOLD_MAX - 1), "in two parts");
}

#[test]
fn who_does_not_want_to_hear_of_its_own_changes_is_told_of_others() {
    let tracking = tracking();
    let (client, prefixes) = (client(5), Some([Bytes::from_static(b"a")].into()));
    let asked = session::Tracking { prefixes, no_loop: true, ..Default::default() };
    tracking.enter(&client, None, &asked);
    let keys = |all: [(&[u8], u64); 2]| all.map(|it| (it.0.into(), it.1)).into();
    let mut left = READERS_TOLD_MAX;
    for (by, texts) in [(5, 0), (6, 1)] {
        tracking.broadcast(keys([(b"a1", 5), (b"a2", by)]), AT, &mut left);
        assert_eq!(told(std::slice::from_ref(&client)), texts);
    }
}

#[test]
fn prefixes_come_and_go_with_their_clients() {
    let tracking = tracking();
    let client = client(1);
    let asked = |count: usize| session::Tracking {
        prefixes: Some((0..count).map(|it| format!("{it:05}").into()).collect()),
        ..Default::default()
    };
    tracking.enter(&client, None, &asked(2 * PREFIXES_CHANGED_MAX));
    tracking.enter(&client, None, &asked(3 * PREFIXES_CHANGED_MAX + 1));
    assert_eq!(tracking.prefixes(), 3 * PREFIXES_CHANGED_MAX + 1);
    tracking.leave(1);
    assert_eq!((tracking.prefixes(), tracking.clients()), (0, 0));
}

#[test]
fn what_is_cached_has_a_bound_in_bytes_and_long_keys_are_told_at_once() {
    let tracking = tracking();
    let clients = [enter(&tracking, 1, None)];
    let (asked, long) = (session::Tracking::default(), vec![b'x'; CACHED_KEY_BYTES_MAX + 1]);
    tracking.read(&clients[0], &asked, &long, AT);
    assert_eq!((told(&clients), tracking.keys()), (1, 0));
    let most = CACHED_KEY_BYTES_SUM_MAX / CACHED_KEY_BYTES_MAX;
    for at in 0..=most {
        let key = format!("{at:0width$}", width = CACHED_KEY_BYTES_MAX);
        tracking.read(&clients[0], &asked, key.as_bytes(), AT);
    }
    assert_eq!((told(&clients), tracking.keys()), (1, most));
}
