//! Listeners with TLS, and what TLS lacks that is asked for.

use super::locate::Place;
use super::{Address, Config};

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
