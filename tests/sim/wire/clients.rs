//! Sessions that write at one set and read at another, as with a token: what they have seen they
//! see again, or they are told that it is lost.

use super::super::finding::Checker;
use entourage::base::position::Offset;
use entourage::base::time::MonoUs;
use entourage::node::ReplicaSet;
use entourage::session::Session;

/// A session, and what it has seen.
#[derive(Default)]
pub struct Client {
    session: Session,
    seen: String,
    /// Its floor is where a write ended, and no heartbeat behind it.
    ends_with_write: bool,
}

/// What has come of a read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// The set has what the session asks for.
    Served,
    /// It lacks it, or cannot tell.
    Waits,
    /// The session is told that this is lost, or a part of it; `None` where what has gone may be
    /// what is no write.
    Lost(Option<String>),
}

impl Client {
    /// It has written, and the set holds this now.
    pub fn wrote(&mut self, set: &ReplicaSet, holds: &str, now: MonoUs) {
        self.session.carry_over(&set.history());
        self.session.lost = None;
        self.session.wrote(set.position(), now);
        self.seen = holds.to_owned();
        self.ends_with_write = true;
    }

    /// It reads at a set that holds this.
    pub fn read(
        &mut self,
        set: &ReplicaSet,
        holds: &str,
        now: MonoUs,
    ) -> Result<Read, (Checker, String)> {
        let at = set.position();
        self.session.carry_over(&set.history());
        let has_all = holds.starts_with(&self.seen);
        if self.session.lost.take().is_some() {
            // It goes on with what there is.
            self.session = Session::default();
            self.session.saw_all(at);
            let seen = std::mem::replace(&mut self.seen, holds.to_owned());
            let was_write = std::mem::take(&mut self.ends_with_write);
            return Ok(Read::Lost(was_write.then_some(seen)));
        }
        let Some(floor) = self.session.floor else {
            self.wrote_nothing(set, holds);
            return Ok(Read::Served);
        };
        if floor.replid != at.replid || at.offset < floor.offset {
            return Ok(Read::Waits);
        }
        // Who has only read is not told when a history has gone as a whole.
        let has_written = self.session.last_write != Offset::ZERO;
        if !has_all && (has_written || floor.offset != Offset::ZERO) {
            let what = format!("at {now:?} {holds} is read where {} was seen", self.seen);
            return Err((Checker::Stale, what));
        }
        self.session.saw(at);
        self.seen = holds.to_owned();
        self.ends_with_write &= at.offset == floor.offset;
        Ok(Read::Served)
    }

    fn wrote_nothing(&mut self, set: &ReplicaSet, holds: &str) {
        self.session.saw_all(set.position());
        self.seen = holds.to_owned();
    }
}
