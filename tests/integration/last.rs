//! PROXY LAST, for clients that read no attributes: the real binary, asked over the wire.

use crate::support::clients::until_blocked;
use crate::support::{BOTH, Server, Value, Wire, ok, order, starts, words};

fn server() -> Server {
    Server::entourage_with_config(
        "[server]\nthreads = 1\n[consistency]\nlevel = \"sticky\"\n[[listener]]\nname = \"main\"\n\
         bind = \"127.0.0.1:{port}\"\n[[route]]\nname = \"careless\"\nkeys = [\"careless:*\"]\n\
         on-lag = [\"other-replica\", \"stale\"]\n[[route]]\nname = \"strict\"\n\
         keys = [\"strict:*\"]\non-lag = [\"wait 1ms\", \"error\"]\n",
    )
}

fn send(wire: &mut Wire, lines: &[&str]) {
    let split = |line: &&str| words(&line.split(' ').collect::<Vec<_>>());
    wire.send(&lines.iter().map(split).collect::<Vec<_>>());
}

/// `because level steps member` of an answer of PROXY LAST, whose token must be `token` if one is
/// named.
fn told(answer: &Value) -> String {
    let all: Vec<String> = answer.list().iter().map(|it| it.to_string().replace('"', "")).collect();
    let names: Vec<&str> = all.iter().step_by(2).map(String::as_str).collect();
    let expected = ["because", "level", "steps", "member", "behind-bytes", "behind-us", "token"];
    assert_eq!(names, expected, "{answer}");
    let value = |at: usize| all[2 * at + 1].as_str();
    let steps = if value(2).is_empty() { "-" } else { value(2) };
    format!("{} {} {steps} {}", value(0), value(1), value(3))
}

fn last(wire: &mut Wire) -> String {
    told(&wire.ask("PROXY LAST"))
}

fn field(answer: &Value, name: &str) -> Value {
    let all = answer.list();
    let at = all.iter().position(|it| it.text() == Some(name.as_bytes())).expect("the field");
    all[at + 1].clone()
}

#[test]
fn it_tells_of_the_command_before_it_in_the_same_pipeline() {
    let server = server();
    let mut wire = server.dial();
    let lines = [
        "SET a 1",
        "PROXY LAST",
        "PROXY LAST",
        "GET a",
        "PROXY LAST",
        "PROXY ONCE AT n3 DO GET a",
        "PROXY LAST",
        "PROXY ONCE LEVEL master DO GET a",
        "PROXY LAST",
        "PING",
        "PROXY LAST",
        "LPUSH a x",
        "PROXY LAST",
        "NOPE",
        "PROXY LAST",
    ];
    send(&mut wire, &lines);
    let answers = wire.read_many(lines.len());
    let told: Vec<String> = answers
        .iter()
        .zip(lines)
        .filter(|it| it.1 == "PROXY LAST")
        .map(|(answer, _)| told(answer))
        .collect();
    assert_eq!(told[0], "write nil - n1");
    assert_eq!(told[0], told[1], "it is no reply of its own");
    assert!(told[2].contains(" sticky "), "{}", told[2]);
    let expected = [
        "asked-member nil - n3",
        "asked-master master - n1",
        "proxy nil - nil",
        "write nil - n1",
        "proxy nil - nil",
    ];
    assert_eq!(told[3..], expected);
}

#[test]
fn it_tells_of_transactions_within_and_behind_them() {
    let server = server();
    let mut wire = server.dial();
    send(&mut wire, &["MULTI", "GET a", "PROXY LAST", "SET a 1", "PROXY LAST", "PING", "EXEC"]);
    let answers = wire.read_many(7).pop().unwrap().list().to_vec();
    assert_eq!(told(&answers[1]), "transaction nil - n1");
    assert_eq!(told(&answers[3]), "write nil - n1");
    assert_eq!(last(&mut wire), "write nil - n1");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    send(&mut wire, &["MULTI", "GET a", "EXEC", "PROXY LAST", "MULTI", "PROXY LAST", "DISCARD"]);
    let answers = wire.read_many(7);
    let reads_alone = told(&answers[3]);
    assert!(reads_alone.starts_with("fresh-") && !reads_alone.ends_with("n1"), "{reads_alone}");
    assert_eq!(last(&mut wire), "proxy nil - nil", "DISCARD");
}

#[test]
fn it_tells_the_steps_of_the_ladder_and_how_far_behind() {
    let server = server();
    let (mut wire, mut operator) = (server.dial(), server.dial());
    order(&mut operator, BOTH, "PAUSE");
    ok(&mut wire, "SET careless:1 x");
    ok(&mut wire, "SET strict:1 x");
    assert!(wire.ask("GET careless:1").is_nil());
    let answer = wire.ask("PROXY LAST");
    assert!(told(&answer).starts_with("stale-allowed sticky stale n"), "{answer}");
    assert!(field(&answer, "behind-bytes").int().is_some_and(|it| 0 < it), "{answer}");
    assert!(field(&answer, "behind-us").int().is_some_and(|it| 0 <= it), "{answer}");
    assert_eq!(wire.ask("GET a").to_string(), "nil");
    assert_eq!(last(&mut wire), "master-on-lag sticky master n1");
    let refused = wire.ask("GET strict:1");
    starts(&refused, "LAGGED ");
    assert!(!refused.string().contains("eta_ms"), "nobody can tell: {refused}");
    assert_eq!(last(&mut wire), "lagged sticky wait, error nil");

    ok(&mut wire, "PROXY CONSISTENCY sticky");
    let floor = token(&mut wire);
    ok(&mut wire, &format!("PROXY ATLEAST {floor} WAIT 600000"));
    send(&mut wire, &["GET a", "PROXY LAST"]);
    until_blocked(&mut operator, 1);
    order(&mut operator, BOTH, "RESUME");
    assert!(wire.read().is_nil());
    let told = told(&wire.read());
    assert!(told.starts_with("waited sticky wait n"), "{told}");
}

fn token(wire: &mut Wire) -> String {
    wire.ask("PROXY TOKEN").string()
}

#[test]
fn its_token_is_the_floor_behind_its_command() {
    let server = server();
    let mut wire = server.dial();
    for line in ["SET a 1", "GET a", "APPEND a 2"] {
        wire.ask(line);
        let answer = wire.ask("PROXY LAST");
        assert_eq!(field(&answer, "token").string(), token(&mut wire));
    }
}

#[test]
fn it_tells_of_writes_that_waited() {
    let server = server();
    let (mut wire, mut other) = (server.dial(), server.dial());
    ok(&mut wire, "PROXY ACKS all 600000");
    send(&mut wire, &["SET a 1", "PROXY LAST", "BLPOP l 0", "PROXY LAST"]);
    assert_eq!(wire.read().string(), "OK");
    assert_eq!(told(&wire.read()), "write nil - n1");
    until_blocked(&mut other, 1);
    other.ask("RPUSH l x");
    assert_eq!(wire.read().list().len(), 2);
    assert_eq!(told(&wire.read()), "write nil - n1");
}

#[test]
fn resp3_has_it_as_a_map_and_no_tag_in_front() {
    let server = server();
    let mut wire = server.dial();
    assert!(!wire.cmd(&["HELLO", "3"]).is_error());
    ok(&mut wire, "PROXY TAG all");
    send(&mut wire, &["PROXY LAST"]);
    assert_eq!(wire.read_until(b"\r\n"), b"%7\r\n");
}
