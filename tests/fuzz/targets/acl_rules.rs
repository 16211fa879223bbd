//! Any words as rules of a user, any bytes as a file of users: no panic, what is told makes the same
//! again, and no memory for what was only announced.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz acl_rules`.

#![no_main]

mod watched;

use entourage::acl::{KeyRights, User, joined_selectors, parse_file};
use entourage::commands::{catalogue, table};
use libfuzzer_sys::fuzz_target;

/// A pattern stands in a list, in a map and in an index, each with slack.
const BYTES_PER_BYTE: usize = 64;
/// A selector has a bit for each command.
const BYTES_SPARE: usize = 64 << 10;

/// The user that these rules make: what is wrong of them is left out.
fn user_of(rules: &[Vec<u8>]) -> User {
    let mut user = User::new("u", false);
    for rule in rules {
        let _ = user.apply(rule, catalogue(table()), false);
    }
    user
}

fn are_alike(one: &User, other: &User, names: &[Vec<u8>]) {
    for (one, other) in one.each_selector().zip(other.each_selector()) {
        for command in table().all() {
            assert_eq!(one.allows(command.id), other.allows(command.id), "{}", command.name);
        }
        for name in names {
            for rights in [KeyRights::READ, KeyRights::WRITE, KeyRights::all()] {
                assert_eq!(one.allows_key(name, rights), other.allows_key(name, rights));
            }
            assert_eq!(one.allows_channel(name, false), other.allows_channel(name, false));
        }
    }
}

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<Vec<u8>>, &[u8])| {
    let (rules, names, bytes) = input;
    let known = catalogue(table());
    let size: usize = rules.iter().map(Vec::len).sum::<usize>() + bytes.len();
    watched::reset();
    if let Ok(rules) = joined_selectors(rules.iter().map(Vec::as_slice)) {
        let user = user_of(&rules);
        let text = user.rules_text();
        let told: Vec<&[u8]> = text.split(|it| *it == b' ').collect();
        let told = joined_selectors(told.into_iter()).expect("what is told is closed");
        let again = user_of(&told);
        assert_eq!(again.rules_text(), text);
        are_alike(&user, &again, &names);
    }
    if let Ok(users) = parse_file("users.acl", bytes, known, true) {
        let text = users.file_text();
        let again = parse_file("users.acl", &text, known, true).expect("what is told is taken");
        assert_eq!(again.file_text(), text);
    }
    assert!(watched::largest() <= size * BYTES_PER_BYTE + BYTES_SPARE);
});
