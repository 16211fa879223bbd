//! Certificates of an authority of our own, good and bad, and clients that speak TLS.

use super::patience::until;
use super::socket::Socket;
use super::wire::Wire;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Where ours listens with TLS, at the port where it listens without at 127.0.0.1.
pub const HOST: &str = "127.0.0.2";
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority, and a directory for what it signs.
pub struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one that nobody else trusts: its certificate is `ca.pem`; it has signed `server.pem`
    /// and `client.pem`.
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let root = params.self_signed(&key).expect("it signs");
        let issuer = Issuer::new(params, key);
        let authority = Authority { dir: tempfile::tempdir().expect("a directory"), issuer };
        authority.write("ca.pem", &root.pem());
        authority.sign("server", "server");
        authority.sign("client", "client");
        authority
    }

    /// Signs a certificate for this machine, whose subject's name is this.
    pub fn sign(&self, file: &str, subject: &str) {
        self.sign_with(file, subject, |_| {});
    }

    /// One whose time is over.
    pub fn sign_expired(&self, file: &str) {
        self.sign_with(file, file, |it| {
            it.not_before = date_time_ymd(2001, 1, 1);
            it.not_after = date_time_ymd(2002, 1, 1);
        });
    }

    /// One that has this URI beside its names.
    pub fn sign_uri(&self, file: &str, subject: &str, uri: &str) {
        self.sign_with(file, subject, |it| {
            it.subject_alt_names.push(SanType::URI(uri.try_into().expect("text")));
        });
    }

    /// One for another machine.
    pub fn sign_elsewhere(&self, file: &str) {
        self.sign_with(file, file, |it| {
            let name = "elsewhere.example".try_into().expect("a name");
            it.subject_alt_names = vec![SanType::DnsName(name)];
        });
    }

    fn sign_with(&self, file: &str, subject: &str, change: impl FnOnce(&mut CertificateParams)) {
        let names = ["localhost", "127.0.0.1", HOST].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, subject);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        self.write(&format!("{file}.pem"), &certificate.pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    /// Writes a file beside the others.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("the directory is ours");
    }

    /// Copies what is called `from` over what is called `to`, certificate and key.
    pub fn replace(&self, to: &str, from: &str) {
        for kind in ["pem", "key"] {
            let path = |name: &str| self.dir.path().join(format!("{name}.{kind}"));
            fs::copy(path(from), path(to)).expect("the directory is ours");
        }
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `[server]` keys that name them, with more of them; and a listener with TLS beside one
    /// without.
    pub fn config(&self, more: &str) -> String {
        format!(
            "[[listener]]\nname = \"plain\"\nbind = \"127.0.0.1:{{port}}\"\n\
             [[listener]]\nname = \"tls\"\nbind = \"{HOST}:{{port}}\"\ntls = true\n\
             [server]\nthreads = 2\n{}{more}",
            self.keys()
        )
    }

    /// The keys alone.
    pub fn keys(&self) -> String {
        format!(
            "tls-cert-file = \"{}\"\ntls-key-file = \"{}\"\ntls-ca-cert-file = \"{}\"\n",
            self.path("server.pem"),
            self.path("server.key"),
            self.path("ca.pem")
        )
    }

    /// The flags of redis-cli and redis-benchmark that show the client's certificate.
    pub fn flags(&self) -> Vec<String> {
        let words = ["--tls", "--cacert", "ca.pem", "--cert", "client.pem", "--key", "client.key"];
        words
            .iter()
            .map(|it| if it.contains('.') { self.path(it) } else { it.to_string() })
            .collect()
    }

    /// The flags of a redis-server that listens with TLS at this port, and speaks it to its master.
    pub fn redis_flags(&self, tls_port: u16) -> Vec<String> {
        let mut flags: Vec<String> =
            ["--tls-port", &tls_port.to_string()].map(str::to_owned).into();
        for (flag, file) in [
            ("--tls-cert-file", "server.pem"),
            ("--tls-key-file", "server.key"),
            ("--tls-ca-cert-file", "ca.pem"),
        ] {
            flags.extend([flag.to_owned(), self.path(file)]);
        }
        flags.extend(["--tls-replication", "yes"].map(str::to_owned));
        flags
    }

    /// What a client shows that trusts this authority: the certificate of this name, or none.
    pub fn client(&self, shows: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(self.path("ca.pem")).expect("it is one");
        roots.add(root).expect("it is sound");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there are some")
            .with_root_certificates(roots);
        Arc::new(match shows {
            None => config.with_no_client_auth(),
            Some(name) => {
                let path = |kind: &str| self.path(&format!("{name}.{kind}"));
                let certificate = CertificateDer::from_pem_file(path("pem")).expect("it is one");
                let key = PrivateKeyDer::from_pem_file(path("key")).expect("it is one");
                config.with_client_auth_cert(vec![certificate], key).expect("they fit")
            }
        })
    }

    /// What a server shows that asks for no certificate.
    pub fn server(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.path("server.pem"));
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).expect("it is one");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there are some")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("it is one")], key);
        Arc::new(config.expect("they fit"))
    }

    /// A connection to ours, by the listener with TLS, that shows the client's certificate.
    pub fn dial(&self, port: u16) -> Wire {
        self.try_dial(port, Some("client")).expect("it takes TLS")
    }

    /// The same, that shows what is said. `Err` when the handshake fails.
    pub fn try_dial(&self, port: u16, shows: Option<&str>) -> io::Result<Wire> {
        self.try_dial_as(port, self.client(shows))
    }

    /// The same, as this client.
    pub fn try_dial_as(&self, port: u16, config: Arc<ClientConfig>) -> io::Result<Wire> {
        let tcp = TcpStream::connect((HOST, port))?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(HOST).expect("an address");
        let tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let mut wire = Wire::over(Socket::Tls(Box::new(stream)));
        // A certificate is refused after the client's part of the handshake.
        wire.try_send_raw(b"PING\r\n")?;
        match wire.try_read() {
            Some(_) => Ok(wire),
            None => Err(io::Error::other("it closes the connection")),
        }
    }
}

/// Waits until a server has said this.
pub fn until_said(server: &super::servers::Server, words: &str) {
    until(words, || server.said().contains(words).then_some(()));
}
