//! The status page in a real browser.

use crate::support::{Site, python};
use std::process::Command;

#[test]
fn a_browser_shows_what_happens() {
    let site = Site::with(
        "admin = true",
        "[server]\nslowlog-log-slower-than = 0\n[alerts]\nlag = \"1s\"\n",
    );
    site.server.disconnects_replicas();
    let chromium = std::env::var("CHROMIUM").unwrap_or("chromium".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/check.py");
    let mut command = Command::new(python());
    command.args([script, &chromium, &format!("http://127.0.0.1:{}/", site.port)]);
    command.args([site.server.port().to_string(), site.server.pid().to_string()]);
    // Pictures of the page are for people: PICTURES=/tmp/page, and this test alone.
    command.args(std::env::var("PICTURES").ok());
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
