//! Who is connected, as a server tells it.

use super::expect::ok;
use super::patience::until;
use super::wire::{Wire, words};

/// A field of INFO, if there is one of this name.
pub fn info_field(wire: &mut Wire, section: &str, name: &str) -> Option<String> {
    let text = wire.cmd(&["INFO", section]).string();
    let start = format!("{name}:");
    text.lines().find_map(|it| it.strip_prefix(&start)).map(|it| it.trim().to_owned())
}

/// The lines of CLIENT LIST but for that of the client that asks.
pub fn others(wire: &mut Wire) -> Vec<String> {
    let own = wire.ask("CLIENT ID").int().expect("a number");
    let own = format!("id={own} ");
    let list = wire.ask("CLIENT LIST").string();
    list.lines().filter(|it| !it.starts_with(&own)).map(str::to_owned).collect()
}

/// Waits until the client that asks is the only one.
pub fn until_alone(wire: &mut Wire) {
    until("all other clients to be gone", || others(wire).is_empty().then_some(()));
}

/// Waits until the client that asks is the only one that is no replica.
pub fn until_alone_with_replicas(wire: &mut Wire) {
    until("all other clients to be gone", || {
        others(wire).iter().all(|it| it.contains(" flags=S")).then_some(())
    });
}

/// Waits until a client is no more that has hung up.
pub fn until_gone(operator: &mut Wire, id: i64) {
    let line = format!("id={id} ");
    until("the client to be gone", || {
        (!operator.ask("CLIENT LIST").string().contains(&line)).then_some(())
    });
}

/// Waits until a script of another client has run for so long that others can tell. FUNCTION KILL
/// lets it go on: it is no function.
pub fn until_running(operator: &mut Wire) {
    until("the script to hold its member", || {
        let told = operator.ask("FUNCTION KILL").string();
        (!told.starts_with("NOTBUSY")).then_some(())
    });
}

/// Who waits for a key at `ours` is served when `other` pushes, and `gone`, which hangs up as it
/// waits, leaves nothing behind: neither there nor at the server behind it, which `theirs` asks.
pub fn waits_are_served(ours: &mut Wire, other: &mut Wire, mut gone: Wire, theirs: &mut Wire) {
    waits_leave_watches_alone(ours, other);
    ours.send(&[words(&["BLPOP", "list", "10"])]);
    assert_eq!(other.ask("RPUSH list x").int(), Some(1));
    assert_eq!(ours.read().list()[1].string(), "x");
    assert!(ours.ask("BLPOP list 0.05").is_nil());
    gone.send(&[words(&["BLPOP", "list", "0"])]);
    until_blocked(theirs, 1);
    drop(gone);
    until_blocked(theirs, 0);
    ok(theirs, "SET still here");
}

/// A call that waits ends no watch, and is made in the database that is selected.
fn waits_leave_watches_alone(ours: &mut Wire, other: &mut Wire) {
    for (db, is_changed) in [("SELECT 3", false), ("SELECT 0", false), ("SELECT 0", true)] {
        ok(ours, db);
        ok(ours, "WATCH watched");
        ok(ours, "SELECT 0");
        assert!(ours.ask("BLPOP list 0.05").is_nil());
        assert_eq!(other.ask("RPUSH list x").int(), Some(1));
        assert_eq!(ours.ask("BLPOP list 5").list()[1].string(), "x");
        if is_changed {
            assert_eq!(other.ask("INCR watched").int(), Some(1));
        }
        ok(ours, "MULTI");
        assert_eq!(ours.ask("DEL watched").string(), "QUEUED");
        assert_eq!(ours.ask("EXEC").is_nil(), is_changed);
    }
    assert_eq!(other.ask("DEL watched").int(), Some(1));
}

/// Waits until replies wait for the client that came last to read them.
pub fn until_unsent(wire: &mut Wire) {
    until("replies to be left over", || (!others(wire).last()?.contains(" omem=0 ")).then_some(()));
}

/// Waits until so many clients are blocked.
pub fn until_blocked(wire: &mut Wire, clients: usize) {
    let wanted = clients.to_string();
    until("clients to be blocked", || {
        let blocked = info_field(wire, "clients", "blocked_clients");
        (blocked.as_deref() == Some(wanted.as_str())).then_some(())
    });
}
