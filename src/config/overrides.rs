//! What the command line says over the file.

use super::table::param;
use super::{Address, Config, Listener};
use crate::route::Level;
use std::path::PathBuf;

/// Flags as typed; those not given leave the file's word alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// `--bind`: replaces all listeners, together with `unix`.
    pub bind: Vec<String>,
    /// `--unix`.
    pub unix: Option<PathBuf>,
    /// `--replicas`.
    pub replicas: Option<String>,
    /// `--threads`.
    pub threads: Option<String>,
    /// `--level`: the level of everything no rule, listener or session says otherwise of.
    pub level: Option<String>,
    /// `--loglevel`.
    pub loglevel: Option<String>,
}

impl Overrides {
    /// Applies them, or says which flag is wrong and what it takes.
    pub fn apply(&self, config: &mut Config) -> Result<(), String> {
        let flags = [
            ("replicas", &self.replicas),
            ("threads", &self.threads),
            ("loglevel", &self.loglevel),
        ];
        for (name, value) in flags {
            let Some(value) = value else { continue };
            let param = param(name).expect("these are rows of the table");
            let refuse = |_| refused(name, value, &param.slot.accepted());
            param.slot.take(config, value).map_err(refuse)?;
        }
        self.take_level(config)?;
        self.take_listeners(config)
    }

    fn take_level(&self, config: &mut Config) -> Result<(), String> {
        let Some(text) = &self.level else { return Ok(()) };
        let level = Level::parse(text).ok_or_else(|| refused("level", text, Level::ACCEPTED))?;
        config.routes = std::mem::take(&mut config.routes).with_level(level);
        Ok(())
    }

    fn take_listeners(&self, config: &mut Config) -> Result<(), String> {
        let mut listeners = Vec::new();
        for text in &self.bind {
            let at = text.parse().map_err(|_| refused("bind", text, Address::ACCEPTED))?;
            listeners.push(Address::Tcp(at));
        }
        listeners.extend(self.unix.clone().map(Address::Unix));
        if listeners.is_empty() {
            return Ok(());
        }
        config.listeners.clear();
        for (at, address) in listeners.into_iter().enumerate() {
            let name = if at == 0 { Listener::default().name } else { address.to_string() };
            let listener = Listener { name, at: address, level: None, sticky_scope: None };
            match listener.clashes(&config.listeners) {
                Some(why) => return Err(format!("--bind {}: {why}", listener.at)),
                None => config.listeners.push(listener),
            }
        }
        Ok(())
    }
}

fn refused(flag: &str, value: &str, accepted: &str) -> String {
    format!("--{flag} {value} is not accepted; write {accepted}")
}
