//! Commands as templates, compiled so that a request is copied and patched rather than formatted.

use super::form::{Followed, Form, Meaning};
use super::keys::Keys;
use super::values::{Sizes, write_checked};
use crate::base::random::Random;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Digits of a key's number; redis-benchmark has as many.
const KEY_DIGITS: usize = 12;
const SCORE_DIGITS: usize = 7;
const SCORES: u64 = 1_000_000;
const COUNT_MAX: u64 = 100;
/// Commands that only read: these go to `read-from`.
const READS: &str = "\
    GET MGET GETRANGE SUBSTR STRLEN LCS EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE TOUCH DUMP \
    OBJECT RANDOMKEY SORT_RO GETBIT BITCOUNT BITPOS BITFIELD_RO HGET HMGET HGETALL HLEN HEXISTS \
    HKEYS HVALS HSTRLEN HRANDFIELD HTTL HPTTL HEXPIRETIME HPEXPIRETIME LRANGE LLEN LINDEX LPOS \
    SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SINTER SINTERCARD SUNION SDIFF ZRANGE \
    ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX ZSCORE ZMSCORE ZRANK \
    ZREVRANK ZCARD ZCOUNT ZLEXCOUNT ZINTER ZINTERCARD ZUNION ZDIFF ZRANDMEMBER PFCOUNT XLEN XRANGE \
    XREVRANGE XREAD XINFO XPENDING GEOPOS GEODIST GEOHASH GEOSEARCH GEORADIUS_RO \
    GEORADIUSBYMEMBER_RO SCAN HSCAN SSCAN ZSCAN KEYS DBSIZE EVAL_RO EVALSHA_RO FCALL_RO PING ECHO \
    TIME INFO";

/// One command of the mix.
#[derive(Clone, Debug)]
pub struct Command {
    /// As it was written.
    pub text: String,
    /// Its first word.
    pub name: String,
    /// Its share among the weights of all.
    pub weight: u64,
    /// Whether it only reads.
    pub is_read: bool,
    /// What it means to the checks.
    pub meaning: Meaning,
    /// Of what kind of values it is, if it is checked, and not of any.
    pub form: Option<Form>,
    /// Whether no value as a reply means that nothing was written.
    pub is_nil_unwritten: bool,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Debug)]
enum Piece {
    Text(Vec<u8>),
    Prefix,
    Key(Field),
    Value,
    Score,
    Count,
    Number,
    Client,
}

/// Which key is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    /// The request's.
    Key,
    /// Another.
    Other,
    /// One that was not there before.
    New,
    /// As the request's, without the prefix.
    Member,
}

#[derive(Clone, Debug)]
enum Part {
    /// Goes out as it is.
    Bytes(Vec<u8>),
    /// Takes as many bytes each time.
    Fixed(Piece),
    /// An argument whose length changes.
    Argument(Vec<Piece>),
}

/// What requests of one run have in common.
#[derive(Clone, Debug)]
pub struct Style {
    /// What keys begin with.
    pub prefix: Vec<u8>,
    /// How long values are.
    pub sizes: Sizes,
    /// Whether values say their version.
    pub has_versions: bool,
    /// Bytes of which values are made.
    pub filling: Vec<u8>,
}

/// Who makes requests: what of it changes from one to the next.
pub struct Maker<'s> {
    /// What all have in common.
    pub style: &'s Style,
    /// Chooses keys.
    pub keys: Keys,
    /// Chooses the rest.
    pub random: Random,
    /// How many keys there are, new ones included.
    pub made: &'s AtomicU64,
    scratch: Vec<u8>,
}

/// What one request is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Its key.
    pub key: u64,
    /// The version that it writes.
    pub version: u64,
    /// Who makes it.
    pub client: u32,
}

impl Command {
    /// Reads `95 GET {key}`; without a number the weight is 1.
    pub fn parse(text: &str, style: &Style) -> Result<Command, String> {
        let wrong = |why: &str| format!("command \"{text}\": {why}");
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let mut weight = 1;
        if let Some(number) = words.first().and_then(|it| it.parse::<u32>().ok()) {
            weight = u64::from(number);
            words.remove(0);
        }
        let Some(name) = words.first() else { return Err(wrong("write a command")) };
        let name = name.to_ascii_uppercase();
        let arguments = words.iter().map(|it| pieces(it).map_err(|it| wrong(&it)));
        let arguments = arguments.collect::<Result<Vec<_>, String>>()?;
        let (meaning, form) = Form::of(&words);
        Ok(Command {
            text: words.join(" "),
            is_read: READS.split_whitespace().any(|it| it == name),
            name,
            weight,
            meaning,
            form,
            is_nil_unwritten: Form::is_nil_unwritten(&words),
            parts: parts(&arguments, style),
        })
    }

    /// One of a capture, which is known by its name alone.
    pub fn named(name: &str) -> Command {
        let (text, name) = (name.to_owned(), name.to_owned());
        let (meaning, form, parts) = (Meaning::Unchecked, None, Vec::new());
        let (is_read, is_nil_unwritten) = (false, false);
        Command { text, name, weight: 1, is_read, meaning, form, is_nil_unwritten, parts }
    }

    /// What its form is found by.
    pub fn followed(&self) -> Followed<'_> {
        Followed { text: &self.text, meaning: self.meaning, form: self.form.as_ref() }
    }

    /// Whether each of its requests makes a key.
    pub fn makes_keys(&self) -> bool {
        self.text.contains("{new}")
    }

    /// Appends a request.
    pub fn write(&self, into: &mut Vec<u8>, maker: &mut Maker<'_>, about: Subject) {
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => into.extend_from_slice(bytes),
                Part::Fixed(piece) => maker.piece(into, piece, about),
                Part::Argument(pieces) => {
                    let mut scratch = std::mem::take(&mut maker.scratch);
                    scratch.clear();
                    pieces.iter().for_each(|it| maker.piece(&mut scratch, it, about));
                    bulk(into, &scratch);
                    maker.scratch = scratch;
                }
            }
        }
    }
}

impl<'s> Maker<'s> {
    /// With nothing made yet.
    pub fn new(style: &'s Style, keys: Keys, random: Random, made: &'s AtomicU64) -> Maker<'s> {
        Maker { style, keys, random, made, scratch: Vec::new() }
    }

    /// The key of the next request of this command.
    pub fn next_key(&mut self, command: &Command) -> u64 {
        if command.makes_keys() {
            return self.made.fetch_add(1, Relaxed);
        }
        self.keys.next(&mut self.random, self.made)
    }

    fn piece(&mut self, into: &mut Vec<u8>, piece: &Piece, about: Subject) {
        match piece {
            Piece::Text(text) => into.extend_from_slice(text),
            Piece::Prefix => into.extend_from_slice(&self.style.prefix),
            Piece::Key(Field::Member) => digits(into, about.key, KEY_DIGITS),
            Piece::Key(field) => {
                let key = match field {
                    Field::Other => self.keys.next(&mut self.random, self.made),
                    _ => about.key,
                };
                into.extend_from_slice(&self.style.prefix);
                digits(into, key, KEY_DIGITS);
            }
            Piece::Value => {
                let len = self.style.sizes.next(&mut self.random);
                let filling = &self.style.filling;
                if self.style.has_versions {
                    return write_checked(into, len, about.version, about.client, filling);
                }
                into.extend_from_slice(&filling[..len]);
            }
            Piece::Score => digits(into, self.random.below(SCORES), SCORE_DIGITS),
            Piece::Number => digits(into, self.random.bits() % 1_000_000_000_000, KEY_DIGITS),
            Piece::Count => {
                let count = 1 + self.random.below(COUNT_MAX);
                into.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
            }
            Piece::Client => {
                into.extend_from_slice(itoa::Buffer::new().format(about.client).as_bytes());
            }
        }
    }
}

/// An argument of a template: text, with fields in braces.
fn pieces(argument: &str) -> Result<Vec<Piece>, String> {
    let (mut found, mut rest) = (Vec::new(), argument);
    while let Some((before, behind)) = rest.split_once('{') {
        if !before.is_empty() {
            found.push(Piece::Text(before.into()));
        }
        let (field, after) = behind.split_once('}').ok_or("a { has no }")?;
        found.push(match field {
            "key" => Piece::Key(Field::Key),
            "other" => Piece::Key(Field::Other),
            "new" => Piece::Key(Field::New),
            "member" => Piece::Key(Field::Member),
            "prefix" => Piece::Prefix,
            "value" => Piece::Value,
            "score" => Piece::Score,
            "count" => Piece::Count,
            "number" => Piece::Number,
            "client" => Piece::Client,
            _ => {
                return Err(format!(
                    "there is no field {{{field}}}; write {{key}}, {{other}}, {{new}}, {{value}}, \
                     {{score}}, {{member}}, {{count}}, {{number}}, {{client}} or {{prefix}}"
                ));
            }
        });
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest.into()));
    }
    Ok(found)
}

impl Piece {
    /// How long it is, if it always is as long.
    fn len(&self, style: &Style) -> Option<usize> {
        match self {
            Piece::Text(text) => Some(text.len()),
            Piece::Prefix => Some(style.prefix.len()),
            Piece::Key(Field::Member) | Piece::Number => Some(KEY_DIGITS),
            Piece::Key(_) => Some(style.prefix.len() + KEY_DIGITS),
            Piece::Value => style.sizes.fixed(),
            Piece::Score => Some(SCORE_DIGITS),
            Piece::Count | Piece::Client => None,
        }
    }
}

fn parts(arguments: &[Vec<Piece>], style: &Style) -> Vec<Part> {
    let mut open = format!("*{}\r\n", arguments.len()).into_bytes();
    let mut parts = Vec::new();
    for argument in arguments {
        let len = argument.iter().map(|it| it.len(style)).sum::<Option<usize>>();
        let Some(len) = len else {
            parts.push(Part::Bytes(std::mem::take(&mut open)));
            parts.push(Part::Argument(argument.clone()));
            continue;
        };
        open.extend_from_slice(format!("${len}\r\n").as_bytes());
        for piece in argument {
            match piece {
                Piece::Text(text) => open.extend_from_slice(text),
                Piece::Prefix => open.extend_from_slice(&style.prefix),
                // The same bytes each time, unless they say a version.
                Piece::Value if !style.has_versions => {
                    open.extend_from_slice(&style.filling[..len]);
                }
                piece => {
                    parts.push(Part::Bytes(std::mem::take(&mut open)));
                    parts.push(Part::Fixed(piece.clone()));
                }
            }
        }
        open.extend_from_slice(b"\r\n");
    }
    parts.push(Part::Bytes(open));
    parts.retain(|it| !matches!(it, Part::Bytes(it) if it.is_empty()));
    parts
}

fn bulk(into: &mut Vec<u8>, bytes: &[u8]) {
    into.push(b'$');
    into.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
    into.extend_from_slice(b"\r\n");
    into.extend_from_slice(bytes);
    into.extend_from_slice(b"\r\n");
}

/// Appends a number with so many digits, zeros in front.
fn digits(into: &mut Vec<u8>, mut number: u64, count: usize) {
    let mut text = [b'0'; KEY_DIGITS];
    for it in text[..count].iter_mut().rev() {
        *it = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    into.extend_from_slice(&text[..count]);
}

/// Appends the key of this number, as templates have it.
pub fn write_key(into: &mut Vec<u8>, prefix: &[u8], key: u64) {
    into.extend_from_slice(prefix);
    digits(into, key, KEY_DIGITS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::keys::Distribution;

    fn written(text: &str, sizes: &str, has_versions: bool) -> Result<String, String> {
        let sizes = Sizes::parse(sizes).unwrap();
        let filling = b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz".to_vec();
        let style = Style { prefix: b"k:".to_vec(), sizes, has_versions, filling };
        let command = Command::parse(text, &style)?;
        let made = AtomicU64::new(9);
        let keys = Keys::new(9, Distribution::Sequential);
        let mut maker = Maker::new(&style, keys, Random::new(1), &made);
        let mut into = Vec::new();
        let key = maker.next_key(&command);
        command.write(&mut into, &mut maker, Subject { key, version: 255, client: 3 });
        Ok(String::from_utf8(into).unwrap().replace("\r\n", " "))
    }

    #[test]
    fn templates_become_requests() {
        let of = |text| written(text, "4", false).unwrap();
        assert_eq!(of("95 GET {key}"), "*2 $3 GET $14 k:000000000000 ");
        assert_eq!(of("LLEN {prefix}jobs"), "*2 $4 LLEN $6 k:jobs ");
        assert_eq!(of("SET {new} {value}"), "*3 $3 SET $14 k:000000000009 $4 abcd ");
        assert_eq!(of("HGET h{key}x c{client}"), "*3 $4 HGET $16 hk:000000000000x $2 c3 ");
        assert_eq!(of("MGET {key} {other}"), "*3 $4 MGET $14 k:000000000000 $14 k:000000000001 ");
        let of = |text| written(text, "3..3", false).unwrap();
        assert_eq!(of("SET {key} {value}"), "*3 $3 SET $14 k:000000000000 $3 abc ");
        let of = |text| written(text, "30", true).unwrap();
        let value = "00000000000000ff:3:abcdefghijk";
        assert_eq!(of("SET {key} {value}"), format!("*3 $3 SET $14 k:000000000000 $30 {value} "));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert!(written("", "1", false).unwrap_err().contains("write a command"));
        assert!(written("5", "1", false).is_err());
        assert!(written("GET {kye}", "1", false).unwrap_err().contains("there is no field {kye}"));
        assert!(written("GET {key", "1", false).unwrap_err().contains("has no }"));
    }
}
