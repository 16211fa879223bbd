//! Tokens and the consistency of single commands: the real binary, asked over the wire.

mod support;

use support::{Server, Value, Wire};

const BOTH: &[&str] = &["n2", "n3"];
const SECRET: &str = "[server]\ntoken-secret = \"sixteen bytes at least\"\n";

fn config(text: &str) -> Server {
    let listener = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";
    Server::entourage_with_config(&format!("{text}{listener}"))
}

fn order(wire: &mut Wire, names: &[&str], what: &str) {
    names.iter().for_each(|name| ok(wire, &format!("PROXY NODE {name} {what}")));
}

fn ok(wire: &mut Wire, line: &str) {
    assert_eq!(wire.ask(line).string(), "OK", "{line}");
}

#[track_caller]
fn starts(value: &Value, with: &str) {
    assert!(value.string().starts_with(with), "{value} is not {with}");
}

/// A server whose replicas stand still, and a session that has written `a` behind that.
fn written_while_paused() -> (Server, Wire, String) {
    let server = Server::entourage(&[]);
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
        starts(&told, "ERR the token's signature is wrong: ");
        assert!(told.string().contains("token-secret"), "{told}");
    }
    for cut in [place, &token[..token.len() - 1], &token[..token.len() - 2], "nonsense", ""] {
        let told = other.cmd(&["PROXY", "ATLEAST", cut]);
        starts(&told, "ERR that is not a token: ask PROXY TOKEN for one");
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
    starts(&ask(&same, &told(&one)), "ERR the token belongs to a history unknown here");
    for (from, to) in [(&one, &alone), (&alone, &one), (&alone, &other)] {
        starts(&ask(to, &told(from)), "ERR the token's signature is wrong: ");
    }
    starts(&ask(&one, &told(&one)), "OK");
    starts(&ask(&alone, &told(&alone)), "OK");
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
