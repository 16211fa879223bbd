//! Which of several reasons to refuse a request wins: the order is Redis'.

use crate::support::{BOTH, Server, Wire, info_field, ok, order, until_blocked};

const PASSWORD: &str = "CONFIG SET requirepass secret";
const GATE: &str = "CONFIG SET min-replicas-to-write 5";
const NO_GATE: &str = "CONFIG SET min-replicas-to-write 0";
const PAUSE_WRITERS: &str = "CLIENT PAUSE 100000000 WRITE";
const PAUSE_ALL: &str = "CLIENT PAUSE 100000000 ALL";

/// After `orders` of an operator, what Redis answers to `lines` of a new client, and that ours
/// answers the same. All are answered at once: nothing of them is held back.
fn equal(orders: &[&str], lines: &[&str]) {
    let [redis, ours] = Server::both().map(|server| {
        let (mut operator, mut client) = (server.dial(), server.dial());
        orders.iter().for_each(|it| ok(&mut operator, it));
        if orders.contains(&PASSWORD) {
            // It was let in before there was a password.
            client = server.dial();
        }
        lines.iter().map(|it| format!("{it} -> {}", client.ask(it))).collect::<Vec<_>>()
    });
    assert_eq!(ours, redis, "{orders:?}");
    println!("{orders:?}: {redis:#?}");
}

#[test]
fn what_is_unknown_or_has_another_arity_is_told_before_a_login_is_asked_for() {
    let lines = [
        "NOPE",
        "GET",
        "GET a",
        "SET a 1",
        "CONFIG NOPE",
        "CONFIG GET",
        "CONFIG GET port",
        "MULTI",
        "EXEC",
        "EXEC a",
        "DISCARD x",
        "DISCARD",
        "CLIENT PAUSE 1 ALL",
        "QUIT a b",
    ];
    equal(&[PASSWORD], &lines);
}

#[test]
fn a_login_is_asked_for_before_replicas_are_and_before_a_pause_holds() {
    let lines = ["SET a 1", "GET a", "NOPE", "GET", "SET a", "EXEC", "MULTI", "EXEC x"];
    equal(&[GATE, PASSWORD, PAUSE_ALL], &lines);
}

#[test]
fn replicas_are_asked_for_before_a_pause_holds_and_after_the_arity() {
    equal(&[GATE, PAUSE_ALL], &["SET a 1", "NOPE", "GET", "SET a", "EXEC x", "DEL a"]);
    let lines = ["SET a 1", "GET a", "MULTI", "SET a 1", "GET a", "EXEC", "SET a", "EXEC"];
    equal(&[GATE, PAUSE_WRITERS], &lines);
}

#[test]
fn a_write_without_enough_replicas_is_refused_where_it_is_queued() {
    let lines = [
        "SET a 1",
        "MULTI",
        "SET a 1",
        "GET a",
        "EXEC",
        "EXEC",
        "MULTI",
        "GET a",
        "PING",
        "EXEC",
        "MULTI",
        "SET a",
        "SET a 1",
        "EXEC",
        "MULTI",
        "WATCH a",
        "MULTI",
        "DISCARD",
        "SORT a STORE b",
    ];
    equal(&[GATE], &lines);
}

#[test]
fn what_may_not_be_queued_is_refused_before_replicas_are_asked_for() {
    equal(&[GATE, "CONFIG SET save "], &["MULTI", "SHUTDOWN NOSAVE NOPE", "SET a 1", "EXEC"]);
}

/// Who says what, one after the other.
fn exchange(server: &Server, lines: &[(&str, &str)]) -> Vec<String> {
    let (mut operator, mut client) = (server.dial(), server.dial());
    let mut answer = |who: &str, line: &str| {
        let wire = if who == "operator" { &mut operator } else { &mut client };
        wire.ask(line).to_string()
    };
    lines.iter().map(|(who, line)| format!("{line} -> {}", answer(who, line))).collect()
}

#[test]
fn a_transaction_without_enough_replicas_ends_at_its_exec() {
    let lines = [
        ("client", "WATCH a"),
        ("client", "MULTI"),
        ("client", "SET a 1"),
        ("client", "GET a"),
        ("operator", GATE),
        ("client", "EXEC"),
        ("client", "EXEC"),
        ("client", "GET a"),
        // A transaction that would have been discarded anyway: of both reasons the replicas.
        ("operator", NO_GATE),
        ("client", "MULTI"),
        ("client", "SET a 1"),
        ("client", "NOPE"),
        ("operator", GATE),
        ("client", "EXEC"),
        ("client", "EXEC"),
        // What is queued behind an error is forgotten: it asks for nobody.
        ("operator", NO_GATE),
        ("client", "MULTI"),
        ("client", "NOPE"),
        ("client", "SET a 1"),
        ("operator", GATE),
        ("client", "EXEC"),
        // And replicas before a pause.
        ("operator", NO_GATE),
        ("client", "MULTI"),
        ("client", "SET a 1"),
        ("operator", GATE),
        ("operator", PAUSE_WRITERS),
        ("client", "EXEC"),
        ("client", "GET a"),
        // A transaction that only reads needs nobody.
        ("client", "MULTI"),
        ("client", "GET a"),
        ("client", "EXEC"),
    ];
    let [redis, ours] = Server::both().map(|server| exchange(&server, &lines));
    assert_eq!(ours, redis);
}

/// While writers are held back the gate closes: whoever is released is asked again.
#[test]
fn what_a_pause_has_held_is_asked_everything_again() {
    for server in Server::both() {
        let (mut operator, mut client) = (server.dial(), server.dial());
        ok(&mut operator, PAUSE_WRITERS);
        client.send_raw(b"SET a 1\r\nMULTI\r\nSET a 1\r\nEXEC\r\n");
        until_blocked(&mut operator, 1);
        ok(&mut operator, GATE);
        ok(&mut operator, "CLIENT UNPAUSE");
        let answers: Vec<String> = client.read_many(4).iter().map(ToString::to_string).collect();
        let refused = "-NOREPLICAS Not enough good replicas to write.";
        let aborted = "-EXECABORT Transaction discarded because of previous errors.";
        assert_eq!(answers, [refused, "+OK", refused, aborted], "{}", server.program());
        assert!(client.ask("GET a").is_nil());
    }
}

#[test]
fn a_command_behind_proxy_once_passes_the_same_refusals() {
    let server = Server::entourage(&[]);
    let (mut operator, mut client) = (server.dial(), server.dial());
    let mut told = |line: &str| client.ask(line).to_string();
    ok(&mut operator, GATE);
    ok(&mut operator, PAUSE_WRITERS);
    let refused = "-NOREPLICAS Not enough good replicas to write.";
    assert_eq!(told("PROXY ONCE AT n1 DO SET a 1"), refused);
    assert_eq!(told("PROXY ONCE LEVEL eventual DO GET a"), "nil");
    assert!(told("PROXY ONCE LEVEL eventual DO GET").contains("wrong number"));
    assert_eq!(told("MULTI"), "+OK");
    assert!(told("PROXY ONCE LEVEL eventual DO GET a").contains("inside a transaction"));
    assert!(told("EXEC").starts_with("-EXECABORT"));
}

fn commands(wire: &mut Wire) -> u64 {
    let told = info_field(wire, "stats", "total_commands_processed");
    told.expect("Redis' field").parse().unwrap()
}

/// A request that has waited is served again from its beginning, and is one command all the same.
#[test]
fn what_has_waited_counts_once() {
    let ladder = "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[consistency]\nlevel = \"sticky\"\non-lag = [\"wait 1h\", \"error\"]\n";
    let server = Server::entourage_with_config(ladder);
    let (mut operator, mut client) = (server.dial(), server.dial());
    order(&mut operator, BOTH, "PAUSE");
    ok(&mut client, "SET a 1");
    let before = commands(&mut operator);
    client.send_raw(b"GET a\r\n");
    until_blocked(&mut operator, 1);
    let looks = commands(&mut operator) - before;
    order(&mut operator, BOTH, "RESUME");
    assert_eq!(client.read().string(), "1");
    // Two orders, and the operator's own last look is not counted yet.
    assert_eq!(commands(&mut operator) - before, looks + 1 + 2 + 1);
}

#[test]
fn what_exec_and_command_refuse_is_refused_in_the_words_of_redis() {
    let lines = [
        "MULTI",
        "SSUBSCRIBE a",
        "MONITOR",
        "SUBSCRIBE a",
        "UNSUBSCRIBE a",
        "EXEC",
        "COMMAND GETKEYS SPUBLISH a b",
        "COMMAND GETKEYS SSUBSCRIBE a",
        "COMMAND GETKEYSANDFLAGS SUNSUBSCRIBE a",
        "COMMAND GETKEYS EVAL x -1",
        "COMMAND GETKEYS EVAL x 3 a b",
        "COMMAND GETKEYS EVAL x 0",
        "COMMAND GETKEYS FCALL x y",
        "COMMAND GETKEYS LMPOP 0 a LEFT",
        "COMMAND GETKEYS ZINTER 0 a",
        "COMMAND GETKEYS ZINTER 3 a b",
        "COMMAND GETKEYS ZINTERSTORE d 0 a",
        "COMMAND GETKEYS XREAD STREAMS",
        "COMMAND GETKEYS XREAD COUNT 1 a b",
        "COMMAND GETKEYS SORT a STORE",
        "CLIENT UNBLOCK 1 ERROR x",
        "CLIENT UNBLOCK 1 x",
        "CLUSTER MYID",
    ];
    equal(&[], &lines);
    equal(&["CONFIG SET maxmemory 1"], &["EVAL_RO #!lua\nreturn 1 0"]);
}
