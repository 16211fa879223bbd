//! The errors that are the proxy's own, by kind: each kind has a code, which a client can go by,
//! and a text that says what to do. What Redis answers too has Redis' code and text, and words that
//! a command does not take are `ERR`, as there: they say what is accepted.

use super::Fault;
use std::fmt::Display;

/// Every code that is the proxy's own, or that it answers for reasons of its own, and what a client
/// does about it. `config/docs/errors.md` tells them at length.
pub const CODES: &[(&str, &str)] = &[
    ("BADTOKEN", "ask PROXY TOKEN for another"),
    ("BUSY", "SCRIPT KILL or FUNCTION KILL stops it; reads at replicas go on"),
    ("FORWARDLOST", "look whether the write was done"),
    ("FORWARDQUEUE", "try again later"),
    ("KEYSCHANGED", "send the keys that are left again"),
    ("LAGGED", "try again, or ask for less"),
    ("LOADING", "try again later"),
    ("LONGQUEUE", "try again later"),
    ("LOSTWRITE", "write again what must not be lost"),
    ("MASTERDOWN", "try again once there is a master"),
    ("MISCONF", "try again once the disk is well"),
    ("NOREPLICAS", "try again once replicas are near enough"),
    ("NOSUCHMEMBER", "ask PROXY NODES for the names"),
    ("NOTDURABLE", "wait for it: the write is done"),
    ("NOTINSERVICE", "take another member"),
    ("NOTHOSTED", "ask the server itself"),
    ("NOTMASTER", "leave out AT"),
    ("NOPROTO", "say HELLO 3"),
    ("OOM", "make room: raise maxmemory, or delete keys"),
    ("QUEUELIMIT", "make the transaction smaller"),
    ("RELOADFAILED", "mend the file"),
    ("REFUSED", "leave it: an operator has disabled it"),
    ("REFUSEDORDER", "look at PROXY NODES"),
    ("SCANLOST", "begin the scan again"),
    ("UNKNOWNHISTORY", "say ELSE master or ELSE stale"),
    ("WATCHLIMIT", "watch fewer keys"),
];

/// Text that nobody signed as a token.
pub const NOT_A_TOKEN: Fault =
    Fault::Static("BADTOKEN that is not a token: ask PROXY TOKEN for one");
/// A token with a wrong signature.
pub const FORGED_TOKEN: Fault = Fault::Static(
    "BADTOKEN the token's signature is wrong: was it altered, or signed by another proxy? Proxies \
     that exchange tokens need the same token-secret",
);
/// A token whose history this process has never had, or has forgotten.
pub const UNKNOWN_HISTORY: Fault = Fault::Static(
    "UNKNOWNHISTORY the token is of another process, or from before a restart: say ELSE master or \
     ELSE stale behind it, or leave it out and ask PROXY TOKEN for one of today",
);
/// A write that PROXY ONCE AT sends to a replica.
pub const NOT_MASTER: Fault = Fault::Static(
    "NOTMASTER AT names a replica, and writes go to the master: leave out AT, or name the master",
);
/// Attributes for a client that cannot read them.
pub const NO_ATTRIBUTES: Fault = Fault::Static(
    "NOPROTO RESP2 has no attributes to tag replies with: say HELLO 3, or ask PROXY LAST behind a \
     command",
);
/// A transaction that is too large.
pub const QUEUE_LIMIT: Fault = Fault::Static(
    "QUEUELIMIT the transaction is too large to queue: a client may queue as much as a query may \
     hold",
);
/// More watched keys than a client may have.
pub const WATCH_LIMIT: Fault = Fault::Static(
    "WATCHLIMIT too many keys under WATCH: a client may watch 65536 keys, of 64 MB together",
);

/// A write of a client at a replica.
pub const READ_ONLY: Fault = Fault::Static("READONLY You can't write against a read only replica.");
/// A write that was to be on disk before it is answered, and is not in time.
pub const NOT_ON_DISK: Fault = Fault::Static(
    "NOTDURABLE the write is done, and is not on disk in time: do not write it again; WAITAOF 1 0 \
     says when it is",
);
/// Anything but a few words while data is being loaded.
pub const LOADING: Fault = Fault::Static("LOADING Redis is loading the dataset in memory");

/// What would grow while there is no room.
pub const OUT_OF_MEMORY: Fault =
    Fault::Static("OOM command not allowed when used memory > 'maxmemory'.");

/// A write while what is written cannot be kept: not in the append-only file, for this reason, or
/// not in a snapshot.
#[cold]
pub fn misconf(is_aof: bool, why: &str) -> Fault {
    if is_aof {
        return Fault::Message(format!("MISCONF Errors writing to the AOF file: {why}"));
    }
    Fault::Static(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist \
         to disk. Commands that may modify the data set are disabled, because this instance is \
         configured to report errors during writes if RDB snapshotting fails \
         (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the \
         RDB error.",
    )
}

/// Anything but a few words while a replica has no link to its master.
pub const LINK_DOWN: Fault = Fault::Static(
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
);
/// REPLICAOF of a server to itself.
pub const OWN_MASTER: Fault = Fault::Static(
    "ERR that is this server itself, and nobody follows their own stream: name another one",
);

/// A request that was sent to the remote master, and whose reply never came.
pub const FORWARD_LOST: Fault = Fault::Static(
    "FORWARDLOST the connection to the master ended before it answered: it may have done this or \
     not, and it is not sent again; look before you send it again",
);
/// The same of a server among several.
pub fn lost_at(name: &str) -> Fault {
    Fault::Message(format!(
        "FORWARDLOST the connection to {name} ended before it answered, or another is the master \
         now: it may have done this or not, and it is not sent again; look before you send it again"
    ))
}
/// More requests wait for a server among several than may.
pub fn queue_at(name: &str) -> Fault {
    Fault::Message(format!(
        "FORWARDQUEUE too many requests wait for {name}, and this one was not sent: try again later"
    ))
}
/// More requests wait for the remote master than may.
pub const FORWARD_QUEUE: Fault = Fault::Static(
    "FORWARDQUEUE too many requests wait for the master, and this one was not sent: try again \
     later",
);

/// A transaction is not done, for this reason.
pub fn transaction_discarded(why: impl Display) -> Fault {
    Fault::Message(format!("EXECABORT Transaction discarded because of: {why}"))
}

/// The remote master cannot be reached.
pub fn master_unreachable(why: impl Display) -> Fault {
    Fault::Message(format!(
        "MASTERDOWN the master cannot be reached, and this was not sent to it: {why}"
    ))
}

/// More clients wait for keys, or watch some, than may at real servers.
pub const PRIVATE_LIMIT: Fault = Fault::Static(
    "FORWARDQUEUE too many clients have connections of their own to the master, and this was not \
     sent: try again later",
);
/// What is a master's, while no real server is one.
pub const NO_REAL_MASTER: Fault = Fault::Static(
    "MASTERDOWN no server is the master now, and this was not sent to one: PROXY NODES tells how \
     they stand",
);
/// What was read at a real server that was no master any more when it had answered.
pub fn master_no_more(name: &str) -> Fault {
    Fault::Message(format!(
        "MASTERDOWN {name} has answered and is no master any more, and what it read may be old: \
         read again"
    ))
}

/// A SCAN whose server is not there any more: its cursor means nothing to another.
pub const SCAN_LOST: Fault = Fault::Static(
    "SCANLOST the server that gave this cursor does not go on with it, and to others it means \
     nothing: begin the scan again",
);
/// The same where that server is known.
pub fn scan_lost_at(name: &str) -> Fault {
    Fault::Message(format!(
        "SCANLOST {name} gave this cursor and does not go on with it, and to others it means \
         nothing: begin the scan again"
    ))
}
/// A cursor that has no room for the name of its server.
pub const LONG_CURSOR: Fault = Fault::Static(
    "SCANLOST the server's cursor is too long to be passed on: scan at the server itself",
);

/// A command that only hosted members know, in a set of real servers.
pub fn not_upstream(name: &str) -> Fault {
    Fault::Message(format!(
        "NOTHOSTED {name} is for hosted members, and this set's are real servers: ask one of them"
    ))
}

/// SHUTDOWN where what is to be on disk cannot be written, or somebody has called it off.
pub const NOT_SHUT_DOWN: Fault = Fault::Static("ERR Errors trying to SHUTDOWN. Check logs.");

/// CLIENT TRACKING in front of real servers.
pub const NO_UPSTREAM_TRACKING: Fault = Fault::Static(
    "NOTHOSTED CLIENT TRACKING is not there in front of real servers: many clients share their \
     connections, and invalidations would go to all or to none; ask a server itself",
);

/// No member has this name.
pub fn no_such_member(names: &[&str]) -> Fault {
    Fault::Message(format!("NOSUCHMEMBER no such member; there are {}", names.join(", ")))
}

/// The member that a command names serves nobody.
pub fn not_in_service(name: &str, flags: impl Display) -> Fault {
    Fault::Message(format!("NOTINSERVICE {name} is not in service: it is {flags}"))
}

/// An order to a member that it cannot follow.
pub fn refused_order(name: &str, why: impl Display) -> Fault {
    Fault::Message(format!("REFUSEDORDER {name} does not take that order: {why}"))
}

/// A replica that cannot be taken out of the set.
pub fn cannot_be_removed(name: &str, why: impl Display) -> Fault {
    Fault::Message(format!("REFUSEDORDER {name} cannot be removed: {why}"))
}

/// The last replica that serves everybody is taken out of service only on a second word.
pub fn last_in_service(name: &str, order: &str) -> Fault {
    Fault::Message(format!(
        "REFUSEDORDER {name} is the last replica in service: without it all reads go to the \
         master; write {order} FORCE if that is meant"
    ))
}

/// The master is taken away from everything only on a second word.
pub fn master_in_service(name: &str) -> Fault {
    Fault::Message(format!(
        "REFUSEDORDER {name} is the master: hand its role over with PROXY FAILOVER TO first, or \
         write MAINTENANCE FORCE if nobody is to write"
    ))
}

/// The last member in service that a route names is taken out of service only on a second word.
pub fn last_of_route(name: &str, route: &str, ladder: impl Display, order: &str) -> Fault {
    Fault::Message(format!(
        "REFUSEDORDER {name} is the last replica in service that route `{route}` names: without it \
         its reads have only their ladder ({ladder}); write {order} FORCE if that is meant"
    ))
}

/// A member that cannot be added.
pub fn not_added(why: impl Display) -> Fault {
    Fault::Message(format!("REFUSEDORDER no member was added: {why}"))
}

/// A replica that cannot become the master.
pub fn cannot_take_over(name: &str, why: impl Display) -> Fault {
    Fault::Message(format!("REFUSEDORDER {name} cannot take over: {why}"))
}

/// A command that an operator has disabled by a route.
pub fn refused_by_route(route: &str, command: &str) -> Fault {
    Fault::Message(format!("REFUSED route `{route}` refuses '{command}' here"))
}

/// A config file that is not in force.
pub fn reload_failed(why: impl Display) -> Fault {
    Fault::Message(format!("RELOADFAILED {why}; nothing has changed"))
}

/// Keys that MIGRATE has sent and not deleted.
pub fn keys_changed(changed: usize, found: usize) -> Fault {
    Fault::Message(format!(
        "KEYSCHANGED {changed} of {found} keys changed here while they were sent, and were not \
         deleted: the target instance has older values, send them again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../config/docs/errors.md");

    #[test]
    fn the_guide_tells_every_code_and_no_other() {
        let told = GUIDE.lines().filter_map(|it| it.strip_prefix("| `-")?.split('`').next());
        let told: Vec<&str> = told.collect();
        let mut codes: Vec<&str> = CODES.iter().map(|it| it.0).collect();
        codes.sort_unstable();
        assert_eq!(told, codes);
    }

    #[test]
    fn every_error_of_ours_begins_with_a_code_of_the_list() {
        let made = [
            NOT_A_TOKEN,
            FORGED_TOKEN,
            UNKNOWN_HISTORY,
            NOT_MASTER,
            NO_ATTRIBUTES,
            QUEUE_LIMIT,
            WATCH_LIMIT,
            FORWARD_LOST,
            FORWARD_QUEUE,
            not_upstream("SAVE"),
            PRIVATE_LIMIT,
            NO_REAL_MASTER,
            lost_at("n1"),
            queue_at("n1"),
            master_no_more("n1"),
            scan_lost_at("n1"),
            SCAN_LOST,
            LONG_CURSOR,
            no_such_member(&["n1"]),
            not_in_service("n1", "paused"),
            refused_order("n1", "it is the master"),
            not_added("it is full"),
            cannot_take_over("n1", "it is the master"),
            reload_failed("e.toml:1"),
            refused_by_route("no-flush", "flushall"),
            keys_changed(1, 2),
            Fault::Busy(false),
            Fault::NoReplicas,
            Fault::MasterDown,
            Fault::NoMember,
            Fault::LongQueue,
            Fault::Lagged { behind_bytes: 1, eta_ms: None },
            Fault::NotDurable { offset: 1, acked: 0, wanted: 1 },
            Fault::LostWrite { from: 1, to: 2 },
            LOADING,
            OUT_OF_MEMORY,
            NOT_ON_DISK,
            misconf(true, "full"),
            misconf(false, ""),
        ];
        let code = |it: &Fault| it.to_string().split(' ').next().unwrap().to_owned();
        let made: Vec<String> = made.iter().map(code).collect();
        assert!(CODES.iter().all(|it| made.iter().any(|made| made == it.0)), "{made:?}");
        assert!(made.iter().all(|made| CODES.iter().any(|it| made == it.0)), "{made:?}");
    }
}
