//! A disk that keeps only what was synced: what a crash of the machine leaves behind.
//!
//! Of a file that stays its synced bytes, and some of those behind them, torn anywhere. Of changes
//! of names that were not synced the first few have happened. A sync that fails has lost what it
//! was to keep, whatever a later one says.

use super::{Disk, DiskFile};
use crate::base::random::Random;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::Arc;

/// A simulated disk; clones are the same one.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    /// What a crash finds, and the changes since.
    kept_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    random: Random,
    failing_syncs: u32,
    bytes_max: usize,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    /// The bytes as a crash finds them, at least.
    kept: Vec<u8>,
    /// Bytes that a failed sync has lost: they are never kept.
    lost: Vec<std::ops::Range<usize>>,
}

enum Change {
    Put(String, usize),
    Gone(String),
    Renamed(String, String, usize),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Change::Put(name, file) => {
                names.insert(name.clone(), *file);
            }
            Change::Gone(name) => {
                names.remove(name);
            }
            Change::Renamed(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }
}

impl SimulatedDisk {
    /// An empty one.
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            kept_names: BTreeMap::new(),
            changes: Vec::new(),
            random: Random::new(seed),
            failing_syncs: 0,
            bytes_max: usize::MAX,
        })))
    }

    /// The next syncs of files fail, so many.
    pub fn fail_syncs(&self, count: u32) {
        self.0.lock().failing_syncs = count;
    }

    /// No more bytes fit on it than this.
    pub fn hold(&self, bytes_max: usize) {
        self.0.lock().bytes_max = bytes_max;
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> usize {
        self.0.lock().used()
    }

    /// The machine crashes, and comes back.
    pub fn crash(&self) {
        let mut state = self.0.lock();
        let State { files, kept_names, changes, random, .. } = &mut *state;
        let happened = random.below(changes.len() as u64 + 1) as usize;
        changes.drain(..).take(happened).for_each(|it| it.apply(kept_names));
        for file in files.iter_mut() {
            file.tear(random);
        }
        state.names = state.kept_names.clone();
        state.failing_syncs = 0;
        state.bytes_max = usize::MAX;
    }
}

impl State {
    fn used(&self) -> usize {
        self.names.values().map(|it| self.files[*it].bytes.len()).sum()
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        let fails = self.failing_syncs != 0;
        self.failing_syncs = self.failing_syncs.saturating_sub(1);
        let file = &mut self.files[file];
        if fails {
            file.lost.push(file.kept.len()..file.bytes.len());
            return Err(io::Error::other("the disk has failed"));
        }
        file.kept = file.bytes.clone();
        for lost in file.lost.clone() {
            file.kept.get_mut(lost).unwrap_or_default().fill(0);
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Content {
    fn tear(&mut self, random: &mut Random) {
        let unsynced = self.bytes.len().saturating_sub(self.kept.len()) as u64;
        let len = self.kept.len() + random.below(unsynced + 1) as usize;
        let mut torn = self.bytes[..len].to_vec();
        let kept = self.kept.len().min(torn.len());
        torn[..kept].copy_from_slice(&self.kept[..kept]);
        for lost in &self.lost {
            torn.get_mut(lost.clone()).unwrap_or_default().fill(0);
        }
        // The last block may have had its place and not its bytes.
        if unsynced != 0 && random.below(4) == 0 {
            torn.extend([0; 100]);
        }
        self.bytes = torn.clone();
        self.kept = torn;
        self.lost.clear();
    }
}

struct Open(SimulatedDisk, usize);

impl DiskFile for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.0.lock();
        let room = state.bytes_max.saturating_sub(state.used());
        let fits = &bytes[..bytes.len().min(room)];
        state.files[self.1].bytes.extend_from_slice(fits);
        if fits.len() < bytes.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.0.lock().sync(self.1)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.0.0.lock();
        let file = &mut state.files[self.1];
        file.bytes.truncate(len as usize);
        file.kept.truncate(len as usize);
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        let file = state.files.len();
        state.files.push(Content::default());
        state.change(Change::Put(name.to_owned(), file));
        Ok(Box::new(Open(self.clone(), file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let state = self.0.lock();
        Ok(Box::new(Cursor::new(state.files[state.find(name)?].bytes.clone())))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let state = self.0.lock();
        Ok(state.files[state.find(name)?].bytes.len() as u64)
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.find(name)?;
        state.files[file].bytes.truncate(len as usize);
        state.files[file].kept = state.files[file].bytes.clone();
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.find(name)?;
        state.sync(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.find(from)?;
        state.change(Change::Renamed(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.find(name)?;
        state.change(Change::Gone(name.to_owned()));
        Ok(())
    }

    fn make_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let within = format!("{dir}/");
        let name = |it: &String| match dir {
            "." => (!it.contains('/')).then(|| it.clone()),
            _ => it.strip_prefix(&within).map(str::to_owned),
        };
        Ok(state.names.keys().filter_map(name).collect())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let State { kept_names, changes, .. } = &mut *state;
        changes.drain(..).for_each(|it| it.apply(kept_names));
        Ok(())
    }
}
