//! Directories with data in them, and servers that are started on them.

use super::clients::info_field;
use super::expect::starts;
use super::patience::until;
use super::servers::Server;
use super::wire::Wire;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A new directory that goes with this value. What a killed test of the same process id has left is
/// never taken for it.
pub fn own_dir(purpose: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(&format!("entourage-{purpose}-")).tempdir()
}

/// A directory that goes with the test.
pub struct Dir(TempDir);

impl Dir {
    /// An empty one.
    pub fn new() -> Dir {
        Dir(own_dir("disk").expect("a directory"))
    }

    /// Its path.
    pub fn path(&self) -> &str {
        self.0.path().to_str().expect("it is text")
    }

    /// A place in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file in it with this in it.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).expect("it is ours");
        path
    }

    /// Another with the same files.
    pub fn copy(&self) -> Dir {
        let copy = Dir::new();
        copy_all(self.0.path(), copy.0.path());
        copy
    }

    /// The names of the append-only file's parts, but for the manifest.
    pub fn parts(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.join("appendonlydir")).expect("it is there");
        let mut all: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
        all.retain(|it| !it.to_string_lossy().ends_with("manifest"));
        all.sort();
        all
    }

    /// The last part.
    pub fn incr(&self) -> PathBuf {
        let incr = |it: &PathBuf| it.to_string_lossy().ends_with("incr.aof");
        let mut all: Vec<PathBuf> = self.parts().into_iter().filter(incr).collect();
        all.sort_by_key(|it| {
            let name = it.file_name().map(|it| it.to_string_lossy().into_owned());
            let number = name.and_then(|it| it.split('.').nth(2)?.parse::<u64>().ok());
            number.expect("a number")
        });
        all.pop().expect("there is one")
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("it can be copied");
        }
    }
}

/// Ours on this directory, as its config file says it.
pub fn config(dir: &Dir, more: &str) -> String {
    format!(
        "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[server]\nenable-debug-command = \"yes\"\n\
         [set]\ndir = \"{}\"\n{more}\n",
        dir.path()
    )
}

/// An append-only file that is synced every second.
pub const AOF: &str = "appendonly = true";
/// One that is synced before each reply.
pub const ALWAYS: &str = "appendonly = true\nappendfsync = \"always\"";

/// Ours on this directory, once it has loaded what is there.
pub fn ours(dir: &Dir, more: &str) -> Server {
    let server = Server::entourage_with_config(&config(dir, more));
    until_loaded(&server);
    server
}

/// Waits until what is on disk is loaded.
pub fn until_loaded(server: &Server) {
    let mut wire = server.dial();
    until("data to be loaded", || (field(&mut wire, "loading") == "0").then_some(()));
}

/// A field of INFO persistence.
pub fn field(wire: &mut Wire, name: &str) -> String {
    info_field(wire, "persistence", name).unwrap_or_default()
}

/// Writes of many kinds, some of which the stream says in another way.
pub fn fill(wire: &mut Wire) {
    for command in [
        "SELECT 3",
        "SET three 3",
        "EXPIRE three 10000",
        "SELECT 0",
        "MULTI",
        "SET in:multi 1",
        "INCR in:multi",
        "EXEC",
        "SET gone 1",
        "DEL gone",
        "RPUSH list a b c",
        "LPOP list",
        "HSET hash f 1 g 2",
        "HINCRBYFLOAT hash f 0.5",
        "ZADD zset 1 a 2 b",
        "SADD set x y z",
        "SPOP set",
        "SETRANGE range 5 x",
    ] {
        let told = wire.ask(command);
        assert!(!told.is_error(), "{command}: {told}");
    }
}

/// Redis on a copy of this directory.
pub fn redis_on(dir: &Dir, extra: &[&str]) -> Server {
    let all = [&["--dir", dir.path(), "--enable-debug-command", "yes"], extra].concat();
    let server = Server::redis(&all);
    until_loaded(&server);
    server
}

/// The same of valkey, if there is one here.
pub fn valkey_on(dir: &Dir, extra: &[&str]) -> Option<Server> {
    let all = [&["--dir", dir.path(), "--enable-debug-command", "yes"], extra].concat();
    let server = Server::valkey_with(&all)?;
    until_loaded(&server);
    Some(server)
}

/// What is wrong with it, if anything.
fn complaint(program: &str, file: &Path) -> Option<String> {
    let output = Command::new(program).arg(file).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    (!output.status.success()).then(|| format!("{program} {}: {told}", file.display()))
}

fn check(program: &str, file: &Path) {
    assert_eq!(complaint(program, file), None);
}

/// Both checkers of Redis accept every file there is.
pub fn check_all(dir: &Dir) {
    check_all_but(dir, |_| false);
}

/// The same, after a process was killed. Linux ends a write of such a one after any page: then the
/// last part ends there, in the middle of what nobody was told of.
pub fn check_killed(dir: &Dir) {
    check_all_but(dir, |complaint| {
        let field = |name: &str| {
            let after = complaint.rsplit_once(name)?.1;
            let digits = after.find(|it: char| !it.is_ascii_digit()).unwrap_or(after.len());
            after[..digits].parse::<u64>().ok()
        };
        let torn = field("size=").zip(field("diff="));
        torn.is_some_and(|(size, torn)| size % PAGE_BYTES == 0 && torn < PAGE_BYTES)
    });
}

const PAGE_BYTES: u64 = 4096;

fn check_all_but(dir: &Dir, is_forgiven: impl Fn(&str) -> bool) {
    let manifest = dir.join("appendonlydir/appendonly.aof.manifest");
    if manifest.exists() {
        let complaint = complaint("redis-check-aof", &manifest);
        assert_eq!(complaint.filter(|it| !is_forgiven(it)), None);
    }
    if dir.join("dump.rdb").exists() {
        check("redis-check-rdb", &dir.join("dump.rdb"));
    }
    // What was being made is deleted at the next start.
    let is_base = |it: &PathBuf| {
        let name = it.to_string_lossy();
        name.ends_with(".rdb") && !name.contains("temp-")
    };
    let parts = if manifest.exists() { dir.parts() } else { Vec::new() };
    parts.iter().filter(|it| is_base(it)).for_each(|it| check("redis-check-rdb", it));
}

/// Rewrites the append-only file.
pub fn rewrite(wire: &mut Wire) {
    let before: u64 = field(wire, "aof_rewrites").parse().expect("a number");
    starts(&wire.ask("BGREWRITEAOF"), "Background append only file rewriting started");
    until("the rewrite", || {
        let done: u64 = field(wire, "aof_rewrites").parse().ok()?;
        (before < done && field(wire, "aof_rewrite_in_progress") == "0").then_some(())
    });
}

/// What ours says when it does not start.
pub fn refused(config: &str) -> String {
    let dir = Dir::new();
    let file = dir.join("entourage.toml");
    fs::write(&file, config.replace("{port}", "0")).expect("it is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
    let output = command.args(["serve", "--config"]).arg(&file).output().expect("it runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A small disk of its own, where the system lets us have one.
pub struct SmallDisk(pub Dir);

impl SmallDisk {
    /// One of 4 MB.
    pub fn new() -> Option<SmallDisk> {
        let dir = Dir::new();
        let mount = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", dir.path()];
        let is_mounted =
            Command::new("mount").args(mount).output().is_ok_and(|it| it.status.success());
        is_mounted.then(|| SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", self.0.path()]).output();
    }
}
