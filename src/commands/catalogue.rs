//! The one catalogue of metrics: name, kind, labels and help of each, beside what tells its samples
//! from what INFO, PROXY NODES and PROXY STATS are told from.

mod alerts;
mod members;
mod observed;
mod process;
mod row;
mod seen;
mod stream;
mod upstream;

use super::context::Table;
use super::observed as with_snapshot;
use super::verbs::members::all_nodes;
use crate::metrics::exposition::{Exposition, Kind, Metric};
use crate::runtime::clock;
use crate::state::Server;
use row::{Row, row};
use seen::Seen;

use Kind::{Counter, Gauge, Histogram};

const MEMBER: &[&str] = &["member"];
const PLACE: &[&str] = &["route", "member"];
const DB: &[&str] = &["db"];

/// All metrics, in the order in which they are told.
const CATALOGUE: &[Row] = &[
    row(
        "entourage_build_info",
        Gauge,
        &["version", "redis_version"],
        "Which version this is; always 1.",
        process::build,
    ),
    row(
        "entourage_start_time_seconds",
        Gauge,
        &[],
        "When the process started, since 1970.",
        process::start_time,
    ),
    row("entourage_ready", Gauge, &[], "Whether a master serves, as /ready says.", process::ready),
    row(
        "entourage_alert",
        Gauge,
        &["alert", "member", "route"],
        "Whether this alert is raised; member and route are empty where it is about none.",
        alerts::raised,
    ),
    row(
        "entourage_alert_deliveries_total",
        Counter,
        &["result"],
        "Alerts that the command or the webhook has taken: ok, or failed.",
        alerts::deliveries,
    ),
    row(
        "entourage_cpu_seconds_total",
        Counter,
        &["mode"],
        "Processor time that the process has used.",
        process::cpu,
    ),
    row("entourage_memory_used_bytes", Gauge, &[], "Memory that is allocated.", |seen, it| {
        it.value(&[], seen.memory.used)
    }),
    row(
        "entourage_memory_peak_bytes",
        Gauge,
        &[],
        "The most memory that was ever allocated.",
        |seen, it| it.value(&[], seen.memory.peak),
    ),
    row(
        "entourage_memory_resident_bytes",
        Gauge,
        &[],
        "Memory that the machine has given.",
        |seen, it| it.value(&[], seen.memory.resident),
    ),
    row(
        "entourage_memory_machine_bytes",
        Gauge,
        &[],
        "Memory that the machine has.",
        process::machine_memory,
    ),
    row("entourage_connected_clients", Gauge, &[], "Clients that are connected.", process::clients),
    row(
        "entourage_blocked_clients",
        Gauge,
        &[],
        "Clients that wait: for keys, replicas or the end of a pause.",
        process::blocked,
    ),
    row("entourage_max_clients", Gauge, &[], "Clients that may be connected.", |seen, it| {
        it.value(&[], seen.settings.server.maxclients)
    }),
    row(
        "entourage_connections_total",
        Counter,
        &[],
        "Connections that were accepted.",
        process::accepted,
    ),
    row(
        "entourage_rejected_connections_total",
        Counter,
        &[],
        "Connections that were turned away: too many, or protected mode.",
        process::rejected,
    ),
    row("entourage_tls_connections_total", Counter, &[], "TLS handshakes made.", process::tls),
    row(
        "entourage_tls_certificate_end_timestamp_seconds",
        Gauge,
        &[],
        "When the certificate that clients are shown ends, since 1970.",
        process::tls_end,
    ),
    row(
        "entourage_tls_handshake_failures_total",
        Counter,
        &[],
        "TLS handshakes that failed, or took too long.",
        process::tls_failures,
    ),
    row(
        "entourage_overflowed_clients_total",
        Counter,
        &[],
        "Clients that were closed because they did not read.",
        process::overflowed,
    ),
    row("entourage_failed_logins_total", Counter, &[], "Wrong passwords.", process::failed_logins),
    row(
        "entourage_received_bytes_total",
        Counter,
        &[],
        "Bytes that clients have sent.",
        process::received,
    ),
    row("entourage_sent_bytes_total", Counter, &[], "Bytes that clients were sent.", process::sent),
    row(
        "entourage_commands_total",
        Counter,
        &[],
        "Commands that were executed.",
        process::commands,
    ),
    row(
        "entourage_replica_transactions_total",
        Counter,
        &[],
        "MULTI/EXEC of reads alone that replicas have served.",
        process::reads_together,
    ),
    row(
        "entourage_error_replies_total",
        Counter,
        &[],
        "Replies that were errors.",
        process::errors,
    ),
    row(
        "entourage_slowlog_entries",
        Gauge,
        &[],
        "Slow commands that SLOWLOG keeps.",
        process::slow,
    ),
    row(
        "entourage_pubsub_channels",
        Gauge,
        &[],
        "Channels that somebody subscribes to.",
        process::channels,
    ),
    row(
        "entourage_long_work_waiting",
        Gauge,
        &[],
        "Connections that wait for a thread for long work.",
        |seen, it| it.value(&[], seen.snapshot.long_work.waiting),
    ),
    row(
        "entourage_long_work_refused_total",
        Counter,
        &[],
        "Requests that were refused because too many waited for such a thread.",
        |seen, it| it.value(&[], seen.snapshot.long_work.refused),
    ),
    row(
        "entourage_command_duration_seconds",
        Histogram,
        &["route", "member", "class"],
        "How long commands took at their member, by what they do: read, write or session.",
        observed::durations,
    ),
    row(
        "entourage_rejected_commands_total",
        Counter,
        &["class"],
        "Commands that were refused before they ran.",
        observed::rejected,
    ),
    row(
        "entourage_failed_commands_total",
        Counter,
        &["class"],
        "Commands that ran and were answered with an error.",
        observed::failed,
    ),
    row(
        "entourage_read_staleness_seconds",
        Histogram,
        PLACE,
        "How far behind the master members were when they served a read, in time.",
        observed::staleness_time,
    ),
    row(
        "entourage_read_staleness_bytes",
        Histogram,
        PLACE,
        "How far behind the master members were when they served a read, in bytes of its log.",
        observed::staleness_bytes,
    ),
    row(
        "entourage_ladder_steps_total",
        Counter,
        &["route", "member", "step"],
        "Reads that took this step of their route's ladder, by where it led.",
        observed::steps,
    ),
    row(
        "entourage_floor_wait_seconds",
        Histogram,
        PLACE,
        "How long reads waited for a replica to be fresh enough.",
        observed::floor_waits,
    ),
    row(
        "entourage_ack_wait_seconds",
        Histogram,
        &["route"],
        "How long writes and WAIT waited for confirmations.",
        observed::ack_waits,
    ),
    row(
        "entourage_push_lag_seconds",
        Histogram,
        MEMBER,
        "From a write's acknowledgement at the master to its being applied at a replica.",
        observed::push_lag,
    ),
    row(
        "entourage_failover_pause_seconds",
        Histogram,
        &[],
        "How long writers were held while the master changed.",
        observed::failover_pauses,
    ),
    row(
        "entourage_writer_wait_seconds",
        Histogram,
        &[],
        "How long workers waited for replicas that fell behind before they went on writing.",
        observed::writer_waits,
    ),
    row(
        "entourage_keyspace_hits_total",
        Counter,
        &[],
        "Keys that were looked for and found.",
        |seen, it| it.value(&[], seen.snapshot.tally().hits),
    ),
    row(
        "entourage_keyspace_misses_total",
        Counter,
        &[],
        "Keys that were looked for and not there.",
        |seen, it| it.value(&[], seen.snapshot.tally().misses),
    ),
    row("entourage_db_keys", Gauge, DB, "Keys of each database at the master.", stream::keys),
    row(
        "entourage_db_expiring_keys",
        Gauge,
        DB,
        "Keys that will expire, of each database at the master.",
        stream::expiring,
    ),
    row(
        "entourage_expired_keys_total",
        Counter,
        &[],
        "Keys that were deleted because their time had come.",
        stream::expired,
    ),
    row(
        "entourage_member_is_master",
        Gauge,
        MEMBER,
        "Whether the member is the master.",
        members::is_master,
    ),
    row(
        "entourage_member_in_service",
        Gauge,
        MEMBER,
        "Whether the member may serve reads.",
        members::in_service,
    ),
    row(
        "entourage_member_offset_bytes",
        Gauge,
        MEMBER,
        "Up to where the member has applied the log.",
        members::offset,
    ),
    row(
        "entourage_member_lag_bytes",
        Gauge,
        MEMBER,
        "How far the member is behind the master, in bytes of its log.",
        members::lag_bytes,
    ),
    row(
        "entourage_member_lag_seconds",
        Gauge,
        MEMBER,
        "Time since the first write that the member lacks; not told where nobody knows.",
        members::lag_time,
    ),
    row(
        "entourage_member_full_resyncs_total",
        Counter,
        MEMBER,
        "How often the member had to be copied.",
        members::resyncs,
    ),
    row(
        "entourage_upstream_in_flight",
        Gauge,
        MEMBER,
        "Requests that a real server has not answered yet.",
        members::in_flight,
    ),
    row(
        "entourage_upstream_round_trip_seconds",
        Gauge,
        MEMBER,
        "How long a real server takes to answer.",
        members::round_trip,
    ),
    row(
        "entourage_upstream_answered_total",
        Counter,
        MEMBER,
        "Requests that a real server has answered.",
        members::answered,
    ),
    row(
        "entourage_upstream_faults_total",
        Counter,
        MEMBER,
        "Connections to a real server that have ended in a fault.",
        members::faults,
    ),
    row(
        "entourage_upstream_ejections_total",
        Counter,
        MEMBER,
        "Times that a real server was spared, since it had failed or was slow.",
        members::ejections,
    ),
    row(
        "entourage_upstream_reads_accepted_total",
        Counter,
        MEMBER,
        "Runs of reads that a real replica has proved.",
        members::accepted,
    ),
    row(
        "entourage_upstream_reads_refused_total",
        Counter,
        MEMBER,
        "Runs of reads that a real replica could not prove.",
        members::refused,
    ),
    row(
        "entourage_upstream_writes_lost_total",
        Counter,
        MEMBER,
        "Runs of writes that a real server was sent and has not answered.",
        members::lost,
    ),
    row(
        "entourage_upstream_hedges_total",
        Counter,
        &[],
        "Reads that were asked of another real replica, too.",
        upstream::hedges,
    ),
    row(
        "entourage_upstream_heartbeats_total",
        Counter,
        &[],
        "Heartbeats that were written at the real master.",
        upstream::heartbeats,
    ),
    row(
        "entourage_upstream_checks_total",
        Counter,
        &["check", "result"],
        "Reads of real servers that were checked, by how that came out.",
        upstream::checks,
    ),
    row("entourage_replication_offset_bytes", Gauge, &[], "Where the log ends.", stream::head),
    row(
        "entourage_replication_backlog_bytes",
        Gauge,
        &[],
        "Bytes of the log that are kept for partial resyncs.",
        stream::backlog,
    ),
    row(
        "entourage_replication_backlog_limit_bytes",
        Gauge,
        &[],
        "Bytes of the log that may be kept.",
        |seen, it| it.value(&[], seen.settings.set.backlog_bytes),
    ),
    row(
        "entourage_wire_replicas",
        Gauge,
        &[],
        "Replicas that are connected over the wire.",
        stream::wire_replicas,
    ),
    row(
        "entourage_full_resyncs_total",
        Counter,
        &[],
        "Replicas that were copied, hosted or on the wire.",
        stream::full_resyncs,
    ),
    row(
        "entourage_partial_resyncs_total",
        Counter,
        &["result"],
        "Replicas on the wire that asked for the rest of the log: ok, or refused.",
        stream::partial_resyncs,
    ),
    row(
        "entourage_replication_faults_total",
        Counter,
        &[],
        "Links of replication that ended because the peer broke the protocol.",
        stream::peer_faults,
    ),
    row(
        "entourage_write_gate_open",
        Gauge,
        &[],
        "Whether enough replicas are near enough for writes; told where min-replicas-to-write is.",
        stream::gate,
    ),
    row(
        "entourage_master_link_up",
        Gauge,
        &[],
        "Whether the link to the remote master is up; told while there is one.",
        stream::link,
    ),
    row(
        "entourage_panics_total",
        Counter,
        &[],
        "Commands that panicked at a member.",
        stream::panics,
    ),
    row(
        "entourage_quarantines_total",
        Counter,
        &[],
        "Members that were taken out of service because a command panicked.",
        stream::quarantines,
    ),
    row("entourage_loading", Gauge, &[], "Whether data is being loaded.", stream::loading),
    row(
        "entourage_unsaved_changes",
        Gauge,
        &[],
        "Changes since the last snapshot on disk.",
        stream::unsaved,
    ),
    row(
        "entourage_last_save_ok",
        Gauge,
        &[],
        "Whether the last snapshot was written; told where files are.",
        stream::last_save,
    ),
    row(
        "entourage_fsync_seconds",
        Histogram,
        &[],
        "How long it took to get the append-only file on disk.",
        stream::fsyncs,
    ),
    row("entourage_fsync_failures_total", Counter, &[], "Times that this failed.", |seen, it| {
        it.value(&[], seen.snapshot.disk.failed_fsyncs)
    }),
    row(
        "entourage_fsync_late_total",
        Counter,
        &[],
        "Times that this was not done when it was due.",
        |seen, it| it.value(&[], seen.disk.aof.late_fsyncs),
    ),
    row("entourage_aof_bytes", Gauge, &[], "Bytes of the append-only file.", |seen, it| {
        it.value(&[], seen.snapshot.disk.aof_bytes)
    }),
    row(
        "entourage_aof_unsynced_bytes",
        Gauge,
        &[],
        "Bytes that are not on disk yet.",
        |seen, it| it.value(&[], seen.disk.aof.unsynced),
    ),
];

/// All metrics there are.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    CATALOGUE.iter().map(|it| &it.metric)
}

/// All of them with their samples, in Prometheus' text format.
pub fn prometheus(server: &Server, table: &Table) -> String {
    with_snapshot(server, table, |snapshot, names| {
        let seen = Seen {
            server,
            settings: server.settings(),
            snapshot,
            names,
            table,
            nodes: all_nodes(server, clock::mono_now()),
            counts: server.upstream.is_none().then(|| server.set.master_counts(clock::wall_now())),
            memory: server.memory(),
            disk: server.persistence.status().clone(),
        };
        let mut text = Exposition::default();
        CATALOGUE.iter().for_each(|it| text.metric(it.metric, |samples| (it.tell)(&seen, samples)));
        text.into_text()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_say_what_they_are() {
        let names: BTreeSet<&str> = metrics().map(|it| it.name).collect();
        assert_eq!(names.len(), CATALOGUE.len(), "each stands once");
        for Metric { name, kind, labels, help } in metrics() {
            assert!(name.starts_with("entourage_") && help.ends_with('.'), "{name}");
            assert_eq!(*kind == Counter, name.ends_with("_total"), "{name}");
            let has_unit = name.ends_with("_seconds") || name.ends_with("_bytes");
            assert!(*kind != Histogram || has_unit, "{name}");
            let known = [
                "alert",
                "route",
                "member",
                "class",
                "step",
                "db",
                "mode",
                "result",
                "check",
                "version",
                "redis_version",
            ];
            assert!(labels.iter().all(|it| known.contains(it)), "{name}: labels are bounded");
        }
    }
}
