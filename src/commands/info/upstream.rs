//! The lines of INFO about members that are real servers.

use super::lines::Lines;
use crate::base::ids::MemberId;
use crate::node::upstream::PROXY_FIELD;
use crate::runtime::clock;
use crate::state::{Server, Upstream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What stands in the place of who follows whom. No member is told as a replica of ours: whoever
/// dialled it would pass us by.
pub fn replication(server: &Server, upstream: &Upstream, lines: &mut Lines) {
    let (view, members, now) = (upstream.view(), upstream.members(), clock::mono_now());
    lines.line("role", "master");
    lines.line("connected_slaves", 0);
    if let Some(gate) = server.settings().set.gate() {
        let lag_us = u64::try_from(gate.max_lag.as_micros()).unwrap_or(u64::MAX);
        lines.line("min_slaves_good_slaves", view.fresh_replicas(lag_us, now));
    }
    lines.line(PROXY_FIELD, &server.process_info.run_id);
    lines.line("upstream_members", view.count());
    lines.line("upstream_epoch", view.epoch);
    let name = |it: MemberId| members[it.index()].described.name.clone();
    lines.line("upstream_master", view.master.map_or_else(String::new, name));
    let both = view.there(&members);
    for (at, (member, stands)) in both.enumerate() {
        let (name, address, state) = (&member.described.name, &member.address, &stands.state);
        let offset = stands.at.map_or(-1, |it| it.offset.bytes() as i64);
        let lag_us = stands.fresh_at.map_or(-1, |it| now.since(it) as i64);
        let counts = &member.counts;
        let count = |it: &AtomicU64| it.load(Relaxed);
        lines.push(format_args!(
            "upstream{at}:name={name},address={address},state={},offset={offset},lag_us={lag_us},\
             in_flight={},rtt_us={},answered={},reads_accepted={},reads_refused={},faults={},\
             writes_lost={}",
            state.as_str(),
            member.load.in_flight(),
            member.load.took_us(),
            count(&counts.answered),
            count(&counts.accepted),
            count(&counts.refused),
            count(&counts.faults),
            count(&counts.lost),
        ));
    }
    lines.line("upstream_heartbeats", upstream.head.beats.load(Relaxed));
    let refused = upstream.head.refused.lock().clone().unwrap_or_default();
    lines.line("upstream_heartbeat_refused", refused);
    for (name, check) in [("audit", &upstream.checks.audit), ("shadow", &upstream.checks.shadow)] {
        for (outcome, count) in check.counts() {
            lines.push(format_args!("upstream_{name}_{}:{count}", outcome.replace('-', "_")));
        }
    }
    let all = || (0..upstream.workers()).map(|it| upstream.hedges(it));
    lines.line("upstream_hedges", all().map(|it| it.sent.load(Relaxed)).sum::<u64>());
    lines.line("upstream_hedges_won", all().map(|it| it.won.load(Relaxed)).sum::<u64>());
    let waiting: usize = (0..upstream.workers()).map(|it| upstream.waiting(it).len()).sum();
    lines.line("upstream_waiting_runs", waiting);
    lines.line("upstream_private_connections", server.forwarding.private());
    lines.line("upstream_idle_connections", server.forwarding.idle.len());
    let history = server.set.history();
    lines.line("master_replid", history.replid);
    let told = server.set.told().map_or(0, |it| it.offset.bytes());
    lines.line("master_repl_offset", told);
}
