//! Counts of the whole process, for INFO.

use crate::base::count::SharedCount;
use crate::runtime::tasks;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Kinds of errors that are counted apart; more than Redis has, so only made-up ones are left out.
const ERROR_KINDS_MAX: usize = 128;

/// What has been counted since the start or the last CONFIG RESETSTAT.
#[derive(Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections refused: there were too many, or protected mode is for this machine only.
    pub refused: AtomicU64,
    /// Bytes read.
    pub bytes_in: SharedCount,
    /// Bytes written.
    pub bytes_out: SharedCount,
    /// Reads of clients' sockets that have brought something.
    pub reads: SharedCount,
    /// Turns in which something was written to a client's socket.
    pub writes: SharedCount,
    /// Of those read, what masters and replicas on the wire have sent.
    pub repl_bytes_in: AtomicU64,
    /// Of those written, what replicas on the wire were sent.
    pub repl_bytes_out: AtomicU64,
    /// Commands executed.
    pub commands: SharedCount,
    /// Transactions of reads alone that replicas have served.
    pub reads_together: SharedCount,
    /// Error replies.
    pub errors: AtomicU64,
    /// Clients closed because they did not read.
    pub overflowed: AtomicU64,
    /// Clients closed because buffers took more than `maxmemory-clients`.
    pub evicted_clients: AtomicU64,
    /// Wrong passwords.
    pub failed_logins: AtomicU64,
    /// Commands that users may not call.
    pub denied_commands: AtomicU64,
    /// Keys that they may not touch.
    pub denied_keys: AtomicU64,
    /// Channels that they may not use.
    pub denied_channels: AtomicU64,
    /// Links of replication that ended because the peer broke the protocol.
    pub peer_faults: AtomicU64,
    /// Alerts that the command or the webhook has taken.
    pub alerts_delivered: AtomicU64,
    /// Alerts that one of them has not.
    pub alerts_undelivered: AtomicU64,
    /// Keys that had expired before the last reset.
    pub expired_before: AtomicU64,
    /// The same of fields of hashes.
    pub expired_fields_before: AtomicU64,
    /// Microseconds that the cycle has taken which deletes what has expired.
    pub expire_us: AtomicU64,
    /// Bytes of own histories that other masters' data has taken the place of.
    pub dropped_history_bytes: AtomicU64,
    kinds: Kinds,
    link_faults: Kinds,
}

/// Errors by their first word. A kind has a place of its own from its first error on, which is
/// found without a lock; the commonest kinds come first, as they do in practice.
struct Kinds([Kind; ERROR_KINDS_MAX]);

#[derive(Default)]
struct Kind {
    word: OnceLock<Box<str>>,
    errors: AtomicU64,
}

impl Default for Kinds {
    fn default() -> Kinds {
        Kinds(std::array::from_fn(|_| Kind::default()))
    }
}

impl Kinds {
    fn count(&self, word: &str) {
        let is_it = |it: &&Kind| **it.word.get_or_init(|| word.into()) == *word;
        if let Some(kind) = self.0.iter().find(is_it) {
            kind.errors.fetch_add(1, Relaxed);
        }
    }

    fn counts(&self) -> BTreeMap<&str, u64> {
        let counted = |it: &Kind| it.errors.load(Relaxed);
        let kinds = self.0.iter().map_while(|it| Some((&**it.word.get()?, counted(it))));
        kinds.filter(|it| it.1 != 0).collect()
    }

    fn reset(&self) {
        self.0.iter().for_each(|it| it.errors.store(0, Relaxed));
    }
}

impl Counters {
    /// Counts an error reply by its first word.
    pub fn error(&self, text: &str) {
        self.errors.fetch_add(1, Relaxed);
        self.kinds.count(text.split(' ').next().unwrap_or_default());
    }

    /// How often each kind of error was answered, by its word.
    pub fn kinds(&self) -> BTreeMap<&str, u64> {
        self.kinds.counts()
    }

    /// Counts what has ended the link to a remote master, by its name.
    pub fn link_fault(&self, name: &str) {
        self.link_faults.count(name);
    }

    /// How often each of these was it.
    pub fn link_faults(&self) -> BTreeMap<&str, u64> {
        self.link_faults.counts()
    }

    /// So many bytes have come from a master, or a replica on the wire.
    pub fn received_from_peer(&self, count: usize) {
        self.bytes_in.add(tasks::worker(), count as u64);
        self.repl_bytes_in.fetch_add(count as u64, Relaxed);
    }

    /// So many bytes have gone to a replica on the wire.
    pub fn sent_to_peer(&self, count: usize) {
        self.bytes_out.add(tasks::worker(), count as u64);
        self.repl_bytes_out.fetch_add(count as u64, Relaxed);
    }

    /// Forgets everything.
    pub fn reset(&self) {
        let Counters { accepted, refused, errors, overflowed, failed_logins, .. } = self;
        let Counters { denied_commands, denied_keys, denied_channels, .. } = self;
        let denied = [denied_commands, denied_keys, denied_channels, &self.evicted_clients];
        let Counters { alerts_delivered, alerts_undelivered, .. } = self;
        let Counters { repl_bytes_in, repl_bytes_out, .. } = self;
        let sent = [alerts_delivered, alerts_undelivered, repl_bytes_in, repl_bytes_out];
        let others = [accepted, refused, errors, overflowed, failed_logins, &self.expire_us];
        for count in others.into_iter().chain(denied).chain(sent) {
            count.store(0, Relaxed);
        }
        let Counters { bytes_in, bytes_out, commands, reads_together, .. } = self;
        let per_worker = [bytes_in, bytes_out, commands, reads_together, &self.reads, &self.writes];
        per_worker.iter().for_each(|it| it.reset());
        self.kinds.reset();
        self.link_faults.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_first_word_whoever_meets_them() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let counters = &counters;
                scope.spawn(move || {
                    for at in 0..1000 {
                        let texts = ["ERR a", "WRONGTYPE b", "NOAUTH c"];
                        counters.error(texts[(at + thread) % texts.len()]);
                    }
                });
            }
        });
        let kinds = counters.kinds();
        assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), ["ERR", "NOAUTH", "WRONGTYPE"]);
        assert_eq!(kinds.values().sum::<u64>(), 4000);
        counters.reset();
        assert!(counters.kinds().is_empty());
        counters.error("WRONGTYPE b");
        assert_eq!(counters.kinds(), BTreeMap::from([("WRONGTYPE", 1)]));
    }

    #[test]
    fn made_up_kinds_are_left_out_once_there_are_too_many() {
        let counters = Counters::default();
        (0..ERROR_KINDS_MAX + 9).for_each(|it| counters.error(&format!("KIND{it} x")));
        assert_eq!(counters.kinds().len(), ERROR_KINDS_MAX);
        assert_eq!(read(&counters.errors), (ERROR_KINDS_MAX + 9) as u64);
    }

    fn read(count: &AtomicU64) -> u64 {
        count.load(Relaxed)
    }
}
