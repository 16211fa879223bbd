//! INFO's section about files, in Redis' words.

use super::lines::Lines;
use crate::base::time::MonoUs;
use crate::runtime::{allocation, clock};
use crate::state::{AofStatus, Background, DiskStatus, LoadStatus, Server};

/// All of it. Where nothing is ever saved, INFO's readers must learn that.
pub fn persistence(server: &Server, lines: &mut Lines) {
    let (changes, now) = (server.changes(), clock::mono_now());
    let orders = server.persistence.orders();
    let is_kept = server.disk().is_some();
    let status = server.persistence.status().clone();
    let has_aof = is_kept && server.settings().set.disk.has_aof();
    let since = |what| running(&status, what, now);
    let is_loading = server.set.is_loading();
    lines.line("loading", u8::from(is_loading));
    lines.line("async_loading", 0);
    lines.zeros(&["current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    lines.line("current_fork_perc", "0.00");
    let progress = status.background.map(|_| server.persistence.progress.get());
    let (written, total) = progress.unwrap_or_default();
    lines.line("current_save_keys_processed", written);
    lines.line("current_save_keys_total", total);
    let save = &status.save;
    lines.line("rdb_changes_since_last_save", changes.saturating_sub(save.changes));
    // What was asked for begins at once, unless something else is at work.
    let begins = |is_asked: bool| is_asked && status.background.is_none();
    let is_saving = since(Background::Save).is_some() || begins(orders.save);
    lines.line("rdb_bgsave_in_progress", u8::from(is_saving));
    // Redis says `ok` and when it started, even where nothing ever was or will be saved.
    let started = if is_kept { server.process_info.at.0 / 1000 } else { 0 };
    lines.line("rdb_last_save_time", save.last.map_or(started, |it| it.0 / 1000));
    let last = if is_kept { ok(save.is_ok) } else { "never" };
    lines.line("rdb_last_bgsave_status", last);
    lines.line("rdb_last_bgsave_time_sec", seconds(save.took_us));
    lines.line("rdb_current_bgsave_time_sec", seconds(since(Background::Save)));
    lines.line("rdb_saves", save.count);
    lines.line("rdb_last_cow_size", 0);
    lines.line("rdb_last_load_keys_expired", status.keys_expired);
    lines.line("rdb_last_load_keys_loaded", status.keys_loaded);
    let aof = &status.aof;
    lines.line("aof_enabled", u8::from(has_aof));
    let rewriting = since(Background::Rewrite);
    // A file that has just been switched on begins with one.
    let is_first = has_aof && !aof.is_on && aof.trouble.is_none();
    let is_rewriting = rewriting.is_some() || begins(orders.rewrite) || is_first;
    lines.line("aof_rewrite_in_progress", u8::from(is_rewriting));
    lines.line("aof_rewrite_scheduled", u8::from(orders.rewrite && !is_rewriting));
    lines.line("aof_last_rewrite_time_sec", seconds(aof.rewrite_us));
    lines.line("aof_current_rewrite_time_sec", seconds(rewriting));
    lines.line("aof_last_bgrewrite_status", ok(!aof.has_rewrite_failed));
    lines.line("aof_rewrites", aof.rewrites);
    lines.line("aof_rewrites_consecutive_failures", aof.failures);
    lines.line("aof_last_write_status", ok(aof.trouble.is_none()));
    lines.zeros(&["aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"]);
    if has_aof {
        tell_aof(server, aof, orders.rewrite, lines);
    }
    if let Some(loading) = status.loading.as_ref().filter(|_| is_loading) {
        tell_load(loading, now, lines);
    }
}

fn tell_aof(server: &Server, aof: &AofStatus, is_asked: bool, lines: &mut Lines) {
    lines.line("aof_current_size", aof.bytes);
    lines.line("aof_base_size", aof.bytes_at_rewrite);
    lines.line("aof_pending_rewrite", u8::from(is_asked));
    lines.line("aof_buffer_length", 0);
    lines.line("aof_pending_bio_fsync", 0);
    lines.line("aof_delayed_fsync", aof.late_fsyncs);
    // What Redis does not tell.
    lines.line("aof_unsynced_bytes", aof.unsynced);
    lines.line("aof_fsynced_offset", server.set.durable());
    lines.line("aof_fsyncs", aof.fsync_us.count());
    lines.line("aof_failed_fsyncs", aof.failed_fsyncs);
    lines.line("aof_fsync_us_p99", aof.fsync_us.shown(99.0));
    lines.line("aof_fsync_us_max", aof.fsync_us.max());
}

fn tell_load(loading: &LoadStatus, now: MonoUs, lines: &mut Lines) {
    let (total, read) = (loading.total.max(1), loading.read.min(loading.total));
    let (elapsed_s, left) = (now.since(loading.began_at) as f64 / 1e6, total - read);
    let eta_s = match read {
        0 => 1,
        read => (elapsed_s * left as f64 / read as f64) as u64,
    };
    lines.line("loading_start_time", loading.began.0 / 1000);
    lines.line("loading_total_bytes", loading.total);
    lines.line("loading_rdb_used_mem", allocation::allocated_bytes());
    lines.line("loading_loaded_bytes", read);
    let percent = 100.0 * read as f64 / total as f64;
    lines.push(format_args!("loading_loaded_perc:{percent:.2}"));
    lines.line("loading_eta_seconds", eta_s);
}

/// For how long this has been at work, in µs.
fn running(status: &DiskStatus, what: Background, now: MonoUs) -> Option<u64> {
    status.background.filter(|it| it.0 == what).map(|it| now.since(it.1))
}

fn seconds(us: Option<u64>) -> i64 {
    us.map_or(-1, |it| (it / 1_000_000) as i64)
}

fn ok(is_ok: bool) -> &'static str {
    if is_ok { "ok" } else { "err" }
}
