//! The remote master that a set follows, and how the link to it stands, for everybody to see.

use super::freshness::Freshness;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A remote master. A set that is told to follow the same one again gets another of these.
#[derive(Debug)]
pub struct RemoteMaster {
    /// Where it is.
    pub address: RemoteAddress,
    status: Mutex<LinkStatus>,
    heard_at: AtomicU64,
    /// How old what is here of it is.
    pub freshness: Freshness,
    /// It is a replica that is asked to become the master.
    asks_to_take_over: AtomicBool,
    /// How many servers it follows, one behind the other.
    above: AtomicUsize,
}

/// How far the link has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkPhase {
    /// It will be connected.
    Waiting,
    /// It is being connected.
    Connecting,
    /// The two servers get to know each other.
    Handshake,
    /// A snapshot is being loaded.
    Sync,
    /// The stream comes.
    Connected,
}

/// How the link stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkStatus {
    /// How far it has come.
    pub phase: LinkPhase,
    /// Since when it has not been connected; meaningless while it is.
    pub down_since: MonoUs,
    /// Bytes of the snapshot that have come, and that there are if that is known.
    pub loaded: u64,
    /// See [`LinkStatus::loaded`].
    pub total: Option<u64>,
    /// The name of what ended it last, and what that was.
    pub fault: Option<(&'static str, String)>,
    /// How often it has ended.
    pub faults: u64,
}

impl LinkPhase {
    /// Redis' word, which ROLE answers.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkPhase::Waiting => "connect",
            LinkPhase::Connecting => "connecting",
            LinkPhase::Handshake => "handshake",
            LinkPhase::Sync => "sync",
            LinkPhase::Connected => "connected",
        }
    }
}

impl RemoteMaster {
    /// A master that nobody has connected to yet.
    pub fn new(address: RemoteAddress, now: MonoUs) -> RemoteMaster {
        let status = LinkStatus {
            phase: LinkPhase::Waiting,
            down_since: now,
            loaded: 0,
            total: None,
            fault: None,
            faults: 0,
        };
        RemoteMaster {
            address,
            status: Mutex::new(status),
            heard_at: AtomicU64::new(0),
            freshness: Freshness::default(),
            asks_to_take_over: AtomicBool::new(false),
            above: AtomicUsize::new(0),
        }
    }

    /// How many servers it follows, one behind the other: 0 for one that is a master, as far as
    /// anybody has looked.
    pub fn above(&self) -> usize {
        self.above.load(Relaxed)
    }

    /// Somebody has looked. What comes through many hands is late, and ends with any of them.
    pub fn note_above(&self, above: usize) {
        if self.above.swap(above, Relaxed) != above && above != 0 {
            log::warn!("event=deep-chain master={} servers-above={above}", self.address);
        }
    }

    /// The same, which is a replica until it is asked to become the master.
    pub fn to_take_over(self) -> RemoteMaster {
        RemoteMaster { asks_to_take_over: AtomicBool::new(true), ..self }
    }

    /// Whether it is to be asked to become the master.
    pub fn asks_to_take_over(&self) -> bool {
        self.asks_to_take_over.load(Relaxed)
    }

    /// How the link stands now.
    pub fn status(&self) -> LinkStatus {
        self.status.lock().clone()
    }

    /// Whether the stream comes.
    pub fn is_connected(&self) -> bool {
        self.status.lock().phase == LinkPhase::Connected
    }

    /// When something came last; `None` before anything has.
    pub fn heard_at(&self) -> Option<MonoUs> {
        let at = self.heard_at.load(Relaxed);
        (at != 0).then_some(MonoUs(at))
    }

    /// Something has come.
    pub fn heard(&self, now: MonoUs) {
        self.heard_at.store(now.0, Relaxed);
    }

    /// So much of the snapshot has come.
    pub fn has_loaded(&self, loaded: u64, total: Option<u64>) {
        let mut status = self.status.lock();
        (status.loaded, status.total) = (loaded, total);
    }

    /// What ended the link, by name and in words.
    pub fn note_fault(&self, name: &'static str, what: String) {
        let mut status = self.status.lock();
        status.fault = Some((name, what));
        status.faults += 1;
    }

    /// Answers whether the link was connected and is no longer, or the other way round.
    pub(super) fn enter(&self, phase: LinkPhase, now: MonoUs) -> bool {
        let mut status = self.status.lock();
        let before = std::mem::replace(&mut status.phase, phase);
        let is_other = (before == LinkPhase::Connected) != (phase == LinkPhase::Connected);
        if before == LinkPhase::Connected && is_other {
            status.down_since = now;
            self.freshness.forget();
        }
        if phase == LinkPhase::Connected {
            self.asks_to_take_over.store(false, Relaxed);
        }
        if phase == LinkPhase::Sync {
            (status.loaded, status.total) = (0, None);
        }
        is_other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::Offset;

    fn remote() -> RemoteMaster {
        let address = RemoteAddress { host: "127.0.0.1".into(), port: 7000 };
        RemoteMaster::new(address, MonoUs(1))
    }

    #[test]
    fn a_link_is_down_since_it_was_last_connected() {
        let remote = remote();
        let enter = |phase, now| remote.enter(phase, MonoUs(now));
        assert!(!remote.is_connected() && !enter(LinkPhase::Connecting, 2));
        assert!(!enter(LinkPhase::Handshake, 3));
        assert!(enter(LinkPhase::Connected, 4) && remote.is_connected());
        remote.freshness.note(MonoUs(4), Offset::ZERO);
        assert!(!enter(LinkPhase::Connected, 5), "it was");
        assert_eq!(remote.freshness.age_us(Offset::ZERO, MonoUs(6)), 2);
        assert_eq!(remote.status().down_since, MonoUs(1));
        assert!(enter(LinkPhase::Waiting, 7) && !remote.is_connected());
        assert_eq!(remote.status().down_since, MonoUs(7));
        assert_eq!(remote.freshness.age_us(Offset::ZERO, MonoUs(8)), u64::MAX, "nobody knows");
        assert!(!enter(LinkPhase::Connecting, 9));
        assert_eq!(remote.status().down_since, MonoUs(7));
    }

    #[test]
    fn a_snapshot_begins_at_nothing_and_faults_are_counted() {
        let remote = remote();
        remote.has_loaded(5, Some(10));
        assert_eq!((remote.status().loaded, remote.status().total), (5, Some(10)));
        remote.enter(LinkPhase::Connected, MonoUs(2));
        assert_eq!(remote.status().loaded, 5);
        remote.enter(LinkPhase::Sync, MonoUs(3));
        assert_eq!((remote.status().loaded, remote.status().total), (0, None));
        remote.note_fault("closed", "by the peer".into());
        remote.note_fault("silent", "for long".into());
        let status = remote.status();
        assert_eq!((status.fault, status.faults), (Some(("silent", "for long".into())), 2));
    }

    #[test]
    fn it_is_asked_to_take_over_until_it_has() {
        assert!(!remote().asks_to_take_over());
        let remote = remote().to_take_over();
        remote.enter(LinkPhase::Handshake, MonoUs(2));
        assert!(remote.asks_to_take_over());
        remote.enter(LinkPhase::Connected, MonoUs(3));
        assert!(!remote.asks_to_take_over());
    }

    #[test]
    fn how_many_servers_are_above_is_what_was_last_seen() {
        let remote = remote();
        assert_eq!(remote.above(), 0);
        remote.note_above(2);
        assert_eq!(remote.above(), 2);
    }

    #[test]
    fn nothing_was_heard_before_something_came() {
        let address = RemoteAddress { host: "there".into(), port: 1 };
        let remote = RemoteMaster::new(address, MonoUs(1));
        assert_eq!(remote.heard_at(), None);
        remote.heard(MonoUs(7));
        assert_eq!(remote.heard_at(), Some(MonoUs(7)));
    }

    #[test]
    fn a_phase_has_the_word_that_redis_has() {
        use LinkPhase::*;
        let words = [Waiting, Connecting, Handshake, Sync, Connected].map(LinkPhase::as_str);
        assert_eq!(words, ["connect", "connecting", "handshake", "sync", "connected"]);
    }
}
