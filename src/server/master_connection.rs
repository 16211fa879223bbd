//! A connection to the remote master, of which we are the client.

use super::link_replies::{LinkReplies, NoReply};
use super::question::{Question, found};
use crate::base::remote_address::RemoteAddress;
use crate::node::{FoundMaster, ReplicaSet};
use crate::replication::{ASK_MASTER_INFO, MasterInfo};
use crate::resp::{Protocol, encode_command};
use crate::route::Floor;
use crate::runtime::link::{Exchange, Link};
use crate::runtime::tasks;
use crate::state::Server;
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to be there, and an answer over one for that alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest chain of servers that follow each other.
const CHAIN_MAX: usize = 4;
/// The longest reply.
const REPLY_BYTES_MAX: usize = 1 << 30;

/// What ends a connection, or keeps it from being there.
#[derive(Debug)]
pub enum Fault {
    /// The socket.
    Io(io::Error),
    /// It took too long.
    TimedOut,
    /// The set follows nobody.
    NoMaster,
    /// What the master said when it was told who we are.
    Refused(String),
    /// What it sent is no reply.
    Broken,
    /// It sent a reply that nobody waits for.
    Unasked,
    /// Those we follow follow each other.
    Chain,
    /// It was closed here.
    Closed,
    /// Who was the master is none any more.
    NotMaster,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => error.fmt(f),
            Fault::TimedOut => f.write_str("it does not answer"),
            Fault::NoMaster => f.write_str("there is none"),
            Fault::Refused(text) => f.write_str(text),
            Fault::Broken => f.write_str("its bytes are no reply"),
            Fault::Unasked => f.write_str("it sent a reply that nobody waits for"),
            Fault::Chain => f.write_str("there is no end to whom it follows"),
            Fault::Closed => f.write_str("the connection was closed"),
            Fault::NotMaster => f.write_str("it is no master any more"),
        }
    }
}

impl From<NoReply> for Fault {
    fn from(fault: NoReply) -> Fault {
        match fault {
            NoReply::Io(error) => Fault::Io(error),
            NoReply::Broken | NoReply::TooLong => Fault::Broken,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// A connection to the master.
pub struct MasterConnection {
    /// The bytes.
    pub link: Link,
    /// The master that the set followed when it was made.
    pub of: RemoteAddress,
    /// Whom it has found.
    pub master: Mutex<FoundMaster>,
}

impl MasterConnection {
    /// Connects to the master that the set follows, and says who we are.
    pub async fn open(server: &Arc<Server>, protocol: Protocol) -> Result<MasterConnection, Fault> {
        let opened = tasks::within(CONNECT_TIMEOUT, open(server, protocol));
        opened.await.unwrap_or(Err(Fault::TimedOut))
    }

    /// Sends all of it.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        Ok(self.link.send(bytes).await?)
    }

    /// How to ask where the master's stream stands: who is of the history that the link follows has
    /// no other before the link has ended. What was told of a history that does not come is asked
    /// again, so that it is not taken for the newest for ever.
    pub fn question(&self, set: &ReplicaSet) -> Question {
        let master = *self.master.lock();
        // Behind a server that follows another the link says nothing of the master.
        let is_linked = || set.remote().is_some_and(|it| it.is_connected() && it.above() == 0);
        let is_known = |replid| {
            replid == set.history().replid && is_linked() && set.told_floor() != Floor::Foreign
        };
        match master.replid {
            Some(replid) if !is_known(replid) => Question::Info,
            _ => Question::Role(master),
        }
    }

    /// Asks what the master says of its history.
    pub async fn info(&self, replies: &mut LinkReplies) -> Result<MasterInfo, Fault> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, ASK_MASTER_INFO.into_iter());
        self.send(&bytes).await?;
        MasterInfo::read(&replies.next(&self.link).await?).ok_or(Fault::Broken)
    }

    /// The same, over a connection for this alone. `None` when the master does not answer.
    pub async fn info_once(server: &Arc<Server>) -> Option<MasterInfo> {
        let ask = async {
            let connection = MasterConnection::open(server, Protocol::Resp2).await.ok()?;
            connection.info(&mut connection.replies()).await.ok()
        };
        tasks::within(CONNECT_TIMEOUT, ask).await?
    }

    /// What is received from here on.
    pub fn replies(&self) -> LinkReplies {
        LinkReplies::up_to(REPLY_BYTES_MAX)
    }
}

/// Whoever we follow may follow another: writes go to the one that follows nobody.
async fn open(server: &Arc<Server>, protocol: Protocol) -> Result<MasterConnection, Fault> {
    let remote = server.set.remote().ok_or(Fault::NoMaster)?;
    let (mut host, mut port) = (remote.address.host.clone(), remote.address.port);
    for above in 0..CHAIN_MAX {
        let there = RemoteAddress { host, port };
        let (connection, role) = open_at(server, protocol, &there, &remote.address).await?;
        match master_of(&role) {
            None => {
                remote.note_above(above);
                return Ok(connection);
            }
            Some(next) => (host, port) = next,
        }
    }
    Err(Fault::Chain)
}

/// Connects to a server, says who we are, and asks what it is.
async fn open_at(
    server: &Arc<Server>,
    protocol: Protocol,
    there: &RemoteAddress,
    of: &RemoteAddress,
) -> Result<(MasterConnection, Vec<u8>), Fault> {
    let link = connect_to_master(server, there).await?;
    let connection = MasterConnection { link, of: of.clone(), master: Mutex::new(found(None)) };
    let settings = server.settings();
    let mut hello: Vec<Vec<&str>> = Vec::new();
    let upstream = settings.upstream.as_ref();
    let login = upstream.map_or_else(|| settings.set.follow.login(), |it| it.login());
    if let Some((user, password)) = login.filter(|_| !there.is_path()) {
        hello.push([Some("AUTH"), user, Some(password)].into_iter().flatten().collect());
    }
    if protocol == Protocol::Resp3 {
        hello.push(vec!["HELLO", "3"]);
    }
    hello.push(vec!["ROLE"]);
    let mut bytes = Vec::new();
    for words in &hello {
        encode_command(&mut bytes, words.iter().map(|it| it.as_bytes()));
    }
    encode_command(&mut bytes, ASK_MASTER_INFO.into_iter());
    connection.send(&bytes).await?;
    let (mut replies, mut role) = (connection.replies(), Vec::new());
    for _ in &hello {
        role = replies.next(&connection.link).await?;
        // One that is busy with a script tells nothing of itself, and can still be told to end it.
        if let Some(text) = role.strip_prefix(b"-").filter(|it| !it.starts_with(b"BUSY ")) {
            return Err(Fault::Refused(String::from_utf8_lossy(text).trim_end().to_owned()));
        }
    }
    // Who may not ask for that is not refused for it.
    let info = MasterInfo::read(&replies.next(&connection.link).await?);
    *connection.master.lock() = found(info.map(|it| it.at.replid));
    Ok((connection, role))
}

/// Connects to a master, which is the other process of an upgrade where it has a path.
pub async fn connect_to_master(server: &Server, there: &RemoteAddress) -> io::Result<Link> {
    if there.is_path() {
        return Link::connect_path(&there.host).await;
    }
    let tls = match server.upstream {
        Some(_) => server.tls.upstream(),
        None => server.tls.master(),
    };
    Link::connect_as(&there.host, there.port, tls.as_ref()).await
}

/// Whom a server follows, by the reply of ROLE: `slave <host> <port> …`.
fn master_of(role: &[u8]) -> Option<(String, u16)> {
    let text = std::str::from_utf8(role).ok()?;
    let mut lines = text.split("\r\n");
    let [kind, host, port] = [lines.nth(2)?, lines.nth(1)?, lines.next()?];
    let port = port.strip_prefix(':')?.parse().ok()?;
    // A path is one of its own machine's, and its own affair.
    (kind == "slave" && port != 0).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_tells_its_master() {
        let role = b"*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:5\r\n";
        assert_eq!(master_of(role), Some(("127.0.0.1".to_owned(), 6379)));
        assert_eq!(master_of(b"*5\r\n$5\r\nslave\r\n$2\r\n/a\r\n:0\r\n$1\r\nx\r\n:5\r\n"), None);
        assert_eq!(master_of(b"*3\r\n$6\r\nmaster\r\n:77\r\n*0\r\n"), None);
        assert_eq!(master_of(b"*1\r\n$8\r\nsentinel\r\n"), None);
    }
}
