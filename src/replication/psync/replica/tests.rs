//! The handshake as a script, whole and in pieces.

use super::*;
use crate::base::random::Random;

const ID: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";

fn config() -> ReplicaConfig {
    ReplicaConfig {
        login: None,
        port: 7000,
        ip: None,
        timeout: Duration::from_secs(60),
        asks_to_take_over: false,
        says_version: false,
    }
}

fn with_login() -> ReplicaConfig {
    let login = Login { user: Some("u".into()), password: "p".into() };
    ReplicaConfig { login: Some(login), ip: Some("10.0.0.1".into()), ..config() }
}

fn has(offset: u64) -> Option<Position> {
    Some(Position { replid: ReplId::parse(ID.as_bytes()).unwrap(), offset: Offset::new(offset) })
}

/// What is sent, without the framing.
fn sent(link: &mut ReplicaLink) -> String {
    let output = String::from_utf8(link.take_output()).unwrap();
    let words = output.split("\r\n").filter(|it| !it.starts_with(['*', '$']) && !it.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Answers these lines, each after what was sent has been taken.
fn talk(
    config: ReplicaConfig,
    has: Option<Position>,
    lines: &[&str],
) -> (Vec<String>, Result<Option<Answer>, LinkFault>) {
    let mut link = ReplicaLink::new(config, has, MonoUs(0));
    let mut all = vec![sent(&mut link)];
    for line in lines {
        match link.handle_bytes(format!("{line}\r\n").as_bytes(), MonoUs(1)) {
            Ok((_, None)) => all.push(sent(&mut link)),
            Ok((_, answer)) => {
                all.push(sent(&mut link));
                return (all, Ok(answer));
            }
            Err(fault) => return (all, Err(fault)),
        }
    }
    (all, Ok(None))
}

fn fault(config: ReplicaConfig, lines: &[&str]) -> &'static str {
    talk(config, None, lines).1.unwrap_err().name()
}

#[test]
fn a_handshake_asks_what_redis_asks_in_its_order() {
    let full = format!("+FULLRESYNC {ID} 42");
    let (said, answer) = talk(config(), None, &["+PONG", "+OK", "+OK", &full]);
    let expected =
        ["PING", "REPLCONF listening-port 7000", "REPLCONF capa eof capa psync2", "PSYNC ? -1", ""];
    assert_eq!(said, expected);
    assert_eq!(answer, Ok(Some(Answer::FullResync(has(42).unwrap()))));

    let lines = ["-NOAUTH Authentication required.", "+OK", "+OK", "+OK", "+OK", "+CONTINUE"];
    let (said, answer) = talk(with_login(), has(9), &lines);
    let psync = format!("PSYNC {ID} 10");
    let expected = [
        "PING",
        "AUTH u p",
        "REPLCONF listening-port 7000",
        "REPLCONF ip-address 10.0.0.1",
        "REPLCONF capa eof capa psync2",
        &psync,
        "REPLCONF ACK 9",
    ];
    assert_eq!(said, expected);
    assert_eq!(answer, Ok(Some(Answer::Continue(None))));
}

#[test]
fn a_version_is_said_where_it_is_asked_for_and_need_not_be_understood() {
    let full = format!("+FULLRESYNC {ID} 42");
    for reply in ["+OK", "-ERR Unrecognized REPLCONF option: version"] {
        let config = ReplicaConfig { says_version: true, ..config() };
        let (said, answer) = talk(config, None, &["+PONG", "+OK", "+OK", reply, &full]);
        assert_eq!(
            said[2..5],
            ["REPLCONF capa eof capa psync2", "REPLCONF version 9.0.0", "PSYNC ? -1",]
        );
        assert_eq!(answer, Ok(Some(Answer::FullResync(has(42).unwrap()))));
    }
}

#[test]
fn a_stream_may_go_on_under_another_name() {
    let line = format!("+CONTINUE {OTHER}");
    let (_, answer) = talk(config(), has(9), &["+PONG", "+OK", "+OK", &line]);
    let other = ReplId::parse(OTHER.as_bytes());
    assert_eq!(answer, Ok(Some(Answer::Continue(other))));
    let same = format!("+CONTINUE {ID}");
    let (_, answer) = talk(config(), has(9), &["+PONG", "+OK", "+OK", &same]);
    assert_eq!(answer, Ok(Some(Answer::Continue(None))));
}

#[test]
fn every_refusal_has_a_name() {
    assert_eq!(fault(config(), &["-NOAUTH Authentication required."]), "no-auth");
    assert_eq!(fault(config(), &["-LOADING Redis is loading"]), "loading");
    assert_eq!(fault(config(), &["HTTP/1.1 400 Bad Request"]), "no-answer");
    assert_eq!(fault(config(), &["+PONG", "-NOAUTH x"]), "no-auth");
    assert_eq!(fault(with_login(), &["+PONG", "-WRONGPASS invalid"]), "wrong-password");
    assert_eq!(fault(with_login(), &["+PONG", "-ERR invalid password"]), "wrong-password");
    let psync = |line: &str| fault(config(), &["+PONG", "-ERR what", "-ERR what", line]);
    assert_eq!(psync("-NOMASTERLINK Can't SYNC"), "no-master-link");
    assert_eq!(psync("-LOADING"), "loading");
    assert_eq!(psync("-ERR unknown command"), "refused");
    assert_eq!(psync("-NOPERM this user"), "no-permission");
    assert_eq!(psync("+CONTINUE"), "not-asked");
    assert_eq!(psync("+FULLRESYNC"), "no-answer");
    assert_eq!(psync("+FULLRESYNC abc 1"), "no-answer");
    assert_eq!(psync(&format!("+FULLRESYNC {ID} -1")), "no-answer");
    assert_eq!(psync(&format!("+FULLRESYNC {ID} 18446744073709551615")), "no-answer");
    assert_eq!(psync("+OK"), "no-answer");
    assert_eq!(psync("$5"), "no-answer");
}

#[test]
fn bytes_may_come_in_any_pieces_and_what_is_behind_the_answer_is_left() {
    let full = format!("+FULLRESYNC {ID} 42\r\n$3\r\nabc");
    let answers = ["\n", "+PONG\r\n", "\n\n+OK\r\n", "+OK\r\n", "\n", &full];
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut link = ReplicaLink::new(config(), None, MonoUs(0));
        let mut left = None;
        for bytes in answers {
            let mut rest = bytes.as_bytes();
            while !rest.is_empty() {
                let len = rest.len().min(1 + random.below(9) as usize);
                let (taken, answer) = link.handle_bytes(&rest[..len], MonoUs(1)).unwrap();
                rest = &rest[taken..];
                if let Some(answer) = answer {
                    assert_eq!(answer, Answer::FullResync(has(42).unwrap()));
                    left = Some(rest.to_vec());
                    break;
                }
                assert_eq!(taken, len);
            }
        }
        assert_eq!(left.as_deref(), Some(&b"$3\r\nabc"[..]), "seed {seed}");
    }
}

#[test]
fn random_bytes_end_in_a_fault_or_in_nothing() {
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let mut link = ReplicaLink::new(with_login(), has(5), MonoUs(0));
        for _ in 0..200 {
            let byte = b"+-$:\r\nOKPSYNC0 CONTINUE\xff"[random.below(23) as usize];
            match link.handle_bytes(&[byte], MonoUs(1)) {
                Ok((_, None)) => {}
                Ok((_, Some(_))) | Err(_) => break,
            }
        }
    }
    let endless = vec![b'x'; LINE_BYTES_MAX + 1];
    let mut link = ReplicaLink::new(config(), None, MonoUs(0));
    assert_eq!(link.handle_bytes(&endless, MonoUs(1)), Err(LinkFault::EndlessLine));
}

#[test]
fn it_acknowledges_every_second_and_when_asked() {
    let second = |it: u64| MonoUs(it * 1_000_000);
    let mut link = ReplicaLink::new(config(), has(9), second(0));
    for line in ["+PONG\r\n", "+OK\r\n", "+OK\r\n", "+CONTINUE\r\n"] {
        link.handle_bytes(line.as_bytes(), second(0)).unwrap();
    }
    assert!(sent(&mut link).ends_with("REPLCONF ACK 9"));
    assert_eq!(link.poll_deadline(), second(1));
    link.applied(Offset::new(20));
    link.handle_time(second(0)).unwrap();
    assert_eq!(sent(&mut link), "");
    link.handle_time(second(1)).unwrap();
    assert_eq!(sent(&mut link), "REPLCONF ACK 20");
    link.applied(Offset::new(30));
    link.acknowledge(second(1));
    assert_eq!((sent(&mut link).as_str(), link.poll_deadline()), ("REPLCONF ACK 30", second(2)));
}

#[test]
fn a_link_on_which_nothing_comes_is_down() {
    let second = |it: u64| MonoUs(it * 1_000_000);
    let mut link = ReplicaLink::new(config(), None, second(0));
    assert_eq!(link.poll_deadline(), second(60));
    link.handle_bytes(b"\n", second(30)).unwrap();
    assert_eq!(link.handle_time(second(60)), Ok(()), "a newline is a sign of life");
    assert_eq!(link.handle_time(second(90)), Err(LinkFault::Silent));
    for line in ["+PONG\r\n", "+OK\r\n", "+OK\r\n", &format!("+FULLRESYNC {ID} 1\r\n")] {
        link.handle_bytes(line.as_bytes(), second(90)).unwrap();
    }
    link.take_output();
    link.handle_time(second(91)).unwrap();
    assert_eq!(link.take_output(), b"\n", "the master sees that somebody is loading");
    link.heard(second(100));
    assert_eq!(link.handle_time(second(159)), Ok(()));
    link.loaded(Offset::new(1), second(159));
    assert_eq!(link.handle_time(second(160)), Err(LinkFault::Silent));
}

#[test]
fn a_master_that_answers_ping_is_logged_in_at_all_the_same() {
    let (said, answer) = talk(with_login(), None, &["+PONG", "+OK"]);
    assert_eq!(said, ["PING", "AUTH u p", "REPLCONF listening-port 7000"]);
    assert_eq!(answer, Ok(None));
}

#[test]
fn what_a_link_waits_for_is_what_it_has_asked() {
    let mut link = ReplicaLink::new(with_login(), None, MonoUs(0));
    let full = format!("+FULLRESYNC {ID} 42");
    for (answer, asked) in [
        ("+PONG", "PING"),
        ("+OK", "AUTH"),
        ("+OK", "REPLCONF listening-port"),
        ("+OK", "REPLCONF ip-address"),
        ("+OK", "REPLCONF capa"),
        (&full, "PSYNC"),
    ] {
        assert_eq!(link.waits_for(), asked);
        assert!(sent(&mut link).starts_with(asked));
        link.handle_bytes(format!("{answer}\r\n").as_bytes(), MonoUs(1)).unwrap();
    }
    assert_eq!(link.waits_for(), "the transfer");
    link.loaded(Offset::new(42), MonoUs(1));
    assert_eq!(link.waits_for(), "the stream");
}

#[test]
fn a_line_may_be_as_long_as_its_bound_and_no_longer() {
    let line = |len: usize| {
        let mut link = ReplicaLink::new(config(), None, MonoUs(0));
        link.handle_bytes(&vec![b'+'; len], MonoUs(1))
    };
    assert_eq!(line(LINE_BYTES_MAX), Ok((LINE_BYTES_MAX, None)));
    assert_eq!(line(LINE_BYTES_MAX + 1), Err(LinkFault::EndlessLine));
}

#[test]
fn the_master_is_told_what_is_on_disk_where_there_is_a_file() {
    let mut link = ReplicaLink::new(config(), None, MonoUs(0));
    link.loaded(Offset::new(20), MonoUs(0));
    link.take_output();
    for (on_disk, said) in [
        (Some(Offset::new(15)), "REPLCONF ACK 20 FACK 15"),
        (Some(Offset::new(25)), "REPLCONF ACK 20 FACK 20"),
        (None, "REPLCONF ACK 20"),
    ] {
        link.synced(on_disk);
        assert_eq!(sent(&mut link), "", "with the next acknowledgement");
        link.acknowledge(MonoUs(1));
        assert_eq!(sent(&mut link), said);
    }
}
