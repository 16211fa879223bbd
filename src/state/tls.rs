//! The certificates in force, and who is shaking hands.

use super::handshakes::Handshakes;
use crate::base::time::WallMs;
use crate::config::{Config, UpstreamTls};
use crate::runtime::clock;
use crate::runtime::tls::{ClientAuth, TlsClient, TlsFiles, TlsServer};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// The certificates in force, and what is counted of handshakes with clients.
#[derive(Default)]
pub struct Tls {
    in_force: RwLock<InForce>,
    /// Clients that shake hands.
    pub shaking: Handshakes,
    /// Handshakes with clients that have been made.
    pub handshakes: AtomicU64,
    /// Those that have failed, or took too long.
    pub failures: AtomicU64,
    /// Clients turned away because too many shook hands.
    pub crowded: AtomicU64,
}

/// What has been read of files, where something needs it.
#[derive(Clone, Default)]
struct InForce {
    listeners: Option<TlsServer>,
    master: Option<TlsClient>,
    upstream: Option<TlsClient>,
}

impl Tls {
    /// Reads the files that these settings name, and puts them in force for connections from now
    /// on. What cannot be used changes nothing. Reads files.
    pub fn load(&self, settings: &Config) -> Result<(), String> {
        let tls = settings.tls_files();
        let listeners = settings.listens_with_tls().then(|| TlsServer::read(&tls)).transpose()?;
        let master = settings.tls.replication.then(|| TlsClient::read(&tls)).transpose()?;
        let upstream = settings.upstream.as_ref().and_then(|it| it.tls.as_ref());
        let upstream = upstream.map(|it| TlsClient::read(&files_of(it))).transpose();
        let upstream = upstream.map_err(|why| format!("upstream: {why}"))?;
        if let Some(end) = listeners.as_ref().and_then(TlsServer::end) {
            warn_of_end(end, clock::wall_now());
        }
        *self.in_force.write() = InForce { listeners, master, upstream };
        Ok(())
    }

    /// Whether anything has been read of files.
    pub fn is_used(&self) -> bool {
        let InForce { listeners, master, upstream } = &*self.in_force.read();
        listeners.is_some() || master.is_some() || upstream.is_some()
    }

    /// What listeners show and ask for.
    pub fn listeners(&self) -> Option<TlsServer> {
        self.in_force.read().listeners.clone()
    }

    /// How a remote master is reached, where that is with TLS.
    pub fn master(&self) -> Option<TlsClient> {
        self.in_force.read().master.clone()
    }

    /// How members that are real servers are.
    pub fn upstream(&self) -> Option<TlsClient> {
        self.in_force.read().upstream.clone()
    }

    /// Forgets what has been counted.
    pub fn reset(&self) {
        let Tls { handshakes, failures, crowded, .. } = self;
        [handshakes, failures, crowded].into_iter().for_each(|it| it.store(0, Relaxed));
    }
}

/// So long before its end a certificate is worth a line.
const END_TOLD_MS: u64 = 14 * 24 * 3600 * 1000;

fn warn_of_end(end: WallMs, now: WallMs) {
    match now.until(end) {
        0 => log::warn!("event=tls-certificate-ended why=clients refuse it"),
        left if left < END_TOLD_MS => {
            log::warn!("event=tls-certificate-ends hours={}", left / (3600 * 1000));
        }
        _ => {}
    }
}

impl Config {
    fn tls_files(&self) -> TlsFiles {
        let tls = &self.tls;
        TlsFiles {
            cert: tls.cert_file.clone(),
            key: tls.key_file.clone(),
            client_cert: tls.client_cert_file.clone(),
            client_key: tls.client_key_file.clone(),
            ca_file: tls.ca_cert_file.clone(),
            ca_dir: tls.ca_cert_dir.clone(),
            clients: match tls.auth_clients.as_str() {
                "no" => ClientAuth::No,
                "optional" => ClientAuth::Optional,
                _ => ClientAuth::Yes,
            },
            speaks_12: tls.speaks("TLSv1.2"),
            speaks_13: tls.speaks("TLSv1.3"),
            checks_name: tls.checks_name,
            server_name: String::new(),
        }
    }
}

fn files_of(tls: &UpstreamTls) -> TlsFiles {
    TlsFiles {
        cert: tls.cert_file.clone(),
        key: tls.key_file.clone(),
        ca_file: tls.ca_cert_file.clone(),
        ca_dir: tls.ca_cert_dir.clone(),
        speaks_12: true,
        speaks_13: true,
        checks_name: tls.checks_name,
        server_name: tls.server_name.clone(),
        ..TlsFiles::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_used_change_nothing() {
        let tls = Tls::default();
        assert_eq!(tls.load(&Config::default()), Ok(()));
        let mut config = Config::default();
        config.listeners[0].tls = true;
        let why = tls.load(&config).unwrap_err();
        assert!(why.contains("tls-cert-file"), "{why}");
        config.tls.auth_clients = "no".to_owned();
        config.tls.cert_file = "/no/such/file".to_owned();
        config.tls.key_file = "/no/such/file".to_owned();
        let why = tls.load(&config).unwrap_err();
        assert!(why.starts_with("/no/such/file: "), "{why}");
        assert!(tls.listeners().is_none());
    }
}
