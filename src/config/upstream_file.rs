//! The `[upstream]` table as written, and what may stand beside it.

use super::leaf::{Leaf, Many, MemberWord, Setting};
use super::param::Section;
use super::place::Wrong;
use super::table::PARAMS;
use super::tls::UpstreamTls;
use super::upstream::{Sentinels, Topology, Upstream};
use crate::base::remote_address::RemoteAddress;
use crate::base::size::parse_size;
use serde::Deserialize;
use std::ops::Range;
use std::time::Duration;
use toml::{Spanned, Value};

/// The table as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawUpstream {
    sentinels: Option<Many<RemoteAddress>>,
    master_name: Option<Leaf<String>>,
    quorum: Option<Leaf<Count>>,
    sentinel_user: Option<Leaf<String>>,
    sentinel_password: Option<Leaf<String>>,
    user: Option<Leaf<String>>,
    password: Option<Leaf<String>>,
    zone: Option<Leaf<MemberWord>>,
    connect_timeout: Option<Leaf<Duration>>,
    replica_timeout: Option<Leaf<Duration>>,
    reply_timeout: Option<Leaf<Duration>>,
    probe_every: Option<Leaf<Duration>>,
    buffer_for: Option<Leaf<Duration>>,
    queue_limit: Option<Leaf<Size>>,
    tls: Option<Leaf<bool>>,
    tls_ca_cert_file: Option<Leaf<String>>,
    tls_ca_cert_dir: Option<Leaf<String>>,
    tls_cert_file: Option<Leaf<String>>,
    tls_key_file: Option<Leaf<String>>,
    tls_check_name: Option<Leaf<bool>>,
    tls_server_name: Option<Leaf<String>>,
}

/// Where a server is.
impl Setting for RemoteAddress {
    fn read(value: &Value) -> Result<RemoteAddress, String> {
        let accepted = "a host and a port, like \"db.example:6379\"";
        value.as_str().and_then(RemoteAddress::parse).ok_or_else(|| accepted.to_owned())
    }
}

/// A number above 0.
#[derive(Clone, Debug)]
struct Count(usize);

impl Setting for Count {
    fn read(value: &Value) -> Result<Count, String> {
        let count = value.as_integer().and_then(|it| usize::try_from(it).ok());
        count.filter(|it| *it != 0).map(Count).ok_or_else(|| "a whole number above 0".to_owned())
    }
}

/// A number of bytes.
#[derive(Clone, Debug)]
struct Size(usize);

/// The least that may wait for a member: one request of some length.
const QUEUE_BYTES_MIN: u64 = 64 << 10;

impl Setting for Size {
    fn read(value: &Value) -> Result<Size, String> {
        let bytes = match value {
            Value::Integer(it) => u64::try_from(*it).ok(),
            Value::String(it) => parse_size(it.as_bytes()),
            _ => None,
        };
        let bytes = bytes.filter(|it| QUEUE_BYTES_MIN <= *it);
        let bytes = bytes.and_then(|it| usize::try_from(it).ok());
        bytes.map(Size).ok_or_else(|| "a size of 64kb or more, like \"64mb\"".to_owned())
    }
}

/// What a file says of who the members are.
pub struct Members {
    /// Where the first member without an address stands, if there is one.
    pub unaddressed: Option<Range<usize>>,
    /// Whether any member has an address.
    pub are_addressed: bool,
}

/// The set of real servers that a file describes, if it does.
pub fn upstream(
    raw: Option<Spanned<RawUpstream>>,
    members: &Members,
) -> Result<Option<Upstream>, Wrong> {
    let span = raw.as_ref().map(Spanned::span);
    let raw = raw.map(Spanned::into_inner);
    let has_sentinels = raw.as_ref().is_some_and(|it| it.sentinels.is_some());
    if members.are_addressed
        && let Some(at) = &members.unaddressed
    {
        let why = "every [[member]] has an `address`, or none has: a set is of real servers, or of \
                   hosted members";
        return Err(Wrong::says(at.clone(), why.to_owned()));
    }
    match (span, has_sentinels, members.are_addressed) {
        (Some(at), true, true) => {
            let why = "either `sentinels` say who the members are, or each [[member]] has an \
                       `address`";
            Err(Wrong::says(at, why.to_owned()))
        }
        (Some(at), true, false) if members.unaddressed.is_some() => {
            let why = "sentinels say who the members are: leave out every [[member]]";
            Err(Wrong::says(at, why.to_owned()))
        }
        (Some(at), true, false) if raw.as_ref().is_some_and(|it| it.zone.is_some()) => {
            let why = "sentinels do not tell the zones of members: leave `zone` out";
            Err(Wrong::says(at, why.to_owned()))
        }
        (Some(at), false, false) => {
            let why = "[upstream] is for a set of real servers, and this one is hosted: give each \
                       [[member]] an `address`, or write `sentinels`";
            Err(Wrong::says(at, why.to_owned()))
        }
        (None, _, false) => Ok(None),
        (at, ..) => raw.unwrap_or_default().made(at).map(Some),
    }
}

/// What of a section is for hosted members alone.
pub fn is_hosted_only(section: Section, name: &str) -> bool {
    match section {
        Section::Engine => true,
        Section::Set => !name.starts_with("min-replicas-"),
        Section::Server | Section::Nowhere => false,
    }
}

/// A key that only hosted members know, and where it stands.
pub fn misplaced<'k>(
    section: Section,
    mut keys: impl Iterator<Item = &'k Spanned<String>>,
) -> Result<(), Wrong> {
    debug_assert!(PARAMS.iter().any(|it| it.section == section), "it is a section of the file");
    let Some(key) = keys.find(|it| is_hosted_only(section, it.get_ref())) else { return Ok(()) };
    let why = format!(
        "{}.{} is for hosted members, and this set's are real servers: leave it out",
        section.name(),
        key.get_ref()
    );
    Err(Wrong::says(key.span(), why))
}

impl RawUpstream {
    /// How members are reached with TLS, if they are. `Err` with what is wrong with it.
    fn tls(&self) -> Result<Option<UpstreamTls>, &'static str> {
        let text =
            |it: &Option<Leaf<String>>| it.as_ref().map_or_else(String::new, |it| it.0.clone());
        let tls = UpstreamTls {
            cert_file: text(&self.tls_cert_file),
            key_file: text(&self.tls_key_file),
            ca_cert_file: text(&self.tls_ca_cert_file),
            ca_cert_dir: text(&self.tls_ca_cert_dir),
            checks_name: self.tls_check_name.as_ref().is_none_or(|it| it.0),
            server_name: text(&self.tls_server_name),
        };
        let says = self.tls_check_name.is_some()
            || [
                &tls.cert_file,
                &tls.key_file,
                &tls.ca_cert_file,
                &tls.ca_cert_dir,
                &tls.server_name,
            ]
            .iter()
            .any(|it| !it.is_empty());
        match self.tls.as_ref().is_some_and(|it| it.0) {
            false if says => Err("tls-… is for `tls = true`"),
            false => Ok(None),
            true if tls.ca_cert_file.is_empty() && tls.ca_cert_dir.is_empty() => {
                Err("tls = true needs tls-ca-cert-file or tls-ca-cert-dir, to know members by")
            }
            true if tls.cert_file.is_empty() != tls.key_file.is_empty() => {
                Err("tls-cert-file and tls-key-file belong together")
            }
            true => Ok(Some(tls)),
        }
    }

    fn made(self, at: Option<Range<usize>>) -> Result<Upstream, Wrong> {
        let tls = self.tls();
        let tls = tls.map_err(|why| Wrong::says(at.clone().unwrap_or_default(), why.to_owned()))?;
        let default = Upstream::default();
        let text = |it: Option<Leaf<String>>| it.map_or_else(String::new, |it| it.0);
        let time = |it: Option<Leaf<Duration>>, default| match it {
            Some(Leaf(Duration::ZERO)) | None => default,
            Some(Leaf(time)) => time,
        };
        let names_sentinels = self.master_name.is_some()
            || self.quorum.is_some()
            || self.sentinel_user.is_some()
            || self.sentinel_password.is_some();
        let topology = match self.sentinels {
            Some(addresses) => {
                let addresses = addresses.bare();
                let majority = addresses.len() / 2 + 1;
                let quorum = self.quorum.map_or(majority, |it| it.0.0);
                if addresses.is_empty() || addresses.len() < quorum {
                    let why = format!(
                        "quorum = {quorum} of {} sentinels can never agree",
                        addresses.len()
                    );
                    return Err(Wrong::says(at.unwrap_or_default(), why));
                }
                Topology::Sentinel(Sentinels {
                    addresses,
                    master_name: self.master_name.map_or_else(|| "mymaster".into(), |it| it.0),
                    quorum,
                    user: text(self.sentinel_user),
                    password: text(self.sentinel_password),
                })
            }
            None if names_sentinels => {
                let why = "master-name, quorum, sentinel-user and sentinel-password are for \
                           `sentinels`, and none are named";
                return Err(Wrong::says(at.unwrap_or_default(), why.to_owned()));
            }
            None => Topology::Static,
        };
        Ok(Upstream {
            topology,
            user: text(self.user),
            password: text(self.password),
            zone: self.zone.map(|it| it.0.0),
            connect_timeout: time(self.connect_timeout, default.connect_timeout),
            replica_timeout: time(self.replica_timeout, default.replica_timeout),
            reply_timeout: time(self.reply_timeout, default.reply_timeout),
            probe_every: time(self.probe_every, default.probe_every),
            buffer_for: self.buffer_for.map_or(default.buffer_for, |it| it.0),
            tls,
            queue_bytes_max: self.queue_limit.map_or(default.queue_bytes_max, |it| it.0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Topology};
    use crate::route::Step;

    const MEMBERS: &str =
        "[[member]]\naddress = \"a:1\"\n[[member]]\nname = \"x\"\naddress = \"[::1]:2\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse("e.toml", text)
    }

    fn refused(text: &str, why: &str) {
        let told = parse(text).unwrap_err();
        assert!(told.contains(why), "{told}");
    }

    #[test]
    fn members_with_addresses_are_a_set_of_real_servers() {
        let config = parse(MEMBERS).unwrap();
        let upstream = config.upstream.as_ref().unwrap();
        assert_eq!(upstream.topology, Topology::Static);
        let addresses = config.members.iter().map(|it| it.address.as_ref().unwrap().to_string());
        assert_eq!(addresses.collect::<Vec<_>>(), ["a:1", "[::1]:2"]);
        assert_eq!(config.hosted_members().len(), 1, "nobody hosts them");
        let ladder = config.routes.all()[0].ladder;
        assert_eq!(ladder.steps(), [Step::OtherReplica, Step::Master]);
        assert_eq!(parse("").unwrap().upstream, None);
    }

    #[test]
    fn members_have_a_zone_and_a_weight() {
        let text =
            "[upstream]\nzone = \"a\"\n[[member]]\naddress = \"a:1\"\nzone = \"a\"\nweight = 3\n";
        let config = parse(text).unwrap();
        assert_eq!(config.upstream.unwrap().zone.as_deref(), Some("a"));
        assert_eq!((config.members[0].zone.as_deref(), config.members[0].weight), (Some("a"), 3));
        refused("[[member]]\naddress = \"a:1\"\nweight = 0\n", "a whole number from 1 to 1000");
        refused("[[member]]\nweight = 2\n", "a weight is for a real server");
    }

    #[test]
    fn sentinels_need_a_quorum_that_can_be() {
        let text = "[upstream]\nsentinels = [\"s:1\", \"s:2\", \"s:3\"]\n";
        let Topology::Sentinel(sentinels) = parse(text).unwrap().upstream.unwrap().topology else {
            panic!("they are named")
        };
        assert_eq!((sentinels.quorum, sentinels.master_name.as_str()), (2, "mymaster"));
        refused(&format!("{text}quorum = 4\n"), "quorum = 4 of 3 sentinels can never agree");
        refused(&format!("{text}[[member]]\n"), "leave out every [[member]]");
        refused(&format!("{MEMBERS}{text}"), "either `sentinels` say who the members are");
        refused(&format!("{MEMBERS}[upstream]\nquorum = 2\n"), "are for `sentinels`");
    }

    #[test]
    fn what_only_the_other_kind_of_set_knows_is_refused() {
        refused("[upstream]\nuser = \"u\"\n", "[upstream] is for a set of real servers");
        refused(&format!("{MEMBERS}[[member]]\n"), "every [[member]] has an `address`, or none");
        let hosted = "is for hosted members, and this set's are real servers";
        refused(&format!("{MEMBERS}[set]\nreplicas = 1\n"), &format!("set.replicas {hosted}"));
        let engine = format!("{MEMBERS}[engine]\nstream-node-max-bytes = 1\n");
        refused(&engine, &format!("engine.stream-node-max-bytes {hosted}"));
        assert!(parse(&format!("{MEMBERS}[set]\nmin-replicas-to-write = 1\n")).is_ok());
        for (line, what) in [
            ("on-lag = \"catch-up\"", "on-lag = \"catch-up\""),
            ("acks = \"fsync\"", "acks = \"fsync\""),
            ("level = \"bounded 1mb\"", "a level that is bounded in bytes"),
        ] {
            let config = parse(&format!("{MEMBERS}[consistency]\n{line}\n")).unwrap();
            let (place, why) = config.contradiction().unwrap();
            let key = line.split(' ').next().unwrap();
            assert_eq!(place.to_string(), format!("consistency.{key}"));
            assert!(why.starts_with(what), "{why}");
        }
        let mut config = parse(MEMBERS).unwrap();
        let set = |config: &mut Config, name: &str| config.set(&[(name.as_bytes(), b"1")]);
        assert!(set(&mut config, "hz").unwrap_err().contains("for hosted members"));
        assert_eq!(set(&mut config, "min-replicas-to-write"), Ok(()));
    }
}
