//! The one table of all commands: the engine's families, then the proxy's own.

use super::context::{Handler, Table};
use super::row::{SessionRow, SessionRun};
use super::table::Entry;
use super::verbs;
use crate::engine::{self, Row, Run};
use std::sync::OnceLock;

/// The table.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let of_engine = engine::verbs::rows().map(of_engine);
        Table::of(of_engine.chain(verbs::rows().map(of_session)))
    })
}

fn of_engine(row: &'static Row) -> Entry<Handler> {
    let rows = if let Run::Container(rows) = row.run { rows } else { &[] };
    let subcommands = rows.iter().map(|it| (it.spec, engine_handler(it))).collect();
    Entry { spec: row.spec, handler: engine_handler(row), subcommands }
}

fn of_session(row: &'static SessionRow) -> Entry<Handler> {
    let rows = if let SessionRun::Container { rows, .. } = row.run { rows } else { &[] };
    let subcommands = rows.iter().map(|it| (it.spec, session_handler(it))).collect();
    Entry { spec: row.spec, handler: session_handler(row), subcommands }
}

fn engine_handler(row: &Row) -> Handler {
    match row.run {
        Run::Read(verb) => Handler::Read(verb),
        Run::Write(verb) => Handler::Write(verb),
        Run::Blocking(verb) => Handler::Blocking(verb),
        Run::ReadOrWait { wait, read, is_read } => Handler::ReadOrWait { wait, read, is_read },
        Run::Either { write, read, is_read } => Handler::Either { write, read, is_read },
        Run::Container(_) => Handler::Container,
    }
}

fn session_handler(row: &SessionRow) -> Handler {
    match row.run {
        SessionRun::Verb(verb) | SessionRun::Container { bare: Some(verb), .. } => {
            Handler::Session(verb)
        }
        SessionRun::Script(run) => Handler::Script(run),
        SessionRun::Prefix => Handler::Prefix,
        SessionRun::Container { bare: None, .. } => Handler::Container,
    }
}
