//! One line of CLIENT LIST: Redis' fields, and behind them the level of its reads and its floor.

use super::context::Table;
use crate::base::ids::{CommandId, RouteId};
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::config::Config;
use crate::route::Level;
use crate::state::{Client, ClientNames, NO_FLOOR};
use std::sync::atomic::Ordering::Relaxed;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// How CLIENT LIST and CLIENT INFO tell of a client: Redis' fields in their order, then ours.
/// `head` is where the log ends.
pub fn line(
    client: &Client,
    settings: &Config,
    table: &Table,
    head: Offset,
    now: MonoUs,
) -> String {
    let names = client.names.lock().clone();
    let age = now.since(client.since) / MICROS_PER_SECOND;
    let idle = now.since(MonoUs(client.active.load(Relaxed))) / MICROS_PER_SECOND;
    let (unread, unsent) = (client.unread.load(Relaxed), client.unsent.load(Relaxed));
    let arguments = client.argument_bytes.load(Relaxed);
    let queued = client.queued_bytes.load(Relaxed);
    let multi = i64::from(client.queued.load(Relaxed)) - 1;
    let level = level(&names, settings);
    format!(
        "id={} addr={} laddr={} fd={} name={} age={age} idle={idle} flags={} db={} sub={} psub={} \
         ssub={} multi={multi} qbuf={unread} qbuf-free=0 argv-mem={arguments} multi-mem={queued} \
         rbs=0 rbp=0 obl={unsent} oll=0 omem={unsent} tot-mem={} events={} cmd={} user={} \
         redir={} resp={} lib-name={} lib-ver={} level={} floor={}\n",
        client.id,
        client.peer.address,
        client.peer.local_address,
        client.peer.descriptor,
        names.name,
        marks(client),
        client.db.load(Relaxed),
        client.subscribed.channels.load(Relaxed),
        client.subscribed.patterns.load(Relaxed),
        client.subscribed.shard_channels.load(Relaxed),
        client.buffered() + size_of::<Client>() as u64,
        if unsent == 0 { "r" } else { "rw" },
        command(client, table),
        names.user,
        client.redirect.load(Relaxed) as i64 - 1,
        client.protocol.load(Relaxed),
        names.lib_name,
        names.lib_version,
        level.to_string().replace(' ', ":"),
        floor(client, level, head),
    )
}

/// The level of its reads on the default route; shown as one word, `bounded:50ms:1mb`.
fn level(names: &ClientNames, settings: &Config) -> Level {
    let of_listener = settings.listener_level(&names.listener);
    settings.routes.level(RouteId::DEFAULT, names.level, of_listener)
}

/// The offset before which its reads must not be served: the end of the log at a level that has one
/// floor for all, else what it has seen; `-` before it has seen anything.
fn floor(client: &Client, level: Level, head: Offset) -> String {
    if matches!(level, Level::Global | Level::Linearizable) {
        return head.to_string();
    }
    match client.floor.load(Relaxed) {
        NO_FLOOR => "-".into(),
        offset => offset.to_string(),
    }
}

/// The last command, `NULL` before the first.
fn command<'t>(client: &Client, table: &'t Table) -> &'t str {
    match CommandId(client.command.load(Relaxed)) {
        CommandId::NONE => "NULL",
        id => &table.get(id).name,
    }
}

fn marks(client: &Client) -> String {
    let flags = &client.flags;
    let all = [
        ('O', flags.is_monitor.load(Relaxed)),
        ('S', flags.is_replica.load(Relaxed)),
        ('P', client.subscribed.is_any()),
        ('x', client.queued.load(Relaxed) != 0),
        ('b', client.is_waiting()),
        ('t', client.redirect.load(Relaxed) != 0),
        ('R', flags.is_redirect_broken.load(Relaxed)),
        ('B', flags.is_broadcast.load(Relaxed)),
        ('c', flags.is_closing.load(Relaxed)),
        ('U', client.peer.is_unix),
        ('e', flags.no_evict.load(Relaxed)),
        ('T', flags.no_touch.load(Relaxed)),
    ];
    let marks: String = all.iter().filter(|it| it.1).map(|it| it.0).collect();
    if marks.is_empty() { "N".into() } else { marks }
}
