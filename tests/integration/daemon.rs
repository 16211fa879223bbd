//! What is expected of a daemon: its pid file, the modes of its sockets, what it writes of itself
//! for people and shells, and systemd's ways, spoken by the test or by systemd's own programs.

use crate::support::on_disk::{self, Dir};
use crate::support::process::Running;
use crate::support::servers::{SOCKET, free_port};
use crate::support::tls::until_said;
use crate::support::{Server, Socket, Wire, ok, python, starts, until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const NOTICE: [&str; 2] = ["--loglevel", "notice"];
/// What a program gets to run; `timeout` ends it.
const SECONDS_MAX: &str = "60";
const BINARY: &str = env!("CARGO_BIN_EXE_entourage");

fn run(words: &[&str]) -> Output {
    Command::new("timeout").arg(SECONDS_MAX).args(words).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ours(words: &[&str]) -> Output {
    run(&[&[BINARY], words].concat())
}

/// Whether there is a program to try it with.
fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let is_there = found.is_ok_and(|it| it.status.success());
    if !is_there {
        eprintln!("there is no {program} here");
    }
    is_there
}

#[test]
fn a_pid_file_lives_as_long_as_the_process() {
    let config = "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[server]\npidfile = \"pid\"\n";
    let server = Server::entourage_with_config(config);
    let path = server.dir().join("pid");
    let told = fs::read_to_string(&path).expect("it is there as soon as clients are served");
    assert_eq!(told, format!("{}\n", server.pid()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    let mut wire = server.dial();
    assert_eq!(wire.ask("CONFIG GET pidfile").list()[1].string(), "pid");
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    fs::hard_link(&path, &kept).expect("it is one file system");
    assert!(server.stop().success());
    assert_eq!(fs::metadata(&kept).unwrap().nlink(), 1, "it has gone");
    // One that cannot be written is told of at once.
    let dir = Dir::new();
    let file = dir.file("e.toml", "[server]\npidfile = \"/no/such/dir/pid\"\n");
    let output = ours(&["--config", file.to_str().unwrap(), "--port", "0"]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("cannot write server.pidfile"), "{said}");
}

#[test]
fn a_unix_socket_has_the_mode_that_is_written() {
    let redis = Server::redis(&["--unixsocket", SOCKET, "--unixsocketperm", "770"]);
    for (umask, mode) in [("000", 0o600), ("077", 0o770), ("022", 0o666)] {
        let dir = Dir::new();
        let config = format!(
            "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n\
             [[listener]]\nname = \"local\"\nunix = \"{SOCKET}\"\nunixsocketperm = \"{mode:o}\"\n"
        );
        let umasked = dir.file("umasked.sh", format!("umask {umask}\nexec \"$@\"\n"));
        let server = under(&umasked, &config);
        let path = server.dir().join(SOCKET);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        let socket = UnixStream::connect(&path).expect("it listens");
        let mut wire = Wire::over(Socket::Unix(socket));
        let told = wire.ask("CONFIG GET unixsocketperm").list()[1].string();
        assert_eq!(told, format!("{mode:o}"));
        starts(&wire.ask("CONFIG SET unixsocketperm 777"), "ERR");
        assert!(server.stop().success());
        assert!(!path.exists());
    }
    let told = redis.dial().ask("CONFIG GET unixsocketperm").list()[1].string();
    assert_eq!(told, "770", "as Redis shows it");
}

/// Ours, started by this shell script.
fn under(script: &Path, config: &str) -> Server {
    let port = free_port().expect("a port");
    let dir = script.parent().expect("it is in one");
    let file = dir.join("e.toml");
    fs::write(&file, config.replace("{port}", &port.to_string())).expect("it is ours");
    let (script, file) = (script.display(), file.display());
    Server::of_at(port, &format!("sh {script} {BINARY} serve --config {file}"))
}

#[test]
fn what_is_in_force_is_printed_without_secrets() {
    let dir = Dir::new();
    let file = dir.file(
        "e.toml",
        "[[listener]]\nname = \"door\"\nbind = \"127.0.0.1:7\"\n\
         [server]\nrequirepass = \"s3cret\"\nmaxclients = 50\n[set]\nreplicas = 1\n\
         [[route]]\nname = \"r\"\nkeys = \"a:*\"\nlevel = \"master\"\n",
    );
    let file = file.to_str().unwrap();
    let flags = ["serve", "--config", file, "--print-config", "--replicas", "3", "--port", "8"];
    let output = ours(&flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for line in [
        "name = \"door\"",
        "bind = \"127.0.0.1:8\"",
        "replicas = 3",
        "maxclients = 50",
        "keys = [\"a:*\"]",
        "loglevel = \"notice\"",
    ] {
        assert!(printed.lines().any(|it| it == line), "{line}: {printed}");
    }
    assert!(!printed.contains("s3cret"), "{printed}");
    let again = dir.file("again.toml", &printed);
    let output = ours(&["check", "--strict", again.to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let output = ours(&["--print-config", "--replicas", "x"]);
    assert_eq!(output.status.code(), Some(2), "what is wrong is told as ever");
}

#[test]
fn shells_complete_the_command_line() {
    let dir = Dir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = ours(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("entourage"), "{shell}");
    }
    assert_eq!(ours(&["completions", "csh"]).status.code(), Some(2));
    let file = dir.file("completions", ours(&["completions", "bash"]).stdout);
    let completed = |words: &str| {
        let script = format!(
            "source {} && complete -p entourage >/dev/null && COMP_WORDS=({words}) && \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) && \
             _entourage entourage \"${{COMP_WORDS[COMP_CWORD]}}\" && echo \"${{COMPREPLY[*]}}\"",
            file.display()
        );
        text(&run(&["bash", "-c", &script]).stdout)
    };
    assert_eq!(completed("entourage che"), "check check-aof\n");
    assert_eq!(completed("entourage serve --print"), "--print-config\n");
    if has("zsh") {
        let file = dir.file("_entourage", ours(&["completions", "zsh"]).stdout);
        assert!(run(&["zsh", "-n", file.to_str().unwrap()]).status.success());
    }
}

#[test]
fn manual_pages_are_sound() {
    let dir = Dir::new();
    for (words, told) in [
        (&["man"][..], vec!["NAME", "SYNOPSIS", "--print-config", "check-aof"]),
        (&["man", "load"], vec!["NAME", "SYNOPSIS", "--scenario"]),
        (&["man", "serve"], vec!["--tls-port"]),
    ] {
        let output = ours(words);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let page = dir.file("page.1", &output.stdout);
        if has("groff") {
            let groff = run(&["groff", "-man", "-Tascii", "-P-c", "-ww", page.to_str().unwrap()]);
            assert!(groff.status.success() && groff.stderr.is_empty(), "{}", text(&groff.stderr));
            let shown = plain(&text(&groff.stdout));
            for word in told {
                assert!(shown.contains(word), "{word}: {shown}");
            }
        }
    }
    let output = ours(&["man", "nothing"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("no subcommand `nothing`"), "{said}");
}

/// What is seen of a page on which bold letters are written twice, and others are underlined.
fn plain(page: &str) -> String {
    let mut seen = String::new();
    for letter in page.chars() {
        match letter {
            '\u{8}' => drop(seen.pop()),
            _ => seen.push(letter),
        }
    }
    seen
}

/// A service manager, as far as it is told things.
struct Manager {
    dir: Dir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let dir = Dir::new();
        let socket = UnixDatagram::bind(dir.join("notify")).expect("the directory is ours");
        socket.set_read_timeout(Some(PATIENCE)).expect("it is no zero");
        Manager { dir, socket }
    }

    /// What of the environment says where it is.
    fn variable(&self) -> String {
        format!("NOTIFY_SOCKET={}", self.dir.join("notify").display())
    }

    /// What it is told next.
    fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).expect("it is told something");
        text(&bytes[..count])
    }

    /// What it is told until it is told something like this.
    fn until(&self, words: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let told = self.told();
            let is_it = told.contains(words);
            all.push(told);
            if is_it {
                return all;
            }
            assert!(all.len() < 1000, "{words}: {all:?}");
        }
    }
}

const CONFIG: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n\
                      [server]\nthreads = 2\n";

#[test]
fn a_service_manager_is_told_how_we_stand() {
    let manager = Manager::new();
    let server = Server::entourage_with_config_under(CONFIG, &[manager.variable()]);
    assert_eq!(manager.told(), "READY=1\n");
    let told = manager.until("STATUS=");
    assert!(told[0].starts_with("STATUS=Master n1, replicas: 2, clients: "), "{told:?}");
    let mut wire = server.dial();
    let _clients: Vec<Wire> = (0..4).map(|_| server.dial()).collect();
    manager.until("STATUS=Master n1, replicas: 2, clients: 5\n");
    wire.ask("PROXY FAILOVER TO n2");
    ok(&mut wire, "PROXY NODE n3 REMOVE");
    manager.until("STATUS=Master n2, replicas: 1, clients: 5\n");
    // Nobody asked for a watchdog.
    server.hang_up();
    let told = manager.until("READY=1\n");
    let reloading = told.iter().find(|it| it.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    let us = reloading.expect("it is told before").trim_end().rsplit('=').next().unwrap();
    let uptime = fs::read_to_string("/proc/uptime").expect("the system says it");
    let uptime_s: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let told_s = us.parse::<u64>().expect("a number") as f64 / 1e6;
    assert!(0.0 < told_s && told_s <= uptime_s + 1.0, "{told_s} of {uptime_s}");
    assert!(!told.iter().any(|it| it.contains("WATCHDOG")), "{told:?}");
    server.terminate();
    manager.until("STOPPING=1\n");
}

#[test]
fn ready_comes_once_files_are_loaded() {
    const KEYS: i64 = 300_000;
    let (dir, manager) = (Dir::new(), Manager::new());
    let config = on_disk::config(&dir, "");
    let server = Server::entourage_with_config(&config);
    let mut wire = server.dial();
    ok(&mut wire, &format!("DEBUG POPULATE {KEYS} k 100"));
    ok(&mut wire, "SAVE");
    assert!(server.stop().success());
    let port = free_port().expect("a port");
    let file = dir.file("again.toml", config.replace("{port}", &port.to_string()));
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--config").arg(&file).stderr(Stdio::null());
    command.env("NOTIFY_SOCKET", manager.dir.join("notify"));
    let _running = Running(command.spawn().expect("it starts"));
    let told = manager.until("READY=1\n");
    let is_known = |it: &String| {
        ["READY=1\n", "EXTEND_TIMEOUT_USEC=", "STATUS=Loading: "]
            .iter()
            .any(|known| it.starts_with(known))
    };
    assert!(told.iter().all(is_known), "{told:?}");
    let keys = Wire::dial(port).expect("it listens").ask("DBSIZE");
    assert_eq!(keys.int(), Some(KEYS), "nobody is told that it loads");
}

#[test]
fn a_set_that_follows_says_whom() {
    let redis = Server::redis(&[]);
    let manager = Manager::new();
    let config = format!("{CONFIG}[set]\nreplicas = 1\nmaster = \"127.0.0.1:{}\"\n", redis.port());
    let _server = Server::entourage_with_config_under(&config, &[manager.variable()]);
    manager.until("READY=1\n");
    manager.until(&format!("STATUS=Follows 127.0.0.1:{}, replicas: 1", redis.port()));
}

#[test]
fn the_watchdog_hears_from_workers_that_run() {
    let manager = Manager::new();
    let variables = [manager.variable(), "WATCHDOG_USEC=400000".to_owned()];
    let server = Server::entourage_with_config_under(CONFIG, &variables);
    manager.until("READY=1\n");
    manager.until("WATCHDOG=1\n");
    // A command that takes long keeps no worker.
    let mut sleeper = server.dial();
    sleeper.send_raw(b"DEBUG SLEEP 1.5\r\n");
    for _ in 0..4 {
        manager.until("WATCHDOG=1\n");
    }
    assert!(!sleeper.has_input(), "it sleeps still");
    assert_eq!(sleeper.read().string(), "OK");
    // A process that does not run says nothing.
    server.freeze();
    let drain = || {
        manager.socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut bytes = [0; 4096];
        while manager.socket.recv(&mut bytes).is_ok() {}
        manager.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    };
    drain();
    server.thaw();
    manager.until("WATCHDOG=1\n");
    // Nor is it for a process that the watchdog is not for.
    let other = Manager::new();
    let for_another = ["WATCHDOG_USEC=400000", "WATCHDOG_PID=1"].map(str::to_owned);
    let variables = [&[other.variable()], &for_another[..]].concat();
    let server = Server::entourage_with_config_under(CONFIG, &variables);
    other.until("READY=1\n");
    let _more = server.dial();
    let told = other.until("clients: 1\n");
    assert!(!told.iter().any(|it| it.contains("WATCHDOG")), "{told:?}");
}

#[test]
fn programs_that_are_run_know_nothing_of_the_manager() {
    let (manager, dir) = (Manager::new(), Dir::new());
    let file = dir.join("environment");
    let config = format!(
        "{CONFIG}[set]\nrepl-timeout = \"1s\"\n\
         [alerts]\ncommand = [\"sh\", \"-c\", \"env > {0}.new && mv {0}.new {0}\"]\n",
        file.display()
    );
    let variables = [manager.variable(), "WATCHDOG_USEC=60000000".to_owned()];
    let server = Server::entourage_with_config_under(&config, &variables);
    // Something to be alarmed by: a timeout below the period of pings.
    assert_eq!(server.dial().ask("PING").string(), "PONG");
    let environment = until("the command", || fs::read_to_string(&file).ok());
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("NOTIFY_") && !environment.contains("WATCHDOG_"));
}

#[test]
fn a_manager_that_cannot_be_reached_is_logged() {
    let variables = ["NOTIFY_SOCKET=/no/such/socket".to_owned()];
    let server = Server::entourage_with_config_under(CONFIG, &variables);
    until_said(&server, "event=notify-failed");
    assert_eq!(server.dial().ask("PING").string(), "PONG");
}

/// Opens sockets, and becomes the rest of its command line with these: NAME=ADDRESS:PORT,
/// NAME=PATH, or NAME=datagram.
const PASS: &str = "\
import os, socket, sys
at = sys.argv.index('--')
opened = []
for word in sys.argv[1:at]:
    name, place = word.split('=', 1)
    if place == 'datagram':
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    elif '/' in place:
        s = socket.socket(socket.AF_UNIX)
        s.bind(place)
        s.listen()
    else:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, port = place.rsplit(':', 1)
        s.bind((host, int(port)))
        s.listen()
    opened.append((name, s.detach()))
# First away from where they are to be.
high = [os.dup2(fd, 100 + i) for i, (_, fd) in enumerate(opened)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
    os.close(fd)
os.environ['LISTEN_FDS'] = str(len(opened))
os.environ['LISTEN_FDNAMES'] = ':'.join(name for name, _ in opened)
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
";

/// The command line of ours that is passed these sockets.
fn passing(dir: &Dir, sockets: &str, config: &str) -> String {
    let script = dir.file("pass.py", PASS);
    let file = dir.file("e.toml", config);
    let (python, script, file) = (python(), script.display(), file.display());
    format!("{python} {script} {sockets} -- {BINARY} serve --config {file} --loglevel notice")
}

#[test]
fn passed_sockets_are_the_listeners_of_their_names() {
    let (dir, [port, other, http]) = (Dir::new(), [(); 3].map(|()| free_port().expect("a port")));
    let path = dir.join("passed");
    let config = format!(
        "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{other}\"\n\
         [[listener]]\nname = \"local\"\nunix = \"/no/such/dir/socket\"\nlevel = \"master\"\n\
         [http]\nbind = \"127.0.0.1:{other}\"\n"
    );
    let sockets = format!("local={} http=127.0.0.1:{http} main=127.0.0.1:{port}", path.display());
    let server = Server::of_at(port, &passing(&dir, &sockets, &config));
    let said = server.said();
    let listens = |name: &str, at: &str| format!("event=listen name={name} address={at}");
    assert!(said.contains(&listens("main", &format!("127.0.0.1:{port}"))), "{said}");
    assert!(said.contains(&listens("local", &path.display().to_string())), "{said}");
    assert!(said.contains(&listens("http", &format!("127.0.0.1:{http}"))), "{said}");
    assert!(Wire::dial(other).is_err(), "nothing else is opened for them");
    let mut wire = Wire::over(Socket::Unix(UnixStream::connect(&path).expect("it listens")));
    ok(&mut wire, "SET k v");
    let explained = wire.ask("PROXY EXPLAIN GET k").to_string();
    assert!(explained.contains("master"), "the level of listener `local`: {explained}");
    let page = run(&["curl", "-s", &format!("http://127.0.0.1:{http}/health")]);
    assert!(page.status.success(), "{}", text(&page.stderr));
    assert!(server.stop().success());
    assert!(path.exists(), "it is whose who has opened it");
}

#[test]
fn sockets_that_are_for_nobody_are_refused() {
    let (dir, port) = (Dir::new(), free_port().expect("a port"));
    let refused = |sockets: &str, more: &str, why: &str| {
        let config = format!("[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n{more}");
        let line = passing(&dir, sockets, &config);
        let output = run(&line.split(' ').collect::<Vec<_>>());
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{said}");
    };
    refused("mian=127.0.0.1:0", "", "a socket `mian` was passed, and no listener has this name");
    refused("a.socket=127.0.0.1:0 =127.0.0.1:0", "", "more sockets were passed than there are");
    refused("main=datagram", "", "it does not listen for connections");
    refused("http=127.0.0.1:0", "", "say [http] bind");
    let http = "[http]\nbind = \"127.0.0.1:0\"\n";
    refused("http=0.0.0.0:0", http, "which other machines reach");
    let name = dir.join("unix");
    let tls = "tls = true\n[server]\ntls-cert-file = \"c\"\ntls-key-file = \"k\"\n\
               tls-auth-clients = \"no\"\n";
    refused(&format!("main={}", name.display()), tls, "the socket passed for it is unix");
    // Those of another process are none of ours.
    let config = format!("[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n");
    let file = dir.file("e.toml", &config);
    let line = format!("env LISTEN_PID=1 LISTEN_FDS=1 {BINARY} serve --config {}", file.display());
    assert_eq!(Server::of_at(port, &line).dial().ask("PING").string(), "PONG");
    let script = format!("LISTEN_PID=$$ LISTEN_FDS=1 exec {BINARY} --port 0 3<&-");
    let output = run(&["sh", "-c", &script]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("is no socket"), "{said}");
}

#[test]
fn the_client_that_systemd_starts_us_for_is_served() {
    const PROGRAM: &str = "systemd-socket-activate";
    if !has(PROGRAM) {
        return;
    }
    let (dir, port) = (Dir::new(), free_port().expect("a port"));
    let config = "[[listener]]\nname = \"plain\"\nbind = \"127.0.0.1:0\"\n\
                  [[listener]]\nname = \"main\"\nbind = \"127.0.0.1:0\"\n";
    let file = dir.file("e.toml", config);
    let at = format!("--listen=127.0.0.1:{port} --fdname=main");
    let line = format!("{PROGRAM} {at} {BINARY} serve --config {}", file.display());
    let server = Server::of_at(port, &format!("{line} {} {}", NOTICE[0], NOTICE[1]));
    until_said(&server, &format!("event=listen name=main address=127.0.0.1:{port}"));
    assert_eq!(server.dial().ask("PING").string(), "PONG");
}

fn config_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

#[test]
fn the_units_are_sound_and_hardened() {
    /// In tenths: what systemd calls safe begins below 20.
    const EXPOSURE_MAX: &str = "20";
    let service = fs::read_to_string(config_file("entourage.service")).expect("it is there");
    let started = service.lines().find_map(|it| it.strip_prefix("ExecStart=/usr/bin/entourage "));
    let words: Vec<&str> = started.expect("it starts ours").split(' ').collect();
    assert_eq!(words, ["serve", "--config", "/etc/entourage/entourage.toml"]);
    if !has("systemd-analyze") {
        return;
    }
    let dir = Dir::new();
    let service = dir.file("entourage.service", service.replace("/usr/bin/entourage", BINARY));
    let socket = fs::read(config_file("entourage.socket")).expect("it is there");
    let socket = dir.file("entourage.socket", socket);
    let (service, socket) = (service.to_str().unwrap(), socket.to_str().unwrap());
    let verified = run(&["systemd-analyze", "verify", "--man=no", service, socket]);
    let said = text(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    let ours: Vec<&str> = said.lines().filter(|it| it.contains("entourage")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let words =
        ["systemd-analyze", "security", "--offline=true", "--no-pager", &threshold, service];
    let secure = run(&words);
    assert!(secure.status.success(), "{}", text(&secure.stdout));
}
