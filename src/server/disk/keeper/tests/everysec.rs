//! With `everysec` a crash takes at most the writes of the last second.

use super::*;
use std::time::Duration;

/// The longest between two looks of the thread that keeps the files.
const LOOK_MS: u64 = LOOK_EVERY.as_millis() as u64;
/// What a crash may take: what was written since the last sync began.
const LOST: Duration = Duration::from_millis(1000 + LOOK_MS);

/// A server whose time goes as the test says.
struct Timed {
    machine: Machine,
    now: MonoUs,
    /// When each write was answered.
    written: Vec<MonoUs>,
    /// When a write would last have been taken.
    served: MonoUs,
}

impl Timed {
    fn start(disk: &SimulatedDisk) -> Timed {
        let mut machine = Machine::start(disk, Fsync::Everysec);
        let now = clock::mono_now();
        machine.keeper.last_sync = now;
        Timed { machine, now, written: Vec::new(), served: now }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
        if self.machine.set().disk_trouble().is_none() {
            self.served = self.now;
        }
    }

    /// A look of the keeper, which takes no time.
    fn look(&mut self) {
        let keeper = &mut self.machine.keeper;
        let before = (keeper.last_sync, keeper.again_at);
        let clock = clock::mono_now();
        keeper.step(self.now);
        // What the clock says does not count here.
        if keeper.last_sync != before.0 {
            keeper.last_sync = self.now;
        }
        if keeper.again_at != before.1 {
            let is_later = clock.plus(AGAIN_AFTER) <= keeper.again_at;
            keeper.again_at = if is_later { self.now.plus(AGAIN_AFTER) } else { self.now };
        }
    }

    /// A write, if writes are taken.
    fn write(&mut self, number: usize) -> bool {
        if self.machine.set().disk_trouble().is_some() {
            return false;
        }
        self.machine.write(number);
        self.written.push(self.now);
        true
    }
}

/// Runs a server to a crash of the machine, and answers how many writes there were, how many are
/// there, and for how long before the end those were written that are not.
fn run(seed: u64, fails: bool) -> (usize, usize, u64) {
    let mut random = Random::new(seed);
    let disk = SimulatedDisk::new(seed);
    let mut timed = Timed::start(&disk);
    // A process that was killed some time before has left what it had written unsynced.
    for number in 0..random.below(5) as usize {
        timed.write(number);
        timed.look();
    }
    let earlier = timed.written.len();
    if random.below(2) == 0 {
        timed = Timed { written: timed.written.clone(), ..Timed::start(&disk) };
        assert_eq!(timed.machine.count(), earlier, "seed {seed}: the process alone has ended");
    }
    for _ in 0..random.below(120) {
        for _ in 0..random.below(4) {
            timed.write(timed.written.len());
        }
        match random.below(30) {
            0 => timed.machine.keeper.server.persistence.ask(|it| it.rewrite = true),
            1 if fails => disk.fail_syncs(1 + random.below(3) as u32),
            2 if fails => disk.hold(disk.bytes() + random.below(200) as usize),
            3..10 => disk.hold(usize::MAX),
            _ => {}
        }
        timed.pass(random.below(LOOK_MS) + 1);
        timed.look();
    }
    let Timed { written, served, .. } = timed;
    disk.crash();
    let count = Machine::start(&disk, Fsync::Everysec).count();
    assert!(count <= written.len(), "seed {seed}: more than were written");
    (written.len(), count, written.get(count).map_or(0, |it| served.since(*it)))
}

#[test]
fn a_crash_takes_at_most_the_writes_of_the_last_second() {
    let (mut lost, mut late) = (0, 0);
    for seed in 0..SEEDS {
        for fails in [false, true] {
            let (written, count, us) = run(seed, fails);
            let most_us = LOST.as_micros() as u64;
            assert!(us <= most_us, "seed {seed}: {count} of {written} are there, {us} µs are gone");
            lost += usize::from(count < written);
            late += usize::from(500_000 < us);
        }
    }
    // What is lost must be more than nothing, or nothing was tried.
    assert!(500 < lost && 50 < late, "{lost} crashes took something, {late} more than 0.5 s");
}

#[test]
fn a_process_that_begins_on_what_another_has_not_synced_syncs_that_first() {
    for seed in 0..100 {
        let disk = SimulatedDisk::new(seed);
        let mut killed = Machine::start(&disk, Fsync::No);
        killed.write(0);
        killed.step();
        drop(killed);
        let mut next = Machine::start(&disk, Fsync::Always);
        assert_eq!(next.count(), 1);
        next.write(1);
        next.step();
        assert_eq!(next.set().durable(), next.set().head());
        drop(next);
        disk.crash();
        assert_eq!(Machine::start(&disk, Fsync::Always).count(), 2, "seed {seed}");
    }
}
