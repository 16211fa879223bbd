//! What lies outside of this room and a configuration is read with: files, names of hosts, and the
//! commands there are.

use crate::acl::Catalogue;
use crate::command::{Class, Group};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// The outside, as whoever reads a configuration gives it.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// Reads a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The address of a host by its name.
    pub resolve: &'a dyn Fn(&str) -> Option<IpAddr>,
    /// All commands; without any, no name of a command is looked up.
    pub commands: &'a [KnownCommand],
    /// What rules of users may name; without it, they are not looked at.
    pub catalogue: Option<&'a Catalogue>,
}

/// A command as rules see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownCommand {
    /// Upper-case; `CONTAINER|SUBCOMMAND` for a subcommand.
    pub name: String,
    /// Its group.
    pub group: Group,
    /// Whether its requests name keys.
    pub has_keys: bool,
    /// What its requests may be: some commands read or write as their arguments say.
    pub classes: Vec<Class>,
}

impl Outside<'static> {
    /// No files, no hosts, and no commands.
    pub const NOTHING: Outside<'static> = Outside {
        read: &|_| Err(io::ErrorKind::NotFound.into()),
        resolve: &|_| None,
        commands: &[],
        catalogue: None,
    };
}

impl Outside<'_> {
    /// Where to listen, as it may be written: an address or the name of a host, with a port or
    /// without. `*` is every address.
    pub fn address(&self, text: &str, default_port: u16) -> Option<SocketAddr> {
        if let Ok(at) = text.parse() {
            return Some(at);
        }
        let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Some(SocketAddr::new(ip, default_port));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, default_port),
        };
        Some(SocketAddr::new(self.host(host)?, port))
    }

    fn host(&self, name: &str) -> Option<IpAddr> {
        let is_name = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
        match name {
            "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
            _ if name.eq_ignore_ascii_case("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
            _ if name.is_empty() || !name.bytes().all(is_name) => None,
            // The system would take a port for an address: 6390 for 0.0.24.246.
            _ if name.bytes().all(|it| it.is_ascii_digit()) => None,
            _ => (self.resolve)(name),
        }
    }

    /// Whether there is a command, or a container of commands, of this name.
    pub fn has_command(&self, name: &str) -> bool {
        self.commands.is_empty()
            || self.commands.iter().any(|it| it.name.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_name_and_lack_its_port() {
        let resolve = |name: &str| match name {
            "db-1.example" => Some(IpAddr::from([10, 0, 0, 7])),
            "6390" => Some(IpAddr::from([0, 0, 24, 246])),
            _ => None,
        };
        let outside = Outside { resolve: &resolve, ..Outside::NOTHING };
        let read = |text: &str| outside.address(text, 6379).map(|it| it.to_string());
        for (text, address) in [
            ("127.0.0.1:7000", "127.0.0.1:7000"),
            ("127.0.0.1", "127.0.0.1:6379"),
            ("[::1]:7000", "[::1]:7000"),
            ("[::1]", "[::1]:6379"),
            ("::1", "[::1]:6379"),
            ("localhost:6380", "127.0.0.1:6380"),
            ("LOCALHOST", "127.0.0.1:6379"),
            ("*", "0.0.0.0:6379"),
            ("*:7000", "0.0.0.0:7000"),
            ("db-1.example", "10.0.0.7:6379"),
            ("db-1.example:1", "10.0.0.7:1"),
        ] {
            assert_eq!(read(text).as_deref(), Some(address), "{text}");
        }
        for bad in [
            "",
            ":1",
            "localhost:",
            "localhost:70000",
            "nobody",
            "a b",
            "1.2.3.4:x",
            "6390",
            "6390:1",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
