//! What a replica says of itself before it asks for the stream: REPLCONF.

use crate::base::number::parse_i64;

/// What a replica has said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaHello {
    /// The port that it listens at.
    pub port: u16,
    /// The address that it wants to be known by, if that is not the one it connects from.
    pub host: Option<String>,
    /// It can tell the end of a file by a mark (`capa eof`), so that nobody need know its length
    /// before.
    pub takes_mark: bool,
    /// It understands that a history goes on under another name (`capa psync2`).
    pub follows_renamed: bool,
    /// What it wants of the data.
    pub contents: FileContents,
    /// It wants the file and no stream behind it (`rdb-only`).
    pub wants_file_only: bool,
}

/// What a file for a replica holds (`rdb-filter-only`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FileContents {
    /// All there is.
    #[default]
    All,
    /// No keys: functions, or nothing at all.
    NoKeys,
}

/// Why something that a replica says of itself is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HelloFault {
    /// A number that is none.
    NotAnInteger,
    /// An address that is too long, as Redis finds it.
    LongAddress(usize),
    /// An option that nobody knows.
    Unknown(String),
    /// A filter that nobody knows.
    UnknownFilter(String),
}

/// Longest address that a replica may want to be known by.
const HOST_BYTES_MAX: usize = 255;

impl ReplicaHello {
    /// Takes one option, but for ACK and GETACK, which belong to the stream. Options that change
    /// nothing here are taken and forgotten, as Redis does.
    pub fn take(&mut self, option: &[u8], value: &[u8]) -> Result<(), HelloFault> {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("listening-port") {
            let port = parse_i64(value).ok_or(HelloFault::NotAnInteger)?;
            self.port = u16::try_from(port).unwrap_or(0);
        } else if is("ip-address") {
            if HOST_BYTES_MAX < value.len() {
                return Err(HelloFault::LongAddress(HOST_BYTES_MAX));
            }
            let text = || String::from_utf8_lossy(value).into_owned();
            self.host = (!value.is_empty()).then(text);
        } else if is("capa") {
            self.takes_mark |= value.eq_ignore_ascii_case(b"eof");
            self.follows_renamed |= value.eq_ignore_ascii_case(b"psync2");
        } else if is("rdb-only") {
            self.wants_file_only = parse_i64(value).ok_or(HelloFault::NotAnInteger)? == 1;
        } else if is("rdb-filter-only") {
            self.contents = FileContents::parse(value)?;
        } else if !is("version") {
            return Err(HelloFault::Unknown(String::from_utf8_lossy(option).into_owned()));
        }
        Ok(())
    }
}

impl FileContents {
    /// The words of `rdb-filter-only`; without any there is nothing in the file.
    fn parse(words: &[u8]) -> Result<FileContents, HelloFault> {
        let mut words = words.split(|it| *it == b' ').filter(|it| !it.is_empty());
        match words.find(|it| !it.eq_ignore_ascii_case(b"functions")) {
            None => Ok(FileContents::NoKeys),
            Some(other) => {
                Err(HelloFault::UnknownFilter(String::from_utf8_lossy(other).into_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_says_who_it_is_option_by_option() {
        let mut hello = ReplicaHello::default();
        let said = [
            ("listening-port", "6380"),
            ("ip-address", "10.0.0.9"),
            ("capa", "eof"),
            ("CAPA", "psync2"),
            ("capa", "something-new"),
            ("version", "7.0.15"),
        ];
        said.iter().for_each(|(it, to)| hello.take(it.as_bytes(), to.as_bytes()).unwrap());
        let wanted = ReplicaHello {
            port: 6380,
            host: Some("10.0.0.9".into()),
            takes_mark: true,
            follows_renamed: true,
            ..ReplicaHello::default()
        };
        assert_eq!(hello, wanted);
    }

    #[test]
    fn what_cannot_be_taken_changes_nothing() {
        let mut hello = ReplicaHello::default();
        let mut take = |option: &str, value: &[u8]| hello.take(option.as_bytes(), value);
        assert_eq!(take("listening-port", b"many"), Err(HelloFault::NotAnInteger));
        assert_eq!(take("ip-address", &[b'x'; 256]), Err(HelloFault::LongAddress(255)));
        assert_eq!(take("foo", b"1"), Err(HelloFault::Unknown("foo".into())));
        let why = HelloFault::UnknownFilter("keys".into());
        assert_eq!(take("rdb-filter-only", b"functions keys"), Err(why));
        assert_eq!(hello, ReplicaHello::default());
    }

    #[test]
    fn the_longest_address_is_taken() {
        let mut hello = ReplicaHello::default();
        hello.take(b"ip-address", &[b'x'; HOST_BYTES_MAX]).unwrap();
        assert_eq!(hello.host.map(|it| it.len()), Some(HOST_BYTES_MAX));
    }

    #[test]
    fn a_file_alone_is_wanted_by_who_says_1() {
        let mut hello = ReplicaHello::default();
        for (value, wants) in [("1", true), ("0", false), ("2", false)] {
            hello.take(b"rdb-only", value.as_bytes()).unwrap();
            assert_eq!(hello.wants_file_only, wants, "{value}");
        }
        assert_eq!(hello.take(b"rdb-only", b"yes"), Err(HelloFault::NotAnInteger));
    }
}
