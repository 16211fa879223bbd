//! Certificates and keys, read from where an operator says they are.

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What clients must show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientAuth {
    /// Nothing: they are not asked for a certificate.
    No,
    /// A certificate that is trusted, or none.
    Optional,
    /// A certificate that is trusted.
    #[default]
    Yes,
}

/// What an operator says of TLS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFiles {
    /// The file of our certificate and those that link it to its authority; empty for none.
    pub cert: String,
    /// The file of its key.
    pub key: String,
    /// What is shown to servers in its place; empty for the same.
    pub client_cert: String,
    /// The key of that.
    pub client_key: String,
    /// The file of the authorities that peers' certificates are trusted by; empty for none.
    pub ca_file: String,
    /// A directory of such files; empty for none.
    pub ca_dir: String,
    /// What clients must show.
    pub clients: ClientAuth,
    /// Whether TLS 1.2 is spoken.
    pub speaks_12: bool,
    /// Whether TLS 1.3 is.
    pub speaks_13: bool,
    /// Whether a server's certificate must be for the name that we call it by.
    pub checks_name: bool,
    /// The name to ask for in the place of the one it is connected by; empty for that.
    pub server_name: String,
}

/// A certificate with those that link it to its authority, and its key.
pub type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The longest file of certificates: all authorities of a large system are a quarter of it.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most files of a directory.
const FILES_MAX: usize = 4096;

/// Our certificate and key, from these files.
pub fn shown(cert: &str, key: &str) -> Result<Shown, String> {
    let certificates = certificates(Path::new(cert))?;
    let text = read(Path::new(key))?;
    let key_read = PrivateKeyDer::from_pem_slice(&text).map_err(|why| match why {
        pem::Error::NoItemsFound if contains(&text, b"ENCRYPTED") => {
            format!("{key}: the key is encrypted, and no passwords are taken for keys here")
        }
        pem::Error::NoItemsFound => format!("{key}: there is no private key in it"),
        why => format!("{key}: {why}"),
    })?;
    Ok((certificates, key_read))
}

/// The authorities in this file and this directory.
pub fn roots(file: &str, dir: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if !file.is_empty() {
        for certificate in certificates(Path::new(file))? {
            roots.add(certificate).map_err(|why| format!("{file}: {why}"))?;
        }
    }
    if !dir.is_empty() {
        let mut found = false;
        for path in files_of(dir)? {
            // Directories of authorities hold other things, too.
            let Ok(all) = certificates(&path) else { continue };
            found |= roots.add_parsable_certificates(all).0 != 0;
        }
        if !found {
            return Err(format!("{dir}: no file in it holds a certificate"));
        }
    }
    Ok(roots)
}

fn files_of(dir: &str) -> Result<Vec<PathBuf>, String> {
    let all = fs::read_dir(dir).map_err(|why| format!("{dir}: {why}"))?;
    let mut paths: Vec<PathBuf> =
        all.filter_map(|it| it.ok()).map(|it| it.path()).filter(|it| it.is_file()).collect();
    if FILES_MAX < paths.len() {
        return Err(format!("{dir}: more than {FILES_MAX} files"));
    }
    paths.sort();
    Ok(paths)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let name = path.display();
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(format!("{name}: there is no certificate in it")),
        Ok(all) => Ok(all),
        Err(why) => Err(format!("{name}: {why}")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display();
    let told = |why: io::Error| format!("{name}: {why}");
    // A pipe would be waited for, and a device may never end.
    if !fs::metadata(path).map_err(told)?.is_file() {
        return Err(format!("{name}: is not a file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(told)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(told)?;
    if FILE_BYTES_MAX < bytes.len() as u64 {
        return Err(format!("{name}: longer than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|it| it == word)
}
