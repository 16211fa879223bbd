//! Asks redis-server whether globs and numbers mean the same here and there.

use std::collections::HashSet;

use crate::support::Server;
use entourage::base::extended::Extended;
use entourage::base::glob::{Case, matches};
use entourage::base::number::{format_f64, parse_f64};
use entourage::base::random::Random;
use redis::{Connection, Value, cmd};

const ROUNDS: usize = 20_000;
const BATCH: usize = 500;

/// A server of our own, and a connection to it.
fn server() -> (Server, Connection) {
    let server = Server::redis(&[]);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port())).unwrap();
    let connection = client.get_connection().unwrap();
    (server, connection)
}

/// Texts of numbers, some of them broken, of every size.
fn number(random: &mut Random) -> String {
    let sign = ["", "", "-", "+"][random.below(4) as usize];
    let digits = |random: &mut Random, max| -> String {
        let count = random.below(max);
        (0..count).map(|_| char::from(b'0' + random.below(10) as u8)).collect()
    };
    let body = match random.below(8) {
        0 => digits(random, 25),
        1 | 2 => format!("{}.{}", digits(random, 20), digits(random, 25)),
        3 => {
            format!("{}.{}e{}", digits(random, 3), digits(random, 20), random.below(40) as i64 - 20)
        }
        4 => {
            format!(
                "{}.{}E{}",
                digits(random, 3),
                digits(random, 20),
                random.below(10_200) as i64 - 5100
            )
        }
        5 => {
            format!("0x{:x}.{:x}p{}", random.bits(), random.bits(), random.below(200) as i64 - 100)
        }
        6 => format!("0x.{:x}P{}", random.bits(), random.below(34_000) as i64 - 17_000),
        _ => format!("{:e}", f64::from_bits(random.bits())),
    };
    format!("{sign}{body}")
}

/// The replies of this many requests, sent at once; `None` stands for an error.
fn ask(server: &mut Connection, requests: &[Vec<Vec<u8>>]) -> Vec<Option<Vec<u8>>> {
    let mut replies = Vec::new();
    let packed: Vec<u8> = requests
        .iter()
        .flat_map(|args| {
            let mut out = Vec::new();
            entourage::resp::encode_command(&mut out, args.iter().map(Vec::as_slice));
            out
        })
        .collect();
    server.send_packed_command(&packed).unwrap();
    for _ in requests {
        replies.push(match server.recv_response() {
            Ok(Value::BulkString(bytes)) => Some(bytes),
            _ => None,
        });
    }
    replies
}

fn request(args: &[&str]) -> Vec<Vec<u8>> {
    args.iter().map(|it| it.as_bytes().to_vec()).collect()
}

#[test]
fn extended_sums_are_redis_sums() {
    let ((_redis, mut server), mut random) = (server(), Random::new(1));
    for _ in 0..ROUNDS / BATCH {
        let pairs: Vec<_> =
            (0..BATCH).map(|_| (number(&mut random), number(&mut random))).collect();
        let requests = pairs.iter().flat_map(|(left, right)| {
            let set = request(&["SET", "n", left]);
            [set, request(&["INCRBYFLOAT", "n", right])]
        });
        let replies = ask(&mut server, &requests.collect::<Vec<_>>());
        for ((left, right), reply) in pairs.iter().zip(replies.chunks(2)) {
            let number = |it: &String| Extended::parse(it.as_bytes());
            let sum = number(left).zip(number(right)).map(|(left, right)| left.plus(right));
            let ours = sum.filter(|it| it.is_finite()).map(|it| it.to_text().into_bytes());
            assert_eq!(ours, reply[1], "{left} + {right}");
        }
    }
}

#[test]
fn doubles_are_redis_scores() {
    let ((_redis, mut server), mut random) = (server(), Random::new(2));
    // A long member keeps the scores out of the compact form, which loses the sign of zero.
    let member = "m".repeat(100);
    for _ in 0..ROUNDS / BATCH {
        let texts: Vec<_> = (0..BATCH).map(|_| number(&mut random)).collect();
        let requests = texts.iter().flat_map(|text| {
            let drop = request(&["DEL", "z"]);
            [drop, request(&["ZADD", "z", text, &member]), request(&["ZSCORE", "z", &member])]
        });
        let replies = ask(&mut server, &requests.collect::<Vec<_>>());
        for (text, reply) in texts.iter().zip(replies.chunks(3)) {
            let ours = parse_f64(text.as_bytes()).map(|it| format_f64(it).as_bytes().to_vec());
            assert_eq!(ours, reply[2], "{text}");
        }
    }
}

fn text(random: &mut Random, letters: &[u8], len: u64) -> Vec<u8> {
    let len = 1 + random.below(len);
    (0..len).map(|_| letters[random.below(letters.len() as u64) as usize]).collect()
}

#[test]
fn globs_match_the_keys_redis_matches() {
    let ((_redis, mut server), mut random) = (server(), Random::new(3));
    let keys: HashSet<_> = (0..300).map(|_| text(&mut random, b"aaabbcB*?[]^-\\\xff", 5)).collect();
    for key in &keys {
        let _: () = cmd("SET").arg(key).arg(1).query(&mut server).unwrap();
    }
    for _ in 0..ROUNDS / 4 {
        let pattern = text(&mut random, b"abcB**??[[]]^--\\\\\xff", 9);
        let theirs: HashSet<Vec<u8>> = cmd("KEYS").arg(&pattern).query(&mut server).unwrap();
        let ours = keys.iter().filter(|it| matches(&pattern, it, Case::Exact)).cloned().collect();
        assert_eq!(theirs, ours, "{}", pattern.escape_ascii());
    }
}

#[test]
fn folded_globs_match_the_commands_redis_matches() {
    let ((_redis, mut server), mut random) = (server(), Random::new(4));
    let list = |server: &mut Connection, pattern: &[u8]| -> HashSet<Vec<u8>> {
        let ask = cmd("COMMAND").arg("LIST").arg("FILTERBY").arg("PATTERN").arg(pattern).clone();
        ask.query(server).unwrap()
    };
    let all = list(&mut server, b"*");
    for _ in 0..ROUNDS / 4 {
        let pattern = text(&mut random, b"gGeEtTsS***??[[]]^--\\\\aZ", 8);
        let ours = all.iter().filter(|it| matches(&pattern, it, Case::Folded)).cloned().collect();
        assert_eq!(list(&mut server, &pattern), ours, "{}", pattern.escape_ascii());
    }
}
