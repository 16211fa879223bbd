//! A directory with its files: taken at the start, looked through, and its manifest kept.

use crate::config;
use crate::persist::{AofNames, Found, Manifest, Part, Plan, plan};
use crate::runtime::disk::{Disk, RealDisk, put_text, read_text};
use std::io;
use std::sync::Arc;

/// A directory that is ours.
pub struct Store {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The names of the append-only file's parts.
    pub names: AofNames,
    /// Their directory.
    pub dir: String,
    /// Its parts, as the file says.
    pub manifest: Manifest,
    /// What is loaded at the start.
    pub plan: Plan,
    /// The numbers of the next generation: none is used twice, whatever became of it.
    next: (u64, u64),
}

impl Store {
    /// Takes the directory of these settings, and looks through it; `None` when they name none.
    /// `Err` says what is in the way, and what to do.
    pub fn open(settings: &config::Disk) -> Result<Option<Store>, String> {
        if settings.dir.is_empty() {
            return Ok(None);
        }
        Store::on(Arc::new(RealDisk::take(&settings.dir)?), settings).map(Some)
    }

    /// The same, of this disk.
    pub fn on(disk: Arc<dyn Disk>, settings: &config::Disk) -> Result<Store, String> {
        let (names, dir) = (AofNames::new(&settings.aof_name), settings.aof_dir.clone());
        let told = |why: io::Error| format!("set.dir = {}: {why}", settings.dir);
        let beside = disk.list(&dir).map_err(told)?;
        let above = disk.list(".").map_err(told)?;
        let manifest = format!("{dir}/{}", names.manifest());
        let manifest = read_text(&*disk, &manifest)
            .map_err(|why| format!("{}/{manifest}: {why}", settings.dir))?;
        let has = |name: &str| above.iter().any(|it| it == name);
        let found = Found {
            manifest,
            beside: beside.clone(),
            has_single_aof: has(names.single()),
            has_snapshot: has(&settings.dbfilename),
        };
        let plan = plan(&found, &names, settings.appendonly);
        let plan = plan.map_err(|why| format!("{}/{dir}/{why}", settings.dir))?;
        // What is there of an append-only file that is not kept is not in the way of a new one.
        let text = found.manifest.as_deref().unwrap_or_default();
        let manifest = Manifest::parse(text).unwrap_or_default();
        if !settings.appendonly && found.manifest.is_some() {
            log::warn!("event=aof-not-loaded why=set.appendonly is off");
        }
        let next = manifest.next_seqs();
        let next = above_all(next, &names, &beside);
        for name in beside.iter().filter(|it| names.is_temporary(it)) {
            log::info!("event=leftover-removed file={name}");
            let _ = disk.remove(&format!("{dir}/{name}"));
        }
        Ok(Store { disk, names, dir, manifest, plan, next })
    }

    /// The numbers of the next generation.
    pub fn take_seqs(&mut self) -> (u64, u64) {
        let taken = self.next;
        self.next = (taken.0 + 1, taken.1 + 1);
        taken
    }

    /// The path of a part.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// Writes another manifest, and keeps it once it is there for good.
    pub fn put_manifest(&mut self, manifest: Manifest) -> io::Result<()> {
        self.disk.make_dir(&self.dir)?;
        let name = self.names.manifest();
        let (temporary, path) = (self.path(&self.names.temporary(&name)), self.path(&name));
        put_text(&*self.disk, &self.dir, &path, &temporary, &manifest.text())?;
        self.manifest = manifest;
        Ok(())
    }

    /// Deletes what the manifest calls history. What cannot be deleted now is tried again later.
    pub fn delete_history(&mut self) -> io::Result<()> {
        if self.manifest.history.is_empty() {
            return Ok(());
        }
        for part in &self.manifest.history {
            match self.disk.remove(&self.path(&part.name)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => {}
            }
        }
        self.put_manifest(self.manifest.without_history())
    }

    /// Bytes of all parts.
    pub fn aof_bytes(&self) -> u64 {
        let len = |it: &Part| self.disk.len(&self.path(&it.name)).unwrap_or(0);
        self.manifest.parts().map(len).sum()
    }
}

/// Numbers that no file has, though no manifest names it.
fn above_all(next: (u64, u64), names: &AofNames, beside: &[String]) -> (u64, u64) {
    let (mut base, mut incr) = next;
    while beside.iter().any(|it| *it == names.base(base).name || *it == names.incr(incr).name) {
        (base, incr) = (base + 1, incr + 1);
    }
    (base, incr)
}
