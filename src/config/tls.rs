//! What is said of TLS: certificates, keys, and who is trusted.

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
    /// Where a client's certificate names its user: `off`, `CN` or `URI`.
    pub client_user: String,
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
    pub(super) fn trusts_nobody(&self) -> bool {
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
            client_user: "off".to_owned(),
            protocols: String::new(),
            replication: false,
            checks_name: false,
        }
    }
}
