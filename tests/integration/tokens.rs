//! Tokens and the consistency of single commands: the real binary, asked over the wire.

use crate::support::{BOTH, Server, Value, Wire, ok, order, starts, until, words};

const SECRET: &str = "[server]\ntoken-secret = \"sixteen bytes at least\"\n";

fn config(text: &str) -> Server {
    let listener = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";
    Server::entourage_with_config(&format!("{text}{listener}"))
}

#[track_caller]
/// A server whose replicas stand still, and a session that has written `a` behind that. A session
/// that is not told of it does not see it.
fn written_while_paused() -> (Server, Wire, String) {
    let server = Server::entourage(&["--level", "sticky"]);
    let mut wire = server.dial();
    order(&mut wire, BOTH, "PAUSE");
    ok(&mut wire, "SET a 1");
    let token = wire.ask("PROXY TOKEN").string();
    (server, wire, token)
}

#[test]
fn a_token_that_was_altered_or_cut_is_refused_and_changes_nothing() {
    let (server, _, token) = written_while_paused();
    let mut other = server.dial();
    let before = other.ask("PROXY TOKEN").string();
    let (place, signature) = token.rsplit_once(':').unwrap();
    let further = place.replacen(':', ":1", 1);
    let flipped = if signature.starts_with('0') { "1" } else { "0" };
    let forged = [
        format!("{further}:{signature}"),
        format!("{place}:{flipped}{}", &signature[1..]),
        format!("{place}:{}", "0".repeat(signature.len())),
    ];
    for forged in &forged {
        let told = other.ask(&format!("PROXY ATLEAST {forged}"));
        starts(&told, "BADTOKEN the token's signature is wrong: ");
        assert!(told.string().contains("token-secret"), "{told}");
    }
    for cut in [place, &token[..token.len() - 1], &token[..token.len() - 2], "nonsense", ""] {
        let told = other.cmd(&["PROXY", "ATLEAST", cut]);
        starts(&told, "BADTOKEN that is not a token: ask PROXY TOKEN for one");
    }
    assert_eq!(other.ask("PROXY TOKEN").string(), before);
    assert!(other.ask("GET a").is_nil(), "nothing told it to wait for the write");
}

#[test]
fn proxies_know_each_others_tokens_if_they_share_the_secret() {
    let [one, same] = [SECRET, SECRET].map(config);
    let (alone, other) = (Server::entourage(&[]), Server::entourage(&[]));
    let ask = |server: &Server, token: &str| server.dial().ask(&format!("PROXY ATLEAST {token}"));
    let told = |server: &Server| server.dial().ask("PROXY TOKEN").string();
    starts(&ask(&same, &told(&one)), "UNKNOWNHISTORY the token is of another process");
    for (from, to) in [(&one, &alone), (&alone, &one), (&alone, &other)] {
        starts(&ask(to, &told(from)), "BADTOKEN the token's signature is wrong: ");
    }
    starts(&ask(&one, &told(&one)), "OK");
    starts(&ask(&alone, &told(&alone)), "OK");
}

#[test]
fn else_is_obeyed_for_a_token_of_before_a_restart() {
    let [before, after] = [SECRET, SECRET].map(config);
    let mut wire = before.dial();
    ok(&mut wire, "SET a old");
    let token = wire.ask("PROXY TOKEN").string();
    let mut writer = after.dial();
    order(&mut writer, BOTH, "PAUSE");
    ok(&mut writer, "SET a new");
    let mut wire = after.dial();
    ok(&mut wire, "PROXY CONSISTENCY sticky");
    for rest in ["", "WAIT 600000", "ELSE error", "WAIT 600000 ELSE error"] {
        let told = wire.ask(format!("PROXY ATLEAST {token} {rest}").trim());
        starts(&told, "UNKNOWNHISTORY the token is of another process, or from before a restart");
        assert!(told.string().contains("ELSE master"), "what to do: {told}");
        let told =
            wire.ask(&format!("PROXY ONCE ATLEAST {token} {rest} DO GET a").replace("  ", " "));
        starts(&told, "UNKNOWNHISTORY ");
    }
    let once = |rest: &str| format!("PROXY ONCE ATLEAST {token} {rest} DO GET a");
    assert!(wire.ask(&once("WAIT 600000 ELSE stale")).is_nil());
    let told = wire.ask("PROXY LAST").to_string();
    assert!(told.contains("stale-allowed"), "{told}");
    ok(&mut wire, &format!("PROXY ATLEAST {token} WAIT 600000 ELSE stale"));
    assert!(wire.ask("GET a").is_nil());
    let mut other = after.dial();
    ok(&mut other, "PROXY CONSISTENCY sticky");
    assert_eq!(other.ask(&once("WAIT 600000 ELSE master")).string(), "new");
    ok(&mut wire, &format!("PROXY ATLEAST {token} WAIT 1 ELSE master"));
    assert_eq!(wire.ask("GET a").string(), "new");
    let weak = format!("PROXY ONCE LEVEL eventual ATLEAST {token} ELSE stale DO GET a");
    starts(&wire.ask(&weak), "ERR a level weaker than sticky keeps no floor");
}

#[test]
fn the_secret_is_told_to_nobody() {
    let server = config(SECRET);
    let mut wire = server.dial();
    assert_eq!(wire.ask("CONFIG GET token-secret").list(), []);
    let all = wire.ask("CONFIG GET *").to_string();
    assert!(all.contains("maxclients") && !all.contains("sixteen bytes"), "{all}");
    assert!(wire.ask("CONFIG SET token-secret 0123456789abcdef").is_error());
    assert!(!server.said().contains("sixteen bytes"));
}

fn send(wire: &mut Wire, lines: &[&str]) {
    let split = |line: &&str| words(&line.split(' ').collect::<Vec<_>>());
    wire.send(&lines.iter().map(split).collect::<Vec<_>>());
}

fn until_one_waits(wire: &mut Wire) {
    until("a client to wait", || {
        wire.ask("INFO clients").string().contains("blocked_clients:1").then_some(())
    });
}

fn explained(wire: &mut Wire, line: &str) -> String {
    wire.ask(&format!("PROXY EXPLAIN {line}")).to_string()
}

#[test]
fn atleast_says_what_reads_do_on_lag_until_the_next_one() {
    let (server, mut wire, token) = written_while_paused();
    let mut other = server.dial();
    ok(&mut other, &format!("PROXY ATLEAST {token} WAIT 20 ELSE error"));
    let told = explained(&mut other, "GET a");
    assert!(told.contains("ladder catch-up, other-replica, wait 20ms, error"), "{told}");
    starts(&other.ask("GET a"), "LAGGED ");
    ok(&mut other, &format!("PROXY ATLEAST {token} WAIT 1 ELSE STALE"));
    assert!(other.ask("GET a").is_nil(), "stale, as was asked for");
    starts(&other.ask("PROXY ATLEAST nonsense"), "BADTOKEN that is not a token");
    assert!(other.ask("GET a").is_nil(), "a refused one changes nothing");
    ok(&mut other, &format!("PROXY ATLEAST {token} ELSE error"));
    starts(&other.ask("GET a"), "LAGGED ");
    ok(&mut other, &format!("PROXY ATLEAST {token} wait 1 else master"));
    assert_eq!(other.ask("GET a").string(), "1");
    ok(&mut other, &format!("PROXY ATLEAST {token} WAIT 1"));
    assert_eq!(other.ask("GET a").string(), "1", "the master is the end if none is named");
    ok(&mut other, &format!("PROXY ATLEAST {token} ELSE error"));
    ok(&mut other, &format!("PROXY ATLEAST {token}"));
    assert_eq!(other.ask("GET a").string(), "1", "the route's ladder is in force again");
    ok(&mut other, &format!("PROXY ATLEAST {token} ELSE error"));
    assert_eq!(other.ask("RESET").string(), "RESET");
    assert_eq!(other.ask("GET a").string(), "1");

    ok(&mut other, &format!("PROXY ATLEAST {token} WAIT 600000 ELSE error"));
    send(&mut other, &["GET a", "PING"]);
    until_one_waits(&mut wire);
    order(&mut wire, BOTH, "RESUME");
    assert_eq!([other.read(), other.read()].map(|it| it.string()), ["1", "PONG"]);
}

#[test]
fn words_that_atleast_does_not_know_change_nothing() {
    let (server, _, token) = written_while_paused();
    let mut other = server.dial();
    let before = other.ask("PROXY TOKEN").string();
    for (words, why) in [
        ("WAIT", "ERR WAIT takes a number of milliseconds"),
        ("WAIT x", "ERR WAIT takes a number of milliseconds"),
        ("WAIT -1", "ERR WAIT takes a number of milliseconds"),
        ("ELSE wait", "ERR ELSE takes master, error or stale"),
        ("WAIT 1 WAIT 2", "ERR syntax error"),
        ("ELSE error ELSE error", "ERR syntax error"),
        ("NOW", "ERR syntax error"),
    ] {
        let told = other.ask(&format!("PROXY ATLEAST {token} {words}"));
        assert!(told.string().starts_with(why), "{words}: {told}");
    }
    assert_eq!(other.ask("PROXY TOKEN").string(), before);
}

#[test]
fn once_reads_at_its_own_level_and_leaves_the_sessions_as_it_was() {
    let (server, mut wire, _) = written_while_paused();
    let mut other = server.dial();
    assert!(other.ask("GET a").is_nil());
    assert!(other.ask("PROXY ONCE LEVEL bounded 1h 1mb DO GET a").is_nil());
    assert!(other.ask("PROXY ONCE LEVEL eventual DO GET a").is_nil());
    for level in ["master", "global", "LINEARIZABLE", "bounded 1b"] {
        let mut other = server.dial();
        let told = other.ask(&format!("PROXY ONCE level {level} do GET a"));
        assert_eq!(told.string(), "1", "{level}");
        assert_eq!(other.ask("PROXY CONSISTENCY").string(), "sticky");
        assert_eq!(other.ask("GET a").string(), "1", "what it has seen, it has seen");
    }
    assert!(wire.ask("PROXY ONCE LEVEL eventual DO GET a").is_nil(), "not even its own write");
    assert_eq!(wire.ask("GET a").string(), "1");
    assert_eq!(wire.ask("PROXY ONCE DO GET a").string(), "1");
}

#[test]
fn once_carries_a_token_for_one_command() {
    let (server, mut wire, token) = written_while_paused();
    let mut other = server.dial();
    let before = other.ask("PROXY TOKEN").string();
    let once = |rest: &str| format!("PROXY ONCE ATLEAST {token} {rest}");
    starts(&other.ask(&once("ELSE error DO GET a")), "LAGGED ");
    starts(&other.ask(&once("WAIT 1 ELSE error DO GET a")), "LAGGED ");
    assert!(other.ask(&once("WAIT 1 ELSE stale DO GET a")).is_nil());
    assert!(other.ask("GET a").is_nil(), "the session's own floor is where it was");
    assert_eq!(other.ask("PROXY TOKEN").string(), before);
    ok(&mut other, "PROXY CONSISTENCY eventual");
    assert_eq!(other.ask(&once("DO GET a")).string(), "1", "a floor asks for sticky at least");
    assert!(other.ask("GET a").is_nil());
    ok(&mut other, "PROXY CONSISTENCY default");
    assert_eq!(other.ask("GET a").string(), "1", "and what was read is not unread");

    let mut waiting = server.dial();
    let line = once("WAIT 600000 ELSE error DO GET a");
    send(&mut waiting, &["PROXY ONCE LEVEL eventual DO GET a", &line, "PING"]);
    assert!(waiting.read().is_nil());
    until_one_waits(&mut wire);
    order(&mut wire, BOTH, "RESUME");
    assert_eq!([waiting.read(), waiting.read()].map(|it| it.string()), ["1", "PONG"]);
}

#[test]
fn once_reads_at_the_member_it_names_as_it_is() {
    let (server, mut wire, _) = written_while_paused();
    let told = ["n1", "N2", "n3"].map(|it| wire.ask(&format!("PROXY ONCE AT {it} DO GET a")));
    assert_eq!(told.map(|it| it.is_nil()), [false, true, true]);
    assert_eq!(wire.ask("GET a").string(), "1", "the session's floor does not fall");
    order(&mut wire, &["n2"], "DRAIN");
    let told = wire.ask("PROXY ONCE AT n2 DO GET a");
    starts(&told, "NOTINSERVICE n2 is not in service: it is paused,drained");
    starts(
        &wire.ask("PROXY ONCE AT n9 DO GET a"),
        "NOSUCHMEMBER no such member; there are n1, n2, n3",
    );
    starts(&wire.ask("PROXY ONCE AT n3 DO SET a 2"), "NOTMASTER AT names a replica");
    starts(&wire.ask("PROXY ONCE AT n3 LEVEL master DO GET a"), "ERR AT reads at a member as it");
    assert_eq!(wire.ask("GET a").string(), "1");
    ok(&mut wire, "PROXY ONCE AT n1 DO SET a 2");
    assert_eq!(wire.ask("PROXY ONCE AT n1 DO GET a").string(), "2");
    let mut other = server.dial();
    order(&mut wire, &["n2"], "UNDRAIN");
    order(&mut wire, BOTH, "RESUME");
    starts(&wire.ask("PROXY FAILOVER TO n2"), "OK");
    starts(&other.ask("PROXY ONCE AT n1 DO INCR a"), "NOTMASTER AT names a replica");
    assert_eq!(other.ask("PROXY ONCE AT n2 DO INCR a").int(), Some(3));
}

#[test]
fn once_keeps_its_place_in_a_pipeline() {
    let (server, ..) = written_while_paused();
    let mut wire = server.dial();
    let lines = [
        "SET b 1",
        "PROXY ONCE LEVEL sticky DO GET b",
        "PROXY ONCE LEVEL eventual DO GET b",
        "PROXY ONCE LEVEL master DO INCR b",
        "GET b",
        "PROXY ONCE DO APPEND b x",
        "GET b",
    ];
    send(&mut wire, &lines);
    let told: Vec<String> = wire.read_many(lines.len()).iter().map(Value::to_string).collect();
    assert_eq!(told, ["+OK", "\"1\"", "nil", ":2", "\"2\"", ":2", "\"2x\""]);
}

#[test]
fn once_passes_every_gate_that_its_command_passes() {
    let (server, mut wire, token) = written_while_paused();
    let refused = [
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("NOPE", "ERR unknown command 'NOPE'"),
        ("SELECT 1", "ERR PROXY ONCE is for commands that read or write data, not for 'select'"),
        ("MULTI", "ERR PROXY ONCE is for commands"),
        ("PROXY ONCE DO GET a", "ERR PROXY ONCE is for commands"),
        ("CONFIG SET requirepass x", "ERR PROXY ONCE is for commands"),
        ("OBJECT", "ERR wrong number of arguments for 'object' command"),
    ];
    for (line, why) in refused {
        starts(&wire.ask(&format!("PROXY ONCE LEVEL master DO {line}")), why);
    }
    let takes = "ERR PROXY ONCE takes LEVEL, ATLEAST, WAIT, ELSE, AT and SEED";
    let weak = format!("LEVEL eventual ATLEAST {token} DO GET a");
    for (line, why) in [
        ("LEVEL quick DO GET a", "ERR a level is master, linearizable,"),
        ("LEVEL DO GET a", "ERR a level is master, linearizable,"),
        ("SEED x DO GET a", "ERR value is not an integer"),
        ("SEED 1 SEED 2 DO GET a", takes),
        ("GET a", "ERR DO is missing in front of the command"),
        ("LEVEL eventual GET a", "ERR DO is missing in front of the command"),
        ("SEED 1 GET", "ERR DO is missing in front of the command"),
        ("GET DO a", takes),
        ("SEED 1 DO", "ERR PROXY ONCE needs a command behind DO"),
        ("ATLEAST x DO GET a", "BADTOKEN that is not a token"),
        (weak.as_str(), "ERR a level weaker than sticky keeps no floor"),
    ] {
        starts(&wire.ask(&format!("PROXY ONCE {line}")), why);
    }
    let told = wire.ask("PROXY EXPLAIN PROXY ONCE LEVEL master DO GET a");
    starts(&told, "ERR explain the command behind DO");
    starts(&wire.ask("PROXY ONCE"), "ERR wrong number of arguments for 'proxy|once' command");

    send(&mut wire, &["MULTI", "PROXY ONCE LEVEL master DO SET a 2", "EXEC"]);
    let told = wire.read_many(3);
    starts(&told[1], "ERR PROXY ONCE is not allowed inside a transaction");
    starts(&told[2], "EXECABORT ");
    assert_eq!(wire.ask("GET a").string(), "1");

    ok(&mut wire, "CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 1ms");
    until("1 ms to pass", || wire.ask("SET b 1").is_error().then_some(()));
    starts(&wire.ask("PROXY ONCE LEVEL master DO SET a 2"), "NOREPLICAS ");
    ok(&mut wire, "CONFIG SET min-replicas-to-write 0 requirepass secret");
    starts(&server.dial().ask("PROXY ONCE AT n1 DO GET a"), "NOAUTH ");
    assert_eq!(wire.ask("GET a").string(), "1");
}

#[test]
fn once_waits_for_the_end_of_a_pause_like_its_command() {
    let server = Server::entourage(&[]);
    let (mut wire, mut other) = (server.dial(), server.dial());
    ok(&mut wire, "CLIENT PAUSE 100000000 WRITE");
    send(&mut other, &["PROXY ONCE DO GET a", "PROXY ONCE LEVEL master DO INCR a", "PING"]);
    assert!(other.read().is_nil());
    until_one_waits(&mut wire);
    assert!(wire.ask("GET a").is_nil());
    ok(&mut wire, "CLIENT UNPAUSE");
    assert_eq!(other.read().int(), Some(1));
    assert_eq!(other.read().string(), "PONG");
}

#[test]
fn once_is_counted_and_logged_as_its_command() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET slowlog-log-slower-than 0");
    ok(&mut wire, "CONFIG RESETSTAT");
    ok(&mut wire, "PROXY ONCE LEVEL master DO SET a 1");
    ok(&mut wire, "PROXY ONCE DO SET a 1");
    let stats = wire.ask("INFO commandstats").string();
    assert!(stats.contains("cmdstat_set:calls=2,"), "{stats}");
    assert!(!stats.contains("once"), "{stats}");
    let log = wire.ask("SLOWLOG GET").to_string();
    assert!(log.contains("[\"SET\", \"a\", \"1\"]"), "{log}");
    let before = field(&mut wire, "total_commands_processed");
    wire.ask("PROXY ONCE DO GET a");
    assert_eq!(field(&mut wire, "total_commands_processed"), before + 2);
}

fn field(wire: &mut Wire, name: &str) -> u64 {
    let text = wire.ask("INFO stats").string();
    let start = format!("{name}:");
    let found = text.lines().find_map(|it| it.strip_prefix(&start)).expect("the field");
    found.trim().parse().unwrap()
}
