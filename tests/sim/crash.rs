//! The proxy crashes, and its disk has lost what was not synced: another begins with what is left,
//! as `server/disk/load.rs` has it begin. Connections are gone; tokens are not, and whoever comes
//! with one is told of what it has lost, and of nothing else.

use super::finding::Checker;
use super::frame::Frame;
use super::ledger::Ledger;
use super::members;
use super::peer::Peer;
use super::world::{CLIENTS, World};
use entourage::base::position::{Position, ReplId, ReplicationHistory};
use entourage::engine::Thresholds;
use entourage::node::{ReplicaSet, Restored};

/// A disk has lost fewer than so many of the last commands.
const LOST_MAX: usize = 40;

/// A token that has been handed out.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    /// The last write that its session had seen.
    pub seen: u64,
    /// Commands that the stream had then.
    pub said: usize,
    /// Crashes before it.
    pub crashes: usize,
}

/// What a crash has left.
#[derive(Clone, Copy)]
pub struct Left {
    /// Commands of the stream.
    said: usize,
    /// The last write.
    last: u64,
}

impl World {
    /// Whether this can be what a token is answered: an error says that a write is lost exactly
    /// when one is.
    pub fn token_fits(&mut self, peer: &mut Peer, token: &Token, frame: &Frame) -> bool {
        let since = self.crashes[token.crashes..].iter();
        let (said, last) = since.fold((usize::MAX, u64::MAX), |(said, last), it| {
            (said.min(it.said), last.min(it.last))
        });
        let id = peer.id();
        if frame.is_error("LOSTWRITE") {
            self.count("lost writes told");
            if token.said <= said {
                self.find(Checker::FalseLoss, format!("client {id} is told of a loss: {token:?}"));
            }
            return true;
        }
        if frame.is_ok() {
            if last < token.seen {
                self.find(Checker::LossUntold, format!("client {id} is told of none: {token:?}"));
            }
            if !self.crashes.is_empty() {
                self.count("tokens of before a crash");
            }
            peer.seen = peer.seen.max(token.seen.min(last));
        }
        frame.is_ok() || frame.is_error("UNKNOWNHISTORY")
    }

    /// Everything that is not on disk is gone.
    pub fn crash(&mut self) {
        let (old, now) = (self.set().clone(), self.ledger.last());
        self.errands.clear();
        self.jobs.clear();
        (0..CLIENTS).for_each(|it| drop(self.peers[it].take()));
        self.cut_all_links();

        let bytes = old.stream_from(self.start).expect("the backlog keeps everything").concat();
        let ends = members::ends_of_writes(&bytes);
        let lost = [0, 4, LOST_MAX][self.below(3)];
        let lost = self.below(lost + 1);
        let end = ends.len().checked_sub(1 + lost).map_or(0, |it| ends[it]);
        let mut name = [self.seed as u8; 20];
        name[19] = name[19].wrapping_add(1 + self.crashes.len() as u8);
        let replid = ReplId::new(name);
        let at = self.start.after(end);
        let history = match self.below(2) {
            0 => old.history(),
            // Files do not tell more.
            _ => ReplicationHistory::new(old.history().replid),
        };
        let set = self.new_set(Position { replid, offset: self.start });
        let engine = members::replayed(set.new_engine(), &bytes[..end]);
        let tail = (self.start, bytes[..end].to_vec());
        let history = history.promoted(replid, at);
        set.begin_with(Restored { engine, history, at, tail, repeated_db: None });
        self.begin_anew(set);
        self.count("crashes");
        let lost = now - self.ledger.last();
        self.crashes.push(Left { said: self.ledger.said, last: self.ledger.last() });
        self.tell(format!("a crash, which loses {lost} of {now} writes"));
        if lost != 0 {
            self.count("crashes that lose writes");
        }
    }

    /// A set as it begins, without data.
    pub fn new_set(&self, at: Position) -> ReplicaSet {
        let (thresholds, bytes_max) = (Thresholds::default(), members::BACKLOG_BYTES);
        let (replicas, seed) = (self.replicas, self.seed);
        let set = ReplicaSet::starting_at(at, replicas, seed, thresholds, bytes_max, bytes_max);
        set.count_hosted(self.followers.count_hosted);
        set
    }

    /// Another proxy hosts this set. What its stream says is all that has happened.
    fn begin_anew(&mut self, set: ReplicaSet) {
        self.server = self.new_server(set);
        let events = self.ledger.events;
        self.ledger = Ledger::new(self.start, events);
        // Later than that is what is done from now on.
        self.ledger.read_on(&self.server.set, 0);
        self.ledger.elements.forget_untold();
        self.noted_published = self.ledger.published.len();
        self.hearings.clear();
        self.hangs_up.clear();
        self.groups.clear();
        self.pause = None;
        self.may_be_lost = 0;
    }
}
