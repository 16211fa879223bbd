//! What users may do, where it matters when and where something is done.

use super::*;
use crate::commands::Job;
use parking_lot::Mutex;
use proptest::prelude::*;

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
    let levels = ["master", "linearizable", "global", "sticky", "bounded 1ms", "eventual"];
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

/// What happens at a reading, which is counted down.
type Meddler = (usize, Box<dyn FnOnce() + Send>);

/// A clock at one of whose readings something else happens.
struct Meddling {
    what: Mutex<Option<Meddler>>,
}

impl Clock for Meddling {
    fn mono_ns(&self) -> u64 {
        let mut what = self.what.lock();
        let happens = match &mut *what {
            Some((0, _)) => true,
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let what = if happens { what.take() } else { None };
        if let Some((_, it)) = what {
            it();
        }
        Still.mono_ns()
    }

    fn wall_now(&self) -> WallMs {
        Still.wall_now()
    }
}

/// Lets a client of these rules say this, and an operator say something else at one of the readings
/// of the clock meanwhile. Answers the replies, what has become of the connection, and whether
/// the operator's turn has come.
fn meddled(rules: &str, bytes: &[u8], at: usize, order: &'static str) -> (String, bool, bool) {
    let mut proxy = Proxy::new("");
    let mut client = logged_in(&mut proxy, rules);
    let server = proxy.server.clone();
    let meddle = move || {
        assert_eq!(Proxy::of(server).ask_anew(order), "+OK");
    };
    let clock = Meddling { what: Mutex::new(Some((at, Box::new(meddle)))) };
    proxy.handle_by(&clock, &mut client, Event::Bytes(bytes));
    let told = replies(&mut client);
    for message in client.caller.client.mailbox.take().unwrap() {
        proxy.handle(&mut client, Event::Message(message));
    }
    let has_come = clock.what.lock().is_none();
    (told, client.is_closing(), has_come)
}

/// What was done when the operator's turn came at this reading of the clock, at the next, and so on
/// until it did not come any more.
fn done(bytes: &[u8], count: impl Fn(&str) -> usize) -> Vec<usize> {
    let told = |at| meddled("~a +@all", bytes, at, "ACL SETUSER u resetkeys");
    let turns = (0..).map(told).take_while(|(_, _, has_come)| *has_come);
    turns.map(|(told, ..)| count(&told)).collect()
}

#[test]
fn rights_that_are_taken_away_in_the_middle_of_a_batch_are_gone_at_once() {
    let batch = "ZADD a 1 m\r\n".repeat(8);
    let done = done(batch.as_bytes(), |told| told.matches(':').count());
    assert!(8 < done.len(), "{done:?}");
    // At most the one that has begun is done.
    assert!(done.windows(2).all(|it| it[1] <= it[0] + 1), "{done:?}");
    assert!(done[0] <= 1, "{done:?}");
}

#[test]
fn rights_that_are_taken_away_from_a_running_script_are_gone_at_once() {
    let text = "local n = 0 for i = 1, 8 do if type(redis.pcall('zadd', 'a', i, i)) == 'number' \
                then n = n + 1 end end return n";
    for script in [vec!["EVAL", text, "0"], vec!["EVAL", &text.replace("zadd", "zcount"), "0"]] {
        let number = |told: &str| told.strip_prefix(':').map_or(0, |it| it.parse().unwrap());
        let done = done(&encoded(&script), number);
        assert!(8 < done.len(), "{done:?}");
        assert!(done.windows(2).all(|it| it[1] <= it[0] + 1), "{done:?}");
        assert!(done[0] <= 1, "{done:?}");
    }
}

#[test]
fn nobody_goes_on_to_hear_what_was_forbidden_while_it_subscribed() {
    for line in ["SUBSCRIBE c", "PSUBSCRIBE c", "SSUBSCRIBE c", "MULTI\r\nSUBSCRIBE c\r\nEXEC"] {
        let mut turns = 0;
        for at in 0.. {
            let (rules, bytes) = ("&c +@all", format!("{line}\r\n"));
            let order = "ACL SETUSER u resetchannels";
            let (told, is_closing, has_come) = meddled(rules, bytes.as_bytes(), at, order);
            if !has_come {
                assert!(!is_closing && told.contains("subscribe"), "{told}");
                break;
            }
            turns += 1;
            assert!(is_closing || told.contains("-NOPERM"), "{line} {at}: {told}");
        }
        assert!(1 < turns, "{line}");
    }
}

/// Requests that touch keys, to which words are added.
const TOUCHING: &[&str] = &[
    "GEORADIUS a:geo 0 0 9 m",
    "GEORADIUSBYMEMBER a:geo m 9 m",
    "GEOSEARCHSTORE a:x a:geo FROMLONLAT 0 0 BYRADIUS 9 m",
    "SORT a:list",
    "SORT_RO a:list",
    "ZUNIONSTORE a:x 1 a:geo",
    "ZINTERSTORE a:x 2 a:geo",
    "ZDIFFSTORE a:x 1",
    "ZUNION 2 a:geo",
    "ZRANGESTORE a:x a:geo 0 -1",
    "SINTERCARD 1 a:set",
    "SUNIONSTORE a:x",
    "LMPOP 1 a:list LEFT",
    "LMPOP 2",
    "ZMPOP 1 a:geo MIN",
    "BLMPOP 0 1 a:list RIGHT",
    "BITOP NOT a:x",
    "BITOP OR a:x a:str",
    "PFMERGE a:x",
    "COPY a:str",
    "RENAME a:str",
    "SMOVE a:set",
    "LMOVE a:list",
    "RPOPLPUSH a:list",
    "MSET a:x 1",
    "MSETNX a:x 1",
    "DEL a:x",
    "SET a:x 1",
    "GETEX a:str",
    "LCS a:str",
    "XREAD STREAMS a:stream",
    "XGROUP CREATE a:stream g 0",
    "XREADGROUP GROUP g c STREAMS a:stream",
    "OBJECT ENCODING",
    "MEMORY USAGE",
    "WATCH",
    "EVAL return(redis.call(KEYS[1],KEYS[2])) 2 get",
    "RESTORE a:x 0 x",
    "BITFIELD a:str",
];

const WORDS: &[&str] = &[
    "STORE",
    "STOREDIST",
    "COUNT",
    "BY",
    "GET",
    "LIMIT",
    "WEIGHTS",
    "AGGREGATE",
    "LEFT",
    "RIGHT",
    "REPLACE",
    "KEYS",
    "STREAMS",
    "BLOCK",
    "DESC",
    "0",
    "1",
    "2",
    "3",
    ">",
    "*",
    "x*",
    "b:*",
    "a:x",
    "a:list",
    "a:geo",
    "b:str",
    "b:list",
    "b:geo",
    "b:set",
    "b:stream",
    "b:new",
];

/// Those whose options say where to store, and their options.
const STORING: &[&str] =
    &["GEORADIUS a:geo 0 0 9 m", "GEORADIUSBYMEMBER a:geo m 9 m", "SORT a:list"];
const OPTIONS: &[&str] = &[
    "STORE a:x",
    "STORE b:new",
    "STOREDIST a:x",
    "STOREDIST b:new",
    "STORE",
    "COUNT 1",
    "LIMIT 0 1",
    "BY STORE",
    "DESC",
];

fn touching() -> impl Strategy<Value = String> {
    let request = |first: &'static [&str], more: &'static [&str], most| {
        let more = prop::collection::vec(prop::sample::select(more), 0..most);
        let first = prop::sample::select(first);
        (first, more).prop_map(|(first, more)| format!("{first} {}", more.join(" ")))
    };
    prop_oneof![request(TOUCHING, WORDS, 6), request(STORING, OPTIONS, 4)]
}

/// All keys whose name begins with `b:`, as an operator sees them.
fn forbidden(proxy: &mut Proxy) -> String {
    let mut told = proxy.ask_anew("SCAN 0 MATCH b:* COUNT 1000");
    for name in ["str", "list", "set", "geo", "stream"] {
        told += &proxy.ask_anew(&format!("DUMP b:{name}"));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_request_touches_a_key_that_its_user_may_not(
        requests in prop::collection::vec(touching(), 40),
    ) {
        let mut proxy = Proxy::new("[set]\nreplicas = 0\n");
        let mut client = logged_in(&mut proxy, "~a:* ~s* +@all -select -@admin -keys -scan");
        let mut op = proxy.connect();
        for side in ["a", "b"] {
            let value = if side == "a" { "plain" } else { "secret" };
            for line in [
                format!("SET {side}:str {value}"),
                format!("RPUSH {side}:list {value} {value}1"),
                format!("SADD {side}:set {value}"),
                format!("GEOADD {side}:geo 0 0 m 0 0 {value}"),
                format!("XADD {side}:stream 1-1 f {value}"),
            ] {
                prop_assert!(!proxy.ask(&mut op, &line).starts_with('-'));
            }
        }
        let before = forbidden(&mut proxy);
        for request in &requests {
            let told = proxy.ask(&mut client, request);
            prop_assert!(!told.contains("secret"), "{} {}", request, told);
            prop_assert_eq!(&forbidden(&mut proxy), &before, "{} {}", request, told);
            if client.is_blocked() {
                client = logged_in(&mut proxy, "");
            }
        }
    }
}
