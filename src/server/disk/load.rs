//! What files hold, loaded at the start: beside the workers, which say -LOADING meanwhile.

use super::store::Store;
use crate::base::position::{Offset, Position, ReplicationHistory};
use crate::engine::Engine;
use crate::engine::rdb::Loader;
use crate::node::{Restored, new_replid};
use crate::persist::{AofEnd, Plan, Replay, position_of};
use crate::runtime::clock;
use crate::state::{LoadStatus, Server};
use std::io::Read;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// Bytes after which the log is told how far it is.
const TELL_EVERY_BYTES: u64 = 256 << 20;

/// What was loaded, before the stream has a history.
struct Loaded {
    engine: Engine,
    position: Option<Position>,
    tail: (Offset, Vec<u8>),
    db: usize,
    /// Keys of the snapshot, and how many of them had expired.
    keys: (u64, u64),
}

/// Loads what there is and puts it in its place. Answers whether there was anything. `Err` says
/// which file is wrong where, and what to do.
pub fn load(server: &Server, store: &Store) -> Result<bool, String> {
    let began = clock::mono_now();
    let settings = server.settings();
    let disk = &settings.set.disk;
    let loaded = match &store.plan {
        Plan::Nothing => return Ok(false),
        Plan::Snapshot => load_snapshot(server, store, &disk.dbfilename)?,
        Plan::SingleAof => load_aof(server, store, &[store.names.single().to_owned()])?,
        Plan::Aof(manifest) => {
            let names: Vec<String> = manifest.parts().map(|it| store.path(&it.name)).collect();
            load_aof(server, store, &names)?
        }
    };
    let (keys, of_snapshot) = (keys_of(&loaded.engine), loaded.keys);
    server.set.begin_with(restored(loaded, settings.set.master.is_some()));
    let us = clock::mono_now().since(began);
    let at = server.set.position();
    log::info!("event=loaded keys={keys} position={at} us={us}");
    let changes = server.changes();
    let mut status = server.persistence.status();
    status.load_ended(of_snapshot);
    // What was loaded has been saved.
    status.save.changes = changes;
    Ok(true)
}

fn keys_of(engine: &Engine) -> u64 {
    (0..crate::base::limits::DATABASES).map(|it| engine.space(it).len() as u64).sum()
}

/// A master begins a history of its own, which shares the old one up to here: some of what it had
/// said may have been lost. A replica goes on with that of its master.
fn restored(loaded: Loaded, follows: bool) -> Restored {
    let Loaded { engine, position, tail, db, .. } = loaded;
    let Some(position) = position else {
        let history = ReplicationHistory::new(new_replid());
        let tail = (Offset::ZERO, Vec::new());
        return Restored { engine, history, at: Offset::ZERO, tail, repeated_db: None };
    };
    let at = position.offset;
    let history = ReplicationHistory::new(position.replid);
    match follows {
        true => Restored { engine, history, at, tail, repeated_db: Some(db) },
        false => {
            let history = history.promoted(new_replid(), at);
            Restored { engine, history, at, tail, repeated_db: None }
        }
    }
}

/// Reads a file piece by piece, and tells how far it is.
fn each_piece(
    server: &Server,
    store: &Store,
    name: &str,
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let dir = &server.settings().set.disk.dir;
    let told = |why: std::io::Error| format!("{dir}/{name}: it cannot be read: {why}");
    let mut file = store.disk.open(name).map_err(told)?;
    let mut buffer = vec![0; READ_BYTES];
    if let Some(loading) = &mut server.persistence.status().loading {
        name.clone_into(&mut loading.file);
    }
    loop {
        let count = file.read(&mut buffer).map_err(told)?;
        if count == 0 {
            return Ok(());
        }
        take(&buffer[..count]).map_err(|why| format!("{dir}/{name}: {why}"))?;
        if let Some(loading) = &mut server.persistence.status().loading {
            let before = loading.read;
            loading.read += count as u64;
            if before / TELL_EVERY_BYTES != loading.read / TELL_EVERY_BYTES {
                log::info!("event=loading file={name} bytes={} of={}", loading.read, loading.total);
            }
        }
    }
}

fn begin(server: &Server, store: &Store, names: &[String]) {
    let total = names.iter().map(|it| store.disk.len(it).unwrap_or(0)).sum();
    let (began, began_at) = (clock::wall_now(), clock::mono_now());
    let file = names.first().cloned().unwrap_or_default();
    log::info!("event=load-begins files={} bytes={total}", names.len());
    let loading = LoadStatus { file, began, began_at, total, read: 0 };
    server.persistence.status().loading = Some(loading);
}

fn load_snapshot(server: &Server, store: &Store, name: &str) -> Result<Loaded, String> {
    begin(server, store, &[name.to_owned()]);
    let mut loader = Loader::new(server.set.new_engine(), clock::wall_now());
    each_piece(server, store, name, |piece| {
        let taken = loader.feed(piece).map_err(|it| it.to_string())?;
        if taken < piece.len() {
            // It may be a damaged byte that says the end is here.
            return Err(format!("bytes follow its end at byte {}", loader.at()));
        }
        Ok(())
    })?;
    let dir = &server.settings().set.disk.dir;
    let file = loader.finish().map_err(|why| format!("{dir}/{name}: {why}"))?;
    let position = position_of(&file);
    let db = file.aux("repl-stream-db").and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
    let db = db.filter(|it| *it < crate::base::limits::DATABASES).unwrap_or(0);
    let tail = (position.map_or(Offset::ZERO, |it| it.offset), Vec::new());
    let keys = (file.keys, file.expired);
    Ok(Loaded { engine: file.engine, position, tail, db, keys })
}

fn load_aof(server: &Server, store: &Store, names: &[String]) -> Result<Loaded, String> {
    begin(server, store, names);
    let settings = server.settings();
    let disk = &settings.set.disk;
    let backlog = settings.set.backlog_bytes;
    let mut replay = Replay::new(server.set.new_engine(), clock::wall_now(), backlog);
    for (at, name) in names.iter().enumerate() {
        replay.begin_file();
        each_piece(server, store, name, |piece| replay.feed(piece).map_err(|it| it.to_string()))?;
        let path = format!("{}/{name}", disk.dir);
        if name.ends_with(".rdb") && store.disk.len(name).is_ok_and(|it| it == 0) {
            return Err(format!("{path}: it should hold a snapshot, and is empty at byte 0"));
        }
        let end = replay.end_file().map_err(|why| format!("{path}: {why}"))?;
        let AofEnd::Torn(byte) = end else { continue };
        if at + 1 < names.len() {
            return Err(format!("{path}: it ends in the middle of the write at byte {byte}"));
        }
        if !disk.loads_truncated {
            return Err(format!(
                "{path}: it ends in the middle of the write at byte {byte}, and \
                 set.aof-load-truncated is off; entourage check-aof --fix cuts that off"
            ));
        }
        let lost = store.disk.len(name).unwrap_or(byte).saturating_sub(byte);
        log::warn!("event=aof-truncated file={name} byte={byte} lost-bytes={lost}");
        let cut = store.disk.truncate(name, byte);
        cut.map_err(|why| format!("{path}: it cannot be cut at byte {byte}: {why}"))?;
    }
    for name in names {
        // A process that was killed may not have done it; what is written from here on stands on
        // that, and may not outlive it.
        let synced = store.disk.sync(name);
        synced.map_err(|why| format!("{}/{name}: it cannot be synced: {why}", disk.dir))?;
    }
    let replayed = replay.finish();
    Ok(Loaded {
        engine: replayed.engine,
        position: replayed.position,
        tail: replayed.tail,
        db: replayed.db,
        keys: replayed.keys,
    })
}

#[cfg(test)]
mod tests;
