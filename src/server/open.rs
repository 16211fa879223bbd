//! Where clients come in, opened: by us, or by whoever has started this process.

use super::listener::{Listener, WayIn};
use crate::config::{self, Address, Config};
use crate::runtime::acceptor::Acceptor;
use crate::runtime::passed_sockets::PassedSocket;
use crate::runtime::process;
use crate::state::UPGRADE_LISTENER;
use std::path::Path;

/// What is open.
pub struct Opened {
    /// The listeners of clients.
    pub listeners: Vec<Listener>,
    /// The status page's.
    pub http: Option<Acceptor>,
}

/// What the status page's socket is called, where it is passed.
const HTTP: &str = "http";
/// The system takes 107; the other process of an upgrade has longer ones beside it.
const UPGRADE_PATH_BYTES_MAX: usize = 80;
/// Only our own user opens it.
const PRIVATE: u32 = 0o600;

/// What a passed socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// The listener at this place of the configuration.
    Listener(usize),
    /// The status page.
    Http,
}

/// Opens all that the configuration names. What was passed to this process is taken for it, by
/// name, and not opened again.
pub fn open(config: &Config, passed: Vec<PassedSocket>) -> Result<Opened, String> {
    let names: Vec<&str> = passed.iter().map(|it| it.name.as_str()).collect();
    let purposes = purposes(&names, &config.listeners)?;
    let mut given: Vec<Vec<Acceptor>> = config.listeners.iter().map(|_| Vec::new()).collect();
    let mut http = None;
    for (socket, purpose) in passed.into_iter().zip(purposes) {
        let name = socket.name.clone();
        let acceptor = Acceptor::passed(socket);
        let acceptor = acceptor.map_err(|why| format!("the passed socket `{name}`: {why}"))?;
        match purpose {
            Purpose::Listener(at) => given[at].push(acceptor),
            Purpose::Http if http.is_some() => {
                return Err(format!("more than one socket `{HTTP}` was passed"));
            }
            Purpose::Http => http = Some(passed_http(config, acceptor)?),
        }
    }
    let mut listeners = Vec::new();
    for (it, mut acceptors) in config.listeners.iter().zip(given) {
        if acceptors.is_empty() {
            acceptors.push(open_at(it)?);
        } else if it.tls && acceptors.iter().any(|it| it.port().is_none()) {
            let name = &it.name;
            return Err(format!("listener `{name}` has TLS, and the socket passed for it is unix"));
        }
        let way = WayIn { listener: it.name.as_str().into(), tls: it.tls, is_trusted: false };
        listeners.extend(acceptors.into_iter().map(|acceptor| {
            let way = way.clone();
            Listener { acceptor, way }
        }));
    }
    let http = match (http, config.http.bind) {
        (None, Some(at)) => {
            let acceptor = Acceptor::tcp(&at.to_string());
            Some(acceptor.map_err(|why| format!("cannot serve HTTP at {at}: {why}"))?)
        }
        (http, _) => http,
    };
    Ok(Opened { listeners, http })
}

/// The socket at `path` for who takes our place, or whose place we take: our own user's alone.
pub fn open_for_upgrade(path: &str) -> Result<Listener, String> {
    if UPGRADE_PATH_BYTES_MAX < process::absolute(path).len() {
        return Err(format!(
            "server.upgrade-socket = {path}: it is longer than {UPGRADE_PATH_BYTES_MAX} bytes"
        ));
    }
    let acceptor = Acceptor::unix(Path::new(path), Some(PRIVATE));
    let acceptor = acceptor.map_err(|why| format!("server.upgrade-socket = {path}: {why}"))?;
    let way = WayIn { listener: UPGRADE_LISTENER.into(), tls: false, is_trusted: true };
    Ok(Listener { acceptor, way })
}

/// These sockets, for who takes our place.
pub fn share(opened: &Opened, config: &Config) -> std::io::Result<Vec<PassedSocket>> {
    let share = |acceptor: &Acceptor, name: &str| {
        acceptor.share(name, configured(config, name).unwrap_or_default())
    };
    let of_clients = opened.listeners.iter().map(|it| share(&it.acceptor, &it.way.listener));
    of_clients.chain(opened.http.iter().map(|it| share(it, HTTP))).collect()
}

/// Those of another process' sockets that this configuration has, too, at the same address. The
/// others stay that process' as long as it lives.
pub fn still_configured(config: &Config, mut sockets: Vec<PassedSocket>) -> Vec<PassedSocket> {
    sockets.retain(|it| configured(config, &it.name).as_ref() == Some(&it.configured));
    sockets
}

/// The address that is written for the socket of this name.
fn configured(config: &Config, name: &str) -> Option<String> {
    let listener = config.listeners.iter().find(|it| it.name == name);
    let of_http = || config.http.bind.filter(|_| name == HTTP).map(|it| it.to_string());
    listener.map(|it| it.at.to_string()).or_else(of_http)
}

fn open_at(listener: &config::Listener) -> Result<Acceptor, String> {
    let acceptor = match &listener.at {
        Address::Tcp(at) => Acceptor::tcp(&at.to_string()),
        Address::Unix(path) => Acceptor::unix(path, listener.mode),
    };
    acceptor.map_err(|why| format!("cannot listen at {}: {why}", listener.at))
}

/// What holds for an address that is written holds for one that is passed.
fn passed_http(config: &Config, acceptor: Acceptor) -> Result<Acceptor, String> {
    let at = acceptor.address();
    if config.http.bind.is_none() {
        return Err(format!("a socket `{HTTP}` was passed: say [http] bind, if it is to be used"));
    }
    if !acceptor.is_local() && !config.http.allow_remote {
        return Err(format!(
            "the passed socket `{HTTP}` is at {at}, which other machines reach: pass another, or \
             set http.allow-remote"
        ));
    }
    Ok(acceptor)
}

/// What each of the passed sockets is for. One with a listener's name is that listener's; those
/// that nobody has named are for the listeners that have none, in order.
fn purposes(names: &[&str], listeners: &[config::Listener]) -> Result<Vec<Purpose>, String> {
    let named = |name: &str| {
        let at = listeners.iter().position(|it| it.name == name);
        at.map(Purpose::Listener).or((name == HTTP).then_some(Purpose::Http))
    };
    // What systemd calls a socket without FileDescriptorName=: its unit, or nothing.
    let is_unnamed = |name: &str| name.is_empty() || name == "unknown" || name.ends_with(".socket");
    let known: Vec<Option<Purpose>> = names.iter().map(|it| named(it)).collect();
    let is_free = |at: &usize| !known.contains(&Some(Purpose::Listener(*at)));
    let mut free = (0..listeners.len()).filter(is_free);
    let purpose = |(known, name): (&Option<Purpose>, &&str)| match known {
        Some(known) => Ok(*known),
        None if is_unnamed(name) => match free.next() {
            Some(at) => Ok(Purpose::Listener(at)),
            None => Err("more sockets were passed than there are listeners".to_owned()),
        },
        None => {
            let all: Vec<&str> = listeners.iter().map(|it| it.name.as_str()).collect();
            let all = all.join(", ");
            Err(format!(
                "a socket `{name}` was passed, and no listener has this name: there are {all}, and \
                 {HTTP}"
            ))
        }
    };
    known.iter().zip(names).map(purpose).collect()
}

#[cfg(test)]
mod tests {
    use super::Purpose::{Http, Listener};
    use super::*;

    fn of(names: &[&str]) -> Result<Vec<Purpose>, String> {
        let text = "[[listener]]\nname = 'main'\nbind = '127.0.0.1:1'\n\
                    [[listener]]\nname = 'tls'\nbind = '127.0.0.1:2'\n[[listener]]\nunix = '/s'\n";
        purposes(names, &Config::parse("", text).unwrap().listeners)
    }

    #[test]
    fn what_another_process_listens_at_is_kept_where_it_is_written_the_same() {
        let config = |text: &str| Config::parse("", text).unwrap();
        let socket = |name: &str, configured: &str| PassedSocket {
            name: name.into(),
            configured: configured.into(),
            owns_path: false,
            descriptor: std::net::TcpListener::bind("127.0.0.1:0").unwrap().into(),
        };
        let now = config(
            "[[listener]]\nname = 'a'\nbind = '127.0.0.1:1'\n[[listener]]\nunix = '/s'\n\
             [http]\nbind = '127.0.0.1:9'\n",
        );
        let sent = [("a", "127.0.0.1:1"), ("a", "127.0.0.1:2"), ("/s", "/s"), ("gone", "/gone")];
        let sent = sent.into_iter().chain([("http", "127.0.0.1:9"), ("http", "127.0.0.1:8")]);
        let kept = still_configured(&now, sent.map(|it| socket(it.0, it.1)).collect());
        let kept: Vec<_> = kept.iter().map(|it| it.configured.as_str()).collect();
        assert_eq!(kept, ["127.0.0.1:1", "/s", "127.0.0.1:9"]);
        assert!(still_configured(&config(""), vec![socket("http", "127.0.0.1:9")]).is_empty());
    }

    #[test]
    fn a_name_says_which_listener_a_socket_is_for() {
        assert_eq!(of(&[]), Ok(vec![]));
        assert_eq!(of(&["/s", "main"]), Ok(vec![Listener(2), Listener(0)]));
        assert_eq!(of(&["http", "tls", "tls"]), Ok(vec![Http, Listener(1), Listener(1)]));
        let unnamed = of(&["", "main", "entourage.socket", "unknown"]);
        assert_eq!(unnamed.unwrap_err(), "more sockets were passed than there are listeners");
        assert_eq!(of(&["", "main", "a.socket"]), Ok(vec![Listener(1), Listener(0), Listener(2)]));
        let why = of(&["main", "mian"]).unwrap_err();
        let told = "a socket `mian` was passed, and no listener has this name: there are main, \
                    tls, /s, and http";
        assert_eq!(why, told);
    }
}
