//! The raw log of the master, repeated by an empty server that follows it over the wire: it must
//! come to hold the same.

use crate::support::{Server, Wire, digests, info_field, ok, until, within};
use std::time::Duration;

/// A server that does not hold the same after so long never does.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who repeats what the log of a server says.
pub struct Replay {
    empty: Server,
}

impl Replay {
    /// From now on, when the server is empty.
    pub fn of(server: &Server) -> Replay {
        let empty = Server::entourage(&["--replicas", "0", "--threads", "1"]);
        let mut wire = empty.dial();
        ok(&mut wire, &format!("REPLICAOF 127.0.0.1 {}", server.port()));
        until("it to follow", || {
            let link = info_field(&mut wire, "replication", "master_link_status");
            (link.as_deref() == Some("up")).then_some(())
        });
        Replay { empty }
    }

    /// Both hold the same, once all has been said, and none of it came as a snapshot.
    pub fn compare(&self, server: &Server) -> Result<(), String> {
        let (mut ours, mut empty) = (server.dial(), self.empty.dial());
        let told = |wire: &mut Wire| {
            let libraries = wire.ask("FUNCTION LIST WITHCODE");
            let libraries = libraries.list().iter().map(|it| it.to_string().len());
            (digests(wire).remove(0), libraries.sum::<usize>())
        };
        let wanted = told(&mut ours);
        let are_same = within(PATIENCE, || (told(&mut empty) == wanted).then_some(()));
        if are_same.is_none() {
            return Err(format!("the raw log leaves {:?}, not {wanted:?}", told(&mut empty)));
        }
        match info_field(&mut ours, "stats", "sync_full").as_deref() {
            Some("1") => Ok(()),
            times => Err(format!("it was copied {times:?} times")),
        }
    }
}
