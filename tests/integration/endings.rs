//! All states of a connection, all its endings, over TCP and over a unix socket: whatever a client
//! was doing when it went, nothing of it stays behind, and what it was held for is not done.

use crate::support::process::open_files;
use crate::support::servers::CONFIG;
use crate::support::{
    Address, ENDINGS, Ending, Server, Wire, info_field, ok, order, others, until, until_blocked,
    until_unsent,
};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What may have grown for good while clients came and went: the stream's backlog, tables, pools.
const MEMORY_SLACK: u64 = 4 << 20;

/// A server, and a client of it that gives orders and looks.
struct Scene {
    server: Server,
    operator: Wire,
    /// A server that takes connections and never says a word.
    silent: TcpListener,
    /// The walk that is made, for who fails to tell.
    walk: String,
}

impl Scene {
    fn new(server: Server) -> Scene {
        let operator = server.dial();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        Scene { server, operator, silent, walk: String::new() }
    }

    /// Nothing that another client was held for has been done.
    fn nothing_was_done(&mut self) {
        let there = self.operator.ask("EXISTS held");
        assert_eq!(there.int(), Some(0), "the held request was done: {}", self.walk);
    }

    fn config(&self) -> PathBuf {
        self.server.dir().join(CONFIG)
    }
}

/// What a client is doing.
struct State {
    servers: fn() -> Vec<Server>,
    /// Brings a fresh client into the state.
    enter: fn(&mut Scene, &mut Wire),
    /// What follows once the client is gone, checks included.
    leave: fn(&mut Scene),
}

const ANY: State =
    State { servers: || Server::both().into(), enter: |_, _| {}, leave: Scene::nothing_was_done };

const OURS: State = State { servers: || vec![ours()], ..ANY };

const LISTENERS: &str =
    "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[[listener]]\nunix = \"socket\"\n";

/// Ours, whose sticky reads wait for a replica for as long as it takes.
fn ours() -> Server {
    let ladder = "[consistency]\nlevel = \"sticky\"\non-lag = [\"wait 1h\", \"error\"]\n";
    Server::entourage_with_config(&format!("{LISTENERS}{ladder}"))
}

/// Says these lines, the first of which is PING, and waits for PONG: what came with it has been read.
fn say(client: &mut Wire, bytes: &str) {
    client.send_raw(format!("PING\r\n{bytes}").as_bytes());
    assert_eq!(client.read().string(), "PONG");
}

fn walk(state: &State) {
    for server in (state.servers)() {
        let addresses = server.addresses();
        let mut scene = Scene::new(server);
        for ending in ENDINGS {
            for address in &addresses {
                for is_held_until_gone in [true, false] {
                    let is_redis = scene.server.program() == "redis-server";
                    if is_redis && !is_held_until_gone && ending == Ending::MoreThenClose {
                        // Redis reads on only after the release: it may do what was held first.
                        continue;
                    }
                    let it = Walk { state, address, ending, is_held_until_gone };
                    it.walk(&mut scene);
                }
            }
        }
    }
}

/// One state, one ending.
struct Walk<'a> {
    state: &'a State,
    address: &'a Address,
    ending: Ending,
    /// Whether what holds the client goes on until the server has noticed that it is gone, or ends
    /// before that.
    is_held_until_gone: bool,
}

impl Walk<'_> {
    fn walk(&self, scene: &mut Scene) {
        scene.walk = format!("{} at {}", self, scene.server.program());
        let (files, memory) = (settled_files(scene), used_memory(scene));
        let mut client = Wire::dial_at(self.address).unwrap();
        (self.state.enter)(scene, &mut client);
        // What is left of the client stays until the server has let go by itself.
        let rest = self.ending.end(client, &mut scene.operator);
        if self.is_held_until_gone {
            self.until_gone(scene);
            (self.state.leave)(scene);
        } else {
            assert_eq!(scene.operator.ask("PING").string(), "PONG");
            (self.state.leave)(scene);
            self.until_gone(scene);
        }
        self.until("files to be closed", || {
            (open_files(scene.server.pid()) <= files).then_some(())
        });
        self.until("memory to be given back", || {
            (used_memory(scene) <= memory + MEMORY_SLACK).then_some(())
        });
        scene.nothing_was_done();
        drop(rest);
    }

    fn until_gone(&self, scene: &mut Scene) {
        let operator = &mut scene.operator;
        self.until("the client to be gone", || others(operator).is_empty().then_some(()));
        let mut count = |name: &str| info_field(operator, "clients", name);
        assert_eq!(count("blocked_clients").as_deref(), Some("0"), "{self}");
        assert_eq!(count("watching_clients").as_deref().unwrap_or("0"), "0", "{self}");
    }

    fn until(&self, what: &str, look: impl FnMut() -> Option<()>) {
        until(&format!("{what}: {self}"), look);
    }
}

impl fmt::Display for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = if self.is_held_until_gone { "held until gone" } else { "released at once" };
        write!(f, "{:?} at {:?}, {held}", self.ending, self.address)
    }
}

/// Its open files once it has nobody but the operator.
fn settled_files(scene: &mut Scene) -> usize {
    crate::support::until_alone(&mut scene.operator);
    open_files(scene.server.pid())
}

fn used_memory(scene: &mut Scene) -> u64 {
    let told = info_field(&mut scene.operator, "memory", "used_memory");
    told.expect("Redis' field").parse().unwrap()
}

#[test]
fn nothing_is_left_of_a_client_that_has_said_nothing() {
    walk(&State { enter: |scene, _| until_seen(scene), ..ANY });
}

fn until_seen(scene: &mut Scene) {
    until("the server to know its client", || {
        (others(&mut scene.operator).len() == 1).then_some(())
    });
}

#[test]
fn nothing_is_left_of_an_idle_client() {
    walk(&State { enter: |_, client| say(client, ""), ..ANY });
}

#[test]
fn nothing_is_left_of_a_client_in_the_middle_of_a_request() {
    walk(&State {
        enter: |_, client| say(client, "*3\r\n$3\r\nSET\r\n$4\r\nheld\r\n$900\r\nx"),
        ..ANY
    });
}

#[test]
fn nothing_is_left_of_a_client_in_the_middle_of_a_long_value() {
    walk(&State {
        enter: |_, client| {
            let begun = "x".repeat(5_000_000);
            say(client, &format!("*3\r\n$3\r\nSET\r\n$4\r\nheld\r\n$9000000\r\n{begun}"));
        },
        ..ANY
    });
}

#[test]
fn nothing_is_left_of_a_client_that_has_not_logged_in() {
    walk(&State {
        enter: |scene, client| {
            scene.operator.ask("CONFIG SET requirepass secret");
            assert_eq!(client.ask("RESET").string(), "RESET");
            client.send_raw(b"PING\r\n*2\r\n$4\r\nAUTH\r\n$600\r\nse");
            crate::support::starts(&client.read(), "NOAUTH");
        },
        leave: |scene| ok(&mut scene.operator, "CONFIG SET requirepass "),
        ..ANY
    });
}

#[test]
fn nothing_is_left_of_a_client_in_a_transaction_with_much_queued() {
    walk(&State {
        enter: |_, client| {
            ok(client, "MULTI");
            let value = "x".repeat(100_000);
            (0..50).for_each(|_| drop(client.ask(&format!("SET held {value}"))));
        },
        ..ANY
    });
}

#[test]
fn nothing_is_left_of_a_client_that_watches() {
    walk(&State {
        enter: |scene, client| {
            (0..100).for_each(|it| ok(client, &format!("WATCH held watched:{it}")));
            // Who is told of writes is told of these, too.
            ok(&mut scene.operator, "SET watched:1 1");
            say(client, "MULTI\r\nSET held 1\r\n");
        },
        ..ANY
    });
}

#[test]
fn watches_of_clients_that_are_gone_are_counted_no_more() {
    let server = Server::entourage(&[]);
    let mut operator = server.dial();
    let watching = |wire: &mut Wire| info_field(wire, "clients", "watching_clients");
    for ending in ENDINGS {
        let mut client = server.dial();
        ok(&mut client, "WATCH a b c");
        until("a watching client", || (watching(&mut operator)? == "1").then_some(()));
        let _rest = ending.end(client, &mut operator);
        until("no watching client", || (watching(&mut operator)? == "0").then_some(()));
    }
}

#[test]
fn nothing_is_left_of_a_client_in_wait_with_a_write_behind_it() {
    walk(&State {
        enter: |scene, client| {
            say(client, "SET a 1\r\nWAIT 9 0\r\nSET held 1\r\n");
            until_blocked(&mut scene.operator, 1);
        },
        ..ANY
    });
}

/// Both replicas stand still.
fn pause_replicas(scene: &mut Scene) {
    order(&mut scene.operator, crate::support::BOTH, "PAUSE");
}

fn resume_replicas(scene: &mut Scene) {
    scene.nothing_was_done();
    order(&mut scene.operator, crate::support::BOTH, "RESUME");
    ok(&mut scene.operator, "SET after 1");
    assert_eq!(scene.operator.ask("WAIT 2 0").int(), Some(2), "the set goes on");
    scene.nothing_was_done();
}

#[test]
fn nothing_is_left_of_a_client_whose_write_waits_for_confirmation() {
    walk(&State {
        enter: |scene, client| {
            pause_replicas(scene);
            ok(client, "PROXY ACKS all 100000000");
            say(client, "SET a 1\r\nSET held 1\r\n");
            until_blocked(&mut scene.operator, 1);
        },
        leave: resume_replicas,
        ..OURS
    });
}

#[test]
fn nothing_is_left_of_a_client_whose_transaction_waits_for_confirmation() {
    walk(&State {
        enter: |scene, client| {
            pause_replicas(scene);
            ok(client, "PROXY ACKS all 100000000");
            say(client, "MULTI\r\nSET a 1\r\nEXEC\r\nSET held 1\r\n");
            until_blocked(&mut scene.operator, 1);
        },
        leave: resume_replicas,
        ..OURS
    });
}

#[test]
fn nothing_is_left_of_a_client_whose_read_waits_for_a_replica() {
    walk(&State {
        enter: |scene, client| {
            pause_replicas(scene);
            ok(client, "SET a 1");
            say(client, "GET a\r\nSET held 1\r\n");
        },
        leave: resume_replicas,
        ..OURS
    });
}

fn enter_pause(scene: &mut Scene, client: &mut Wire, requests: &str) {
    ok(&mut scene.operator, "CLIENT PAUSE 100000000 WRITE");
    say(client, requests);
    until_blocked(&mut scene.operator, 1);
}

fn leave_pause(scene: &mut Scene) {
    ok(&mut scene.operator, "CLIENT UNPAUSE");
    scene.nothing_was_done();
}

const PAUSED: State = State { leave: leave_pause, ..ANY };

#[test]
fn nothing_is_left_of_a_client_with_a_paused_write() {
    walk(&State { enter: |scene, it| enter_pause(scene, it, "INCR held\r\n"), ..PAUSED });
}

#[test]
fn nothing_is_left_of_a_client_with_a_paused_pipeline() {
    walk(&State {
        enter: |scene, it| {
            enter_pause(scene, it, "INCR held\r\nPING\r\nGET held\r\nINCR held\r\n");
        },
        ..PAUSED
    });
}

#[test]
fn nothing_is_left_of_a_client_with_a_paused_transaction() {
    walk(&State {
        enter: |scene, it| enter_pause(scene, it, "MULTI\r\nINCR held\r\nPING\r\nEXEC\r\n"),
        ..PAUSED
    });
}

#[test]
fn nothing_is_left_of_a_client_blocked_on_keys() {
    walk(&State {
        enter: |scene, client| {
            say(client, "BLMOVE awaited held LEFT LEFT 0\r\nSET held 1\r\n");
            until_blocked(&mut scene.operator, 1);
        },
        leave: |scene| {
            scene.nothing_was_done();
            until(&format!("no key to be waited for: {}", scene.walk), || {
                // Redis 7.0 does not tell.
                let keys = info_field(&mut scene.operator, "clients", "total_blocking_keys");
                keys.is_none_or(|it| it == "0").then_some(())
            });
        },
        ..ANY
    });
}

/// The element that it waited for stays.
#[test]
fn a_client_that_is_gone_takes_no_element_with_it() {
    for server in Server::both() {
        let mut operator = server.dial();
        for ending in ENDINGS {
            let mut client = server.dial();
            client.send_raw(b"BLPOP awaited 0\r\nSET held 1\r\n");
            until_blocked(&mut operator, 1);
            let _rest = ending.end(client, &mut operator);
            crate::support::until_alone(&mut operator);
            assert_eq!(operator.ask("RPUSH awaited 1").int(), Some(1));
            assert_eq!(operator.ask("LPOP awaited").string(), "1", "{ending:?}");
            assert_eq!(operator.ask("EXISTS held").int(), Some(0), "{ending:?}");
        }
    }
}

#[test]
fn nothing_is_left_of_a_client_that_sleeps() {
    walk(&State {
        enter: |scene, client| {
            say(client, "DEBUG SLEEP 1e9\r\nSET held 1\r\n");
            until_blocked(&mut scene.operator, 1);
        },
        ..OURS
    });
}

#[test]
fn nothing_is_left_of_a_client_whose_migration_gets_no_answer() {
    walk(&State {
        enter: |scene, client| {
            let port = scene.silent.local_addr().unwrap().port();
            ok(&mut scene.operator, "SET stays 1");
            say(client, &format!("MIGRATE 127.0.0.1 {port} stays 0 100000000\r\nSET held 1\r\n"));
            until_blocked(&mut scene.operator, 1);
        },
        leave: |scene| {
            scene.nothing_was_done();
            assert_eq!(scene.operator.ask("INCR stays").int(), Some(2));
            // Its connection to the other server ends, too, if it has come to one.
            scene.silent.set_nonblocking(true).unwrap();
            while let Ok((mut other, _)) = scene.silent.accept() {
                other.set_nonblocking(false).unwrap();
                other.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                let ended = other.read_to_end(&mut Vec::new());
                let is_reset = |it: &io::Error| it.kind() == ErrorKind::ConnectionReset;
                assert!(ended.as_ref().err().is_none_or(is_reset), "{ended:?}");
            }
        },
        ..OURS
    });
}

/// Pauses a replica. A failover whose client has gone may go on until then, and choose another master.
fn pause_candidate(operator: &mut Wire) -> &'static str {
    until("a replica to be paused", || {
        let master = info_field(operator, "replication", "master_name")?;
        let candidate = if master == "n2" { "n3" } else { "n2" };
        let paused = operator.ask(&format!("PROXY NODE {candidate} PAUSE"));
        (paused.text() == Some(b"OK")).then_some(candidate)
    })
}

/// A replica that has much to apply is told to take over.
#[test]
fn nothing_is_left_of_a_client_that_waits_for_a_failover() {
    walk(&State {
        enter: |scene, client| {
            let operator = &mut scene.operator;
            let members: Vec<String> = (0..3000).map(|it| format!("{it} m{it}")).collect();
            operator.ask(&format!("ZADD z {}", members.join(" ")));
            assert_eq!(operator.ask("WAIT 2 0").int(), Some(2));
            let candidate = pause_candidate(operator);
            let copy = crate::support::words(&["ZUNIONSTORE", "d", "1", "z"]);
            operator.pipeline(&vec![copy; 30]);
            order(operator, &[candidate], "RESUME");
            say(client, &format!("PROXY FAILOVER TO {candidate}\r\n"));
        },
        leave: |scene| {
            ok(&mut scene.operator, "SET after 1");
            assert_eq!(scene.operator.ask("WAIT 2 0").int(), Some(2), "the set goes on");
        },
        ..OURS
    });
}

/// The config file is a pipe into which nobody has written yet.
#[test]
fn nothing_is_left_of_a_client_that_waits_for_a_reload() {
    walk(&State {
        enter: |scene, client| {
            let path = scene.config();
            fs::rename(&path, path.with_extension("kept")).unwrap();
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            say(client, "PROXY RELOAD\r\nSET held 1\r\n");
            until_blocked(&mut scene.operator, 1);
        },
        leave: |scene| {
            scene.nothing_was_done();
            let path = scene.config();
            let kept = path.with_extension("kept");
            // Opened for both directions, it does not wait for a reader; who opens it later finds the
            // file in its place.
            let mut pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            pipe.write_all(&fs::read(&kept).unwrap()).unwrap();
            fs::rename(kept, path).unwrap();
            drop(pipe);
            until("a reload to succeed", || {
                (scene.operator.ask("PROXY RELOAD").text() == Some(b"OK")).then_some(())
            });
            scene.nothing_was_done();
        },
        ..OURS
    });
}

#[test]
fn nothing_is_left_of_a_client_that_does_not_read_its_replies() {
    walk(&State {
        enter: |scene, client| {
            let value = "x".repeat(100_000);
            ok(&mut scene.operator, &format!("SET long {value}"));
            client.send_raw(&b"GET long\r\n".repeat(400));
            until_unsent(&mut scene.operator);
        },
        leave: |scene| drop(scene.operator.ask("DEL long")),
        ..ANY
    });
}

#[test]
fn nothing_is_left_of_a_client_that_does_not_read_what_a_transaction_answers() {
    walk(&State {
        enter: |scene, client| {
            let value = "x".repeat(100_000);
            ok(&mut scene.operator, &format!("SET long {value}"));
            let queued = "GET long\r\n".repeat(400);
            client.send_raw(format!("MULTI\r\n{queued}EXEC\r\n").as_bytes());
            until_unsent(&mut scene.operator);
        },
        leave: |scene| drop(scene.operator.ask("DEL long")),
        ..ANY
    });
}
