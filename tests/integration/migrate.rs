//! MIGRATE: between real servers in every direction, and to servers that do not behave.

use crate::support::{Server, Value, Wire, words};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const VALUES: &[&str] = &[
    "SET text hello",
    "SET number 12345",
    "SET fading 1 EX 1000",
    "RPUSH list a b c",
    "HSET hash f v g w",
    "SADD ints 1 2 3",
    "SADD words a b c",
    "ZADD zset 1 a 2.5 b",
];
const KEYS: &[&str] = &["text", "number", "fading", "list", "hash", "ints", "words", "zset"];

fn fill(wire: &mut Wire) {
    VALUES.iter().for_each(|it| assert!(!wire.ask(it).is_error(), "{it}"));
}

fn dumps(wire: &mut Wire) -> Vec<Value> {
    KEYS.iter().map(|it| wire.cmd(&["DUMP", it])).collect()
}

fn ask_all(wire: &mut Wire, lines: &[String]) -> Vec<String> {
    lines.iter().map(|it| wire.ask(it).to_string()).collect()
}

/// Moves every kind of value from one server to the other.
fn moves(from: &Server, to: &Server) {
    let (mut here, mut there) = (from.dial(), to.dial());
    fill(&mut here);
    here.cmd(&["SET", "big", &"x".repeat(3 << 20)]);
    let before = dumps(&mut here);
    let to = format!("127.0.0.1 {}", to.port());
    let all = KEYS.join(" ");
    let mut all_keys = format!("MIGRATE {to}  5 5000 COPY KEYS {all}");
    assert_eq!(here.ask(&all_keys).to_string(), "+OK");
    assert_eq!(dumps(&mut here), before);
    there.ask("SELECT 5");
    // The servers may write one value differently; restoring it has made it theirs.
    let lens = |wire: &mut Wire| wire.ask(&format!("EXISTS {all}")).int();
    assert_eq!(lens(&mut there), Some(KEYS.len() as i64));
    assert_eq!(there.ask("LRANGE list 0 -1"), here.ask("LRANGE list 0 -1"));
    assert_eq!(there.ask("ZRANGE zset 0 -1 WITHSCORES"), here.ask("ZRANGE zset 0 -1 WITHSCORES"));
    assert_eq!(there.ask("OBJECT ENCODING ints").string(), "intset");
    assert!((1..=1000).contains(&there.ask("TTL fading").int().unwrap()));
    let busy = here.ask(&format!("MIGRATE {to} text 5 5000")).to_string();
    let text = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(busy, text);
    all_keys = all_keys.replace("COPY", "REPLACE");
    assert_eq!(here.ask(&all_keys).to_string(), "+OK");
    assert_eq!(lens(&mut here), Some(0));
    assert_eq!(here.ask(&all_keys).to_string(), "+NOKEY");
    assert_eq!(here.ask(&format!("MIGRATE {to} big 5 5000")).to_string(), "+OK");
    assert_eq!(there.ask("STRLEN big").int(), Some(3 << 20));
    assert_eq!(here.ask("EXISTS big").int(), Some(0));
}

#[test]
fn keys_move_between_any_two_servers() {
    let (redis, ours, other) = (Server::redis(&[]), Server::entourage(&[]), Server::entourage(&[]));
    moves(&ours, &redis);
    redis.dial().ask("FLUSHALL");
    moves(&redis, &ours);
    ours.dial().ask("FLUSHALL");
    moves(&ours, &other);
}

#[test]
fn many_keys_move_at_once_and_members_agree_afterwards() {
    let (ours, redis) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut here, mut there) = (ours.dial(), redis.dial());
    let keys: Vec<String> = (0..1000).map(|it| format!("k{it}")).collect();
    let sets: Vec<_> = keys.iter().map(|it| words(&["SET", it, it])).collect();
    here.pipeline(&sets);
    let line = format!("MIGRATE 127.0.0.1 {}  0 5000 KEYS {} absent", redis.port(), keys.join(" "));
    assert_eq!(here.ask(&line).to_string(), "+OK");
    assert_eq!(here.ask("DBSIZE").int(), Some(0));
    assert_eq!(there.ask("DBSIZE").int(), Some(1000));
    // All of it was one effect.
    let stream = here.ask("DEBUG STREAM 0").text().unwrap().to_vec();
    let count = |word: &[u8]| stream.windows(word.len()).filter(|it| *it == word).count();
    assert_eq!((count(b"$3\r\nDEL\r\n"), count(b"MIGRATE")), (1, 0));
    crate::support::until("members to agree", || {
        let members = here.ask("DEBUG DIGEST MEMBERS");
        let digests: Vec<Value> = members.list().iter().map(|it| it.list()[2].clone()).collect();
        digests.windows(2).all(|it| it[0] == it[1]).then_some(())
    });
}

/// Nobody gets in without the password from here on.
fn close(server: &Server) {
    assert_eq!(server.dial().ask("CONFIG SET requirepass secret").string(), "OK");
}

#[test]
fn a_password_opens_the_other_server() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (closed, shut) = (Server::redis(&[]), Server::entourage(&[]));
    [&closed, &shut].iter().for_each(|it| close(it));
    let answers = |from: &Server| {
        let mut wire = from.dial();
        wire.ask("SET a 1");
        let mut answers = Vec::new();
        for port in [closed.port(), shut.port()] {
            let lines = [
                "",
                " AUTH wrong",
                " AUTH2 default wrong",
                " COPY AUTH secret",
                " COPY REPLACE AUTH2 default secret",
            ]
            .map(|it| format!("MIGRATE 127.0.0.1 {port} a 0 5000 REPLACE{it}"));
            answers.extend(ask_all(&mut wire, &lines));
        }
        answers
    };
    assert_eq!(answers(&ours), answers(&redis));
}

#[test]
fn words_are_refused_and_keys_are_found_as_redis_does() {
    let lines = [
        "MIGRATE 127.0.0.1 1 k 0",
        "MIGRATE 127.0.0.1 1 k 0 x",
        "MIGRATE 127.0.0.1 1 k x 10",
        "MIGRATE 127.0.0.1 1 k x 10 FOO",
        "MIGRATE 127.0.0.1 1 k 0 10 KEYS a",
        "MIGRATE 127.0.0.1 1 k 0 10 AUTH",
        "MIGRATE 127.0.0.1 1 k 0 10 AUTH2 a",
        "MIGRATE 127.0.0.1 1 k 0 10 copy copy replace",
        "MIGRATE 127.0.0.1 1  0 10 KEYS",
        "MIGRATE 127.0.0.1 1  0 10 KEYS a b",
        "MIGRATE 127.0.0.1 1  0 10",
        "MIGRATE 127.0.0.1 1 there 0 100",
        "COMMAND GETKEYS MIGRATE h 1 k 0 1",
        "COMMAND GETKEYS MIGRATE h 1  0 1 KEYS a b",
        "COMMAND GETKEYS MIGRATE h 1  0 1 COPY AUTH keys KEYS a keys b",
        "COMMAND GETKEYS MIGRATE h 1 k 0 1 KEYS a b",
        "COMMAND GETKEYS MIGRATE h 1  0 1 KEYS",
        "COMMAND GETKEYS MIGRATE h 1  0 1",
        "COMMAND GETKEYSANDFLAGS MIGRATE h 1  0 1 KEYS a b",
        "COMMAND GETKEYSANDFLAGS MIGRATE h 1 k 0 1",
    ];
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let answers = |server: &Server| {
        let mut wire = server.dial();
        wire.ask("SET there 1");
        ask_all(&mut wire, &lines.map(str::to_owned))
    };
    assert_eq!(answers(&ours), answers(&redis));
}

/// A server that hears `requests` requests of the client at its door, does what it does, and says
/// these bytes.
fn stub(requests: usize, says: &'static [u8], does: impl Fn() + Send + 'static) -> u16 {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in door.incoming() {
            let mut client = client.unwrap();
            hear(&mut client, 1);
            client.write_all(b"+OK\r\n").unwrap();
            hear(&mut client, requests);
            does();
            client.write_all(says).unwrap();
        }
    });
    port
}

/// Every request that is sent here ends with a line of its own.
fn hear(client: &mut TcpStream, requests: usize) {
    let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
    let count = |it: &[u8], word: &[u8]| it.windows(word.len()).filter(|it| *it == word).count();
    while count(&heard, b"SELECT") + count(&heard, b"RESTORE") < requests {
        match client.read(&mut chunk).unwrap() {
            0 => return,
            len => heard.extend_from_slice(&chunk[..len]),
        }
    }
}

#[test]
fn only_what_was_acknowledged_is_deleted() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    wire.ask("MSET a 1 b 2 c 3");
    let port = stub(3, b"+OK\r\n-ERR full\r\n+OK\r\n", || {});
    let answer = wire.ask(&format!("MIGRATE 127.0.0.1 {port}  0 5000 KEYS a b c"));
    assert_eq!(answer.to_string(), "-ERR Target instance replied with error: ERR full");
    assert_eq!(wire.ask("KEYS *").list()[0].string(), "b");
    wire.ask("MSET a 1 b 2 c 3");
    let port = stub(3, b"+OK\r\n", || {});
    let answer = wire.ask(&format!("MIGRATE 127.0.0.1 {port}  0 5000 KEYS a b c"));
    assert_eq!(answer.to_string(), "-IOERR error or timeout reading to target instance");
    assert_eq!(wire.ask("EXISTS a b c").int(), Some(2));
    let silent = stub(4, b"", || {});
    let answer = wire.ask(&format!("MIGRATE 127.0.0.1 {silent} b 0 50"));
    assert_eq!(answer.to_string(), "-IOERR error or timeout reading to target instance");
    assert_eq!(wire.ask("EXISTS b").int(), Some(1));
}

/// The write comes after the value has been sent and before it would have been deleted.
#[test]
fn a_write_during_the_transfer_is_not_lost() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    wire.ask("MSET a 1 b 2");
    let port = ours.port();
    let target = stub(2, b"+OK\r\n+OK\r\n", move || {
        let mut other = Wire::dial(port).unwrap();
        assert_eq!(other.ask("INCRBY a 10").int(), Some(11));
    });
    let answer = wire.ask(&format!("MIGRATE 127.0.0.1 {target}  0 5000 KEYS a b")).to_string();
    assert!(answer.starts_with("-KEYSCHANGED 1 of 2 keys changed here"), "{answer}");
    assert_eq!(wire.ask("GET a").string(), "11");
    assert_eq!(wire.ask("EXISTS b").int(), Some(0));
}

#[test]
fn the_deletion_is_confirmed_like_any_write() {
    let (ours, redis) = (Server::entourage(&[]), Server::redis(&[]));
    let mut wire = ours.dial();
    wire.ask("MSET a 1 b 2");
    assert_eq!(wire.ask("PROXY ACKS all 5000").string(), "OK");
    let line = |key: &str| format!("MIGRATE 127.0.0.1 {} {key} 0 5000", redis.port());
    assert_eq!(wire.ask(&line("a")).to_string(), "+OK");
    wire.ask("PROXY ACKS all 30");
    assert_eq!(wire.ask("PROXY NODE n2 PAUSE").string(), "OK");
    assert!(wire.ask(&line("b")).to_string().starts_with("-NOTDURABLE"));
    assert_eq!(redis.dial().ask("DBSIZE").int(), Some(2));
    assert_eq!(wire.ask(&line("b")).to_string(), "+NOKEY");
}

#[test]
fn a_migration_is_not_part_of_a_transaction_and_waits_while_writers_are_held_back() {
    let (ours, redis) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut wire, mut other) = (ours.dial(), ours.dial());
    wire.ask("SET a 1");
    wire.ask("MULTI");
    assert!(wire.ask("MIGRATE 127.0.0.1 1 a 0 10").is_error());
    assert!(wire.ask("EXEC").to_string().starts_with("-EXECABORT"));
    other.ask("CLIENT PAUSE 100000000 WRITE");
    wire.send(&[words(&["MIGRATE", "127.0.0.1", &redis.port().to_string(), "a", "0", "5000"])]);
    crate::support::until("the client to wait", || {
        other.cmd(&["INFO", "clients"]).string().contains("blocked_clients:1").then_some(())
    });
    assert_eq!(redis.dial().ask("EXISTS a").int(), Some(0));
    other.ask("CLIENT UNPAUSE");
    assert_eq!(wire.read().to_string(), "+OK");
    assert_eq!(redis.dial().ask("EXISTS a").int(), Some(1));
}

#[test]
fn the_slow_log_keeps_a_migration_once_without_its_password() {
    let logged = |server: &Server, port: u16| {
        let mut wire = server.dial();
        wire.ask("SET a 1");
        wire.ask("CONFIG SET slowlog-log-slower-than 0");
        wire.ask("SLOWLOG RESET");
        wire.ask(&format!("MIGRATE 127.0.0.1 {port} a 0 5000 COPY REPLACE AUTH secret"));
        wire.ask(&format!("MIGRATE 127.0.0.1 {port} a 0 5000 COPY AUTH2 default secret"));
        let entries = wire.ask("SLOWLOG GET");
        entries.list().iter().map(|it| it.list()[3].to_string()).collect::<Vec<_>>()
    };
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let target = Server::redis(&[]);
    close(&target);
    assert_eq!(logged(&ours, target.port()), logged(&redis, target.port()));
}
