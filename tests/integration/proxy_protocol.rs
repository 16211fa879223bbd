//! Clients that come by a proxy which says who they are: the PROXY protocol, from bytes of our own,
//! from HAProxy, and from those who do it wrong.

use crate::support::on_disk::Dir;
use crate::support::process::Running;
use crate::support::servers::free_port;
use crate::support::tls::until_said;
use crate::support::{Authority, Server, Socket, Wire, info_field, ok, starts, until, until_alone};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where ours believes proxies, at the port where it has clients without one at 127.0.0.1.
const HOST: &str = "127.0.0.3";
/// Where it believes only proxies that are elsewhere.
const STRICT: &str = "127.0.0.4";
const PATIENCE: Duration = Duration::from_secs(60);
const NOTICE: [&str; 2] = ["--loglevel", "notice"];
const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn config(more: &str) -> String {
    format!(
        "[[listener]]\nname = \"plain\"\nbind = \"127.0.0.1:{{port}}\"\n\
         [[listener]]\nname = \"proxied\"\nbind = \"{HOST}:{{port}}\"\nproxy-protocol = true\n\
         proxy-trusted = [\"127.0.0.0/8\"]\n\
         [[listener]]\nname = \"strict\"\nbind = \"{STRICT}:{{port}}\"\nproxy-protocol = true\n\
         proxy-trusted = [\"192.0.2.0/24\", \"::1\"]\n{more}"
    )
}

fn serve(more: &str) -> Server {
    Server::entourage_with_config_and(&config(more), &NOTICE)
}

/// A socket to one of ours, on which these bytes are sent first.
fn connect(host: &str, server: &Server, first: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect((host, server.port())).expect("it listens");
    socket.set_nodelay(true).expect("it is TCP");
    socket.set_read_timeout(Some(PATIENCE)).expect("it is no zero");
    // It may have been closed already.
    let _ = socket.write_all(first);
    socket
}

fn proxied(server: &Server, header: &[u8]) -> Wire {
    Wire::over(Socket::Tcp(connect(HOST, server, header)))
}

/// A header of version 2.
fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [SIGNATURE_2, &[command, family], &length, rest].concat()
}

/// 203.0.113.7:4711 to 198.51.100.1:6379.
const TCP4: [u8; 12] = [203, 0, 113, 7, 198, 51, 100, 1, 0x12, 0x67, 0x18, 0xeb];
const CLIENT: &str = "addr=203.0.113.7:4711 laddr=198.51.100.1:6379 ";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 6379\r\n";
/// A client of this machine, by a proxy of this machine.
const OF_HERE: &[u8] = b"PROXY TCP4 127.0.0.9 198.51.100.1 4711 6379\r\n";

/// From here on clients have to log in, and may come from anywhere.
fn with_password(server: Server) -> Server {
    ok(&mut server.dial(), "CONFIG SET requirepass secret");
    server
}

/// Waits until so many headers have been refused, and no more.
fn until_faults(server: &Server, count: u32) {
    let mut wire = server.dial();
    let wanted = Some(count.to_string());
    until("the count of faults", || {
        (info_field(&mut wire, "stats", "proxy_header_faults") == wanted).then_some(())
    });
}

/// Whether it answers, rather than to close the connection.
fn answers(mut wire: Wire) -> Option<()> {
    let _ = wire.try_send_raw(b"PING\r\n");
    wire.try_read()?.text().filter(|it| *it == b"PONG").map(drop)
}

fn told(wire: &mut Wire) -> String {
    wire.ask("CLIENT INFO").string()
}

#[test]
fn both_versions_say_who_the_client_is() {
    let server = with_password(serve(""));
    let tcp6 = [
        &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..],
        &[0; 15],
        &[1, 0x12, 0x67, 0x18, 0xeb],
    ];
    let client6 = "addr=[2001:db8::7]:4711 laddr=[::1]:6379 ";
    // What else a proxy knows stands behind: here the host that the client has asked for.
    let entries = [&TCP4[..], &[2, 0, 4], b"host"].concat();
    for (header, client) in [
        (LINE.to_vec(), CLIENT),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 6379\r\n".to_vec(), client6),
        (version_2(0x21, 0x11, &TCP4), CLIENT),
        (version_2(0x21, 0x21, &tcp6.concat()), client6),
        (version_2(0x21, 0x11, &entries), CLIENT),
    ] {
        let mut at_once = proxied(&server, &[&header[..], b"AUTH secret\r\n"].concat());
        assert_eq!(at_once.read().string(), "OK");
        assert!(told(&mut at_once).contains(client), "{}", told(&mut at_once));
        // Byte by byte, with nothing behind it.
        let mut socket = connect(HOST, &server, b"");
        for byte in &header {
            socket.write_all(&[*byte]).expect("it is read");
        }
        let mut slow = Wire::over(Socket::Tcp(socket));
        ok(&mut slow, "AUTH secret");
        assert!(told(&mut slow).contains(client), "{}", told(&mut slow));
        // Those of the round before may not have been seen to go.
        until("both to be listed", || {
            let line = at_once.ask("CLIENT LIST").string();
            (line.matches(client).count() == 2).then_some(())
        });
    }
    let mut wire = server.dial();
    ok(&mut wire, "AUTH secret");
    assert_eq!(info_field(&mut wire, "stats", "proxied_connections_received").unwrap(), "10");
    until_alone(&mut wire);
    // Who is killed by the address that the header has said is that client.
    let mut client = proxied(&server, &[LINE, b"AUTH secret\r\n"].concat());
    assert_eq!(client.read().string(), "OK");
    assert_eq!(wire.ask("CLIENT KILL ADDR 203.0.113.7:4711").int(), Some(1));
    assert!(client.is_closed());
}

#[test]
fn a_proxy_that_says_no_address_has_its_own() {
    let server = serve("");
    for header in [version_2(0x20, 0x00, &[]), version_2(0x20, 0x11, &TCP4)] {
        let mut wire = proxied(&server, &header);
        let own = told(&mut wire);
        assert!(own.contains(" addr=127.0.0.1:") && own.contains(&format!(" laddr={HOST}:")));
    }
    // Somebody whom it does not name may be anywhere: protected mode holds for them.
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n".to_vec(),
        version_2(0x21, 0x00, &[]),
        version_2(0x21, 0x31, &[0; 216]),
    ] {
        let text = String::from_utf8(proxied(&server, &header).read_to_end()).unwrap();
        assert!(text.starts_with("-DENIED Redis is running in protected mode"), "{text}");
    }
    let server = with_password(serve(""));
    let mut wire = proxied(&server, b"PROXY UNKNOWN\r\n");
    ok(&mut wire, "AUTH secret");
    assert!(told(&mut wire).contains(" addr=127.0.0.1:"));
}

#[test]
fn protected_mode_the_log_and_acl_log_go_by_the_client() {
    let server = serve("");
    let text = String::from_utf8(proxied(&server, LINE).read_to_end()).unwrap();
    assert!(text.starts_with("-DENIED Redis is running in protected mode"), "{text}");
    until_said(&server, "why=protected-mode listener=proxied peer=203.0.113.7:4711");
    let mut here = proxied(&server, OF_HERE);
    assert_eq!(here.ask("PING").string(), "PONG");
    assert!(told(&mut here).contains(" addr=127.0.0.9:4711 "));
    ok(&mut here, "CONFIG SET requirepass secret");
    let mut elsewhere = proxied(&server, LINE);
    starts(&elsewhere.ask("PING"), "NOAUTH");
    starts(&elsewhere.ask("AUTH wrong"), "WRONGPASS");
    until_said(&server, "203.0.113.7:4711");
    let login = server.said();
    let login = login.lines().find(|it| it.contains("event=login-failed")).expect("it is told");
    assert!(login.contains("203.0.113.7:4711"), "{login}");
    let log = here.ask("ACL LOG").to_string();
    assert!(log.contains("addr=203.0.113.7:4711"), "{log}");
    // What only clients of this machine may do, one by a proxy may not.
    ok(&mut elsewhere, "AUTH secret");
    starts(&elsewhere.ask("DEBUG SLEEP 0"), "ERR DEBUG command not allowed");
    ok(&mut here, "DEBUG SLEEP 0");
}

#[test]
fn who_is_no_trusted_proxy_is_closed_and_logged() {
    let server = serve("");
    let mut wire = Wire::over(Socket::Tcp(connect(STRICT, &server, LINE)));
    let text = String::from_utf8(wire.read_to_end()).unwrap();
    assert!(text.is_empty() || text.starts_with("-DENIED this port is for the proxies"), "{text}");
    until_said(&server, "why=untrusted-proxy listener=strict peer=127.0.0.1:");
    let mut wire = server.dial();
    assert_eq!(info_field(&mut wire, "stats", "proxy_untrusted_connections").unwrap(), "1");
    assert_eq!(info_field(&mut wire, "stats", "rejected_connections").unwrap(), "1");
    // A reload says whom it believes from then on.
    server.write_config(&config("").replace("192.0.2.0/24", "127.0.0.1"));
    ok(&mut wire, "PROXY RELOAD");
    until_said(&server, "changed=listener.proxy-protocol");
    let mut trusted = Wire::over(Socket::Tcp(connect(STRICT, &server, OF_HERE)));
    assert_eq!(trusted.ask("PING").string(), "PONG");
}

#[test]
fn what_is_no_header_closes_the_connection_with_a_reason() {
    let server = serve("");
    let mut other = server.dial();
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 5000]].concat();
    let mut faults = 0;
    for (bytes, why) in [
        (b"*1\r\n$4\r\nPING\r\n".to_vec(), "the connection begins without a header"),
        (b"\x16\x03\x01\x02\x00".to_vec(), "the connection begins without a header"),
        (long, "the header is too long"),
        (version_2(0x21, 0x11, &[7; 60_000]), "the header is too long"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n".to_vec(), "the header has a wrong address"),
        (b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), "no family"),
        (version_2(0x21, 0x12, &TCP4), "the header is for datagrams"),
        (version_2(0x21, 0x21, &TCP4), "the header is shorter than its addresses"),
        (version_2(0x41, 0x11, &TCP4), "the header has a version"),
        (version_2(0x21, 0x11, &[&TCP4[..], &[3, 0, 4, 1, 2, 3, 4]].concat()), "the checksum"),
    ] {
        until(why, || {
            let text = String::from_utf8(proxied(&server, &bytes).read_to_end()).unwrap();
            faults += 1;
            // Where more was sent than was read, the word may be lost.
            assert!(text.is_empty() || text.starts_with("-ERR this port is for proxies"), "{text}");
            let said = server.said();
            let event = "event=proxy-header-refused listener=proxied peer=127.0.0.1:";
            said.lines().any(|it| it.contains(event) && it.contains(why)).then_some(())
        });
        assert_eq!(other.ask("PING").string(), "PONG", "nobody else notices");
    }
    let text = String::from_utf8(proxied(&server, b"PING\r\n").read_to_end()).unwrap();
    assert!(text.starts_with("-ERR this port is for proxies that send the header"), "{text}");
    until_faults(&server, faults + 1);
    until_alone(&mut other);
}

#[test]
fn a_header_that_is_cut_or_late_closes_the_connection() {
    let server = serve("");
    for header in [LINE.to_vec(), version_2(0x21, 0x11, &TCP4)] {
        for length in [5, 13, header.len() - 1] {
            let mut wire = proxied(&server, &header[..length]);
            wire.half_close();
            wire.read_to_end();
        }
    }
    until_said(&server, "the header is cut off");
    let mut wire = server.dial();
    until_faults(&server, 6);
    // Whoever only looks whether somebody listens has done nothing wrong.
    proxied(&server, b"").half_close();
    // Whoever says nothing, or not all, has some seconds for it; others are served meanwhile.
    let mut silent = proxied(&server, b"");
    let mut half = proxied(&server, &LINE[..20]);
    assert_eq!(wire.ask("PING").string(), "PONG");
    assert!(silent.read_to_end().is_empty() && half.read_to_end().is_empty());
    until_said(&server, "the header takes too long");
    until_faults(&server, 8);
    // Nor does it hold up the end.
    let _silent = proxied(&server, b"");
    assert!(server.stop().success());
}

#[test]
fn those_whose_header_has_yet_to_come_count_as_clients() {
    let server = serve("[server]\nmaxclients = 5\n");
    let mut wire = server.dial();
    let mut silent = Vec::new();
    // Who looked whether it listens may still have a place: they are filled until one is refused.
    until("one too many", || {
        let mut socket = connect(HOST, &server, b"");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("it is no zero");
        let mut told = [0; 64];
        let length = socket.read(&mut told).unwrap_or(0);
        silent.push(socket);
        told[..length].starts_with(b"-ERR max number of clients reached").then_some(())
    });
    drop(silent);
    until("a place", || answers(proxied(&server, OF_HERE)));
    assert_eq!(wire.ask("PING").string(), "PONG");
}

#[test]
fn the_header_stands_in_front_of_the_handshake() {
    let authority = Authority::new();
    let text = authority.config("");
    let proxy = "tls = true\nproxy-protocol = true\nproxy-trusted = \"127.0.0.0/8\"\n";
    let text = text.replacen("tls = true\n", proxy, 1);
    let server = with_password(Server::entourage_with_config_and(&text, &NOTICE));
    for header in [LINE.to_vec(), version_2(0x21, 0x11, &TCP4)] {
        let tcp = connect(crate::support::tls::HOST, &server, &header);
        let name = ServerName::try_from(crate::support::tls::HOST).expect("an address");
        let client = ClientConnection::new(authority.client(Some("client")), name);
        let stream = StreamOwned::new(client.expect("it is sound"), tcp);
        let mut wire = Wire::over(Socket::Tls(Box::new(stream)));
        ok(&mut wire, "AUTH secret");
        assert!(told(&mut wire).contains(CLIENT), "{}", told(&mut wire));
    }
    // Without a header there is no handshake.
    assert!(authority.try_dial(server.port(), Some("client")).is_err());
    until_said(&server, "the connection begins without a header");
    // A handshake that fails is told of with the client's address.
    let mut plain = connect(crate::support::tls::HOST, &server, &[LINE, b"PING\r\n"].concat());
    let mut told = String::new();
    let _ = std::io::Read::read_to_string(&mut plain, &mut told);
    assert!(told.starts_with("-ERR this port speaks TLS"), "{told}");
    until_said(&server, "event=tls-handshake-failed");
    let said = server.said();
    let failed = said.lines().find(|it| it.contains("event=tls-handshake-failed")).unwrap();
    assert!(failed.contains("peer=203.0.113.7:4711"), "{failed}");
}

#[test]
fn a_unix_socket_believes_whoever_may_open_it() {
    let text = "[[listener]]\nbind = \"127.0.0.1:{port}\"\n\
                [[listener]]\nunix = \"proxied\"\nproxy-protocol = true\n";
    let server = with_password(Server::entourage_with_config(text));
    let connect = |header: &[u8]| {
        let mut socket = UnixStream::connect(server.dir().join("proxied")).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("it is no zero");
        socket.write_all(header).expect("it is read");
        Wire::over(Socket::Unix(socket))
    };
    let mut wire = connect(LINE);
    ok(&mut wire, "AUTH secret");
    let line = told(&mut wire);
    assert!(line.contains(CLIENT) && line.contains(" flags=N "), "{line}");
    let mut own = connect(&version_2(0x20, 0x00, &[]));
    ok(&mut own, "AUTH secret");
    assert!(told(&mut own).contains(" flags=U "), "{}", told(&mut own));
}

#[test]
fn haproxy_is_understood_in_both_versions() {
    let binary = std::env::var("HAPROXY").unwrap_or_else(|_| "/usr/sbin/haproxy".into());
    if Command::new(&binary).arg("-v").stdout(Stdio::null()).status().is_err() {
        return eprintln!("there is no haproxy here: HAPROXY names it");
    }
    let server = serve("");
    let (dir, ports) = (Dir::new(), [free_port().unwrap(), free_port().unwrap()]);
    let of = |name: &str, port: u16, how: &str| {
        format!(
            "listen {name}\n  bind 127.0.0.1:{port}\n  server it {HOST}:{} {how} check\n",
            server.port()
        )
    };
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  \
         timeout server 60s\n{}{}",
        of("one", ports[0], "send-proxy check-send-proxy"),
        of("two", ports[1], "send-proxy-v2 check-send-proxy proxy-v2-options crc32c"),
    );
    let file = dir.file("haproxy.cfg", &text);
    let child = Command::new(&binary).arg("-db").arg("-f").arg(&file).stderr(Stdio::null()).spawn();
    let _haproxy = Running(child.expect("it starts"));
    for port in ports {
        until("haproxy", || answers(Wire::dial(port).ok()?));
        let mut wire = Wire::dial(port).expect("it listens");
        let Socket::Tcp(socket) = wire.socket() else { unreachable!("it is one") };
        let own = socket.local_addr().unwrap();
        let line = told(&mut wire);
        assert!(line.contains(&format!(" addr={own} laddr=127.0.0.1:{port} ")), "{line}");
    }
    fs::remove_file(&file).expect("it is ours");
    // What it sends to see whether we live is no fault.
    let faults = info_field(&mut server.dial(), "stats", "proxy_header_faults").unwrap();
    assert_eq!(faults, "0", "{}", server.said());
}
