//! Whose a setting is where members are real servers: this process' own, or the servers'.

use super::Config;
use super::fixed::is_of_data;
use super::live::cannot_set;
use super::table::param;
use super::upstream_file::is_hosted_only;
use crate::base::glob::is_literal;

/// What a server is known by to whoever starts it, and where it keeps its data: nobody changes that
/// through a proxy.
const KEPT: &[&str] = &[
    "appenddirname",
    "appendfilename",
    "appendonly",
    "databases",
    "dbfilename",
    "dir",
    "replica-announce-ip",
    "replica-announce-port",
    "replica-announced",
    "save",
    "slave-announce-ip",
    "slave-announce-port",
];

/// Whether a parameter is the servers' own: what is about data, and whatever is unknown here; but
/// for logins. A server's passwords are not told to who may only ask this proxy, and new ones are
/// set here and there at different times: at the server itself.
pub fn is_of_servers(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_login = name.contains("auth") || name.contains("pass") || name.ends_with("user");
    match param(&name) {
        _ if is_login => false,
        Some(param) => is_hosted_only(param.section, param.name),
        None => is_of_data(&name).unwrap_or(true),
    }
}

/// Whether servers may know what is asked of by this pattern.
pub fn asks_servers(pattern: &[u8]) -> bool {
    !is_literal(pattern) || is_of_servers(&String::from_utf8_lossy(pattern))
}

/// Whether these are to be set at servers. `Err` when they are not to be set at all, with the whole
/// error reply.
pub fn are_of_servers(pairs: &[(&[u8], &[u8])]) -> Result<bool, String> {
    let name = |it: &(&[u8], &[u8])| String::from_utf8_lossy(it.0).into_owned();
    let (theirs, ours): (Vec<String>, Vec<String>) =
        pairs.iter().map(name).partition(|it| is_of_servers(it));
    let refused = |name: &str, why: &str| Err(cannot_set(name, why));
    let is_kept = |it: &&String| KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(it));
    if theirs.is_empty() {
        return Ok(false);
    }
    if let Some(kept) = theirs.iter().find(is_kept) {
        return refused(
            kept,
            "it says where a real server is and keeps its data, and is set there, not through this \
             proxy",
        );
    }
    if let Some(own) = ours.first() {
        return refused(
            own,
            "it is this proxy's own, and others are the real servers': set them one after another",
        );
    }
    Ok(true)
}

impl Config {
    /// Names and values of what is this process' own, where members are real servers.
    pub fn get_own<'a>(&self, patterns: impl Iterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let mut found = self.get(patterns);
        found.retain(|it| !is_of_servers(&it.0));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_data_and_what_is_unknown_is_the_servers() {
        for name in [
            "notify-keyspace-events",
            "MAXMEMORY",
            "maxmemory-policy",
            "hash-max-listpack-entries",
            "databases",
            "activedefrag",
            "lazyfree-lazy-expire",
            "save",
            "slave-priority",
            "a-setting-of-next-year",
        ] {
            assert!(is_of_servers(name), "{name}");
        }
        for name in [
            "timeout",
            "maxclients",
            "requirepass",
            "masterauth",
            "masteruser",
            "primaryauth",
            "slowlog-max-len",
            "min-replicas-to-write",
            "port",
            "tls-cert-file",
            "cluster-enabled",
            "daemonize",
            "alerts.lag",
        ] {
            assert!(!is_of_servers(name), "{name}");
        }
        assert!(asks_servers(b"max*") && asks_servers(b"maxmemory") && !asks_servers(b"timeout"));
    }

    #[test]
    fn servers_are_asked_for_their_own_alone_and_not_for_where_they_are() {
        let asked = |names: &[&str]| {
            let pairs: Vec<(&[u8], &[u8])> =
                names.iter().map(|it| (it.as_bytes(), &b"1"[..])).collect();
            are_of_servers(&pairs)
        };
        assert_eq!(asked(&["timeout", "maxclients"]), Ok(false));
        assert_eq!(asked(&["maxmemory", "nosuch"]), Ok(true));
        for (names, why) in [
            (&["maxmemory", "DIR"][..], "'DIR') - it says where a real server is"),
            (&["timeout", "save"], "'save') - it says where"),
            (&["maxmemory", "timeout"], "'timeout') - it is this proxy's own"),
        ] {
            let told = asked(names).unwrap_err();
            assert!(told.starts_with("ERR CONFIG SET failed") && told.contains(why), "{told}");
        }
    }

    #[test]
    fn patterns_name_only_what_is_our_own() {
        let own = Config::default().get_own([&b"max*"[..], b"TIMEOUT"].into_iter());
        let names: Vec<&str> = own.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["maxclients", "TIMEOUT"]);
    }
}
