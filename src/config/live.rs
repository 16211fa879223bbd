//! CONFIG GET and CONFIG SET.

use super::fixed::{self, fixed, is_protected, is_without_effect};
use super::param::When;
use super::table::{PARAMS, param};
use super::upstream_file::is_hosted_only;
use super::{Config, Http};
use crate::base::glob::{Case, is_literal, matches};

const DUPLICATE: &str = "duplicate parameter";
const YES_OR_NO: &str = "argument must be 'yes' or 'no'";
const IMMUTABLE: &str = "can't set immutable config";
/// What CONFIG GET tells whoever has logged in, and nobody else is to know.
const SECRETS: [&str; 5] =
    ["requirepass", "masterauth", "tls-key-file-pass", "tls-client-key-file-pass", "token-secret"];
const NO_DIR: &str = "set.dir names no directory, so nothing is written to disk";
const HOSTED_ONLY: &str = "it is for hosted members, and this set's are real servers";

/// What CONFIG SET answers that does not set this.
pub fn cannot_set(name: &str, why: &str) -> String {
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
}

impl Config {
    /// Names and values of the parameters that any of these patterns names, each once. A name
    /// without wildcards comes back as it was asked for.
    pub fn get<'a>(&self, patterns: impl Iterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for pattern in patterns {
            for (name, value) in self.named(pattern) {
                if !found.iter().any(|it| it.0 == name) {
                    found.push((name, value));
                }
            }
        }
        found
    }

    fn named(&self, pattern: &[u8]) -> Vec<(String, String)> {
        if is_literal(pattern) {
            let name = String::from_utf8_lossy(pattern).into_owned();
            return self.value(&name).map(|value| (name, value)).into_iter().collect();
        }
        let told = PARAMS.iter().filter(|it| it.is_told());
        let names = told.flat_map(|it| [Some(it.name), it.alias]).flatten();
        let names = names.chain(fixed::names());
        names
            .filter(|it| matches(pattern, it.as_bytes(), Case::Folded))
            .filter_map(|it| Some((it.to_owned(), self.value(it)?)))
            .collect()
    }

    /// The value of one parameter, as CONFIG GET shows it; a secret is as good as unknown.
    pub fn value(&self, name: &str) -> Option<String> {
        match param(name) {
            Some(param) => param.is_told().then(|| param.slot.show(self)),
            None => fixed(name).map(|it| it.0.to_owned()),
        }
    }

    /// Every parameter with its value, and `(hidden)` in the place of each secret; in front of real
    /// servers those that are not theirs.
    pub fn told_without_secrets(&self, has_real_servers: bool) -> Vec<(String, String)> {
        const HIDDEN: &str = "(hidden)";
        let everything = [&b"*"[..]].into_iter();
        let mut all = match has_real_servers {
            true => self.get_own(everything),
            false => self.get(everything),
        };
        for (name, value) in &mut all {
            if SECRETS.contains(&name.as_str()) && !value.is_empty() {
                *value = HIDDEN.to_owned();
            }
        }
        let Http { bind, allow_remote, password, admin } = &self.http;
        let bind = bind.map_or_else(String::new, |it| it.to_string());
        let yes_or_no = |is: &bool| if *is { "yes" } else { "no" }.to_owned();
        let password = if password.is_empty() { "" } else { HIDDEN };
        all.extend([
            ("http.bind".to_owned(), bind),
            ("http.allow-remote".to_owned(), yes_or_no(allow_remote)),
            ("http.password".to_owned(), password.to_owned()),
            ("http.admin".to_owned(), yes_or_no(admin)),
        ]);
        all
    }

    /// Whether a client may set these parameters, by whether it is on this machine. The refusal is
    /// the whole error reply.
    pub fn may_set<'n>(
        &self,
        mut names: impl Iterator<Item = &'n [u8]>,
        is_local: bool,
    ) -> Result<(), String> {
        if self.server.protected_configs.allows(is_local) {
            return Ok(());
        }
        let name = names.find_map(|it| std::str::from_utf8(it).ok().filter(|it| is_protected(it)));
        name.map_or(Ok(()), |name| Err(cannot_set(name, "can't set protected config")))
    }

    /// Sets several parameters, all or none. The refusal is the whole error reply.
    pub fn set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), String> {
        let name = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        let names: Vec<String> = pairs.iter().map(|it| name(it.0)).collect();
        if let Some(name) = names.iter().find(|it| self.value(it).is_none()) {
            return Err(format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
            ));
        }
        let mut changed = self.clone();
        for (at, name) in names.iter().enumerate() {
            let put = match names[..at].iter().any(|it| it.eq_ignore_ascii_case(name)) {
                true => Err(DUPLICATE.to_owned()),
                false => changed.put(name, pairs[at].1),
            };
            put.map_err(|why| {
                // A refused value is told with the name as it is listed.
                let name = match param(name) {
                    Some(it) if it.when == When::Live && why != DUPLICATE => name.to_lowercase(),
                    _ => name.clone(),
                };
                cannot_set(&name, &why)
            })?;
        }
        *self = changed;
        Ok(())
    }

    fn put(&mut self, name: &str, to: &[u8]) -> Result<(), String> {
        let to = std::str::from_utf8(to).map_err(|_| "argument must be UTF-8 text")?;
        match param(name) {
            Some(param) if self.upstream.is_some() && is_hosted_only(param.section, param.name) => {
                Err(HOSTED_ONLY.to_owned())
            }
            Some(param) if param.when == When::Live => {
                param.slot.take(self, to)?;
                match self.set.lacks_dir() {
                    Some(key) if key == param.name => Err(NO_DIR.to_owned()),
                    _ => Ok(()),
                }
            }
            _ if self.value(name).is_some_and(|it| it.eq_ignore_ascii_case(to)) => Ok(()),
            None if is_without_effect(name) => match to.to_ascii_lowercase().as_str() {
                "yes" | "no" => Ok(()),
                _ => Err(YES_OR_NO.to_owned()),
            },
            _ => Err(match fixed(name) {
                Some((_, why)) => format!("{IMMUTABLE}: {why}"),
                None => IMMUTABLE.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
