//! The longest single command while 10 M keys are loaded beside it.

use crate::memory::strings;
use crate::options::Options;
use crate::peers::{Binaries, KINDS, Party};
use crate::table::Table;
use crate::wire::Wire;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const KEYS: u64 = 10_000_000;
const BAR_MS: f64 = 20.0;

/// What one load showed: how long it took, and how long single commands took meanwhile.
struct Stalls {
    seconds: f64,
    nanos: Histogram<u64>,
}

/// One row per server, each alone in turn.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let keys = options.scaled(KEYS);
    let head = ["server", "keys", "load s", "commands beside it", "p99 ms", "longest ms", "bar"];
    let mut table = Table::new(&head);
    for kind in KINDS {
        eprintln!("side_by_side: load of {keys} keys into {}", kind.name());
        let stalls = binaries.start(kind, 0).map(|it| watch_load(&it, keys));
        let mut cells = vec![kind.name().to_owned(), keys.to_string()];
        cells.extend(match stalls {
            Some(Ok(it)) => it.cells(),
            Some(Err(why)) => {
                eprintln!("side_by_side: load into {}: {why}", kind.name());
                ["n/a"; 5].map(str::to_owned)
            }
            None => ["n/a"; 5].map(str::to_owned),
        });
        table.push(cells);
    }
    table.to_string()
}

impl Stalls {
    fn cells(&self) -> [String; 5] {
        let ms = |nanos: u64| nanos as f64 / 1e6;
        let longest = ms(self.nanos.max());
        let met = if longest <= BAR_MS { "met" } else { "missed" };
        [
            format!("{:.1}", self.seconds),
            self.nanos.len().to_string(),
            format!("{:.2}", ms(self.nanos.value_at_quantile(0.99))),
            format!("{longest:.2}"),
            format!("≤ {BAR_MS:.0} {met}"),
        ]
    }
}

fn watch_load(party: &Party, keys: u64) -> Result<Stalls, String> {
    let mut loader = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let probe = scope.spawn(|| probe_until(&done, party.port()));
        let begun = Instant::now();
        let loaded = loader.fill(strings(keys));
        let seconds = begun.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        let nanos = probe.join().map_err(|_| "the probe panicked")??;
        loaded.map(|()| Stalls { seconds, nanos })
    })
}

/// Times one GET, one SET, one GET … with a pause between, until `done`.
fn probe_until(done: &AtomicBool, port: u16) -> Result<Histogram<u64>, String> {
    let mut wire = Wire::dial(port).map_err(|it| it.to_string())?;
    let mut nanos = Histogram::new_with_bounds(1, 1 << 40, 3).expect("these bounds are valid");
    let asks: [&[&str]; 2] = [&["GET", "probe"], &["SET", "probe", "value"]];
    for ask in asks.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let sent = Instant::now();
        wire.ask(ask)?;
        nanos.saturating_record(sent.elapsed().as_nanos() as u64);
        thread::sleep(Duration::from_micros(200));
    }
    Ok(nanos)
}
