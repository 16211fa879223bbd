//! Servers under test: they start on a free port, answer PING, and end with this value.

use super::on_disk::own_dir;
use super::patience::{until, within};
use super::socket::Address;
use super::wire::Wire;
use std::collections::BTreeSet;
use std::env;
use std::ffi::{c_int, c_ulong};
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// Held while a process is being started. Whoever holds it knows that no half-started process has
/// copies of this one's descriptors.
pub fn starting() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

const STARTUP: Duration = Duration::from_secs(20);
const SHUTDOWN: Duration = Duration::from_secs(5);
/// Another process may take the free port between finding and using it.
const PORTS_TRIED_MAX: u32 = 5;
const PR_SET_PDEATHSIG: c_int = 1;
const SIGKILL: c_ulong = 9;
const SIGTERM: c_int = 15;
const SIGHUP: c_int = 1;
const SIGSTOP: c_int = 19;
const SIGCONT: c_int = 18;

unsafe extern "C" {
    fn prctl(option: c_int, ...) -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
}

/// A running server in a directory of its own.
pub struct Server {
    child: Child,
    port: u16,
    dir: TempDir,
    name: String,
    may_disconnect: AtomicBool,
}

impl Server {
    /// A redis-server without persistence.
    pub fn redis(extra: &[&str]) -> Server {
        start(&redis_line(), extra)
    }

    /// A Redis at this port.
    pub fn redis_at(port: u16, extra: &[&str]) -> Server {
        let line = redis_line();
        let started = try_start_at(port, &line, extra, |_, _| Ok(()));
        started.unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    /// A valkey-server without persistence, unless there is none here: `VALKEY_SERVER` names it.
    pub fn valkey() -> Option<Server> {
        Server::valkey_with(&[])
    }

    /// The same, with these flags.
    pub fn valkey_with(extra: &[&str]) -> Option<Server> {
        let binary = env::var("VALKEY_SERVER").unwrap_or_else(|_| "valkey-server".into());
        Command::new(&binary).arg("--version").stdout(Stdio::null()).status().ok()?;
        let line = format!("{binary} --port {{port}} --bind 127.0.0.1 --save '' --appendonly no");
        Some(start(&line, extra))
    }

    /// A Redis Sentinel with this configuration; `{port}` in its text becomes its port.
    pub fn sentinel(text: &str) -> Server {
        let binary = env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
        let line = format!("{binary} {SENTINEL} --sentinel");
        start_in(&line, &[], |dir, port| {
            fs::write(dir.join(SENTINEL), text.replace("{port}", &port.to_string()))
        })
    }

    /// Our server: a master and two replicas unless `extra` says otherwise.
    ///
    /// `ENTOURAGE_BIN` names another binary, or, if it has `{port}` in it, a whole command line
    /// that stands in, so that the tests themselves can be tried against a real Redis.
    pub fn entourage(extra: &[&str]) -> Server {
        let (line, flags) = our_line();
        start(&line, if flags { extra } else { &[] })
    }

    /// Any server; `{port}` in its command line becomes its port.
    pub fn of(line: &str) -> Server {
        start(line, &[])
    }

    /// Any server that answers at this port.
    pub fn of_at(port: u16, line: &str) -> Server {
        let started = try_start_at(port, line, &[], |_, _| Ok(()));
        started.unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    /// As [`Server::entourage`], at a port that another has had.
    pub fn entourage_at(port: u16) -> Server {
        let (line, _) = our_line();
        let started = try_start_at(port, &line, &[], |_, _| Ok(()));
        started.unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    /// Our server with a config file; `{port}` in its text becomes the port.
    pub fn entourage_with_config(text: &str) -> Server {
        Server::entourage_with_config_and(text, &["--loglevel", "warn"])
    }

    /// The same, with these flags.
    pub fn entourage_with_config_and(text: &str, flags: &[&str]) -> Server {
        let line = format!("{} serve --config {CONFIG}", our_binary());
        start_in(&line, flags, |dir, port| write_config(dir, text, port))
    }

    /// The same, with these variables (`NAME=value`) in its environment.
    pub fn entourage_with_config_under(text: &str, variables: &[String]) -> Server {
        let variables = variables.join(" ");
        let line = format!("env {variables} {} serve --config {CONFIG}", our_binary());
        start_in(&line, &[], |dir, port| write_config(dir, text, port))
    }

    /// As [`Server::entourage_with_config`], at a port that another has had.
    pub fn entourage_with_config_at(port: u16, text: &str) -> Server {
        let line = format!("{} serve --config {CONFIG}", our_binary());
        let started = try_start_at(port, &line, &[], |dir, port| write_config(dir, text, port));
        started.unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    /// One redis-server and one of ours, each at a port and at a unix socket.
    pub fn both() -> [Server; 2] {
        let redis = Server::redis(&["--unixsocket", SOCKET]);
        [redis, Server::entourage(&["--unix", SOCKET])]
    }

    /// One redis-server and one of ours, each under these words of `ulimit -n`.
    pub fn both_with_open_files(ulimit: &str) -> [Server; 2] {
        [redis_line(), our_line().0].map(|line| {
            let script = format!("ulimit {ulimit}\nexec \"$@\"\n");
            start_in(&format!("sh {LIMITED} {line}"), &[], |dir, _| {
                fs::write(dir.join(LIMITED), &script)
            })
        })
    }

    /// Its port, and its unix socket if it was started with one that is called [`SOCKET`].
    pub fn addresses(&self) -> Vec<Address> {
        let socket = self.dir().join(SOCKET);
        let unix = socket.exists().then_some(Address::Unix(socket));
        [Address::Tcp(self.port)].into_iter().chain(unix).collect()
    }

    /// Its program, without the path.
    pub fn program(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory in which it runs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the config file anew.
    pub fn write_config(&self, text: &str) {
        write_config(self.dir(), text, self.port).expect("its directory is ours");
    }

    /// Sends it SIGHUP.
    pub fn hang_up(&self) {
        // SAFETY: one system call on a child that has not been waited for.
        unsafe { kill(self.child.id() as c_int, SIGHUP) };
    }

    /// Stops its process where it is: it takes connections and answers nothing.
    pub fn freeze(&self) {
        // SAFETY: one system call on a child that has not been waited for.
        unsafe { kill(self.child.id() as c_int, SIGSTOP) };
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        // SAFETY: one system call on a child that has not been waited for.
        unsafe { kill(self.child.id() as c_int, SIGCONT) };
    }

    /// Whether a real Redis stands in for our server.
    pub fn is_stand_in() -> bool {
        env::var("ENTOURAGE_BIN").is_ok_and(|it| it.contains("{port}"))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new connection.
    pub fn dial(&self) -> Wire {
        Wire::dial(self.port).unwrap_or_else(|it| panic!("{} does not accept: {it}", self.name))
    }

    /// This test pauses a replica for so long that it is disconnected.
    pub fn disconnects_replicas(&self) {
        self.may_disconnect.store(true, Ordering::Relaxed);
    }

    /// A replica that was disconnected though nobody had paused it, and no verb panicked in it.
    fn disconnected(&self, said: &str) -> Option<String> {
        let is_one = |it: &&str| {
            it.contains("event=replica-disconnected") && !it.contains("why=quarantined")
        };
        let may_be = self.may_disconnect.load(Ordering::Relaxed);
        said.lines().find(is_one).filter(|_| !may_be).map(str::to_owned)
    }

    /// What it has written to stderr and stdout.
    pub fn said(&self) -> String {
        fs::read_to_string(self.dir().join("said")).unwrap_or_default()
    }

    /// Ends it at once, as a crash would.
    pub fn crash(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it SIGTERM.
    pub fn terminate(&self) {
        // SAFETY: one system call on a child that has not been waited for.
        unsafe { kill(self.child.id() as c_int, SIGTERM) };
    }

    /// Waits until it has ended by itself; answers how it did.
    pub fn until_ended(mut self) -> ExitStatus {
        until("the server to end", || self.child.try_wait().expect("it is our child"))
    }

    /// Asks it to end; answers how it did.
    pub fn stop(mut self) -> ExitStatus {
        self.end().expect("it ends when asked")
    }

    fn end(&mut self) -> Option<ExitStatus> {
        self.terminate();
        within(SHUTDOWN, || self.child.try_wait().ok().flatten())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        if !matches!(self.child.try_wait(), Ok(Some(_))) && self.end().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let said = self.said();
        if std::thread::panicking() && !said.is_empty() {
            let tail: Vec<&str> = said.lines().rev().take(20).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            eprintln!("--- {} said:\n{tail}", self.name);
        }
        if let Some(line) = self.disconnected(&said).filter(|_| !std::thread::panicking()) {
            panic!("a replica was disconnected that nobody paused: {line}");
        }
    }
}

/// Numbers of workers with which every promise must hold.
pub const WORKERS: [&str; 3] = ["1", "2", "4"];
/// The name of a unix socket, in the directory in which the server runs.
pub const SOCKET: &str = "socket";
/// The name of a config file there.
pub const CONFIG: &str = "entourage.toml";

fn write_config(dir: &Path, text: &str, port: u16) -> io::Result<()> {
    fs::write(dir.join(CONFIG), text.replace("{port}", &port.to_string()))
}

/// The name of a Sentinel's configuration.
const SENTINEL: &str = "sentinel.conf";
/// The name of a script that runs its arguments under a limit.
const LIMITED: &str = "limited.sh";

fn redis_line() -> String {
    let binary = env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
    format!(
        "{binary} --port {{port}} --bind 127.0.0.1 --save '' --appendonly no \
         --repl-diskless-sync no --shutdown-timeout 0"
    )
}

/// How ours is started, and whether it takes our flags.
fn our_line() -> (String, bool) {
    match env::var("ENTOURAGE_BIN") {
        Ok(line) if line.contains("{port}") => (line, false),
        _ => (format!("{} {SERVE}", our_binary()), true),
    }
}

/// Where only ours will do, no command line stands in for it.
fn our_binary() -> String {
    let named = env::var("ENTOURAGE_BIN").ok().filter(|it| !it.contains("{port}"));
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_entourage").to_owned())
}

const SERVE: &str = "serve --bind 127.0.0.1:{port} --loglevel warn";

fn start(line: &str, extra: &[&str]) -> Server {
    start_in(line, extra, |_, _| Ok(()))
}

fn start_in(line: &str, extra: &[&str], prepare: impl Fn(&Path, u16) -> io::Result<()>) -> Server {
    let mut why = String::new();
    for _ in 0..PORTS_TRIED_MAX {
        match try_start(line, extra, &prepare) {
            Ok(server) => return server,
            Err(it) => why = it,
        }
    }
    panic!("{line}: {why}");
}

fn try_start(
    line: &str,
    extra: &[&str],
    prepare: impl Fn(&Path, u16) -> io::Result<()>,
) -> Result<Server, String> {
    let port = free_port().map_err(|it| it.to_string())?;
    try_start_at(port, line, extra, prepare)
}

fn try_start_at(
    port: u16,
    line: &str,
    extra: &[&str],
    prepare: impl Fn(&Path, u16) -> io::Result<()>,
) -> Result<Server, String> {
    let dir = own_dir("server").map_err(|it| it.to_string())?;
    prepare(dir.path(), port).map_err(|it| it.to_string())?;
    let line = line.replace("{port}", &port.to_string());
    let mut parts = line.split_whitespace().map(|it| it.trim_matches('\''));
    let name = parts.next().ok_or("an empty command line")?.to_owned();
    let said = File::create(dir.path().join("said")).map_err(|it| it.to_string())?;
    let mut command = Command::new(&name);
    command.args(parts).args(extra).current_dir(&dir).stdin(Stdio::null());
    command.stdout(said.try_clone().map_err(|it| it.to_string())?).stderr(said);
    die_with_us(&mut command);
    let started = {
        let _alone = starting();
        command.spawn()
    };
    let child = started.map_err(|it| format!("{name}: {it}"))?;
    let may_disconnect = AtomicBool::new(false);
    let mut server = Server { child, port, dir, name, may_disconnect };
    wait_until_up(&mut server).map(|()| server)
}

fn wait_until_up(server: &mut Server) -> Result<(), String> {
    let up = within(STARTUP, || match server.child.try_wait() {
        Ok(Some(status)) => Some(Err(format!("it ended with {status}"))),
        _ => match Wire::dial(server.port).ok()?.ask("PING").text()? {
            b"PONG" => Some(Ok(())),
            _ => None,
        },
    });
    let up = up.unwrap_or_else(|| Err("it does not answer PING".into()));
    up.map_err(|why| format!("{why}; it said: {}", server.said()))
}

/// A port that nobody listens on, and that nobody of this process has been given before: the system
/// may name one twice before it is used, and then two tests would talk to one server.
pub fn free_port() -> io::Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
}

/// Drop does not run when the test itself is killed; this covers that.
fn die_with_us(command: &mut Command) {
    // SAFETY: prctl is one system call: no allocation, no lock, sound between fork and exec.
    unsafe {
        command.pre_exec(|| match prctl(PR_SET_PDEATHSIG, SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}
