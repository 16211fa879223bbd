//! Sections about the data: persistence, replication, keyspace.

use super::Lines;
use crate::admin::House;
use crate::base::limits::DATABASES;
use crate::base::position::HistoryId;
use crate::metrics::Delay;
use crate::node::Duty;
use crate::runtime::clock;

/// Nothing is written to disk, and INFO's readers must learn that in Redis' words.
pub fn persistence(house: &House, lines: &mut Lines) {
    let changes = {
        let roster = house.set.roster();
        house.set.read(&roster[house.set.master()]).engine().ground().changes
    };
    lines.line("loading", 0);
    lines.line("async_loading", 0);
    lines.zeros(&["current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    lines.line("current_fork_perc", "0.00");
    lines.zeros(&["current_save_keys_processed", "current_save_keys_total"]);
    lines.line("rdb_changes_since_last_save", changes);
    lines.line("rdb_bgsave_in_progress", 0);
    lines.line("rdb_last_save_time", house.birth.at.0 / 1000);
    lines.line("rdb_last_bgsave_status", "ok");
    lines.line("rdb_last_bgsave_time_sec", -1);
    lines.line("rdb_current_bgsave_time_sec", -1);
    lines.zeros(&["rdb_saves", "rdb_last_cow_size"]);
    lines.zeros(&["rdb_last_load_keys_expired", "rdb_last_load_keys_loaded"]);
    lines.zeros(&["aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled"]);
    lines.line("aof_last_rewrite_time_sec", -1);
    lines.line("aof_current_rewrite_time_sec", -1);
    lines.line("aof_last_bgrewrite_status", "ok");
    lines.zeros(&["aof_rewrites", "aof_rewrites_consecutive_failures"]);
    lines.line("aof_last_write_status", "ok");
    lines.zeros(&["aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"]);
}

/// Who follows whom. Hosted replicas stand where Redis lists the ones on the wire, each with its
/// name for a host: exporters tell replicas apart by address, and nobody can dial these.
pub fn replication(house: &House, lines: &mut Lines) {
    let set = &house.set;
    let (roster, master, now) = (set.roster(), set.master(), clock::mono_now());
    lines.line("role", "master");
    lines.line("connected_slaves", roster.len() - 1);
    for (at, member) in roster.iter().filter(|it| it.index != master).enumerate() {
        let state = match () {
            () if member.is(Duty::Quarantined) => "quarantined",
            () if member.is(Duty::Unsynced) => "wait_bgsave",
            () => "online",
        };
        let (port, offset) = (house.birth.port, member.applied());
        // Redis says -1 of what it does not know.
        let lag_s = match set.behind_us(member, now) {
            u64::MAX => -1,
            us => (us / 1_000_000) as i64,
        };
        lines.push(format_args!(
            "slave{at}:ip={},port={port},state={state},offset={offset},lag={lag_s},duties={}",
            member.name,
            member.duties().replace(',', "+"),
        ));
    }
    lines.line("master_name", &roster[master].name);
    lines.line("master_failover_state", "no-failover");
    lines.line("failover_pause_us_p99", house.delay(Delay::FailoverPause).shown(99.0));
    stream(house, lines);
}

fn stream(house: &House, lines: &mut Lines) {
    let lineage = house.set.lineage();
    let (start, len) = house.set.backlog();
    let none = (HistoryId::new([0; 20]), -1);
    let before = lineage.before();
    let (second, second_offset) =
        before.map_or(none, |it| (it.history, it.offset.bytes() as i64 + 1));
    lines.line("master_replid", lineage.history);
    lines.line("master_replid2", second);
    lines.line("master_repl_offset", house.set.head());
    lines.line("second_repl_offset", second_offset);
    lines.line("repl_backlog_active", u8::from(len != 0));
    lines.line("repl_backlog_size", house.settings().set.backlog_bytes);
    // Redis counts the stream's bytes from 1.
    lines.line("repl_backlog_first_byte_offset", start.bytes() + u64::from(len != 0));
    lines.line("repl_backlog_histlen", len);
}

/// Keys by database, at the master.
pub fn keyspace(house: &House, lines: &mut Lines) {
    let roster = house.set.roster();
    let reading = house.set.read(&roster[house.set.master()]);
    let now = clock::wall_now();
    for index in 0..DATABASES {
        let space = reading.engine().space(index);
        let (keys, expires) = (space.len(), space.with_deadline());
        if keys != 0 {
            let ttl = space.mean_ttl_ms(now);
            lines.push(format_args!("db{index}:keys={keys},expires={expires},avg_ttl={ttl}"));
        }
    }
}

/// Keys that were deleted because their time had come, since the counts were last forgotten.
pub fn expired(house: &House) -> u64 {
    house.expired_ever().saturating_sub(super::read(&house.counters.expired_before))
}
