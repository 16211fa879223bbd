//! What has happened lately: the lines of the log that operators look for afterwards, kept whatever
//! `loglevel` says.

use crate::base::time::WallMs;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Events that are kept.
pub const EVENTS_KEPT_MAX: usize = 500;
/// Events of one kind that are kept: what happens again and again, or strangers bring about, takes
/// no other's place.
const OF_A_KIND_MAX: usize = 100;
/// Letters of each.
const EVENT_CHARS_MAX: usize = 400;

/// The kinds that are kept.
pub const KEPT: &[&str] = &[
    "acl-load-failed",
    "alert-cleared",
    "alert-raised",
    "aof-recovered",
    "aof-rewrite-failed",
    "aof-truncated",
    "aof-write-failed",
    "client-evicted",
    "client-pause",
    "config-refused",
    "config-rewritten",
    "config-set",
    "data-replaced",
    "deep-chain",
    "directory-handed-over",
    "directory-not-taken",
    "drain",
    "drained",
    "failover",
    "failover-failed",
    "failover-to-replica",
    "failover-to-replica-failed",
    "follows",
    "follows-nobody",
    "full-resync",
    "full-resync-begins",
    "full-resync-ends",
    "full-resync-failed",
    "history-renamed",
    "http-login-failed",
    "http-order",
    "late-fsync",
    "link-down",
    "loaded",
    "login-failed",
    "no-replica-in-service",
    "not-applicable",
    "order-dropped",
    "panic",
    "panicked",
    "partial-resync",
    "paused",
    "reload-refused",
    "reloaded",
    "removed",
    "replica-disconnected",
    "replica-left",
    "replica-online",
    "resumed",
    "route-without-member",
    "save-failed",
    "sentinel-switch-master",
    "start",
    "tls-files-refused",
    "took-over",
    "undrained",
    "upgrade-begins",
    "upgrade-behind",
    "upgrade-done",
    "upgrade-ends",
    "upgrade-failed",
    "upgrade-socket-not-opened",
    "upstream-barrier-refused",
    "upstream-check-wrong",
    "upstream-follow-failed",
    "upstream-found",
    "upstream-member",
    "upstream-switchover",
    "upstream-switchover-aborted",
    "upstream-switchover-unsettled",
    "workers-stuck",
];

/// Something that has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecentEvent {
    /// Its number since the start.
    pub id: u64,
    /// When it was.
    pub at: WallMs,
    /// How grave it is: `error`, `warn` or `info`.
    pub severity: &'static str,
    /// Its kind.
    pub kind: String,
    /// What else the log says of it, shortened.
    pub text: String,
}

/// The last events.
#[derive(Default)]
pub struct RecentEvents(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    events: VecDeque<RecentEvent>,
    next: u64,
}

impl RecentEvents {
    /// Keeps a line of the log, if it is of a kind that is kept. The oldest of its kind gives way
    /// where there are many of that, else the oldest of all.
    pub fn note(&self, kind: &str, line: &str, level: log::Level, at: WallMs) {
        let Ok(place) = KEPT.binary_search(&kind) else { return };
        let text = line.strip_prefix("event=").and_then(|it| it.strip_prefix(KEPT[place]));
        let text = text.unwrap_or(line).trim_start();
        let text = match text.char_indices().nth(EVENT_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        let severity = match level {
            log::Level::Error => "error",
            log::Level::Warn => "warn",
            _ => "info",
        };
        let mut kept = self.0.lock();
        let is_same = |it: &&RecentEvent| it.kind == kind;
        if OF_A_KIND_MAX <= kept.events.iter().filter(is_same).count()
            && let Some(oldest) = kept.events.iter().rposition(|it| it.kind == kind)
        {
            kept.events.remove(oldest);
        }
        if kept.events.len() == EVENTS_KEPT_MAX {
            kept.events.pop_back();
        }
        let id = kept.next;
        kept.next += 1;
        kept.events.push_front(RecentEvent { id, at, severity, kind: kind.to_owned(), text });
    }

    /// The newest `count`, newest first.
    pub fn newest(&self, count: usize) -> Vec<RecentEvent> {
        self.0.lock().events.iter().take(count).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_the_kinds_that_are_kept_are_there_newest_first() {
        let events = RecentEvents::default();
        let note = |line: &str| {
            let kind = crate::base::log_line::event_of(line).unwrap();
            events.note(kind, line, log::Level::Warn, WallMs(7));
        };
        note("event=failover from=n1 to=n2");
        note("event=closed client=1");
        (0..1000).for_each(|it| note(&format!("event=login-failed client={it}")));
        let all = events.newest(usize::MAX);
        assert_eq!(all.len(), OF_A_KIND_MAX + 1);
        assert_eq!((all[0].id, all[0].text.as_str()), (1000, "client=999"));
        assert_eq!((all[99].id, all[99].kind.as_str()), (901, "login-failed"));
        assert_eq!(all[100].kind, "failover", "others take no place of it");
        for kind in &KEPT[..EVENTS_KEPT_MAX / 20] {
            (0..20).for_each(|_| note(&format!("event={kind}")));
        }
        let all = events.newest(usize::MAX);
        assert_eq!(all.len(), EVENTS_KEPT_MAX);
        assert_eq!(all[499].kind, KEPT[0]);
        note(&format!("event=panicked why={}", "ä".repeat(5000)));
        assert_eq!(events.newest(1)[0].text.chars().count(), EVENT_CHARS_MAX + 1);
    }

    #[test]
    fn kinds_stand_in_order() {
        assert!(KEPT.is_sorted());
    }
}
