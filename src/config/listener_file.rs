//! The tables `[[listener]]` as written, and what is wrong with them.

use super::leaf::{Leaf, Many, Setting};
use super::listener::{Address, Listener, Proxies};
use super::outside::Outside;
use super::place::Wrong;
use crate::base::network::Network;
use crate::route::{Level, StickyScope};
use serde::Deserialize;
use std::ops::Range;
use std::path::PathBuf;
use toml::{Spanned, Value};

/// A table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawListener {
    name: Option<Leaf<String>>,
    bind: Option<Spanned<Leaf<String>>>,
    unix: Option<Leaf<PathBuf>>,
    unixsocketperm: Option<Spanned<Leaf<Mode>>>,
    tls: Option<Spanned<Leaf<bool>>>,
    proxy_protocol: Option<Spanned<Leaf<bool>>>,
    proxy_trusted: Option<Spanned<Many<Network>>>,
    level: Option<Leaf<Level>>,
    sticky_scope: Option<Leaf<StickyScope>>,
}

/// The mode of a unix socket. A number would be read as a decimal one.
#[derive(Clone, Copy, Debug)]
struct Mode(u32);

impl Setting for Mode {
    fn read(value: &Value) -> Result<Mode, String> {
        let digits = value.as_str().filter(|it| (3..=4).contains(&it.len()));
        let mode = digits.filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
        let mode = mode.and_then(|it| u32::from_str_radix(it, 8).ok());
        let mode = mode.filter(|it| (1..=0o777).contains(it)).map(Mode);
        mode.ok_or_else(|| "octal digits in quotes, like \"770\"".to_owned())
    }
}

impl Setting for Network {
    fn read(value: &Value) -> Result<Network, String> {
        value.as_str().and_then(Network::parse).ok_or_else(|| Network::ACCEPTED.to_owned())
    }
}

/// The listeners of a file.
pub fn listeners(
    raw: Vec<Spanned<RawListener>>,
    outside: &Outside<'_>,
) -> Result<Vec<Listener>, Wrong> {
    let mut listeners: Vec<Listener> = Vec::new();
    for raw in raw {
        let span = raw.span();
        let listener = raw.into_inner().made(span.clone(), outside)?;
        if let Some(why) = listener.clashes(&listeners) {
            return Err(Wrong::says(span, why));
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

impl RawListener {
    fn made(self, span: Range<usize>, outside: &Outside<'_>) -> Result<Listener, Wrong> {
        let at = match (self.bind, self.unix) {
            (Some(bind), None) => {
                let at = outside.address(&bind.get_ref().0, Address::PORT);
                let wrong = || Wrong::value(bind.span(), Address::ACCEPTED.to_owned());
                Address::Tcp(at.ok_or_else(wrong)?)
            }
            (None, Some(path)) => Address::Unix(path.0),
            _ => {
                return Err(Wrong::says(span, "a listener has either `bind` or `unix`".to_owned()));
            }
        };
        let is_unix = matches!(at, Address::Unix(_));
        let tls = self.tls.as_ref().is_some_and(|it| it.get_ref().0);
        if let (true, true, Some(says)) = (tls, is_unix, &self.tls) {
            let why = "a unix socket is on this machine alone: `tls` is for `bind`".to_owned();
            return Err(Wrong::says(says.span(), why));
        }
        if let (false, Some(says)) = (is_unix, &self.unixsocketperm) {
            let why = "`unixsocketperm` is for `unix`: a port has no permissions".to_owned();
            return Err(Wrong::says(says.span(), why));
        }
        let name = self.name.map_or_else(|| at.to_string(), |it| it.0);
        Ok(Listener {
            tls,
            proxies: proxies(self.proxy_protocol, self.proxy_trusted, is_unix)?,
            mode: self.unixsocketperm.map(|it| it.into_inner().0.0),
            level: self.level.map(|it| it.0),
            sticky_scope: self.sticky_scope.map(|it| it.0),
            ..Listener::new(name, at)
        })
    }
}

/// Whom a listener believes. Where everybody could say that he is somebody else, nobody is.
fn proxies(
    protocol: Option<Spanned<Leaf<bool>>>,
    trusted: Option<Spanned<Many<Network>>>,
    is_unix: bool,
) -> Result<Option<Proxies>, Wrong> {
    let speaks = protocol.filter(|it| it.get_ref().0);
    match (speaks, trusted) {
        (None, None) => Ok(None),
        (None, Some(trusted)) => {
            let why = "`proxy-trusted` is for `proxy-protocol = true`".to_owned();
            Err(Wrong::says(trusted.span(), why))
        }
        (Some(_), None) if is_unix => Ok(Some(Proxies { trusted: Vec::new() })),
        (Some(_), Some(trusted)) if is_unix => {
            let why = "at a unix socket everybody is believed who may open it: `proxy-trusted` is \
                       for `bind`";
            Err(Wrong::says(trusted.span(), why.to_owned()))
        }
        (Some(speaks), None) => {
            let why = "`proxy-protocol` needs `proxy-trusted`, the networks of the proxies that \
                       are believed";
            Err(Wrong::says(speaks.span(), why.to_owned()))
        }
        (Some(_), Some(trusted)) => {
            let at = trusted.span();
            let trusted = trusted.into_inner().bare();
            if trusted.is_empty() {
                return Err(Wrong::value(at, Network::ACCEPTED.to_owned()));
            }
            Ok(Some(Proxies { trusted }))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse("e.toml", &format!("[[listener]]\n{text}\n"))
    }

    fn refused(text: &str, why: &str) {
        let told = parse(text).unwrap_err();
        assert!(told.contains(why), "{told}");
    }

    #[test]
    fn proxies_are_believed_where_they_are_named() {
        let trusted = |text: &str| {
            let proxies = parse(text).unwrap().listeners[0].proxies.clone();
            proxies.map(|it| it.trusted.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let bind = "bind = '127.0.0.1:1'\n";
        assert_eq!(trusted(bind), None);
        assert_eq!(trusted(&format!("{bind}proxy-protocol = false")), None);
        let both = format!("{bind}proxy-protocol = true\nproxy-trusted = ['10.0.0.0/8', '::1']");
        assert_eq!(trusted(&both), Some(vec!["10.0.0.0/8".to_owned(), "::1".to_owned()]));
        let one = format!("{bind}proxy-protocol = true\nproxy-trusted = '10.0.0.0/8'");
        assert_eq!(trusted(&one).map(|it| it.len()), Some(1));
        assert_eq!(trusted("unix = '/s'\nproxy-protocol = true"), Some(Vec::new()));
        refused(&format!("{bind}proxy-protocol = true"), "e.toml:3: `proxy-protocol` needs");
        let empty = format!("{bind}proxy-protocol = true\nproxy-trusted = []");
        refused(&empty, "an address or a network, like");
        let wrong = format!("{bind}proxy-protocol = true\nproxy-trusted = ['10.0.0.1/8']");
        refused(&wrong, "e.toml:4: listener.proxy-trusted = ['10.0.0.1/8'] is not accepted");
        refused(&format!("{bind}proxy-trusted = ['::1']"), "is for `proxy-protocol = true`");
        refused("unix = '/s'\nproxy-protocol = true\nproxy-trusted = '::1'", "is for `bind`");
    }

    #[test]
    fn a_unix_socket_has_a_mode() {
        let mode = |text: &str| parse(&format!("unix = '/s'\n{text}")).unwrap().listeners[0].mode;
        assert_eq!(mode(""), None);
        assert_eq!(mode("unixsocketperm = '770'"), Some(0o770));
        assert_eq!(mode("unixsocketperm = '0600'"), Some(0o600));
        for wrong in ["770", "'7'", "'000'", "'1777'", "'+77'", "'888'", "'rwx'", "0o770"] {
            refused(&format!("unix = '/s'\nunixsocketperm = {wrong}"), "octal digits in quotes");
        }
        refused("bind = '127.0.0.1:1'\nunixsocketperm = '700'", "is for `unix`");
    }
}
