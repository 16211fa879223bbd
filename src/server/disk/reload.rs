//! DEBUG RELOAD and DEBUG LOADAOF: the data goes through the form it has in files, and comes back.

use super::save_now;
use super::snapshot_file::Cut;
use crate::base::position::Position;
use crate::engine::Engine;
use crate::engine::rdb::Loader;
use crate::node::Reloaded;
use crate::persist::{AofEnd, AofNames, Manifest, Replay};
use crate::runtime::disk::{Disk, read_text};
use crate::runtime::{clock, tasks};
use crate::state::Server;
use std::io::Read;
use std::time::Duration;

/// How often it begins again when something was written meanwhile.
const TRIES: usize = 100;
/// How long it rests before that: the append-only file may lack what has just been written.
const REST: Duration = Duration::from_millis(20);
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// What was read back: the data, as of where, and how many keys had expired and were left out.
struct ReadBack {
    engine: Engine,
    at: Position,
    expired: u64,
}

/// Saves a snapshot, where there is a directory for it, and puts what a snapshot holds in the
/// place of the master's data. Takes as long as it takes: not for a worker.
pub fn reload(server: &Server) -> Result<(), String> {
    if server.disk().is_some() {
        save_now(server)?;
    }
    put_back(server, || through_snapshot(server))
}

/// Puts what the append-only file holds in the place of the master's data. Takes as long as it
/// takes: not for a worker.
pub fn load_aof(server: &Server) -> Result<(), String> {
    let settings = server.settings();
    let (Some(disk), true) = (server.disk(), settings.set.disk.has_aof()) else {
        return Err("ERR there is no append-only file: appendonly is no".to_owned());
    };
    let names = AofNames::new(&settings.set.disk.aof_name);
    let dir = &settings.set.disk.aof_dir;
    put_back(server, || through_aof(server, &*disk, &names, dir))
}

/// Puts what `read` has read in its place, if it is the data that is there. `Ok(None)` of `read`
/// says that it could not be whole.
fn put_back(
    server: &Server,
    read: impl Fn() -> Result<Option<ReadBack>, String>,
) -> Result<(), String> {
    for _ in 0..TRIES {
        if let Some(ReadBack { engine, at, expired }) = read()? {
            match server.set.reload_with(engine, at, clock::wall_now()) {
                Reloaded::Done => {
                    log::info!("event=reloaded position={at}");
                    return Ok(());
                }
                Reloaded::Overtaken => {}
                // What has expired and is still there is not in a file.
                Reloaded::Differs if expired != 0 => {}
                Reloaded::Differs => {
                    return Err(
                        "ERR what was loaded is not what was saved; nothing has changed".to_owned()
                    );
                }
            }
        }
        tasks::rest(REST);
    }
    Err("ERR writes came all the time: nothing was loaded".to_owned())
}

fn through_snapshot(server: &Server) -> Result<Option<ReadBack>, String> {
    let told = |it| format!("ERR Error trying to load the RDB: {it}");
    let cut = Cut::of(&server.set, None);
    let mut loader = Loader::new(server.set.new_engine(), clock::wall_now());
    loop {
        match cut.next() {
            Ok(Some(piece)) => drop(loader.feed(&piece).map_err(told)?),
            Ok(None) => break,
            Err(_) => return Ok(None),
        }
    }
    let file = loader.finish().map_err(told)?;
    Ok(Some(ReadBack { engine: file.engine, at: cut.at(), expired: file.expired }))
}

/// As its files are now. Somebody may be writing the last of them, or another generation of all.
fn through_aof(
    server: &Server,
    disk: &dyn Disk,
    names: &AofNames,
    dir: &str,
) -> Result<Option<ReadBack>, String> {
    let told = |it: String| format!("ERR Error trying to load the AOF files: {it}");
    let manifest = read_text(disk, &format!("{dir}/{}", names.manifest()));
    let manifest = manifest.map_err(|it| told(it.to_string()))?.unwrap_or_default();
    let manifest = Manifest::parse(&manifest).map_err(|it| told(it.to_string()))?;
    let mut replay = Replay::new(server.set.new_engine(), clock::wall_now(), 0);
    for part in manifest.parts() {
        let Ok(mut file) = disk.open(&format!("{dir}/{}", part.name)) else { return Ok(None) };
        replay.begin_file();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer).map_err(|it| told(it.to_string()))? {
                0 => break,
                count => replay.feed(&buffer[..count]).map_err(|it| told(it.to_string()))?,
            }
        }
        if !matches!(replay.end_file().map_err(|it| told(it.to_string()))?, AofEnd::Whole) {
            return Ok(None);
        }
    }
    let replayed = replay.finish();
    let expired = replayed.keys.1;
    Ok(replayed.position.map(|at| ReadBack { engine: replayed.engine, at, expired }))
}
