//! What recording costs: Entourage as it is beside one that records nothing.

use crate::measure::measure;
use crate::options::Options;
use crate::peers::Binaries;
use crate::speed::ROWS;
use crate::table::{Table, figure, verdict};

const DEPTH: u64 = 64;
const BAR: f64 = 1.03;

/// One row per command.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let parties = [binaries.start_unmetered(), binaries.start_metered()];
    let head = ["command", "depth", "CPU µs/request: metrics off", "on", "× off", "bar"];
    let mut table = Table::new(&head);
    for row in ROWS.iter().filter(|it| it.wanted(options)) {
        for depth in options.depths_or(&[DEPTH]) {
            let requests = options.requests_at(depth);
            let samples = measure(row, &parties, options.effort(depth, requests));
            let [off, on] = [0, 1].map(|it| samples[it].map(|it| it.cpu_us));
            let mut cells = vec![row.name.to_owned(), depth.to_string(), figure(off), figure(on)];
            cells.extend(verdict(on.zip(off).map(|(on, off)| on / off), Some(BAR)));
            table.push(cells);
        }
    }
    table.to_string()
}
