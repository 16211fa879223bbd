//! TLS with real programs at the other end: clients, replicas, masters, members and sentinels; and
//! with those that do it wrong.

use crate::support::servers::free_port;
use crate::support::tls::{HOST, until_said};
use crate::support::upstream::states;
use crate::support::{
    Authority, Server, Wire, are_answered_in_order, furnish, hold_the_same, info_field, ok, python,
    starts, until, until_alone, until_blocked, until_caught_up, words,
};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What a program gets to run; `timeout` ends it so that no test hangs.
const SECONDS_MAX: &str = "120";
/// So that the lines of the log are there that tests look for.
const NOTICE: [&str; 2] = ["--loglevel", "notice"];

fn serve(authority: &Authority, more: &str) -> Server {
    Server::entourage_with_config_and(&authority.config(more), &NOTICE)
}

fn stat(wire: &mut Wire, name: &str) -> u64 {
    info_field(wire, "stats", name).expect("it is told").parse().expect("a number")
}

fn until_stat(wire: &mut Wire, name: &str, least: u64) {
    until(name, || (least <= stat(wire, name)).then_some(()));
}

/// What a program says, given this to read.
fn run(program: &str, flags: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("timeout")
        .args([SECONDS_MAX, program])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it reads");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it is read or closed");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn cli(server: &Server, authority: &Authority, words: &[&str], input: &[u8]) -> String {
    let program = std::env::var("REDIS_CLI").unwrap_or_else(|_| "redis-cli".into());
    let (port, flags) = (server.port().to_string(), authority.flags());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run(&program, &[&["-h", HOST, "-p", &port][..], &flags, words].concat(), input)
}

#[test]
fn redis_cli_and_redis_benchmark_speak_tls() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    assert_eq!(cli(&server, &authority, &["PING"], b""), "PONG\n");
    let lines = b"SET a 1\nINCRBY a 41\nGET a\n";
    assert_eq!(cli(&server, &authority, &[], lines), "OK\n42\n42\n");
    let program = std::env::var("REDIS_BENCHMARK").unwrap_or_else(|_| "redis-benchmark".into());
    let (port, flags) = (server.port().to_string(), authority.flags());
    let mut words: Vec<&str> = vec!["-h", HOST, "-p", &port, "-n", "5000", "-P", "16", "-q"];
    words.extend(flags.iter().map(String::as_str));
    words.extend(["-d", "300", "-t", "set,get,lpush,lrange_100,mset"]);
    let told = run(&program, &words, b"");
    let done = told.matches("requests per second").count();
    assert!(6 <= done && !told.contains("rror"), "{told}");
    let mut wire = server.dial();
    assert!(50 < stat(&mut wire, "total_tls_connections_received"));
    assert_eq!(stat(&mut wire, "tls_handshake_failures"), 0);
    until_alone(&mut wire);
}

#[test]
fn redis_py_speaks_tls() {
    const SCRIPT: &str = "\
import redis, sys
host, port, ca, cert, key = sys.argv[1:]
r = redis.Redis(host=host, port=int(port), ssl=True, ssl_ca_certs=ca, ssl_certfile=cert,
                ssl_keyfile=key, ssl_check_hostname=True)
p = r.pipeline(transaction=False)
for i in range(5000):
    p.set(f'k{i}', 'v' * (i % 100))
    p.get(f'k{i}')
got = p.execute()
assert all(got[2 * i + 1] == b'v' * (i % 100) for i in range(5000))
big = b'x' * (5 << 20)
r.set('big', big)
assert r.get('big') == big
s = r.pubsub(); s.subscribe('c'); s.get_message(timeout=10)
assert r.publish('c', 'hello') == 1
assert s.get_message(timeout=10)['data'] == b'hello'
print('well')
";
    let authority = Authority::new();
    let server = serve(&authority, "");
    let port = server.port().to_string();
    let paths = ["ca.pem", "client.pem", "client.key"].map(|it| authority.path(it));
    let [ca, cert, key] = &paths;
    let told = run(&python(), &["-c", SCRIPT, HOST, &port, ca, cert, key], b"");
    assert_eq!(told, "well\n");
}

#[test]
fn openssl_finds_a_sound_server_in_either_version() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    let at = format!("{HOST}:{}", server.port());
    let paths = ["ca.pem", "client.pem", "client.key"].map(|it| authority.path(it));
    let [ca, cert, key] = &paths;
    let trust = ["s_client", "-connect", &at, "-CAfile", ca, "-verify_return_error"];
    let shows = ["-cert", cert, "-key", key, "-ign_eof"];
    for version in ["-tls1_2", "-tls1_3"] {
        let words = [&trust[..], &shows[..], &[version]].concat();
        let told = run("openssl", &words, b"PING\r\nECHO hello\r\nQUIT\r\n");
        assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
        assert!(told.contains("+PONG\r\n$5\r\nhello\r\n+OK\r\n"), "{told}");
        // Nobody cuts the connection off: it is closed as TLS has it.
        assert!(!told.contains("unexpected eof"), "{told}");
    }
    let told = run("openssl", &[&trust[..], &shows[..], &["-tls1_1"]].concat(), b"");
    assert!(told.contains("alert") || told.contains("no protocols available"), "{told}");
}

#[test]
fn what_is_no_tls_is_told_so_and_logged() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    let mut plain = TcpStream::connect((HOST, server.port())).expect("it listens");
    plain.write_all(b"PING\r\n").expect("it takes bytes");
    let mut told = String::new();
    plain.read_to_string(&mut told).expect("it closes");
    assert!(told.starts_with("-ERR this port speaks TLS"), "{told}");
    until_said(&server, "event=tls-handshake-failed");
    assert!(server.said().contains("it does not speak TLS"), "{}", server.said());
    let mut wire = server.dial();
    until_stat(&mut wire, "tls_handshake_failures", 1);
    until_alone(&mut wire);
}

#[test]
fn tls_on_a_plain_port_is_told_so_and_logged() {
    let server = Server::entourage(&[]);
    let at = format!("127.0.0.1:{}", server.port());
    let told = run("openssl", &["s_client", "-connect", &at], b"");
    assert!(told.contains("wrong version number") || told.contains("rror"), "{told}");
    until_said(&server, "event=tls-on-plain-port");
    // Byte by byte, too.
    let mut torn = server.dial();
    torn.send_raw(&[22]);
    let mut wire = server.dial();
    until("the first byte to be read", || {
        let list = wire.ask("CLIENT LIST").string();
        list.contains("qbuf=1 ").then_some(())
    });
    torn.send_raw(&[3, 1, 2]);
    starts(&torn.read(), "ERR Protocol error: this port does not speak TLS");
    assert!(torn.is_closed());
    until_alone(&mut wire);
}

#[test]
fn only_certificates_that_are_trusted_come_in() {
    let authority = Authority::new();
    let stranger = Authority::new();
    authority.sign_expired("expired");
    let server = serve(&authority, "");
    let port = server.port();
    let mut wire = server.dial();
    assert!(authority.try_dial(port, None).is_err(), "no certificate");
    until_said(&server, "peer sent no certificates");
    assert!(authority.try_dial(port, Some("expired")).is_err(), "one that has expired");
    assert!(stranger.try_dial(port, Some("client")).is_err(), "the client trusts another");
    // Whoever trusts us and shows what another has signed.
    for name in ["client.pem", "client.key"] {
        let text = std::fs::read_to_string(stranger.path(name)).expect("it is there");
        authority.write(&format!("strange-{name}"), &text);
    }
    assert!(authority.try_dial(port, Some("strange-client")).is_err(), "another's certificate");
    until_stat(&mut wire, "tls_handshake_failures", 4);
    ok(&mut authority.dial(port), "SET a 1");
    until_alone(&mut wire);

    ok(&mut wire, "CONFIG SET tls-auth-clients optional");
    authority.try_dial(port, None).expect("none is needed");
    assert!(authority.try_dial(port, Some("expired")).is_err(), "but a good one");
    ok(&mut wire, "CONFIG SET tls-auth-clients no");
    authority.try_dial(port, Some("expired")).expect("nobody asks");
}

#[test]
fn a_certificate_names_its_user() {
    let authority = Authority::new();
    authority.sign_uri("alice", "alice", "urn:users:bob");
    authority.sign("nobody", "nobody");
    let server = serve(&authority, "tls-auth-clients-user = \"CN\"\n");
    let port = server.port();
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET requirepass secret");
    ok(&mut wire, "ACL SETUSER alice on >word ~a* +@all");
    ok(&mut wire, "ACL SETUSER urn:users:bob on >word ~b* +@all");
    let dial = |shows| authority.try_dial(port, Some(shows)).expect("it is trusted");

    let mut alice = dial("alice");
    assert_eq!(alice.ask("ACL WHOAMI").string(), "alice", "without a word");
    ok(&mut alice, "SET a 1");
    starts(&alice.ask("SET b 1"), "NOPERM");
    starts(&dial("nobody").ask("GET a"), "NOAUTH");
    let list = wire.ask("CLIENT LIST").string();
    assert_eq!(list.matches(" user=alice ").count(), 1, "{list}");
    // Like whoever has logged in: RESET ends it, and so does the end of the user.
    assert_eq!(alice.ask("RESET").to_string(), "+RESET");
    starts(&alice.ask("GET a"), "NOAUTH");
    let mut alice = dial("alice");
    assert_eq!(wire.ask("ACL DELUSER alice").int(), Some(1));
    assert!(alice.is_closed(), "its user has gone");
    starts(&dial("alice").ask("GET a"), "NOAUTH");

    ok(&mut wire, "CONFIG SET tls-auth-clients-user URI");
    assert_eq!(dial("alice").ask("ACL WHOAMI").string(), "urn:users:bob");
    ok(&mut wire, "ACL SETUSER urn:users:bob off");
    starts(&dial("alice").ask("GET b"), "NOAUTH");
    ok(&mut wire, "CONFIG SET tls-auth-clients-user off");
    ok(&mut wire, "ACL SETUSER urn:users:bob on");
    starts(&dial("alice").ask("GET b"), "NOAUTH");
}

#[test]
fn a_handshake_that_ends_halfway_leaves_nothing_behind() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    let mut wire = server.dial();
    let hello = {
        let mut client = rustls::ClientConnection::new(
            authority.client(Some("client")),
            HOST.try_into().expect("a name"),
        )
        .expect("a client");
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("it says hello");
        bytes
    };
    for length in [0, 1, 5, hello.len() / 2, hello.len()] {
        let mut half = TcpStream::connect((HOST, server.port())).expect("it listens");
        half.write_all(&hello[..length]).expect("it takes bytes");
        drop(half);
    }
    until_stat(&mut wire, "tls_handshake_failures", 5);
    assert_eq!(stat(&mut wire, "tls_handshakes_in_progress"), 0);
    // One that goes on saying nothing is given up, too, and until then it is a client as others.
    let mut silent = TcpStream::connect((HOST, server.port())).expect("it listens");
    silent.write_all(&hello[..9]).expect("it takes bytes");
    until("it to be known", || (stat(&mut wire, "tls_handshakes_in_progress") == 1).then_some(()));
    let mut byte = [0];
    assert_eq!(silent.read(&mut byte).expect("it is closed"), 0);
    until_said(&server, "it takes too long");
    until_alone(&mut wire);
    // Garbage of the right kind.
    let mut garbage = TcpStream::connect((HOST, server.port())).expect("it listens");
    garbage.write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0]).expect("it takes bytes");
    let mut alert = Vec::new();
    garbage.read_to_end(&mut alert).expect("it closes");
    assert_eq!(alert[0], 21, "an alert says why: {alert:?}");
    ok(&mut authority.dial(server.port()), "SET a 1");
}

#[test]
fn a_shutdown_does_not_wait_for_handshakes() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    let _silent = TcpStream::connect((HOST, server.port())).expect("it listens");
    let mut wire = server.dial();
    until("it to be known", || (stat(&mut wire, "tls_handshakes_in_progress") == 1).then_some(()));
    drop(wire);
    assert!(server.stop().success());
}

#[test]
fn pipelines_are_answered_in_order_and_long_ones_move_between_threads() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    let mut wire = authority.dial(server.port());
    are_answered_in_order(&mut wire, "tls");
    let sets: Vec<_> = (0..20_000).map(|it| words(&["SADD", "set", &it.to_string()])).collect();
    wire.pipeline(&sets);
    // Long requests between short ones: the connection goes to another thread and back, with
    // requests that have been read and not made plain.
    let mut all = Vec::new();
    for at in 0..40 {
        all.push(words(&["SMEMBERS", "set"]));
        all.extend((0..500).map(|it| words(&["ECHO", &format!("{at}-{it}")])));
        all.push(words(&["SET", "value", &"v".repeat(100_000)]));
    }
    let mut replies = wire.pipeline(&all).into_iter();
    for at in 0..40 {
        assert_eq!(replies.next().expect("a reply").list().len(), 20_000);
        for it in 0..500 {
            assert_eq!(replies.next().expect("a reply").string(), format!("{at}-{it}"));
        }
        assert_eq!(replies.next().expect("a reply").string(), "OK");
    }
    let mut writers: Vec<Wire> = (0..8).map(|_| authority.dial(server.port())).collect();
    for round in 0..30 {
        for writer in &mut writers {
            writer.send(&vec![words(&["INCR", "n"]); 64]);
        }
        for writer in &mut writers {
            writer.read_many(64);
        }
        assert_eq!(wire.ask("GET n").string(), ((round + 1) * 8 * 64).to_string());
    }
}

#[test]
fn long_values_go_both_ways_and_unread_ones_are_bounded() {
    let authority = Authority::new();
    let limit = "client-output-buffer-limit = { normal = \"64mb 0 0\" }\n";
    let server = serve(&authority, limit);
    let mut wire = authority.dial(server.port());
    let value: Vec<u8> = (0..20 << 20).map(|it: u32| (it % 251) as u8).collect();
    assert_eq!(wire.cmd(&[&b"SET"[..], b"a", &value]).string(), "OK");
    assert!(wire.ask("GET a").text() == Some(&value[..]));
    // A reader that takes its time gets everything, in order.
    wire.socket().set_buffers(64 << 10);
    wire.send(&[words(&["GET", "a"]), words(&["ECHO", "behind"])]);
    assert!(wire.read().text() == Some(&value[..]));
    assert_eq!(wire.read().string(), "behind");
    // One that takes nothing is closed.
    let mut greedy = authority.dial(server.port());
    greedy.socket().set_buffers(4096);
    greedy.send(&[words(&["MGET", "a", "a", "a", "a"])]);
    until_said(&server, "event=output-limit");
    drop(greedy);
    drop(wire);
    until_alone(&mut server.dial());
}

#[test]
fn a_blocked_client_that_hangs_up_leaves_nothing_behind() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    let mut wire = server.dial();
    for ending in ["close", "reset", "half"] {
        let mut blocked = authority.dial(server.port());
        blocked.send(&[words(&["BLPOP", "list", "0"])]);
        until_blocked(&mut wire, 1);
        match ending {
            "close" => drop(blocked),
            "reset" => {
                let crate::support::Socket::Tls(stream) = blocked.into_socket() else {
                    unreachable!()
                };
                let socket = socket2::SockRef::from(&stream.sock);
                socket.set_linger(Some(std::time::Duration::ZERO)).expect("SO_LINGER");
            }
            // It says that it has ended, and leaves the socket open.
            _ => {
                let crate::support::Socket::Tls(mut stream) = blocked.into_socket() else {
                    unreachable!()
                };
                stream.conn.send_close_notify();
                stream.flush().expect("it is taken");
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).expect("it is ended from the other side as well");
                assert!(rest.is_empty());
            }
        }
        until_blocked(&mut wire, 0);
        until_alone(&mut wire);
        // A write finds nobody who waits.
        assert_eq!(wire.ask("RPUSH list x").int(), Some(1));
        ok(&mut wire, "FLUSHALL");
    }
    // What it has asked for before it ends is done.
    let mut last = authority.dial(server.port());
    last.send(&[words(&["SET", "last", "1"])]);
    let crate::support::Socket::Tls(mut stream) = last.into_socket() else { unreachable!() };
    stream.conn.send_close_notify();
    stream.flush().expect("it is taken");
    until("the last write", || (wire.ask("GET last").text() == Some(b"1")).then_some(()));
}

#[test]
fn certificates_are_changed_without_a_restart() {
    let authority = Authority::new();
    authority.sign("next", "next");
    let other = Authority::new();
    let server = serve(&authority, "");
    let mut wire = server.dial();
    let mut before = authority.dial(server.port());
    let shown = |name: &str| {
        let at = format!("{HOST}:{}", server.port());
        let told = run("openssl", &["s_client", "-connect", &at], b"");
        assert!(told.contains(&format!("CN = {name}")), "{name}: {told}");
    };
    shown("server");
    // What cannot be used leaves what is in force, all of it.
    let file = words(&["CONFIG", "SET", "tls-cert-file", "/no/such/file", "timeout", "77"]);
    let told = wire.cmd(&file).to_string();
    assert!(told.contains("/no/such/file") && told.contains("tls-cert-file"), "{told}");
    assert_eq!(wire.ask("CONFIG GET timeout").list()[1].string(), "0");
    let misfit = words(&["CONFIG", "SET", "tls-key-file", &authority.path("next.key")]);
    starts(
        &wire.cmd(&misfit),
        "ERR CONFIG SET failed (possibly related to argument 'tls-key-file')",
    );
    shown("server");
    let next = ["next.pem", "next.key"].map(|it| authority.path(it));
    let both = ["CONFIG", "SET", "tls-cert-file", &next[0], "tls-key-file", &next[1]];
    assert_eq!(wire.cmd(&both).string(), "OK");
    shown("next");
    // A signal reads the files again, under the names of the config file.
    authority.replace("server", "client");
    server.hang_up();
    until_said(&server, "event=reloaded");
    shown("client");
    // Whatever else is wrong with the config file, certificates end.
    let sound = fs::read_to_string(server.dir().join("entourage.toml")).expect("its file");
    server.write_config(&format!("{sound}\n[nonsense]\n"));
    authority.replace("server", "next");
    server.hang_up();
    until_said(&server, "event=tls-files-read");
    shown("next");
    server.write_config(&sound);
    authority.replace("server", "client");
    server.hang_up();
    until("the files to be read", || {
        (server.said().matches("event=reloaded").count() == 2).then_some(())
    });
    shown("client");
    // Broken files are refused then, too.
    authority.write("server.pem", "-----BEGIN CERTIFICATE-----\nnothing\n");
    server.hang_up();
    until_said(&server, "event=reload-refused");
    shown("client");
    // Whom we trust changes the same way; who is there stays.
    let ca = other.path("ca.pem");
    authority.replace("server", "next");
    assert_eq!(wire.cmd(&["CONFIG", "SET", "tls-ca-cert-file", &ca]).string(), "OK");
    assert!(authority.try_dial(server.port(), Some("client")).is_err());
    ok(&mut before, "SET a 1");
}

#[test]
fn versions_are_those_that_are_said() {
    let authority = Authority::new();
    let server = serve(&authority, "tls-protocols = \"TLSv1.3\"\ntls-auth-clients = \"no\"\n");
    let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let mut roots = RootCertStore::empty();
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        roots.add(CertificateDer::from_pem_file(authority.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_protocol_versions(versions).unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    };
    let (old, new) = (client(&[&TLS12]), client(&[&TLS13]));
    assert!(authority.try_dial_as(server.port(), old.clone()).is_err());
    authority.try_dial_as(server.port(), new.clone()).expect("it is spoken");
    let mut wire = server.dial();
    assert_eq!(wire.ask("CONFIG GET tls-protocols").list()[1].string(), "TLSv1.3");
    starts(
        &wire.cmd(&["CONFIG", "SET", "tls-protocols", "TLSv1.1"]),
        "ERR CONFIG SET failed (possibly related to argument 'tls-protocols')",
    );
    ok(&mut wire, "CONFIG SET tls-protocols tlsv1.2");
    authority.try_dial_as(server.port(), old).expect("it is spoken");
    assert!(authority.try_dial_as(server.port(), new).is_err());
    starts(
        &wire.cmd(&["CONFIG", "SET", "tls-key-file-pass", "secret"]),
        "ERR CONFIG SET failed (possibly related to argument 'tls-key-file-pass')",
    );
}

#[test]
fn no_plain_port_is_needed() {
    let authority = Authority::new();
    let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|it| authority.path(it));
    let port = free_port().expect("one is free");
    let mut child = Command::new(env!("CARGO_BIN_EXE_entourage"))
        .args(["--tls-port", &port.to_string(), "--tls-cert-file", &cert, "--tls-key-file", &key])
        .args(["--tls-ca-cert-file", &ca, "--threads", "1"])
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let program = std::env::var("REDIS_CLI").unwrap_or_else(|_| "redis-cli".into());
    let (flags, at) = (authority.flags(), port.to_string());
    let mut words: Vec<&str> = vec!["-p", &at];
    words.extend(flags.iter().map(String::as_str));
    let ask = |line: &str| {
        let asked: Vec<&str> = words.iter().copied().chain(line.split(' ')).collect();
        run(&program, &asked, b"")
    };
    until("it to answer", || (ask("PING") == "PONG\n").then_some(()));
    assert_eq!(ask("CONFIG GET port"), "port\n0\n");
    assert_eq!(ask("CONFIG GET tls-port"), format!("tls-port\n{port}\n"));
    ask("SHUTDOWN NOSAVE");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn half_of_a_configuration_is_refused_with_what_lacks() {
    let authority = Authority::new();
    let check = |text: &str| {
        authority.write("e.toml", text);
        let file = authority.path("e.toml");
        run(env!("CARGO_BIN_EXE_entourage"), &["check", &file], b"")
    };
    let listener = "[[listener]]\nbind = \"127.0.0.1:1\"\ntls = true\n";
    let told = check(listener);
    assert!(told.contains("needs server.tls-cert-file and server.tls-key-file"), "{told}");
    let (cert, key) = (authority.path("server.pem"), authority.path("server.key"));
    let pair = format!("[server]\ntls-cert-file = \"{cert}\"\ntls-key-file = \"{key}\"\n");
    let told = check(&format!("{listener}{pair}"));
    assert!(told.contains("e.toml:3:") && told.contains("tls-auth-clients = \"no\""), "{told}");
    assert!(check(&format!("{listener}{pair}tls-auth-clients = \"no\"\n")).contains("sound"));
    let told = check("[server]\ntls-replication = true\n");
    assert!(told.contains("e.toml:2:") && told.contains("tls-ca-cert-file"), "{told}");
    let told = check("[[listener]]\nunix = \"/s\"\ntls = true\n");
    assert!(told.contains("on this machine alone"), "{told}");
    let told = check("[server]\ntls-port = 6380\n");
    assert!(told.contains("write `tls = true` in a [[listener]]"), "{told}");
    let told = check("[server]\ntls-key-file-pass = \"secret\"\n");
    assert!(told.contains("by its permissions"), "{told}");
    let member = "[[member]]\naddress = \"a:1\"\n";
    let told = check(&format!("[upstream]\ntls = true\n{member}"));
    assert!(told.contains("needs tls-ca-cert-file"), "{told}");
    let told = check(&format!("[upstream]\ntls-check-name = false\n{member}"));
    assert!(told.contains("is for `tls = true`"), "{told}");
}

#[test]
fn a_real_replica_follows_us_by_the_listener_with_tls() {
    let authority = Authority::new();
    let server = serve(&authority, "");
    let mut ours = authority.dial(server.port());
    furnish(&mut ours);
    let value = "v".repeat(3 << 20);
    assert_eq!(ours.cmd(&["SET", "long", &value]).string(), "OK");
    let mut flags = authority.redis_flags(free_port().expect("one is free"));
    flags.extend(["--replicaof".to_owned(), HOST.to_owned(), server.port().to_string()]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let replica = Server::redis(&flags);
    let mut theirs = replica.dial();
    until_caught_up(&mut theirs, &mut ours);
    hold_the_same(&mut ours, &mut theirs);
    for at in 0..200 {
        ours.pipeline(&vec![words(&["APPEND", "log", &format!("{at} ").repeat(50)]); 50]);
    }
    assert_eq!(ours.ask("WAIT 1 20000").int(), Some(1), "hosted ones do not count");
    until_caught_up(&mut theirs, &mut ours);
    hold_the_same(&mut ours, &mut theirs);
    // A link that is cut goes on where it was.
    assert_eq!(ours.ask("CLIENT KILL TYPE replica").int(), Some(1));
    ok(&mut ours, "SET after 1");
    until_caught_up(&mut theirs, &mut ours);
    assert_eq!(theirs.ask("GET after").string(), "1");
    // The old link may have brought that, before it ended.
    until("another link", || {
        let partial = info_field(&mut ours, "stats", "sync_partial_ok");
        (partial.as_deref() == Some("1")).then_some(())
    });
}

#[test]
fn we_follow_a_real_master_with_tls_and_forward_writes_to_it() {
    let authority = Authority::new();
    let tls_port = free_port().expect("one is free");
    let flags = authority.redis_flags(tls_port);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let master = Server::redis(&flags);
    let mut theirs = master.dial();
    furnish(&mut theirs);
    let config = |more: &str| {
        let tls = authority.config(&format!("tls-replication = true\n{more}"));
        format!("{tls}[set]\nmaster = \"127.0.0.1 {tls_port}\"\n")
    };
    let server = Server::entourage_with_config_and(&config(""), &NOTICE);
    let mut ours = server.dial();
    until_caught_up(&mut ours, &mut theirs);
    hold_the_same(&mut theirs, &mut ours);
    ok(&mut ours, "SET forwarded 1");
    assert_eq!(theirs.ask("GET forwarded").string(), "1");
    assert_eq!(ours.ask("GET forwarded").string(), "1");
    ok(&mut ours, "MULTI");
    ours.ask("INCR forwarded");
    assert_eq!(ours.ask("EXEC").list()[0].int(), Some(2));
    // As Redis does, it names the port at which it speaks TLS itself.
    let told = theirs.ask("INFO replication").string();
    assert!(told.contains(&format!("port={},state=online", server.port())), "{told}");
    // The name is not looked at, unless that is said.
    authority.sign_elsewhere("elsewhere");
    let [cert, key] = ["elsewhere.pem", "elsewhere.key"].map(|it| authority.path(it));
    let elsewhere = ["CONFIG", "SET", "tls-cert-file", &cert, "tls-key-file", &key];
    assert_eq!(theirs.cmd(&elsewhere).string(), "OK");
    let follower = Server::entourage_with_config_and(&config(""), &NOTICE);
    until_caught_up(&mut follower.dial(), &mut theirs);
    let careful = Server::entourage_with_config_and(&config("tls-check-name = true\n"), &NOTICE);
    until_said(&careful, "not valid for name");
    assert_eq!(
        info_field(&mut careful.dial(), "replication", "master_link_status").as_deref(),
        Some("down")
    );
    // A master that speaks no TLS, and one that speaks nothing else.
    let plain = format!("127.0.0.1 {}", master.port());
    let wrong = Server::entourage_with_config_and(
        &authority.config(&format!(
            "tls-replication = true\n[set]\nrepl-timeout = \"2s\"\nmaster = \"{plain}\"\n"
        )),
        &NOTICE,
    );
    until_said(&wrong, "event=link-down");
    let wrong = Server::entourage_with_config_and(
        &authority.config(&format!("[set]\nmaster = \"127.0.0.1 {tls_port}\"\n")),
        &NOTICE,
    );
    until_said(&wrong, "event=link-down");
}

/// A master and a replica with TLS between them, and the ports where they speak it.
fn real_set(authority: &Authority) -> ([Server; 2], [u16; 2]) {
    let ports = [(); 2].map(|()| free_port().expect("one is free"));
    let flags = authority.redis_flags(ports[0]);
    let master = Server::redis(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let mut flags = authority.redis_flags(ports[1]);
    flags.extend(["--replicaof".to_owned(), "127.0.0.1".to_owned(), ports[0].to_string()]);
    let replica = Server::redis(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    until_caught_up(&mut replica.dial(), &mut master.dial());
    ([master, replica], ports)
}

fn until_known(proxy: &Server) -> Wire {
    let mut ours = proxy.dial();
    until("the members", || {
        let states = states(&mut ours);
        (states.len() == 2 && states.iter().any(|it| it == "replica")).then_some(())?;
        states.iter().any(|it| it == "master").then_some(())
    });
    ours
}

fn upstream(authority: &Authority, more: &str) -> String {
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|it| authority.path(it));
    format!(
        "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[server]\nthreads = 2\n\
         [consistency]\nlevel = \"sticky\"\n[upstream]\ntls = true\ntls-ca-cert-file = \"{ca}\"\n\
         tls-cert-file = \"{cert}\"\ntls-key-file = \"{key}\"\n{more}"
    )
}

#[test]
fn members_that_are_real_servers_are_reached_with_tls() {
    let authority = Authority::new();
    let ([master, _replica], ports) = real_set(&authority);
    let listed: String =
        ports.iter().map(|it| format!("[[member]]\naddress = \"127.0.0.1:{it}\"\n")).collect();
    let proxy = Server::entourage_with_config_and(&upstream(&authority, &listed), &NOTICE);
    let mut ours = until_known(&proxy);
    ok(&mut ours, "SET a 1");
    for at in 0..300 {
        assert_eq!(ours.ask("INCR n").int(), Some(at + 1));
        assert_eq!(ours.ask("GET n").string(), (at + 1).to_string());
    }
    let value = "v".repeat(4 << 20);
    assert_eq!(ours.cmd(&["SET", "long", &value]).string(), "OK");
    assert_eq!(ours.ask("GET long").string(), value);
    let mut subscriber = proxy.dial();
    subscriber.ask("SUBSCRIBE c");
    until("the subscription", || {
        (master.dial().ask("PUBLISH c hello").int() == Some(1)).then_some(())
    });
    assert_eq!(subscriber.read().list()[2].string(), "hello");
    // Certificates must be for the names in the configuration.
    let named = format!("tls-server-name = \"elsewhere.example\"\n{listed}");
    let proxy = Server::entourage_with_config_and(&upstream(&authority, &named), &NOTICE);
    let mut ours = proxy.dial();
    until("it to be refused", || {
        let nodes = ours.ask("PROXY NODES").to_string();
        nodes.contains("not valid for name").then_some(())
    });
    let unchecked = format!("tls-check-name = false\n{named}");
    let proxy = Server::entourage_with_config_and(&upstream(&authority, &unchecked), &NOTICE);
    until_known(&proxy);
}

#[test]
fn sentinels_are_asked_with_tls() {
    let authority = Authority::new();
    let ([_master, _replica], ports) = real_set(&authority);
    let sentinel_port = free_port().expect("one is free");
    let paths = ["server.pem", "server.key", "ca.pem"].map(|it| authority.path(it));
    let [cert, key, ca] = &paths;
    let sentinel = Server::sentinel(&format!(
        "port {{port}}\ntls-port {sentinel_port}\ntls-cert-file {cert}\ntls-key-file {key}\n\
         tls-ca-cert-file {ca}\ntls-replication yes\nsentinel monitor mymaster 127.0.0.1 {} 1\n",
        ports[0]
    ));
    let mut asked = sentinel.dial();
    until("Sentinel to know the replica", || {
        let replicas = asked.ask("SENTINEL REPLICAS mymaster");
        (replicas.list().len() == 1 && replicas.to_string().contains("\"ok\"")).then_some(())
    });
    let named = format!("sentinels = [\"127.0.0.1:{sentinel_port}\"]\n");
    let proxy = Server::entourage_with_config_and(&upstream(&authority, &named), &NOTICE);
    let mut ours = until_known(&proxy);
    ok(&mut ours, "SET a 1");
    assert_eq!(ours.ask("GET a").string(), "1");
}
