//! Verbs about the connection and the proxy, one file per subject: rows first, then a function
//! each.

pub mod connection;
mod members;
pub mod proxy;
pub mod replication;

use super::SessionRow;

/// The families, in the order of the table.
const FAMILIES: &[&[SessionRow]] = &[connection::ROWS, proxy::ROWS, replication::ROWS];

/// All rows of session verbs.
pub fn rows() -> impl Iterator<Item = &'static SessionRow> {
    FAMILIES.iter().copied().flatten()
}
