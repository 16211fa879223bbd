//! Metrics of the process and its clients.

use super::seen::Seen;
use crate::commands::unserved;
use crate::metrics::exposition::Samples;
use crate::runtime::process as machine;
use crate::session::SubscriptionKind;
use crate::state::version::{ENTOURAGE_VERSION, REDIS_VERSION};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn count(it: &mut Samples<'_>, count: &AtomicU64) {
    it.value(&[], count.load(Relaxed));
}

pub fn build(_: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[ENTOURAGE_VERSION, REDIS_VERSION], 1);
}

pub fn start_time(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.process_info.at.0 as f64 / 1000.0);
}

pub fn ready(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.switch(&[], unserved(seen.server).is_none());
}

pub fn cpu(_: &Seen<'_>, it: &mut Samples<'_>) {
    let cpu = machine::cpu();
    it.value(&["user"], cpu.user);
    it.value(&["system"], cpu.system);
}

pub fn machine_memory(_: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], machine::machine_bytes());
}

pub fn clients(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.clients.count());
}

pub fn blocked(seen: &Seen<'_>, it: &mut Samples<'_>) {
    let mut blocked = 0;
    seen.server.clients.each(|it| blocked += usize::from(it.is_waiting()));
    it.value(&[], blocked);
}

pub fn accepted(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.counters.accepted);
}

pub fn rejected(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.counters.refused);
}

pub fn tls(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.tls.handshakes);
}

pub fn tls_end(seen: &Seen<'_>, it: &mut Samples<'_>) {
    if let Some(end) = seen.server.tls.listeners().and_then(|it| it.end()) {
        it.value(&[], end.0 / 1000);
    }
}

pub fn tls_failures(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.tls.failures);
}

pub fn overflowed(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.counters.overflowed);
}

pub fn failed_logins(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.counters.failed_logins);
}

pub fn received(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.counters.bytes_in.get());
}

pub fn sent(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.counters.bytes_out.get());
}

pub fn reads_together(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.counters.reads_together.get());
}

pub fn commands(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.counters.commands.get());
}

pub fn errors(seen: &Seen<'_>, it: &mut Samples<'_>) {
    count(it, &seen.server.counters.errors);
}

pub fn slow(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.slowlog.lock().len());
}

pub fn channels(seen: &Seen<'_>, it: &mut Samples<'_>) {
    it.value(&[], seen.server.pubsub.count(SubscriptionKind::Channel));
}
