//! The guide's shell commands: what stands in `console` blocks shows what the guide says it shows,
//! what stands in `sh` blocks runs, and what cannot run here is named.
//!
//! A `console` block holds commands behind `$ ` and what they show, where `…` stands for anything.
//! Each ends with 0.
//! Those of a document run in one directory, in order, with the documented ports replaced by free
//! ones. There is a server at 6379, with its page at 9379.
//! What ends in ` &` runs until the document ends. A `toml` block that begins with `# NAME.toml` is
//! a file there, and `/var/lib/` is a part of the directory.

use super::{Block, SECONDS_MAX, blocks, documents, lines_match};
use crate::support::on_disk::Dir;
use crate::support::servers::free_port;
use crate::support::{Server, within};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The ports that the guide's servers have.
const PORTS: &[&str] = &["6379", "6380", "6381", "9379", "7001", "7002", "7003", "7004", "26379"];
/// Where the guide has data.
const DATA: &str = "/var/lib/";
/// What shows how something stands is asked again until it stands as it is shown.
const SETTLES: Duration = Duration::from_secs(15);
/// Words of commands that change nothing, which may be asked again.
const LOOKS: &[&str] =
    &["curl ", " INFO", " ROLE", " GET ", "PROXY NODES", "PROXY ALERTS", " WAIT "];
/// First words of commands that a test cannot run: they install, or need systemd or a registry.
/// `tests/package.rs` builds the package, installs it, and starts what the unit file says.
const NOT_HERE: &[&str] =
    &["apt", "cargo", "podman", "useradd", "install", "systemctl", "config/package/licences.py"];

/// The place in which the commands of one document run.
struct Place {
    dir: Dir,
    ports: BTreeMap<&'static str, String>,
    servers: Vec<Server>,
}

impl Place {
    fn new() -> Place {
        let port = || free_port().expect("a port is free").to_string();
        let ports: BTreeMap<_, _> = PORTS.iter().map(|it| (*it, port())).collect();
        let dir = Dir::new();
        let bin = dir.join("bin");
        fs::create_dir(&bin).expect("it is ours");
        let cli = std::env::var("REDIS_CLI").unwrap_or_else(|_| "/usr/bin/redis-cli".into());
        let (ours, port) = (env!("CARGO_BIN_EXE_entourage"), &ports["6379"]);
        // What these programs take for their server's port by themselves is another one here.
        let redis_cli = format!("exec {cli} --no-raw -p {port} \"$@\"");
        let entourage = format!(
            "case \" $*\" in *\" --target\"*) ;; \" load\"*) set -- \"$@\" --target 127.0.0.1:{port};; \
             esac\nexec {ours} \"$@\""
        );
        for (name, script) in [("redis-cli", redis_cli), ("entourage", entourage)] {
            let file = dir.file(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        let mut place = Place { dir, ports, servers: Vec::new() };
        place.start("entourage --port 6379 --http localhost:9379");
        place
    }

    /// What the guide says, with this place's ports and paths.
    fn here(&self, text: &str) -> String {
        let text = text.replace(DATA, &format!("{}/", self.dir.path()));
        numbers(&text, |it| self.ports.get(it).cloned())
    }

    /// The same the other way round.
    fn as_documented(&self, text: &str) -> String {
        let theirs = |it: &str| self.ports.iter().find(|(_, here)| *here == it);
        let text = numbers(text, |it| Some(theirs(it)?.0.to_string()));
        text.replace(&format!("{}/", self.dir.path()), DATA)
    }

    fn file(&self, block: &Block) {
        let first = block.text.lines().next().unwrap_or_default();
        let Some(name) = first.strip_prefix("# ").filter(|it| it.ends_with(".toml")) else {
            return;
        };
        for path in block.text.split('"').filter_map(|it| it.strip_prefix(DATA)) {
            let path = self.dir.join(path);
            let is_socket = path.extension().is_some_and(|it| it == "sock");
            let dir = if is_socket { path.parent().expect("a directory") } else { &path };
            fs::create_dir_all(dir).expect("it is ours");
        }
        self.dir.file(name, self.here(&block.text));
    }

    /// Starts a server that stays until the document ends, at the port that its flags name.
    fn start(&mut self, line: &str) {
        let (mut words, mut port) = (Vec::new(), None);
        for word in self.here(line).split(' ') {
            let file = self.dir.join(word);
            let is_port = words.last().is_some_and(|it| it == "--port");
            port = if is_port { word.parse().ok() } else { port };
            let known = match word {
                "entourage" => env!("CARGO_BIN_EXE_entourage").to_owned(),
                _ if word.ends_with(".toml") => file.display().to_string(),
                _ => word.to_owned(),
            };
            words.push(known);
        }
        let port = port.unwrap_or_else(|| panic!("{line}: --port says where it will answer"));
        let before = self.servers.iter().position(|it| it.port() == port);
        let before = before.map(|it| self.servers.swap_remove(it));
        let line = words.join(" ");
        let server = if words.iter().any(|it| it == "--upgrade") {
            let server = Server::of_at(port, &line);
            before.expect("one to take over from").until_ended();
            server
        } else {
            // It was told to end, and may not be done.
            let _ = before.map(Server::until_ended);
            Server::of_at(port, &line)
        };
        self.servers.push(server);
    }

    /// Runs a command: whether it ended well, and what it has shown.
    fn run(&self, line: &str) -> (bool, String) {
        let path = format!("{}/bin:{}", self.dir.path(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("timeout");
        command.args([SECONDS_MAX, "bash", "-c", &format!("exec 2>&1; {}", self.here(line))]);
        let command = command.current_dir(self.dir.path()).env("PATH", path);
        let output = command.output().expect("bash is there");
        let shown = String::from_utf8_lossy(&output.stdout);
        (output.status.success(), self.as_documented(&shown))
    }
}

/// A text whose runs of digits were replaced where `other` knows another.
fn numbers(text: &str, other: impl Fn(&str) -> Option<String>) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|it: char| it.is_ascii_digit()) {
        let digits = rest[at..].find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len() - at);
        let number = &rest[at..at + digits];
        made.push_str(&rest[..at]);
        made.push_str(&other(number).unwrap_or_else(|| number.to_owned()));
        rest = &rest[at + digits..];
    }
    made + rest
}

/// The commands of a block, each with what it shows.
fn commands(text: &str) -> Vec<(String, Vec<&str>)> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_owned(), Vec::new())),
            (None, Some((command, _))) if goes_on => command.push_str(line.trim_start()),
            (None, Some((_, shown))) => shown.push(line),
            (None, None) => panic!("{line}: a block begins with a command"),
        }
        let (command, _) = found.last_mut().expect("there is one");
        goes_on = command.ends_with('\\');
        if goes_on {
            command.pop();
        }
    }
    found
}

#[test]
fn every_console_shows_what_it_is_shown_to_show() {
    let mut count = 0;
    for document in documents() {
        let blocks = blocks(&document);
        if !blocks.iter().any(|it| it.language == "console") {
            continue;
        }
        let mut place = Place::new();
        for block in &blocks {
            match block.language.as_str() {
                "toml" => place.file(block),
                "console" => count += run_console(&mut place, &document, block),
                _ => {}
            }
        }
    }
    assert!(10 <= count, "{count} commands");
}

fn run_console(place: &mut Place, document: &Path, block: &Block) -> usize {
    let commands = commands(&block.text);
    for (command, wanted) in &commands {
        let named = format!("{}:{}: {command}", document.display(), block.line);
        if let Some(server) = command.strip_suffix(" &") {
            place.start(server);
            continue;
        }
        let mut shown = String::new();
        let mut fits = || {
            let (is_well, now_shown) = place.run(command);
            shown = now_shown;
            let lines: Vec<&str> = shown.lines().collect();
            (is_well && lines_match(wanted, &lines)).then_some(())
        };
        let may_settle = LOOKS.iter().any(|it| command.contains(it));
        let limit = if may_settle { SETTLES } else { Duration::ZERO };
        let found = within(limit, &mut fits);
        assert!(found.is_some(), "{named}\nwanted\n{}\nbut got\n{shown}", wanted.join("\n"));
    }
    commands.len()
}

/// The page about `entourage load` has a test of its own.
#[test]
fn every_command_of_a_script_runs_or_is_known_not_to() {
    let (place, mut count) = (Place::new(), 0);
    for document in documents().iter().filter(|it| !it.ends_with("load.md")) {
        for block in blocks(document).iter().filter(|it| it.language == "sh") {
            for line in block.text.lines() {
                let named = format!("{}:{}: {line}", document.display(), block.line);
                let first = line.split(' ').next().unwrap_or_default();
                if NOT_HERE.contains(&first) || line.contains(" & ") {
                    continue;
                }
                // What is written below the system's directories is thrown away.
                let line = line.replace("> /", "> /dev/null; : /");
                let (is_well, shown) = place.run(&line);
                assert!(is_well, "{named}: {shown}");
                count += 1;
            }
        }
    }
    assert!(5 <= count, "{count} commands");
}

#[test]
fn numbers_are_replaced_as_a_whole() {
    let other = |it: &str| (it == "63").then(|| "7".to_owned());
    assert_eq!(numbers("63 163 a63:63", other), "7 163 a7:7");
    let (first, second) = (("a b".to_owned(), vec!["1", "2"]), ("c".to_owned(), Vec::new()));
    assert_eq!(commands("$ a \\\n  b\n1\n2\n$ c\n"), [first, second]);
}
