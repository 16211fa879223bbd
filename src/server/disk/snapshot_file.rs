//! Snapshots as files.

use crate::base::position::Position;
use crate::base::time::WallMs;
use crate::engine::rdb::{FileInfo, ReplicationInfo, SnapshotWriter};
use crate::node::{ReplicaSet, Snapshot};
use crate::replication::FollowerId;
use crate::runtime::disk::Disk;
use crate::runtime::{allocation, clock};
use crate::state::version::REDIS_VERSION;
use crate::state::{Background, Server};
use std::io;
use std::sync::Arc;

/// Bytes after which a file is synced while it is written, so that the end does not take long.
const SYNC_EVERY_BYTES: u64 = 4 << 20;

/// The keys at one place of the stream, for a follower that goes on from there.
pub struct Cut(Arc<Snapshot>);

impl Cut {
    /// Cuts here. All who need a snapshot for a file come by this.
    pub fn of(set: &ReplicaSet, id: FollowerId) -> Cut {
        Cut(set.snapshot(id))
    }

    /// Where that is.
    pub fn at(&self) -> Position {
        self.0.at
    }

    /// The database that is selected there, unless the stream says it next.
    pub fn stream_db(&self) -> Option<usize> {
        self.0.stream_db
    }

    /// Writes the keys into a new file, which is whole and on disk afterwards. Answers how many
    /// bytes it has. `between` is called between pieces.
    pub fn write(
        &self,
        disk: &dyn Disk,
        name: &str,
        is_aof_base: bool,
        mut between: impl FnMut() -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut file = disk.create(name)?;
        let mut writer = SnapshotWriter::new(self.info(is_aof_base));
        let (mut len, mut synced) = (0, 0);
        while let Some(piece) = writer.next_piece(self.0.engine()) {
            file.write(piece)?;
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

    fn info(&self, is_aof_base: bool) -> FileInfo {
        FileInfo {
            redis_version: REDIS_VERSION,
            made_s: clock::wall_now().0 / 1000,
            used_bytes: allocation::allocated_bytes(),
            replication: Some(ReplicationInfo {
                stream_db: self.0.stream_db,
                id: self.0.at.replid.to_string(),
                offset: self.0.at.offset.bytes(),
            }),
            is_aof_base,
        }
    }
}

/// A follower for the time of a cut.
struct Registered<'s>(&'s ReplicaSet, FollowerId);

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.0.remove_follower(self.1);
    }
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
            (save.last, save.changes) = (Some(wall_s()), changes);
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

fn wall_s() -> WallMs {
    clock::wall_now()
}

fn write(
    server: &Server,
    disk: &dyn Disk,
    name: &str,
    temporary: &str,
) -> io::Result<(Position, u64)> {
    let set = &server.set;
    let cut = {
        let registered = Registered(set, set.add_file(name));
        Cut::of(set, registered.1)
    };
    let len = cut.write(disk, temporary, false, || Ok(()))?;
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
    let saved = save(server, &*disk);
    server.settle_disk_trouble();
    server.persistence.ask(|_| {});
    saved.map_err(|why| format!("ERR {why}"))
}
