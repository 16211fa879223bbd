//! What a crash of the machine leaves of what was on disk, whatever was at work, and what a disk
//! that fails does to whoever writes.

mod everysec;

use super::*;
use crate::base::position::Offset;
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::{Args, CallEnv};
use crate::config::Config;
use crate::engine::{Effects, Run, Thresholds, verbs};
use crate::node::{DiskTrouble, ReplicaSet, Verb, new_replid};
use crate::resp::{OwnedRequest, Protocol, Reply};
use crate::runtime::disk::simulated::SimulatedDisk;
use crate::session::TokenSigner;
use crate::state::ProcessInfo;

const SEEDS: u64 = 1000;

/// A server that has just started on this disk.
struct Machine {
    keeper: Keeper,
    /// Where each write so far ends.
    ends: Vec<Offset>,
}

impl Machine {
    fn start(disk: &SimulatedDisk, fsync: Fsync) -> Machine {
        let mut config = Config::default();
        let settings = &mut config.set.disk;
        (settings.dir, settings.appendonly, settings.fsync) = ("simulated".into(), true, fsync);
        let store = Store::on(Arc::new(disk.clone()), settings).expect("what is there is sound");
        let set = ReplicaSet::new(0, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let info = ProcessInfo::now(0, String::new());
        let signer = TokenSigner::new(b"0123456789abcdef");
        let server = Arc::new(Server::new(Arc::new(set), 1, config, info, signer, None));
        let mut keeper = Keeper { makes_inline: true, ..Keeper::new(server, store) };
        keeper.begin().expect("what is there is loaded");
        Machine { keeper, ends: Vec::new() }
    }

    fn set(&self) -> &ReplicaSet {
        &self.keeper.server.set
    }

    /// How many of the writes `key:0`, `key:1`, … are there; none is behind one that is not.
    fn count(&self) -> usize {
        let reading = self.set().read(self.set().member(self.set().master()));
        let has = |it: &usize| {
            let key = format!("key:{it}");
            reading.engine().view(0, WallMs(1)).peek(key.as_bytes()).is_some()
        };
        let count = (0..).take_while(has).count();
        assert_eq!(reading.engine().space(0).len(), count, "one is missing in between");
        count
    }

    /// Writes the next key.
    fn write(&mut self, number: usize) {
        let request = OwnedRequest::of([&b"SET"[..], format!("key:{number}").as_bytes(), b"v"]);
        let row = verbs::find(b"SET").expect("it is known");
        let Run::Write(verb) = row.run else { panic!("SET writes") };
        let set = self.keeper.server.set.clone();
        let member_list = set.member_list();
        let (mut effects, mut reply) = (Effects::default(), Reply::new(Protocol::Resp2));
        let env = CallEnv::new(WallMs(1), 0);
        let mut guard = set.write(&member_list);
        let transaction = guard.begin(&mut effects, MonoUs(1));
        let args = Args::new(request.borrow(), 1, 0, &env);
        let done = transaction.call_and_commit(Verb::Write(&row.spec, verb), args, &mut reply);
        assert!(done.is_ok());
        drop(guard);
        self.ends.push(set.head());
    }

    fn step(&mut self) {
        self.keeper.again_at = MonoUs(0);
        self.keeper.step(clock::mono_now());
    }

    /// The same a second later: whoever gathers writes for one sync has gathered long enough,
    /// however long the last has taken.
    fn step_later(&mut self) {
        self.keeper.again_at = MonoUs(0);
        self.keeper.step(clock::mono_now().plus(Duration::from_secs(1)));
    }
}

#[test]
fn no_crash_takes_a_write_that_was_on_disk() {
    let (mut rewrites, mut torn) = (0, 0);
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let disk = SimulatedDisk::new(seed);
        // Writes that were told to be on disk, and where the stream stood behind each.
        let (mut durable, mut ends) = (0, Vec::<Offset>::new());
        for _ in 0..3 {
            let fsync = [Fsync::Always, Fsync::Everysec][random.below(2) as usize];
            let mut machine = Machine::start(&disk, fsync);
            let mut count = machine.count();
            assert!(durable <= count, "seed {seed}: {count} of {durable} are there");
            assert!(count <= ends.len(), "seed {seed}: more than were written");
            torn += usize::from(count < ends.len());
            ends.truncate(count);
            let head = machine.set().head();
            assert!(ends.last().is_none_or(|it| *it <= head), "seed {seed}: it stands before them");
            machine.ends = ends;
            for _ in 0..random.below(60) {
                match random.below(12) {
                    0 => machine.keeper.server.persistence.ask(|it| it.rewrite = true),
                    1 => disk.fail_syncs(1 + random.below(2) as u32),
                    2 => disk.hold(disk.bytes() + random.below(200) as usize),
                    3 => disk.hold(usize::MAX),
                    4..8 => {
                        machine.write(count);
                        count += 1;
                    }
                    _ => machine.step(),
                }
                let told = machine.set().durable();
                durable = machine.ends.iter().filter(|it| **it <= told).count();
            }
            rewrites += machine.keeper.server.persistence.status().aof.rewrites;
            ends = std::mem::take(&mut machine.ends);
            disk.crash();
        }
    }
    assert!(500 < rewrites && 500 < torn, "{rewrites} rewrites, {torn} torn: too little was tried");
}

#[test]
fn writes_are_refused_while_the_disk_fails_and_taken_again_by_themselves() {
    let disk = SimulatedDisk::new(1);
    let mut machine = Machine::start(&disk, Fsync::Always);
    machine.write(0);
    machine.step_later();
    assert_eq!(machine.set().durable(), machine.set().head());
    disk.fail_syncs(2);
    machine.write(1);
    machine.step_later();
    assert_eq!(machine.set().disk_trouble(), Some(DiskTrouble::AppendOnlyFile));
    assert!(machine.set().durable() < machine.set().head());
    // A try fails, another succeeds, and each is looked at afterwards.
    (0..5).for_each(|_| machine.step_later());
    assert_eq!(machine.set().disk_trouble(), None);
    assert_eq!(machine.set().durable(), machine.set().head());
    disk.hold(disk.bytes() + 5);
    machine.write(2);
    machine.step_later();
    assert_eq!(machine.set().disk_trouble(), Some(DiskTrouble::AppendOnlyFile));
    disk.hold(usize::MAX);
    machine.step_later();
    assert_eq!(machine.set().disk_trouble(), None);
    disk.crash();
    assert_eq!(Machine::start(&disk, Fsync::Always).count(), 3);
}

#[test]
fn a_file_whose_sync_has_failed_is_trusted_no_more() {
    let disk = SimulatedDisk::new(2);
    let mut machine = Machine::start(&disk, Fsync::Always);
    let before = machine.keeper.store.manifest.clone();
    machine.write(0);
    disk.fail_syncs(1);
    machine.step();
    machine.step();
    machine.step();
    let after = &machine.keeper.store.manifest;
    assert!(before.parts().all(|old| after.parts().all(|it| it.name != old.name)), "{after:?}");
    assert_eq!(machine.set().durable(), machine.set().head());
}
