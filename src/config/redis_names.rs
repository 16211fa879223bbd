//! Keys that whoever knows Redis' config file writes, and what to write here instead.

use super::fixed::fixed;
use super::param::Section;
use super::table::param;

/// Names of Redis, and of this file in a wrong place, with what stands for them here.
const INSTEAD: &[(&str, &str)] = &[
    ("port", "the port is part of `bind` in a [[listener]], like bind = \"127.0.0.1:6379\""),
    ("bind", "write it in a [[listener]], with the port, like bind = \"127.0.0.1:6379\""),
    ("tls-port", "write `tls = true` in a [[listener]], with its address in `bind`"),
    ("unixsocket", "write `unix` in a [[listener]], like unix = \"/run/entourage.sock\""),
    ("unix", "write it in a [[listener]], like unix = \"/run/entourage.sock\""),
    ("listeners", "each listener is a table, [[listener]]; a [[route]] names those it is for"),
    ("routes", "each route is a table, [[route]]"),
    ("members", "each member is a table, [[member]]; a route's members are a key of [[route]]"),
    ("level", "write it in [consistency], in a [[route]] or in a [[listener]]"),
    ("on-lag", "write it in [consistency] or in a [[route]]"),
    ("acks", "write it in [consistency] or in a [[route]]"),
    ("acks-timeout", "write it in [consistency] or in a [[route]]"),
    ("sticky-for", "write it in [consistency] or in a [[route]]"),
    ("replicaof", "write `master` in [set], like master = \"db.example 6379\""),
    ("slaveof", "write `master` in [set], like master = \"db.example 6379\""),
    ("password", "write `requirepass` in [server]: it is the default user's, for all listeners"),
    ("user", "each user is a table, [[user]], with `name` and `rules`"),
    ("users", "each user is a table, [[user]]; a [[route]] names those it is for"),
    ("include", "a configuration is one file"),
    ("loadmodule", "there are no modules"),
    (
        "rename-command",
        "commands cannot be renamed; to disable one, write commands = [\"flushall\"] and refuse = \
     true in a [[route]]",
    ),
    ("sentinel", "there is no Sentinel: PROXY FAILOVER changes the master"),
];

/// What to say of an unknown key that means something to Redis, or elsewhere in the file.
pub fn advice(name: &str) -> Option<String> {
    let instead = INSTEAD.iter().find(|it| it.0.eq_ignore_ascii_case(name));
    let what = match instead {
        Some((_, instead)) => (*instead).to_owned(),
        None => of_param(name).or_else(|| of_fixed(name))?,
    };
    Some(format!("unknown key `{name}` here: {what}"))
}

fn of_param(name: &str) -> Option<String> {
    let param = param(name).filter(|it| it.section != Section::Nowhere)?;
    let section = param.key().split('.').next().unwrap_or_default().to_owned();
    Some(format!("write `{}` in [{section}]", param.name))
}

fn of_fixed(name: &str) -> Option<String> {
    fixed(name).map(|(value, why)| match value {
        "" => format!("it cannot be set, because {why}"),
        _ => format!("it cannot be set and is always \"{value}\", because {why}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_redis_is_answered_with_ours_or_with_why_there_is_none() {
        for (name, what) in [
            ("password", "write `requirepass` in [server]"),
            ("PORT", "the port is part of `bind` in a [[listener]]"),
            ("requirepass", "write `requirepass` in [server]"),
            ("io-threads", "write `threads` in [server]"),
            ("min-slaves-to-write", "write `min-replicas-to-write` in [set]"),
            ("appendonly", "write `appendonly` in [set]"),
            ("save", "write `save` in [set]"),
            ("rdbchecksum", "it cannot be set and is always \"yes\", because files are written"),
            ("aclfile", "write `aclfile` in [server]"),
        ] {
            let told = advice(name).unwrap();
            let expected = format!("unknown key `{name}` here: {what}");
            assert!(told.starts_with(&expected), "{told}");
        }
        assert_eq!(advice("maxclient"), None);
    }
}
