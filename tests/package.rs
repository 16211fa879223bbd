//! The Debian package in a Debian of its own: it is installed, started, upgraded, removed and
//! purged.
//!
//! It needs root, debootstrap, cargo-deb and cargo-bundle-licenses, and some minutes, so it is
//! ignored: `tests/run.sh --long` installs what it needs and takes it. By hand:
//!
//! ```text
//! cargo test --profile checked --test package -- --ignored --nocapture
//! ```

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::on_disk::Dir;
use support::{Server, ok};

/// What runs, and its output where it does not end well.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{said}");
    String::from_utf8_lossy(&stdout).into_owned()
}

/// Makes the package of this build, with that version, and moves it there.
fn package(version: &str, into: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut build = Command::new(root.join("config/package/build.sh"));
    build.arg(env!("CARGO_BIN_EXE_entourage")).env("DEB_VERSION", version);
    let said = run(&mut build);
    let made = Path::new(said.lines().last().expect("it says where").trim()).to_owned();
    let name = into.join(format!("entourage-{version}.deb"));
    fs::copy(&made, &name).expect("it is there");
    name
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

    fn run(&self, line: &str) -> String {
        run(Command::new("chroot").args([self.0.path(), "sh", "-c", line]))
    }

    fn runs(&self, line: &str) -> bool {
        let mut chroot = Command::new("chroot");
        chroot.args([self.0.path(), "sh", "-c", line]).output().expect("it starts").status.success()
    }

    /// Starts what the unit file starts, as the user whom it names.
    fn start(&self) -> Server {
        let unit = fs::read_to_string(self.at("lib/systemd/system/entourage.service"))
            .or_else(|_| fs::read_to_string(self.at("usr/lib/systemd/system/entourage.service")))
            .expect("the package has a unit");
        let said = |key: &str| {
            let line = unit.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("the unit says {key}")).to_owned()
        };
        let (user, program) = (said("User"), said("ExecStart"));
        Server::of(&format!(
            "chroot --userspec={user}:{user} {} {program} --bind 127.0.0.1 --port {{port}}",
            self.0.path(),
        ))
    }
}

#[test]
#[ignore = "makes a Debian of its own: tests/run.sh --long"]
fn the_package_is_installed_upgraded_and_purged_and_keeps_what_it_should() {
    let packages = Dir::new();
    let first = package("0.1.0-1", packages.path().as_ref());
    let second = package("0.1.0-2", packages.path().as_ref());
    let debian = Debian::new();
    let install = |package: &Path| {
        fs::copy(package, debian.at("entourage.deb")).expect("room for it");
        debian.run("dpkg --force-confold -i /entourage.deb")
    };

    install(&first);
    let config = debian.at("etc/entourage/entourage.toml");
    let about = fs::metadata(&config).expect("its file");
    assert_eq!(about.permissions().mode() & 0o777, 0o640);
    assert_ne!(about.gid(), 0, "the service can read it");
    debian.run("entourage check --strict /etc/entourage/entourage.toml");
    assert!(debian.run("entourage --version").starts_with("entourage "));
    assert!(!debian.run("ls /usr/share/man/man1/entourage.1*").is_empty());

    let server = debian.start();
    ok(&mut server.dial(), "SET kept 1");
    assert!(server.stop().success());
    let text = fs::read_to_string(&config).expect("its file");
    let (own, _) = text.split_once("[http]").expect("a page");
    fs::write(&config, format!("# Mine.\n{own}")).expect("it is written");

    install(&second);
    assert!(debian.run("dpkg -s entourage").contains("Version: 0.1.0-2"));
    assert!(fs::read_to_string(&config).expect("its file").starts_with("# Mine."));
    let server = debian.start();
    assert_eq!(server.dial().command("GET kept").string(), "1");
    assert!(server.stop().success());

    debian.run("dpkg -r entourage");
    assert!(config.exists() && debian.at("var/lib/entourage").exists());
    assert!(!debian.at("usr/bin/entourage").exists());
    debian.run("dpkg -P entourage");
    assert!(!debian.at("etc/entourage").exists() && !debian.at("var/lib/entourage").exists());
    assert!(!debian.runs("getent passwd entourage"), "its user has gone");
    let left = debian.run("find / -xdev -name '*entourage*' -not -path '/proc/*'");
    assert_eq!(left.lines().filter(|it| *it != "/entourage.deb").collect::<Vec<_>>(), [""; 0]);
}
