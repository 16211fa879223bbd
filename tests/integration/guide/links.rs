//! The links of the README and the guide: each leads somewhere, and each chapter is linked.

use super::{documents, root};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The links of a text, outside of blocks.
fn links(text: &str) -> Vec<&str> {
    let parts = text.split("\n```").step_by(2);
    let behind = parts.flat_map(|it| it.split("](").skip(1));
    behind.filter_map(|it| it.split(')').next()).filter(|it| !it.contains("://")).collect()
}

/// What a link to a heading says, as GitHub makes it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|it| it.starts_with('#'));
    let words = headings.map(|it| it.trim_start_matches('#').trim().to_lowercase());
    let keep = |it: &char| it.is_alphanumeric() || " -_".contains(*it);
    words.map(|it| it.chars().filter(keep).collect::<String>().replace(' ', "-")).collect()
}

fn leads_to(document: &Path, link: &str) -> PathBuf {
    let path = link.split('#').next().unwrap_or_default();
    if path.is_empty() { document.into() } else { document.parent().unwrap().join(path) }
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = documents();
    all.push(root().join("benches/README.md"));
    for document in all {
        let text = fs::read_to_string(&document).expect("it can be read");
        for link in links(&text) {
            let target = leads_to(&document, link);
            let named = format!("{}: {link}", document.display());
            assert!(target.exists(), "{named}");
            if let Some((_, anchor)) = link.split_once('#') {
                let there = fs::read_to_string(&target).expect("it can be read");
                assert!(anchors(&there).contains(anchor), "{named}: no such heading");
            }
        }
    }
}

#[test]
fn the_readme_names_every_chapter_of_the_guide() {
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).expect("it can be read");
    let linked: BTreeSet<PathBuf> = links(&text).iter().map(|it| leads_to(&readme, it)).collect();
    for document in documents() {
        assert!(document == readme || linked.contains(&document), "{}", document.display());
    }
}

#[test]
fn headings_are_anchors_as_github_makes_them() {
    assert!(anchors("## LAST and TAG\n").contains("last-and-tag"));
    assert!(anchors("## A `key`: two\n").contains("a-key-two"));
    assert_eq!(links("[a](b.md) \n```\n[x](y)\n```\n[c](https://d) [e](#f)"), ["b.md", "#f"]);
}
