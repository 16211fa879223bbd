//! A disk that fails for real, under a server that does not know.

use super::on_disk::{Dir, config, until_loaded};
use super::servers::{Server, starting};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What fails.
#[derive(Clone, Copy)]
pub enum DiskFault {
    /// An fsync of any file: an error of the device.
    Sync,
    /// A write into any file: there is no room.
    Full,
}

/// Faults that can be switched on and off.
pub struct FaultyDisk {
    dir: Dir,
    library: PathBuf,
}

impl FaultyDisk {
    /// Without faults so far.
    pub fn new() -> FaultyDisk {
        let dir = Dir::new();
        let library = dir.join("faulty_disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/faulty_disk.c");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        let output = {
            let _alone = starting();
            command.output().expect("a C compiler: rustc needs one, too")
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        FaultyDisk { dir, library }
    }

    fn file(&self, fault: DiskFault) -> PathBuf {
        self.dir.join(match fault {
            DiskFault::Sync => "sync-fails",
            DiskFault::Full => "disk-is-full",
        })
    }

    /// Ours with such a disk, once it has loaded what is in the directory.
    pub fn ours(&self, dir: &Dir, more: &str) -> Server {
        let variable = |name: &str, it: &Path| format!("{name}={}", it.display());
        let variables = [
            variable("LD_PRELOAD", &self.library),
            variable("SYNC_FAILS", &self.file(DiskFault::Sync)),
            variable("DISK_IS_FULL", &self.file(DiskFault::Full)),
        ];
        let server = Server::entourage_with_config_under(&config(dir, more), &variables);
        until_loaded(&server);
        server
    }

    /// The fault is there from here on.
    pub fn begin(&self, fault: DiskFault) {
        fs::write(self.file(fault), "").expect("it is ours");
    }

    /// It is gone.
    pub fn end(&self, fault: DiskFault) {
        fs::remove_file(self.file(fault)).expect("it was there");
    }
}
