//! Under which licences the packages are that Entourage is built from.

use crate::support::python;
use std::process::{Command, Output};

fn licences(flags: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/config/package/licences.py");
    Command::new(python()).arg(script).args(flags).output().expect("python runs")
}

#[test]
fn every_package_is_under_an_accepted_licence_and_has_its_text() {
    let Output { status, stdout, stderr } = licences(&[]);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = String::from_utf8(stdout).expect("it is text");
    let named = ["async-std 1", "Lua.org, PUC-Rio", "Daan Leijen", "BoringSSL", "Unicode"];
    for name in named {
        assert!(text.contains(name), "{name} is missing");
    }
    assert!(!text.contains("proptest 1"), "what tests need is not given away");
}

#[test]
fn a_licence_that_is_not_accepted_is_told_with_its_packages() {
    let Output { status, stderr, .. } = licences(&["--accept", "MIT,Apache-2.0,ISC"]);
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(" is under BSD-3-Clause") && !said.contains("under MIT"), "{said}");
}
