//! How fast a server has loaded a million keys, from a snapshot and from an append-only file, and
//! how soon it answers meanwhile.

use crate::memory::strings;
use crate::options::Options;
use crate::peers::{Aof, Binaries, DataDir, KINDS, Kind};
use crate::table::{Table, figure, verdict};
use std::time::Duration;

const KEYS: u64 = 1_000_000;
const BAR: f64 = 0.8;

/// One row per kind of file; redis-server has written both.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&[
        "from its start until it serves 1 M keys, of",
        "ms: redis",
        "valkey",
        "entourage",
        "× redis",
        "bar",
        "longest PING meanwhile, ms: redis · valkey · entourage",
    ]);
    for (name, aof) in [("a snapshot", None), ("an append-only file", Some(Aof::Everysec))] {
        eprintln!("side_by_side: load of {name}");
        let say = |why: &String| eprintln!("side_by_side: {name}: {why}");
        let Ok(dir) = written(binaries, options, aof).inspect_err(say) else { continue };
        let mut times = KINDS.map(|_| Vec::new());
        for _ in 0..options.rounds {
            for (kind, times) in KINDS.iter().zip(&mut times) {
                times.extend(load(binaries, *kind, &dir, aof).inspect_err(say).ok());
            }
        }
        let ms = |it: Duration| it.as_secs_f64() * 1e3;
        let middle = times.each_mut().map(|it| {
            it.sort();
            it.get(it.len() / 2).map(|it| ms(it.0))
        });
        let longest = times.each_ref().map(|it| it.iter().map(|it| ms(it.1)).reduce(f64::max));
        let mut cells = vec![name.to_owned()];
        cells.extend(middle.map(figure));
        cells.extend(verdict(middle[2].zip(middle[0]).map(|(ours, it)| ours / it), Some(BAR)));
        cells.push(longest.map(figure).join(" · "));
        table.push(cells);
    }
    table.to_string()
}

/// A directory of redis-server's.
fn written(binaries: &Binaries, options: &Options, aof: Option<Aof>) -> Result<DataDir, String> {
    let dir = DataDir::new();
    let redis = binaries.start_on(Kind::Redis, &dir, aof).ok_or("there is no redis-server")?;
    let mut wire = redis.dial()?;
    wire.fill(strings(options.scaled(KEYS)))?;
    // It ends by that.
    let how = if aof.is_some() { "NOSAVE" } else { "SAVE" };
    let _ = wire.ask(&["SHUTDOWN", how]);
    redis.wait_until_ended();
    Ok(dir)
}

/// How long it takes until it serves, and the longest that a PING took meanwhile.
fn load(
    binaries: &Binaries,
    kind: Kind,
    from: &DataDir,
    aof: Option<Aof>,
) -> Result<(Duration, Duration), String> {
    let dir = from.copy().map_err(|it| it.to_string())?;
    let party = binaries.start_on(kind, &dir, aof);
    let party = party.ok_or_else(|| format!("{} does not start", kind.name()))?;
    Ok(party.up())
}
