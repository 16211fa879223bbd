//! The Debian package in a Debian of its own: it is installed, started, upgraded, removed and
//! purged; and what the Containerfile does in another.
//!
//! It needs root, debootstrap, lintian, cargo-deb and python3, and some minutes, so it is ignored:
//! `tests/run.sh --long` installs what it needs and takes it. By hand, with `ENTOURAGE_BIN` for a
//! binary that is built already:
//!
//! ```text
//! cargo test --profile checked --test package -- --ignored --nocapture
//! ```

mod support;

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::on_disk::Dir;
use support::{Server, ok};

const CONFIG: &str = "etc/entourage/entourage.toml";
const DATA: &str = "var/lib/entourage";
const DOCUMENTS: &str = "usr/share/doc/entourage";

/// What a command says that has to end well.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let (said, complaints) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{said}{complaints}");
    said.into_owned()
}

fn binary() -> String {
    env::var("ENTOURAGE_BIN").unwrap_or(env!("CARGO_BIN_EXE_entourage").into())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes the package of this build, with that version, and puts it into that directory.
fn package(version: &str, into: &Dir) -> PathBuf {
    let mut build = Command::new(root().join("config/package/build.sh"));
    let said = run(build.arg(binary()).env("DEB_VERSION", version));
    let made = said.lines().last().expect("it says where");
    let name = into.join(&format!("entourage-{version}.deb"));
    fs::copy(made, &name).expect("it is there");
    name
}

/// The same package, whose configuration says something more.
fn with_other_config(package: &Path, into: &Dir) -> PathBuf {
    let (tree, changed) = (into.join("tree"), into.join("changed.deb"));
    run(Command::new("dpkg-deb").arg("--raw-extract").args([package, &tree]));
    let config = tree.join(CONFIG);
    let text = fs::read_to_string(&config).expect("the package has one");
    fs::write(config, format!("{text}\n# Of a later version.\n")).expect("room for it");
    run(Command::new("dpkg-deb").arg("--build").args([&tree, &changed]));
    changed
}

/// A Debian without systemd, in which packages can be installed.
struct Debian(Dir);

impl Debian {
    fn new() -> Debian {
        let dir = Dir::new();
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", "--include=adduser", "bookworm", dir.path()]);
        run(&mut debootstrap);
        Debian(dir)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn chroot(&self, line: &str) -> Command {
        let mut chroot = Command::new("chroot");
        chroot.args([self.0.path(), "sh", "-c", line]);
        chroot
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        chroot
    }

    fn run(&self, line: &str) -> String {
        run(&mut self.chroot(line))
    }

    fn knows_the_user(&self) -> bool {
        let found = self.chroot("getent passwd entourage").output().expect("it starts");
        found.status.success()
    }

    fn install(&self, package: &Path) {
        fs::copy(package, self.at("entourage.deb")).expect("room for it");
        self.run("dpkg --force-confold -i /entourage.deb");
    }

    /// Starts what the unit file starts, as the user whom it names, at a port of the test's.
    fn start(&self) -> Server {
        let unit = self.at("usr/lib/systemd/system/entourage.service");
        let unit = fs::read_to_string(unit).expect("the package has a unit");
        let said = |key: &str| {
            let line = unit.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("the unit says {key}")).to_owned()
        };
        let who = format!("{}:{}", said("User"), said("Group"));
        let (root, program) = (self.0.path(), said("ExecStart"));
        let ports = "--bind 127.0.0.1 --port {port} --http 127.0.0.1:0";
        Server::of(&format!("chroot --userspec={who} {root} {program} {ports}"))
    }

    /// The relative links of the package's documents that lead nowhere.
    fn dead_links(&self) -> Vec<String> {
        let documents = self.at(DOCUMENTS);
        let named = run(Command::new("find").arg(&documents).args(["-name", "*.md"]));
        let mut dead = Vec::new();
        for file in named.lines() {
            let text = fs::read_to_string(file).expect("find has found it");
            for link in text.split("](").skip(1).filter_map(|it| it.split([')', '#']).next()) {
                let leads = Path::new(file).parent().expect("it is in a folder").join(link);
                if !link.contains("://") && !leads.exists() {
                    dead.push(format!("{file}: {link}"));
                }
            }
        }
        dead
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
#[ignore = "makes a Debian of its own: tests/run.sh --long"]
fn the_package_is_installed_upgraded_and_purged_and_keeps_what_it_should() {
    let packages = Dir::new();
    let first = package("0.1.0-1", &packages);
    let second = with_other_config(&package("0.1.0-2", &packages), &packages);
    run(Command::new("lintian").args(["--allow-root", "--fail-on=error,warning"]).arg(&first));
    let debian = Debian::new();

    debian.install(&first);
    let (config, data) = (debian.at(CONFIG), debian.at(DATA));
    assert_eq!((mode(&config), mode(&data)), (0o640, 0o700));
    let group = fs::metadata(&config).expect("its file").gid();
    assert_ne!(group, 0, "the service can read it");
    assert_eq!(fs::metadata(&data).expect("its folder").gid(), group);
    debian.run("entourage check --strict /etc/entourage/entourage.toml");
    assert!(debian.run("entourage --version").starts_with("entourage "));
    assert!(debian.run("zcat /usr/share/man/man1/entourage-load.1.gz").contains("NAME"));
    debian.run("bash -n /usr/share/bash-completion/completions/entourage");
    assert_eq!(debian.dead_links(), [""; 0]);

    let server = debian.start();
    ok(&mut server.dial(), "SET kept 1");
    assert!(server.stop().success());
    let text = fs::read_to_string(&config).expect("its file");
    fs::write(&config, format!("# Mine.\n{text}")).expect("it is written");

    debian.install(&second);
    assert!(debian.run("dpkg -s entourage").contains("Version: 0.1.0-2"));
    assert!(fs::read_to_string(&config).expect("its file").starts_with("# Mine."));
    assert_eq!((mode(&config), fs::metadata(&config).expect("its file").gid()), (0o640, group));
    assert!(debian.at(&format!("{CONFIG}.dpkg-dist")).exists(), "the new one lies beside it");
    let server = debian.start();
    assert_eq!(server.dial().ask("GET kept").text(), Some(&b"1"[..]));
    assert!(server.stop().success());

    debian.run("dpkg -r entourage");
    assert!(config.exists() && data.join("appendonlydir").exists());
    assert!(!debian.at("usr/bin/entourage").exists());
    debian.install(&second);
    let server = debian.start();
    assert_eq!(server.dial().ask("GET kept").text(), Some(&b"1"[..]));
    assert!(server.stop().success());

    debian.run("dpkg -P entourage && rm /entourage.deb");
    assert!(!debian.knows_the_user());
    let left = debian.run("find / -xdev -name '*entourage*' -not -path '/proc/*'");
    assert_eq!(left.lines().collect::<Vec<_>>(), [""; 0]);
}

/// The instructions of the Containerfile's last stage, which is what runs.
fn last_stage() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("config/Containerfile")).expect("it is there");
    let joined = text.replace("\\\n", "");
    let lines = joined.lines().filter(|it| !it.is_empty() && !it.starts_with('#'));
    let all: Vec<_> = lines.filter_map(|it| it.split_once(' ')).collect();
    let first = all.iter().rposition(|(word, _)| *word == "FROM").expect("it begins somewhere");
    all[first + 1..].iter().map(|(word, rest)| ((*word).to_owned(), (*rest).to_owned())).collect()
}

/// The words of an instruction that are written as a list.
fn listed(instruction: &str) -> Vec<String> {
    let list = &instruction[instruction.find('[').expect("it has a list")..];
    serde_json::from_str(list).expect("it is a list of words")
}

/// There is no container here: its steps are done one by one in a Debian, its user starts what it
/// starts, and its health check is run. At port 9379, which must be free.
#[test]
#[ignore = "makes a Debian of its own: tests/run.sh --long"]
fn what_the_containerfile_says_makes_a_server_that_is_healthy() {
    let debian = Debian::new();
    let (mut entry, mut health, mut user) = (Vec::new(), Vec::new(), String::new());
    for (word, rest) in last_stage() {
        match word.as_str() {
            "RUN" => drop(debian.run(&rest)),
            "COPY" => {
                let words: Vec<_> = rest.split(' ').collect();
                let from = match words[..] {
                    ["--from=build", "/entourage", _] => binary().into(),
                    [from, _] => root().join(from),
                    _ => panic!("COPY {rest}"),
                };
                let to = words[words.len() - 1].trim_start_matches('/');
                fs::copy(from, debian.at(to)).expect("room for it");
            }
            "USER" => user = rest,
            "ENTRYPOINT" => entry = listed(&rest),
            "HEALTHCHECK" => health = listed(&rest),
            "WORKDIR" | "VOLUME" => assert_eq!(mode(&debian.at(&rest[1..])), 0o700),
            "EXPOSE" => assert_eq!(rest, "6379 9379"),
            _ => panic!("{word} {rest}: this test does not know it"),
        }
    }
    let who = format!("{user}:{user}");
    let is_healthy = || {
        let mut check = Command::new("chroot");
        check.arg(format!("--userspec={who}")).arg(debian.0.path()).args(&health);
        check.output().expect("it starts").status.success()
    };
    assert!(!is_healthy(), "nobody is there to ask");
    let (path, program) = (debian.0.path(), entry.join(" "));
    let ports = "--bind 127.0.0.1 --port {port}";
    let line = format!("chroot --userspec={who} {path} {program} {ports}");
    let server = Server::of(&line);
    assert!(is_healthy());
    ok(&mut server.dial(), "SET kept 1");
    assert!(server.stop().success());
    let server = Server::of(&line);
    assert_eq!(server.dial().ask("GET kept").text(), Some(&b"1"[..]));
    assert!(server.stop().success());
}
