//! A client: a session that reads as the request path does, and what it has seen.

use super::checker::{Finding, Ledger};
use entourage::base::position::{Offset, Position};
use entourage::base::random::Random;
use entourage::base::time::MonoUs;
use entourage::command::{Args, CallEnv, Class};
use entourage::commands::{Handler, RequestContext, preferred_replica, table};
use entourage::node::{Applied, ApplyBudget, CaughtUp, ReplicaSet, View};
use entourage::resp::{OwnedRequest, Protocol, Reply};
use entourage::route::{Ladder, LadderPosition, Level, Route, Routes, Step, Where, plan};
use entourage::session::Session;
use std::time::Duration;

const LEVELS: &[&str] = &["sticky", "sticky", "global", "linearizable", "master", "eventual"];
const LADDERS: &[&[&str]] = &[
    &["catch-up", "master"],
    &["other-replica", "catch-up", "master"],
    &["wait 5ms", "catch-up", "error"],
    &["other-replica", "wait 1ms", "error"],
    &["master"],
];

pub struct Client {
    number: usize,
    session: Session,
    routes: Routes,
    /// What the checker holds it to.
    held_to: Level,
    /// The newest write it has made or seen.
    seen: u64,
    generation: u64,
}

/// What came of a read.
#[derive(Debug)]
pub struct Seen {
    pub at_replica: bool,
    pub finding: Option<Finding>,
    /// The write that was seen; `None` when the ladder refused.
    pub number: Option<u64>,
}

impl Client {
    pub fn new(number: usize, random: &mut Random, set: &ReplicaSet) -> Client {
        let mut any = |of: usize| random.below(of as u64) as usize;
        let level = Level::parse(LEVELS[any(LEVELS.len())]).unwrap();
        let steps = LADDERS[any(LADDERS.len())].iter().map(|it| Step::parse(it).unwrap());
        let ladder = Ladder::new(&steps.collect::<Vec<_>>()).unwrap();
        let routes = Routes::new(level, Route { ladder, ..Route::default() }, vec![]);
        let generation = set.generation();
        let session = Session::default();
        Client { number, session, routes, held_to: level, seen: 0, generation }
    }

    pub fn hold_to(&mut self, level: &str) {
        self.held_to = Level::parse(level).unwrap();
    }

    pub fn ask_for(&mut self, level: &str) {
        self.session.level = Level::parse(level);
    }

    fn keep_up(&mut self, set: &ReplicaSet) {
        if self.generation != set.generation() {
            self.generation = set.generation();
            self.session.carry_over(&set.history());
            assert_eq!(self.session.lost, None, "a hosted failover loses nothing");
        }
    }

    pub fn wrote(&mut self, set: &ReplicaSet, end: Offset, number: u64) {
        self.keep_up(set);
        let end = Position { replid: set.history().replid, offset: end };
        self.session.wrote(end, MonoUs(1));
        self.seen = self.seen.max(number);
    }

    pub fn read(
        &mut self,
        set: &ReplicaSet,
        ledger: &Ledger,
        db: usize,
        key: u64,
        now: MonoUs,
        bits: u64,
    ) -> Seen {
        self.keep_up(set);
        let must_see = match self.held_to {
            Level::Sticky => ledger.latest(db, key, self.seen),
            Level::Eventual | Level::Bounded { .. } => 0,
            Level::Master | Level::Global | Level::Linearizable => {
                ledger.latest(db, key, ledger.last())
            }
        };
        let Some(index) = self.choose(set, now, bits) else {
            return Seen { at_replica: false, finding: None, number: None };
        };
        let saw = self.read_at(set, index, db, key);
        let stale =
            Finding::Stale { client: self.number, level: self.held_to.to_string(), saw, must_see };
        let finding = (saw < must_see).then_some(stale);
        if self.held_to != Level::Eventual {
            self.seen = self.seen.max(saw);
        }
        Seen { at_replica: index != set.master(), finding, number: Some(saw) }
    }

    /// Follows the plan as the request path does; a wait ends when the feed has done some of its work.
    fn choose(&mut self, set: &ReplicaSet, now: MonoUs, bits: u64) -> Option<usize> {
        let (member_list, history) = (set.member_list(), set.history());
        let preferred = preferred_replica(self.number, member_list.len() - 1);
        let (mut ladder_position, mut arrived) = (LadderPosition::START, None);
        let settled = |offset| Some(Position { replid: history.replid, offset });
        loop {
            let origin = RequestContext {
                routes: &self.routes,
                session: &self.session,
                once: None,
                listener: "main",
                listener_level: None,
                arrived,
            };
            let mut ask = origin.ask(Class::Read, 0, set, &history, now, preferred);
            (ask.random, ask.ladder_position) = (bits, ladder_position);
            let view = View { set, member_list: &member_list, now, with_ages: true };
            match plan(&ask, &view).to {
                Where::Member(member) => return Some(member.into()),
                Where::CatchUp { member, needs, step } => {
                    let budget = ApplyBudget::Writes(1 + (bits % 9) as usize);
                    match set.catch_up(set.member(member.into()), needs, budget) {
                        CaughtUp::Yes => return Some(member.into()),
                        CaughtUp::NotYet => {
                            (ladder_position, arrived) =
                                (LadderPosition { step, left: None }, settled(needs));
                        }
                        CaughtUp::Never => panic!("it moves"),
                    }
                }
                Where::Wait { member, needs, at_most, step } => {
                    let member = set.member(member.into());
                    while bits % 2 == 0 && set.apply(member, ApplyBudget::SHORT) == Applied::Some {}
                    // Woken once before the time is over.
                    let left =
                        if ladder_position.left.is_none() { at_most / 2 } else { Duration::ZERO };
                    (ladder_position, arrived) =
                        (LadderPosition { step, left: Some(left) }, settled(needs));
                }
                Where::Refuse(_) => return None,
            }
        }
    }

    fn read_at(&mut self, set: &ReplicaSet, index: usize, db: usize, key: u64) -> u64 {
        let owned = OwnedRequest::of(["GET".to_owned(), format!("k{key}")]);
        let Handler::Read(get) = table().find(owned.borrow()).unwrap().handler else {
            panic!("GET reads")
        };
        let env = CallEnv::new(super::WALL, 1);
        let mut reply = Reply::new(Protocol::Resp2);
        let member = set.member(index);
        assert!(member.in_service(), "{} serves, and is {}", member.name, member.flags());
        let reading = set.read(member);
        reading.run(get, Args::new(owned.borrow(), 1, db, &env), &mut reply).unwrap();
        let replid = set.history().replid;
        self.session.saw(Position { replid, offset: member.applied() });
        let text = String::from_utf8_lossy(reply.bytes()).into_owned();
        let value = text.split("\r\n").nth(1).unwrap_or_default();
        value.split(':').next().unwrap_or_default().parse().unwrap_or(0)
    }
}
