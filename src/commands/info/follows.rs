//! The lines of INFO about the master that the set follows.

use super::lines::Lines;
use crate::node::{LinkPhase, LinkStatus, RemoteMaster};
use crate::runtime::clock;
use crate::state::Server;
use std::sync::atomic::Ordering::Relaxed;

/// What a replica tells of its link, in Redis' order.
pub fn follows(server: &Server, remote: &RemoteMaster, lines: &mut Lines) {
    let (now, status) = (clock::mono_now(), remote.status());
    let (head, settings) = (server.set.head(), server.settings());
    let is_up = status.phase == LinkPhase::Connected;
    let seconds_since = |it| now.since(it) / 1_000_000;
    // Without a link nothing comes.
    let last_io = remote.heard_at().filter(|_| is_up);
    lines.line("master_host", &remote.address.host);
    lines.line("master_port", remote.address.port);
    lines.line("master_link_status", if is_up { "up" } else { "down" });
    lines.line("master_last_io_seconds_ago", last_io.map_or(-1, |it| seconds_since(it) as i64));
    lines.line("master_sync_in_progress", u8::from(status.phase == LinkPhase::Sync));
    lines.line("master_servers_above", remote.above());
    lines.line("slave_read_repl_offset", head);
    lines.line("slave_repl_offset", head);
    if status.phase == LinkPhase::Sync {
        sync(&status, remote.heard_at().map_or(-1, |it| seconds_since(it) as i64), lines);
    }
    if !is_up {
        lines.line("master_link_down_since_seconds", seconds_since(status.down_since));
    }
    let follow = &settings.set.follow;
    lines.line("slave_priority", follow.priority);
    lines.line("slave_read_only", 1);
    lines.line("replica_announced", u8::from(follow.is_announced));
}

fn sync(status: &LinkStatus, last_io_s: i64, lines: &mut Lines) {
    let LinkStatus { loaded, total, .. } = status;
    // A master that makes the snapshot as it sends it does not know its length.
    let left = total.map_or(-1, |it| it.saturating_sub(*loaded) as i64);
    let percent = total.map_or(0.0, |it| *loaded as f64 / it.max(1) as f64 * 100.0);
    lines.line("master_sync_total_bytes", total.unwrap_or(0));
    lines.line("master_sync_read_bytes", loaded);
    lines.line("master_sync_left_bytes", left);
    lines.push(format_args!("master_sync_perc:{percent:.2}"));
    lines.line("master_sync_last_io_seconds_ago", last_io_s);
}

/// What has ended the link, and how often: lines of our own.
pub fn faults(server: &Server, remote: &RemoteMaster, lines: &mut Lines) {
    if let Some((name, _)) = remote.status().fault {
        lines.line("master_link_last_fault", name);
    }
    let dropped = server.counters.dropped_history_bytes.load(Relaxed);
    if dropped != 0 {
        lines.line("dropped_history_bytes", dropped);
    }
    let counts = server.counters.link_faults();
    let counts: Vec<String> = counts.iter().map(|(name, it)| format!("{name}={it}")).collect();
    if !counts.is_empty() {
        lines.line("master_link_faults", counts.join(","));
    }
}
