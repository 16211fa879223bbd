//! What TLS costs: each server with it, and Entourage without.

use crate::measure::measure;
use crate::options::Options;
use crate::peers::{Binaries, Certificate, KINDS, Kind};
use crate::speed::ROWS;
use crate::table::{SPEED_HEAD, Table, speed_row};

const COMMANDS: [&str; 2] = ["SET", "GET"];
const DEPTHS: [u64; 2] = [1, 16];
/// Of the better peer's, at the depth that has a bar.
const BAR: (u64, f64) = (16, 0.8);

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
