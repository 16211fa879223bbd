//! What happens in a step: writes, deliveries, cuts, and who follows whom.

use super::super::finding::Checker;
use super::clients::Read;
use super::replica_set::apply_all;
use super::world::World;
use entourage::base::ids::MemberId;
use entourage::node::ApplyBudget;
use std::time::Duration;

/// One time of so many, a link without the stream yet is worked at in small steps, or may be cut.
const HASTY_OF: usize = 4;
const MESSAGE: &[u8] = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\nx\r\n";

impl World {
    pub fn step(&mut self) {
        let us = self.random.below(20_000);
        self.now = self.now.plus(Duration::from_micros(us));
        self.clock.advance_to(self.now);
        match self.below(100) {
            0..20 => self.write_somewhere(),
            20..70 => self.work_somewhere(),
            70..77 => (0..self.nodes.len()).for_each(|it| self.connect(it)),
            77 | 78 => self.cut(),
            79..83 => self.links.iter_mut().for_each(|it| it.handle_time(self.now)),
            83..86 => self.say(),
            86..92 => self.read(),
            92..95 => self.apply(),
            95 => self.fail_over(),
            96 => self.change_masters(),
            97 => self.release(),
            _ => {}
        }
        self.forget_links();
        self.look_at_states();
    }

    fn a_master(&mut self) -> usize {
        let masters = self.masters();
        masters[self.below(masters.len())]
    }

    fn write_somewhere(&mut self) {
        let number = self.a_master();
        let calls = (0..self.below(4)).map(|_| self.call()).collect();
        self.write(number, calls);
        if self.below(2) == 0 {
            let which = self.below(self.clients.len());
            let holds = self.ledger.holds(number);
            self.clients[which].wrote(&self.nodes[number].set, holds, self.now);
        }
    }

    fn call(&mut self) -> (usize, String) {
        let (db, key) = (self.below(2), self.below(3));
        let value = self.below(1000);
        let which = self.below(24);
        let line = match which {
            0 | 1 => format!("INCR c{key}"),
            2 | 3 => format!("RPUSH l{key} {value} {which}"),
            4 => format!("LPOP l{key}"),
            5 => format!("APPEND s{key} {value}"),
            6 => format!("SET s{key} {}", "x".repeat(value)),
            7 => format!("SET s{key} {value} PX {}", 1 + value / 4),
            8 => format!("PEXPIRE c{key} {}", 1 + value / 4),
            9 | 10 => format!("SADD m{key} {value} {which} a b"),
            11 => format!("SPOP m{key}"),
            12 => format!("HSET h{key} f{} {value}", value % 5),
            13 => format!("HINCRBY h{key} n 1"),
            14 => format!("ZADD z{key} {value} e{}", value % 7),
            15 => format!("ZPOPMIN z{key}"),
            16 => format!("SETRANGE s{key} {} {value}", value % 50),
            17 => format!("DEL l{key} s{key}"),
            18 => format!("RENAME h{key} h{}", value % 3),
            19 if value < 100 => return (1, "FLUSHDB".to_owned()),
            20 if value < 100 => return (0, "FLUSHALL".to_owned()),
            21 => "EXPIRE-DUE".to_owned(),
            _ => format!("SET s{key} {value}"),
        };
        (db, line)
    }

    fn work_somewhere(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let at = self.below(self.links.len());
        if !self.links[at].has_stream() && self.below(HASTY_OF) != 0 {
            // Most of what there is to find is in the stream: it should come to that soon.
            for _ in 0..1 + self.below(3) {
                for which in 0..3 {
                    self.work(at, which, usize::MAX);
                }
            }
            return;
        }
        let most = [3, 40, 400, 1 << 20][self.below(4)];
        let (which, most) = (self.below(3), 1 + self.below(most));
        for _ in 0..1 + self.below(4) {
            self.work(at, which, most);
        }
    }

    fn cut(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let at = self.below(self.links.len());
        let has_stream = self.links[at].has_stream();
        if !has_stream && self.below(HASTY_OF) != 0 {
            return;
        }
        let (up, down) = self.links[at].under_way();
        let (keep_up, keep_down) = (self.below(up + 1), self.below(down + 1));
        let link = &mut self.links[at];
        link.cut(keep_up, keep_down);
        let (replica, master) = (link.replica, link.master);
        self.note(format!("the link of {replica} to {master} is cut"));
        self.count("cuts");
        if has_stream {
            self.count("cuts in the stream");
        }
    }

    /// A master says what is no write.
    fn say(&mut self) {
        let number = self.a_master();
        let (db, which) = (self.below(3), self.below(3));
        let set = &self.nodes[number].set;
        match which {
            0 => {
                set.ping(self.now);
            }
            1 => set.ask_wire_every(Duration::ZERO, self.now),
            _ => drop(set.propagate(db, MESSAGE, self.now)),
        }
    }

    fn read(&mut self) {
        let (which, number) = (self.below(self.clients.len()), self.below(self.nodes.len()));
        let holds = self.ledger.holds(number);
        let read = self.clients[which].read(&self.nodes[number].set, holds, self.now);
        self.note(format!("client {which} reads at {number}: {read:?}"));
        match read {
            Ok(Read::Served) => self.count("served"),
            Ok(Read::Waits) => self.count("waits"),
            Ok(Read::Lost(seen)) => {
                self.count("lost");
                if let Some(seen) = seen {
                    self.check_loss(number, &seen);
                }
            }
            Err((checker, what)) => self.find(checker, what),
        }
    }

    /// What a session is told of as lost is not in the stream that the set has, or will get.
    fn check_loss(&mut self, number: usize, seen: &str) {
        let replid = self.nodes[number].set.history().replid;
        let mut others = (0..self.nodes.len()).filter(|it| {
            let is_same = self.nodes[*it].set.history().replid == replid;
            is_same && self.ledger.holds(*it).starts_with(seen)
        });
        if let Some(has) = others.next() {
            let what = format!("{number} tells that {seen} is lost, and {has} has it");
            self.find(Checker::FalseLoss, what);
        }
    }

    /// A hosted replica applies.
    fn apply(&mut self) {
        let number = self.below(self.nodes.len());
        let writes = 1 + self.below(8);
        let set = &self.nodes[number].set;
        for member in set.member_list().iter() {
            if set.needs_sync(member) {
                set.sync(member, self.now);
            }
            set.apply(member, ApplyBudget::ShortWrites(writes));
        }
    }

    /// Another member of a set becomes its master: nothing is lost.
    fn fail_over(&mut self) {
        let number = self.below(self.nodes.len());
        let set = &self.nodes[number].set;
        let members = set.member_list().len();
        if members < 2 || (self.is_steady && self.counts.get("failovers").is_some_and(|it| 4 < *it))
        {
            return;
        }
        let target = MemberId(self.random.below(members as u64) as u16);
        apply_all(set, self.now);
        let done = set.fail_over(set.member(target)).is_ok();
        self.note(format!("{number} fails over to {target:?} {done}"));
        if done {
            self.count("failovers");
        }
        self.look(number, false);
    }

    /// Who follows whom changes: a replica is promoted as it is, or follows another.
    fn change_masters(&mut self) {
        if self.is_steady {
            return;
        }
        let (one, other) = (self.below(self.nodes.len()), self.below(self.nodes.len()));
        if self.nodes[one].follows.is_none() {
            return self.follow(one, other);
        }
        if self.below(2) == 0 {
            return self.follow(one, other);
        }
        self.drop_link_of(one);
        assert!(self.nodes[one].set.stop_following());
        self.nodes[one].follows = None;
        self.note(format!("{one} is promoted"));
        self.count("promotions");
        // Mostly the others go with it, at once.
        if self.below(3) != 0 {
            for it in 0..self.nodes.len() {
                self.follow(it, one);
            }
        }
    }

    /// The stream that nobody is expected to ask for is forgotten.
    fn release(&mut self) {
        if self.is_steady {
            return;
        }
        let number = self.below(self.nodes.len());
        let late = self.now.plus(Duration::from_secs(1_000_000));
        self.nodes[number].set.release_backlog(Duration::from_secs(1), late);
    }
}
