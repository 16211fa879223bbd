//! Snapshots as files.

use crate::base::position::Position;
use crate::engine::rdb::FileInfo;
use crate::node::{Overtaken, ReplicaSet, SnapshotReader};
use crate::replication::FollowerId;
use crate::runtime::disk::Disk;
use crate::runtime::{clock, tasks};
use crate::server::file_info::file_info;
use crate::state::{Background, Server};
use bytes::Bytes;
use std::io;
use std::time::Duration;

/// Bytes after which a file is synced while it is written, so that the end does not take long.
const SYNC_EVERY_BYTES: u64 = 4 << 20;
/// How often who waits for others to have their snapshots asks for its own.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The keys at one place of the stream, as a file that is made while it is read.
pub struct Cut(SnapshotReader);

impl Cut {
    /// Cuts here, for a follower that goes on from there if it is to be one. All who need a
    /// snapshot for a file come by this.
    pub fn of(set: &ReplicaSet, id: Option<FollowerId>) -> Cut {
        loop {
            let reader = match id {
                Some(id) => set.snapshot(id, base_info),
                None => set.snapshot_to_keep(file_info),
            };
            match reader {
                Some(reader) => return Cut(reader),
                None => tasks::rest(ASK_EVERY),
            }
        }
    }

    /// Where that is.
    pub fn at(&self) -> Position {
        self.0.snapshot().at()
    }

    /// The database that is selected there, unless the stream says it next.
    pub fn stream_db(&self) -> Option<usize> {
        self.0.snapshot().stream_db()
    }

    /// How many of its keys are written, and how many there are.
    pub fn progress(&self) -> (u64, u64) {
        self.0.snapshot().progress()
    }

    /// The next piece of the file; `None` behind its end.
    pub fn next(&self) -> Result<Option<Bytes>, Overtaken> {
        self.0.wait_for_next()
    }

    /// Writes the keys into a new file, which is whole and on disk afterwards. Answers how many
    /// bytes it has. `between` is called between pieces.
    pub fn write(
        &self,
        disk: &dyn Disk,
        name: &str,
        mut between: impl FnMut() -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut file = disk.create(name)?;
        let (mut len, mut synced) = (0, 0);
        while let Some(piece) = self.next().map_err(overtaken)? {
            file.write(&piece)?;
            len += piece.len() as u64;
            if SYNC_EVERY_BYTES <= len - synced {
                file.sync()?;
                synced = len;
            }
            between()?;
        }
        file.sync()?;
        Ok(len)
    }
}

fn base_info(at: Position, stream_db: Option<usize>) -> FileInfo {
    FileInfo { is_aof_base: true, ..file_info(at, stream_db) }
}

fn overtaken(Overtaken: Overtaken) -> io::Error {
    io::Error::other("the data has been replaced meanwhile")
}

/// Makes a snapshot, which nothing else may be doing: [`crate::state::Persistence::begin`] has said
/// so. Takes as long as it takes: not for a worker.
pub fn save(server: &Server, disk: &dyn Disk) -> io::Result<()> {
    let began = clock::mono_now();
    let settings = server.settings();
    let name = &settings.set.disk.dbfilename;
    let temporary = format!("temp-{name}");
    log::info!("event=save-begins file={name}");
    let changes = server.changes();
    let saved = write(server, disk, name, &temporary);
    let us = clock::mono_now().since(began);
    let mut status = server.persistence.status();
    let save = &mut status.save;
    (save.is_ok, save.tried, save.took_us) = (saved.is_ok(), Some(began), Some(us));
    match &saved {
        Ok((at, bytes)) => {
            (save.last, save.changes) = (Some(clock::wall_now()), changes);
            save.count += 1;
            log::info!("event=saved file={name} position={at} bytes={bytes} us={us}");
        }
        Err(why) => {
            let _ = disk.remove(&temporary);
            log::error!("event=save-failed file={name} why={why}");
        }
    }
    status.background = None;
    drop(status);
    saved.map(drop)
}

fn write(
    server: &Server,
    disk: &dyn Disk,
    name: &str,
    temporary: &str,
) -> io::Result<(Position, u64)> {
    let cut = Cut::of(&server.set, None);
    let progress = &server.persistence.progress;
    progress.set(cut.progress());
    let len = cut.write(disk, temporary, || {
        progress.set(cut.progress());
        Ok(())
    })?;
    disk.rename(temporary, name)?;
    disk.sync_dir(".")?;
    Ok((cut.at(), len))
}

/// SAVE: answers OK, or why not.
pub fn save_now(server: &Server) -> Result<(), String> {
    let Some(disk) = server.disk() else { return Err("ERR set.dir names no directory".to_owned()) };
    if !server.persistence.begin(Background::Save, clock::mono_now()) {
        return Err("ERR Background save already in progress".to_owned());
    }
    save_begun(server, &*disk).map_err(|why| format!("ERR {why}"))
}

/// The same of a snapshot that [`crate::state::Persistence::begin`] has let begin, and nothing of
/// Redis' texts.
pub fn save_begun(server: &Server, disk: &dyn Disk) -> io::Result<()> {
    let saved = save(server, disk);
    server.settle_disk_trouble();
    server.persistence.ask(|_| {});
    saved
}
