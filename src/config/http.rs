//! The `[http]` table: where the status page is served, and to whom.

use super::leaf::{Leaf, Setting};
use super::locate::Place;
use super::outside::Outside;
use super::place::Wrong;
use serde::Deserialize;
use std::net::SocketAddr;
use toml::{Spanned, Value};

/// The status page and what is for programs beside it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Http {
    /// Where it is served; nowhere unless somebody asks for it.
    pub bind: Option<SocketAddr>,
    /// Whether that may be an address which other machines reach.
    pub allow_remote: bool,
    /// What is asked for; empty for nothing.
    pub password: String,
    /// Whether members may be paused, drained and made the master there.
    pub admin: bool,
}

/// A text, which may be empty.
#[derive(Clone, Debug)]
struct Text(String);

impl Setting for Text {
    fn read(value: &Value) -> Result<Text, String> {
        let text = value.as_str().map(|it| Text(it.to_owned()));
        text.ok_or_else(|| "a text in quotes, \"\" for none".to_owned())
    }
}

/// The table as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawHttp {
    bind: Option<Spanned<Leaf<Text>>>,
    allow_remote: Option<Leaf<bool>>,
    password: Option<Leaf<Text>>,
    admin: Option<Leaf<bool>>,
}

impl RawHttp {
    /// What it comes to.
    pub fn made(self, outside: &Outside<'_>) -> Result<Http, Wrong> {
        let bind = match self.bind {
            Some(text) if !text.get_ref().0.0.is_empty() => {
                let at = outside.address(&text.get_ref().0.0, Http::PORT);
                let wrong = || Wrong::value(text.span(), Http::ACCEPTED.to_owned());
                Some(at.ok_or_else(wrong)?)
            }
            _ => None,
        };
        Ok(Http {
            bind,
            allow_remote: self.allow_remote.is_some_and(|it| it.0),
            password: self.password.map_or_else(String::new, |it| it.0.0),
            admin: self.admin.is_some_and(|it| it.0),
        })
    }
}

impl Http {
    /// The port where none is written.
    pub const PORT: u16 = 9379;
    /// What `bind` looks like, for refusals.
    pub const ACCEPTED: &str = "an address or a name of this host, with a port or without, like \
                                127.0.0.1:9379 or localhost";

    /// Why nothing can be served so.
    pub(super) fn contradiction(&self) -> Option<(Place, String)> {
        let at = self.bind?;
        let is_for_others = !at.ip().is_loopback();
        if is_for_others && !self.allow_remote {
            let why = format!(
                "http.bind = {at} is for other machines, too: write 127.0.0.1:{}, or \
                 http.allow-remote = true",
                at.port()
            );
            return Some((Place::Http("bind"), why));
        }
        // Also where only this machine is listened to: any page in a browser may lead here.
        let is_open = self.admin && self.allow_remote && self.password.is_empty();
        let why = "http.admin with http.allow-remote lets every machine fail over: set \
                   http.password";
        is_open.then(|| (Place::Http("admin"), why.to_owned()))
    }

    /// What is allowed and does not do what it seems to.
    pub(super) fn foolish(&self) -> Option<(Place, String)> {
        let at = self.bind.filter(|_| self.allow_remote && self.password.is_empty())?;
        let words = format!(
            "lets whoever reaches {at}, and every web page in a browser there, see names, clients \
             and slow commands: there is no http.password"
        );
        Some((Place::Http("allow-remote"), words))
    }

    /// Whether the other is served at another place.
    pub(super) fn is_elsewhere(&self, other: &Http) -> bool {
        (self.bind, self.allow_remote) != (other.bind, other.allow_remote)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Checked, Config, Outside, Overrides};
    use std::path::Path;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse("e.toml", text)
    }

    /// As a start reads it.
    fn checked(text: &str, http: Option<&str>) -> Result<Checked, String> {
        let read = |_: &Path| Ok(text.to_owned());
        let flags = Overrides { http: http.map(str::to_owned), ..Overrides::NONE };
        Checked::read(
            Some(Path::new("e.toml")),
            &flags,
            &Outside { read: &read, ..Outside::NOTHING },
        )
    }

    #[test]
    fn nothing_is_served_unless_somebody_asks_for_it() {
        assert_eq!(parse("").unwrap().http.bind, None);
        assert_eq!(parse("[http]\nbind = ''\npassword = 'p'\n").unwrap().http.bind, None);
        let bind = |text: &str| parse(text).unwrap().http.bind.unwrap().to_string();
        assert_eq!(bind("[http]\nbind = 'localhost'\n"), "127.0.0.1:9379");
        assert_eq!(bind("[http]\nbind = '[::1]:1'\n"), "[::1]:1");
        let flag = checked("[http]\npassword = 'p'\n", Some("localhost:7")).unwrap().config.http;
        assert_eq!((flag.bind.unwrap().port(), flag.password.as_str()), (7, "p"));
    }

    #[test]
    fn what_other_machines_reach_must_be_asked_for_twice() {
        let why = checked("[http]\nbind = '*:80'\n", None).unwrap_err();
        let told = "e.toml:2: http.bind = 0.0.0.0:80 is for other machines, too: write \
                    127.0.0.1:80, or http.allow-remote = true";
        assert_eq!(why, told);
        assert!(checked("", Some("0.0.0.0:80")).is_err());
        let open = checked("[http]\nbind = '*:80'\nallow-remote = true\n", None).unwrap();
        assert!(open.warnings[0].contains("no http.password"), "{:?}", open.warnings);
        let text = "[http]\nbind = '*:80'\nallow-remote = true\nadmin = true\n";
        let why = checked(text, None).unwrap_err();
        assert!(why.contains("set http.password"), "{why}");
        let text = format!("{text}password = 'p'\n");
        assert_eq!(checked(&text, None).unwrap().warnings, [""; 0]);
        let here = "[http]\nbind = 'localhost'\nallow-remote = true\n";
        assert!(checked(here, None).unwrap().warnings[0].contains("every web page"));
        assert!(checked(&format!("{here}admin = true\n"), None).is_err());
        let here = "[http]\nbind = 'localhost'\nadmin = true\n";
        assert_eq!(checked(here, None).unwrap().warnings, [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let why = parse("[http]\nbind = 'no where'\n").unwrap_err();
        assert!(
            why.starts_with("e.toml:2: http.bind = 'no where' is not accepted; write"),
            "{why}"
        );
        let why = parse("[http]\npassword = 12345\n").unwrap_err();
        assert!(why.contains("(hidden)") && !why.contains("12345"), "{why}");
    }

    #[test]
    fn a_reload_may_change_the_password_and_no_address() {
        let config = |text: &str| parse(&format!("[http]\nbind = '127.0.0.1:1'\n{text}")).unwrap();
        let (before, after) = (config(""), config("password = 'p'\nadmin = true\n"));
        let after = before.reloaded(after, &before.all_members()).unwrap();
        assert_eq!(before.changes(&after), ["http"]);
        let why = before.reloaded(parse("").unwrap(), &before.all_members()).unwrap_err();
        assert_eq!(why, "http.bind and http.allow-remote need a restart");
    }
}
