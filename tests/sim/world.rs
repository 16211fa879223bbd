//! A whole proxy in one thread, from a seed: clients with their connections, a replica set, time,
//! and what happens between them.

use super::apart::serve_only;
use super::clock::VirtualClock;
use super::coverage;
use super::crash::{Left, Token};
use super::errands::Errand;
use super::finding::{Checker, Finding};
use super::followers::Followers;
use super::hearers::{EventsAsked, Hearing};
use super::ledger::Ledger;
use super::members;
use super::peer::Peer;
use super::runs::{Counts, simulation};
use super::script::Around;
use super::shell::Shell;
use entourage::base::ids::SlotId;
use entourage::base::position::{Offset, Position, ReplId};
use entourage::base::random::Random;
use entourage::base::reached::{Reached, note_reached_in};
use entourage::base::time::Clock;
use entourage::commands::{BlockOn, Job};
use entourage::config::Config;
use entourage::engine::Thresholds;
use entourage::node::{Member, ReplicaSet};
use entourage::route::CountHosted;
use entourage::runtime::{clock, stream};
use entourage::server::connection::{Action, BatchContext, Connection, Event, Why, WorkerScratch};
use entourage::session::TokenSigner;
use entourage::state::{Client, ProcessInfo, ReadText, Server};
use std::borrow::Cow;
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
/// Of keyspace events, which are asked for.
const EVENTS: &[&str] = &["", "", "", "KE$", "KEA", "K$", "E$ln", "KEAnm"];
pub const CLIENTS: usize = 5;
const WORKERS: usize = 2;
/// Requests of one client that may wait for their replies.
const ASKED_MAX: usize = 12;

/// Work that a connection has asked for and that has not ended.
pub struct AtWork {
    pub job: Job,
    pub slot: SlotId,
    pub client: Arc<Client>,
}

/// What a connection's others look like before it handles an event.
pub struct Before {
    /// The event is handled on a thread of its own, while others go on.
    pub is_apart: bool,
    /// The last write, the last message, and the time.
    pub last: u64,
    pub published: usize,
    pub at: u64,
    /// The stream's history.
    pub replid: ReplId,
    /// What each group that shares a floor has seen.
    pub groups: BTreeMap<String, u64>,
    /// CLIENT PAUSE is in force.
    pub is_paused: bool,
    /// See [`World::good_replicas`].
    pub good: usize,
    /// How many members were sound.
    pub sound: usize,
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
    pub clock: Arc<VirtualClock>,
    pub seed: u64,
    /// What has happened, in numbers.
    pub steps: u64,
    pub random: Random,
    pub ledger: Ledger,
    pub findings: Vec<Finding>,
    /// What happened, in order: equal seeds, equal traces.
    pub trace: Vec<String>,
    pub tokens: Vec<Token>,
    /// What each crash has left.
    pub crashes: Vec<Left>,
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
    pub counts: Counts,
    /// The same, as the product notes it.
    pub reached: Reached,
    /// Where the stream starts.
    pub start: Offset,
    /// Replicas at the other ends of links.
    pub followers: Followers,
    /// What the gate asks for: good replicas, and how far behind in microseconds.
    pub gate: Option<(usize, u64)>,
    /// Hosted ones, when the proxy begins.
    pub replicas: usize,
    configs: [Config; 2],
    /// The number of the last client of all.
    last_client: u64,
    may_lag: bool,
    last_number: u64,
    scratches: Vec<WorkerScratch>,
    pub peers: Vec<Option<Peer>>,
    /// Jobs that have not begun.
    pub jobs: Vec<AtWork>,
    /// What works apart.
    pub errands: Vec<Errand>,
    /// Clients that have hung up while they were served on a thread for long work.
    pub hangs_up: HashSet<usize>,
    /// The last wait for an element.
    pub last_pop: u64,
    /// What each client has subscribed to.
    pub hearings: BTreeMap<u64, Hearing>,
    /// How much of what was published their clients are known to be owed.
    pub noted_published: usize,
    /// Elements whose client was not told of them, and is not to be.
    pub may_be_lost: u64,
    failovers: (ReplId, u64),
}

simulation!(World);

impl World {
    pub fn new(seed: u64) -> World {
        serve_only();
        let clock = Arc::new(VirtualClock::new());
        clock::simulate(Some(clock.clone()));
        let reached = Reached::default();
        note_reached_in(Some(reached.clone()));
        let mut random = Random::new(seed);
        let replicas = 1 + random.below(3) as usize;
        let ladders = [(); 2].map(|()| LADDERS[random.below(LADDERS.len() as u64) as usize]);
        let links = [0, 0, 1, 2][random.below(4) as usize];
        let (count_hosted, counted) = CountHosted::ALL[random.below(3) as usize];
        let gate = (random.below(4) == 0).then(|| (1 + random.below(2), 1 + random.below(20)));
        let events = EVENTS[random.below(EVENTS.len() as u64) as usize];
        let sticky_for = if random.below(4) == 0 { 2 } else { 0 };
        let (min, lag) = gate.unwrap_or((0, 1));
        let rest = format!(
            "min-replicas-to-write = {min}\nmin-replicas-max-lag = \"{lag}ms\"\n\
             count-hosted = \"{counted}\"\nnotify-keyspace-events = \"{events}\"\n\
             [consistency]\nsticky-for = \"{sticky_for}ms\"\n"
        );
        let configs = ladders.map(|it| config(replicas, it, &rest));
        // Nothing may depend on where a stream starts.
        let start = Offset::new(random.bits() >> (1 + random.below(63)));
        let replid = ReplId::new([seed as u8; 20]);
        let position = Position { replid, offset: start };
        let (thresholds, bytes_max) = (Thresholds::default(), members::BACKLOG_BYTES);
        let set =
            ReplicaSet::starting_at(position, replicas, seed, thresholds, bytes_max, bytes_max);
        set.count_hosted(count_hosted);
        let followers = Followers::new(links, count_hosted, seed, &*clock);
        World {
            server: new_server(set, &configs),
            clock,
            seed,
            steps: 0,
            random,
            ledger: Ledger::new(start, EventsAsked::of(events)),
            start,
            findings: Vec::new(),
            trace: Vec::new(),
            tokens: Vec::new(),
            crashes: Vec::new(),
            replicas,
            configs,
            last_client: 0,
            groups: BTreeMap::new(),
            pause: None,
            owners: HashMap::new(),
            gone: HashSet::new(),
            flooded: HashSet::new(),
            unblocked: HashSet::new(),
            counts: Counts::new(),
            reached,
            followers,
            gate: gate.map(|it| (it.0 as usize, it.1 * 1000)),
            may_lag: ladders.iter().any(|it| it.contains("error")),
            last_number: 0,
            scratches: (0..WORKERS).map(|it| WorkerScratch::new(it, seed + it as u64)).collect(),
            peers: (0..CLIENTS).map(|_| None).collect(),
            jobs: Vec::new(),
            errands: Vec::new(),
            hangs_up: HashSet::new(),
            last_pop: 0,
            hearings: BTreeMap::new(),
            noted_published: 0,
            may_be_lost: 0,
            failovers: (replid, 0),
        }
    }

    /// A proxy that hosts this set. No client of it has a number that another has had.
    pub fn new_server(&self, set: ReplicaSet) -> Arc<Server> {
        let server = new_server(set, &self.configs);
        let peer = stream::Peer {
            address: String::new(),
            local_address: String::new(),
            is_unix: false,
            is_local: true,
            is_trusted: false,
            descriptor: 0,
        };
        for _ in 0..self.last_client {
            let client = server.clients.enter(peer.clone(), usize::MAX, self.clock.mono_now());
            client.into_iter().for_each(|it| server.clients.leave(it.id));
        }
        server
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

    pub fn count(&mut self, what: impl Into<Cow<'static, str>>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// One thing happens.
    pub fn step(&mut self) {
        self.clock.advance(self.random.below(300));
        let at = self.below(CLIENTS);
        match self.random.below(100) {
            0..45 => self.any_turn(),
            45..50 => self.go_on_apart(),
            50..66 => self.ask(at),
            66..73 => self.send_some(at),
            73..76 => self.read_or_not(at),
            76..91 => self.change_members(),
            91 => self.jump(),
            92 => self.change_the_wall(),
            93 => self.begin_job(),
            94 | 95 => self.go_on_apart(),
            96 | 97 => self.hang_up(at),
            98 if self.below(40) == 0 => self.crash(),
            98 => self.repeat_an_old_message(at),
            _ if self.below(10) == 0 => self.flood(at),
            _ => self.push(at),
        }
        (0..2).for_each(|_| self.change_links());
        self.call_errands();
        self.look_for_sleepers();
        self.look_at_stream();
        self.look_at_states();
    }

    /// How often another has become the master.
    pub fn failovers(&mut self) -> u64 {
        let replid = self.set().history().replid;
        if replid != self.failovers.0 {
            self.failovers = (replid, self.failovers.1 + 1);
        }
        self.failovers.1
    }

    /// A client comes in where there is none, or writes more requests.
    fn ask(&mut self, at: usize) {
        if self.is_away(at) {
            return;
        }
        let Some(mut peer) = self.peers[at].take() else { return self.come_in(at) };
        let is_busy = ASKED_MAX <= peer.script.asked.len() || peer.shell.has_hung_up;
        if !is_busy {
            let requests = 1 + self.below(4);
            let first = self.last_number;
            for _ in 0..requests {
                let here = self.peers.iter().flatten().map(Peer::id);
                let mut clients: Vec<u64> = here.chain(self.away()).collect();
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

    pub fn around<'a>(&'a mut self, clients: &'a [u64]) -> Around<'a> {
        let members = self.set().member_list().len();
        let counted = self.followers.counted(members - 1);
        let World { random, last_number, tokens, may_lag, .. } = self;
        Around { random, last_number, clients, members, counted, tokens, may_lag: *may_lag }
    }

    fn come_in(&mut self, at: usize) {
        let (server, now) = (self.server.clone(), self.clock.mono_now());
        let peer = stream::Peer {
            address: format!("client:{at}"),
            local_address: "proxy:6379".to_owned(),
            is_unix: false,
            is_local: true,
            is_trusted: false,
            descriptor: 0,
        };
        let client = server.clients.enter(peer, usize::MAX, now).expect("there is room");
        self.last_client = client.id;
        let connection = Connection::open(server, client, "main".into(), now);
        let mut peer = Peer::new(Shell::new(connection, &mut self.random), at % WORKERS);
        self.tell(format!("client {} comes in", peer.id()));
        let level = ["sticky", "linearizable", "global"][self.below(3)];
        peer.script.stand_at(level);
        if self.below(3) == 0 {
            peer.script.say_hello(3);
        }
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
        let which = self.random.below(100);
        self.begin_with_members(which);
    }

    /// Time goes on to the next deadline.
    pub fn jump(&mut self) {
        let deadlines = self.peers.iter().flatten();
        if let Some(at) = deadlines.filter_map(|it| it.shell.connection.poll_deadline()).min() {
            self.clock.advance_to(at);
        }
    }

    pub fn hang_up(&mut self, at: usize) {
        if self.is_away(at) {
            self.hangs_up.insert(at);
        }
        let Some(peer) = &mut self.peers[at] else { return };
        peer.shell.has_hung_up = true;
        let id = peer.id();
        self.tell(format!("client {id} hangs up"));
    }

    fn any_turn(&mut self) {
        let ready: Vec<usize> = (0..CLIENTS).filter(|it| self.is_ready(*it)).collect();
        if !ready.is_empty() {
            let at = ready[self.below(ready.len())];
            self.turn(at);
        }
    }

    /// Whether a client's connection has its turn. Who waits for a thread for long work has none
    /// before there is one.
    pub fn is_ready(&self, at: usize) -> bool {
        let is_ready = |it: &Peer| {
            it.shell.is_ready(&*self.clock)
                && (!it.shell.connection.is_long_next() || self.has_long_worker())
        };
        self.peers[at].as_ref().is_some_and(is_ready)
    }

    /// One turn of a connection's task: see `Shell::turn` in the product.
    pub fn turn(&mut self, at: usize) {
        let Some(mut peer) = self.peers[at].take() else { return };
        let was_long = peer.shell.connection.is_long_next();
        // Whoever waits goes on waiting.
        peer.was_apart &= peer.shell.connection.is_blocked();
        self.handle_what_has_happened(&mut peer);
        let is_free = !peer.shell.connection.is_closing() && !peer.shell.connection.is_blocked();
        if was_long && is_free && peer.shell.connection.is_long_next() {
            peer.was_gone = self.gone.contains(&peer.id());
            self.begin_long(at, peer);
            return self.go_on(self.errands.len() - 1);
        }
        self.after_turn(at, peer);
    }

    /// What a connection wants is done.
    pub fn after_turn(&mut self, at: usize, mut peer: Peer) {
        peer.shell.transmit(self.clock.mono_now());
        let (ends, job) = peer.shell.act();
        if let Some((job, slot)) = job {
            let client = peer.shell.connection.caller.client.clone();
            self.jobs.push(AtWork { job, slot, client });
        }
        self.look_at_poppers(&mut peer);
        match ends {
            Some(why) => self.end(peer, why),
            None => self.peers[at] = Some(peer),
        }
    }

    /// As the shell's own way of a message that was published, where that is all that has happened.
    fn hear_at_once(&mut self, peer: &mut Peer) -> bool {
        let shell = &mut peer.shell;
        let is_all = shell.inbox.is_empty() && !shell.has_hung_up;
        let connection = &mut shell.connection;
        let Some(most) = connection.hears_at_once().filter(|_| is_all) else { return false };
        let Some(delivery) = connection.caller.client.mailbox.take_published(most) else {
            return false;
        };
        let before = self.before();
        peer.was_gone = self.gone.contains(&peer.id());
        let connection = &mut peer.shell.connection;
        if let Some(bytes) = connection.hear(&delivery) {
            connection.keep_unsent(bytes);
        }
        self.count("heard a message at once");
        self.judge(peer, &before);
        true
    }

    fn handle_what_has_happened(&mut self, peer: &mut Peer) {
        let is_long = peer.shell.connection.is_long_next();
        let client = peer.shell.connection.caller.client.clone();
        if client.mailbox.has_messages() && !self.hear_at_once(peer) {
            match client.mailbox.take() {
                Ok(messages) => {
                    messages.into_iter().for_each(|it| self.handle(peer, Event::Message(it)));
                }
                Err(_) => self.handle(peer, Event::MailboxOverflow),
            }
        }
        let is_over = peer.shell.connection.is_closing() || peer.shell.has_told_hang_up;
        if is_long && peer.shell.has_hung_up && !is_over {
            // Before it is served, its socket is asked.
            self.count("left before its long request");
            while !peer.shell.inbox.is_empty() && !peer.shell.connection.is_closing() {
                self.take_input(peer);
            }
            return self.tell_hang_up(peer);
        }
        let now = self.clock.mono_now();
        if peer.shell.connection.poll_deadline().is_some_and(|it| it <= now) {
            self.handle(peer, Event::Time(now));
        }
        if !peer.shell.inbox.is_empty() {
            self.take_input(peer);
        } else if peer.shell.has_hung_up && !peer.shell.has_told_hang_up {
            self.tell_hang_up(peer);
        } else if peer.shell.connection.has_more() && !is_long {
            self.handle(peer, Event::Proceed);
        }
    }

    fn take_input(&mut self, peer: &mut Peer) {
        let (bytes, mut rest) = (peer.shell.take_input(&mut self.random), Vec::new());
        let event = peer.shell.received(&bytes, &mut rest);
        self.handle(peer, event);
        // It stays in the socket until there is room again.
        peer.shell.inbox.splice(..0, rest);
    }

    fn tell_hang_up(&mut self, peer: &mut Peer) {
        if matches!(peer.shell.blocked_on(), Some(BlockOn::Free(_))) {
            self.count("left while it waited for a long holder");
        }
        peer.shell.has_told_hang_up = true;
        self.handle(peer, Event::PeerClosed);
        self.gone.insert(peer.id());
    }

    fn handle(&mut self, peer: &mut Peer, event: Event<'_>) {
        let before = self.before();
        peer.was_gone = self.gone.contains(&peer.id());
        let was_free = !matches!(peer.shell.blocked_on(), Some(BlockOn::Free(_)));
        let blocks = peer.shell.new_blocks();
        let was_blocked = blocks.last().copied().or(peer.shell.blocked_on());
        let ending = was_blocked.map(|it| coverage::ending(it, &event));
        let server = self.server.clone();
        let (connection, actions) = (&mut peer.shell.connection, &mut peer.shell.actions);
        connection.caller.refresh(self.clock.mono_now());
        let member_list = connection.caller.member_list.clone();
        let scratch = &mut self.scratches[peer.worker];
        let writes = 1 + self.random.below(9) as usize;
        scratch.catch_up = entourage::node::ApplyBudget::Writes(writes);
        let (clock, at) = (&*self.clock, self.clock.mono_ns());
        let mut context =
            BatchContext::begin(scratch, &server.set, &member_list, clock, at, actions);
        connection.handle(event, &mut context);
        let is_over = !connection.is_blocked() || peer.shell.new_blocks().len() != blocks.len();
        ending.filter(|_| is_over).into_iter().for_each(|it| self.count(it));
        let because = peer.shell.connection.caller.session.last.because;
        because.into_iter().for_each(|it| self.count(it.as_str()));
        self.judge(peer, &before);
        // It may be closed before what it wants is done.
        let is_held = |it: &Action| matches!(it, Action::Block(_, BlockOn::Offset(..)));
        let is_new = peer.shell.actions.iter().any(is_held);
        peer.owes_element |= is_new && peer.script.first_pop().is_some();
        self.look_at_ended_waits(Some(peer));
        if !was_free && !peer.shell.connection.is_blocked() {
            self.count("waited for a long holder");
        }
    }

    pub fn before(&self) -> Before {
        let now = self.clock.mono_now().0;
        let told = |it: &Peer| {
            let mailbox = &it.shell.connection.caller.client.mailbox;
            (it.id(), it.shell.blocked_on(), mailbox.has_messages())
        };
        Before {
            is_apart: false,
            last: self.ledger.last(),
            published: self.ledger.published.len(),
            at: now,
            replid: self.set().history().replid,
            groups: self.groups.clone(),
            good: self.good_replicas(),
            sound: self.sound_members(),
            is_paused: self.pause.is_some_and(|it| now < it.1),
            others: {
                let away = self.away().map(|it| (it, None, false));
                self.peers.iter().flatten().map(told).chain(away).collect()
            },
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
        self.note_lost_element(&peer);
        self.gone.insert(id);
        self.hearings.remove(&id);
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
        self.look_for_gone_poppers();
        self.look_for_gone_hearers();
        let is_held = self.set().member(self.set().master()).is_long_held();
        if is_held || self.away().next().is_some() {
            return;
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

    pub fn look_for_sleepers(&mut self) {
        let asleep = self.peers.iter().flatten().find(|it| it.shell.is_asleep());
        if let Some((id, on)) = asleep.map(|it| (it.id(), it.shell.blocked_on())) {
            let set = self.set();
            let told =
                |it: &Arc<Member>| format!("{} {:?} {:?}", it.name, it.applied(), it.flags());
            let members: Vec<String> = set.member_list().iter().map(told).collect();
            let master = set.member(set.master()).name.clone();
            self.find(
                Checker::Asleep,
                format!("client {id} sleeps on, {on:?}; master {master} of {members:?}"),
            );
        }
    }
}

fn new_server(set: ReplicaSet, configs: &[Config; 2]) -> Arc<Server> {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let (first, configs) = (configs[0].clone(), configs.clone());
    let source = move |_: ReadText<'_>| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(configs[(turn + 1) % 2].clone().into())
    };
    let signer = TokenSigner::new(b"a secret of the simulation");
    let birth = ProcessInfo::now(0, String::new());
    Arc::new(Server::new(Arc::new(set), WORKERS, first, birth, signer, Some(Box::new(source))))
}

fn config(replicas: usize, ladder: &str, rest: &str) -> Config {
    let text = format!(
        "[server]\nenable-debug-command = \"yes\"\n[set]\nreplicas = {replicas}\n\
         {rest}on-lag = {ladder}\n"
    );
    Config::parse("the simulation", &text).expect("it is sound")
}
