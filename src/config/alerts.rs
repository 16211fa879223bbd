//! The `[alerts]` table as types: from where on operators are told, and how.

use std::time::Duration;

/// From where on operators are told of something, and how. 0 is never.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alerts {
    /// A replica that is this many bytes behind.
    pub lag_bytes: usize,
    /// A replica that is behind for this long.
    pub lag: Duration,
    /// One in a hundred reads of a route that was this stale.
    pub staleness_p99: Duration,
    /// No replica serves, and there are some.
    pub no_replica_in_service: bool,
    /// Writes are refused for want of replicas.
    pub gate_closed: bool,
    /// The master has changed.
    pub failover: bool,
    /// More full resyncs than these in ten minutes.
    pub resync_storm: usize,
    /// More of the machine's memory than this, in percent.
    pub memory_percent: usize,
    /// The append-only file was not on disk when it should have been.
    pub fsync_late: bool,
    /// A replica that lacks more of what is kept for it than this, in percent.
    pub backlog_percent: usize,
    /// `repl-timeout` is below five periods of `repl-ping-replica-period`.
    pub repl_timeout: bool,
    /// The master that is followed follows another.
    pub deep_chain: bool,
    /// Nothing comes from the master that is followed, for this long.
    pub link_down: Duration,
    /// How long the command and the webhook may take.
    pub timeout: Duration,
    /// What is run, with its arguments; empty for nothing.
    pub command: Vec<String>,
    /// Where it is posted, if anywhere.
    pub webhook: Option<Webhook>,
}

/// Where alerts are posted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    /// Its host, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// It speaks TLS.
    pub is_tls: bool,
    /// What stands behind them, from the first slash on.
    pub path: String,
}

impl Default for Alerts {
    fn default() -> Alerts {
        Alerts {
            lag_bytes: 10 << 20,
            lag: Duration::from_secs(5),
            staleness_p99: Duration::from_secs(1),
            no_replica_in_service: true,
            gate_closed: true,
            failover: true,
            resync_storm: 3,
            memory_percent: 85,
            fsync_late: true,
            backlog_percent: 50,
            repl_timeout: true,
            deep_chain: true,
            link_down: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            command: Vec::new(),
            webhook: None,
        }
    }
}

impl Webhook {
    /// What one looks like, for refusals.
    pub const ACCEPTED: &str = "an address like \"https://alerts.example/hook\" or \
                                \"http://127.0.0.1:8080/hook\", or \"\"";
    const LENGTH_MAX: usize = 2000;

    /// Reads one. Who logs in cannot stand in it.
    pub fn parse(text: &str) -> Option<Webhook> {
        let is_plain = |it: u8| it.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&it);
        if Webhook::LENGTH_MAX < text.len() || !text.bytes().all(is_plain) {
            return None;
        }
        let (is_tls, own_port, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, 443, rest),
            None => (false, 80, text.strip_prefix("http://")?),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match place.strip_prefix('[').and_then(|it| it.split_once(']')) {
            Some((host, "")) => (host, own_port),
            Some((host, port)) => (host, port.strip_prefix(':')?.parse().ok()?),
            None => match place.split_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (place, own_port),
            },
        };
        let is_host = !host.is_empty() && !host.contains(['@', '[', ']']) && port != 0;
        is_host.then(|| Webhook { host: host.to_owned(), port, is_tls, path })
    }

    /// As it is written.
    pub fn address(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.place(), self.path)
    }

    /// Host and port, as a request says them.
    pub fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_an_address_without_a_password() {
        let told = |text: &str| Webhook::parse(text).map(|it| (it.place(), it.path));
        let is = |place: &str, path: &str| Some((place.to_owned(), path.to_owned()));
        assert_eq!(told("http://a.example/x?y=1"), is("a.example:80", "/x?y=1"));
        assert_eq!(told("http://127.0.0.1:9"), is("127.0.0.1:9", "/"));
        assert_eq!(told("http://[::1]:9/a/b"), is("[::1]:9", "/a/b"));
        assert_eq!(told("http://[::1]?q"), is("[::1]:80", "/?q"));
        let address = |text: &str| Webhook::parse(text).map(|it| it.address());
        for (text, whole) in [
            ("https://a.example", "https://a.example:443/"),
            ("https://[::1]:9/b", "https://[::1]:9/b"),
            ("http://a/", "http://a:80/"),
        ] {
            assert_eq!(address(text).as_deref(), Some(whole));
            assert_eq!(address(whole).as_deref(), Some(whole));
        }
        for bad in [
            "ftp://a/",
            "https://",
            "HTTPS//a/",
            "a:1",
            "http://",
            "http://:1/",
            "http://u:p@a/",
            "http://a:0/",
            "http://a:x/",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://[::1]x/",
            "http://a/#b",
            "http://a:70000/",
        ] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }
}
