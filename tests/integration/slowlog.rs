//! The slow log: beside a real Redis where every command is slow, and by itself where few are.

use crate::support::{Server, Wire, words};

/// Lines whose words end up in the log, and in which words must not.
const LINES: &[&str] = &[
    "SLOWLOG RESET",
    "AUTH secret",
    "AUTH user secret",
    "HELLO 3 AUTH user secret SETNAME x",
    "HELLO 2 SETNAME bob",
    "CONFIG SET slowlog-max-len 200 requirepass secret timeout 7",
    "CONFIG SET requirepass ",
    "MIGRATE 127.0.0.1 1 nosuch 0 10 AUTH secret",
    "MIGRATE 127.0.0.1 1 nosuch 0 10 COPY AUTH2 user secret",
    "NOSUCH a",
    "GET",
    "INCR text",
    "PING",
    "SET text x",
    "INCR text",
    "MULTI",
    "SET a 1",
    "KEYS *",
    "EXEC",
    "SLOWLOG LEN",
];

const QUESTIONS: &[&str] = &[
    "SLOWLOG",
    "SLOWLOG FOO",
    "SLOWLOG GET -2",
    "SLOWLOG GET x",
    "SLOWLOG GET 1 2",
    "SLOWLOG GET 0",
    "SLOWLOG LEN 1",
    "SLOWLOG RESET x",
    "CONFIG GET slowlog-max-len",
    "CONFIG GET slowlog-log-slower-than",
    "CONFIG SET slowlog-log-slower-than -2",
    "CONFIG SET slowlog-max-len -1",
    "CONFIG SET slowlog-log-slower-than x",
];

fn words_logged(wire: &mut Wire, count: &str) -> Vec<String> {
    let entries = wire.cmd(&["SLOWLOG", "GET", count]);
    let line = |it: &crate::support::Value| format!("{} {}", it.list()[3], it.list()[5]);
    entries.list().iter().map(line).collect()
}

#[test]
fn every_command_is_kept_as_redis_keeps_it_when_all_are_slow() {
    let answers = |server: &Server| {
        let mut wire = server.dial();
        wire.ask("CONFIG SET slowlog-log-slower-than 0");
        LINES.iter().for_each(|it| drop(wire.ask(it)));
        let long = "y".repeat(300);
        wire.cmd(&["SET", "x", &long]);
        for count in [31, 32, 40] {
            wire.cmd(&vec!["MGET"; count]);
        }
        // The same in one piece.
        let pipeline =
            ["SET p 1", "GET p", "DEL p"].map(|it| words(&it.split(' ').collect::<Vec<_>>()));
        wire.pipeline(&pipeline);
        words_logged(&mut wire, "-1")
    };
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    assert_eq!(answers(&ours), answers(&redis));
}

#[test]
fn whether_a_change_of_the_threshold_is_slow_is_said_by_the_new_one() {
    let answers = |server: &Server| {
        let mut wire = server.dial();
        let mut logged = |lines: &[&str]| {
            lines.iter().for_each(|it| drop(wire.ask(it)));
            words_logged(&mut wire, "-1")
        };
        [
            logged(&["CONFIG SET slowlog-log-slower-than -1", "SLOWLOG RESET"]),
            logged(&["CONFIG SET slowlog-log-slower-than 0"]),
            logged(&["SLOWLOG RESET", "CONFIG SET slowlog-log-slower-than -1", "PING"]),
            logged(&["CONFIG SET slowlog-log-slower-than 0", "PING"]),
            logged(&["CONFIG SET slowlog-max-len 0"]),
        ]
    };
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    assert_eq!(answers(&ours), answers(&redis));
}

#[test]
fn questions_about_the_slow_log_are_answered_as_redis_does() {
    let answers = |server: &Server| {
        let mut wire = server.dial();
        QUESTIONS.iter().map(|it| wire.ask(it).to_string()).collect::<Vec<_>>()
    };
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    assert_eq!(answers(&ours), answers(&redis));
}

#[test]
fn only_the_slow_command_of_many_is_kept_with_its_own_time() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    wire.ask("CLIENT SETNAME bob");
    let lines = ["SET a 1", "GET a", "DEBUG SLEEP 0.05", "GET a", "KEYS *"];
    let pipeline = lines.map(|it| words(&it.split(' ').collect::<Vec<_>>()));
    wire.pipeline(&pipeline);
    let entries = wire.ask("SLOWLOG GET");
    // A busy machine may make others slow too.
    let slept = entries.list().iter().find(|it| it.list()[3].list()[0].string() == "DEBUG");
    let slept = slept.expect("the sleep is kept").list().to_vec();
    assert!(50_000 <= slept[2].int().unwrap());
    assert!(slept[4].string().starts_with("127.0.0.1:"));
    assert_eq!(slept[5].string(), "bob");
    wire.ask("CONFIG SET slowlog-log-slower-than -1");
    wire.ask("SLOWLOG RESET");
    wire.ask("DEBUG SLEEP 0.02");
    assert_eq!(wire.ask("SLOWLOG LEN").int(), Some(0));
}

#[test]
fn entries_are_numbered_on_and_as_many_as_configured() {
    let ours = Server::entourage_with_config(
        "[[listener]]\nbind = \"127.0.0.1:{port}\"\n\
         [server]\nslowlog-log-slower-than = 0\nslowlog-max-len = 2\n",
    );
    let mut wire = ours.dial();
    (0..5).for_each(|_| drop(wire.ask("PING")));
    let ids = |wire: &mut Wire| {
        let entries = wire.ask("SLOWLOG GET");
        entries.list().iter().map(|it| it.list()[0].int().unwrap()).collect::<Vec<_>>()
    };
    let before = ids(&mut wire);
    assert_eq!(before.len(), 2);
    assert_eq!(before[0], before[1] + 1);
    wire.ask("SLOWLOG RESET");
    assert!(before[0] < ids(&mut wire)[0]);
}

/// Commands that are quick by nature share one reading of the clock when they come in one piece.
#[test]
fn a_slow_run_of_quick_commands_is_one_entry_that_says_so() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    wire.ask("CONFIG SET slowlog-log-slower-than 1000");
    let mut push = words(&["RPUSH", "list"]);
    push.resize(200_002, b"element".to_vec());
    wire.pipeline(&[push, words(&["GET", "a"]), words(&["GET", "b"])]);
    let entries = wire.ask("SLOWLOG GET");
    let words_of = |it: &crate::support::Value| {
        it.list()[3].list().iter().map(crate::support::Value::string).collect::<Vec<_>>()
    };
    // What follows the long command may have come with it or behind it.
    let is_told = |it: &Vec<String>| {
        it[0] == "RPUSH" && it[31] == "... (199971 more arguments)"
            || it.last().is_some_and(|it| it.starts_with("... (with "))
    };
    let told: Vec<_> = entries.list().iter().map(words_of).collect();
    assert!(told.iter().any(is_told), "{told:?}");
}
