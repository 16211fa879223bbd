//! What users may do, where it matters when and where something is done.

use super::*;
use crate::commands::Job;

/// What was sent to a remote master.
fn is_sent(proxy: &mut Proxy) -> bool {
    let is_job = |it: Action| matches!(it, Action::Apart(Job::Forward(_) | Job::Leased(..), _));
    proxy.actions.drain(..).fold(false, |any, it| any | is_job(it))
}

fn logged_in(proxy: &mut Proxy, rules: &str) -> Connection {
    let told = proxy.ask_anew(&format!("ACL SETUSER u on nopass {rules}"));
    assert_eq!(told, "+OK");
    let mut client = proxy.connect();
    assert_eq!(proxy.ask(&mut client, "AUTH u x"), "+OK");
    client
}

const LIBRARY: &str = "#!lua name=lib\nredis.register_function{function_name='f', callback=\
                       function() return redis.call('get','b1') end, flags={'no-writes'}}";
const SHEBANG: &str = "#!lua flags=no-writes\nreturn redis.call('get','b1')";

/// A request as clients send it.
fn encoded(words: &[&str]) -> Vec<u8> {
    let each = words.iter().map(|it| format!("${}\r\n{it}\r\n", it.len()));
    format!("*{}\r\n{}", words.len(), each.collect::<String>()).into_bytes()
}

#[test]
fn scripts_of_users_with_rules_never_run_at_a_remote_master() {
    let mut proxy = Proxy::new("[set]\nwrites = \"forward\"\n");
    let mut op = proxy.connect();
    let text = "return redis.call('get','b1')";
    let sha = proxy.send(&mut op, &encoded(&["SCRIPT", "LOAD", text]));
    let sha = sha.split(' ').nth(1).unwrap().to_owned();
    assert!(!proxy.send(&mut op, &encoded(&["FUNCTION", "LOAD", LIBRARY])).starts_with('-'));
    follow(&proxy);
    let scripts: [&[&str]; 6] = [
        &["EVAL_RO", text, "0"],
        &["EVALSHA_RO", &sha, "0"],
        &["FCALL_RO", "f", "0"],
        &["FCALL", "f", "0"],
        &["EVAL", SHEBANG, "0"],
        &["EVALSHA_RO", "unknown", "0"],
    ];
    let levels = ["master", "linearizable", "session", "global", "bounded=0", "eventual"];
    let mut sent = 0;
    for (script, level) in scripts.iter().flat_map(|it| levels.map(|level| (it, level))) {
        for is_restricted in [true, false] {
            let mut client = match is_restricted {
                true => logged_in(&mut proxy, "~a:* +@all -select"),
                false => proxy.connect(),
            };
            let once = ["PROXY", "ONCE", "LEVEL", level, "DO"];
            let once = proxy.send(&mut client, &encoded(&[&once[..], script].concat()));
            let was_sent = is_sent(&mut proxy);
            let mut client = match is_restricted {
                true => logged_in(&mut proxy, "~a:* +@all -select"),
                false => proxy.connect(),
            };
            let told = proxy.ask(&mut client, &format!("PROXY CONSISTENCY {level}"));
            assert_eq!(told, "+OK", "{level}");
            let told = proxy.send(&mut client, &encoded(script));
            let was_sent = was_sent | is_sent(&mut proxy);
            let what = format!("{script:?} {level}: {once} {told}");
            if is_restricted {
                assert!(!was_sent, "{what}");
                assert!([once, told].iter().all(|it| it.starts_with('-')), "{what}");
            }
            sent += usize::from(was_sent);
        }
    }
    assert!(12 < sent, "others' scripts go there: {sent}");
}
