//! The status page in a real browser.

use crate::support::on_disk::Dir;
use crate::support::{Site, python};
use std::env;
use std::path::Path;
use std::process::Command;

#[test]
fn a_browser_shows_what_happens() {
    let site = Site::with(
        "admin = true",
        "[server]\nslowlog-log-slower-than = 0\n[alerts]\nlag = \"1s\"\n",
    );
    site.server.disconnects_replicas();
    let mut command = beside("check.py", &site);
    command.arg(site.server.pid().to_string());
    // Pictures of the page are for people: PICTURES=/tmp/page cargo test … a_browser_shows.
    command.args(env::var("PICTURES").ok());
    ends_well(&mut command);
}

/// Those of the README are made by
/// `PICTURES=$PWD/config/docs/images cargo test --test integration pictures_of_the_page -- --ignored`.
#[test]
#[ignore = "takes a minute and a half: tests/run.sh --long"]
fn pictures_of_the_page_are_made() {
    let site = Site::with(
        "admin = true",
        "[alerts]\nlag = \"3s\"\n\
         [[route]]\nname = \"sessions\"\nkeys = [\"session:*\"]\nlevel = \"sticky\"\n",
    );
    site.server.disconnects_replicas();
    let folder = Dir::new();
    let asked = env::var("PICTURES").unwrap_or(folder.path().into());
    ends_well(beside("pictures.py", &site).arg(asked));
}

/// A script of `tests/page`, with a browser and this site.
fn beside(script: &str, site: &Site) -> Command {
    let chromium = env::var("CHROMIUM").unwrap_or("chromium".into());
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page").join(script));
    command.args([chromium, format!("http://127.0.0.1:{}/", site.port)]);
    command.arg(site.server.port().to_string());
    command
}

fn ends_well(command: &mut Command) {
    let done = command.output().expect("python runs");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("all well"), "{said}");
}

#[test]
fn the_page_is_served_with_a_policy() {
    let site = Site::with("password = 'p'", "");
    assert_eq!(site.get("/").status, 401);
    let page = site.request("GET", "/", &["Authorization: Basic OnA="]);
    assert!(page.status == 200 && page.body.starts_with("<!doctype html>"));
    for line in ["content-type: text/html", "default-src 'none'", "script-src 'sha256-"] {
        assert!(page.head.contains(line), "{}", page.head);
    }
}
