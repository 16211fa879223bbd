//! What is said of TLS: certificates, keys, and who is trusted.

use super::locate::Place;
use super::{Address, Config};

/// Certificates and keys, by their files, and what is asked of peers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The file of our certificate, with those that link it to its authority; empty for none.
    pub cert_file: String,
    /// The file of its key.
    pub key_file: String,
    /// What is shown to servers in its place; empty for the same.
    pub client_cert_file: String,
    /// The key of that.
    pub client_key_file: String,
    /// The file of the authorities that are trusted; empty for none.
    pub ca_cert_file: String,
    /// A directory of such files; empty for none.
    pub ca_cert_dir: String,
    /// Whether clients must show a certificate: `no`, `yes` or `optional`.
    pub auth_clients: String,
    /// The versions that are spoken; empty for all.
    pub protocols: String,
    /// Whether a remote master is reached with TLS.
    pub replication: bool,
    /// Whether a remote master's certificate must be for the name that it is reached by.
    pub checks_name: bool,
}

/// What is said of TLS to real servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamTls {
    /// The file of our certificate; empty for none.
    pub cert_file: String,
    /// The file of its key.
    pub key_file: String,
    /// The file of the authorities that are trusted; empty for none.
    pub ca_cert_file: String,
    /// A directory of such files; empty for none.
    pub ca_cert_dir: String,
    /// Whether a server's certificate must be for the name that it is reached by.
    pub checks_name: bool,
    /// The name that it must be for instead; empty for that.
    pub server_name: String,
}

/// The versions of TLS that are spoken.
pub const PROTOCOLS: &[&str] = &["TLSv1.2", "TLSv1.3"];

impl Tls {
    /// Whether this version is spoken.
    pub fn speaks(&self, version: &str) -> bool {
        self.protocols.is_empty() || self.protocols.split(' ').any(|it| it == version)
    }

    /// Whether it has none of what peers are trusted by.
    fn trusts_nobody(&self) -> bool {
        self.ca_cert_file.is_empty() && self.ca_cert_dir.is_empty()
    }
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            cert_file: String::new(),
            key_file: String::new(),
            client_cert_file: String::new(),
            client_key_file: String::new(),
            ca_cert_file: String::new(),
            ca_cert_dir: String::new(),
            auth_clients: "yes".to_owned(),
            protocols: String::new(),
            replication: false,
            checks_name: false,
        }
    }
}

impl Config {
    /// Whether clients come in with TLS anywhere.
    pub fn listens_with_tls(&self) -> bool {
        self.listeners.iter().any(|it| it.tls)
    }

    /// The port of the first listener with TLS; 0 where there is none.
    pub fn tls_port(&self) -> u16 {
        self.port_of(true)
    }

    /// The port of the first listener with TLS, or without.
    pub(super) fn port_of(&self, tls: bool) -> u16 {
        let ports =
            self.listeners.iter().filter(|it| it.tls == tls).filter_map(|it| match &it.at {
                Address::Tcp(at) => Some(at.port()),
                Address::Unix(_) => None,
            });
        ports.into_iter().next().unwrap_or(0)
    }

    /// What TLS lacks that is asked for.
    pub(super) fn half_tls(&self) -> Option<(Place, String)> {
        let tls = &self.tls;
        let listener = self.listeners.iter().position(|it| it.tls);
        if let Some(at) = listener {
            let place = Place::Listener(at, "tls");
            if tls.cert_file.is_empty() || tls.key_file.is_empty() {
                let why = "a listener with TLS needs server.tls-cert-file and server.tls-key-file";
                return Some((place, why.to_owned()));
            }
            if tls.auth_clients != "no" && tls.trusts_nobody() {
                let why = "a listener with TLS needs server.tls-ca-cert-file or \
                           server.tls-ca-cert-dir, to know clients by: set one, or \
                           server.tls-auth-clients = \"no\"";
                return Some((place, why.to_owned()));
            }
        }
        if tls.replication && tls.trusts_nobody() {
            let why = "server.tls-replication needs server.tls-ca-cert-file or \
                       server.tls-ca-cert-dir, to know the master by";
            return Some((Place::Server("tls-replication"), why.to_owned()));
        }
        None
    }
}
