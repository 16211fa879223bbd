//! Where another server is, as people write it.

use super::number::parse_u64;
use std::fmt;

/// A host, by name or by number, and a port; or the path of a unix socket of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteAddress {
    /// The host, without brackets; or the path, which begins with `/`.
    pub host: String,
    /// The port: never 0 at a host, always at a path.
    pub port: u16,
}

/// An address, and who we are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteUrl {
    /// Where it is.
    pub address: RemoteAddress,
    /// The user that logs in; without one it is `default`.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
}

impl RemoteAddress {
    /// The unix socket at this path, which begins with `/`. Nobody can write such an address: only
    /// an upgrade uses it.
    pub fn at_path(path: &str) -> RemoteAddress {
        RemoteAddress { host: path.to_owned(), port: 0 }
    }

    /// Whether it is a unix socket of this machine.
    pub fn is_path(&self) -> bool {
        self.port == 0 && self.host.starts_with('/')
    }

    /// Reads `host:port`, `[::1]:port`, or Redis' `host port`; `None` for anything else.
    pub fn parse(text: &str) -> Option<RemoteAddress> {
        let text = text.trim();
        let (host, port) = match text.split_once(char::is_whitespace) {
            Some((host, port)) => (host, port.trim()),
            None => text.rsplit_once(':')?,
        };
        let is_bare = !host.contains(':') || text.contains(char::is_whitespace);
        let in_brackets = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = in_brackets.or_else(|| is_bare.then_some(host))?;
        let is_word = |it: char| !it.is_whitespace() && !it.is_control() && it != '/' && it != '@';
        if host.is_empty() || !host.chars().all(is_word) {
            return None;
        }
        let port = parse_u64(port.as_bytes()).and_then(|it| u16::try_from(it).ok())?;
        (port != 0).then(|| RemoteAddress { host: host.to_owned(), port })
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_path() {
            return f.write_str(&self.host);
        }
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl RemoteUrl {
    /// Reads `redis://[user:password@]host:port`, or what [`RemoteAddress::parse`] does; `None` for
    /// anything else. A password without a user stands behind `:`.
    pub fn parse(text: &str) -> Option<RemoteUrl> {
        let Some(rest) = text.trim().strip_prefix("redis://") else {
            return RemoteAddress::parse(text).map(|address| RemoteUrl {
                address,
                user: None,
                password: None,
            });
        };
        // A password may have an @ in it, a host has none.
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |it| (Some(it.0), it.1));
        let address = RemoteAddress::parse(place.trim_end_matches('/'))?;
        let Some(login) = login else {
            return Some(RemoteUrl { address, user: None, password: None });
        };
        let (user, password) = login.split_once(':')?;
        let user = (!user.is_empty()).then(|| user.to_owned());
        Some(RemoteUrl { address, user, password: Some(password.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_redis_and_as_urls_write_them() {
        let read = |it: &str| RemoteAddress::parse(it).map(|it| it.to_string());
        for text in ["db.example:6379", "db.example 6379", " db.example  6379 "] {
            assert_eq!(read(text).as_deref(), Some("db.example:6379"), "{text}");
        }
        for text in ["[::1]:7", "::1 7", "[::1] 7"] {
            assert_eq!(read(text).as_deref(), Some("[::1]:7"), "{text}");
        }
        for text in ["", "a", "a:", ":1", "a:0", "a:65536", "a:-1", "a b c", "::1:7", "a/b:1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_url_may_say_who_logs_in() {
        let read = |it: &str| {
            let it = RemoteUrl::parse(it)?;
            Some((it.address.to_string(), it.user, it.password))
        };
        let text = |it: &str| Some(it.to_owned());
        assert_eq!(read("redis://a:1"), Some(("a:1".into(), None, None)));
        assert_eq!(read("redis://a:1/"), Some(("a:1".into(), None, None)));
        assert_eq!(read("redis://u:p@w@a:1"), Some(("a:1".into(), text("u"), text("p@w"))));
        assert_eq!(read("redis://:p@a:1"), Some(("a:1".into(), None, text("p"))));
        assert_eq!(read("a 1"), Some(("a:1".into(), None, None)));
        assert_eq!(
            (read("redis://u@a:1"), read("redis://"), read("rediss://a:1")),
            (None, None, None)
        );
    }
}
