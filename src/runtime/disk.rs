//! Files in one directory, behind a trait: so that one that loses what was not synced, or fails,
//! can stand in for it.

#[cfg(test)]
pub mod simulated;

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A directory. Names are relative to it, and may lead into directories within it.
pub trait Disk: Send + Sync {
    /// A new file of this name, without bytes; one that is there loses its own.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// The bytes of a file.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;
    /// The last of them, at most so many.
    fn read_end(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut file = self.open(name)?;
        io::copy(&mut file.by_ref().take(self.len(name)?.saturating_sub(most)), &mut io::sink())?;
        let mut last = Vec::new();
        file.read_to_end(&mut last)?;
        Ok(last)
    }
    /// How many they are.
    fn len(&self, name: &str) -> io::Result<u64>;
    /// Cuts off all behind the first `len` of them, for good.
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;
    /// Lets what is in a file outlive a crash of the machine, whoever wrote it.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Gives a file another name, and takes the name from who has it. Not for good before
    /// [`Disk::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes a directory, if there is none of the name.
    fn make_dir(&self, name: &str) -> io::Result<()>;
    /// The names in a directory; none when it is not there.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Lets another process have the directory. What is written by this one from here on would harm
    /// that one.
    fn release(&self) {}
    /// Lets the names in a directory outlive a crash of the machine.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
}

/// A file that is written from its beginning to its end.
pub trait DiskFile: Send {
    /// Appends all of these bytes, or fails: then some of them may be there.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Lets all that was written outlive a crash of the machine. After a failure nothing that was
    /// written since the last success can be trusted, whatever is said later.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off all behind the first `len` bytes, where writing goes on.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// The real one. Nobody else has it while this value lives.
pub struct RealDisk {
    dir: PathBuf,
    lock: Option<File>,
}

/// The file that is locked.
const LOCK: &str = ".entourage.lock";
/// Only the owner may read what is written.
const PRIVATE: u32 = 0o600;

impl RealDisk {
    /// Takes a directory, unless another process has it. Says why, and what to do.
    pub fn take(dir: &str) -> Result<RealDisk, String> {
        let dir = Path::new(dir);
        let shown = dir.display();
        let told = |what: &str, why: io::Error| format!("set.dir = {shown}: {what}: {why}");
        let path = fs::canonicalize(dir)
            .map_err(|why| told("it cannot be used; make it, or name another", why))?;
        let lock = path.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).mode(PRIVATE).open(&lock);
        let lock = lock.map_err(|why| told("nothing can be written in it", why))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(RealDisk { dir: path, lock: Some(lock) }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(format!(
                "set.dir = {shown}: another process uses it; end that, or name another directory"
            )),
            Err(why) => Err(told("it cannot be locked", why.into())),
        }
    }

    /// A directory for who only looks, or has asked [`RealDisk::is_in_use`].
    pub fn without_lock(dir: &Path) -> io::Result<RealDisk> {
        Ok(RealDisk { dir: fs::canonicalize(dir)?, lock: None })
    }

    /// Whether another process has the directory.
    pub fn is_in_use(dir: &Path) -> bool {
        let lock = OpenOptions::new().append(true).open(dir.join(LOCK));
        lock.is_ok_and(|it| flock(&it, FlockOperation::NonBlockingLockExclusive).is_err())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Disk for RealDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o644);
        Ok(Box::new(file.open(self.path(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.path(name))?))
    }

    fn read_end(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(name))?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(most)))?;
        let mut last = Vec::new();
        file.read_to_end(&mut last)?;
        Ok(last)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(name))?.len())
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(name))?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn release(&self) {
        if let Some(lock) = &self.lock {
            // One that cannot be let go is let go when the process ends.
            let _ = flock(lock, FlockOperation::Unlock);
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn make_dir(&self, name: &str) -> io::Result<()> {
        match fs::create_dir(self.path(name)) {
            Err(why) if why.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(why) => Err(why),
            Ok(()) => self.sync_dir("."),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let name = |it: io::Result<fs::DirEntry>| {
            it.map(|it| it.file_name().to_string_lossy().into_owned())
        };
        entries.map(name).collect()
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.path(dir))?.sync_all()
    }
}

impl DiskFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }
}

/// Reads a whole small file as text; `None` when there is none.
pub fn read_text(disk: &dyn Disk, name: &str) -> io::Result<Option<String>> {
    let mut file = match disk.open(name) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Puts a text in the place of a file, so that after a crash there is the old one or the new one.
/// `temporary` is a name in the same directory.
pub fn put_text(
    disk: &dyn Disk,
    dir: &str,
    name: &str,
    temporary: &str,
    text: &str,
) -> io::Result<()> {
    let mut file = disk.create(temporary)?;
    file.write(text.as_bytes())?;
    file.sync()?;
    disk.rename(temporary, name)?;
    disk.sync_dir(dir)
}
