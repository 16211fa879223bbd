//! DEBUG RELOAD: the data goes through the form it has in files, and comes back.

use super::save_now;
use super::snapshot_file::Cut;
use crate::engine::rdb::Loader;
use crate::node::Reloaded;
use crate::runtime::clock;
use crate::state::Server;

/// How often it begins again when something was written meanwhile.
const TRIES: usize = 100;

/// Saves a snapshot, where there is a directory for it, and puts what a snapshot holds in the
/// place of the master's data. Takes as long as it takes: not for a worker.
pub fn reload(server: &Server) -> Result<(), String> {
    if server.disk().is_some() {
        save_now(server)?;
    }
    for _ in 0..TRIES {
        let cut = Cut::of(&server.set, None);
        let now = clock::wall_now();
        let mut loader = Loader::new(server.set.new_engine(), now);
        let mut is_whole = true;
        loop {
            match cut.next() {
                Ok(Some(piece)) => {
                    loader.feed(&piece).map_err(|it| format!("ERR Error trying to load: {it}"))?;
                }
                Ok(None) => break,
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
        if !is_whole {
            continue;
        }
        let file = loader.finish().map_err(|it| format!("ERR Error trying to load: {it}"))?;
        match server.set.reload_with(file.engine, cut.at(), now) {
            Reloaded::Done => {
                log::info!("event=reloaded keys={} position={}", file.keys, cut.at());
                return Ok(());
            }
            Reloaded::Overtaken => {}
            // What has expired and is still there is not in a file.
            Reloaded::Differs if file.expired != 0 => {}
            Reloaded::Differs => {
                return Err("ERR what was loaded is not what was saved; nothing has changed".into());
            }
        }
    }
    Err("ERR writes came all the time: nothing was loaded".to_owned())
}
