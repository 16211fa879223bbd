//! The latency monitor, beside a real Redis where both can have the same samples.

use crate::support::{Server, Value, Wire};

/// None of these depends on how long anything takes.
const QUESTIONS: &[&str] = &[
    "LATENCY",
    "LATENCY FOO",
    "LATENCY LATEST",
    "LATENCY LATEST x",
    "LATENCY HISTORY",
    "LATENCY HISTORY command",
    "LATENCY HISTORY nosuch",
    "LATENCY HISTORY a b",
    "LATENCY GRAPH",
    "LATENCY GRAPH command",
    "LATENCY GRAPH nosuch",
    "LATENCY RESET",
    "LATENCY RESET a b",
    "LATENCY DOCTOR x",
    "LATENCY HELP x",
    "CONFIG GET latency-monitor-threshold",
    "CONFIG SET latency-monitor-threshold -1",
    "CONFIG SET latency-monitor-threshold x",
    "CONFIG SET latency-monitor-threshold 9223372036854775807",
    "CONFIG GET latency-monitor-threshold",
    "CONFIG SET latency-monitor-threshold 0",
];

#[test]
fn questions_about_latency_are_answered_as_redis_does() {
    let answers = |server: &Server| {
        let mut wire = server.dial();
        QUESTIONS.iter().map(|it| wire.ask(it).to_string()).collect::<Vec<_>>()
    };
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    assert_eq!(answers(&ours), answers(&redis));
}

fn names(wire: &mut Wire) -> Vec<String> {
    wire.ask("LATENCY LATEST").list().iter().map(|it| it.list()[0].string()).collect()
}

/// The longest of `command` since the last reset.
fn longest(wire: &mut Wire) -> Option<i64> {
    let latest = wire.ask("LATENCY LATEST");
    let of_command = latest.list().iter().find(|it| it.list()[0].string() == "command");
    of_command.and_then(|it| it.list()[3].int())
}

#[test]
fn what_takes_as_long_as_the_threshold_is_a_sample_and_a_reset_forgets_it() {
    for server in [Server::redis(&["--enable-debug-command", "yes"]), Server::entourage(&[])] {
        let mut wire = server.dial();
        wire.ask("DEBUG SLEEP 0.03");
        assert_eq!(names(&mut wire), [""; 0], "nobody has asked");
        // Longer than a busy machine may need for what is no sleep.
        wire.ask("CONFIG SET latency-monitor-threshold 100000");
        wire.ask("PING");
        wire.ask("DEBUG SLEEP 0.03");
        assert_eq!(names(&mut wire), [""; 0], "it was shorter");
        wire.ask("CONFIG SET latency-monitor-threshold 20");
        wire.ask("DEBUG SLEEP 0.03");
        assert!(30 <= longest(&mut wire).expect("a sample"));
        wire.ask("DEBUG SLEEP 0.06");
        assert!(60 <= longest(&mut wire).expect("the longest of all"));
        let history = wire.ask("LATENCY HISTORY command");
        let samples: Vec<&[Value]> = history.list().iter().map(Value::list).collect();
        assert!(samples.iter().any(|it| Some(60) <= it[1].int()), "{history}");
        assert!(samples.is_sorted_by_key(|it| it[0].int()), "one for each second: {history}");
        assert!(wire.ask("LATENCY GRAPH command").string().starts_with("command - high "));
        let told = wire.ask("LATENCY DOCTOR").string();
        assert!(told.contains("1. command: ") && told.contains("latency spikes"), "{told}");
        assert_eq!(wire.ask("LATENCY RESET nosuch").int(), Some(0));
        assert!(Some(1) <= wire.ask("LATENCY RESET COMMAND nosuch").int(), "in any case");
        assert_eq!(longest(&mut wire), None);
        assert_eq!(wire.ask("LATENCY HISTORY command").list().len(), 0);
    }
}

/// The slow log need not keep anything, and metrics need not be recorded.
#[test]
fn the_monitor_works_without_slow_log_and_metrics() {
    let server = Server::entourage_with_config(
        "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[server]\nmetrics = false\n\
         slowlog-log-slower-than = -1\nlatency-monitor-threshold = 20\n",
    );
    let mut wire = server.dial();
    wire.ask("DEBUG SLEEP 0.03");
    assert!(30 <= longest(&mut wire).expect("a sample"));
    assert_eq!(wire.ask("SLOWLOG LEN").int(), Some(0));
}

/// EXEC takes as long as all that was queued, and a script as all that it calls.
#[test]
fn a_script_and_a_transaction_take_as_long_as_what_they_hold() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.ask("CONFIG SET latency-monitor-threshold 20");
    wire.cmd(&["EVAL", "local n = 0 for i = 1, 20000000 do n = n + i end", "0"]);
    assert!(longest(&mut wire).is_some(), "twenty million steps");
    wire.ask("LATENCY RESET");
    wire.ask("MULTI");
    for _ in 0..40 {
        wire.cmd(&["EVAL", "local n = 0 for i = 1, 1000000 do n = n + i end", "0"]);
    }
    wire.ask("EXEC");
    assert!(longest(&mut wire).is_some(), "forty million");
}
