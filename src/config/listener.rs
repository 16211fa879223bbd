//! Where clients come in, and how.

use crate::base::network::Network;
use crate::route::{Level, StickyScope};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// One door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// What rules and metrics call it.
    pub name: String,
    /// Where it is.
    pub at: Address,
    /// Whether clients speak TLS there.
    pub tls: bool,
    /// Whom it believes who a client is: proxies that say so with the PROXY protocol. Without it
    /// nobody speaks that there.
    pub proxies: Option<Proxies>,
    /// The mode of its path; without one it is as the process's umask has it.
    pub mode: Option<u32>,
    /// The level of reads that come in here, unless their route or session says otherwise.
    pub level: Option<Level>,
    /// Who of those that come in here share a floor, unless their session says otherwise.
    pub sticky_scope: Option<StickyScope>,
}

/// Proxies that stand in front of a listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxies {
    /// Where they are, at an address. At a path everybody is one who may open it.
    pub trusted: Vec<Network>,
}

/// Where a listener is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
}

impl Address {
    /// What a bind address looks like, for refusals.
    pub const ACCEPTED: &str = "an address or a name of this host, with a port or without, like \
                                127.0.0.1:6379, [::1]:6379 or localhost";
    /// The port where none is written: Redis'.
    pub const PORT: u16 = 6379;
}

impl Listener {
    /// One of this name, of which nothing else is said.
    pub(super) fn new(name: String, at: Address) -> Listener {
        let (level, sticky_scope) = (None, None);
        Listener { name, at, tls: false, proxies: None, mode: None, level, sticky_scope }
    }

    /// Why it cannot stand beside these.
    pub(super) fn clashes(&self, others: &[Listener]) -> Option<String> {
        // Port 0 asks for any free one, which is another each time.
        let any = matches!(&self.at, Address::Tcp(at) if at.port() == 0);
        match others {
            _ if others.iter().any(|it| it.name == self.name) => {
                Some(format!("the listener name `{}` is taken", self.name))
            }
            _ if !any && others.iter().any(|it| it.at == self.at) => {
                Some(format!("another listener is already at {}", self.at))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(at) => at.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Default for Listener {
    fn default() -> Listener {
        let at = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, Address::PORT)));
        Listener::new("main".to_owned(), at)
    }
}
