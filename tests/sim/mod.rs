//! The world of the simulation: a set, clients, random numbers, and checkers that count writes by themselves.

mod checker;
mod client;

pub use checker::Finding;

use checker::Ledger;
use client::Client;
use entourage::base::position::{Offset, Position, ReplId};
use entourage::base::random::Random;
use entourage::base::time::{MonoUs, WallMs};
use entourage::command::{Args, Fault};
use entourage::commands::table;
use entourage::engine::{Effects, Engine, Thresholds};
use entourage::node::{Applied, ApplyBudget, Member, MemberFlag, MemberList, ReplicaSet, Verb};
use entourage::resp::{AuthState, Decoder, Limits, OwnedRequest, Protocol, Reply, Step};
use std::sync::Arc;

const KEYS: u64 = 6;
const DATABASES: usize = 2;
const BACKLOG_BYTES: usize = 64 << 20;
const GENEROUS: usize = 64 << 20;
const WALL: WallMs = WallMs(1_700_000_000_000);

/// Everything, in one thread.
pub struct CallEnv {
    pub set: ReplicaSet,
    start: Offset,
    pub findings: Vec<Finding>,
    pub reads_at_replicas: u64,
    pub syncs: u64,
    /// What happened, in order: equal seeds, equal stories.
    pub story: Vec<String>,
    random: Random,
    clients: Vec<Client>,
    ledger: Ledger,
    now: u64,
    effects: Effects,
}

impl CallEnv {
    pub fn new(seed: u64) -> CallEnv {
        let mut random = Random::new(seed);
        let replicas = 1 + random.below(3) as usize;
        let replid = ReplId::new([seed as u8; 20]);
        let thresholds = Thresholds::default();
        // Nothing may depend on where a stream starts.
        let offset = Offset::new(random.bits() >> (1 + random.below(63)));
        let start = Position { replid, offset };
        let set =
            ReplicaSet::starting_at(start, replicas, seed, thresholds, BACKLOG_BYTES, GENEROUS);
        let clients = (0..4).map(|it| Client::new(it, &mut random, &set)).collect();
        CallEnv {
            set,
            start: offset,
            findings: vec![],
            reads_at_replicas: 0,
            syncs: 0,
            story: vec![],
            random,
            clients,
            ledger: Ledger::default(),
            now: 1,
            effects: Effects::default(),
        }
    }

    /// What the checker holds every client's reads to.
    pub fn hold_everyone_to(&mut self, level: &str) {
        self.clients.iter_mut().for_each(|it| it.hold_to(level));
    }

    /// What every client asks for.
    pub fn serve_everyone_at(&mut self, level: &str) {
        self.clients.iter_mut().for_each(|it| it.ask_for(level));
    }

    /// One thing happens.
    pub fn deed(&mut self) {
        self.now += self.random.below(500);
        match self.random.below(100) {
            0..38 => self.write(),
            38..76 => self.read(),
            76..84 => self.feed(),
            84..86 => self.pause(),
            86..89 => self.resume(),
            89..91 => self.drain(),
            91 => self.squeeze(),
            92..95 => self.sync(),
            95 | 96 => self.fail_over(),
            97 => self.set.ping(MonoUs(self.now)),
            98 => self.panic(),
            _ => self.grow(),
        }
        self.assert_followers_are_members();
    }

    /// The log and the members say the same: exactly the sound replicas are online.
    fn assert_followers_are_members(&self) {
        let followers = self.set.followers(MonoUs(self.now));
        assert_eq!(followers.len(), self.set.member_list().len() - 1);
        for it in followers {
            let member = it.member.expect("all are hosted");
            assert_eq!(it.state.is_online(), member.is_sound(), "{}: {:?}", it.name, it.state);
            assert!(it.state.acked().is_none_or(|acked| acked <= it.acked), "late, never early");
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn any_member(&mut self) -> Arc<Member> {
        let member_list = self.set.member_list();
        member_list[self.below(member_list.len())].clone()
    }

    fn any_key(&mut self) -> (usize, u64) {
        (self.below(DATABASES), self.random.below(KEYS))
    }

    fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    /// A client writes: most keep the ledger, some exercise other effects on keys of their own.
    fn write(&mut self) {
        let (db, key) = self.any_key();
        let number = self.ledger.next();
        let padding = "x".repeat(self.below(300));
        let words = match self.random.below(10) {
            0 => format!("INCRBYFLOAT f{key} 1.5"),
            1 => format!("HSET h{key} field{} {number} b {padding}", number % 7),
            2 => format!("APPEND s{key} {number}"),
            3 => format!("DEL h{key} s{key} f{key}"),
            4 => format!("MSET k{key} {number}:{padding} x{key} {number}"),
            _ => format!("SET k{key} {number}:{padding}"),
        };
        let is_kept = words.contains(&format!("SET k{key} "));
        let at = self.below(self.clients.len());
        let done = self.run(db, &words);
        let (before, end) = match done {
            Ok(it) => it,
            Err(fault) => return self.findings.push(Finding::Refused(fault.to_string())),
        };
        self.tell(format!("{words:.12}@{end}"));
        assert!(before <= end && (!is_kept || before < end), "{words} moves the stream");
        if is_kept {
            self.ledger.wrote(db, key, number);
        }
        self.clients[at].wrote(&self.set, end, if is_kept { number } else { 0 });
    }

    /// Runs a write at the master; answers the stream's end before and after.
    fn run(&mut self, db: usize, words: &str) -> Result<(Offset, Offset), Fault> {
        let owned = OwnedRequest::of(words.split(' '));
        let request = owned.borrow();
        let command = table().find(request)?;
        let entourage::commands::Handler::Write(verb) = command.handler else {
            panic!("{words} is a write")
        };
        let env = entourage::command::CallEnv::new(WALL, self.now);
        let args = Args::new(request, command.words, db, &env);
        let mut reply = Reply::new(Protocol::Resp2);
        let (member_list, before) = (self.set.member_list(), self.set.head());
        let mut writing = self.set.write(&member_list);
        let transaction = writing.begin(&mut self.effects, MonoUs(self.now));
        transaction.call_and_commit(Verb::Write(&command.spec, verb), args, &mut reply)?;
        Ok((before, self.set.head()))
    }

    fn read(&mut self) {
        let at = self.below(self.clients.len());
        let (db, key) = self.any_key();
        let bits = self.random.bits();
        let CallEnv { set, clients, ledger, now, .. } = self;
        let seen = clients[at].read(set, ledger, db, key, MonoUs(*now), bits);
        self.tell(format!("read {:?}", seen.number));
        self.reads_at_replicas += u64::from(seen.at_replica);
        self.findings.extend(seen.finding);
    }

    fn feed(&mut self) {
        let member = self.any_member();
        // A batch may end before all that was taken from the log has been applied.
        let budget = ApplyBudget::Writes(1 + self.below(12));
        self.set.apply(&member, budget);
    }

    fn pause(&mut self) {
        let member = self.any_member();
        let is_master = member.index == self.set.master();
        let done = self.set.pause(&member, MonoUs(self.now));
        assert_eq!(done.is_err(), is_master, "only replicas pause");
    }

    fn resume(&mut self) {
        let member = self.any_member();
        self.set.resume(&member);
        self.tell(format!("resume {}", member.name));
    }

    fn drain(&mut self) {
        let member = self.any_member();
        if member.is(MemberFlag::Drained) {
            self.set.undrain(&member);
        } else {
            let _ = self.set.drain(&member, MonoUs(self.now));
        }
    }

    /// The bound tightens for a moment: who is behind is disconnected.
    fn squeeze(&mut self) {
        self.set.bound_log(BACKLOG_BYTES, self.random.below(2000) as usize);
        self.set.bound_log(BACKLOG_BYTES, GENEROUS);
        for member in self.set.member_list().iter().filter(|it| !it.is_sound()) {
            assert!(!member.in_service());
            assert_eq!(self.set.apply(member, ApplyBudget::Writes(1)), Applied::Nothing);
        }
    }

    fn sync(&mut self) {
        let member = self.any_member();
        if self.set.needs_sync(&member) {
            let before = member.applied();
            self.set.sync(&member, MonoUs(self.now));
            assert!(before <= member.applied(), "a sync never goes back");
            self.syncs += 1;
            self.tell(format!("sync {} {}", member.name, member.applied()));
        }
    }

    fn fail_over(&mut self) {
        let candidate = self.any_member();
        let could = candidate.index != self.set.master()
            && candidate.is_sound()
            && !candidate.is(MemberFlag::Paused);
        assert_eq!(self.set.fail_over(&candidate).is_ok(), could, "{}", candidate.flags());
        self.tell(format!("failover {} {could}", candidate.name));
    }

    fn grow(&mut self) {
        if self.set.member_list().len() < 6 && self.below(4) == 0 {
            let _ = self.set.add_replica(MonoUs(self.now));
        }
    }

    /// A verb changes something at the master, and panics.
    fn panic(&mut self) {
        let member_list = self.set.member_list();
        let master = self.set.master();
        if !member_list.iter().any(|it| it.index != master && it.is_sound()) {
            return;
        }
        quietly(|| self.run_broken(&member_list));
        assert!(member_list[master].is(MemberFlag::Quarantined));
        self.set.replace_quarantined_master();
        assert_ne!(self.set.master(), master, "a replica takes over");
        self.tell(format!("panic {master}"));
    }

    fn run_broken(&mut self, member_list: &MemberList) {
        let owned = OwnedRequest::of(["SET", "k0", "999999999:broken"]);
        let request = owned.borrow();
        let spec = &table().find(request).expect("SET is known").spec;
        let env = entourage::command::CallEnv::new(WALL, 1);
        let args = Args::new(request, 1, 0, &env);
        let mut reply = Reply::default();
        let mut writing = self.set.write(member_list);
        let transaction = writing.begin(&mut self.effects, MonoUs(self.now));
        let done = transaction.call_and_commit(Verb::Write(spec, half_a_set), args, &mut reply);
        assert!(done.is_err() && reply.bytes().is_empty());
    }

    /// All orders end, all feeds run dry.
    pub fn calm_down(&mut self) {
        let member_list = self.set.member_list();
        for member in member_list.iter() {
            self.set.resume(member);
            self.set.undrain(member);
        }
        for member in member_list.iter().chain(member_list.iter()) {
            if self.set.needs_sync(member) {
                self.set.sync(member, MonoUs(self.now));
            }
            while self.set.apply(member, ApplyBudget::SHORT) == Applied::Some {}
        }
    }

    pub fn assert_converged(&self) {
        let member_list = self.set.member_list();
        let of = |it: &Arc<Member>| contents(self.set.read(it).engine());
        let master = of(&member_list[self.set.master()]);
        assert!(master.len() > 4);
        for member in member_list.iter() {
            assert_eq!(member.applied(), self.set.head(), "{} has all", member.name);
            assert_eq!(of(member), master, "{}", member.name);
        }
    }

    /// The stream from its first byte makes a fresh engine equal to the master.
    pub fn assert_stream_tells_all(&self) {
        let bytes = self.set.stream_from(self.start).expect("the backlog keeps everything");
        let bytes = bytes.concat();
        assert_eq!(bytes.len() as u64, self.set.head().since(self.start));
        let mut engine = Engine::new(1, Thresholds::default());
        let mut decoder = Decoder::new(Limits::of(AuthState::Known));
        let (mut rest, mut db) = (&bytes[..], 0);
        while !rest.is_empty() {
            let Ok(Step::Ready { consumed }) = decoder.poll(rest) else { panic!("half a command") };
            let request = decoder.request(rest);
            match request.get(0).unwrap() {
                b"SELECT" => {
                    db = std::str::from_utf8(request.get(1).unwrap()).unwrap().parse().unwrap();
                }
                b"PING" | b"MULTI" | b"EXEC" => {}
                _ => {
                    let (mut effects, mut reply) = (Effects::default(), Reply::default());
                    engine.repeat(db, request, &mut effects, &mut reply).unwrap();
                }
            }
            rest = &rest[consumed..];
        }
        let member_list = self.set.member_list();
        let master = contents(self.set.read(&member_list[self.set.master()]).engine());
        assert_eq!(contents(&engine), master);
    }
}

/// Stores its key, and does not live to say so.
fn half_a_set(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let row = entourage::engine::verbs::find(b"SET").expect("SET is known");
    let (entourage::engine::Run::Write(set) | entourage::engine::Run::Either { write: set, .. }) =
        row.run
    else {
        panic!("SET writes")
    };
    set(engine, args, effects, reply)?;
    panic!("broken before {} was said", String::from_utf8_lossy(args.next()?));
}

/// A panic that is meant to happen is not printed.
fn quietly(work: impl FnOnce()) {
    use std::sync::Once;
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |it| {
            if !it.to_string().contains("broken before") {
                loud(it);
            }
        }));
    });
    work();
}

/// Every key of every database with its whole value, in an order of its own.
fn contents(engine: &Engine) -> Vec<String> {
    let mut all = vec![];
    for db in 0..DATABASES {
        let keys = asked(engine, db, "KEYS *");
        for key in keys.split("\r\n").filter(|it| !it.is_empty() && !it.starts_with(['$', '*'])) {
            let kind = asked(engine, db, &format!("TYPE {key}"));
            let value = match kind.trim() {
                "+hash" => {
                    let text = asked(engine, db, &format!("HGETALL {key}"));
                    let mut pairs: Vec<String> = text
                        .split("\r\n")
                        .skip(1)
                        .collect::<Vec<_>>()
                        .chunks(4)
                        .map(|it| it.join(" "))
                        .collect();
                    pairs.sort();
                    pairs.concat()
                }
                _ => asked(engine, db, &format!("GET {key}")),
            };
            all.push(format!("{db} {key} {value}"));
        }
    }
    all.sort();
    all
}

fn asked(engine: &Engine, db: usize, words: &str) -> String {
    let owned = OwnedRequest::of(words.split(' '));
    let command = table().find(owned.borrow()).expect("a command");
    let entourage::commands::Handler::Read(verb) = command.handler else { panic!("{words} reads") };
    let env = entourage::command::CallEnv::new(WALL, 1);
    let mut reply = Reply::new(Protocol::Resp2);
    let args = Args::new(owned.borrow(), command.words, db, &env);
    engine.read(verb, args, &mut reply).expect("a reply");
    String::from_utf8_lossy(reply.bytes()).into_owned()
}
