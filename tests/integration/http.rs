//! The listener of the status page with real sockets: what it answers, to whom, and what it bears.

use crate::support::on_disk::refused;
use crate::support::{
    Server, Site, info_field, node, ok, order, read_answer, until, until_running, words,
};
use serde_json::Value as Json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const API: [&str; 9] =
    ["alerts", "events", "nodes", "routes", "clients", "stats", "slowlog", "config", "status"];

#[test]
fn nothing_listens_unless_asked_for() {
    let server =
        Server::entourage_with_config_and("[[listener]]\nbind = '127.0.0.1:{port}'\n", &[]);
    server.dial().ask("PING");
    assert!(!server.said().contains("name=http"), "{}", server.said());
}

#[test]
fn what_other_machines_reach_is_refused_unless_allowed() {
    let listener = "[[listener]]\nname = 'main'\nbind = '127.0.0.1:{port}'\n";
    let told = refused("[http]\nbind = '0.0.0.0:0'\n");
    assert!(told.contains("http.bind = 0.0.0.0:0 is for other machines, too"), "{told}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let told = refused(&format!("[[listener]]\nbind = '127.0.0.1:0'\n[http]\nbind = '{at}'\n"));
    assert!(told.contains(&format!("cannot serve HTTP at {at}: ")), "{told}");
    let text = format!("{listener}[http]\nbind = '0.0.0.0:0'\nallow-remote = true\n");
    let site = Site::of(Server::entourage_with_config_and(&text, &[]));
    assert!(site.server.said().contains("there is no http.password"), "{}", site.server.said());
    assert_eq!(site.request("GET", "/api/v1/nodes", &["Host: status.example"]).status, 200);
}

#[test]
fn a_flag_is_enough() {
    let flags = ["--http", "localhost:0"];
    let text = "[[listener]]\nbind = '127.0.0.1:{port}'\n";
    let site = Site::of(Server::entourage_with_config_and(text, &flags));
    assert_eq!(site.get("/health").body, "ok\n");
}

#[test]
fn every_resource_answers_get_and_head() {
    let site = Site::with("", "");
    let health = site.get("/health");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    for line in ["cache-control: no-store", "x-content-type-options: nosniff"] {
        assert!(health.head.contains(line), "{}", health.head);
    }
    let head = site.request("HEAD", "/health", &[]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("content-length: 3"), "{}", head.head);
    for name in API {
        site.json(&format!("/api/v1/{name}"));
    }
}

#[test]
fn the_api_tells_what_commands_tell() {
    let slow = "[server]\nslowlog-log-slower-than = 0\nrequirepass = ''\n\
                [[route]]\nname = 'carts'\nkeys = ['cart:*']\nlevel = 'sticky'\n";
    let site = Site::with("", slow);
    let mut wire = site.server.dial();
    ok(&mut wire, "CLIENT SETNAME shop");
    ok(&mut wire, "SET cart:1 apples");
    wire.ask("GET cart:1");
    let nodes = site.json("/api/v1/nodes");
    let names: Vec<_> = nodes.as_array().unwrap().iter().map(|it| it["name"].as_str()).collect();
    assert_eq!(names, [Some("n1"), Some("n2"), Some("n3")]);
    assert_eq!(nodes[0]["role"], "master");
    assert_eq!(nodes[1]["in-service"], Json::Bool(true));
    let offset = info_field(&mut wire, "replication", "master_repl_offset").unwrap();
    assert_eq!(site.json("/api/v1/nodes")[0]["offset"].to_string(), offset);
    let routes = site.json("/api/v1/routes");
    assert_eq!((&routes[1]["name"], &routes[1]["level"]), (&"carts".into(), &"sticky".into()));
    assert_eq!(routes[0]["name"], "default");
    let clients = site.json("/api/v1/clients");
    assert_eq!(clients["connected"], 1);
    assert_eq!(
        (&clients["clients"][0]["name"], &clients["clients"][0]["user"]),
        (&"shop".into(), &"default".into())
    );
    let slow = site.json("/api/v1/slowlog");
    let words =
        &slow.as_array().unwrap().iter().find(|it| it["words"][0] == "SET").unwrap()["words"];
    assert_eq!(words[1], "cart:1");
    let status = site.json("/api/v1/status");
    let calls = |class: &str| -> u64 {
        let all = status["latency"].as_array().unwrap().iter();
        let mine = all.filter(|it| it["route"] == "carts" && it["class"] == class);
        mine.map(|it| it["calls"].as_u64().unwrap()).sum()
    };
    assert_eq!((calls("read"), calls("write")), (1, 1));
    let buckets = |it: &Json| -> u64 {
        it["buckets"].as_array().unwrap().iter().map(|it| it[1].as_u64().unwrap()).sum()
    };
    for it in status["latency"].as_array().unwrap() {
        assert_eq!(Some(buckets(it)), it["calls"].as_u64(), "{it}");
    }
    assert_eq!(status["process"]["unserved"], Json::Null);
    assert_eq!(status["process"]["clients"], 1);
}

#[test]
fn explain_is_proxy_explain() {
    let site = Site::with("", "");
    let told = site.json("/api/v1/explain?command=GET+user:1");
    let lines: Vec<_> = told["lines"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    assert_eq!(lines[..2], ["command get read", "route default (no rule matched)"]);
    let words = site.json("/api/v1/explain?word=SET&word=a%20key&word=v");
    assert!(words["lines"].to_string().contains("chosen n1"), "{words}");
    for (path, why) in [
        ("", "write the command"),
        ("?command=+", "write the command"),
        ("?command=NOSUCH", "unknown command"),
        ("?command=PROXY+ONCE", "wrong number of arguments"),
    ] {
        let answer = site.get(&format!("/api/v1/explain{path}"));
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body.contains(why), "{path}: {}", answer.body);
    }
}

#[test]
fn secrets_are_never_told() {
    let file = "[set]\nmasterauth = 'second-secret'\n";
    let site = Site::with("password = 'third-secret'", file);
    ok(&mut site.server.dial(), "CONFIG SET requirepass first-secret");
    let login = "Authorization: Basic OnRoaXJkLXNlY3JldA==";
    let config = site.request("GET", "/api/v1/config", &[login]);
    let told: Json = serde_json::from_str(&config.body).unwrap();
    for name in ["requirepass", "masterauth", "http.password"] {
        assert_eq!(told[name], "(hidden)", "{name}");
    }
    assert_eq!(told["maxclients"], "10000");
    site.request("GET", "/api/v1/config", &["Authorization: Basic OnNvbWUtc2VjcmV0"]);
    let said = until("the failed login in the log", || {
        Some(site.server.said()).filter(|it| it.contains("event=http-login-failed"))
    });
    let metrics = site.request("GET", "/metrics", &[login]).body;
    assert!(metrics.contains("entourage_failed_logins_total 1\n"), "{metrics}");
    for name in API {
        let answer = site.request("GET", &format!("/api/v1/{name}"), &[login]);
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("-secret"), "{name}");
    }
    assert!(!said.contains("-secret"), "{said}");
}

#[test]
fn a_password_guards_all_but_health() {
    let site = Site::with("password = 'open:sesame'", "");
    for path in ["/health", "/ready"] {
        assert_eq!(site.get(path).status, 200, "{path}");
    }
    for path in API.map(|it| format!("/api/v1/{it}")) {
        let answer = site.get(&path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.head.contains("www-authenticate: basic"), "{}", answer.head);
        let wrong = site.request("GET", &path, &["Authorization: Basic dTpvcGVu"]);
        assert_eq!(wrong.status, 401);
        let right = site.request("GET", &path, &["Authorization: Basic dTpvcGVuOnNlc2FtZQ=="]);
        assert_eq!(right.status, 200);
    }
}

#[test]
fn a_reload_changes_the_password() {
    let text = |password: &str| {
        format!(
            "[[listener]]\nbind = '127.0.0.1:{{port}}'\n[http]\nbind = '127.0.0.1:0'\n\
             password = '{password}'\n"
        )
    };
    let site = Site::of(Server::entourage_with_config_and(&text(""), &[]));
    assert_eq!(site.get("/api/v1/nodes").status, 200);
    site.server.write_config(&text("p"));
    ok(&mut site.server.dial(), "PROXY RELOAD");
    assert_eq!(site.get("/api/v1/nodes").status, 401);
    let right = ["Authorization: Basic OnA="];
    assert_eq!(site.request("GET", "/api/v1/nodes", &right).status, 200);
}

#[test]
fn what_is_not_there_is_not_found_and_what_is_not_taken_is_refused() {
    let site = Site::with("", "");
    for path in ["/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "/api/v1/../nodes", "//health"]
    {
        let answer = site.get(path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (404, "there is nothing here\n"),
            "{path}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let answer = site.request(method, "/health", &[]);
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    }
    assert_eq!(site.get("/api/v1/node?name=n2&order=pause").status, 405);
}

#[test]
fn ready_says_why_not() {
    let site = Site::with("", "");
    let ready = |query: &str| {
        let answer = site.get(&format!("/ready{query}"));
        (answer.status, answer.body)
    };
    assert_eq!(ready(""), (200, "ready\n".to_owned()));
    assert_eq!(ready("?lag=1mb").0, 200);
    let mut wire = site.server.dial();
    order(&mut wire, &["n2"], "PAUSE");
    wire.ask("SET k v");
    let (status, why) =
        until("the paused replica to lag", || Some(ready("?lag=0")).filter(|it| it.0 == 503));
    assert!(status == 503 && why.starts_with("n2 is "), "{why}");
    assert_eq!(ready("?lag=1mb").0, 200, "it is not that far behind");
    assert_eq!(ready("").0, 200, "the master serves");
    order(&mut wire, &["n2"], "RESUME");
    until("n2 to have all", || (ready("?lag=0").0 == 200).then_some(()));
    order(&mut wire, &["n2"], "DRAIN");
    wire.cmd(&["PROXY", "NODE", "n3", "DRAIN", "FORCE"]);
    assert_eq!(ready("?lag=1mb"), (503, "no replica is in service\n".to_owned()));
    let (status, why) = ready("?lag=soon");
    assert!(status == 400 && why.starts_with("lag=soon is neither"), "{why}");
}

#[test]
fn ready_says_that_the_master_is_out_of_reach() {
    let master = Server::redis(&[]);
    let follows = format!("[set]\nmaster = '127.0.0.1:{}'\n", master.port());
    let site = Site::with("", &follows);
    until("the link to be up", || (site.get("/ready").status == 200).then_some(()));
    drop(master);
    let why = until("the link to be down", || {
        Some(site.get("/ready")).filter(|it| it.status == 503).map(|it| it.body)
    });
    assert!(why.starts_with("the link to the master 127.0.0.1:"), "{why}");
    assert_eq!(site.get("/health").status, 200);
}

#[test]
fn orders_need_an_admin_and_our_page() {
    let path = "/api/v1/node?name=n2&order=pause";
    let ours = ["X-Entourage: 1"];
    let looks = Site::with("", "");
    let answer = looks.request("POST", path, &ours);
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, "this page only looks: http.admin is false\n")
    );
    let site = Site::with("admin = true", "");
    let mut wire = site.server.dial();
    assert_eq!(site.request("POST", path, &[]).status, 403);
    let other = ["X-Entourage: 1", "Origin: http://evil.example"];
    assert_eq!(site.request("POST", path, &other).status, 403);
    let state = |wire: &mut _, name| node(wire, name)["state"].to_string();
    assert!(state(&mut wire, "n2").contains("ok"));
    let done = site.request("POST", path, &ours);
    assert_eq!((done.status, done.body.as_str()), (200, "OK\n"));
    assert!(state(&mut wire, "n2").contains("paused"));
    let origin = format!("Origin: http://127.0.0.1:{}", site.port);
    let resume = "/api/v1/node?name=n2&order=resume";
    assert_eq!(site.request("POST", resume, &["X-Entourage: 1", &origin]).status, 200);
    let failed = site.request("POST", "/api/v1/failover?to=n2", &ours);
    assert!(failed.status == 200 && failed.body.starts_with("OK paused-us="), "{failed:?}");
    assert!(node(&mut wire, "n2")["role"].to_string().contains("master"));
    for (path, why) in [
        ("/api/v1/node?name=n9&order=pause", "n9"),
        ("/api/v1/node?name=n1&order=remove", "write a member and an order"),
        ("/api/v1/node", "write a member and an order"),
        ("/api/v1/failover", "write the new master"),
    ] {
        let answer = site.request("POST", path, &ours);
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body.contains(why) || path.contains("n9"), "{}", answer.body);
    }
    assert!(site.server.said().contains("event=http-order words=PROXY NODE n2 pause"));
}

#[test]
fn a_page_that_comes_by_another_name_is_misdirected() {
    let site = Site::with("", "");
    let answer = site.request("GET", "/api/v1/nodes", &["Host: evil.example:9379"]);
    assert_eq!(answer.status, 421);
    assert_eq!(site.request("GET", "/health", &["Host: localhost:9379"]).status, 200);
}

/// Sends until the other end has had enough; answers what it says.
fn flood(site: &Site, begin: &str, bytes: usize) -> (usize, String) {
    let mut socket = site.dial();
    socket.write_all(begin.as_bytes()).unwrap();
    let (chunk, mut sent) = (vec![b'a'; 64 << 10], 0);
    while sent < bytes && socket.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    let mut said = Vec::new();
    // What is on its way when it closes ends the connection with an error.
    let _ = socket.read_to_end(&mut said);
    (sent, String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_request_of_a_gigabyte_is_refused_at_its_beginning() {
    let site = Site::with("", "");
    let before = crate::support::process::resident_bytes(site.server.pid());
    for begin in [
        "GET /",
        "GET / HTTP/1.1\r\nX: ",
        "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n",
    ] {
        let (sent, said) = flood(&site, begin, 1 << 30);
        assert!(sent < 64 << 20, "{begin}: {sent} bytes were taken");
        let is_refused = said.is_empty() || said.starts_with("HTTP/1.1 4");
        assert!(is_refused, "{begin}: {said}");
    }
    let chunked = "POST /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut socket = site.dial();
    socket.write_all(chunked.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut socket).unwrap().status, 413);
    let lines: String = (0..200).map(|it| format!("X-{it}: 1\r\n")).collect();
    let mut socket = site.dial();
    write!(socket, "GET /health HTTP/1.1\r\n{lines}\r\n").unwrap();
    assert_eq!(read_answer(&mut socket).unwrap().status, 431);
    let after = crate::support::process::resident_bytes(site.server.pid());
    assert!(after < before + (16 << 20), "{before} {after}");
    assert_eq!(site.get("/health").status, 200);
}

#[test]
fn a_head_that_does_not_come_closes_the_connection() {
    let site = Site::with("", "");
    let mut silent = site.dial();
    let mut slow = site.dial();
    // Byte by byte, each well within any deadline for a byte.
    let mut slow_writer = slow.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        for byte in "GET /health HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaa".bytes().cycle() {
            if slow_writer.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"), "{rest:?}");
    assert_eq!(silent.read_to_end(&mut Vec::new()).unwrap_or(0), 0);
    drip.join().unwrap();
    assert_eq!(site.get("/health").status, 200);
}

#[test]
fn who_does_not_read_is_closed_and_costs_little() {
    let site = Site::with("", "");
    let before = crate::support::process::resident_bytes(site.server.pid());
    let mut socket = site.dial();
    socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let requests = "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    // It is read no further than its answers are, until it is closed.
    let closed = until("the server to close", || socket.write_all(requests.as_bytes()).err());
    assert_ne!(closed.kind(), std::io::ErrorKind::WouldBlock, "it was closed");
    let after = crate::support::process::resident_bytes(site.server.pid());
    assert!(after < before + (16 << 20), "{before} {after}");
    assert_eq!(site.get("/health").status, 200);
}

#[test]
fn requests_of_one_connection_are_answered_in_order() {
    let site = Site::with("", "");
    let mut socket = site.dial();
    let get =
        |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    let all = get("/health", "") + &get("/nothing", "") + &get("/ready", "Connection: close\r\n");
    socket.write_all(all.as_bytes()).unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    let statuses: Vec<&str> = said.split("HTTP/1.1 ").skip(1).map(|it| &it[..3]).collect();
    assert_eq!(statuses, ["200", "404", "200"]);
}

#[test]
fn ten_thousand_connections_are_bounded_and_nobody_else_notices() {
    let site = Site::with("", "");
    let mut wire = site.server.dial();
    let before = crate::support::process::open_files(site.server.pid());
    let mut kept = Vec::new();
    for at in 0..10_000 {
        let socket = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
        // As many as this process may have open.
        if kept.len() < 200 {
            kept.push(socket);
        }
        if at % 1000 == 0 {
            assert_eq!(wire.ask("PING").text(), Some(&b"PONG"[..]));
        }
    }
    let open = crate::support::process::open_files(site.server.pid());
    assert!(open <= before + 128 + 8, "{before} {open}");
    let refused = until("one to be turned away", || {
        let mut socket = site.dial();
        read_answer(&mut socket).ok()
    });
    assert_eq!((refused.status, refused.body.as_str()), (503, "too many connections\r\n"));
    drop(kept);
    until("the page to be there again", || {
        let mut socket = site.dial();
        let get = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket.write_all(get.as_bytes()).ok()?;
        read_answer(&mut socket).ok().filter(|it| it.status == 200)
    });
}

#[test]
fn each_protocol_at_the_others_port_is_refused() {
    let site = Site::with("", "");
    let mut socket = site.dial();
    socket.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    assert_eq!(read_answer(&mut socket).unwrap().status, 400);
    let mut socket = TcpStream::connect(("127.0.0.1", site.server.port())).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert!(!said.contains("HTTP"), "{said}");
    assert_eq!(site.get("/health").status, 200);
}

#[test]
fn it_answers_while_a_command_holds_the_master() {
    let site = Site::with("", "[server]\nenable-debug-command = 'yes'\n");
    let (mut wire, mut long) = (site.server.dial(), site.server.dial());
    long.send(&[words(&["EVAL", "while true do end", "0"])]);
    until_running(&mut wire);
    for path in ["/health", "/ready", "/api/v1/status", "/api/v1/clients"] {
        assert_eq!(site.get(path).status, 200, "{path}");
    }
    ok(&mut wire, "SCRIPT KILL");
}
