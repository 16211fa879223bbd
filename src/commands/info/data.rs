//! Sections about the data: replication, keyspace.

use super::follows;
use super::lines::{Lines, read};
use super::upstream;
use crate::base::position::{Offset, ReplId};
use crate::metrics::Delay;
use crate::node::{FollowerStatus, SpaceCounts};
use crate::replication::{DisconnectReason, FollowerKind, FollowerState};
use crate::runtime::clock;
use crate::state::Server;

/// Who follows whom. A replica on the wire stands as Redis lists it; a hosted one, which nobody
/// can dial, has a line of its own kind, so that nobody takes it for a server.
pub fn replication(server: &Server, lines: &mut Lines) {
    if let Some(upstream) = &server.upstream {
        return upstream::replication(server, upstream, lines);
    }
    let set = &server.set;
    let now = clock::mono_now();
    let followers = set.followers(now);
    let on_wire: Vec<_> = followers.iter().filter(|it| it.is_wire_replica()).collect();
    let remote = set.remote();
    lines.line("role", if remote.is_some() { "slave" } else { "master" });
    if let Some(remote) = &remote {
        follows::follows(server, remote, lines);
    }
    lines.line("connected_slaves", on_wire.len());
    if let Some(gate) = server.settings().set.gate() {
        lines.line("min_slaves_good_slaves", gate.good(set.fed(now)));
    }
    for (at, follower) in on_wire.iter().enumerate() {
        let (host, port) = follower.address();
        let (state, offset) = (state(follower.state), follower.acked);
        let lag_s = follower.silent_us / 1_000_000;
        lines.push(format_args!(
            "slave{at}:ip={host},port={port},state={state},offset={offset},lag={lag_s}"
        ));
    }
    let is_hosted = |it: &&FollowerStatus| it.kind == FollowerKind::Hosted;
    for (at, follower) in followers.iter().filter(is_hosted).enumerate() {
        hosted(at, follower, lines);
    }
    lines.line("hosted_replicas_count", u8::from(set.counts_hosted()));
    lines.line("master_name", &set.member(set.master()).name);
    lines.line("master_failover_state", server.failovers.phase().as_str());
    lines.line("failover_pause_us_p99", server.delay(Delay::FailoverPause).shown(99.0));
    stream(server, lines);
    if let Some(remote) = &remote {
        follows::faults(server, remote, lines);
    }
}

fn hosted(at: usize, follower: &FollowerStatus, lines: &mut Lines) {
    let (name, offset) = (&follower.name, follower.acked);
    let flags = follower.flags().replace(',', "+");
    // Redis says -1 of what it does not know.
    let lag_s = match follower.behind_us {
        u64::MAX => -1,
        us => (us / 1_000_000) as i64,
    };
    lines.push(format_args!(
        "hosted{at}:name={name},state={},offset={offset},lag={lag_s},flags={flags}",
        follower.held_back().unwrap_or_else(|| state(follower.state)),
    ));
}

/// Redis' words.
fn state(state: FollowerState) -> &'static str {
    match state {
        FollowerState::Online { .. } => "online",
        FollowerState::Disconnected { why: DisconnectReason::Quarantined } => "quarantined",
        FollowerState::FullResync { .. } => "send_bulk",
        FollowerState::Handshake | FollowerState::Disconnected { .. } => "wait_bgsave",
    }
}

fn stream(server: &Server, lines: &mut Lines) {
    let history = server.set.history();
    let (start, len) = server.set.backlog();
    let none = (ReplId::new([0; 20]), -1);
    let before = history.before();
    let (second, second_offset) =
        before.map_or(none, |it| (it.replid, it.offset.bytes() as i64 + 1));
    // Snapshots that are being read, and what members keep for them.
    let (walks, kept_bytes) = server.set.walks();
    lines.line("snapshots_under_way", walks);
    lines.line("snapshots_kept_bytes", kept_bytes);
    lines.line("master_replid", history.replid);
    lines.line("master_replid2", second);
    lines.line("master_repl_offset", server.set.head());
    lines.line("second_repl_offset", second_offset);
    // All that came before, for an Entourage that has been away for more than one change.
    let past = history.past_of(history.replid).unwrap_or_default();
    let shared = past.iter().filter(|it| it.offset != Offset::ZERO);
    let shared: Vec<String> = shared.map(ToString::to_string).collect();
    lines.line("master_replids_before", shared.join(","));
    // It is kept whether or not there are replicas.
    lines.line("repl_backlog_active", 1);
    lines.line("repl_backlog_size", server.settings().set.backlog_bytes);
    // Redis counts the stream's bytes from 1.
    lines.line("repl_backlog_first_byte_offset", start.bytes() + 1);
    lines.line("repl_backlog_histlen", len);
    // What it holds at the rate of the last writes, and what would hold a minute; -1 and 0 while
    // nothing is written.
    let per_second = server.rates.lock().gains().stream_bytes;
    let held_s = if per_second < 1.0 { -1 } else { (len as f64 / per_second) as i64 };
    lines.line("repl_backlog_seconds", held_s);
    lines.line("repl_backlog_size_for_a_minute", (per_second * 60.0) as u64);
}

/// Keys by database, at the master.
pub fn keyspace(server: &Server, lines: &mut Lines) {
    let counts = server.set.master_counts(clock::wall_now());
    for (index, space) in counts.spaces.into_iter().enumerate() {
        let SpaceCounts { keys, with_deadline: expires, mean_ttl_ms: ttl, .. } = &space;
        if *keys != 0 {
            let told = format!("db{index}:keys={keys},expires={expires},avg_ttl={ttl}");
            // Redis 7 has no such hashes, and no word for them.
            match space.with_field_deadlines {
                0 => lines.push(format_args!("{told}")),
                timed => lines.push(format_args!("{told},keys_with_volatile_items={timed}")),
            }
        }
    }
}

/// Keys that were deleted because their time had come, since the counts were last forgotten.
pub fn expired(server: &Server) -> u64 {
    server.expired_ever().keys.saturating_sub(read(&server.counters.expired_before))
}

/// As [`expired`], of fields of hashes.
pub fn expired_fields(server: &Server) -> u64 {
    server.expired_ever().fields.saturating_sub(read(&server.counters.expired_fields_before))
}
