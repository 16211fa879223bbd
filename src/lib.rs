//! Entourage: a RESP proxy that hosts a replica set and never serves a client a stale read of its
//! own writes. This file is the map of the house; rooms name only rooms above them in the list, and
//! `tests/integration/house.rs` holds them to that, and files of a room to naming each other in one
//! direction.
//!
//! ```text
//! bytes → resp → command → session → route → node → engine → replication log → followers
//!         decode  look up   floor     plan    member  execute  append             push
//! ```
//!
//! The way of one request, file by file: a thread of `runtime/worker.rs` polls its connections;
//! `server/shell.rs` reads a socket and makes an event of it;
//! `server/connection/core.rs` handles events; `connection/requests.rs` decodes, looks up and
//! refuses; `connection/read.rs` plans a read (`connection/read_together.rs` those of an EXEC that
//! only reads) and `connection/write.rs` makes a write, which is a `node/transaction.rs` at the
//! master; the verb stands in `engine/verbs/`, beside its row; what it did is in
//! `replication/log.rs`; `connection/replies.rs` holds the answer until the shell has sent it.
//! What waits is in `connection/blocked.rs`, and who wakes it in `node/waiters.rs`;
//! calls that wait for keys are in `node/key_waiters.rs`, and `node/serve.rs` makes them again.
//! A script goes by `connection/script.rs` to an interpreter of `script/`, and what it calls by
//! `connection/script_host.rs` to its transaction or its member; while it is long,
//! `runtime/worker.rs` gives the other connections of its thread turns within its own. What is
//! known of scripts is in `state/scripting.rs`; libraries of functions are the engine's data.
//! Who is shown every command is in `state/monitors.rs`, and what a member's data comes to, though
//! somebody holds it, in `node/counts.rs`.
//! What is published goes by `connection/publish.rs` and `node/propagate.rs` to the mailboxes of
//! those whom `pubsub/registry.rs` knows, and from there to their sockets by
//! `server/shell/hear.rs`. The keyspace events that verbs raise wait in
//! `engine/events.rs` until their write is in the log, and go there by `node/notify.rs` and
//! `state/told_events.rs`.
//! The keys that writes change are noted in `engine/changed.rs` and told by `node/changes.rs`; who
//! has read them, wherever, and what those are told is in `pubsub/tracking.rs`, `state/tracking.rs`
//! and `connection/tracking.rs`.
//! A replica on the wire asks for the stream by PSYNC (`commands/verbs/replication.rs`), and is
//! served by `server/replica_link.rs` with what `node/wire.rs` has for it; a set that follows a
//! remote master gets its stream by `server/follow.rs`, does it in `node/repeat.rs`, and sends
//! writes there by `connection/forward.rs` and `server/forward.rs`. Both ends' words are in
//! `replication/psync/`. Files, full resyncs and new members are made of a `node/snapshot.rs`: a
//! walk (`engine/walk.rs`) for which is kept (`engine/cut.rs`) what changes before it has come
//! there. The files themselves are `persist/`'s, and `server/disk/` writes and loads them. Who
//! applies at replicas, and when, stands in `node/turn.rs`; what is long (`engine/work.rs`) is done
//! on threads for that (`server/placement.rs`), and `node/long_hold.rs` says who does not wait for
//! it. Who writes the append-only file before a reply leaves is in `server/disk/aof_parts.rs`.
//! Where members are real servers, requests go by `connection/upstream.rs` to `server/upstream/`,
//! which has the connections; what is sent over them, what replies are worth and who is master is
//! decided in `node/upstream/`, and known to all by `state/upstream.rs`.
//! Who comes in does so by `server/open.rs` and `server/listener.rs`; a proxy in front says in a
//! header who that is (`runtime/proxy_header.rs`). What a service manager is told, which systemd
//! is, stands in `server/service.rs`. Another process may take the place of this one: the way of
//! an upgrade is drawn in `state/upgrade.rs`, the old process' part is `server/upgrade.rs`, and the
//! new one's `server/take_over.rs`; listening sockets go over by `runtime/sent_sockets.rs`.
//! The status page, the metrics and their like are `http/`'s, over the HTTP/1 of
//! `runtime/http.rs` on a thread of its own: they tell what commands tell (`commands/`), and what
//! they change goes by `server/asked.rs` as a command.
//! What is logged goes by `state/logging.rs`, which keeps what operators look for afterwards. What
//! they are told by themselves is measured once a second by `server/alert_checks.rs`, raised and
//! cleared in `state/alerts.rs`, and sent on its way by `server/alert_delivery.rs`.
//! Beside all this stands `load/`, a client that loads servers and checks what they promise; and
//! `tests/sim/` drives whole sets in one thread.

pub mod base;
pub mod resp;
pub mod command;
pub mod acl;
pub mod metrics;
pub mod runtime;
pub mod script;
pub mod engine;
pub mod persist;
pub mod replication;
pub mod route;
pub mod session;
pub mod node;
pub mod pubsub;
pub mod config;
pub mod state;
pub mod commands;
pub mod server;
pub mod http;
pub mod load;
pub mod cli;

/// Whether the simulator drives this build: faults can be planted then, and long work stops at each
/// step. A constant, so that nothing of that is left in the product. `tests/sim/example.rs` is a
/// root of its own that says so, too.
pub const IS_SIMULATED: bool = cfg!(test);

// The simulator is compiled into the library's own tests; it names the library as any other program
// would.
#[cfg(test)]
extern crate self as entourage;
#[cfg(test)]
#[path = "../tests/sim/mod.rs"]
mod sim;
