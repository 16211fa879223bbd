//! What is written where, and what is left as it is.

use super::*;
use crate::command::EventClasses;
use crate::config::FollowWrites;
use crate::config::Fsync;
use crate::config::param::When;
use crate::engine::Policy;
use crate::route::CountHosted;
use proptest::prelude::*;
use proptest::sample::select;

const FILE: &str = "\
# The whole set.
[[listener]] # the front door
name = \"main\"
bind = \"127.0.0.1:6379\"

[server]
# Not too many.
maxclients   = 100   # a comment behind it
requirepass = 'old'
[server.client-output-buffer-limit]
slave = \"1mb 1mb 1\" # by its older name

[consistency]
level = \"sticky\"

# What follows is for later.
# [engine]
";

fn parse(text: &str) -> Config {
    Config::parse("e.toml", text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

fn set(config: &mut Config, words: &[(&str, &str)]) {
    let pairs: Vec<_> = words.iter().map(|it| (it.0.as_bytes(), it.1.as_bytes())).collect();
    config.set(&pairs).unwrap();
}

/// The file after CONFIG SET and REWRITE.
fn rewritten(text: &str, words: &[(&str, &str)]) -> String {
    let read = parse(text);
    let mut running = read.clone();
    set(&mut running, words);
    let members = read.all_members();
    let rewrite = Rewrite { read: &read, file: &read, running: &running, members: &members };
    let written = rewrite.text(text).unwrap().text;
    assert_eq!(parse(&written), running, "{written}");
    written
}

#[test]
fn only_what_differs_is_written_and_comments_stay() {
    assert_eq!(rewritten(FILE, &[]), FILE);
    assert_eq!(rewritten(FILE, &[("maxclients", "100")]), FILE);
    let written = rewritten(
        FILE,
        &[
            ("maxclients", "7"),
            ("requirepass", "a \"new\" one"),
            ("timeout", "90"),
            ("client-output-buffer-limit", "replica 2mb 5 7 normal 1 2 3"),
            ("min-replicas-max-lag", "500ms"),
            ("hash-max-listpack-value", "1kb"),
            ("latency-tracking-info-percentiles", "50 99.9"),
        ],
    );
    let expected = FILE
        .replace("maxclients   = 100 ", "maxclients   = 7 ")
        .replace("'old'", "'a \"new\" one'\ntimeout = \"90s\"")
        .replace(
            "timeout = \"90s\"",
            "timeout = \"90s\"\nlatency-tracking-info-percentiles = [50, 99.9]",
        )
        .replace(
            "\"1mb 1mb 1\" # by its older name",
            "\"2mb 5 7\" # by its older name\nnormal = \"1 2 3\"",
        );
    let head = expected.split("\n# What follows").next().unwrap();
    assert!(written.starts_with(head), "{written}");
    let tail = "\n# What follows is for later.\n# [engine]\n\n\
                [set]\nmin-replicas-max-lag = \"500ms\"\n\n\
                [engine]\nhash-max-listpack-value = \"1kb\"\n";
    assert_eq!(&written[head.len()..], tail);
}

#[test]
fn a_file_may_be_written_in_any_way_that_toml_knows() {
    for text in [
        "",
        "# nothing\n",
        "server.maxclients = 5\nset = { replicas = 1, hz = 20 } # one line\n",
        "[server]\nclient-output-buffer-limit = \"pubsub 1 1 1\"\n",
        "[server]\nclient-output-buffer-limit = { replica = \"1 1 1\", slave = \"2 2 2\" }",
        "[server.client-output-buffer-limit]\npubsub = \"1 1 1\"\n[set]\n",
        "[\"server\"]\r\n\"maxclients\" = 5\r\n",
    ] {
        let limits = ("client-output-buffer-limit", "replica 3 3 3 pubsub 4 4 4");
        let written = rewritten(text, &[("maxclients", "6"), ("hz", "30"), limits]);
        assert_eq!(rewritten(&written, &[("maxclients", "6")]), written);
        let ends = written.matches('\n').count();
        let expected = if text.contains('\r') { ends } else { 0 };
        assert_eq!(written.matches("\r\n").count(), expected, "{written:?}");
        let comments = text.matches('#').count();
        assert_eq!(written.matches('#').count(), comments, "{written}");
    }
}

#[test]
fn what_somebody_has_changed_in_the_file_stays_unless_both_have() {
    let read = parse("[server]\nmaxclients = 5\ntimeout = 5\n");
    let mut running = read.clone();
    set(&mut running, &[("maxclients", "6")]);
    let members = read.all_members();
    let rewrite = |text: &str| {
        let file = parse(text);
        Rewrite { read: &read, file: &file, running: &running, members: &members }.text(text)
    };
    let edited = "[server]\nmaxclients = 5\ntimeout = 7 # mine\nhz = 1\n".replace("hz = 1\n", "");
    assert_eq!(rewrite(&edited).unwrap().text, edited.replace("= 5", "= 6"));
    let same = "[server]\nmaxclients = 6\n";
    assert_eq!(rewrite(same).unwrap().text, same, "a key that was removed stays removed");
    for both in ["[server]\nmaxclients = 7\n", "[server]\n"] {
        let why = rewrite(both).unwrap_err();
        let told = "server.maxclients was changed by CONFIG SET and in the file since it was read";
        assert!(why.starts_with(told), "{why}");
    }
}

fn member(name: &str) -> MemberConfig {
    MemberConfig { name: name.to_owned(), ..MemberConfig::unnamed(0) }
}

/// The file when these are the members.
fn with_members(text: &str, members: &[MemberConfig]) -> Result<String, String> {
    let read = parse(text);
    let rewrite = Rewrite { read: &read, file: &read, running: &read, members };
    let written = rewrite.text(text)?.text;
    match Config::parse("e.toml", &written) {
        Ok(after) => assert_eq!(after.all_members(), members, "{written}"),
        Err(why) => return Err(why),
    }
    Ok(written)
}

#[test]
fn members_that_come_and_go_are_written() {
    let four = MemberConfig::all_unnamed(3);
    assert_eq!(with_members("", &four).unwrap(), "[set]\nreplicas = 3\n");
    let said = "[set]\nreplicas = 2 # two\n";
    assert_eq!(with_members(said, &four).unwrap(), said.replace("= 2", "= 3"));
    assert_eq!(with_members(said, &four[..1]).unwrap(), said.replace("= 2", "= 0"));
    let described = "[[member]]\n# the first\n[[member]]\nname = \"b\" # b\ntags = [\"x\"]\n\
                     [[member]]\nname = \"c\"\n\n[consistency]\nacks = 0\n";
    let mut members = parse(described).all_members();
    members.push(MemberConfig { zone: Some("z".into()), dedicated: true, ..member("d") });
    let more = with_members(described, &members).unwrap();
    let added = "\n[[member]]\nname = \"d\"\nzone = \"z\"\ndedicated = true\n";
    assert_eq!(more, described.replace("name = \"c\"\n", &format!("name = \"c\"\n{added}")));
    members.remove(1);
    let fewer = with_members(&more, &members).unwrap();
    let without = "[[member]]\nname = \"b\" # b\ntags = [\"x\"]\n";
    assert_eq!(fewer, more.replace(without, ""));
    let inline = with_members("member = [{ name = \"a\" }]\n", &[member("a"), member("n2")]);
    assert!(inline.unwrap_err().ends_with("[[member]]"));
    let alone = with_members(described, &members[..1]).unwrap();
    assert_eq!(alone.matches("# the first").count(), 1, "{alone}");
    let why = with_members("", &[member("n1"), member("n3")]).unwrap_err();
    assert!(why.ends_with("the member name `n3` is kept for the third member"), "{why}");
}

#[test]
fn the_master_that_replicaof_has_set_is_written_and_who_logs_in_there_stays() {
    let text = "[set]\nmaster = \"redis://u:p@db.example:7000\" # far\nhz = 5\n";
    let read = parse(text);
    let members = read.all_members();
    let with = |master: Option<&str>| {
        let mut running = read.clone();
        running.set.master = master.map(|it| parse(it).set.master.unwrap());
        let rewrite = Rewrite { read: &read, file: &read, running: &running, members: &members };
        let written = rewrite.text(text).unwrap();
        assert_eq!(written.keys, ["set.master"]);
        assert_eq!(parse(&written.text), running, "{}", written.text);
        written.text
    };
    let other = with(Some("[set]\nmaster = \"other:7\"\n"));
    assert!(other.contains("master = \"other:7\" # far\n"), "{other}");
    assert!(!with(None).contains("db.example"));
}

/// A parameter that CONFIG SET takes, and a value.
fn setting() -> impl Strategy<Value = (&'static str, String)> {
    let live = |it: &&Param| it.when == When::Live;
    let params: Vec<&Param> = PARAMS.iter().filter(live).collect();
    let number = prop_oneof![0..9_i64, 0..5_000_i64, (0..5_000_i64).prop_map(|it| it << 20)];
    (0..params.len(), number, "[a-z\"'\\\\#=é\n]{0,9}").prop_map(move |(at, number, text)| {
        let param = params[at];
        let value = match &param.slot {
            Slot::Count { min, max, .. } | Slot::Signed { min, max, .. } => {
                number.clamp(*min, *max).to_string()
            }
            Slot::Size { min, max, .. } => number.clamp(*min, *max).to_string(),
            Slot::Time { .. } if number % 2 == 0 => (1 + number % 99_999).to_string(),
            Slot::Time { .. } => format!("{}us", 1000 + number),
            Slot::Switch(_) => ["yes", "no"][number as usize % 2].to_owned(),
            Slot::Loglevel(_) => ["debug", "warning"][number as usize % 2].to_owned(),
            Slot::Limits(_) => {
                let kind = ["normal", "replica", "pubsub"][number as usize % 3];
                format!("{kind} {number} {} {}", number / 3, number % 100)
            }
            Slot::Percentiles(_) => format!("{} {}", number % 101, (number % 1000) as f64 / 10.0),
            Slot::Writes(_) => FollowWrites::ALL[number as usize % 2].1.to_owned(),
            Slot::CountHosted(_) => CountHosted::ALL[number as usize % 3].1.to_owned(),
            Slot::Fsync(_) => Fsync::ALL[number as usize % 3].1.to_owned(),
            Slot::Events(_) => EventClasses::from_bits_truncate(number as u16).written(),
            Slot::Policy(_) => Policy::ALL[number as usize % 8].1.to_owned(),
            Slot::Share(_) => format!("{}%", number % 101),
            Slot::Save(_) => format!("{} {}", 1 + number % 99, number),
            Slot::FileName(_) => format!("file-{number}"),
            Slot::OneOf { words, .. } => words[number as usize % words.len()].to_owned(),
            Slot::Words { words, .. } => words[..number as usize % (words.len() + 1)].join(" "),
            Slot::Master | Slot::Text(_) | Slot::Secret(_) | Slot::Access(_) | Slot::Shown(_) => {
                text
            }
        };
        (param.name, value)
    })
}

proptest! {
    #[test]
    fn what_was_written_is_what_is_read(
        rounds in prop::collection::vec(prop::collection::vec(setting(), 0..6), 1..4),
        text in select(vec!["", FILE, "set.hz = 30\n", "set = { hz = 20 }\n"]),
    ) {
        let mut text = text.to_owned();
        for round in rounds {
            let read = parse(&text);
            let mut running = read.clone();
            for (name, value) in &round {
                // Without a directory nothing can be asked of it.
                let _ = running.set(&[(name.as_bytes(), value.as_bytes())]);
            }
            let members = read.all_members();
            let rewrite =
                Rewrite { read: &read, file: &read, running: &running, members: &members };
            let written = rewrite.text(&text).unwrap();
            let after = parse(&written.text);
            prop_assert_eq!(&after, &running);
            prop_assert!(read.reloaded(after.clone(), &members).is_ok());
            prop_assert_eq!(running.changes(&after), Vec::<String>::new());
            text = written.text;
        }
    }
}
