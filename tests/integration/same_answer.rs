//! Members at the same offset give the same answers, byte for byte, whatever they have been
//! through: the real binary, asked over the wire.

use crate::support::{Server, Value, WORKERS, Wire, node, ok, until, words};

fn until_in_step(wire: &mut Wire, names: &[&str]) {
    for name in names {
        until("a member to be in step", || {
            let stands = node(wire, name);
            let has_all = stands["lag-bytes"].int() == Some(0);
            (has_all && stands["in-service"].int() == Some(1)).then_some(())
        });
    }
}

fn members_of(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|it| format!("{prefix}{it}")).collect()
}

fn say(wire: &mut Wire, of: &[&str], more: &[String]) {
    let line: Vec<&str> = of.iter().copied().chain(more.iter().map(String::as_str)).collect();
    let told = wire.cmd(&line);
    assert!(!told.is_error(), "{of:?}: {told}");
}

/// Collections of every form, some that have grown and shrunk by commands whose effects are not
/// what the client said.
fn fill(wire: &mut Wire) {
    let pairs = |names: &[String]| -> Vec<String> {
        names.iter().enumerate().flat_map(|(at, it)| [it.clone(), at.to_string()]).collect()
    };
    let scores = |names: &[String]| -> Vec<String> {
        names.iter().enumerate().flat_map(|(at, it)| [at.to_string(), it.clone()]).collect()
    };
    let (few, many) = (members_of("m", 0..20), members_of("member:", 0..5000));
    for (size, names) in [("few", &few), ("many", &many)] {
        say(wire, &["SADD", &format!("set:{size}")], names);
        say(wire, &["HSET", &format!("hash:{size}")], &pairs(names));
        say(wire, &["ZADD", &format!("zset:{size}")], &scores(names));
        say(wire, &["RPUSH", &format!("list:{size}")], names);
        for shrunk in ["one", "some", "most", "nearly"] {
            say(wire, &["SADD", &format!("{shrunk}:{size}")], names);
            say(wire, &["ZADD", &format!("z{shrunk}:{size}")], &scores(names));
            say(wire, &["HSET", &format!("h{shrunk}:{size}")], &pairs(names));
        }
        let len = names.len();
        for (name, goes) in
            [("one", 1), ("some", len / 3), ("most", len / 10 * 9), ("nearly", len - 3)]
        {
            say(wire, &["SPOP", &format!("{name}:{size}"), &goes.to_string()], &[]);
            say(wire, &["ZPOPMIN", &format!("z{name}:{size}"), &goes.to_string()], &[]);
            say(wire, &["HDEL", &format!("h{name}:{size}")], &names[..goes]);
        }
        say(wire, &["SADD", &format!("again:{size}")], names);
        say(wire, &["SPOP", &format!("again:{size}"), &(len - 5).to_string()], &[]);
        say(wire, &["SADD", &format!("again:{size}")], &members_of("x", 0..len));
    }
    say(wire, &["SADD", "ints"], &members_of("", 0..300));
    say(wire, &["SPOP", "ints", "50"], &[]);
    say(wire, &["SUNIONSTORE", "union", "some:many", "ints"], &[]);
    say(wire, &["ZUNIONSTORE", "zunion", "2", "zsome:many", "ints"], &[]);
    say(wire, &["ZREMRANGEBYRANK", "zunion", "100", "900"], &[]);
    say(wire, &["SMOVE", "ints", "union", "7"], &[]);
    say(wire, &["COPY", "union", "copied"], &[]);
    say(wire, &["SORT", "list:many", "BY", "nosort", "STORE", "sorted"], &[]);
    let sets: Vec<_> = (0..5000).map(|it| words(&["SET", &format!("key:{it}"), "x"])).collect();
    let dels: Vec<_> = (0..4000).map(|it| words(&["DEL", &format!("key:{it}")])).collect();
    wire.pipeline(&sets);
    wire.pipeline(&dels);
    ok(wire, "SET lasting x EX 100000");
    ok(wire, "SET number 12345678901");
}

/// Questions whose answers may depend on chance or order.
fn questions(wire: &mut Wire) -> Vec<String> {
    let mut lines: Vec<String> =
        ["RANDOMKEY", "KEYS *", "SCAN 0 COUNT 100", "SCAN 0 COUNT 10000", "DBSIZE"]
            .map(str::to_owned)
            .to_vec();
    let mut cursor = "0".to_owned();
    loop {
        let told = wire.ask(&format!("SCAN {cursor} COUNT 500"));
        cursor = told.list()[0].string();
        if cursor == "0" {
            break;
        }
        lines.push(format!("SCAN {cursor} COUNT 500"));
    }
    let mut keys: Vec<String> = wire.ask("KEYS *").list().iter().map(Value::string).collect();
    keys.retain(|it| !it.starts_with("key:"));
    keys.sort();
    for key in keys {
        lines.push(format!("OBJECT ENCODING {key}"));
        lines.push(format!("TYPE {key}"));
        lines.push(format!("DUMP {key}"));
        lines.push(format!("PEXPIRETIME {key}"));
        let kind = wire.ask(&format!("TYPE {key}")).string();
        let asked: &[&str] = match kind.as_str() {
            "set" => &[
                "SMEMBERS {}",
                "SSCAN {} 0 COUNT 50",
                "SRANDMEMBER {}",
                "SRANDMEMBER {} 7",
                "SRANDMEMBER {} -7",
                "SRANDMEMBER {} 100000",
                "SRANDMEMBER {} 400",
            ],
            "hash" => &[
                "HGETALL {}",
                "HKEYS {}",
                "HSCAN {} 0 COUNT 50",
                "HRANDFIELD {}",
                "HRANDFIELD {} 7 WITHVALUES",
                "HRANDFIELD {} -7",
                "HRANDFIELD {} 400",
            ],
            "zset" => &[
                "ZRANGE {} 0 -1 WITHSCORES",
                "ZSCAN {} 0 COUNT 50",
                "ZRANDMEMBER {}",
                "ZRANDMEMBER {} 7 WITHSCORES",
                "ZRANDMEMBER {} -7",
                "ZRANDMEMBER {} 400",
            ],
            "list" => &["LRANGE {} 0 -1"],
            _ => &["GET {}", "STRLEN {}"],
        };
        lines.extend(asked.iter().map(|it| it.replace("{}", &key)));
    }
    lines
}

fn answer(wire: &mut Wire, name: &str, seed: u32, line: &str) -> Vec<u8> {
    let line = format!("PROXY ONCE AT {name} SEED {seed} DO {line}");
    wire.send(&[words(&line.split(' ').collect::<Vec<_>>())]);
    let (value, raw) = wire.read_raw();
    assert!(!value.is_error(), "{line}: {value}");
    raw
}

/// Asks every member every question. Answers the questions whose answers differ.
fn differences(wire: &mut Wire, names: &[&str]) -> Vec<String> {
    let lines = questions(wire);
    let mut found = Vec::new();
    for line in &lines {
        for seed in [7, 8, 9] {
            let first = answer(wire, names[0], seed, line);
            let mut differs = |it: &&&str| answer(wire, it, seed, line) != first;
            let others: Vec<_> = names[1..].iter().filter(|it| differs(it)).copied().collect();
            if !others.is_empty() {
                found.push(format!("{line} SEED {seed}: {others:?}"));
                break;
            }
        }
    }
    found
}

#[test]
fn members_at_one_offset_answer_alike_whatever_they_have_been_through() {
    WORKERS.iter().for_each(|it| compare_members(it));
}

fn compare_members(workers: &str) {
    let text = "[set]\nreplica-feed-limit = \"1mb\"\n[[listener]]\nname = \"main\"\n\
                bind = \"127.0.0.1:{port}\"\n[server]\nthreads = ";
    let server = Server::entourage_with_config(&format!("{text}{workers}\n"));
    server.disconnects_replicas();
    let mut wire = server.dial();
    fill(&mut wire);
    until_in_step(&mut wire, &["n2", "n3"]);
    assert_eq!(differences(&mut wire, &["n1", "n2", "n3"]), Vec::<String>::new());

    // One is disconnected and copied anew, another is new.
    ok(&mut wire, "PROXY NODE n2 PAUSE");
    let value = "x".repeat(64 << 10);
    (0..64).for_each(|it| ok(&mut wire, &format!("SET big:{it} {value}")));
    assert_eq!(node(&mut wire, "n2")["in-service"].int(), Some(0));
    ok(&mut wire, "PROXY NODE n2 RESUME");
    assert_eq!(wire.ask("PROXY NODE ADD").string(), "n4");
    until_in_step(&mut wire, &["n2", "n3", "n4"]);
    assert_eq!(node(&mut wire, "n2")["full-resyncs"].int(), Some(1));
    let all = ["n1", "n2", "n3", "n4"];
    assert_eq!(differences(&mut wire, &all), Vec::<String>::new());

    // Afterwards they all go on in the same way, under another master too.
    fill(&mut wire);
    until_in_step(&mut wire, &["n2", "n3", "n4"]);
    assert!(wire.ask("PROXY FAILOVER TO n4").string().starts_with("OK"));
    wire.ask("SPOP set:many 2000");
    until_in_step(&mut wire, &["n1", "n2", "n3"]);
    assert_eq!(differences(&mut wire, &all), Vec::<String>::new());
}

#[test]
fn the_seed_alone_decides_how_dice_fall() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    fill(&mut wire);
    until_in_step(&mut wire, &["n2", "n3"]);
    let once = |wire: &mut Wire, seed: i64| {
        wire.ask(&format!("PROXY ONCE SEED {seed} DO SRANDMEMBER set:many 5")).to_string()
    };
    let told: Vec<String> = (0..20).map(|_| once(&mut wire, 7)).collect();
    assert!(told.iter().all(|it| *it == told[0]), "wherever it is asked: {told:?}");
    assert_ne!(once(&mut wire, 8), told[0]);
    assert_ne!(once(&mut wire, -7), told[0]);
    let free = |wire: &mut Wire| wire.ask("SRANDMEMBER set:many 5").to_string();
    assert_ne!(free(&mut wire), free(&mut wire), "without a seed chance goes on as it was");
}
