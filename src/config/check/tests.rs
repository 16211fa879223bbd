//! Each warning, and the file that provokes it.

use super::*;
use crate::command::Group;

fn commands() -> Vec<KnownCommand> {
    let of = |(name, group, classes): (&str, Group, &[Class])| KnownCommand {
        name: name.to_owned(),
        group,
        has_keys: group != Group::Connection,
        classes: classes.to_vec(),
    };
    let (read, write): (&[Class], &[Class]) = (&[Class::Read], &[Class::Write]);
    let all = [
        ("GET", Group::String, read),
        ("SET", Group::String, write),
        ("HGET", Group::Hash, read),
        ("HSET", Group::Hash, write),
        ("SORT", Group::Generic, &[Class::Read, Class::Write]),
        ("OBJECT", Group::Generic, read),
        ("OBJECT|FREQ", Group::Generic, read),
        ("PING", Group::Connection, &[Class::Session]),
    ];
    all.map(of).to_vec()
}

fn checked(text: &str, flags: &Overrides) -> Result<Checked, String> {
    let commands = commands();
    let read = |_: &Path| Ok(text.to_owned());
    let outside = Outside { read: &read, commands: &commands, ..Outside::NOTHING };
    Checked::read(Some(Path::new("e.toml")), flags, &outside)
}

fn warnings(text: &str) -> Vec<String> {
    checked(text, &Overrides::NONE).unwrap_or_else(|why| panic!("{text}\n{why}")).warnings
}

const NO_USER: &str = "names user `alice`, and there is no [[user]] of this name: its requests \
                       come only once ACL SETUSER has made it; add the user, or leave it out";
const TOO_MANY: &str = "is more than the 2 replicas there are: every write waits for its \
                        acks-timeout and answers -NOTDURABLE; write 2 at most, or raise \
                        set.replicas";
const NOBODY: &str = "has no replica to wait for: every write answers -NOTDURABLE; write 0, or \
                      raise set.replicas";
const NO_STEP: &str = "has no step: a read answers -LAGGED as soon as its replica is behind; write \
                       [\"error\"] if that is meant, else [\"catch-up\", \"master\"]";
const BEHIND_MASTER: &str = "never comes to `catch-up`: `master` in front of it answers every \
                             read; write `catch-up` in front of `master`";
const BEHIND_STALE: &str =
    "never comes to `master`: `stale` in front of it answers every read; write `stale` last";
const NO_TIME: &str = "waits for no time at `wait`; write a time above 0";
const NOTHING: &str = "is for nothing: no command fits its groups, commands and class at once; \
                       leave one of them out";
const HIDDEN: &str = "is never taken: route `a` above it takes all that it is for; move it above \
                      `a`, or make `a` narrower";
const OPEN: &str = "listens at 0.0.0.0:1, open to other machines, and there is no password; set \
                    server.requirepass, or bind to 127.0.0.1";
const REFUSING: &str = "listens at 0.0.0.0:1, and clients from other machines are refused: there \
                        is no password, and server.protected-mode is on; set server.requirepass, \
                        or bind to 127.0.0.1";
const SHUT: &str = "switches set.min-replicas-to-write = 1 off; write a time above 0";

const NO_CERTIFICATE: &str = "is not used: no client is asked for a certificate; set \
                              server.tls-auth-clients to yes or optional, or leave it out";

/// A file, and what is said of it, but for the file's name.
const FOOLISH: &[(&str, &str, &str)] = &[
    ("[[route]]\nname = \"a\"\nusers = [\"alice\"]\n", "3: route.users = [\"alice\"]", NO_USER),
    ("[[route]]\nname = \"a\"\nusers = \"alice\"\n", "3: route.users = \"alice\"", NO_USER),
    ("[consistency]\nacks = 50\n", "2: consistency.acks = 50", TOO_MANY),
    (
        "[server]\ntls-auth-clients = \"no\"\ntls-auth-clients-user = \"CN\"\n",
        "3: server.tls-auth-clients-user = \"CN\"",
        NO_CERTIFICATE,
    ),
    ("[[route]]\nname = \"a\"\n\nacks = 3\n", "4: route.acks = 3", TOO_MANY),
    (
        "[set]\nreplicas = 0\n[consistency]\nacks = \"in-sync\"\n",
        "4: consistency.acks = \"in-sync\"",
        NOBODY,
    ),
    ("[consistency]\non-lag = []\n", "2: consistency.on-lag = []", NO_STEP),
    (
        "[consistency]\non-lag = [\"master\", \"catch-up\"]\n",
        "2: consistency.on-lag = [\"master\", \"catch-up\"]",
        BEHIND_MASTER,
    ),
    (
        "[[route]]\nname = \"a\"\non-lag = [\"stale\", \"master\", \"error\"]\n",
        "3: route.on-lag = [\"stale\", \"master\", \"error\"]",
        BEHIND_STALE,
    ),
    (
        "[consistency]\non-lag = [\"wait 0ms\", \"error\"]\n",
        "2: consistency.on-lag = [\"wait 0ms\", \"error\"]",
        NO_TIME,
    ),
    (
        "[[route]]\nname = \"b\"\ngroups = [\"hash\"]\ncommands = [\"get\"]\n",
        "2: route.name = \"b\"",
        NOTHING,
    ),
    (
        "[[route]]\nname = \"b\"\ncommands = \"get\"\nclass = \"write\"\n",
        "2: route.name = \"b\"",
        NOTHING,
    ),
    ("[[route]]\nname = \"a\"\n[[route]]\nname = \"b\"\n", "4: route.name = \"b\"", HIDDEN),
    (
        "[[route]]\nname = \"a\"\nkeys = \"user:*\"\n[[route]]\nname = \"b\"\n\
         keys = [\"user:1*\", \"user:[ab]\", \"user:x\"]\ncommands = \"get\"\n",
        "5: route.name = \"b\"",
        HIDDEN,
    ),
    (
        "[[route]]\nname = \"a\"\ngroups = \"string\"\n[[route]]\nname = \"b\"\n\
         commands = [\"get\", \"set\"]\ndbs = 3\n",
        "5: route.name = \"b\"",
        HIDDEN,
    ),
    (
        "[[route]]\nname = \"a\"\ncommands = \"object\"\nusers = \"default\"\n\
         listeners = \"main\"\n\
         [[route]]\nname = \"b\"\ncommands = \"object|freq\"\nusers = \"default\"\n",
        "7: route.name = \"b\"",
        HIDDEN,
    ),
    (
        "[[route]]\nname = \"a\"\nrefuse = true\n",
        "3: route.refuse = true",
        "refuses every command of everybody, PROXY RELOAD and CONFIG too; say which",
    ),
    (
        "[[route]]\nname = \"a\"\ncommands = \"set\"\nlevel = \"master\"\nrefuse = true\n",
        "5: route.refuse = true",
        "leaves nothing for the route's level, ladder, members and acks; leave them out",
    ),
    (
        "[[route]]\nname = \"b\"\ncommands = \"ping\"\nkeys = \"k\"\nrefuse = true\n",
        "2: route.name = \"b\"",
        "refuses nothing: none of its commands has keys; leave out `keys`",
    ),
    (
        "[[route]]\nname = \"a\"\ngroups = \"string\"\n\
         [[route]]\nname = \"b\"\ncommands = \"set\"\nrefuse = true\n",
        "5: route.name = \"b\"",
        HIDDEN,
    ),
    ("[[listener]]\nbind = \"0.0.0.0:1\"\n", "2: listener.bind = \"0.0.0.0:1\"", REFUSING),
    (
        "[server]\nprotected-mode = false\n[[listener]]\nbind = \"*:1\"\n",
        "4: listener.bind = \"*:1\"",
        OPEN,
    ),
    (
        "[set]\nmin-replicas-to-write = 1\nmin-replicas-max-lag = 0\n",
        "3: set.min-replicas-max-lag = 0",
        SHUT,
    ),
];

#[test]
fn what_is_foolish_is_told_with_file_line_key_value_and_what_to_write() {
    for (text, place, words) in FOOLISH {
        assert_eq!(warnings(text), [format!("e.toml:{place} {words}")], "{text}");
    }
}

#[test]
fn what_is_sensible_is_not_told_of() {
    for text in [
        "",
        "[consistency]\nacks = 2\n",
        "[consistency]\nacks = \"all\"\n[set]\nreplicas = 0\n",
        "[consistency]\non-lag = \"master\"\n",
        "[consistency]\non-lag = [\"wait 1ms\", \"master\", \"stale\", \"error\"]\n",
        "[consistency]\non-lag = [\"stale\", \"error\"]\n",
        "[[route]]\nname = \"a\"\nmembers = \"n2\"\non-lag = [\"stale\", \"master\"]\n",
        "[[route]]\nname = \"a\"\nkeys = \"a:*\"\n[[route]]\nname = \"b\"\n\
         keys = [\"a:*\", \"b\"]\n",
        "[[route]]\nname = \"a\"\nkeys = \"a:*\"\n[[route]]\nname = \"b\"\n",
        "[[route]]\nname = \"a\"\ncommands = \"sort\"\nclass = \"read\"\n[[route]]\nname = \"b\"\n\
         commands = \"sort\"\n",
        "[[route]]\nname = \"a\"\nclients = \"x\"\n[[route]]\nname = \"b\"\n",
        "[[route]]\nname = \"a\"\ndbs = 1\n[[route]]\nname = \"b\"\ndbs = [1, 2]\n",
        "[[listener]]\nbind = \"0.0.0.0:1\"\n[server]\nrequirepass = \"secret\"\n",
        "[[listener]]\nbind = \"[::1]:1\"\n",
        "[[route]]\nname = \"a\"\ncommands = [\"set\", \"ping\"]\nrefuse = true\n",
        "[consistency]\nacks = 1\n[[route]]\nname = \"a\"\nkeys = \"k\"\nrefuse = true\n",
    ] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn what_is_inherited_is_told_of_once_and_a_flag_can_mend_or_spoil_it() {
    let text = "[consistency]\nacks = 4\non-lag = []\n[[route]]\nname = \"a\"\nkeys = \"a\"\n";
    assert_eq!(warnings(text).len(), 2);
    let flags = Overrides { replicas: Some("4".into()), ..Overrides::NONE };
    assert_eq!(checked(text, &flags).unwrap().warnings.len(), 1);
    let open = Overrides { bind: vec!["0.0.0.0:1".into()], ..Overrides::NONE };
    let told = checked("", &open).unwrap().warnings;
    assert_eq!(told, [format!("listener.bind {REFUSING}")]);
    let file = "[[listener]]\nbind = \"127.0.0.1:1\"\n";
    assert_eq!(checked(file, &open).unwrap().warnings, told, "the file's line is not to blame");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let name =
        "write the name of a command, like \"get\", or \"object\" for all that begin with it";
    let limits = "write normal, replica or pubsub, each with a hard limit, a soft limit and \
                  seconds, like { pubsub = \"32mb 8mb 60\" }";
    let table = "[server]\nthreads = 1\n[server.client-output-buffer-limit]\nreplica = \"1 1 1\"\n\
                 normal = \"1\" # too short\n";
    let cases = [
        (
            "[[route]]\nname = \"a\"\ncommands = [\"get\", \"gett\"]\n",
            format!("3: route.commands = \"gett\" is not accepted; {name}"),
        ),
        (
            "[[route]]\nname = \"a\"\ncommands = \"object|frq\"\n",
            format!("3: route.commands = \"object|frq\" is not accepted; {name}"),
        ),
        (
            "[[route]]\nname = \"a\"\nkeys = \"k\"\nlisteners = [\"main\", \"b\"]\n",
            "4: route.listeners = \"b\" is not accepted; write main".to_owned(),
        ),
        (
            "[[route]]\nname = \"a\"\nlisteners = 5\n",
            "3: route.listeners = 5 is not accepted; write a text that is not empty, in quotes"
                .to_owned(),
        ),
        (
            "[server]\nmaxclients = 99999999999999999999\n",
            "2: server.maxclients = 99999999999999999999 is not accepted; write a whole number \
             from 1 to 4294967295"
                .to_owned(),
        ),
        (
            "[[route]]\nname = \"a\"\ndbs = [1, 99999999999999999999]\n",
            "3: route.dbs = 99999999999999999999 is not accepted; write a smaller number"
                .to_owned(),
        ),
        (
            table,
            format!(
                "5: server.client-output-buffer-limit.normal = \"1\" is not accepted; {limits}"
            ),
        ),
        (
            "[server]\nclient-output-buffer-limit = \"normal 1\"\n",
            format!(
                "2: server.client-output-buffer-limit = \"normal 1\" is not accepted; {limits}"
            ),
        ),
        (
            "[set]\nmin-replicas-to-write = 9\n",
            "2: set.min-replicas-to-write = 9 with set.replicas = 2 refuses every write; write 2 \
             at most, or raise set.replicas"
                .to_owned(),
        ),
        (
            "port = 6379\n",
            "1: unknown key `port` here: the port is part of `bind` in a [[listener]], like bind \
             = \"127.0.0.1:6379\""
                .to_owned(),
        ),
        (
            "[set]\nappendonly = true\n",
            "2: set.appendonly needs set.dir: without a directory nothing is written".to_owned(),
        ),
        (
            "requirepass = \"x\"\n",
            "1: unknown key `requirepass` here: write `requirepass` in [server]".to_owned(),
        ),
    ];
    for (text, why) in cases {
        assert_eq!(checked(text, &Overrides::NONE).unwrap_err(), format!("e.toml:{why}"), "{text}");
    }
}

#[test]
fn a_thousand_rules_are_checked_at_once() {
    let rule = |it: usize| format!("[[route]]\nname = \"r{it}\"\nkeys = \"r{it}:*\"\nacks = 9\n");
    let text: String = (0..1000).map(rule).collect();
    assert_eq!(warnings(&text).len(), 1000, "each asks for too many acks, and hides nothing");
}
