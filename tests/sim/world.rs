//! A whole proxy in one thread, from a seed: clients with their connections, a replica set, time,
//! and what happens between them.

use super::clock::VirtualClock;
use super::finding::{Checker, Finding};
use super::ledger::Ledger;
use super::members;
use super::peer::Peer;
use super::script::Around;
use super::shell::Shell;
use entourage::base::ids::SlotId;
use entourage::base::limits::MAILBOX_BYTES_MAX;
use entourage::base::position::{Offset, Position, ReplId};
use entourage::base::random::Random;
use entourage::base::time::Clock;
use entourage::commands::{BlockOn, Job};
use entourage::config::Config;
use entourage::engine::Thresholds;
use entourage::node::ReplicaSet;
use entourage::runtime::stream;
use entourage::server::connection::{BatchContext, Connection, Event, Why, WorkerScratch};
use entourage::session::TokenSigner;
use entourage::state::{Client, JobReply, Message, ProcessInfo, Server};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

const LADDERS: &[&str] = &[
    r#"["catch-up", "master"]"#,
    r#"["other-replica", "catch-up", "master"]"#,
    r#"["wait 5ms", "catch-up", "error"]"#,
    r#"["other-replica", "wait 1ms", "error"]"#,
    r#"["wait 20ms", "master"]"#,
    r#"["master"]"#,
];
const CLIENTS: usize = 5;
const WORKERS: usize = 2;
/// Requests of one client that may wait for their replies.
const ASKED_MAX: usize = 12;

/// Work that a connection has asked for and that has not ended.
struct AtWork {
    job: Job,
    slot: SlotId,
    client: Arc<Client>,
}

/// What a connection's others look like before it handles an event.
pub struct Before {
    /// The last write.
    pub last: u64,
    /// The stream's history.
    pub replid: ReplId,
    /// What each group that shares a floor has seen.
    pub groups: BTreeMap<String, u64>,
    /// CLIENT PAUSE is in force.
    pub is_paused: bool,
    /// What the others wait for, and whether they have been told something.
    pub others: Vec<(u64, Option<BlockOn>, bool)>,
}

impl Before {
    /// The newest write that one of this group had seen.
    pub fn seen_by(&self, group: &Option<String>) -> u64 {
        group.as_ref().and_then(|it| self.groups.get(it)).copied().unwrap_or(0)
    }
}

/// Everything.
pub struct World {
    pub server: Arc<Server>,
    pub clock: VirtualClock,
    pub random: Random,
    pub ledger: Ledger,
    pub findings: Vec<Finding>,
    /// What happened, in order: equal seeds, equal traces.
    pub trace: Vec<String>,
    pub tokens: Vec<(String, u64)>,
    /// The newest write that each group that shares a floor has seen.
    pub groups: BTreeMap<String, u64>,
    /// CLIENT PAUSE as its replies tell: whether it holds everybody, and until when.
    pub pause: Option<(bool, u64)>,
    /// Whose request each number is.
    pub owners: HashMap<u64, u64>,
    /// Clients whose connection has heard that they are gone.
    pub gone: HashSet<u64>,
    /// Clients to which more was pushed than their mailbox holds.
    pub flooded: HashSet<u64>,
    /// Clients that CLIENT UNBLOCK has ended a wait of.
    pub unblocked: HashSet<u64>,
    /// Replies of each kind that the tests want to have seen.
    pub counts: HashMap<&'static str, u64>,
    /// Where the stream starts.
    start: Offset,
    may_lag: bool,
    last_number: u64,
    scratches: Vec<WorkerScratch>,
    peers: Vec<Option<Peer>>,
    jobs: Vec<AtWork>,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let replicas = 1 + random.below(3) as usize;
        let ladders = [(); 2].map(|()| LADDERS[random.below(LADDERS.len() as u64) as usize]);
        let configs = ladders.map(|it| config(replicas, it));
        let thresholds = Thresholds::default();
        // Nothing may depend on where a stream starts.
        let start = Offset::new(random.bits() >> (1 + random.below(63)));
        let replid = ReplId::new([seed as u8; 20]);
        let position = Position { replid, offset: start };
        let bytes_max = members::BACKLOG_BYTES;
        let set =
            ReplicaSet::starting_at(position, replicas, seed, thresholds, bytes_max, bytes_max);
        let turn = std::sync::atomic::AtomicUsize::new(0);
        let first = configs[0].clone();
        let source = move || {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(configs[(turn + 1) % 2].clone().into())
        };
        let signer = TokenSigner::new(b"a secret of the simulation");
        let birth = ProcessInfo::now(0, String::new());
        let server =
            Server::new(Arc::new(set), WORKERS, first, birth, signer, Some(Box::new(source)));
        World {
            server: Arc::new(server),
            clock: VirtualClock::new(),
            random,
            ledger: Ledger::new(start),
            start,
            findings: Vec::new(),
            trace: Vec::new(),
            tokens: Vec::new(),
            groups: BTreeMap::new(),
            pause: None,
            owners: HashMap::new(),
            gone: HashSet::new(),
            flooded: HashSet::new(),
            unblocked: HashSet::new(),
            counts: HashMap::new(),
            may_lag: ladders.iter().any(|it| it.contains("error")),
            last_number: 0,
            scratches: (0..WORKERS).map(|it| WorkerScratch::new(it, seed + it as u64)).collect(),
            peers: (0..CLIENTS).map(|_| None).collect(),
            jobs: Vec::new(),
        }
    }

    pub fn set(&self) -> &Arc<ReplicaSet> {
        &self.server.set
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    pub fn tell(&mut self, what: String) {
        self.trace.push(format!("{:>7} {what}", self.clock.mono_now().0));
    }

    pub fn find(&mut self, checker: Checker, what: String) {
        self.tell(format!("{checker:?}: {what}"));
        self.findings.push(Finding { checker, what });
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// One thing happens.
    pub fn step(&mut self) {
        self.clock.advance(self.random.below(300));
        let at = self.below(CLIENTS);
        match self.random.below(100) {
            0..50 => self.any_turn(),
            50..66 => self.ask(at),
            66..73 => self.send_some(at),
            73..76 => self.read_or_not(at),
            76..91 => self.change_members(),
            91..93 => self.jump(),
            93..96 => self.end_a_job(),
            96 | 97 => self.hang_up(at),
            98 => self.repeat_an_old_message(at),
            _ if self.below(20) == 0 => self.flood(at),
            _ => self.push(at),
        }
        self.look_for_sleepers();
    }

    /// A client comes in where there is none, or writes more requests.
    fn ask(&mut self, at: usize) {
        let Some(mut peer) = self.peers[at].take() else { return self.come_in(at) };
        let is_busy = ASKED_MAX <= peer.script.asked.len() || peer.shell.has_hung_up;
        if !is_busy {
            let requests = 1 + self.below(4);
            let first = self.last_number;
            for _ in 0..requests {
                let mut clients: Vec<u64> = self.peers.iter().flatten().map(Peer::id).collect();
                clients.push(peer.id());
                peer.script.draw(&mut self.around(&clients));
            }
            self.owners.extend((first..self.last_number).map(|it| (it + 1, peer.id())));
            if self.below(4) != 0 {
                peer.send(usize::MAX);
            }
        }
        self.peers[at] = Some(peer);
    }

    fn around<'a>(&'a mut self, clients: &'a [u64]) -> Around<'a> {
        let members = self.set().member_list().len();
        let World { random, last_number, tokens, may_lag, .. } = self;
        Around { random, last_number, clients, members, tokens, may_lag: *may_lag }
    }

    fn come_in(&mut self, at: usize) {
        let (server, now) = (self.server.clone(), self.clock.mono_now());
        let peer = stream::Peer {
            address: format!("client:{at}"),
            local_address: "proxy:6379".to_owned(),
            is_unix: false,
            is_local: true,
            descriptor: 0,
        };
        let client = server.clients.enter(peer, usize::MAX, now).expect("there is room");
        let connection = Connection::open(server, client, "main".into(), now);
        let mut peer = Peer::new(Shell::new(connection, &mut self.random), at % WORKERS);
        self.tell(format!("client {} comes in", peer.id()));
        let level = ["sticky", "linearizable", "global"][self.below(3)];
        peer.script.stand_at(level);
        if self.below(4) == 0 {
            peer.script.be_called("one");
            peer.script.share("client-name");
        }
        self.peers[at] = Some(peer);
    }

    fn send_some(&mut self, at: usize) {
        let most = 1 + self.below(300);
        if let Some(peer) = self.peers[at].as_mut().filter(|it| !it.shell.has_hung_up) {
            peer.send(most);
        }
    }

    /// A client takes replies, or stops to do so for a while.
    fn read_or_not(&mut self, at: usize) {
        let (stops, room) = (self.below(4) == 0, self.below(60));
        if let Some(peer) = &mut self.peers[at] {
            peer.is_reading = !stops;
            peer.shell.outbox_room = if stops { room } else { 4000 };
        }
    }

    fn change_members(&mut self) {
        let (which, now) = (self.random.below(100), self.clock.mono_now());
        let set = self.set().clone();
        let what = members::happen(&set, which, |it| self.random.below(it as u64) as usize, now);
        self.tell(what);
    }

    /// Time goes on to the next deadline.
    fn jump(&mut self) {
        let deadlines = self.peers.iter().flatten();
        if let Some(at) = deadlines.filter_map(|it| it.shell.connection.poll_deadline()).min() {
            self.clock.advance_to(at);
        }
    }

    fn hang_up(&mut self, at: usize) {
        let Some(peer) = &mut self.peers[at] else { return };
        peer.shell.has_hung_up = true;
        let id = peer.id();
        self.tell(format!("client {id} hangs up"));
    }

    /// A wake-up for a wait that is over, or never was.
    fn repeat_an_old_message(&mut self, at: usize) {
        let Some(peer) = &self.peers[at] else { return };
        let mailbox = &peer.shell.connection.caller.client.mailbox;
        mailbox.post(Message::Woken(entourage::base::ids::BlockId(0)));
    }

    fn push(&mut self, at: usize) {
        let Some(peer) = &self.peers[at] else { return };
        let mailbox = &peer.shell.connection.caller.client.mailbox;
        mailbox.post(Message::Push(bytes::Bytes::from_static(b">1\r\n+push\r\n")));
    }

    /// More is pushed than its mailbox holds, before the client's connection has its turn.
    fn flood(&mut self, at: usize) {
        let Some(peer) = &self.peers[at] else { return };
        let (id, is_blocked) = (peer.id(), peer.shell.connection.is_blocked());
        let mailbox = &peer.shell.connection.caller.client.mailbox;
        // Pages that nobody writes to take no memory.
        let bytes = bytes::Bytes::from(vec![0; MAILBOX_BYTES_MAX / 2]);
        (0..3).for_each(|_| mailbox.post(Message::Push(bytes.clone())));
        self.flooded.insert(id);
        self.tell(format!("client {id} is flooded"));
        self.count("flooded");
        if is_blocked {
            self.count("flooded while it waits");
        }
    }

    fn end_a_job(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let at = self.below(self.jobs.len());
        let AtWork { job, slot, client } = self.jobs.swap_remove(at);
        let reply = match job {
            Job::FailOver { candidate } => {
                match members::fail_over(self.set(), self.set().member(candidate)) {
                    true => Ok(b"+OK\r\n".to_vec()),
                    false => Err("REFUSEDORDER it cannot take over".to_owned()),
                }
            }
            Job::Reload => self.server.reload("the simulation").map(|()| b"+OK\r\n".to_vec()),
            Job::Migrate { .. } | Job::Remove { .. } => unreachable!("nobody asks for it"),
        };
        self.tell(format!("a job of client {} ends", client.id));
        // Some tell it twice.
        for _ in 0..1 + self.below(2) {
            let reply = JobReply { reply: reply.clone(), wrote: None };
            client.mailbox.post(Message::Filled(slot, reply));
        }
    }

    fn any_turn(&mut self) {
        let is_ready =
            |it: &Option<Peer>| it.as_ref().is_some_and(|it| it.shell.is_ready(&self.clock));
        let ready: Vec<usize> = (0..CLIENTS).filter(|it| is_ready(&self.peers[*it])).collect();
        if !ready.is_empty() {
            let at = ready[self.below(ready.len())];
            self.turn(at);
        }
    }

    /// One turn of a connection's task: see `Shell::turn` in the product.
    fn turn(&mut self, at: usize) {
        let Some(mut peer) = self.peers[at].take() else { return };
        self.handle_what_has_happened(&mut peer);
        peer.shell.transmit(self.clock.mono_now());
        let (ends, job) = peer.shell.act();
        if let Some((job, slot)) = job {
            let client = peer.shell.connection.caller.client.clone();
            self.jobs.push(AtWork { job, slot, client });
        }
        match ends {
            Some(why) => self.end(peer, why),
            None => self.peers[at] = Some(peer),
        }
    }

    fn handle_what_has_happened(&mut self, peer: &mut Peer) {
        let client = peer.shell.connection.caller.client.clone();
        if client.mailbox.has_messages() {
            match client.mailbox.take() {
                Ok(messages) => {
                    messages.into_iter().for_each(|it| self.handle(peer, Event::Message(it)));
                }
                Err(_) => self.handle(peer, Event::MailboxOverflow),
            }
        }
        let now = self.clock.mono_now();
        if peer.shell.connection.poll_deadline().is_some_and(|it| it <= now) {
            self.handle(peer, Event::Time(now));
        }
        if !peer.shell.inbox.is_empty() {
            let (bytes, mut rest) = (peer.shell.take_input(&mut self.random), Vec::new());
            let event = peer.shell.received(&bytes, &mut rest);
            self.handle(peer, event);
            // It stays in the socket until there is room again.
            peer.shell.inbox.splice(..0, rest);
        } else if peer.shell.has_hung_up && !peer.shell.has_told_hang_up {
            peer.shell.has_told_hang_up = true;
            self.handle(peer, Event::PeerClosed);
            self.gone.insert(peer.id());
        } else if peer.shell.connection.has_more() {
            self.handle(peer, Event::Proceed);
        }
    }

    fn handle(&mut self, peer: &mut Peer, event: Event<'_>) {
        let before = self.before();
        let server = self.server.clone();
        let (connection, actions) = (&mut peer.shell.connection, &mut peer.shell.actions);
        connection.caller.refresh(self.clock.mono_now());
        let member_list = connection.caller.member_list.clone();
        let scratch = &mut self.scratches[peer.worker];
        let writes = 1 + self.random.below(9) as usize;
        scratch.catch_up = entourage::node::ApplyBudget::Writes(writes);
        // It goes to a thread for long work, in no time, whenever it asks for that.
        scratch.works_long = connection.is_long_next();
        let (clock, at) = (&self.clock, self.clock.mono_ns());
        let mut context =
            BatchContext::begin(scratch, &server.set, &member_list, clock, at, actions);
        connection.handle(event, &mut context);
        // The end of a worker's turn, and of what it has called for.
        server.set.replace_quarantined_master();
        self.judge(peer, &before);
    }

    fn before(&self) -> Before {
        let now = self.clock.mono_now().0;
        let told = |it: &Peer| {
            let mailbox = &it.shell.connection.caller.client.mailbox;
            (it.id(), it.shell.blocked_on(), mailbox.has_messages())
        };
        Before {
            last: self.ledger.last(),
            replid: self.set().history().replid,
            groups: self.groups.clone(),
            is_paused: self.pause.is_some_and(|it| now < it.1),
            others: self.peers.iter().flatten().map(told).collect(),
        }
    }

    /// A connection has ended: nothing of it may be left.
    fn end(&mut self, peer: Peer, why: Why) {
        let (id, client) = (peer.id(), peer.shell.connection.caller.client.clone());
        self.tell(format!("client {id} has left: {why}"));
        if matches!(why, Why::OutputLimit | Why::QueryLimit) {
            self.find(Checker::Answers, format!("client {id} was cut off: {why}"));
        }
        if self.flooded.contains(&id) != (why == Why::MailboxOverflow) {
            self.find(Checker::Flooded, format!("client {id} has left: {why}"));
        }
        self.gone.insert(id);
        drop(peer);
        if self.server.clients.get(id).is_some() || !client.mailbox.is_closed() {
            self.find(Checker::LeftBehind, format!("client {id} is still on a list"));
        }
        self.look_for_remains();
    }

    fn look_for_remains(&mut self) {
        let waits = self.set().waits();
        let living = self.peers.iter().flatten().filter(|it| it.shell.has_wait()).count();
        if living < waits {
            self.find(Checker::LeftBehind, format!("{waits} waits of {living} clients"));
        }
        for (db, _, name) in members::keys() {
            let watches = |it: &Peer| {
                let watches = &it.shell.connection.caller.session.watches;
                watches.iter().any(|it| it.db == db && *it.key == *name.as_bytes())
            };
            let is_meant = self.peers.iter().flatten().any(watches);
            if !is_meant && members::is_watched(self.set(), db, &name) {
                self.find(Checker::LeftBehind, format!("{name} is watched by nobody"));
            }
        }
    }

    fn look_for_sleepers(&mut self) {
        let asleep = self.peers.iter().flatten().find(|it| it.shell.is_asleep());
        if let Some((id, on)) = asleep.map(|it| (it.id(), it.shell.blocked_on())) {
            self.find(Checker::Asleep, format!("client {id} sleeps on, {on:?}"));
        }
    }

    /// All orders end, every client takes its replies, and everything runs dry.
    pub fn settle(&mut self) {
        self.set().unpause_clients();
        self.pause = None;
        self.run_dry();
        // What was held back may have held others back.
        self.set().unpause_clients();
        self.pause = None;
        self.run_dry();
    }

    fn run_dry(&mut self) {
        for _ in 0..100 {
            members::settle(&self.server.set.clone(), self.clock.mono_now());
            for _ in 0..40 {
                for at in 0..CLIENTS {
                    self.drive(at);
                }
                self.look_for_sleepers();
            }
            let is_blocked = |it: &Peer| it.shell.connection.is_blocked();
            if self.jobs.is_empty() && !self.peers.iter().flatten().any(is_blocked) {
                return;
            }
            self.end_a_job();
            self.jump();
        }
    }

    fn drive(&mut self, at: usize) {
        let Some(peer) = &mut self.peers[at] else { return };
        peer.shell.outbox_room = 4000;
        if !peer.shell.has_hung_up {
            peer.send(usize::MAX);
        }
        if peer.shell.is_ready(&self.clock) {
            self.turn(at);
        }
    }

    /// Clients that are here say their last; then members are compared.
    pub fn end_all(&mut self) {
        self.settle();
        let clients = [0];
        for at in 0..CLIENTS {
            let Some(mut peer) = self.peers[at].take() else { continue };
            peer.script.end(&mut self.around(&clients));
            self.peers[at] = Some(peer);
        }
        self.settle();
        let left: Vec<(u64, String)> = self
            .peers
            .iter()
            .flatten()
            .filter(|it| !it.script.asked.is_empty())
            .map(|it| (it.id(), format!("{:?}", it.script.asked[0].what)))
            .collect();
        for (id, what) in left {
            self.find(Checker::Answers, format!("client {id} was not answered: {what}"));
        }
        for at in 0..CLIENTS {
            self.hang_up(at);
            self.drive(at);
            self.drive(at);
        }
        if self.server.clients.count() != 0 || self.set().waits() != 0 {
            self.find(Checker::LeftBehind, "somebody is left when all have gone".to_owned());
        }
        for what in members::differences(&self.server.set.clone(), self.start) {
            self.find(Checker::Converged, what);
        }
    }
}

fn config(replicas: usize, ladder: &str) -> Config {
    let text = format!(
        "[server]\nenable-debug-command = \"yes\"\n[set]\nreplicas = {replicas}\n\
         [consistency]\non-lag = {ladder}\n"
    );
    Config::parse("the simulation", &text).expect("it is sound")
}
