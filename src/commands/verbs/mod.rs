//! Verbs about the connection and the proxy, one file per subject: rows first, then a function
//! each.

pub mod client;
pub mod cluster;
pub mod command;
pub mod connection;
mod acl;
mod alerts;
pub mod help;
mod drill;
pub mod node_field;
mod upstream_audit;
mod upstream_nodes;
mod upstream_explain;
mod upgrade;
pub mod members;
pub mod last;
pub mod once;
pub mod proxy;
pub mod replication;
pub mod failover;
mod follow;
pub mod server;
mod disk;
pub mod config;
pub mod latency;
pub mod slowlog;
pub mod memory;
pub mod debug;
mod module;
pub mod transactions;
mod pubsub;
mod scripting;
pub mod migrate;

use super::SessionRow;

/// The families, in the order of the table.
const FAMILIES: &[&[SessionRow]] = &[
    connection::ROWS,
    acl::ROWS,
    client::ROWS,
    cluster::ROWS,
    command::ROWS,
    transactions::ROWS,
    pubsub::ROWS,
    scripting::ROWS,
    migrate::ROWS,
    proxy::ROWS,
    replication::ROWS,
    failover::ROWS,
    follow::ROWS,
    server::ROWS,
    disk::ROWS,
    config::ROWS,
    latency::ROWS,
    slowlog::ROWS,
    memory::ROWS,
    debug::ROWS,
    module::ROWS,
];

/// All rows of session verbs.
pub fn rows() -> impl Iterator<Item = &'static SessionRow> {
    FAMILIES.iter().copied().flatten()
}
