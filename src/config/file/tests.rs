//! What a file may say, and how it is told what it may not.

use super::*;
use crate::base::ids::RouteId;
use crate::config::param::When;
use crate::route::Step;

const DEFAULTS: &str = include_str!("../../../config/entourage.toml");
const ROUTES: &str = include_str!("../../../config/routes.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse("e.toml", text)
}

#[track_caller]
fn refused(text: &str, why: &str) {
    assert_eq!(parse(text).unwrap_err(), why);
}

#[test]
fn the_example_spells_out_the_defaults_and_nothing_is_missing() {
    assert_eq!(Config::parse("config/entourage.toml", DEFAULTS), Ok(Config::default()));
    assert_eq!(parse(""), Ok(Config::default()));
    for param in PARAMS.iter().filter(|it| it.section != Section::Nowhere) {
        let named =
            |line: &str| line.split(['=', ']']).next().unwrap().contains(param.in_section());
        assert!(DEFAULTS.lines().any(named), "{} is not in the example", param.name);
    }
}

#[test]
fn every_default_is_a_value_its_own_row_takes() {
    let defaults = Config::default();
    for param in PARAMS.iter().filter(|it| it.when == When::Live) {
        let mut config = Config::default();
        let shown = param.slot.show(&defaults);
        assert_eq!(param.slot.take(&mut config, &shown), Ok(()), "{}", param.name);
        assert_eq!(config, defaults, "{}", param.name);
    }
}

#[test]
fn the_routes_example_is_sound() {
    let config = Config::parse("config/routes.toml", ROUTES).unwrap();
    assert_eq!(names(&config), ["n1", "n2", "n3", "reports (tag:analytics, dedicated)"]);
    let routes = config.routes;
    let bank = routes.get(RouteId(1));
    assert_eq!((bank.name.as_str(), bank.level), ("bank", Some(Level::Linearizable)));
    assert_eq!((bank.acks, bank.acks_timeout), (Acks::Count(1), Duration::from_millis(500)));
    assert_eq!(bank.ladder, Ladder::default());
    assert!(routes.looks_at_keys());
    let dashboards = routes.get(RouteId(3));
    assert_eq!(dashboards.ladder.steps()[2], Step::Wait(Duration::from_millis(50)));
    assert_eq!(dashboards.matches.dbs, [3]);
    assert_eq!(routes.get(RouteId(4)).members, [Selector::Tag("analytics".into())]);
    assert_eq!(routes.all().last().unwrap().sticky_for, Some(Duration::from_millis(500)));
}

#[test]
fn routes_inherit_what_they_leave_out() {
    let text = "[consistency]\nlevel = 'eventual'\non-lag = ['stale']\nacks = 'all'\n\
                sticky-for = '1s'\n[[route]]\nname = 'a'\nsticky-for = '0s'\n[[route]]\n\
                name = 'b'\non-lag = []\n";
    let routes = parse(text).unwrap().routes;
    let (a, b) = (routes.get(RouteId(1)), routes.get(RouteId(2)));
    assert_eq!((a.acks, a.sticky_for, a.ladder.steps()), (Acks::All, None, &[Step::Stale][..]));
    assert_eq!((b.sticky_for, b.ladder.steps()), (Some(Duration::from_secs(1)), &[][..]));
    assert_eq!((a.level, routes.default_level()), (None, Level::Eventual));
}

#[test]
fn a_listener_says_who_shares_a_floor_and_else_the_default_does() {
    let text = "[consistency]\nsticky-scope = 'client-name'\n[[listener]]\nname = 'a'\n\
                bind = '127.0.0.1:1'\n[[listener]]\nname = 'b'\nbind = '127.0.0.1:2'\n\
                sticky-scope = 'User'\n";
    let config = parse(text).unwrap();
    assert_eq!(["a", "b"].map(|it| config.listener_scope(it).as_str()), ["client-name", "user"]);
    refused(
        "[consistency]\nsticky-scope = 'everybody'\n",
        "e.toml:2: consistency.sticky-scope = 'everybody' is not accepted; write connection, \
         client-name or user",
    );
    let why = parse("[[route]]\nname = 'a'\nsticky-scope = 'user'\n").unwrap_err();
    assert!(why.contains("unknown key `sticky-scope`"), "{why}");
}

#[test]
fn a_wrong_value_is_told_with_its_place_and_what_is_accepted() {
    refused(
        "[server]\n\nmaxclients = 0 # none\n",
        "e.toml:3: server.maxclients = 0 is not accepted; write a whole number from 1 to \
         4294967295",
    );
    refused(
        "[server]\nmetrics = \"on\"\n",
        "e.toml:2: server.metrics = \"on\" is not accepted; write true or false",
    );
    refused(
        "[set]\nmin-replicas-max-lag = \"500\"\nrepl-ping-replica-period = \"0ms\"\n",
        "e.toml:3: set.repl-ping-replica-period = \"0ms\" is not accepted; write a time above 0, \
         like \"500ms\", \"10s\" or a number of seconds",
    );
    refused(
        "[server]\nloglevel = \"loud\"\n",
        "e.toml:2: server.loglevel = \"loud\" is not accepted; write debug, verbose, notice, \
         warning",
    );
    refused(
        "[set]\nreplica-feed-limit = \"1\"\n",
        "e.toml:2: set.replica-feed-limit = \"1\" is not accepted; write a size of 1048576 bytes \
         or more, like 100000 or \"1mb\"",
    );
}

#[test]
fn tables_and_lists_are_told_apart_from_plain_values() {
    let limits =
        parse("[server]\nclient-output-buffer-limit = { pubsub = \"1mb 0 0\" }\n").unwrap();
    assert_eq!(limits.server.output_limits.pubsub.hard_bytes, 1 << 20);
    assert_eq!(limits.server.output_limits.replica.hard_bytes, 256 << 20);
    for bad in ["{ other = \"1 2 3\" }", "{ normal = \"1 2\" }", "[1, 2, 3]", "{ normal = 5 }"] {
        let text = format!("[server]\nclient-output-buffer-limit = {bad}\n");
        let why = parse(&text).unwrap_err();
        assert!(
            why.contains(&format!("server.client-output-buffer-limit = {bad} is not")),
            "{why}"
        );
    }
    let why = parse("[server]\nlatency-tracking-info-percentiles = [50, 101]\n").unwrap_err();
    assert!(
        why.ends_with(
            "= [50, 101] is not accepted; write percentiles from 0 to 100, like \
                           [50, 99, 99.9]"
        ),
        "{why}"
    );
    assert!(parse("[server]\nmaxclients = [1]\n").is_err());
    assert!(parse("[server]\nmaxclients = true\n").is_err());
    assert!(parse("[server]\ntimeout = 1.5\n").is_err());
}

#[test]
fn a_password_is_never_repeated() {
    refused(
        "[server]\nrequirepass = 12345\n",
        "e.toml:2: server.requirepass = (hidden) is not accepted; write a text in quotes",
    );
    refused(
        "[server]\ntoken-secret = \"too short\"\n",
        "e.toml:2: server.token-secret = (hidden) is not accepted; write a text of at least 16 \
         bytes in quotes, or \"\"",
    );
}

#[test]
fn unknown_keys_are_told_with_those_that_are_known() {
    refused(
        "[server]\nmaxclient = 5\n",
        "e.toml:2: unknown key `maxclient`, did you mean `maxclients`?",
    );
    let why = parse("[server]\nwhatever = 5\n").unwrap_err();
    assert!(why.starts_with("e.toml:2: unknown key `whatever`, accepted are `threads`,"), "{why}");
    let known = "`level`, `on-lag`, `members`, `acks`, `acks-timeout`, `sticky-for`, \
                 `prefer-master`, `sticky-scope`";
    let why = parse("[consistency]\npromise = \"sticky\"\n").unwrap_err();
    assert_eq!(why, format!("e.toml:2: unknown key `promise`, accepted are {known}"));
    refused(
        "[consistency]\nlevels = \"sticky\"\n",
        "e.toml:2: unknown key `levels`, did you mean `level`?",
    );
    refused("[sever]\n", "e.toml:1: unknown key `sever`, did you mean `server`?");
    let why = parse("[[route]]\nname = \"a\"\nkey = \"x\"\n").unwrap_err();
    assert_eq!(why, "e.toml:3: unknown key `key`, did you mean `keys`?");
    assert_eq!(parse("[[route]]\nkeys = []\n").unwrap_err(), "e.toml:1: missing key `name`");
    let why = parse("[server]\nio-threads = 5\n").unwrap_err();
    assert_eq!(why, "e.toml:2: unknown key `io-threads` here: write `threads` in [server]");
    let why = parse("[[listener]]\nbind = \"*\"\npassword = \"x\"\n").unwrap_err();
    assert!(why.starts_with("e.toml:3: unknown key `password` here: write `requirepass` in"));
}

#[test]
fn all_lines_that_are_wrong_by_themselves_are_told() {
    let text = "[server]\nmaxclient = 5\ntimeout = \"soon\"\nhz = 10\n[set]\nreplicas = -1\n\
                [consistency]\nlevel = \"stick\"\nacks = 999\n\
                [[route]]\nname = \"a\"\nmembers = [\"nobody\"]\n";
    let why = parse(text).unwrap_err();
    let lines: Vec<&str> = why.lines().map(|it| it.split(' ').next().unwrap()).collect();
    assert_eq!(lines, [2, 3, 4, 6, 8, 9].map(|it| format!("e.toml:{it}:")), "{why}");
    // Nothing is told that is wrong only because another line is.
    let alone = [
        "[[route]]\nname = \"\"\n",
        "[server\nmaxclient = 5\n",
        "[sever]\nlevel = 5\n",
        "[consistency]\non-lag = [\n\"catchup\",\n\"master\"]\n",
    ];
    for text in alone {
        let why = parse(text).unwrap_err();
        assert_eq!(why.lines().count(), 1, "{why}");
    }
}

#[test]
fn a_file_of_redis_is_known_for_one() {
    let why = parse("# Redis configuration\nbind 127.0.0.1\nport 6379\nsave 60 1\n").unwrap_err();
    assert!(why.starts_with("e.toml:2: this is no TOML, which has lines like"), "{why}");
    assert!(why.contains("A file of redis-server is not read"), "{why}");
    assert!(
        why.ends_with("write it in a [[listener]], with the port, like bind = \"127.0.0.1:6379\"")
    );
    assert_eq!(why.lines().count(), 1);
}

#[test]
fn consistency_values_say_what_they_take() {
    let cases = [
        ("level = \"stick\"", "write master, linearizable, global, sticky, bounded with"),
        ("on-lag = [\"catchup\"]", "write a list of steps: catch-up, other-replica, wait with"),
        ("on-lag = \"masters\"", "write a list of steps: catch-up, other-replica, wait with"),
        ("on-lag = [\"error\", \"master\"]", "write nothing behind error; master would never"),
        ("acks = 101", "write a number from 0 to 100, \"in-sync\", \"all\" or \"fsync\""),
        ("acks = \"some\"", "write a number from 0 to 100, \"in-sync\", \"all\" or \"fsync\""),
        ("acks-timeout = 5", "write a time with a unit, like \"500ms\" or \"2s\""),
        ("sticky-for = \"5\"", "write a time with a unit, like \"500ms\" or \"2s\""),
    ];
    for (line, accepted) in cases {
        let why = parse(&format!("[consistency]\n{line}\n")).unwrap_err();
        let expected = format!("e.toml:2: consistency.{line} is not accepted; {accepted}");
        assert!(why.starts_with(&expected), "{why}");
    }
}

#[test]
fn routes_and_listeners_say_what_they_take() {
    let cases = [
        (
            "groups = [\"hashes\"]",
            "route.groups = [\"hashes\"] is not accepted; write generic, string",
        ),
        (
            "class = \"session\"",
            "route.class = \"session\" is not accepted; write \"read\" or \"write\"",
        ),
        ("clients = [1]", "route.clients = [1] is not accepted; write a text in quotes, like"),
        ("dbs = [3, 16]", "route.dbs = [3, 16] is not accepted; write a database from 0 to 15"),
        ("keys = [\"\"]", "route.keys = [\"\"] is not accepted; write a text that is not empty"),
        ("listeners = [\"x\"]", "route.listeners = \"x\" is not accepted; write main"),
    ];
    for (line, expected) in cases {
        let why = parse(&format!("[[route]]\nname = \"r\"\n{line}\n")).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
    let why = parse("[[listener]]\nbind = \"nobody\"\n").unwrap_err();
    let address = "an address or a name of this host, with a port or without, like \
                   127.0.0.1:6379, [::1]:6379 or localhost";
    let told = format!("e.toml:2: listener.bind = \"nobody\" is not accepted; write {address}");
    assert_eq!(why, told);
    let config = parse("[[listener]]\nbind = \"localhost\"\n").unwrap();
    assert_eq!(config.listeners[0].at, Config::default().listeners[0].at);
}

#[test]
fn one_text_stands_where_a_list_may() {
    let one = "[[member]]\n[[member]]\ntags = \"t\"\n[consistency]\non-lag = \"master\"\n\
               members = \"tag:t\"\n[[route]]\nname = \"r\"\nkeys = \"a:*\"\ngroups = \"hash\"\n\
               commands = \"hget\"\ndbs = 3\nusers = \"default\"\nclients = \"\"\n\
               listeners = \"main\"\non-lag = \"wait 1ms\"\nmembers = \"n2\"\n\
               [server]\nlatency-tracking-info-percentiles = 99\n";
    let is_list = |line: &str| {
        let key = line.split(" =").next().unwrap();
        let lists = "tags on-lag members keys groups commands dbs users clients listeners \
                     latency-tracking-info-percentiles";
        lists.split_whitespace().any(|it| it == key)
    };
    let listed = |line: &str| match line.split_once(" = ").filter(|_| is_list(line)) {
        Some((key, value)) => format!("{key} = [{value}]\n"),
        None => format!("{line}\n"),
    };
    let many: String = one.lines().map(listed).collect();
    assert_eq!(many.matches(" = [").count(), 13);
    assert_eq!(parse(one).unwrap(), parse(&many).unwrap());
    for bad in ["keys = 5", "dbs = \"a\"", "dbs = 16", "groups = true", "users = 1.5"] {
        let why = parse(&format!("[[route]]\nname = \"r\"\n{bad}\n")).unwrap_err();
        assert!(why.starts_with(&format!("e.toml:3: route.{bad} is not accepted; write")), "{why}");
    }
}

#[test]
fn names_and_places_are_given_once() {
    let either = "e.toml:1: a listener has either `bind` or `unix`";
    refused("[[listener]]\nname = \"a\"\n", either);
    refused("[[listener]]\nbind = \"1.1.1.1:1\"\nunix = \"/s\"\n", either);
    let door = "[[listener]]\nbind = \"1.1.1.1:1\"\n";
    refused(
        &format!("{door}[[listener]]\nname = \"x\"\nbind = \"1.1.1.1:1\"\n"),
        "e.toml:3: another listener is already at 1.1.1.1:1",
    );
    let route = "[[route]]\nname = \"a\"\n";
    refused(&format!("{route}{route}"), "e.toml:3: the route name `a` is taken");
    refused("[[route]]\nname = \"default\"\n", "e.toml:1: the route name `default` is taken");
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let why = parse("[server]\nmaxclients = \n").unwrap_err();
    assert!(why.starts_with("e.toml:2: "), "{why}");
    let why = parse("[server]\nhz\n").unwrap_err();
    assert!(why.starts_with("e.toml:2: "), "{why}");
    let why = parse("[set]\nhz = 1\nhz = 2\n").unwrap_err();
    assert!(why.starts_with("e.toml:3: ") && why.contains("hz"), "{why}");
    let why = parse("server = 5\n").unwrap_err();
    assert!(why.starts_with("e.toml:1: invalid type: integer `5`"), "{why}");
}

const THREE: &str = "[[member]]\n[[member]]\nname = 'Fast'\nzone = 'a'\n[[member]]\n\
                     name = 'reports'\ntags = ['analytics', 'big']\ndedicated = true\n";

fn names(config: &Config) -> Vec<String> {
    config.all_members().iter().map(ToString::to_string).collect()
}

#[test]
fn members_have_names_by_their_places_unless_they_are_given_others() {
    let config = parse(THREE).unwrap();
    assert_eq!(config.set.replicas, 2, "as many members as tables");
    let reports = "reports (tag:analytics, tag:big, dedicated)";
    assert_eq!(names(&config), ["n1", "Fast (zone a)", reports]);
    let config = parse(&format!("{THREE}[set]\nreplicas = 4\n")).unwrap();
    assert_eq!(names(&config), ["n1", "Fast (zone a)", reports, "n4", "n5"]);
    assert_eq!(names(&parse("[[member]]\nname = 'alone'\n").unwrap()), ["alone"]);
    assert_eq!(names(&parse("[set]\nreplicas = 1\n").unwrap()), ["n1", "n2"]);
}

#[test]
fn members_say_what_they_take() {
    let word = "1 to 64 letters, digits, \"-\", \"_\" and \".\", like \"reports\"";
    for line in ["name = \"tag:a\"", "name = \"\"", "name = \"a b\"", "zone = \"\"", "zone = 3"] {
        let expected = format!("e.toml:2: member.{line} is not accepted; write {word}");
        refused(&format!("[[member]]\n{line}\n"), &expected);
    }
    let why = parse("[[member]]\ntags = [\"a\", \"b,c\"]\n").unwrap_err();
    assert!(why.starts_with("e.toml:2: member.tags = ") && why.ends_with(word), "{why}");
    refused(
        "[[member]]\ndedicated = \"yes\"\n",
        "e.toml:2: member.dedicated = \"yes\" is not accepted; write true or false",
    );
    let known = "`name`, `tags`, `zone`, `dedicated`, `weight`, `address`";
    refused(
        "[[member]]\nlabel = \"a\"\n",
        &format!("e.toml:2: unknown key `label`, accepted are {known}"),
    );
    refused("[[member]]\ntag = \"a\"\n", "e.toml:2: unknown key `tag`, did you mean `tags`?");
    let many: Vec<String> = (0..17).map(|it| format!("'t{it}'")).collect();
    refused(
        &format!("[[member]]\ntags = [{}]\n", many.join(", ")),
        "e.toml:1: member `n1` has more than 16 tags",
    );
}

#[test]
fn a_members_name_is_its_own() {
    refused(
        "[[member]]\nname = 'a'\n[[member]]\nname = 'A'\n",
        "e.toml:4: the member name `A` is taken",
    );
    refused(
        "[[member]]\nname = 'n2'\n",
        "e.toml:2: the member name `n2` is kept for the second member",
    );
    refused(
        "[[member]]\nname = 'add'\n",
        "e.toml:2: the member name `add` is a word of PROXY NODE",
    );
    assert!(parse("[[member]]\n[[member]]\nname = 'n2'\n").is_ok(), "its own place");
}

#[test]
fn there_are_no_more_members_than_places() {
    refused(
        "[[member]]\n[[member]]\n\n[[member]]\n[set]\nreplicas = 1\n",
        "e.toml:4: at most 2 [[member]] here; raise set.replicas, which is 1",
    );
    assert_eq!(parse(&"[[member]]\n".repeat(101)).unwrap().set.replicas, 100);
    refused(
        &"[[member]]\n".repeat(102),
        "e.toml:102: at most 101 [[member]] here; a set has at most 100 replicas",
    );
}

#[test]
fn a_routes_members_are_names_and_tags_that_there_are() {
    let told = |config: &Config, at: u16| {
        config.routes.get(RouteId(at)).members.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let text = format!(
        "{THREE}[consistency]\nmembers = ['fast']\n[[route]]\nname = 'a'\n[[route]]\n\
         name = 'b'\nmembers = ['tag:analytics', 'n1']\n[[route]]\nname = 'c'\nmembers = []\n"
    );
    let config = parse(&text).unwrap();
    let expected: [&[&str]; 4] = [&["fast"], &["fast"], &["tag:analytics", "n1"], &[]];
    assert_eq!([0, 1, 2, 3].map(|it| told(&config, it)), expected.map(|it| it.to_vec()));
    let known = "write n1, Fast, reports, tag:analytics, tag:big";
    for entry in ["tag:reports", "n2", "analytics", "tag:"] {
        let line = format!("members = [\"Fast\", \"{entry}\"]");
        let head = format!("{THREE}[[route]]\nname = \"r\"\n");
        let why = parse(&format!("{head}{line}\n")).unwrap_err();
        let expected = format!("e.toml:11: route.members = \"{entry}\" is not accepted; {known}");
        assert_eq!(why, expected);
    }
    refused(
        "[consistency]\nmembers = [\"n4\"]\n",
        "e.toml:2: consistency.members = \"n4\" is not accepted; write n1, n2, n3",
    );
    refused(
        "[consistency]\nmembers = \"n4\"\n",
        "e.toml:2: consistency.members = \"n4\" is not accepted; write n1, n2, n3",
    );
}

#[test]
fn a_flag_that_leaves_a_member_or_an_entry_without_a_place_is_told() {
    let with = |text: &str, replicas: usize| {
        let mut config = parse(text).unwrap();
        config.set.replicas = replicas;
        config.contradiction().map(|it| it.1)
    };
    assert_eq!(with(THREE, 2), None);
    let why = "set.replicas = 1 has no place for member `reports`; write 2 at least";
    assert_eq!(with(THREE, 1).unwrap(), why);
    let route = "[[route]]\nname = 'r'\nmembers = ['n3']\n";
    assert_eq!(with(route, 2), None);
    assert_eq!(with(route, 1).unwrap(), "route `r` names member `n3`; there are n1, n2");
}
