//! What INFO replication tells of a server.

use crate::base::number::parse_u64;
use crate::base::position::{Offset, Position};
use crate::replication::MasterInfo;

/// The field by which an Entourage in front of servers says that it is none itself.
pub const PROXY_FIELD: &str = "upstream_proxy";

/// What a server has told of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Whether it follows nobody.
    pub is_master: bool,
    /// Its history, and the end of what it has of it.
    pub at: Position,
    /// The histories before, newest first, each up to where this one shares it.
    pub past: Vec<Position>,
    /// Of a replica: where its master is.
    pub follows: Option<(Vec<u8>, u16)>,
    /// Of a replica: whether the stream comes.
    pub is_linked: bool,
    /// Of a replica: whether it loads a snapshot.
    pub is_syncing: bool,
    /// The run of the Entourage that this is, if it is one in front of servers.
    pub proxy: Option<String>,
    /// Of a master: what each replica has acknowledged that is online.
    pub acked: Vec<Offset>,
}

impl Report {
    /// Reads the reply of INFO, if it is one.
    pub fn read(reply: &[u8]) -> Option<Report> {
        let MasterInfo { is_master, at, past, acked } = MasterInfo::read(reply)?;
        let told = String::from_utf8_lossy(reply);
        let field = |name: &str| {
            told.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let port = field("master_port").and_then(|it| parse_u64(it.as_bytes()));
        let port = port.and_then(|it| u16::try_from(it).ok());
        let follows = field("master_host").zip(port).filter(|_| !is_master);
        Some(Report {
            is_master,
            at,
            past,
            follows: follows.map(|(host, port)| (host.as_bytes().to_vec(), port)),
            is_linked: field("master_link_status") == Some("up"),
            proxy: field(PROXY_FIELD).map(str::to_owned),
            is_syncing: field("master_sync_in_progress") == Some("1"),
            acked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::ReplId;

    #[test]
    fn a_replica_tells_its_link_and_whom_it_follows() {
        let replid = ReplId::new([7; 20]);
        let text = format!(
            "$1\r\nrole:slave\r\nmaster_host:10.0.0.7\r\nmaster_port:6380\r\n\
             master_link_status:down\r\nmaster_sync_in_progress:1\r\nmaster_replid:{replid}\r\n\
             master_repl_offset:50\r\n"
        );
        let report = Report::read(text.as_bytes()).unwrap();
        assert_eq!(report.follows, Some((b"10.0.0.7".to_vec(), 6380)));
        assert!(!report.is_master && !report.is_linked && report.is_syncing);
        assert_eq!(report.at, Position { replid, offset: Offset::new(50) });
        let up = Report::read(text.replace("down", "up").as_bytes()).unwrap();
        assert!(up.is_linked);
        assert_eq!(up.proxy, None);
        let proxy = text.replace("role:slave", "role:slave\r\nupstream_proxy:abc");
        assert_eq!(Report::read(proxy.as_bytes()).unwrap().proxy.as_deref(), Some("abc"));
        assert_eq!(Report::read(b"-NOPERM\r\n"), None);
    }
}
