//! Reads of real servers that are checked after they were answered: nothing is found where all is
//! well, and what is wrong is found.

use crate::support::{Kind, RealSet, Server, Wire, ok, starts, until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// How often an outcome of this check has been, and what was found.
fn count(wire: &mut Wire, check: &str, outcome: &str) -> i64 {
    let told = wire.ask("PROXY AUDIT");
    let told = told.list();
    let found = told.chunks(2).find(|it| it[0].string() == check).expect("it is told");
    let outcomes = found[1].list();
    let found = outcomes.chunks(2).find(|it| it[0].string() == outcome).expect("it is told");
    found[1].int().expect("a number")
}

fn findings(wire: &mut Wire) -> Vec<String> {
    let told = wire.ask("PROXY AUDIT");
    let findings = told.list().last().expect("they come last").list();
    findings.iter().map(|it| it.string()).collect()
}

/// Writes all kinds of values under a few keys, some of which expire at once.
fn write(port: u16, is_over: &AtomicBool) {
    let mut wire = Wire::dial(port).expect("a connection");
    for it in 0.. {
        if is_over.load(Relaxed) {
            return;
        }
        let at = it % 50;
        ok(&mut wire, &format!("SET s{at} {it}"));
        ok(&mut wire, &format!("SET gone{at} {it} PX 3"));
        wire.ask(&format!("HSET h{at} f {it}"));
        wire.ask(&format!("ZADD z{at} {it} m"));
        wire.ask(&format!("RPUSH l{at} {it}"));
    }
}

#[test]
fn reads_of_replicas_are_what_the_master_had() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let config = "[upstream]\naudit-one-in = 3\n[consistency]\nlevel = \"sticky\"\n";
        let proxy = set.proxy(config);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (port, is_over) = (proxy.port(), &is_over);
            let writer = scope.spawn(move || write(port, is_over));
            let reader = scope.spawn(move || {
                let mut wire = Wire::dial(port).expect("a connection");
                for it in 0.. {
                    let at = it % 50;
                    for words in ["GET s", "GET gone", "HGET h", "ZSCORE z", "LLEN l"] {
                        let more = match words {
                            "HGET h" => " f",
                            "ZSCORE z" => " m",
                            _ => "",
                        };
                        wire.ask(&format!("{words}{at}{more}"));
                    }
                    if is_over.load(Relaxed) {
                        return;
                    }
                }
            });
            let mut wire = proxy.dial();
            until("reads to be checked", || {
                (200 < count(&mut wire, "audit", "agreed")).then_some(())
            });
            is_over.store(true, Relaxed);
            writer.join().expect("it writes");
            reader.join().expect("it reads");
        });
        let mut wire = proxy.dial();
        assert_eq!(findings(&mut wire), Vec::<String>::new());
        assert_eq!(count(&mut wire, "audit", "wrong"), 0);
    }
}

#[test]
fn a_replica_that_has_something_else_is_found() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let config = "[upstream]\naudit-one-in = 1\n[consistency]\nlevel = \"sticky\"\n";
        let proxy = set.proxy(config);
        let mut wire = proxy.dial();
        ok(&mut wire, "SET k v");
        assert_eq!(wire.ask("WAIT 1 5000").int(), Some(1));
        let mut replica = set.members[1].dial();
        ok(&mut replica, "CONFIG SET replica-read-only no");
        ok(&mut replica, "SET k other");
        until("it to be found", || {
            wire.ask("GET k");
            (0 < count(&mut wire, "audit", "wrong")).then_some(())
        });
        let found = findings(&mut wire);
        assert!(found[0].contains("audit db 0 GET k: n2 has proved"), "{found:?}");
    }
}

#[test]
fn another_set_is_compared_with_this_one() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let other: Server = kind.server(&[]);
        let config = format!(
            "[upstream]\nshadow = \"127.0.0.1:{}\"\nshadow-one-in = 1\n[consistency]\n\
             level = \"sticky\"\n",
            other.port()
        );
        let proxy = set.proxy(&config);
        let (mut wire, mut theirs) = (proxy.dial(), other.dial());
        for key in ["same", "else"] {
            ok(&mut wire, &format!("SET {key} v"));
        }
        ok(&mut theirs, "SET same v");
        ok(&mut theirs, "SET else w");
        assert_eq!(wire.ask("WAIT 1 5000").int(), Some(1));
        until("agreement", || {
            wire.ask("GET same");
            (0 < count(&mut wire, "shadow", "agreed")).then_some(())
        });
        assert_eq!(count(&mut wire, "shadow", "wrong"), 0);
        until("a difference", || {
            wire.ask("GET else");
            (0 < count(&mut wire, "shadow", "wrong")).then_some(())
        });
        let found = findings(&mut wire);
        assert!(found[0].contains("shadow db 0 GET else: another answer at "), "{found:?}");
        assert!(found[0].ends_with(": here $1\\r\\nv\\r\\n, there $1\\r\\nw\\r\\n"), "{found:?}");
        let said = proxy.said();
        let line = said.lines().find(|it| it.contains("event=upstream-check-wrong")).expect("it");
        assert!(line.contains(" what=\"shadow db 0 GET else: another answer at "), "{line}");
        assert!(!line.contains("here"), "values are told by PROXY AUDIT alone: {line}");
        drop(other);
        until("it to be missed", || {
            wire.ask("GET same");
            (0 < count(&mut wire, "shadow", "unchecked")).then_some(())
        });
        let hosted = Server::entourage(&[]);
        starts(&hosted.dial().ask("PROXY AUDIT"), "ERR only reads of real servers");
    }
}
