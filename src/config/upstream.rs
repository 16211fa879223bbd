//! What is said of a set whose members are real servers: where they are, and what is waited for.

use super::tls::UpstreamTls;
use crate::base::remote_address::RemoteAddress;
use crate::route::{Ladder, Step};
use std::time::Duration;

/// A set whose members are real servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upstream {
    /// Who says which servers these are.
    pub topology: Topology,
    /// The user that logs in at members; empty for the default one.
    pub user: String,
    /// That user's password; empty for none.
    pub password: String,
    /// Where Entourage is: replicas of this zone are read first.
    pub zone: Option<String>,
    /// How they are reached with TLS, if they are.
    pub tls: Option<UpstreamTls>,
    /// How long a connection may take to be there.
    pub connect_timeout: Duration,
    /// How long a replica may take to answer before its reads are tried elsewhere.
    pub replica_timeout: Duration,
    /// How long the master may take to answer.
    pub reply_timeout: Duration,
    /// How often each member is asked how it stands.
    pub probe_every: Duration,
    /// How long a request waits to be sent while nobody can take it.
    pub buffer_for: Duration,
    /// Bytes of requests that may wait for one member, at each worker.
    pub queue_bytes_max: usize,
}

/// Who says which servers are members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Topology {
    /// The configuration: each `[[member]]` has an address.
    Static,
    /// Sentinels.
    Sentinel(Sentinels),
}

/// The sentinels that know a master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sentinels {
    /// Where they are.
    pub addresses: Vec<RemoteAddress>,
    /// What they call the master.
    pub master_name: String,
    /// How many of them must name the same master.
    pub quorum: usize,
    /// The user that logs in at sentinels; empty for the default one.
    pub user: String,
    /// That user's password; empty for none.
    pub password: String,
}

/// Who logs in with these, if anybody does: user and password.
fn login<'a>(user: &'a str, password: &'a str) -> Option<(Option<&'a str>, &'a str)> {
    let user = (!user.is_empty()).then_some(user);
    (!password.is_empty()).then_some((user, password))
}

impl Upstream {
    /// Who logs in at members, if anybody does: user and password.
    pub fn login(&self) -> Option<(Option<&str>, &str)> {
        login(&self.user, &self.password)
    }

    /// What a read tries when its replica is behind, where nothing is said of that.
    pub(super) fn default_ladder() -> Ladder {
        Ladder::new(&[Step::OtherReplica, Step::Master]).expect("neither makes the other useless")
    }
}

impl Sentinels {
    /// Who logs in at sentinels, if anybody does: user and password.
    pub fn login(&self) -> Option<(Option<&str>, &str)> {
        login(&self.user, &self.password)
    }
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream {
            topology: Topology::Static,
            user: String::new(),
            password: String::new(),
            zone: None,
            tls: None,
            connect_timeout: Duration::from_secs(1),
            replica_timeout: Duration::from_secs(1),
            reply_timeout: Duration::from_secs(10),
            probe_every: Duration::from_millis(250),
            buffer_for: Duration::from_secs(2),
            queue_bytes_max: 64 << 20,
        }
    }
}
