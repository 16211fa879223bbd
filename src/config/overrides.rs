//! What the command line says over the file.

use super::outside::Outside;
use super::slot::{MASTER_ACCEPTED, Slot};
use super::table::param;
use super::{Address, Config, Http, Listener};
use crate::route::Level;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Flags as typed; those not given leave the file's word alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// `--bind`: replaces all listeners, together with `unix`.
    pub bind: Vec<String>,
    /// `--port`: of each `bind` that has none; without `bind`, of the first listener that has one.
    pub port: Option<String>,
    /// `--tls-port`: a listener with TLS at each address of `bind`, or beside the first listener.
    pub tls_port: Option<String>,
    /// `--tls-cert-file`.
    pub tls_cert_file: Option<String>,
    /// `--tls-key-file`.
    pub tls_key_file: Option<String>,
    /// `--tls-ca-cert-file`.
    pub tls_ca_cert_file: Option<String>,
    /// `--tls-auth-clients`.
    pub tls_auth_clients: Option<String>,
    /// `--unix`.
    pub unix: Option<PathBuf>,
    /// `--replicas`.
    pub replicas: Option<String>,
    /// `--replicaof`.
    pub replicaof: Option<String>,
    /// `--threads`.
    pub threads: Option<String>,
    /// `--level`: the level of everything no rule, listener or session says otherwise of.
    pub level: Option<String>,
    /// `--loglevel`.
    pub loglevel: Option<String>,
    /// `--protected-mode`.
    pub protected_mode: Option<String>,
    /// `--http`: where the status page is.
    pub http: Option<String>,
}

impl Overrides {
    /// None given.
    pub const NONE: Overrides = Overrides {
        bind: Vec::new(),
        port: None,
        tls_port: None,
        tls_cert_file: None,
        tls_key_file: None,
        tls_ca_cert_file: None,
        tls_auth_clients: None,
        unix: None,
        replicas: None,
        replicaof: None,
        threads: None,
        level: None,
        loglevel: None,
        protected_mode: None,
        http: None,
    };

    /// Whether they replace the listeners, or move one.
    pub fn says_listeners(&self) -> bool {
        !self.bind.is_empty()
            || self.unix.is_some()
            || self.port.is_some()
            || self.tls_port.is_some()
    }

    /// Applies them, or says which flag is wrong and what it takes.
    pub fn apply(&self, config: &mut Config, outside: &Outside<'_>) -> Result<(), String> {
        let flags = [
            ("replicas", &self.replicas),
            ("threads", &self.threads),
            ("loglevel", &self.loglevel),
            ("protected-mode", &self.protected_mode),
            ("tls-cert-file", &self.tls_cert_file),
            ("tls-key-file", &self.tls_key_file),
            ("tls-ca-cert-file", &self.tls_ca_cert_file),
            ("tls-auth-clients", &self.tls_auth_clients),
        ];
        for (name, value) in flags {
            let Some(value) = value else { continue };
            let param = param(name).expect("these are rows of the table");
            let refuse = |_| refused(name, value, &param.slot.accepted_of_flag());
            param.slot.take(config, value).map_err(refuse)?;
        }
        if let Some(text) = &self.replicaof {
            let refuse = |_| refused("replicaof", text, MASTER_ACCEPTED);
            Slot::Master.take(config, text).map_err(refuse)?;
        }
        if let Some(text) = &self.http {
            let at = outside.address(text, Http::PORT);
            config.http.bind = Some(at.ok_or_else(|| refused("http", text, Http::ACCEPTED))?);
        }
        self.take_level(config)?;
        let is_unsaid = config.listeners == [Listener::default()] && self.replaces_none();
        self.take_listeners(config, outside)?;
        self.take_tls_port(config, is_unsaid)
    }

    /// Whether no flag says where clients come in without TLS.
    fn replaces_none(&self) -> bool {
        self.bind.is_empty() && self.unix.is_none() && self.port.is_none()
    }

    fn take_level(&self, config: &mut Config) -> Result<(), String> {
        let Some(text) = &self.level else { return Ok(()) };
        let level = Level::parse(text).ok_or_else(|| refused("level", text, Level::ACCEPTED))?;
        config.routes = std::mem::take(&mut config.routes).with_level(level);
        Ok(())
    }

    fn port(&self) -> Result<Option<u16>, String> {
        let Some(text) = &self.port else { return Ok(None) };
        text.parse().map(Some).map_err(|_| refused("port", text, PORT_ACCEPTED))
    }

    /// Gives the first listener that has a port another one. Where there is none, or `--unix`
    /// replaces them all, answers a listener to be added.
    fn moved(&self, config: &mut Config, port: u16) -> Result<Option<Address>, String> {
        let first = config.listeners.iter_mut().find_map(|it| match &mut it.at {
            Address::Tcp(at) => Some(at),
            Address::Unix(_) => None,
        });
        let Some(at) = first.filter(|_| self.unix.is_none()) else {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            return Ok(Some(Address::Tcp(at)));
        };
        at.set_port(port);
        let at = Address::Tcp(*at);
        match 1 < config.listeners.iter().filter(|it| port != 0 && it.at == at).count() {
            true => Err(format!("--port {port}: another listener is already at {at}")),
            false => Ok(None),
        }
    }

    /// Adds a listener with TLS at each address where there is one without, or in the place of the
    /// one that nobody has asked for.
    fn take_tls_port(&self, config: &mut Config, is_unsaid: bool) -> Result<(), String> {
        let Some(text) = &self.tls_port else { return Ok(()) };
        let port = text.parse().map_err(|_| refused("tls-port", text, PORT_ACCEPTED))?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for listener in &config.listeners {
            match &listener.at {
                Address::Tcp(at) if !addresses.contains(&at.ip()) => addresses.push(at.ip()),
                Address::Tcp(_) | Address::Unix(_) => {}
            }
        }
        if addresses.is_empty() {
            addresses.push(Ipv4Addr::LOCALHOST.into());
        }
        if is_unsaid {
            config.listeners.clear();
        }
        for (index, address) in addresses.into_iter().enumerate() {
            let at = Address::Tcp(SocketAddr::new(address, port));
            let name = if index == 0 { "tls".to_owned() } else { at.to_string() };
            let listener = Listener { tls: true, ..Listener::new(name, at) };
            match listener.clashes(&config.listeners) {
                Some(why) => return Err(format!("--tls-port {port}: {why}")),
                None => config.listeners.push(listener),
            }
        }
        Ok(())
    }

    fn take_listeners(&self, config: &mut Config, outside: &Outside<'_>) -> Result<(), String> {
        let port = self.port()?;
        let mut listeners = Vec::new();
        for text in &self.bind {
            if text.parse::<u16>().is_ok() {
                return Err(format!(
                    "--bind {text} is a port, and no address; write --port {text}, or --bind \
                     127.0.0.1:{text}"
                ));
            }
            let at = outside.address(text, port.unwrap_or(Address::PORT));
            let at = at.ok_or_else(|| refused("bind", text, Address::ACCEPTED))?;
            listeners.push(Address::Tcp(at));
        }
        if let (true, Some(port)) = (listeners.is_empty(), port) {
            listeners.extend(self.moved(config, port)?);
        }
        listeners.extend(self.unix.clone().map(Address::Unix));
        if listeners.is_empty() {
            return Ok(());
        }
        config.listeners.clear();
        for (at, address) in listeners.into_iter().enumerate() {
            let name = if at == 0 { Listener::default().name } else { address.to_string() };
            let listener = Listener::new(name, address);
            match listener.clashes(&config.listeners) {
                Some(why) => return Err(format!("--bind {}: {why}", listener.at)),
                None => config.listeners.push(listener),
            }
        }
        Ok(())
    }
}

/// A port, 0 for any that is free.
const PORT_ACCEPTED: &str = "a port from 0 to 65535; 0 is any that is free";

fn refused(flag: &str, value: &str, accepted: &str) -> String {
    format!("--{flag} {value} is not accepted; write {accepted}")
}
