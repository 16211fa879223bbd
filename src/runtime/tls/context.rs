//! What one end of connections over TLS shows, and whom it trusts.

use super::certificate::end_of;
use super::fault::TlsFault;
use super::files::{ClientAuth, TlsFiles, roots, shown};
use super::verifier::AnyName;
use crate::base::time::WallMs;
use rustls::client::{UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::{
    NoClientAuth, ServerSessionMemoryCache, UnbufferedServerConnection, WebPkiClientVerifier,
};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Sessions that clients may come back to without a whole handshake.
const SESSIONS_MAX: usize = 4096;

/// What listeners show and ask for.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
    end: Option<WallMs>,
}

/// What is shown to servers, and asked of them.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: String,
    checks_name: bool,
}

/// Keys cannot be changed within a connection of TLS 1.2, so it ends when they have encrypted so
/// many records as is safe: with AES-GCM 2^24, which a busy client has sent in minutes. ChaCha20
/// bears more than anybody sends, so of the ciphers of 1.2 it comes first.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    let is_short_lived = |it: &SupportedCipherSuite| match it {
        SupportedCipherSuite::Tls12(it) => it.common.confidentiality_limit != u64::MAX,
        SupportedCipherSuite::Tls13(_) => false,
    };
    provider.cipher_suites.sort_by_key(is_short_lived);
    Arc::new(provider)
}

impl TlsFiles {
    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
        let all = [(self.speaks_13, &TLS13), (self.speaks_12, &TLS12)];
        let versions: Vec<_> = all.into_iter().filter(|it| it.0).map(|it| it.1).collect();
        if versions.is_empty() { Err("no version of TLS is left".to_owned()) } else { Ok(versions) }
    }

    fn roots(&self, why: &str) -> Result<Arc<RootCertStore>, String> {
        if self.ca_file.is_empty() && self.ca_dir.is_empty() {
            return Err(format!("either tls-ca-cert-file or tls-ca-cert-dir is needed {why}"));
        }
        roots(&self.ca_file, &self.ca_dir).map(Arc::new)
    }
}

impl TlsServer {
    /// Reads what an operator has named. Reads files.
    pub fn read(files: &TlsFiles) -> Result<TlsServer, String> {
        if files.cert.is_empty() || files.key.is_empty() {
            return Err("a listener with TLS needs tls-cert-file and tls-key-file".to_owned());
        }
        let provider = provider();
        let verifier = match files.clients {
            ClientAuth::No => Arc::new(NoClientAuth),
            asked => {
                let roots = files.roots("while tls-auth-clients is not no")?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                let verifier = match asked {
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                verifier.build().map_err(|it| it.to_string())?
            }
        };
        let (certificates, key) = shown(&files.cert, &files.key)?;
        let end = certificates.iter().filter_map(|it| end_of(it)).min();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&files.versions()?)
            .map_err(|it| it.to_string())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, key)
            .map_err(|it| format!("{}, {}: {it}", files.cert, files.key))?;
        config.ignore_client_order = true;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(TlsServer { config: Arc::new(config), end })
    }

    /// When the first of the certificates ends that are shown.
    pub fn end(&self) -> Option<WallMs> {
        self.end
    }

    pub(super) fn connection(&self) -> Result<UnbufferedServerConnection, TlsFault> {
        Ok(UnbufferedServerConnection::new(self.config.clone())?)
    }
}

impl TlsClient {
    /// Reads what an operator has named. Reads files.
    pub fn read(files: &TlsFiles) -> Result<TlsClient, String> {
        TlsClient::that_trusts(files.roots("to trust servers")?, files)
    }

    /// The same, and trusts this system's authorities where none are named: those of its own store,
    /// or that SSL_CERT_FILE and SSL_CERT_DIR name. Reads files.
    pub fn read_or_system(files: &TlsFiles) -> Result<TlsClient, String> {
        if !files.ca_file.is_empty() || !files.ca_dir.is_empty() {
            return TlsClient::read(files);
        }
        TlsClient::that_trusts(Arc::new(roots_of_system()?), files)
    }

    fn that_trusts(roots: Arc<RootCertStore>, files: &TlsFiles) -> Result<TlsClient, String> {
        let provider = provider();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let verifier = verifier.map_err(|it| it.to_string())?;
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&files.versions()?)
            .map_err(|it| it.to_string())?;
        let config = if files.checks_name {
            config.with_webpki_verifier(verifier)
        } else {
            let any_name = AnyName::new(roots, provider, verifier);
            config.dangerous().with_custom_certificate_verifier(Arc::new(any_name))
        };
        let (cert, key) = match (&files.client_cert, &files.client_key) {
            (cert, key) if cert.is_empty() && key.is_empty() => (&files.cert, &files.key),
            pair => pair,
        };
        let config = if cert.is_empty() && key.is_empty() {
            config.with_no_client_auth()
        } else {
            let (certificates, private_key) = shown(cert, key)?;
            let config = config.with_client_auth_cert(certificates, private_key);
            config.map_err(|it| format!("{cert}, {key}: {it}"))?
        };
        let (name, checks_name) = (files.server_name.clone(), files.checks_name);
        Ok(TlsClient { config: Arc::new(config), name, checks_name })
    }

    /// TLS over a socket that blocks, to this host.
    pub fn stream<S: Read + Write>(
        &self,
        host: &str,
        socket: S,
    ) -> io::Result<StreamOwned<ClientConnection, S>> {
        let name = self.name_of(host).map_err(io::Error::other)?;
        let connection = ClientConnection::new(self.config.clone(), name);
        Ok(StreamOwned::new(connection.map_err(io::Error::other)?, socket))
    }

    pub(super) fn connection(&self, host: &str) -> Result<UnbufferedClientConnection, TlsFault> {
        Ok(UnbufferedClientConnection::new(self.config.clone(), self.name_of(host)?)?)
    }

    /// The name that a certificate must be for.
    fn name_of(&self, host: &str) -> Result<ServerName<'static>, rustls::Error> {
        let name = if self.name.is_empty() { host } else { &self.name };
        match ServerName::try_from(name.to_owned()) {
            Ok(name) => Ok(name),
            // No certificate can be for it, and nobody looks.
            Err(_) if !self.checks_name => Ok(ServerName::from(Ipv4Addr::UNSPECIFIED)),
            Err(_) => {
                let why = format!("no certificate can be for the name `{name}`");
                Err(rustls::Error::General(why))
            }
        }
    }
}

fn roots_of_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        let why = found.errors.first().map_or_else(String::new, |it| format!(": {it}"));
        return Err(format!("this system trusts no authority{why}"));
    }
    Ok(roots)
}
