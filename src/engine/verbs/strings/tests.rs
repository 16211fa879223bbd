//! What strings promise beyond the scripts.

use crate::base::time::WallMs;
use crate::engine::verbs::check::{Bench, check, words};
use crate::engine::{EffectBody, KeySlot, Kind, Value};
use crate::resp::{OwnedRequest, Protocol, Reply};
use proptest::prelude::*;

#[test]
fn strings() {
    check("strings.txt");
}

#[test]
fn newer_strings() {
    check("strings-newer.txt");
}

#[test]
fn common_subsequences() {
    check("strings-lcs.txt");
}

#[test]
fn matches_are_a_map_in_resp3() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    bench.ask("MSET a xab b ab");
    let got = bench.ask("LCS a b IDX WITHMATCHLEN").replace('\n', " ");
    assert_eq!(got, "%2 $7 matches *1 *3 *2 :1 :2 *2 :0 :1 :2 $3 len :2 ");
}

/// What the stream says of a line, words joined by spaces; commands by semicolons.
fn body(bench: &mut Bench, line: &str) -> String {
    bench.effects.begin(0);
    bench.ask(line);
    let spoken = bench.effects.items().iter().map(|item| match &item.body {
        EffectBody::AsSent => line.to_owned(),
        other => {
            let encoded = bench.effects.encoded(other).expect("it has words");
            let text = String::from_utf8_lossy(&encoded);
            text.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" ")
        }
    });
    spoken.collect::<Vec<_>>().join("; ")
}

#[test]
fn the_stream_says_what_redis_says() {
    let mut bench = Bench::default();
    // The clock stands at 1,000,000 ms.
    let facts = [
        ("SET k v", "SET k v"),
        ("SET k v NX", ""),
        ("set k v XX GET get", "set k v XX"),
        ("SET k v EX 100", "SET k v PXAT 1100000"),
        ("SET k v px 5000 GET", "SET k v PXAT 1005000"),
        ("SET k v EXAT 2000", "SET k v PXAT 2000000"),
        ("set k v pxat 2000000 XX", "SET k v PXAT 2000000"),
        ("SET k v KEEPTTL GET", "SET k v KEEPTTL"),
        ("SET get get GET", "SET get get"),
        ("SET gone v PXAT 1", "SET gone v PXAT 1"),
        ("SET gone v2", "DEL gone; SET gone v2"),
        ("SETNX k v", ""),
        ("SETNX k2 v", "SETNX k2 v"),
        ("SETEX k 100 v", "SET k v PXAT 1100000"),
        ("PSETEX k 100 v", "SET k v PXAT 1000100"),
        ("getset k v", "SET k v"),
        ("GETDEL k", "DEL k"),
        ("GETDEL k", ""),
        ("SET k v", "SET k v"),
        ("GETEX k", ""),
        ("GETEX k PERSIST", ""),
        ("GETEX k EX 100", "PEXPIREAT k 1100000"),
        ("GETEX k PERSIST", "PERSIST k"),
        ("GETEX k PXAT 1000000", "DEL k"),
        ("MSET a 1 b 2", "MSET a 1 b 2"),
        ("MSETNX a 1 c 2", ""),
        ("INCRBY n 0", "INCRBY n 0"),
        ("INCRBYFLOAT n 1.5", "SET n 1.5 KEEPTTL"),
        ("APPEND ap x", "APPEND ap x"),
        ("SETRANGE ap 0 y", "SETRANGE ap 0 y"),
        ("SETRANGE ap 9 \"\"", ""),
        ("INCR ap", ""),
    ];
    for (line, wanted) in facts {
        assert_eq!(body(&mut bench, line), wanted, "{line}");
    }
}

/// What Redis 7 has no words for goes to replicas and into files in words that it has.
#[test]
fn the_stream_says_newer_commands_in_older_words() {
    let mut bench = Bench::default();
    let facts = [
        ("SET k a", "SET k a"),
        ("SET k b IFEQ x", ""),
        ("SET k b ifeq a GET", "SET k b"),
        ("SET k c IFEQ b EX 100", "SET k c PXAT 1100000"),
        ("SET k d KEEPTTL IFEQ c", "SET k d KEEPTTL"),
        ("DELIFEQ k x", ""),
        ("delifeq k d", "DEL k"),
        ("MSETEX 2 a 1 b 2", "MSET a 1 b 2"),
        ("MSETEX 2 a 1 b 2 NX", ""),
        ("MSETEX 2 a 1 c 2 XX EX 100", ""),
        ("MSETEX 2 a 1 b 2 XX EX 100", "SET a 1 PXAT 1100000; SET b 2 PXAT 1100000"),
        ("MSETEX 2 a 3 c 4 KEEPTTL", "SET a 3 KEEPTTL; SET c 4 KEEPTTL"),
        ("PEXPIRETIME a", ""),
    ];
    for (line, wanted) in facts {
        assert_eq!(body(&mut bench, line), wanted, "{line}");
    }
    assert_eq!(slot(&bench, "a").deadline(), Some(WallMs(1_100_000)));
    assert_eq!(slot(&bench, "c").deadline(), None);
}

fn slot<'b>(bench: &'b Bench, key: &str) -> &'b KeySlot {
    bench.engine.view(0, WallMs::NEVER_EXPIRES).peek(key.as_bytes()).expect("there")
}

#[test]
fn a_string_is_named_by_how_it_came_to_be() {
    let mut bench = Bench::default();
    let facts = [
        ("SET k 12", "int"),
        ("SET k 012", "embstr"),
        ("SET k 9223372036854775807", "int"),
        ("SET k 9223372036854775808", "embstr"),
        ("INCRBYFLOAT k 1", "embstr"),
        ("GETEX k EX 100", "embstr"),
        ("SETRANGE k 0 \"\"", "embstr"),
        ("SETRANGE k 0 1", "raw"),
        ("GETEX k PERSIST", "raw"),
        ("SET k 1", "int"),
        ("APPEND k \"\"", "raw"),
        ("INCR k", "int"),
        ("GETDEL k", ""),
        ("APPEND k 12", "int"),
        ("APPEND k 3", "raw"),
        ("SETRANGE k 5000 x", "raw"),
        ("MSET k 14", "int"),
    ];
    for (line, wanted) in facts {
        bench.ask(line);
        if !wanted.is_empty() {
            assert_eq!(slot(&bench, "k").encoding(), wanted, "{line}");
        }
    }
    for (len, wanted) in [(44, "embstr"), (45, "raw"), (5000, "raw")] {
        bench.ask(&format!("SET k {}", "x".repeat(len)));
        assert_eq!(slot(&bench, "k").encoding(), wanted);
    }
}

#[test]
fn a_change_keeps_the_deadline_and_a_replacement_drops_it() {
    let mut bench = Bench::default();
    let keeps = ["INCR k", "APPEND k 1", "SETRANGE k 0 1", "INCRBYFLOAT k 1", "SET k 1 KEEPTTL"];
    let drops = ["SET k 1", "GETSET k 1", "MSET k 1", "SET k 1 XX GET", "GETEX k PERSIST"];
    let (kept, dropped) = (Some(WallMs(1_100_000)), None);
    let all = keeps.map(|it| (it, kept)).into_iter().chain(drops.map(|it| (it, dropped)));
    for (line, wanted) in all.chain([("SETRANGE k 5000 x", kept)]) {
        bench.ask("SET k 1 EX 100");
        bench.ask(line);
        assert_eq!(slot(&bench, "k").deadline(), wanted, "{line}");
    }
}

#[test]
fn another_type_is_refused_after_the_arguments_and_changes_nothing() {
    let mut bench = Bench::default();
    let mut db = bench.engine.db_mut_at(0, WallMs::NEVER_EXPIRES);
    db.put_value(b"h", Value::Hash(Default::default()), None);
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\n";
    let refused = [
        "GET h",
        "GETSET h v",
        "GETDEL h",
        "GETEX h",
        "GETEX h EX abc",
        "STRLEN h",
        "APPEND h x",
        "GETRANGE h 0 1",
        "SUBSTR h 0 1",
        "SETRANGE h 0 x",
        "SETRANGE h 0 \"\"",
        "INCR h",
        "SETRANGE h 536870912 x",
        "INCRBYFLOAT h abc",
        "SET h v GET",
        "SET h v NX GET",
    ];
    let others = [
        ("GETEX h BAD", "-ERR syntax error\n"),
        ("GETRANGE h a 1", "-ERR value is not an integer or out of range\n"),
        ("INCRBY h abc", "-ERR value is not an integer or out of range\n"),
        ("SET h v GET EX abc", "-ERR value is not an integer or out of range\n"),
        ("DECRBY h -9223372036854775808", "-ERR decrement would overflow\n"),
        ("SETRANGE h -1 x", "-ERR offset is out of range\n"),
        ("LCS h none BAD", "-ERR The specified keys must contain string values\n"),
        ("LCS none h", "-ERR The specified keys must contain string values\n"),
        ("SETNX h v", ":0\n"),
        ("MSETNX h v", ":0\n"),
        ("MGET h", "*1\n$-1\n"),
        ("SET h v NX", "$-1\n"),
    ];
    for (line, wanted) in refused.map(|it| (it, wrong_type)).into_iter().chain(others) {
        assert_eq!(bench.ask(line), wanted, "{line}");
        assert_eq!(slot(&bench, "h").kind(), Kind::Hash, "{line}");
    }
    assert_eq!(bench.ask("SET h v KEEPTTL"), "+OK\n");
}

/// Applies what the last write said as a hosted replica does: adopts what is shared, runs the rest.
fn follow(bench: &Bench, sent: &[Vec<u8>], replica: &mut Bench) {
    for item in bench.effects.items() {
        let shared = &bench.effects.shared()[item.shared.clone()];
        for slot in shared {
            replica.engine.db_mut_at(0, WallMs::NEVER_EXPIRES).apply_shared(slot.clone());
        }
        if shared.is_empty() {
            repeat(bench, &item.body, sent, replica);
        }
    }
}

fn repeat(bench: &Bench, body: &EffectBody, sent: &[Vec<u8>], replica: &mut Bench) {
    let spoken: Vec<Vec<u8>> = match body {
        EffectBody::AsSent => sent.to_vec(),
        other => {
            let text = bench.effects.encoded(other).expect("it has words");
            let lines =
                text.split(|it| *it == b'\n').map(|it| it.strip_suffix(b"\r").unwrap_or(it));
            lines.skip(2).step_by(2).map(<[u8]>::to_vec).collect()
        }
    };
    // Verbs of another family; the deadline is all they would change.
    if spoken[0] == b"DEL" {
        replica.engine.db_mut_at(0, WallMs::NEVER_EXPIRES).remove(&spoken[1]);
        return;
    }
    let owned = OwnedRequest::of(&spoken);
    let mut reply = Reply::default();
    let at = WallMs(0);
    let ran = replica.engine.repeat(0, at, owned.borrow(), &mut replica.effects, &mut reply);
    assert!(ran.is_ok(), "{spoken:?}");
}

fn contents(bench: &Bench) -> Vec<(Vec<u8>, Vec<u8>, Option<WallMs>)> {
    let entry = |it: &KeySlot| {
        let key = crate::engine::table::Slot::key(it).to_vec();
        (key, it.as_string().unwrap().to_vec(), it.deadline())
    };
    let mut all: Vec<_> = bench.engine.view(0, WallMs::NEVER_EXPIRES).iter().map(entry).collect();
    all.sort();
    all
}

fn writes() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["a", "b", "c"]);
    let form = prop::sample::select(vec![
        "SET K V",
        "SET K N",
        "SET K V NX",
        "SET K V XX GET",
        "SET K V PX N",
        "SET K V KEEPTTL GET",
        "SETNX K V",
        "PSETEX K N V",
        "GETSET K V",
        "GETDEL K",
        "MSET K V a V c N",
        "MSETNX K V b V",
        "APPEND K V",
        "APPEND K N",
        "SETRANGE K N V",
        "INCR K",
        "DECRBY K N",
        "INCRBYFLOAT K N.5",
        "SET K -V EXAT N",
        "SETRANGE K 4090 V",
    ]);
    (key, form, 0..300u32, 0..40usize).prop_map(|(key, form, number, len)| {
        let value = "v".repeat(len * len * 4);
        let word = |it: &str| match it {
            "K" => key.to_owned(),
            "V" => format!("\"{value}\""),
            it if it.starts_with('N') && it != "NX" => it.replace('N', &number.to_string()),
            it => it.to_owned(),
        };
        form.split(' ').map(word).collect::<Vec<_>>().join(" ")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Sharing is only a short cut past running the stream.
    #[test]
    fn replicas_hold_what_the_master_holds(lines in prop::collection::vec(writes(), 1..40)) {
        let (mut master, mut hosted) = (Bench::default(), Bench::default());
        let mut wired = Bench::default();
        for line in lines {
            let sent = words(&line);
            master.effects.begin(0);
            master.ask_words(&sent);
            follow(&master, &sent, &mut hosted);
            for item in master.effects.items() {
                repeat(&master, &item.body, &sent, &mut wired);
            }
            prop_assert_eq!(contents(&master), contents(&hosted), "{}", line);
            prop_assert_eq!(contents(&master), contents(&wired), "{}", line);
        }
    }

    /// Against the textbook's recursion, cell by cell.
    #[test]
    fn the_common_subsequence_is_as_long_as_can_be(one in "[abc]{0,12}", other in "[abc]{0,12}") {
        let mut bench = Bench::default();
        bench.ask(&format!("MSET a \"{one}\" b \"{other}\""));
        let text = bench.ask("LCS a b").lines().nth(1).unwrap_or_default().to_owned();
        let (a, b) = (one.as_bytes(), other.as_bytes());
        let mut best = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                let through = best[i - 1][j - 1] + usize::from(a[i - 1] == b[j - 1]);
                best[i][j] = through.max(best[i - 1][j]).max(best[i][j - 1]);
            }
        }
        prop_assert_eq!(text.len(), best[a.len()][b.len()]);
        for whole in [&one, &other] {
            let mut left = whole.chars();
            prop_assert!(text.chars().all(|it| left.any(|other| other == it)));
        }
        prop_assert_eq!(bench.ask("LCS a b LEN"), format!(":{}\n", text.len()));
    }
}
