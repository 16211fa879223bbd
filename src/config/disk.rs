//! What is written to disk, and when: the settings of the append-only file and of snapshots.

use std::time::Duration;

/// What is written to disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The directory; empty for none: then nothing is written.
    pub dir: String,
    /// Whether there is an append-only file.
    pub appendonly: bool,
    /// When it is on disk.
    pub fsync: Fsync,
    /// Its directory, within `dir`.
    pub aof_dir: String,
    /// What the names of its parts begin with.
    pub aof_name: String,
    /// Whether it says when its commands were written.
    pub timestamps: bool,
    /// Whether it is loaded when its end is missing.
    pub loads_truncated: bool,
    /// It is rewritten when it has grown by so many percent since the last time; 0 for never.
    pub rewrite_percentage: usize,
    /// It is not rewritten while it has fewer bytes.
    pub rewrite_bytes_min: usize,
    /// The name of the snapshot.
    pub dbfilename: String,
    /// When snapshots are made.
    pub save: SavePoints,
    /// Whether writes are refused after a snapshot that could not be made.
    pub stops_writes: bool,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk {
            dir: String::new(),
            appendonly: false,
            fsync: Fsync::default(),
            aof_dir: "appendonlydir".to_owned(),
            aof_name: "appendonly.aof".to_owned(),
            timestamps: false,
            loads_truncated: true,
            rewrite_percentage: 100,
            rewrite_bytes_min: 64 << 20,
            dbfilename: "dump.rdb".to_owned(),
            save: SavePoints::default(),
            stops_writes: true,
        }
    }
}

impl Disk {
    /// Whether there is an append-only file.
    pub fn has_aof(&self) -> bool {
        self.appendonly && !self.dir.is_empty()
    }

    /// Whether a reply to a write waits until the write is on disk.
    pub fn syncs_always(&self) -> bool {
        self.has_aof() && self.fsync == Fsync::Always
    }
}

/// When the append-only file is on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fsync {
    /// Before a write is answered.
    Always,
    /// A second later at most.
    #[default]
    Everysec,
    /// When the system likes.
    No,
}

impl Fsync {
    /// All of them with Redis' names.
    pub const ALL: [(Fsync, &str); 3] =
        [(Fsync::Always, "always"), (Fsync::Everysec, "everysec"), (Fsync::No, "no")];

    /// Redis' name.
    pub fn as_str(self) -> &'static str {
        Fsync::ALL[self as usize].1
    }
}

/// When snapshots are made: each after so long, if there were so many changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SavePoints(Vec<(u64, u64)>);

impl SavePoints {
    /// What a file may say here.
    pub const ACCEPTED: &str = "pairs of seconds and changes, like \"3600 1 300 100\", or \"\"";

    /// Reads pairs of seconds and changes.
    pub fn parse(text: &str) -> Option<SavePoints> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if !words.len().is_multiple_of(2) {
            return None;
        }
        let pair = |it: &[&str]| {
            let seconds = it[0].parse().ok().filter(|it| 1 <= *it)?;
            Some((seconds, it[1].parse().ok()?))
        };
        words.chunks(2).map(pair).collect::<Option<Vec<_>>>().map(SavePoints)
    }

    /// As CONFIG GET shows them.
    pub fn show(&self) -> String {
        let pairs = self.0.iter().map(|(seconds, changes)| format!("{seconds} {changes}"));
        pairs.collect::<Vec<_>>().join(" ")
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that asks for a snapshot after so many changes in so long.
    pub fn due(&self, changes: u64, since: Duration) -> Option<(u64, u64)> {
        let is_due = |it: &&(u64, u64)| it.1 <= changes && it.0 < since.as_secs();
        self.0.iter().find(is_due).copied().filter(|_| 0 < changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_once_its_time_and_its_changes_have_come() {
        let points = SavePoints::parse(" 3600 1  300 100 ").unwrap();
        assert_eq!(points.show(), "3600 1 300 100");
        let due = |changes, seconds| points.due(changes, Duration::from_secs(seconds));
        assert_eq!((due(99, 301), due(100, 300)), (None, None));
        assert_eq!((due(100, 301), due(1, 3601)), (Some((300, 100)), Some((3600, 1))));
        assert_eq!(due(0, 9999), None);
        assert!(SavePoints::parse("").unwrap().is_empty());
        for wrong in ["1", "0 1", "a 1", "1 -1", "1 1 1"] {
            assert_eq!(SavePoints::parse(wrong), None, "{wrong}");
        }
    }
}
