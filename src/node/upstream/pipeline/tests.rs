//! One connection, told what servers tell.

use super::*;
use crate::base::places::Places;
use crate::base::position::Offset;
use crate::node::Awaited;
use crate::node::upstream::{ReadRun, RunKind};
use crate::route::Ladder;

const US: ReplId = ReplId::new([7; 20]);
const THEM: ReplId = ReplId::new([9; 20]);
const PATIENCE: Patience =
    Patience { replica: Duration::from_millis(10), master: Duration::from_millis(100) };

fn info(role: &str, replid: ReplId, offset: u64) -> String {
    let link = "master_host:h\r\nmaster_port:1\r\nmaster_link_status:up\r\n";
    let link = if role == "slave" { link } else { "" };
    let text =
        format!("role:{role}\r\n{link}master_replid:{replid}\r\nmaster_repl_offset:{offset}\r\n");
    format!("${}\r\n{text}\r\n", text.len())
}

fn role_of_replica(host: &str, state: &str, offset: u64) -> String {
    let (a, b) = (host.len(), state.len());
    format!("*5\r\n$5\r\nslave\r\n${a}\r\n{host}\r\n:1\r\n${b}\r\n{state}\r\n:{offset}\r\n")
}

fn role_of_master(offset: u64) -> String {
    format!("*3\r\n$6\r\nmaster\r\n:{offset}\r\n*0\r\n")
}

/// A connection whose server has told who it is.
fn opened(role: &str) -> Pipeline<u32> {
    let mut pipeline = Pipeline::open(None, Protocol::Resp2, PATIENCE, 1, MonoUs(0));
    assert!(!pipeline.is_ready());
    told(&mut pipeline, &format!("+OK\r\n{}", info(role, US, 10))).unwrap();
    assert!(pipeline.is_ready());
    assert_eq!(pipeline.take_reports().len(), 1);
    sent(&mut pipeline);
    pipeline
}

fn told(pipeline: &mut Pipeline<u32>, text: &str) -> Result<Vec<Done<u32>>, ConnectionFault> {
    let mut done = Vec::new();
    pipeline.room().extend_from_slice(text.as_bytes());
    pipeline.handle(&mut done).map(|()| done)
}

/// What was sent, as words.
fn sent(pipeline: &mut Pipeline<u32>) -> String {
    let text = String::from_utf8(pipeline.to_send().to_vec()).unwrap();
    pipeline.sent(text.len());
    let words = text.split("\r\n").filter(|it| !it.is_empty() && !it.starts_with(['*', '$']));
    words.collect::<Vec<_>>().join(" ")
}

fn run(words: &[&str], kind: RunKind) -> Run {
    let mut bytes = Vec::new();
    encode_command(&mut bytes, words.iter().map(|it| it.as_bytes()));
    Run::one(kind, Protocol::Resp2, bytes)
}

fn read(needs: Option<u64>) -> Run {
    let needs = needs.map(|it| Position { replid: US, offset: Offset::new(it) });
    let kind = RunKind::Read(ReadRun {
        needs,
        allowed: None,
        ladder: Ladder::default(),
        step: 0,
        waits_until: None,
        tried: Places::default(),
    });
    run(&["GET", "k"], kind)
}

fn write() -> Run {
    run(&["SET", "k", "v"], RunKind::Master { written: 1, wants_place: true })
}

fn verdicts(done: &[Done<u32>]) -> Vec<(u32, Verdict)> {
    done.iter().map(|it| (it.waiter, it.verdict)).collect()
}

fn at(replid: ReplId, bytes: u64) -> Verdict {
    Verdict::AnsweredAt(Position { replid, offset: Offset::new(bytes) })
}

#[test]
fn one_role_ahead_proves_all_reads_behind_it_each_by_its_own_floor() {
    let mut pipeline = opened("slave");
    let reads = vec![(read(Some(50)), 1), (read(None), 2), (read(Some(60)), 3)];
    pipeline.submit(reads, 1, MonoUs(5));
    assert_eq!(sent(&mut pipeline), "ROLE GET k GET k GET k ROLE");
    let ahead = role_of_replica("h", "connected", 55);
    let behind = role_of_replica("h", "connected", 70);
    let text = format!("{ahead}$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n{behind}");
    // However it arrives.
    let (one, other) = text.split_at(60);
    assert!(told(&mut pipeline, one).unwrap().is_empty());
    let done = told(&mut pipeline, other).unwrap();
    let wanted = [(1, at(US, 70)), (2, Verdict::Answered), (3, Verdict::Behind)];
    assert_eq!(verdicts(&done), wanted);
    assert_eq!(pipeline.deadline(), None);
}

#[test]
fn eventual_reads_cost_no_question_and_a_database_is_selected_once() {
    let mut pipeline = opened("slave");
    let of = |db| Run { db, ..read(None) };
    pipeline.submit(vec![(of(0), 1), (of(3), 2), (of(3), 3)], 1, MonoUs(5));
    assert_eq!(sent(&mut pipeline), "GET k SELECT 3 GET k GET k");
    let done = told(&mut pipeline, "$1\r\na\r\n+OK\r\n$1\r\nb\r\n$-1\r\n").unwrap();
    assert_eq!(verdicts(&done), [1, 2, 3].map(|it| (it, Verdict::Answered)));
}

#[test]
fn a_replica_without_its_link_or_with_another_master_proves_nothing() {
    for (host, state) in [("h", "connect"), ("other", "connected")] {
        let mut pipeline = opened("slave");
        pipeline.submit(vec![(read(Some(5)), 1)], 1, MonoUs(5));
        sent(&mut pipeline);
        let role = role_of_replica(host, state, 900);
        let done = told(&mut pipeline, &format!("{role}$1\r\na\r\n{role}")).unwrap();
        assert_eq!(verdicts(&done), [(1, Verdict::Behind)], "{host} {state}");
        // What its history is now is asked.
        pipeline.submit(vec![(read(Some(5)), 2)], 1, MonoUs(5));
        assert_eq!(sent(&mut pipeline), "INFO replication GET k INFO replication");
        let info = info("slave", THEM, 900);
        let done = told(&mut pipeline, &format!("{info}$1\r\na\r\n{info}")).unwrap();
        assert_eq!(verdicts(&done), [(2, Verdict::Behind)], "of another history");
    }
}

#[test]
fn after_any_change_of_the_members_the_history_is_asked_again() {
    let mut pipeline = opened("slave");
    pipeline.submit(vec![(read(Some(5)), 1)], 2, MonoUs(5));
    assert_eq!(sent(&mut pipeline), "INFO replication GET k INFO replication");
    let text = info("slave", US, 20);
    let done = told(&mut pipeline, &format!("{text}$1\r\na\r\n{text}")).unwrap();
    assert_eq!(verdicts(&done), [(1, at(US, 20))]);
    pipeline.submit(vec![(read(Some(5)), 1)], 2, MonoUs(5));
    assert_eq!(sent(&mut pipeline), "ROLE GET k ROLE");
}

#[test]
fn a_write_ends_where_the_master_stands_behind_it() {
    let mut pipeline = opened("master");
    pipeline.submit(vec![(write(), 1)], 1, MonoUs(5));
    assert_eq!(sent(&mut pipeline), "SET k v ROLE");
    let done = told(&mut pipeline, &format!("+OK\r\n{}", role_of_master(77))).unwrap();
    assert_eq!(verdicts(&done), [(1, at(US, 77))]);
    pipeline.submit(vec![(write(), 2)], 1, MonoUs(5));
    let done = told(&mut pipeline, "+OK\r\n-NOPERM no\r\n").unwrap();
    assert_eq!(verdicts(&done), [(2, Verdict::Untold)]);
    pipeline.submit(vec![(write(), 3), (read(None), 4)], 1, MonoUs(5));
    let role = role_of_replica("h", "connected", 80);
    let done = told(&mut pipeline, &format!("+OK\r\n$-1\r\n{role}")).unwrap();
    assert_eq!(verdicts(&done), [(3, Verdict::NotMaster), (4, Verdict::Answered)]);
    pipeline.submit(vec![(write(), 5)], 1, MonoUs(5));
    let done = told(&mut pipeline, &format!("-READONLY no\r\n{role}")).unwrap();
    assert_eq!(verdicts(&done), [(5, Verdict::Bounced)]);
}

#[test]
fn what_is_not_answered_is_lost_and_told_by_its_deadline() {
    let mut pipeline = opened("master");
    pipeline.submit(vec![(write(), 1)], 1, MonoUs(5));
    pipeline.submit(vec![(read(None), 2)], 1, MonoUs(6));
    assert_eq!(pipeline.deadline(), Some(MonoUs(5).plus(PATIENCE.master)));
    told(&mut pipeline, &format!("+OK\r\n{}", role_of_master(77))).unwrap();
    assert_eq!(pipeline.deadline(), Some(MonoUs(6).plus(PATIENCE.replica)));
    assert_eq!(verdicts(&pipeline.end()), [(2, Verdict::Lost)]);
}

#[test]
fn a_server_that_refuses_us_or_talks_nonsense_ends_the_connection() {
    let login = Some((Some("u"), "p"));
    let mut pipeline = Pipeline::open(login, Protocol::Resp3, PATIENCE, 1, MonoUs(0));
    assert_eq!(sent(&mut pipeline), "AUTH u p HELLO 3 CLIENT SETNAME entourage INFO replication");
    let refused = told(&mut pipeline, "-WRONGPASS no\r\n").unwrap_err();
    assert_eq!(refused, ConnectionFault::Refused("WRONGPASS no".into()));
    let mut pipeline = opened("master");
    assert_eq!(told(&mut pipeline, "+OK\r\n").unwrap_err(), ConnectionFault::Unasked);
    let mut pipeline = opened("master");
    pipeline.submit(vec![(write(), 1)], 1, MonoUs(5));
    assert_eq!(told(&mut pipeline, "HTTP/1.1\r\n").unwrap_err(), ConnectionFault::Broken);
    let mut pipeline = opened("master");
    assert!(told(&mut pipeline, ">1\r\n$1\r\nx\r\n").unwrap().is_empty(), "a push is nobody's");
}

#[test]
fn a_probe_tells_how_the_server_stands_and_whether_it_loads() {
    let mut pipeline = opened("master");
    for (pong, is_loading) in [("+PONG", false), ("-LOADING x", true), ("+PONG", false)] {
        pipeline.probe(1, MonoUs(5));
        assert_eq!(sent(&mut pipeline), "PING INFO replication");
        told(&mut pipeline, &format!("{pong}\r\n{}", info("master", US, 20))).unwrap();
        assert_eq!(pipeline.is_loading(), is_loading);
        assert_eq!(pipeline.take_reports().len(), 1);
    }
}

#[test]
fn so_much_may_be_unanswered_and_no_more() {
    let mut pipeline = opened("slave");
    let of = |len| Run { bytes: vec![b'x'; len], ..read(None) };
    for _ in 0..2 {
        assert!(pipeline.has_room());
        pipeline.submit(vec![(of(IN_FLIGHT_BYTES_MAX - 9), 1)], 1, MonoUs(5));
        pipeline.submit(vec![(of(8), 2)], 1, MonoUs(5));
        assert!(pipeline.has_room());
        pipeline.submit(vec![(of(1), 3)], 1, MonoUs(5));
        assert!(!pipeline.has_room());
        told(&mut pipeline, "$1\r\na\r\n$1\r\nb\r\n").unwrap();
        assert!(pipeline.has_room());
        told(&mut pipeline, "$1\r\nc\r\n").unwrap();
    }
}

#[test]
fn what_is_sent_in_pieces_is_sent_once() {
    let mut pipeline = opened("slave");
    pipeline.submit(vec![(read(None), 1)], 1, MonoUs(5));
    let all = pipeline.to_send().to_vec();
    pipeline.sent(5);
    assert_eq!(pipeline.to_send(), &all[5..]);
    pipeline.sent(all.len() - 5);
    assert!(pipeline.to_send().is_empty());
    pipeline.submit(vec![(read(None), 2)], 1, MonoUs(5));
    assert_eq!(pipeline.to_send(), all);
}

#[test]
fn what_has_been_handled_is_not_kept_for_ever_while_half_a_reply_is_there() {
    let mut pipeline = opened("slave");
    let (push, half) = (">1\r\n$10\r\ninvalidate\r\n", ">1\r\n$10\r\ninv");
    told(&mut pipeline, &format!("{}{half}", push.repeat(9))).unwrap();
    assert!(pipeline.room().ends_with(half.as_bytes()));
    told(&mut pipeline, &push[half.len()..]).unwrap();
    assert!(pipeline.room().is_empty());
    let many = push.repeat(HANDLED_BYTES_MAX / push.len() + 1);
    told(&mut pipeline, &format!("{many}{half}")).unwrap();
    assert_eq!(pipeline.room(), half.as_bytes());
    told(&mut pipeline, &push[half.len()..]).unwrap();
    assert!(pipeline.room().is_empty());
}

#[test]
fn a_server_takes_us_in_once_it_has_greeted_us_and_told_who_it_is() {
    let open = |login, protocol| Pipeline::open(login, protocol, PATIENCE, 1, MonoUs(0));
    let info = info("master", US, 10);
    let mut pipeline = open(Some((None, "p")), Protocol::Resp3);
    assert_eq!(sent(&mut pipeline), "AUTH p HELLO 3 CLIENT SETNAME entourage INFO replication");
    told(&mut pipeline, &format!("+OK\r\n%0\r\n+OK\r\n{info}")).unwrap();
    assert!(pipeline.is_ready());
    let refused = |text: &str| Err(ConnectionFault::Refused(text.into()));
    let mut pipeline = open(Some((None, "p")), Protocol::Resp2);
    let answer = told(&mut pipeline, "-WRONGPASS no\r\n").map(|it| it.len());
    assert_eq!(answer, refused("WRONGPASS no"));
    let mut pipeline = open(None, Protocol::Resp2);
    let answer = told(&mut pipeline, "-NOAUTH no\r\n-NOAUTH log in\r\n").map(|it| it.len());
    assert_eq!((answer, pipeline.is_ready()), (refused("NOAUTH log in"), false));
    assert_eq!(ConnectionFault::Refused("NOAUTH".into()).to_string(), "NOAUTH");
}

#[test]
fn reads_for_the_master_are_the_same_and_may_be_sent_again() {
    for needs in [None, Some(5)] {
        let run = read(needs).for_master();
        assert!(run.is_for_master() && run.only_reads() && read(needs).only_reads());
        assert_eq!((run.wants_place(), run.needs()), (needs.is_some(), None));
    }
    assert!(!write().only_reads() && write().for_master().wants_place());
    let replies = VecDeque::from([Awaited::Last(2), Awaited::Known(b"+OK".to_vec())]);
    assert_eq!(Run { replies, ..read(None) }.server_replies(), 2);
}
