//! The thread that keeps the files: the append-only file follows the log there, and snapshots and
//! rewrites are begun there.
//!
//! ```text
//!              a generation is made              an fsync fails, the data is replaced
//!   no file ──────────────────────▶ following ─────────────────────────▶ no file
//!      ▲  appendonly is switched on     │ appendonly is switched off
//!      └────────────────────────────────┘
//! ```

use super::aof_parts::{AofParts, Parts};
use super::generation::{Generation, Maker};
use super::group_commit::GroupCommit;
use super::load;
use super::snapshot_file;
use super::store::Store;
use super::stream_part::{StreamPart, Took};
use crate::base::position::Position;
use crate::base::time::MonoUs;
use crate::config::{self, Fsync};
use crate::metrics::latency_events::LatencyEvent;
use crate::persist::Plan;
use crate::runtime::{clock, tasks};
use crate::state::{Background, LastSnapshot, Server};
use event_listener::Listener;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

/// How long what was written may not be on disk, with `everysec`.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// An fsync that takes longer is told of.
const LATE: Duration = Duration::from_secs(1);
/// Where a reply does not wait for it, what is written is gathered for so long.
const GATHER: Duration = Duration::from_micros(500);
/// The same where replies wait.
const BRIEF: Duration = Duration::from_micros(50);
/// How long nothing is tried while nothing can be written.
const PAUSE: Duration = Duration::from_millis(20);
/// How often settings and save points are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After a failure the next try is as much later.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The same, of a snapshot and of a rewrite.
const SAVE_AGAIN_AFTER: Duration = Duration::from_secs(5);
const REWRITE_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// More parts than this are made one.
const INCRS_MAX: usize = 16;

/// Loads what the store holds, says so, and keeps it from there on, on a thread of its own. `then`
/// is called once there is data to serve; `fails` when what there is cannot be loaded.
pub fn start(
    server: Arc<Server>,
    store: Store,
    then: impl FnOnce() + Send + 'static,
    fails: impl FnOnce(String) + Send + 'static,
) -> io::Result<()> {
    server.set.set_loading(true);
    server.put_disk(store.disk.clone());
    tasks::thread("entourage-disk", move || {
        let mut keeper = Keeper::new(server, store);
        if let Err(why) = keeper.begin() {
            return fails(why);
        }
        keeper.server.set.set_loading(false);
        then();
        keeper.run();
    })
}

/// What keeps the files.
pub struct Keeper {
    server: Arc<Server>,
    store: Store,
    /// The part that follows the log.
    parts: Arc<AofParts>,
    /// Bytes of the parts before it.
    bytes_before: u64,
    last_sync: MonoUs,
    group: GroupCommit,
    /// Nothing is tried before.
    again_at: MonoUs,
    rewrite_again_at: MonoUs,
    /// A generation that is being made.
    making: Option<(Receiver<io::Result<Generation>>, MonoUs)>,
    /// It is made at once: for the simulator.
    makes_inline: bool,
}

/// How long there is nothing to do.
enum Rest {
    /// For no time.
    Not,
    /// Until the log grows, or for so long.
    News(Duration),
    /// A moment, so that more comes together.
    Gather,
    /// The same where replies wait.
    Brief,
    /// A while, whatever comes: it cannot be written.
    Pause,
}

impl Keeper {
    /// Of this store.
    pub fn new(server: Arc<Server>, store: Store) -> Keeper {
        let now = clock::mono_now();
        let parts = Arc::new(AofParts::new(server.set.clone()));
        server.persistence.put_writer(parts.clone());
        Keeper {
            server,
            store,
            parts,
            bytes_before: 0,
            last_sync: now,
            group: GroupCommit::new(now),
            again_at: now,
            rewrite_again_at: now,
            making: None,
            makes_inline: false,
        }
    }

    /// Loads what there is. The append-only file goes on with a part of its own.
    pub fn begin(&mut self) -> Result<(), String> {
        load::load(&self.server, &self.store)?;
        if !self.settings().has_aof() {
            return Ok(());
        }
        let gone_on = match self.store.plan {
            Plan::Aof(_) => self.go_on_with(None).map(drop),
            _ => self.make_now(),
        };
        let settings = self.settings();
        // Before anybody is served: the first reply may come before this thread's first step.
        self.say_who_writes(&settings, clock::mono_now());
        let dir = settings.dir;
        gone_on.map_err(|why| format!("{dir}: the append-only file cannot be written: {why}"))
    }

    /// Whether workers write the file before they reply, or this thread does.
    fn say_who_writes(&self, settings: &config::Disk, now: MonoUs) {
        self.parts.set_mode(settings.fsync != Fsync::Always, settings.timestamps, now);
    }

    fn settings(&self) -> config::Disk {
        self.server.settings().set.disk.clone()
    }

    /// Another part behind those that were loaded, or behind this end, at which this database is
    /// selected unless the stream says it next. Answers whether the stream is kept from there on.
    fn go_on_with(&mut self, end: Option<(Position, Option<usize>)>) -> io::Result<bool> {
        let set = self.server.set.clone();
        let seq = self.store.take_seqs().1;
        let incr = self.store.names.incr(seq);
        let id = set.add_file(self.store.names.single());
        let (at, db) = match end {
            None => set.resume_file(id),
            Some((end, db)) => match set.resume_file_from(id, end) {
                Some(at) => (at, db),
                None => {
                    set.remove_follower(id);
                    return Ok(false);
                }
            },
        };
        let path = self.store.path(&incr.name);
        let mut part = StreamPart::begin(set, id, at, db, &*self.store.disk, &path)?;
        part.sync()?;
        self.store.disk.sync_dir(&self.store.dir)?;
        self.bytes_before = self.store.aof_bytes();
        self.store.put_manifest(self.store.manifest.with_incr(incr))?;
        let bytes = self.bytes_before;
        let mut status = self.server.persistence.status();
        (status.aof.is_on, status.aof.bytes_at_rewrite) = (true, bytes);
        drop(status);
        self.parts.lock().current = Some(part);
        self.parts.tell_synced(clock::mono_now());
        Ok(true)
    }

    /// A first generation, at the start.
    fn make_now(&mut self) -> io::Result<()> {
        self.store.disk.make_dir(&self.store.dir)?;
        let made = self.maker().make()?;
        self.adopt(made)
    }

    fn maker(&mut self) -> Maker {
        Maker {
            set: self.server.set.clone(),
            disk: self.store.disk.clone(),
            dir: self.store.dir.clone(),
            names: self.store.names.clone(),
            seqs: self.store.take_seqs(),
            progress: self.server.persistence.progress.clone(),
        }
    }

    /// The generation takes the place of what the manifest names.
    fn adopt(&mut self, made: Generation) -> io::Result<()> {
        let Generation { base, base_bytes, incr, mut part } = made;
        // It may not lack what the old part has on disk.
        part.take_all()?;
        let synced_at = clock::mono_now();
        part.sync()?;
        self.parts.lock().put_next(part)?;
        let manifest = self.store.manifest.replaced(base, incr);
        let began = clock::mono_now();
        let put = self.store.put_manifest(manifest);
        let us = clock::mono_now().since(began);
        self.server.set.latency.note(LatencyEvent::AofRename, us, clock::wall_now());
        if let Err(why) = put {
            // Nobody knows which of the two a restart would find.
            *self.parts.lock() = Parts::default();
            return Err(why);
        }
        self.parts.lock().go_on_with_next();
        self.parts.tell_synced(clock::mono_now());
        self.bytes_before = base_bytes;
        self.last_sync = synced_at;
        // What the old part had to wait for is over.
        self.again_at = synced_at;
        if let Err(why) = self.store.delete_history() {
            log::warn!("event=aof-history-kept why={why}");
        }
        let bytes = self.bytes();
        let mut status = self.server.persistence.status();
        (status.aof.is_on, status.aof.bytes_at_rewrite) = (true, bytes);
        drop(status);
        self.has_recovered();
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes_before + self.parts.len().0
    }

    fn run(mut self) {
        loop {
            let server = self.server.clone();
            let (news, order) = (server.set.file_news(), server.persistence.next_order());
            let now = clock::mono_now();
            let rest = self.step(now);
            if server.persistence.orders().finish {
                return self.end();
            }
            match rest {
                Rest::Not => {}
                Rest::Gather => tasks::rest(GATHER),
                Rest::Brief => tasks::rest(BRIEF),
                Rest::Pause => tasks::rest(PAUSE),
                Rest::News(most) if self.parts.has_part() => drop(news.wait_timeout(most)),
                Rest::News(most) => drop(order.wait_timeout(most)),
            }
        }
    }

    /// Does what is to be done now.
    fn step(&mut self, now: MonoUs) -> Rest {
        let settings = self.settings();
        self.take_made();
        self.look_after_switch(&settings, now);
        self.look_after_orders(&settings, now);
        let has_part = self.parts.has_part();
        if !has_part || now < self.again_at {
            self.note();
            return if has_part { Rest::Pause } else { Rest::News(LOOK_EVERY) };
        }
        match self.write(&settings, now) {
            Ok(rest) => {
                self.has_recovered();
                self.say_who_writes(&settings, now);
                self.note();
                rest
            }
            Err(why) => {
                self.has_failed(&why);
                Rest::Pause
            }
        }
    }

    /// Writes what has come, and syncs when it is time.
    fn write(&mut self, settings: &config::Disk, now: MonoUs) -> io::Result<Rest> {
        let Some(took) = self.parts.take() else { return Ok(Rest::News(LOOK_EVERY)) };
        let took = took?;
        if took == Took::Disconnected {
            log::warn!("event=aof-begins-anew why=it was too far behind, or the data is another");
            *self.parts.lock() = Parts::default();
            return Ok(Rest::Not);
        }
        let unsynced = self.parts.len().1;
        let since = Duration::from_micros(now.since(self.last_sync));
        let is_due = match settings.fsync {
            Fsync::Always => self.group.is_due(unsynced, now),
            Fsync::Everysec => SYNC_EVERY <= since || self.server.set.is_sync_asked(),
            Fsync::No => self.server.set.is_sync_asked(),
        };
        if is_due && unsynced != 0 {
            self.sync()?;
            if settings.fsync != Fsync::Always {
                // No worker has written meanwhile.
                return Ok(Rest::Not);
            }
        }
        Ok(match (took, settings.fsync) {
            (Took::Some(_), _) => Rest::Not,
            (_, Fsync::Always) if !is_due => Rest::Brief,
            (_, Fsync::Always) => Rest::News(LOOK_EVERY),
            (Took::All(0), Fsync::Everysec) if unsynced != 0 => {
                Rest::News(LOOK_EVERY.min(SYNC_EVERY.saturating_sub(since)))
            }
            (Took::All(0), _) => Rest::News(LOOK_EVERY),
            _ => Rest::Gather,
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let began = clock::mono_now();
        let synced = self.parts.sync();
        let now = clock::mono_now();
        let us = now.since(began);
        let mut status = self.server.persistence.status();
        status.aof.fsync_us.record(us, 1);
        status.aof.failed_fsyncs += u64::from(synced.is_err());
        let is_late = LATE.as_micros() as u64 <= us;
        status.aof.late_fsyncs += u64::from(is_late);
        drop(status);
        let latency = &self.server.set.latency;
        if latency.is_slow(us) && self.settings().fsync == Fsync::Always {
            latency.note(LatencyEvent::AofFsyncAlways, us, clock::wall_now());
        }
        if is_late {
            log::warn!("event=late-fsync us={us}");
        }
        let bytes = synced?;
        // What has come since it began may be in memory alone.
        self.last_sync = began;
        self.group.synced(bytes, us, now);
        self.parts.tell_synced(now);
        Ok(())
    }

    /// Writes are taken again.
    fn has_recovered(&mut self) {
        let before = self.server.persistence.status().aof.trouble.take();
        if before.is_some() {
            log::info!("event=aof-recovered");
            self.server.settle_disk_trouble();
        }
    }

    /// No write is taken until the file is written again. One that cannot be trusted gives way to a
    /// new generation.
    fn has_failed(&mut self, why: &io::Error) {
        log::error!("event=aof-write-failed why={why}");
        self.server.persistence.status().aof.trouble = Some(why.to_string());
        self.server.settle_disk_trouble();
        self.parts.set_mode(false, false, MonoUs(0));
        let mut parts = self.parts.lock();
        if parts.current.as_ref().is_some_and(StreamPart::is_broken) {
            *parts = Parts::default();
        } else {
            self.again_at = clock::mono_now().plus(AGAIN_AFTER);
        }
    }

    /// A generation that was being made, if it is there.
    fn take_made(&mut self) {
        let Some((made, began)) = &self.making else { return };
        let made = match made.try_recv() {
            Ok(made) => made,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("it panicked")),
        };
        let us = clock::mono_now().since(*began);
        self.making = None;
        let adopted = made.and_then(|it| self.adopt(it));
        let mut status = self.server.persistence.status();
        status.background = None;
        let aof = &mut status.aof;
        aof.rewrite_us = Some(us);
        aof.has_rewrite_failed = adopted.is_err();
        match &adopted {
            Ok(()) => {
                (aof.failures, aof.rewrites) = (0, aof.rewrites + 1);
                let bytes = aof.bytes_at_rewrite;
                drop(status);
                log::info!("event=aof-rewritten bytes={bytes} us={us}");
            }
            Err(why) => {
                aof.failures += 1;
                drop(status);
                log::error!("event=aof-rewrite-failed why={why}");
                let now = clock::mono_now();
                self.rewrite_again_at = now.plus(REWRITE_AGAIN_AFTER);
                // A part that is sound goes on being written: replies go on, too.
                if !self.parts.has_part() {
                    self.again_at = now.plus(AGAIN_AFTER);
                    self.server.persistence.status().aof.trouble = Some(why.to_string());
                    self.server.settle_disk_trouble();
                }
            }
        }
    }

    /// Begins a file where there is to be one, and ends it where there is not.
    fn look_after_switch(&mut self, settings: &config::Disk, now: MonoUs) {
        if !settings.has_aof() {
            if self.parts.has_part() {
                let ended = self.finish_part(now);
                *self.parts.lock() = Parts::default();
                log::info!("event=aof-ends is-whole={}", ended.is_ok());
                self.server.persistence.status().aof.is_on = false;
            }
            // What is not written any more cannot fail.
            self.has_recovered();
            return;
        }
        if !self.parts.has_part() && self.making.is_none() && self.again_at <= now {
            self.begin_making(now);
        }
    }

    /// Makes a generation on a thread of its own, unless something else works there.
    fn begin_making(&mut self, now: MonoUs) -> bool {
        if !self.server.persistence.begin(Background::Rewrite, now) {
            return false;
        }
        log::info!("event=aof-rewrite-begins");
        let (tell, made) = channel();
        let (maker, server) = (self.maker(), self.server.clone());
        let making = move || {
            let made = maker.disk.make_dir(&maker.dir).and_then(|()| maker.make());
            let _ = tell.send(made);
            server.wake_disk();
        };
        if self.makes_inline {
            making();
        } else if let Err(why) = tasks::thread("entourage-rewrite", making) {
            log::error!("event=aof-rewrite-failed why={why}");
            self.server.persistence.status().background = None;
            return false;
        }
        self.making = Some((made, now));
        true
    }

    /// What was asked for, and what is due by itself.
    fn look_after_orders(&mut self, settings: &config::Disk, now: MonoUs) {
        let orders = self.server.persistence.orders();
        let may_rewrite = self.parts.has_part() && self.making.is_none();
        if may_rewrite && (orders.rewrite || self.is_rewrite_due(settings, now)) {
            let has_begun = self.begin_making(now);
            if has_begun {
                self.server.persistence.ask(|it| it.rewrite = false);
            }
        }
        if orders.save || self.is_save_due(settings, now) {
            let has_begun = self.server.persistence.begin(Background::Save, now);
            if has_begun {
                self.server.persistence.ask(|it| it.save = false);
                self.begin_save();
            }
        }
    }

    fn begin_save(&self) {
        let (server, disk) = (self.server.clone(), self.store.disk.clone());
        let saving = move || {
            let _ = snapshot_file::save(&server, &*disk);
            server.settle_disk_trouble();
            server.wake_disk();
        };
        if let Err(why) = tasks::thread("entourage-save", saving) {
            log::error!("event=save-failed why={why}");
            self.server.persistence.status().background = None;
        }
    }

    fn is_rewrite_due(&self, settings: &config::Disk, now: MonoUs) -> bool {
        if now < self.rewrite_again_at || self.again_at > now {
            return false;
        }
        if INCRS_MAX < self.store.manifest.incrs.len() {
            return true;
        }
        let (bytes, before) = (self.bytes(), self.server.persistence.status().aof.bytes_at_rewrite);
        let grown = bytes.saturating_sub(before).saturating_mul(100) / before.max(1);
        settings.rewrite_percentage != 0
            && settings.rewrite_bytes_min as u64 <= bytes
            && settings.rewrite_percentage as u64 <= grown
    }

    fn is_save_due(&self, settings: &config::Disk, now: MonoUs) -> bool {
        if settings.save.is_empty() {
            return false;
        }
        let (changes, since) = {
            let status = self.server.persistence.status();
            let save = &status.save;
            let last = save.last.unwrap_or(self.server.process_info.at);
            let since = Duration::from_millis(last.until(clock::wall_now()));
            let rests = |it: MonoUs| now < it.plus(SAVE_AGAIN_AFTER);
            if status.background.is_some() || (!save.is_ok && save.tried.is_some_and(rests)) {
                return false;
            }
            (save.changes, since)
        };
        let changes = self.server.changes().saturating_sub(changes);
        let due = settings.save.due(changes, since);
        if let Some((seconds, count)) = due {
            log::info!("event=save-due changes={changes} point={seconds}s/{count}");
        }
        due.is_some()
    }

    /// Lets everybody see how large it is.
    fn note(&self) {
        let (len, unsynced) = self.parts.len();
        let bytes = self.bytes_before + len;
        let mut status = self.server.persistence.status();
        (status.aof.bytes, status.aof.unsynced) = (bytes, unsynced);
        drop(status);
        // What asks for it may have been changed.
        self.server.settle_disk_trouble();
    }

    /// All that the log has, to the disk.
    fn finish_part(&mut self, now: MonoUs) -> io::Result<()> {
        while let Some(took) = self.parts.take()
            && took?.is_some()?
        {}
        self.parts.sync()?;
        self.parts.tell_synced(now);
        Ok(())
    }

    /// Everything to the disk, and nothing more.
    fn end(mut self) {
        if self.server.upgrade.successor().is_some() {
            return self.hand_over();
        }
        // Without it a restart would find what was there before.
        if !self.parts.has_part()
            && let Some((made, _)) = self.making.take()
            && let Err(why) = made
                .recv()
                .map_err(io::Error::other)
                .and_then(|it| it)
                .and_then(|it| self.adopt(it))
        {
            log::error!("event=aof-rewrite-failed why={why}");
        }
        if let Err(why) = self.finish_part(clock::mono_now()) {
            log::error!("event=aof-write-failed why={why}");
        }
        let saves = match self.server.persistence.last_snapshot() {
            Some(LastSnapshot::Unwanted) => false,
            // What a master's stream has brought since is the master's to keep.
            Some(LastSnapshot::Has(_)) if self.server.set.is_following() => false,
            Some(LastSnapshot::Has(changes)) => changes != self.server.changes(),
            Some(LastSnapshot::Wanted) | None => true,
        };
        if saves && self.server.persistence.begin(Background::Save, clock::mono_now()) {
            let _ = snapshot_file::save(&self.server, &*self.store.disk);
        }
        self.server.persistence.finish();
    }
}

mod handed_over;
#[cfg(test)]
mod tests;

pub use handed_over::go_on;
