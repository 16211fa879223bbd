//! Replicas at the other ends of links, beside the hosted ones: each is a set of its own that
//! follows this one. Both ends are the state machines of the product, as in `wire`.

use super::coverage::name_of_link;
use super::finding::Checker;
use super::peer::Peer;
use super::wire::link::Link;
use super::wire::master_end::Ended;
use super::wire::replica_end::Event;
use super::wire::replica_set::{digest, new_set};
use super::world::World;
use entourage::base::position::ReplId;
use entourage::base::remote_address::RemoteAddress;
use entourage::base::time::Clock;
use entourage::node::{Member, RemoteMaster, ReplicaSet};
use entourage::replication::LinkFault;
use entourage::route::CountHosted;
use std::sync::Arc;
use std::time::Duration;

/// Nobody needs as many rounds to have everything.
const ROUNDS_MAX: usize = 200;

/// A replica, and its link while there is one.
pub struct Follower {
    set: ReplicaSet,
    link: Option<Link>,
    /// Its data is what the stream has made of it.
    resumes: bool,
}

/// All of them.
#[derive(Default)]
pub struct Followers {
    all: Vec<Follower>,
    /// Whether hosted replicas count beside them.
    pub count_hosted: CountHosted,
    /// The history in which one of them has synced.
    synced_in: Option<ReplId>,
}

impl Followers {
    /// So many, without links.
    pub fn new(count: usize, count_hosted: CountHosted, seed: u64, clock: &dyn Clock) -> Followers {
        let follower = |it: usize| {
            let set = new_set(0, seed + it as u64);
            let address = RemoteAddress { host: "proxy".to_owned(), port: 1 };
            set.follow(RemoteMaster::new(address, clock.mono_now()));
            Follower { set, link: None, resumes: false }
        };
        Followers { all: (0..count).map(follower).collect(), count_hosted, synced_in: None }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether hosted replicas count in this history.
    pub fn counts_hosted(&self, replid: ReplId) -> bool {
        self.count_hosted.counts(self.synced_in == Some(replid))
    }

    /// How many replicas count beside so many hosted ones, once all have synced.
    pub fn counted(&self, hosted: usize) -> usize {
        match (self.count_hosted, self.all.len()) {
            (CountHosted::Yes, _) | (CountHosted::Auto, 0) => hosted,
            (CountHosted::Auto, count) => count.min(hosted),
            (CountHosted::No, count) => count,
        }
    }

    /// Those that count as replicas of this set.
    pub fn online(&self, set: &ReplicaSet) -> usize {
        let is_served = |it: &&Follower| it.link.as_ref().is_some_and(|it| it.is_online(set));
        self.all.iter().filter(is_served).count()
    }

    /// Each one's data.
    pub fn heads(&self) -> impl Iterator<Item = (&ReplicaSet, &Member)> {
        self.all.iter().map(|it| (&it.set, it.set.member(it.set.master())))
    }
}

impl World {
    /// Something happens to one of the links.
    pub fn change_links(&mut self) {
        if self.followers.is_empty() {
            return;
        }
        let at = self.below(self.followers.all.len());
        match self.below(40) {
            0 => self.cut_link(at),
            1 => self.set().clone().ask_wire_every(Duration::ZERO, self.clock.mono_now()),
            2..4 => self.let_link_know_the_time(at),
            4..10 => self.connect(at),
            _ => {
                let most = [20, 400, 1 << 16][self.below(3)];
                let most = 1 + self.below(most);
                for _ in 0..1 + self.below(4) {
                    let which = self.below(3);
                    self.work_on_link(at, which, most);
                }
            }
        }
        let phases: Vec<_> = self.followers.all.iter().filter_map(|it| it.set.remote()).collect();
        phases.iter().for_each(|it| self.count(name_of_link(it.status().phase)));
    }

    fn connect(&mut self, at: usize) {
        let (marks, now) = (self.below(3) != 0, self.clock.mono_now());
        let Follower { set, link, resumes } = &mut self.followers.all[at];
        if link.is_some() {
            return;
        }
        let remote = set.remote().expect("it follows");
        *link = Some(Link::connect((at, set), 0, remote, (*resumes, marks), now));
        self.tell(format!("replica {at} connects"));
    }

    fn cut_link(&mut self, at: usize) {
        let (up, down) = match &self.followers.all[at].link {
            Some(link) => link.under_way(),
            None => return,
        };
        let (up, down) = (self.below(up + 1), self.below(down + 1));
        if let Some(link) = &mut self.followers.all[at].link {
            link.cut(up, down);
        }
        self.count("links cut");
        self.tell(format!("the link of replica {at} is cut"));
    }

    /// The master's end of each link is gone.
    pub fn cut_all_links(&mut self) {
        let now = self.clock.mono_now();
        for Follower { set, link, .. } in &mut self.followers.all {
            if let Some(mut link) = link.take() {
                link.leave_replica(set, now);
            }
        }
    }

    fn let_link_know_the_time(&mut self, at: usize) {
        let now = self.clock.mono_now();
        if let Some(link) = &mut self.followers.all[at].link {
            link.handle_time(now);
        }
    }

    /// Answers whether there was something to do.
    fn work_on_link(&mut self, at: usize, which: usize, most: usize) -> bool {
        let (set, now, is_alone) = (self.set().clone(), self.clock.mono_now(), self.is_alone());
        let Follower { set: own, link: Some(link), resumes } = &mut self.followers.all[at] else {
            return false;
        };
        let was_online = link.is_online(&set);
        if which == 0 && !link.serves_stream() && !is_alone {
            // What serves a link before it has the stream waits for whoever works long.
            return false;
        }
        let (mut events, mut ended, mut fault) = (Vec::new(), None, None);
        let has = match which {
            0 => {
                let worked = link.work(&set, most, now);
                let has = worked == Ok(true);
                ended = worked.err();
                has
            }
            1 => {
                let has = link.under_way().0 != 0;
                ended = link.deliver_up(&set, most, now).err();
                has
            }
            _ => {
                let has = link.under_way().1 != 0;
                let told = set.history();
                fault = link.deliver_down(own, &told, most, now, &mut events).err();
                has
            }
        };
        *resumes |= events.contains(&Event::Replaced);
        let is_online = link.is_online(&set);
        if link.is_over() {
            self.followers.all[at].link = None;
        }
        if is_online && !was_online {
            self.followers.synced_in = Some(set.history().replid);
            self.count("links served");
        }
        for event in events {
            self.tell(format!("replica {at}: {event:?}"));
        }
        if let Some(Ended::Peer(why)) = ended {
            self.find(Checker::LinkFault, format!("replica {at}: {why:?}"));
        }
        match fault {
            None | Some(LinkFault::HistoryChanged | LinkFault::Refused(..)) => {}
            Some(why) => self.find(Checker::LinkFault, format!("replica {at}: {why:?}")),
        }
        has
    }

    /// Everybody has a link, and what can be is delivered.
    pub fn deliver_all(&mut self) {
        let set = self.set().clone();
        let has_all = |it: &World| {
            let mut all = it.followers.all.iter();
            all.all(|it| it.resumes && it.set.head() == set.head())
        };
        for _ in 0..ROUNDS_MAX {
            for at in 0..self.followers.all.len() {
                self.connect(at);
                for which in [0, 1, 2, 1] {
                    while self.work_on_link(at, which, usize::MAX) && self.findings.is_empty() {}
                }
            }
            if has_all(self) || !self.findings.is_empty() || !self.is_alone() {
                break;
            }
        }
    }

    /// All of them hold what the master holds.
    pub fn settle_links(&mut self) {
        let set = self.set().clone();
        self.deliver_all();
        let master = digest(&set);
        for at in 0..self.followers.all.len() {
            let follower = &self.followers.all[at].set;
            if self.findings.is_empty()
                && (follower.head() != set.head() || digest(follower) != master)
            {
                self.find(Checker::Converged, format!("replica {at} differs from the master"));
            }
        }
    }

    /// How many replicas at the other ends of links have everything that this client has written.
    pub fn followers_with_all_of(&self, peer: &Peer) -> usize {
        let has = |it: &(&ReplicaSet, &Member)| peer.is_all_at(it.0, &self.ledger, it.1);
        self.followers.heads().filter(|it| has(it) != Some(false)).count()
    }

    /// Whether hosted replicas count.
    pub fn counts_hosted(&self) -> bool {
        self.followers.counts_hosted(self.set().history().replid)
    }

    /// How many members are sound.
    pub fn sound_members(&self) -> usize {
        self.set().members().filter(|it| it.is_sound()).count()
    }

    /// How many replicas are good enough for the gate, at most: hosted ones that lack no write that
    /// is older than it allows, and those that the stream is sent to.
    pub fn good_replicas(&self) -> usize {
        let Some((_, lag_us)) = self.gate else { return 0 };
        let by = self.clock.mono_now().0.checked_sub(lag_us + 1);
        let known = by.map_or(0, |it| self.ledger.done_by(it));
        let is_good = |it: &&Arc<Member>| it.is_sound() && self.has_all_before(it, known);
        let hosted = if self.counts_hosted() {
            self.hosted_replicas().iter().filter(is_good).count()
        } else {
            0
        };
        hosted + self.followers.online(self.set())
    }
}
