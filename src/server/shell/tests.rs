//! Connections with sockets, in whatever state, to which more is pushed than they take.

use super::*;
use crate::base::limits::MAILBOX_BYTES_MAX;
use crate::base::position::ReplId;
use crate::config::Config;
use crate::engine::Thresholds;
use crate::node::ReplicaSet;
use crate::runtime::acceptor::Acceptor;
use crate::runtime::link::{Exchange, Link};
use crate::session::TokenSigner;
use crate::state::{ProcessInfo, Server, UnblockAs};
use bytes::Bytes;
use futures::channel::oneshot;
use std::sync::mpsc;
use std::time::Duration;

fn server() -> Arc<Server> {
    let set = ReplicaSet::new(2, 1, ReplId::new([1; 20]), Thresholds::default(), 1 << 20, 1 << 20);
    let settings = Config::parse("a test", "[server]\nenable-debug-command = \"yes\"\n").unwrap();
    let signer = TokenSigner::new(b"a secret of the test");
    let process_info = ProcessInfo::now(0, String::new());
    Arc::new(Server::new(Arc::new(set), 1, settings, process_info, signer, None))
}

/// Runs it as everything runs: by the thread that runs whatever is no connection.
fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    tasks::spawn(async move { done.send(work.await).unwrap() });
    is_done.recv_timeout(Duration::from_secs(60)).expect("it ends")
}

fn is_watched(server: &Server, key: &str) -> bool {
    let set = &server.set;
    set.write(&set.member_list()).engine().space(0).version(key.as_bytes()).is_some()
}

/// Waits until the client's connection has served so many commands, and waits if it is to.
async fn until_there(client: &Client, commands: u64, waits: bool) {
    for _ in 0..30_000 {
        if client.commands.load(Relaxed) == commands && client.is_waiting() == waits {
            return;
        }
        tasks::sleep(Duration::from_millis(1)).await;
    }
    let (served, is_waiting) = (client.commands.load(Relaxed), client.is_waiting());
    panic!("it does not come to wait: {served} served, waits: {is_waiting}");
}

/// Reads until the socket is closed, and answers what there was.
async fn read_to_end(link: Link) -> String {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match link.read(&mut bytes).await {
            Ok(count) => all.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8(all).unwrap()
}

/// Serves the next that connects on a thread of its own: who that is, and how it will have ended.
async fn served(
    server: &Arc<Server>,
    acceptor: &Acceptor,
) -> (Arc<Client>, Arc<Threads>, oneshot::Receiver<Why>) {
    let socket = acceptor.accept().await.unwrap();
    let now = clock::mono_now();
    let client = server.clients.enter(socket.peer(), 1, now).unwrap();
    let connection = Connection::open(server.clone(), client.clone(), "main".into(), now);
    let threads = Arc::new(Threads::start(1, || Box::new(|| false)).unwrap());
    let (ends, ended) = oneshot::channel();
    let (place, its) = (threads.place(), threads.clone());
    threads.spawn(place, move || async move {
        let stream = Stream::new(socket).unwrap();
        let mut shell = Shell::new(connection, stream, Placement::at(place), its);
        let Ok(Next::End(why)) = shell.turns().await else { panic!("nothing fails or moves") };
        drop(shell);
        ends.send(why).unwrap();
    });
    (client, threads, ended)
}

/// A client that has sent `requests` is flooded: how its connection ends, and what it was answered.
async fn flooded(requests: &'static str, commands: u64, waits: bool) -> (Why, String) {
    let server = server();
    let acceptor = Acceptor::tcp("127.0.0.1:0").unwrap();
    let peer = Link::connect("127.0.0.1", acceptor.port().unwrap()).await.unwrap();
    let (client, _threads, ended) = served(&server, &acceptor).await;
    peer.send(requests.as_bytes()).await.unwrap();
    until_there(&client, commands, waits).await;
    let pushed = Arc::downgrade(&client);
    // In one piece: of several the connection, on another thread, might take the first in time.
    let flood = Bytes::from(vec![0; MAILBOX_BYTES_MAX + 1]);
    client.mailbox.post(Message::Push(flood));
    drop(client);
    let why = ended.await.unwrap();
    assert_eq!(server.clients.count(), 0, "{requests:?}");
    assert_eq!(server.set.waits(), 0, "{requests:?}");
    assert!(!is_watched(&server, "watched"), "{requests:?}");
    assert!(pushed.upgrade().is_none(), "nobody keeps the client: {requests:?}");
    (why, read_to_end(peer).await)
}

/// A client that has sent `requests`, the first of which waits, sends more, closes its socket, and
/// only then the wait is ended, all while its worker is busy: the message comes before the word of
/// the socket. How its connection ends, and what is in the set.
async fn ended_after_it_left(requests: &'static str) -> (Why, usize) {
    let server = server();
    let acceptor = Acceptor::tcp("127.0.0.1:0").unwrap();
    let peer = Link::connect("127.0.0.1", acceptor.port().unwrap()).await.unwrap();
    let (client, threads, ended) = served(&server, &acceptor).await;
    peer.send(requests.as_bytes()).await.unwrap();
    until_there(&client, 1, true).await;
    threads.spawn(threads.place(), move || async move {
        // There is room, so the worker does nothing else meanwhile.
        peer.send(b"PING\r\nSET held 2\r\nPING\r\nha").await.unwrap();
        drop(peer);
        assert!(client.unblock(UnblockAs::Timeout), "it waits");
    });
    let why = ended.await.unwrap();
    let set = &server.set;
    (why, set.write(&set.member_list()).engine().space(0).len())
}

#[test]
fn what_a_client_that_has_left_was_held_for_is_not_done_though_more_had_come() {
    let ended = run(ended_after_it_left("WAIT 9 0\r\nSET held 1\r\n"));
    assert_eq!(ended, (Why::PeerClosed, 0));
}

#[test]
fn a_connection_whose_mailbox_overflows_ends_by_that_name_and_leaves_nothing() {
    // What it has sent, how many of these commands it has come to, and whether the last waits.
    let states = [
        ("", 0, false, ""),
        ("PING\r\n", 1, false, "+PONG\r\n"),
        ("SET a 1\r\nWAIT 9 0\r\nSET held 1\r\n", 2, true, "+OK\r\n"),
        ("DEBUG SLEEP 1000\r\nSET held 1\r\n", 1, true, ""),
        ("WATCH watched\r\nMULTI\r\nGET a\r\n", 3, false, "+OK\r\n+OK\r\n+QUEUED\r\n"),
        ("PING\r\n*2\r\n$3\r\nGET\r\n$9\r\na", 1, false, "+PONG\r\n"),
    ];
    for (requests, commands, waits, answers) in states {
        let ended = run(flooded(requests, commands, waits));
        assert_eq!(ended, (Why::MailboxOverflow, answers.to_owned()), "{requests:?}");
    }
    assert_eq!(Why::MailboxOverflow.to_string(), "mailbox-overflow");
}
