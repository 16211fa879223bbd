//! CLIENT PAUSE: what waits, what does not, and what comes of it afterwards.

use crate::support::{Server, Value, Wire, until, words};

fn both(check: impl Fn(&Server)) {
    [Server::redis(&[]), Server::entourage(&[])].iter().for_each(check);
}

fn send(wire: &mut Wire, lines: &[&str]) {
    let commands: Vec<_> =
        lines.iter().map(|it| words(&it.split(' ').collect::<Vec<_>>())).collect();
    wire.send(&commands);
}

fn field(wire: &mut Wire, section: &str, name: &str) -> String {
    let text = wire.cmd(&["INFO", section]).string();
    let start = format!("{name}:");
    text.lines().find_map(|it| it.strip_prefix(&start)).expect("the field").trim().to_owned()
}

fn until_waiting(wire: &mut Wire, clients: &str) {
    until("clients to wait", || {
        (field(wire, "clients", "blocked_clients") == clients).then_some(())
    });
}

fn texts(replies: Vec<Value>) -> Vec<String> {
    replies.iter().map(ToString::to_string).collect()
}

#[test]
fn words_are_refused_as_redis_does() {
    let lines = [
        "CLIENT PAUSE",
        "CLIENT PAUSE x",
        "CLIENT PAUSE -1",
        "CLIENT PAUSE x foo",
        "CLIENT PAUSE 1 foo x",
        "CLIENT PAUSE 1.5",
        "CLIENT PAUSE 99999999999999999999",
        "CLIENT PAUSE 9223372036854775807",
        "PING",
        "CLIENT PAUSE 0",
        "PING",
        "CLIENT PAUSE 1 all",
        "PING",
        "CLIENT UNPAUSE x",
        "CLIENT UNPAUSE",
    ];
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let answers = |server: &Server| {
        let mut wire = server.dial();
        texts(lines.iter().map(|it| wire.ask(it)).collect())
    };
    assert_eq!(answers(&ours), answers(&redis));
}

#[test]
fn only_writers_wait_for_the_end_of_a_pause_of_writes() {
    both(|server| {
        let (mut wire, mut writer, mut queued) = (server.dial(), server.dial(), server.dial());
        wire.ask("SET a 0");
        send(&mut queued, &["MULTI", "INCR a", "GET a"]);
        queued.read_many(3);
        assert_eq!(wire.ask("CLIENT PAUSE 100000000 WRITE").string(), "OK");
        let end = field(&mut wire, "replication", "master_repl_offset");
        send(&mut writer, &["PING", "GET a", "INCR a", "GET a", "PING"]);
        assert_eq!(texts(writer.read_many(2)), ["+PONG", "\"0\""]);
        send(&mut queued, &["EXEC", "PING"]);
        until_waiting(&mut wire, "2");
        let reads = ["MULTI", "GET a", "EXEC"].map(|it| wire.ask(it).to_string());
        assert_eq!(reads, ["+OK", "+QUEUED", "[\"0\"]"]);
        assert_eq!(field(&mut wire, "replication", "master_repl_offset"), end);
        assert_eq!(wire.ask("CLIENT UNPAUSE").string(), "OK");
        let mut answers = [texts(writer.read_many(3)), texts(queued.read_many(2))];
        // Either may have come first.
        answers.iter_mut().flatten().for_each(|it| *it = it.replace(['1', '2'], "n"));
        assert_eq!(answers[0], [":n", "\"n\"", "+PONG"]);
        assert_eq!(answers[1], ["[:n, \"n\"]", "+PONG"]);
        assert_eq!(wire.ask("GET a").string(), "2");
        until_waiting(&mut wire, "0");
    });
}

#[test]
fn a_pause_of_all_holds_every_command_also_of_its_own_pipeline() {
    both(|server| {
        let (mut wire, mut other) = (server.dial(), server.dial());
        send(&mut wire, &["CLIENT PAUSE 50 ALL", "ECHO after", "CLIENT PAUSE 50 WRITE", "SET a 1"]);
        assert_eq!(texts(wire.read_many(4)), ["+OK", "\"after\"", "+OK", "+OK"]);
        send(&mut wire, &["MULTI", "CLIENT PAUSE 50 ALL", "SET a 2", "GET a", "EXEC"]);
        let last = texts(wire.read_many(5)).pop();
        assert_eq!(last.as_deref(), Some("[+OK, +OK, \"2\"]"));
        assert_eq!(other.ask("GET a").string(), "2");
    });
}

#[test]
fn nothing_expires_during_a_pause_but_what_has_expired_is_hidden() {
    both(|server| {
        let mut wire = server.dial();
        send(&mut wire, &["SET gone 1 PX 30", "CLIENT PAUSE 100000000 WRITE"]);
        wire.read_many(2);
        let before = field(&mut wire, "replication", "master_repl_offset");
        until("the key to be hidden", || (wire.ask("EXISTS gone").int() == Some(0)).then_some(()));
        wire.ask("WATCH gone");
        assert_eq!(field(&mut wire, "stats", "expired_keys"), "0");
        assert_eq!(field(&mut wire, "replication", "master_repl_offset"), before);
        wire.ask("CLIENT UNPAUSE");
        until("the key to be gone", || {
            (field(&mut wire, "stats", "expired_keys") == "1").then_some(())
        });
    });
}

#[test]
fn scripts_that_say_they_only_read_do_not_wait_for_the_end_of_a_pause_of_writes() {
    both(|server| {
        let (mut wire, mut reader) = (server.dial(), server.dial());
        let reads = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])";
        let library = "#!lua name=lib\nredis.register_function{function_name='f', \
                       callback=function() return 'from f' end, flags={'no-writes'}}";
        wire.ask("SET a 1");
        wire.cmd(&["FUNCTION", "LOAD", library]);
        wire.ask("CLIENT PAUSE 100000000 WRITE");
        let sha = reader.cmd(&["SCRIPT", "LOAD", reads]).string();
        let calls: [&[&str]; 7] = [
            &["EVAL", reads, "1", "a"],
            &["EVALSHA", &sha, "1", "a"],
            &["FCALL", "f", "0"],
            &["MULTI"],
            &["EVAL", reads, "1", "a"],
            &["FCALL", "f", "0"],
            &["EXEC"],
        ];
        let replies = texts(calls.iter().map(|it| reader.cmd(it)).collect());
        let expected =
            ["\"1\"", "\"1\"", "\"from f\"", "+OK", "+QUEUED", "+QUEUED", "[\"1\", \"from f\"]"];
        assert_eq!(replies, expected);
        reader.send(&[words(&["EVAL", "#!lua\nreturn 1", "0"])]);
        until_waiting(&mut wire, "1");
        wire.ask("CLIENT UNPAUSE");
        assert_eq!(texts(reader.read_many(1)), [":1"]);
    });
}

#[test]
fn a_client_that_leaves_while_it_waits_is_let_go() {
    let ours = Server::entourage(&[]);
    let (mut wire, mut writer) = (ours.dial(), ours.dial());
    wire.ask("CLIENT PAUSE 100000000 WRITE");
    send(&mut writer, &["SET a 1"]);
    until_waiting(&mut wire, "1");
    drop(writer);
    until_waiting(&mut wire, "0");
    wire.ask("CLIENT UNPAUSE");
    assert_eq!(wire.ask("EXISTS a").int(), Some(0));
}
