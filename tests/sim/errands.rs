//! What works on threads of its own while others have their turns: long requests, jobs, syncs,
//! failovers, and the replay of long writes.

use super::apart::Apart;
use super::ledger::Done;
use super::members;
use super::peer::Peer;
use super::world::{AtWork, Before, World};
use entourage::base::ids::MemberId;
use entourage::base::limits::LONG_WORKERS;
use entourage::base::time::Clock;
use entourage::commands::Job;
use entourage::node::{ApplyBudget, MemberFlags};
use entourage::server::connection::{BatchContext, Event, WorkerScratch};
use entourage::state::{JobReply, Message};

/// Failovers, syncs and the like that are under way at a time, at most.
const ERRANDS_MAX: usize = 4;

/// Something that works apart.
pub struct Errand {
    kind: Kind,
    apart: Apart<Ended>,
}

enum Kind {
    /// A connection, on a thread for long work.
    Long(Box<Long>),
    /// What a client has asked for, whose slot waits.
    Job(Box<AtWork>),
    /// A member repeats a long write.
    Replay(MemberId),
    /// A quarantined master is replaced.
    Replace,
    /// Something else that happens to members.
    Other,
}

/// A connection that is away.
struct Long {
    at: usize,
    id: u64,
    before: Before,
    /// What it has written so far.
    done: Vec<Done>,
}

/// What came of it.
pub enum Ended {
    Long(Box<Peer>),
    Job(Result<Vec<u8>, String>),
    Done(String),
}

impl World {
    /// Whether the client of this place is being served on a thread for long work.
    pub fn is_away(&self, at: usize) -> bool {
        self.errands.iter().any(|it| matches!(&it.kind, Kind::Long(long) if long.at == at))
    }

    /// Clients that are being served on a thread for long work.
    pub fn away(&self) -> impl Iterator<Item = u64> {
        self.errands.iter().filter_map(|it| match &it.kind {
            Kind::Long(long) => Some(long.id),
            _ => None,
        })
    }

    /// Whether a thread for long work has nothing to do.
    pub fn has_long_worker(&self) -> bool {
        self.away().count() < LONG_WORKERS
    }

    /// Whether nobody works apart.
    pub fn is_alone(&self) -> bool {
        self.errands.is_empty()
    }

    /// A connection whose next request is long goes on at a thread for that.
    pub fn begin_long(&mut self, at: usize, mut peer: Peer) {
        let (server, clock) = (self.server.clone(), self.clock.clone());
        let (seed, writes) = (self.random.bits(), 1 + self.random.below(9) as usize);
        let (id, before) = (peer.id(), Before { is_apart: true, ..self.before() });
        self.tell(format!("client {id} works long"));
        let apart = Apart::new(move || {
            let mut scratch = WorkerScratch::new(peer.worker, seed);
            scratch.catch_up = ApplyBudget::Writes(writes);
            scratch.works_long = true;
            let (connection, actions) = (&mut peer.shell.connection, &mut peer.shell.actions);
            connection.caller.refresh(clock.mono_now());
            let (member_list, at_ns) = (connection.caller.member_list.clone(), clock.mono_ns());
            let (scratch, set, clock) = (&mut scratch, &server.set, &*clock);
            let mut context =
                BatchContext::begin(scratch, set, &member_list, clock, at_ns, actions);
            connection.handle(Event::Proceed, &mut context);
            Ended::Long(Box::new(peer))
        });
        let long = Box::new(Long { at, id, before, done: Vec::new() });
        self.begin(Kind::Long(long), apart);
    }

    /// A job begins that a client has asked for.
    pub fn begin_job(&mut self) {
        if self.jobs.is_empty() || ERRANDS_MAX <= self.errands.len() {
            return;
        }
        let at = self.below(self.jobs.len());
        let at_work = self.jobs.swap_remove(at);
        let server = self.server.clone();
        let apart = match at_work.job {
            Job::FailOver { candidate } => Apart::new(move || {
                let done = server.set.fail_over(server.set.member(candidate));
                let why = "REFUSEDORDER it cannot take over".to_owned();
                Ended::Job(done.map(|_| b"+OK\r\n".to_vec()).map_err(|_| why))
            }),
            Job::Reload => Apart::new(move || {
                Ended::Job(server.reload("the simulation").map(|()| b"+OK\r\n".to_vec()))
            }),
            _ => unreachable!("nobody asks for it"),
        };
        self.begin(Kind::Job(Box::new(at_work)), apart);
    }

    /// Something happens to members, at once or apart.
    pub fn begin_with_members(&mut self, which: u64) {
        let set = self.set().clone();
        if members::waits_for_all(which) {
            self.end_errands();
        }
        if members::is_apart(which) && (!self.is_alone() || self.below(2) == 0) {
            if ERRANDS_MAX <= self.errands.len() {
                return;
            }
            let now = self.clock.mono_now();
            let member = members::any_member(&set, |it| self.below(it));
            let apart =
                Apart::new(move || Ended::Done(members::happen_apart(&set, which, &member, now)));
            return self.begin(Kind::Other, apart);
        }
        let (now, is_alone) = (self.clock.mono_now(), self.is_alone());
        let below = |it: usize| self.random.below(it as u64) as usize;
        let what = members::happen(&set, which, below, now, is_alone);
        self.tell(what);
        if members::waits_for_all(which) {
            self.wake_up();
        }
    }

    /// What a feed's task, or a worker at the end of its turn, would call for.
    pub fn call_errands(&mut self) {
        let set = self.set().clone();
        let replays = |it: &Errand, id| matches!(it.kind, Kind::Replay(other) if other == id);
        for member in set.member_list().iter() {
            let is_left = member.is_busy() && !member.is_long_held();
            if is_left && !self.errands.iter().any(|it| replays(it, member.id)) {
                let (set, member) = (set.clone(), member.clone());
                let id = member.id;
                let apart = Apart::new(move || {
                    set.apply_long(&member);
                    Ended::Done(format!("{} has repeated a long write", member.name))
                });
                self.begin(Kind::Replay(id), apart);
                self.count("replayed apart");
            }
        }
        let is_down = set.member(set.master()).is(MemberFlags::QUARANTINED);
        if is_down && !self.errands.iter().any(|it| matches!(it.kind, Kind::Replace)) {
            let apart = Apart::new(move || {
                set.replace_quarantined_master();
                Ended::Done("the master is replaced".to_owned())
            });
            self.begin(Kind::Replace, apart);
        }
    }

    fn begin(&mut self, kind: Kind, apart: Apart<Ended>) {
        self.errands.push(Errand { kind, apart });
    }

    /// One of those that work apart goes on for a while.
    pub fn go_on_apart(&mut self) {
        if self.is_alone() {
            return;
        }
        let at = self.below(self.errands.len());
        self.go_on(at);
    }

    /// All that works apart goes on to its end, as far as it does not wait for others.
    pub fn end_errands(&mut self) {
        for _ in 0..20 {
            for at in (0..self.errands.len()).rev() {
                self.go_on(at);
            }
        }
    }

    /// This one goes on for a while.
    pub fn go_on(&mut self, at: usize) {
        let ended = self.errands[at].apart.step();
        let now = self.clock.mono_now().0;
        let new = self.ledger.read_on(&self.server.set, now);
        let errand = &mut self.errands[at];
        if let Kind::Long(long) = &mut errand.kind {
            long.done.extend(new);
        } else {
            assert!(new.is_empty(), "only clients write what is checked");
        }
        let waits = errand.apart.waits;
        if let Kind::Long(long) = &errand.kind {
            let id = long.id;
            self.note_published(id);
        }
        if let Some(ended) = ended {
            let errand = self.errands.swap_remove(at);
            self.ended(errand.kind, ended);
        } else if waits {
            self.count("waited apart");
        }
        self.look_at_ended_waits(None);
        self.look_for_sleepers();
    }

    fn ended(&mut self, kind: Kind, ended: Ended) {
        match (kind, ended) {
            (Kind::Long(long), Ended::Long(peer)) => self.long_ended(*long, *peer),
            (Kind::Job(at_work), Ended::Job(reply)) => self.job_ended(&at_work, &reply),
            (_, Ended::Done(what)) => self.tell(what),
            _ => unreachable!("it ends as what it was"),
        }
    }

    fn long_ended(&mut self, long: Long, mut peer: Peer) {
        let Long { at, before, done, .. } = long;
        peer.was_apart = true;
        self.count(if done.is_empty() { "long reads" } else { "long writes" });
        self.judge_done(&mut peer, &before, &done);
        self.look_at_poppers(&mut peer);
        if self.hangs_up.remove(&at) {
            peer.shell.has_hung_up = true;
            self.count("left while it worked long");
        }
        self.after_turn(at, peer);
    }

    fn job_ended(&mut self, at_work: &AtWork, reply: &Result<Vec<u8>, String>) {
        let AtWork { slot, client, .. } = at_work;
        self.tell(format!("a job of client {} ends", client.id));
        // Some tell it twice.
        for _ in 0..1 + self.below(2) {
            let reply = JobReply { reply: reply.clone(), wrote: None };
            client.mailbox.post(Message::Filled(*slot, reply));
        }
    }
}
