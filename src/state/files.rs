//! The server and its files.

use super::server::Server;
use crate::node::DiskTrouble;
use crate::runtime::clock;
use crate::runtime::disk::Disk;
use std::sync::Arc;

impl Server {
    /// The directory in which data is kept, if there is one.
    pub fn disk(&self) -> Option<Arc<dyn Disk>> {
        self.disk.get().cloned()
    }

    /// Data is kept there from here on.
    pub fn put_disk(&self, disk: Arc<dyn Disk>) {
        let _ = self.disk.set(disk);
    }

    /// Wakes whoever writes files.
    pub fn wake_disk(&self) {
        self.persistence.ask(|_| {});
        self.set.tell_file();
    }

    /// Changes since the start (Redis' `dirty`), at the master.
    pub fn changes(&self) -> u64 {
        self.set.master_counts(clock::wall_now()).changes
    }

    /// Looks again whether writes are to be refused.
    pub fn settle_disk_trouble(&self) {
        let settings = self.settings();
        let disk = &settings.set.disk;
        let trouble = {
            let status = self.persistence.status();
            let stops = disk.stops_writes && !disk.save.is_empty() && !status.save.is_ok;
            match status.aof.trouble {
                Some(_) if disk.has_aof() => Some(DiskTrouble::AppendOnlyFile),
                _ if stops => Some(DiskTrouble::Snapshot),
                _ => None,
            }
        };
        self.set.set_disk_trouble(trouble);
    }
}
