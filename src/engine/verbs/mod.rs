//! The verbs, one file per type or subject: rows first, then a function per command.

#[cfg(test)]
pub mod check;
pub mod keys;
pub mod expire;
pub mod search;
pub mod object;
pub mod dump;
pub mod databases;
pub mod strings;
pub mod bitmaps;
pub mod hyperloglog;
pub mod lists;
pub mod sets;
pub mod hashes;
pub mod zsets;
pub mod geo;
pub mod streams;
pub mod sort;
pub mod functions;
mod named;
mod length;
mod counted;
mod timeout;
mod chance;
mod scan;
mod shown;
mod changes;

use super::databases::Engine;
use super::effects::Effects;
use super::row::{Row, Run};
use super::work::Work;
use crate::base::time::WallMs;
use crate::command::{Args, CallEnv, Fault, Lookup};
use crate::resp::{Reply, Request};
use std::sync::OnceLock;

/// The families, in the order of the table.
pub const FAMILIES: &[&[Row]] = &[
    keys::ROWS,
    expire::ROWS,
    search::ROWS,
    object::ROWS,
    dump::ROWS,
    databases::ROWS,
    strings::ROWS,
    bitmaps::ROWS,
    hyperloglog::ROWS,
    lists::ROWS,
    lists::moving::ROWS,
    lists::blocking::ROWS,
    sets::ROWS,
    sets::algebra::ROWS,
    hashes::ROWS,
    hashes::expiry::ROWS,
    hashes::timed::ROWS,
    zsets::ROWS,
    zsets::ranges::ROWS,
    zsets::pops::ROWS,
    zsets::blocking::ROWS,
    zsets::algebra::ROWS,
    geo::ROWS,
    geo::searches::ROWS,
    streams::ROWS,
    streams::reading::ROWS,
    streams::groups::ROWS,
    streams::pending::ROWS,
    streams::claims::ROWS,
    streams::info::ROWS,
    sort::ROWS,
    functions::ROWS,
];

/// All rows of the engine.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().copied().flatten()
}

/// The row of a command that the stream may carry.
pub fn find(name: &[u8]) -> Option<&'static Row> {
    static INDEX: OnceLock<(Lookup, Vec<&'static Row>)> = OnceLock::new();
    let (lookup, rows) = INDEX.get_or_init(|| {
        let rows: Vec<&'static Row> = rows().collect();
        (Lookup::of(rows.iter().map(|it| it.spec.name)), rows)
    });
    lookup.find(name).map(|number| rows[usize::from(number)])
}

/// A command that the stream may carry, or a subcommand.
pub struct Found {
    /// Its row.
    pub row: &'static Row,
    /// How many words name it.
    pub words: usize,
    /// What decides how much it does.
    pub work: Work,
}

/// The command of a request of the stream.
pub fn find_for(request: Request<'_>) -> Option<Found> {
    let row = find(request.get(0)?)?;
    let Run::Container(rows) = row.run else {
        return Some(Found { row, words: 1, work: Work::of(row.spec.name) });
    };
    let named = request.get(1)?;
    let found = rows.iter().find(|it| it.spec.name.as_bytes().eq_ignore_ascii_case(named))?;
    let work = Work::of(&format!("{}|{}", row.spec.name, found.spec.name));
    Some(Found { row: found, words: 2, work })
}

impl Engine {
    /// Repeats a command of the stream at a replica, which hides nothing and deletes nothing by
    /// itself. `at` is the time that it is: for what the stream does not say the time of.
    pub fn repeat(
        &mut self,
        db: usize,
        at: WallMs,
        request: Request<'_>,
        spoken: &mut Effects,
        reply: &mut Reply,
    ) -> Result<(), Fault> {
        const UNKNOWN: Fault = Fault::Static("ERR unknown command in the stream");
        let Found { row, words, .. } = find_for(request).ok_or(UNKNOWN)?;
        let Some(verb) = row.run.write_verb() else { return Ok(()) };
        let env = CallEnv::new(WallMs::NEVER_EXPIRES, 0);
        env.repeated_at.set(at);
        spoken.begin(db);
        verb(self, Args::new(request, words, db, &env), spoken, reply)
    }
}
