//! Files that go from one process to another, which takes its place and has the same data: the one
//! notes where they end, the other goes on there, and nothing is loaded.

use super::{Keeper, Parts};
use crate::base::position::Position;
use crate::persist::read_end_note;
use crate::runtime::{clock, tasks};
use crate::server::disk::store::Store;
use crate::state::Server;
use std::io;
use std::sync::Arc;

/// The note behind the end of a file is not longer.
const NOTE_BYTES_MAX: u64 = 128;

/// Keeps the files of a process whose place this one has taken, with its data, on a thread of its
/// own. Nothing is loaded, and the append-only file goes on where the other has ended it.
pub fn go_on(server: Arc<Server>, store: Store) -> io::Result<()> {
    server.put_disk(store.disk.clone());
    tasks::thread("entourage-disk", move || {
        let mut keeper = Keeper::new(server, store);
        keeper.go_on();
        keeper.run();
    })
}

impl Keeper {
    /// Goes on behind what another process has written. Where it has not said where that ends, or
    /// the stream is not kept from there on, another generation is made as soon as may be.
    fn go_on(&mut self) {
        let settings = self.settings();
        if !settings.has_aof() {
            // The other process would have made one at its end.
            self.server.persistence.ask(|it| it.save = !settings.save.is_empty());
            return;
        }
        let gone_on = match self.end_of_files() {
            Some(end) => self.go_on_with(Some(end)),
            None => Ok(false),
        };
        match gone_on {
            Ok(true) => log::info!("event=aof-goes-on"),
            Ok(false) => log::warn!("event=aof-begins-anew why=it does not say where it ends"),
            Err(why) => log::warn!("event=aof-begins-anew why={why}"),
        }
        self.say_who_writes(&settings, clock::mono_now());
    }

    /// Where the parts end, and which database is selected there, if the last one says so.
    fn end_of_files(&self) -> Option<(Position, Option<usize>)> {
        let last = self.store.manifest.parts().last()?;
        let bytes = self.store.disk.read_end(&self.store.path(&last.name), NOTE_BYTES_MAX);
        read_end_note(&bytes.ok()?)
    }

    /// Everything to the disk, with a note where it ends, and the directory to the process that
    /// waits for it. Nothing else is written there: `upgrade.rs` has seen to that.
    pub(super) fn hand_over(mut self) {
        if let Err(why) = self.finish_with_note() {
            log::error!("event=aof-write-failed why={why}");
        }
        // Nothing may come behind the note.
        *self.parts.lock() = Parts::default();
        self.store.disk.release();
        log::info!("event=directory-handed-over");
        self.server.persistence.finish();
    }

    fn finish_with_note(&mut self) -> io::Result<()> {
        self.finish_part(clock::mono_now())?;
        let mut parts = self.parts.lock();
        let Some(part) = &mut parts.current else { return Ok(()) };
        // The stream goes on meanwhile: what is noted is where the file ends.
        loop {
            part.take_all()?;
            let (head, db) = self.server.set.repeated_end();
            if part.taken() == head {
                part.note_end(db)?;
                return part.sync();
            }
        }
    }
}
