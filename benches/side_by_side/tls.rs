//! What TLS costs: each server with it, and Entourage without.

use crate::measure::measure;
use crate::options::Options;
use crate::peers::{Binaries, KINDS, Kind};
use crate::speed::ROWS;
use crate::table::{SPEED_HEAD, Table, speed_row};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const COMMANDS: [&str; 2] = ["SET", "GET"];
const DEPTHS: [u64; 2] = [1, 16];
/// Of the better peer's, at the depth that has a bar.
const BAR: (u64, f64) = (16, 0.8);

/// A certificate with its key, in files that go with this value.
pub struct Certificate {
    pub file: PathBuf,
    pub key: PathBuf,
    _dir: TempDir,
}

impl Certificate {
    fn new() -> Result<Certificate, String> {
        let dir = tempfile::tempdir().map_err(|it| it.to_string())?;
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".into()]).map_err(|it| it.to_string())?;
        let (file, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
        fs::write(&file, cert.pem()).map_err(|it| it.to_string())?;
        fs::write(&key, signing_key.serialize_pem()).map_err(|it| it.to_string())?;
        Ok(Certificate { file, key, _dir: dir })
    }
}

/// One row per command and depth.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let certificate = match Certificate::new() {
        Ok(certificate) => certificate,
        Err(why) => return format!("There is no certificate: {why}\n"),
    };
    let mut parties: Vec<_> =
        KINDS.iter().map(|it| binaries.start_tls(*it, &certificate)).collect();
    parties.push(binaries.start(Kind::Entourage, 0));
    let mut table = Table::new(&[&SPEED_HEAD[..], &["entourage plain", "× plain"]].concat());
    for row in ROWS.iter().filter(|it| COMMANDS.contains(&it.name) && it.wanted(options)) {
        for depth in options.depths_or(&DEPTHS) {
            let requests = options.requests_at(depth);
            let samples = measure(row, &parties, options.effort(depth, requests));
            let bar = (depth == BAR.0).then_some(BAR.1);
            let mut cells = speed_row(row.name, depth, &samples[..KINDS.len()], bar);
            let [ours, plain] = [2, 3].map(|it| samples[it].map(|it| it.cpu_us));
            cells.push(plain.map_or("n/a".into(), |it| format!("{it:.2}")));
            let ratio = ours.zip(plain).map(|(ours, plain)| ours / plain);
            cells.push(ratio.map_or("n/a".into(), |it| format!("{it:.2}")));
            table.push(cells);
        }
    }
    format!(
        "One worker, TLS 1.3, the handshakes of the 50 connections counted with the rest. A peer \
         without TLS in its build has n/a.\n\n{table}"
    )
}
