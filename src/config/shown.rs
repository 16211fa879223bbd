//! What CONFIG GET tells of what stands in no single setting.

use super::Config;
use super::listener::Address;

/// The master, as Redis tells it.
pub fn replicaof(config: &Config) -> String {
    let master = config.set.master.as_ref();
    master.map_or_else(String::new, |it| format!("{} {}", it.host, it.port))
}

/// Every address, in the order they are listed.
pub fn bind(config: &Config) -> String {
    let mut hosts: Vec<String> = Vec::new();
    for listener in &config.listeners {
        match &listener.at {
            Address::Tcp(at) if !hosts.contains(&at.ip().to_string()) => {
                hosts.push(at.ip().to_string());
            }
            Address::Tcp(_) | Address::Unix(_) => {}
        }
    }
    hosts.join(" ")
}

/// The first port without TLS; 0 when there is none, as Redis has it.
pub fn port(config: &Config) -> String {
    config.port_of(false).to_string()
}

/// The first port with TLS.
pub fn tls_port(config: &Config) -> String {
    config.tls_port().to_string()
}

/// The mode of the first path that has one, as Redis shows it; 0 when none has.
pub fn unixsocketperm(config: &Config) -> String {
    let mode = config.listeners.iter().find_map(|it| it.mode);
    mode.map_or_else(|| "0".to_owned(), |it| format!("{it:o}"))
}

/// The first path.
pub fn unixsocket(config: &Config) -> String {
    let paths = config.listeners.iter().filter_map(|it| match &it.at {
        Address::Unix(path) => Some(path.display().to_string()),
        Address::Tcp(_) => None,
    });
    paths.into_iter().next().unwrap_or_default()
}
