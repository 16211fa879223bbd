//! Sections about the process: server, clients, memory, stats, cpu.

use super::data;
use super::lines::{Lines, read};
use crate::runtime::notify::is_supervised;
use crate::runtime::{clock, lazyfree, process};
use crate::session::SubscriptionKind;
use crate::state::version::{ENTOURAGE_VERSION, REDIS_VERSION};
use crate::state::{Memory, Server};
use std::sync::atomic::Ordering::Relaxed;

/// There is no defragmentation.
const DEFRAG: &[&str] = &[
    "active_defrag_hits",
    "active_defrag_misses",
    "active_defrag_key_hits",
    "active_defrag_key_misses",
    "total_active_defrag_time",
    "current_active_defrag_time",
];

pub fn server(server: &Server, lines: &mut Lines) {
    let settings = server.settings();
    let up_s = server.process_info.at.until(clock::wall_now()) / 1000;
    lines.line("redis_version", REDIS_VERSION);
    lines.line("entourage_version", ENTOURAGE_VERSION);
    lines.line("redis_git_sha1", "00000000");
    lines.line("redis_git_dirty", 0);
    lines.line("redis_build_id", "0");
    lines.line("redis_mode", "standalone");
    lines.line("os", process::system_name());
    lines.line("arch_bits", usize::BITS);
    lines.line("monotonic_clock", "POSIX clock_gettime");
    lines.line("multiplexing_api", "epoll");
    lines.line("atomicvar_api", "rust-core");
    // As Redis says where it was built by another compiler.
    lines.line("gcc_version", "0.0.0");
    lines.line("process_id", process::id());
    lines.line("process_supervised", if is_supervised() { "systemd" } else { "no" });
    lines.line("run_id", &server.process_info.run_id);
    lines.line("tcp_port", server.process_info.port);
    lines.line("server_time_usec", clock::wall_us());
    lines.line("uptime_in_seconds", up_s);
    lines.line("uptime_in_days", up_s / (24 * 3600));
    lines.line("hz", settings.set.hz);
    lines.line("configured_hz", settings.set.hz);
    lines.line("lru_clock", (clock::wall_now().0 / 1000) & 0xFF_FFFF);
    lines.line("executable", process::executable());
    lines.line("config_file", &server.process_info.file);
    lines.line("io_threads_active", 0);
    lines.line("listeners", settings.listeners.len());
}

pub fn clients(server: &Server, lines: &mut Lines) {
    let all = server.clients.all();
    let most = |of: fn(&crate::state::Client) -> u64| all.iter().map(|it| of(it)).max();
    let blocked = all.iter().filter(|it| it.is_waiting()).count();
    lines.line("connected_clients", all.len());
    lines.line("cluster_connections", 0);
    lines.line("maxclients", server.settings().server.maxclients);
    lines.line("client_recent_max_input_buffer", most(|it| read(&it.unread)).unwrap_or(0));
    lines.line("client_recent_max_output_buffer", most(|it| read(&it.unsent)).unwrap_or(0));
    lines.line("blocked_clients", blocked);
    lines.line("pubsub_clients", all.iter().filter(|it| it.subscribed.is_any()).count());
    lines.line("tracking_clients", server.tracking.clients());
    let watched = |it: &crate::state::Client| u64::from(it.watching.load(Relaxed));
    lines.line("watching_clients", all.iter().filter(|it| watched(it) != 0).count());
    lines.line("total_watched_keys", all.iter().map(|it| watched(it)).sum::<u64>());
    lines.line("total_blocking_keys", server.set.key_waiters.keys());
    lines.line("total_blocking_keys_on_nokey", server.set.key_waiters.insisting_keys());
    let timed = all.iter().filter(|it| it.flags.is_timed.load(Relaxed)).count();
    lines.line("clients_in_timeout_table", timed);
    lines.line("clients_closed_for_output", read(&server.counters.overflowed));
}

pub fn memory(server: &Server, lines: &mut Lines) {
    let memory = server.memory();
    let (_, backlog) = server.set.backlog();
    lines.bytes("used_memory", memory.used);
    lines.bytes("used_memory_rss", memory.resident);
    lines.bytes("used_memory_peak", memory.peak);
    let percent = Memory::percent(memory.used, memory.peak);
    lines.push(format_args!("used_memory_peak_perc:{percent:.2}%"));
    lines.line("used_memory_overhead", memory.at_start + backlog);
    lines.line("used_memory_startup", memory.at_start);
    let dataset = memory.dataset().saturating_sub(backlog);
    lines.line("used_memory_dataset", dataset);
    let percent = Memory::percent(dataset, memory.dataset());
    lines.push(format_args!("used_memory_dataset_perc:{percent:.2}%"));
    lines.line("allocator_allocated", memory.used);
    lines.line("allocator_active", memory.resident);
    lines.line("allocator_resident", memory.resident);
    lines.bytes("total_system_memory", process::machine_bytes());
    scripts(server, lines);
    lines.bytes("maxmemory", server.settings().set.memory.bytes as u64);
    lines.line("maxmemory_policy", server.settings().value("maxmemory-policy").unwrap_or_default());
    // The allocator does not say which pages it holds: all that is resident counts as its own.
    lines.push(format_args!("allocator_frag_ratio:{:.2}", memory.fragmentation()));
    lines.line("allocator_frag_bytes", memory.fragmentation_bytes());
    for name in ["allocator_rss", "rss_overhead"] {
        lines.push(format_args!("{name}_ratio:1.00\r\n{name}_bytes:0"));
    }
    lines.push(format_args!("mem_fragmentation_ratio:{:.2}", memory.fragmentation()));
    lines.line("mem_fragmentation_bytes", memory.fragmentation_bytes());
    lines.line("mem_not_counted_for_evict", server.set.eviction.not_counted());
    lines.line("mem_replication_backlog", backlog);
    lines.line("mem_total_replication_buffers", backlog);
    lines.zeros(&["mem_cluster_links", "mem_clients_slaves"]);
    lines.line("mem_clients_normal", server.client_bytes());
    lines.line("mem_aof_buffer", 0);
    lines.line("mem_allocator", "mimalloc");
    lines.line("active_defrag_running", 0);
    lines.line("lazyfree_pending_objects", lazyfree::waiting());
    lines.line("lazyfreed_objects", lazyfree::freed_lately());
}

/// The interpreters are those at the master; those of functions and scripts that only read are the
/// workers' own.
fn scripts(server: &Server, lines: &mut Lines) {
    let (scripts, functions) = server.scripting.interpreter_bytes();
    let cached = server.scripting.scripts.read().len();
    let libraries = server.set.master_counts(clock::wall_now()).libraries;
    let (texts, library_texts) = server.script_bytes();
    lines.bytes("used_memory_lua", scripts);
    lines.line("used_memory_vm_eval", scripts);
    lines.line("used_memory_scripts_eval", texts);
    lines.line("number_of_cached_scripts", cached);
    lines.line("number_of_functions", libraries.functions_count());
    lines.line("number_of_libraries", libraries.iter().len());
    lines.line("used_memory_vm_functions", functions);
    lines.bytes("used_memory_vm_total", scripts + functions);
    lines.line("used_memory_functions", library_texts);
    lines.bytes("used_memory_scripts", texts + library_texts);
}

pub fn stats(server: &Server, lines: &mut Lines) {
    let counters = &server.counters;
    let snapshot = server.snapshot();
    let gains = server.rates.lock().gains();
    lines.line("total_connections_received", read(&counters.accepted));
    lines.line("total_commands_processed", counters.commands.get());
    lines.line("transactions_at_replicas", counters.reads_together.get());
    lines.line("instantaneous_ops_per_sec", gains.commands as u64);
    lines.line("total_net_input_bytes", counters.bytes_in.get());
    lines.line("total_net_output_bytes", counters.bytes_out.get());
    lines.line("total_net_repl_input_bytes", read(&counters.repl_bytes_in));
    lines.line("total_net_repl_output_bytes", read(&counters.repl_bytes_out));
    let kbps = |bytes: f64| format!("{:.2}", bytes / 1024.0);
    lines.line("instantaneous_input_kbps", kbps(gains.bytes_in));
    lines.line("instantaneous_output_kbps", kbps(gains.bytes_out));
    lines.line("instantaneous_input_repl_kbps", kbps(gains.repl_bytes_in));
    lines.line("instantaneous_output_repl_kbps", kbps(gains.repl_bytes_out));
    lines.line("rejected_connections", read(&counters.refused));
    lines.line("total_tls_connections_received", read(&server.tls.handshakes));
    lines.line("tls_handshake_failures", read(&server.tls.failures));
    lines.line("tls_handshakes_in_progress", server.tls.shaking.count());
    lines.line("tls_handshakes_turned_away", read(&server.tls.crowded));
    lines.line("proxied_connections_received", read(&server.proxied.headers));
    lines.line("proxy_header_faults", read(&server.proxied.faults));
    lines.line("proxy_untrusted_connections", read(&server.proxied.untrusted));
    // Hosted replicas are resynced too.
    let wire = &server.set.wire;
    lines.line("sync_full", read(&wire.full_resyncs));
    // Copies that hosted members have had, which Redis has not.
    lines.line("hosted_full_resyncs", read(&server.set.full_resyncs));
    lines.line("sync_partial_ok", read(&wire.partial_resyncs));
    lines.line("sync_partial_err", read(&wire.partial_resyncs_refused));
    lines.line("sync_peer_faults", read(&server.counters.peer_faults));
    lines.line("expired_keys", data::expired(server));
    lines.line("expired_fields", data::expired_fields(server));
    lines.line("expired_stale_perc", "0.00");
    lines.zeros(&["expired_time_cap_reached_count"]);
    lines.line("expire_cycle_cpu_milliseconds", read(&counters.expire_us) / 1000);
    let eviction = &server.set.eviction;
    let (exceeded_ms, exceeded_now_ms) = eviction.exceeded_ms(clock::mono_now());
    lines.line("evicted_keys", read(&eviction.evicted));
    lines.line("evicted_clients", read(&counters.evicted_clients));
    lines.line("total_eviction_exceeded_time", exceeded_ms);
    lines.line("current_eviction_exceeded_time", exceeded_now_ms);
    lines.line("keyspace_hits", snapshot.tally().hits);
    lines.line("keyspace_misses", snapshot.tally().misses);
    lines.line("pubsub_channels", server.pubsub.count(SubscriptionKind::Channel));
    lines.line("pubsub_patterns", server.pubsub.count(SubscriptionKind::Pattern));
    lines.line("pubsubshard_channels", server.pubsub.count(SubscriptionKind::ShardChannel));
    lines.zeros(&["latest_fork_usec", "total_forks", "migrate_cached_sockets"]);
    lines.zeros(&["slave_expires_tracked_keys"]);
    lines.zeros(DEFRAG);
    lines.line("tracking_total_keys", server.tracking.keys());
    lines.line("tracking_total_items", server.tracking.items());
    lines.line("tracking_total_prefixes", server.tracking.prefixes());
    lines.zeros(&["unexpected_error_replies", "dump_payload_sanitizations"]);
    lines.line("total_error_replies", read(&counters.errors));
    lines.line("total_reads_processed", counters.reads.get());
    lines.line("total_writes_processed", counters.writes.get());
    lines.zeros(&["io_threaded_reads_processed", "io_threaded_writes_processed"]);
    lines.zeros(&["reply_buffer_shrinks", "reply_buffer_expands"]);
    lines.line("acl_access_denied_auth", read(&counters.failed_logins));
    lines.line("acl_access_denied_cmd", read(&counters.denied_commands));
    lines.line("acl_access_denied_key", read(&counters.denied_keys));
    lines.line("acl_access_denied_channel", read(&counters.denied_channels));
    lines.line("member_panics", read(&server.set.panics));
    lines.line("member_quarantines", read(&server.set.quarantines));
}

pub fn cpu(_: &Server, lines: &mut Lines) {
    let (it, main) = (process::cpu(), process::main_thread_cpu());
    let told = [
        ("used_cpu_sys", it.system),
        ("used_cpu_user", it.user),
        ("used_cpu_sys_children", it.children_system),
        ("used_cpu_user_children", it.children_user),
        ("used_cpu_sys_main_thread", main.system),
        ("used_cpu_user_main_thread", main.user),
    ];
    told.iter().for_each(|(name, seconds)| lines.push(format_args!("{name}:{seconds:.6}")));
}
