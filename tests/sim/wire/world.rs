//! The sets, their links and the clients of one seed, step by step.

use super::super::clock::VirtualClock;
use super::super::coverage::{name_of_follower, name_of_link};
use super::super::finding::{Checker, Finding};
use super::super::runs::{Counts, simulation};
use super::clients::Client;
use super::ledger::Ledger;
use super::link::Link;
use super::master_end::Ended;
use super::replica_end::Event;
use super::replica_set::{EARLY, ORDER, apply_all, new_set, write};
use entourage::base::position::Offset;
use entourage::base::random::Random;
use entourage::base::remote_address::RemoteAddress;
use entourage::base::time::{MonoUs, WallMs};
use entourage::node::{LinkPhase, RemoteMaster, ReplicaSet};
use entourage::replication::LinkFault;
use entourage::runtime::clock;
use std::sync::Arc;
use std::time::Duration;

const SETS: usize = 3;
const CLIENTS: usize = 3;
/// Nobody needs as many rounds to have everything.
const ROUNDS_MAX: usize = 400;

/// A set, and what the simulation knows of it.
pub struct Node {
    pub set: ReplicaSet,
    /// The set that it follows.
    pub follows: Option<usize>,
    /// Whether its data is what the stream has made of it.
    pub resumes: bool,
    /// Its data has been replaced since it follows the one it follows.
    pub is_synced: bool,
    /// The writes it has made since it followed somebody, with where they ended.
    pub made: Vec<(u64, Offset)>,
}

pub struct World {
    pub seed: u64,
    /// What has happened, in numbers.
    pub steps: u64,
    pub random: Random,
    pub now: MonoUs,
    /// What goes on with it.
    pub clock: Arc<VirtualClock>,
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    pub clients: Vec<Client>,
    pub ledger: Ledger,
    /// The master stays the same set, and keeps all it has said: nobody needs a second file.
    pub is_steady: bool,
    pub findings: Vec<Finding>,
    pub trace: Vec<String>,
    pub counts: Counts,
}

simulation!(World);

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let clock = Arc::new(VirtualClock::new());
        clock::simulate(Some(clock.clone()));
        let is_steady = random.below(3) == 0;
        let node = |it: u64| Node {
            set: new_set((seed + it) as usize % 3, seed + it),
            follows: None,
            resumes: true,
            is_synced: false,
            made: Vec::new(),
        };
        let mut world = World {
            nodes: (0..SETS as u64).map(node).collect(),
            seed,
            steps: 0,
            random,
            now: MonoUs(1000),
            clock,
            links: Vec::new(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            ledger: Ledger::new(SETS),
            is_steady,
            findings: Vec::new(),
            trace: Vec::new(),
            counts: Counts::new(),
        };
        (1..SETS).for_each(|it| world.follow(it, 0));
        world
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    pub fn find(&mut self, checker: Checker, what: String) {
        self.trace.push(format!("FOUND {checker:?} {what}"));
        self.findings.push(Finding { checker, what });
    }

    pub fn note(&mut self, what: String) {
        self.trace.push(format!("{} {what}", self.now.0));
    }

    pub fn wall(&self) -> WallMs {
        WallMs(EARLY.0 + self.now.0 / 1000)
    }

    /// The sets that follow nobody.
    pub fn masters(&self) -> Vec<usize> {
        (0..SETS).filter(|it| self.nodes[*it].follows.is_none()).collect()
    }

    /// One set follows another from here on, if that does not follow it.
    pub fn follow(&mut self, one: usize, other: usize) {
        let mut at = Some(other);
        while let Some(it) = at {
            if it == one {
                return;
            }
            at = self.nodes[it].follows;
        }
        self.drop_link_of(one);
        let address = RemoteAddress { host: other.to_string(), port: 1 };
        let node = &mut self.nodes[one];
        node.set.follow(RemoteMaster::new(address, self.now));
        node.follows = Some(other);
        node.is_synced = false;
        node.made.clear();
        self.note(format!("{one} follows {other}"));
    }

    /// The replica ends its link, if there is one.
    pub fn drop_link_of(&mut self, one: usize) {
        for link in self.links.iter_mut().filter(|it| it.replica == one) {
            link.leave_replica(&self.nodes[one].set, self.now);
        }
    }

    /// A set that follows another without a link connects one.
    pub fn connect(&mut self, one: usize) {
        let Some(other) = self.nodes[one].follows else { return };
        if self.links.iter().any(|it| it.replica == one && it.at_replica.is_some()) {
            return;
        }
        if self.below(4) == 0 {
            let remote = self.nodes[one].set.remote().expect("it follows somebody");
            // It takes until it is tried again.
            return self.nodes[one].set.enter_link_phase(&remote, LinkPhase::Connecting, self.now);
        }
        let marks = self.below(3) != 0;
        let Node { set, resumes, .. } = &self.nodes[one];
        let remote = set.remote().expect("it follows somebody");
        let link = Link::connect((one, set), other, remote, (*resumes, marks), self.now);
        self.links.push(link);
        self.note(format!("{one} connects to {other}"));
    }

    /// These calls are made at a set that follows nobody, as a numbered write.
    pub fn write(&mut self, number: usize, mut calls: Vec<(usize, String)>) -> u64 {
        let id = self.ledger.next();
        if calls.iter().any(|it| it.1 == "FLUSHALL") {
            calls.retain(|it| it.1 == "FLUSHALL");
            let holds = self.ledger.holds(number);
            if !holds.is_empty() {
                calls.push((0, format!("SET {ORDER} {holds}")));
            }
        }
        calls.push((0, format!("APPEND {ORDER} {id},")));
        let wall = self.wall();
        let node = &mut self.nodes[number];
        write(&node.set, &calls, wall, self.now);
        node.made.push((id, node.set.head()));
        self.ledger.wrote(number, &node.set, id);
        self.note(format!("{number} writes {id}: {calls:?}"));
        self.count("writes");
        id
    }

    /// Something comes of a link: which of its three works is drawn, and how much.
    pub fn work(&mut self, at: usize, which: usize, most: usize) -> bool {
        let World { links, nodes, now, .. } = self;
        let link = &mut links[at];
        let (replica, master) = (link.replica, link.master);
        match which {
            0 => {
                let worked = link.work(&nodes[master].set, most, *now);
                let has = matches!(worked, Ok(true));
                self.ended(master, replica, worked.err());
                has
            }
            1 => {
                let has = link.under_way().0 != 0;
                let ended = link.deliver_up(&nodes[master].set, most, *now);
                self.check_acks(master);
                self.ended(master, replica, ended.err());
                has
            }
            _ => {
                let (has, mut events) = (link.under_way().1 != 0, Vec::new());
                let node = &nodes[replica];
                let told = nodes[master].set.history();
                let fault = link.deliver_down(&node.set, &told, most, *now, &mut events).err();
                self.came(replica, master, &events, fault);
                has
            }
        }
    }

    fn ended(&mut self, master: usize, replica: usize, why: Option<Ended>) {
        match why {
            None => {}
            Some(Ended::Told(why)) => {
                self.count(why);
                self.note(format!("{master} ends the link of {replica}: {why}"));
            }
            Some(fault) => {
                self.find(Checker::LinkFault, format!("{replica} to {master}: {fault:?}"));
            }
        }
    }

    fn came(&mut self, one: usize, from: usize, events: &[Event], fault: Option<LinkFault>) {
        for event in events {
            self.note(format!("{one} from {from}: {event:?}"));
            match event {
                Event::Resumed => self.count("resumed"),
                Event::Replaced => {
                    self.count("replaced");
                    self.nodes[one].is_synced = true;
                    self.nodes[one].resumes = true;
                }
                Event::FullResync => {
                    self.count("full resyncs");
                    if self.is_steady && self.nodes[one].is_synced {
                        let what = format!("{one} gets a second file from {from}");
                        self.find(Checker::Resyncs, what);
                    }
                }
            }
        }
        let is_replaced = events.contains(&Event::Replaced);
        self.look(one, is_replaced);
        match fault {
            None => {}
            Some(LinkFault::Refused(..)) => self.count("refused"),
            Some(LinkFault::HistoryChanged) => self.count("changed"),
            Some(fault) => self.find(Checker::LinkFault, format!("{one} from {from}: {fault:?}")),
        }
    }

    pub fn look(&mut self, one: usize, is_replaced: bool) {
        let looked = self.ledger.look(one, &self.nodes[one].set, is_replaced);
        if let Err((checker, what)) = looked {
            self.find(checker, what);
        }
    }

    /// What counts as acknowledged is where it was acknowledged.
    fn check_acks(&mut self, master: usize) {
        let Node { set, made, .. } = &self.nodes[master];
        // A replica counts once more while the master has not seen that its last link has ended.
        let links: Vec<&Link> = self.links.iter().filter(|it| it.is_served_by(master)).collect();
        let mut wrong = None;
        for (write, offset) in made.iter().rev().take(20) {
            let has = links.iter().filter(|it| self.ledger.has_been_on(*write, it.replica));
            let (acked, has) = (set.acked_by(*offset), has.count());
            if has < acked {
                wrong =
                    Some(format!("{acked} have acknowledged {write} of {master}, {has} had it"));
            }
        }
        if let Some(what) = wrong {
            self.find(Checker::WaitCount, what);
        }
    }

    /// Nothing is cut any more, there is one master, and everything is delivered.
    pub fn end_all(&mut self) {
        let masters = self.masters();
        let master = masters[0];
        masters[1..].iter().for_each(|it| self.follow(*it, master));
        let is_quiet = (0..ROUNDS_MAX).any(|round| {
            self.now = self.now.plus(Duration::from_millis(300));
            if round % 4 == 3 {
                self.nodes[master].set.ask_wire_every(Duration::ZERO, self.now);
            }
            self.round();
            !self.findings.is_empty() || round % 4 == 2 && self.is_settled(master)
        });
        if !is_quiet {
            let heads: Vec<Offset> = self.nodes.iter().map(|it| it.set.head()).collect();
            self.find(Checker::Converged, format!("heads are {heads:?} and stay so"));
        }
        for one in 0..SETS {
            apply_all(&self.nodes[one].set, self.now);
            self.look(one, false);
            if self.ledger.holds(one) != self.ledger.holds(master) {
                let what = format!("{one} lacks writes of {master}");
                self.find(Checker::Converged, what);
            }
        }
    }

    fn round(&mut self) {
        (0..SETS).for_each(|it| self.connect(it));
        for at in 0..self.links.len() {
            self.links[at].handle_time(self.now);
            for which in [0, 1, 2] {
                while self.work(at, which, usize::MAX) && self.findings.is_empty() {}
            }
        }
        self.forget_links();
    }

    pub fn forget_links(&mut self) {
        self.links.retain(|it| !it.is_over());
    }

    /// Counts the states that followers and links are in.
    pub fn look_at_states(&mut self) {
        for at in 0..self.nodes.len() {
            let set = &self.nodes[at].set;
            let followers =
                set.followers(self.now).into_iter().map(|it| name_of_follower(it.state));
            let link = set.remote().map(|it| name_of_link(it.status().phase));
            let states: Vec<_> = followers.chain(link).collect();
            states.into_iter().for_each(|it| self.count(it));
        }
    }

    /// Everybody has everything, and has said so.
    fn is_settled(&self, master: usize) -> bool {
        // Another history may have come to the same length.
        let place = |it: &Node| (it.set.history().replid, it.set.head());
        let (end, head) = (place(&self.nodes[master]), self.nodes[master].set.head());
        let direct = self.nodes.iter().filter(|it| it.follows == Some(master)).count();
        let has_all = |it: &Node| place(it) == end;
        self.nodes.iter().all(has_all) && self.nodes[master].set.acked_by(head) == direct
    }
}
