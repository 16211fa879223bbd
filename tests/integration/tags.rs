//! Tags in front of replies, byte for byte: the real binary, asked over the wire.

use crate::support::wire::encode;
use crate::support::{Server, Wire, words};
use entourage::session::TokenSigner;

const SECRET: &str = "sixteen bytes at least";

fn server() -> Server {
    Server::entourage_with_config(&format!(
        "[server]\nthreads = 1\ntoken-secret = \"{SECRET}\"\n[[listener]]\nname = \"main\"\n\
         bind = \"127.0.0.1:{{port}}\"\n[[route]]\nname = \"careless\"\nkeys = [\"careless:*\"]\n\
         on-lag = [\"stale\"]\n"
    ))
}

fn send(wire: &mut Wire, line: &str) {
    wire.send_raw(&encode(&words(&line.split(' ').collect::<Vec<_>>())));
}

#[track_caller]
fn says(wire: &mut Wire, line: &str, expected: &str) {
    send(wire, line);
    follows(wire, expected);
}

#[track_caller]
fn follows(wire: &mut Wire, expected: &str) {
    let told = wire.read_exact(expected.len());
    assert_eq!(String::from_utf8_lossy(&told), expected);
}

/// A RESP3 connection.
fn dial(server: &Server) -> Wire {
    let mut wire = server.dial();
    assert!(!wire.cmd(&["HELLO", "3"]).is_error());
    wire
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The next tag, told as `name=value` words without the token, which must be a good one.
fn tag(wire: &mut Wire) -> String {
    let mut told = Vec::new();
    let header = String::from_utf8(wire.read_until(b"\r\n")).unwrap();
    let pairs = header.strip_prefix('|').unwrap_or_else(|| panic!("no tag: {header}"));
    for _ in 0..pairs.trim().parse::<usize>().unwrap() {
        let name = wire.read().string();
        let value = wire.read();
        match name.as_str() {
            "token" => {
                let signer = TokenSigner::new(SECRET.as_bytes());
                assert!(signer.open(value.string().as_bytes()).is_ok(), "{value}");
                told.push("token".into());
            }
            "behind-us" => assert!(value.int().is_some_and(|it| 0 <= it), "{value}"),
            _ => told.push(format!("{name}={}", value.to_string().replace('"', ""))),
        }
    }
    told.join(" ")
}

#[test]
fn tags_are_for_those_who_ask_for_them_in_resp3() {
    let server = server();
    let mut wire = server.dial();
    let refused = "-NOPROTO RESP2 has no attributes to tag replies with: say HELLO 3, or ask PROXY \
                   LAST behind a command\r\n";
    says(&mut wire, "PROXY TAG all", refused);
    says(&mut wire, "PROXY TAG", "$3\r\noff\r\n");
    says(&mut wire, "PROXY TAG off", "+OK\r\n");
    let mut wire = dial(&server);
    says(&mut wire, "SET a 1", "+OK\r\n");
    says(&mut wire, "PROXY TAG some", "-ERR a tag is off, stale or all\r\n");
    for quiet in ["RESET", "HELLO 2", "PROXY TAG OFF"] {
        assert!(!wire.cmd(&["HELLO", "3"]).is_error());
        says(&mut wire, "PROXY TAG All", "+OK\r\n");
        says(&mut wire, "PROXY TAG", "$3\r\nall\r\n");
        send(&mut wire, quiet);
        wire.read();
        says(&mut wire, "PROXY TAG", "$3\r\noff\r\n");
        says(&mut wire, "GET a", "$1\r\n1\r\n");
    }
}

#[test]
fn a_stale_reply_is_tagged_byte_for_byte_and_no_other() {
    let server = server();
    let mut wire = dial(&server);
    says(&mut wire, "PROXY NODE n2 PAUSE", "+OK\r\n");
    says(&mut wire, "PROXY NODE n3 DRAIN", "+OK\r\n");
    says(&mut wire, "PROXY TAG stale", "+OK\r\n");
    says(&mut wire, "SET careless:1 x", "+OK\r\n");
    let behind = wire.cmd(&["PROXY", "TOKEN"]).string().split(':').nth(1).unwrap().to_owned();
    send(&mut wire, "GET careless:1");
    let names = "|4\r\n$5\r\nstale\r\n#t\r\n$6\r\nmember\r\n$2\r\nn2\r\n$12\r\nbehind-bytes\r\n";
    follows(&mut wire, &format!("{names}:{behind}\r\n$9\r\nbehind-us\r\n:"));
    let us = String::from_utf8(wire.read_until(b"\r\n")).unwrap();
    assert!(us.trim().parse::<u64>().is_ok(), "{us}");
    follows(&mut wire, "_\r\n");
    says(&mut wire, "GET plain", "_\r\n");
    says(&mut wire, "SET plain 1", "+OK\r\n");
    says(&mut wire, "PING", "+PONG\r\n");
}

#[test]
fn every_reply_of_a_read_or_write_is_tagged_right_before_it_when_all_are() {
    let server = server();
    let mut wire = dial(&server);
    says(&mut wire, "PROXY TAG all", "+OK\r\n");
    for line in
        ["SET a 1", "GET a", "PING", "LPUSH a x", "LRANGE l 0 -1", "PROXY ONCE AT n3 DO GET b"]
    {
        send(&mut wire, line);
    }
    assert_eq!(tag(&mut wire), "because=write level=null steps= member=n1 behind-bytes=:0 token");
    follows(&mut wire, "+OK\r\n");
    assert!(tag(&mut wire).starts_with("because="), "a replica or the master");
    follows(&mut wire, "$1\r\n1\r\n+PONG\r\n");
    assert_eq!(tag(&mut wire), "because=write level=null steps= member=n1 behind-bytes=:0 token");
    follows(&mut wire, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    assert!(tag(&mut wire).ends_with(" behind-bytes=:0 token"));
    follows(&mut wire, "*0\r\n");
    assert!(
        tag(&mut wire)
            .starts_with("because=asked-member level=null steps= member=n3 behind-bytes=")
    );
    follows(&mut wire, "_\r\n");
    says(&mut wire, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
}

#[test]
fn a_tags_token_is_the_floor_behind_its_command() {
    let server = server();
    let mut wire = dial(&server);
    says(&mut wire, "PROXY TAG all", "+OK\r\n");
    let tagged = |wire: &mut Wire, line: &str| {
        send(wire, line);
        assert_eq!(wire.read_until(b"\r\n"), b"|7\r\n");
        let all: Vec<String> = (0..14).map(|_| wire.read()).map(|it| it.to_string()).collect();
        wire.read();
        all.last().unwrap().trim_matches('"').to_owned()
    };
    for line in ["SET a 1", "GET a", "APPEND a 2"] {
        let told = tagged(&mut wire, line);
        says(&mut wire, "PROXY TOKEN", &bulk(&told));
    }
}

#[test]
fn a_transactions_tag_stands_before_all_of_it() {
    let server = server();
    let mut wire = dial(&server);
    says(&mut wire, "PROXY TAG all", "+OK\r\n");
    for line in ["MULTI", "SET a 1", "GET a", "EXEC", "WAIT 2 0", "MULTI", "GET a", "EXEC"] {
        send(&mut wire, line);
    }
    follows(&mut wire, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    assert_eq!(tag(&mut wire), "because=write level=null steps= member=n1 behind-bytes=:0 token");
    follows(&mut wire, "*2\r\n+OK\r\n$1\r\n1\r\n:2\r\n+OK\r\n+QUEUED\r\n");
    // Reads alone are one read, at a replica.
    let told = tag(&mut wire);
    assert!(told.starts_with("because=fresh-") && told.contains("level=global"), "{told}");
    assert!(!told.contains("member=n1"), "{told}");
    follows(&mut wire, "*1\r\n$1\r\n1\r\n");
    for line in ["MULTI", "GET a", "TIME", "EXEC"] {
        send(&mut wire, line);
    }
    follows(&mut wire, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    assert_eq!(
        tag(&mut wire),
        "because=transaction level=null steps= member=n1 behind-bytes=:0 token"
    );
    follows(&mut wire, "*2\r\n$1\r\n1\r\n");
    wire.read();
    for line in ["MULTI", "HELLO 2", "GET a", "EXEC", "GET a"] {
        send(&mut wire, line);
    }
    follows(&mut wire, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
}

#[test]
fn a_client_that_wants_no_replies_gets_no_tags() {
    let server = server();
    let mut wire = dial(&server);
    says(&mut wire, "PROXY TAG all", "+OK\r\n");
    for line in ["CLIENT REPLY SKIP", "SET a 1", "CLIENT REPLY OFF", "GET a", "SET a 2"] {
        send(&mut wire, line);
    }
    says(&mut wire, "CLIENT REPLY ON", "+OK\r\n");
    says(&mut wire, "PROXY TAG stale", "+OK\r\n");
    says(&mut wire, "GET a", "$1\r\n2\r\n");
}

#[test]
fn a_write_that_is_confirmed_late_keeps_its_tag() {
    let server = server();
    let mut wire = dial(&server);
    says(&mut wire, "PROXY ACKS all 600000", "+OK\r\n");
    says(&mut wire, "PROXY TAG all", "+OK\r\n");
    send(&mut wire, "SET a 1");
    assert_eq!(tag(&mut wire), "because=write level=null steps= member=n1 behind-bytes=:0 token");
    follows(&mut wire, "+OK\r\n");
}
