//! Not an open door: who is refused, what needs a password, and what an operator has disabled.

use crate::support::{Server, Wire, info_field, ok, starts, until};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<IpAddr> {
    let told = Command::new("hostname").arg("-I").output().ok()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    told.split_whitespace().filter_map(|it| it.parse().ok()).find(IpAddr::is_ipv4)
}

/// What a client that comes by this address is told before it is closed; who is let in says PING.
fn told(address: IpAddr, server: &Server) -> String {
    let mut socket = TcpStream::connect((address, server.port())).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut told = [0; 4096];
    // Who is refused is closed, and may not be able to say anything.
    std::thread::sleep(Duration::from_millis(20));
    socket.set_nonblocking(true).unwrap();
    let mut count = socket.read(&mut told).unwrap_or(0);
    socket.set_nonblocking(false).unwrap();
    if count == 0 {
        let _ = socket.write_all(b"PING\r\n");
        count = socket.read(&mut told).unwrap_or(0);
    }
    String::from_utf8_lossy(&told[..count]).into_owned()
}

#[test]
fn clients_from_elsewhere_are_refused_while_there_is_no_password() {
    let Some(address) = own_address() else { return };
    let text = format!(
        "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[[listener]]\nbind = \"{address}:{{port}}\"\n"
    );
    let redis = Server::redis(&["--bind", "127.0.0.1", &address.to_string()]);
    let server = Server::entourage_with_config(&text);
    let denied = told(address, &redis);
    assert!(denied.starts_with("-DENIED Redis is running in protected mode"), "{denied}");
    for _ in 0..5 {
        assert_eq!(told(address, &server), denied);
    }
    let mut wire = server.dial();
    let rejected = info_field(&mut wire, "stats", "rejected_connections");
    assert_eq!(rejected.as_deref(), Some("5"));
    let lines = server.said().matches("event=refused-client why=protected-mode").count();
    assert!((1..=2).contains(&lines), "at most one line a second: {lines}");
    for server in [&redis, &server] {
        let mut wire = server.dial();
        assert_eq!(wire.ask("CONFIG GET protected-mode").list()[1].string(), "yes");
        ok(&mut wire, "CONFIG SET protected-mode no");
        assert_eq!(told(address, server), "+PONG\r\n");
        ok(&mut wire, "CONFIG SET protected-mode yes requirepass secret");
        starts(&server.dial().ask("PING"), "NOAUTH");
        assert_eq!(told(address, server), "-NOAUTH Authentication required.\r\n");
    }
    let flags = ["--loglevel", "warn", "--protected-mode", "no"];
    let open = Server::entourage_with_config_and(&text, &flags);
    assert_eq!(told(address, &open), "+PONG\r\n");
    let open_to_all = format!("listens at {address}:{}, open to other machines", open.port());
    assert!(open.said().contains(&open_to_all), "{}", open.said());
}

#[test]
fn a_local_client_of_a_listener_for_both_protocols_is_local() {
    let text = "[[listener]]\nbind = \"[::]:{port}\"\n";
    let server = Server::entourage_with_config(text);
    assert_eq!(server.dial().ask("PING").string(), "PONG");
    assert_eq!(told("127.0.0.1".parse().unwrap(), &server), "+PONG\r\n");
}

#[test]
fn protected_parameters_are_set_only_where_the_file_lets_them() {
    let words = ["dir /tmp", "DIR .", "dbfilename x.rdb", "timeout 5 dir /tmp"];
    let [redis, ours] = [Server::redis(&[]), Server::entourage(&[])].map(|server| {
        let mut wire = server.dial();
        let told = words.map(|it| wire.ask(&format!("CONFIG SET {it}")).string());
        let fixed = wire.ask("CONFIG SET enable-protected-configs yes").string();
        let names = ["enable-protected-configs", "timeout"];
        let values = names.map(|it| wire.ask(&format!("CONFIG GET {it}")).to_string());
        (told, fixed, values)
    });
    assert_eq!(ours, redis);
    assert!(ours.0[0].ends_with("'dir') - can't set protected config"), "{}", ours.0[0]);
    for who in ["yes", "local"] {
        let text = format!(
            "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[server]\n\
             enable-protected-configs = \"{who}\"\n"
        );
        let server = Server::entourage_with_config(&text);
        let told = server.dial().ask("CONFIG SET dir /tmp").string();
        let why = "'dir') - can't set immutable config";
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn everything_needs_the_password_where_there_is_one() {
    let lines = [
        "CONFIG GET *",
        "CONFIG SET requirepass x",
        "CONFIG REWRITE",
        "CONFIG RESETSTAT",
        "PSYNC ? -1",
        "SYNC",
        "REPLCONF listening-port 1",
        "REPLICAOF NO ONE",
        "SLAVEOF NO ONE",
        "SHUTDOWN",
    ];
    for server in [Server::redis(&[]), Server::entourage(&[])] {
        ok(&mut server.dial(), "CONFIG SET requirepass secret");
        for line in lines {
            let told = server.dial().ask(line).string();
            // What is not built is not known, before and after a login.
            let is_unknown = told.starts_with("ERR unknown command");
            assert!(
                told.starts_with("NOAUTH") || is_unknown,
                "{}: {line}: {told}",
                server.program()
            );
        }
    }
    let ours = Server::entourage(&[]);
    ok(&mut ours.dial(), "CONFIG SET requirepass secret");
    for line in
        ["DEBUG DIGEST", "PROXY RELOAD", "PROXY NODES", "PROXY NODE ADD", "PROXY FAILOVER TO n2"]
    {
        starts(&ours.dial().ask(line), "NOAUTH");
    }
}

const DOOR: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";
const REFUSING: &str = "\
[[route]]
name = \"no-flush\"
commands = [\"flushall\", \"config|resetstat\", \"debug\"]
refuse = true
[[route]]
name = \"secrets\"
keys = \"secret:*\"
clients = \"app\"
refuse = true
";

fn refused(wire: &mut Wire, line: &str, route: &str, command: &str) {
    let told = wire.ask(line).string();
    assert_eq!(told, format!("REFUSED route `{route}` refuses '{command}' here"), "{line}");
}

#[test]
fn a_route_refuses_commands_of_members_and_of_the_proxy() {
    let server = Server::entourage_with_config(&format!("{DOOR}{REFUSING}"));
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    refused(&mut wire, "FLUSHALL", "no-flush", "flushall");
    refused(&mut wire, "flushall ASYNC", "no-flush", "flushall");
    refused(&mut wire, "CONFIG RESETSTAT", "no-flush", "config|resetstat");
    refused(&mut wire, "DEBUG SLEEP 0", "no-flush", "debug");
    refused(&mut wire, "PROXY ONCE LEVEL master DO FLUSHALL", "no-flush", "flushall");
    ok(&mut wire, "FLUSHDB");
    ok(&mut wire, "SET secret:1 x");
    ok(&mut wire, "CLIENT SETNAME app");
    refused(&mut wire, "GET secret:1", "secrets", "get");
    refused(&mut wire, "MSET b 1 secret:2 1", "secrets", "mset");
    refused(&mut wire, "BLPOP l secret:3 0", "secrets", "blpop");
    assert_eq!(wire.ask("GET b").text(), None, "nothing of it was done");
    let errors = wire.ask("INFO errorstats").string();
    assert!(errors.contains("errorstat_REFUSED:count=8"), "{errors}");
    let explained = wire.ask("PROXY EXPLAIN GET secret:1");
    let lines: Vec<String> = explained.list().iter().map(|it| it.string()).collect();
    let expected = [
        "command get read",
        "route secrets (keys secret:*, clients app)",
        "refused -REFUSED: the route says refuse = true",
    ];
    assert_eq!(lines, expected);
    let explained = wire.ask("PROXY EXPLAIN CONFIG RESETSTAT").to_string();
    assert!(explained.contains("refused -REFUSED"), "{explained}");
    assert!(!wire.ask("PROXY EXPLAIN GET b").to_string().contains("REFUSED"));
    // A reload brings rules and takes them away, for connections that there are, too.
    server.write_config(DOOR);
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(wire.ask("GET secret:1").string(), "x");
    server.write_config(&format!("{DOOR}{REFUSING}"));
    ok(&mut wire, "PROXY RELOAD");
    refused(&mut wire, "GET secret:1", "secrets", "get");
}

#[test]
fn a_transaction_is_refused_what_its_commands_are() {
    let server = Server::entourage_with_config(&format!("{DOOR}{REFUSING}"));
    let mut wire = server.dial();
    ok(&mut wire, "MULTI");
    assert_eq!(wire.ask("SET a 1").string(), "QUEUED");
    refused(&mut wire, "FLUSHALL", "no-flush", "flushall");
    assert_eq!(wire.ask("SET b 1").string(), "QUEUED");
    starts(&wire.ask("EXEC"), "EXECABORT");
    assert_eq!(wire.ask("GET a").text(), None);
}

#[test]
fn a_route_that_refuses_in_vain_is_warned_of() {
    let rules = "[[route]]\nname = \"strings\"\ngroups = \"string\"\n\
                 [[route]]\nname = \"no-set\"\ncommands = \"set\"\nrefuse = true\n\
                 [[route]]\nname = \"no-keys\"\ncommands = \"flushall\"\nkeys = \"a:*\"\nrefuse = true\n";
    let server = Server::entourage_with_config(&format!("{DOOR}{rules}"));
    until("the warnings", || {
        let said = server.said();
        let hidden = said.contains("route.name = \"no-set\" is never taken: route `strings` above");
        let vain = said.contains("route.name = \"no-keys\" refuses nothing: none of its commands");
        (hidden && vain).then_some(())
    });
}
