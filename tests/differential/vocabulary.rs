//! The words that arguments are made of: few enough to collide, odd enough to hurt.

use crate::support::Words;
use entourage::base::random::Random;

/// Keys of each type.
const KEYS_PER_TYPE: u64 = 6;
/// One key of so many is of another type than the command wants.
const STRAY_ONE_IN: u64 = 24;
/// Letters that keys of the types begin with: strings, hashes, lists, sets, sorted sets, streams.
const TYPES: &[u8] = b"shltzx";
/// The year 2100, in seconds: far enough that nothing expires while a test runs.
const FAR: u64 = 4_102_444_800;

const INTS: &[&str] = &["0", "1", "-1", "2", "3", "5", "7", "10", "-3", "100", "-100", "12345"];
const EDGE_INTS: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "-9223372036854775807",
    "4294967296",
    "2147483648",
    "-2147483649",
    "32767",
    "32768",
    "127",
    "128",
    "-129",
    "8388608",
];
const NO_INTS: &[&str] = &[
    "9223372036854775808",
    "-9223372036854775809",
    "abc",
    "",
    "1.0",
    " 1",
    "1 ",
    "+1",
    "01",
    "-0",
];
const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "0.2",
    "-2.5",
    "3.0e3",
    "1e10",
    "1e17",
    "123456789.123",
    "5e-5",
    "1e-7",
    "100",
    "3.14159265358979",
    "1e21",
    "17",
    "-0",
    "-0.0",
    ".5",
    "5.",
];
const EDGE_FLOATS: &[&str] =
    &["inf", "-inf", "+inf", "1e308", "-1e308", "5e-324", "1.7976931348623157e308", "infinity"];
const NO_FLOATS: &[&str] = &["nan", "abc", "", " 1", "1 ", "1e", "1e400", "0x10", "--1", "1,5"];
const ODD: &[&str] = &[
    "",
    "abc",
    "-1",
    "99",
    "1.5",
    "nan",
    "(1",
    "[a",
    "-",
    "+",
    "*",
    "NX",
    "XX",
    "LIMIT",
    "COUNT",
    "GT",
    "LT",
    "MATCH",
    "WITHSCORES",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "z\0",
    "\r\n",
];
const PATTERNS: &[&str] = &[
    "*", "?0", "h*", "s[0-3]", "[^s]*", "*[1-3]", "\\*", "", "[", "[a", "t?", "nothing", "**",
    "l\\0", "*1*", "[3-0]?",
];

/// Longitudes and latitudes of places where several members may be.
const PLACES: &[[&str; 2]] = &[
    ["13.361389", "38.115556"],
    ["15.087269", "37.502669"],
    ["13.361389", "38.115556"],
    ["0", "0"],
    ["-122.27652", "37.805186"],
    ["179.99", "70.5"],
];
/// Where the map ends, and beyond.
const EDGE_PLACES: &[[&str; 2]] = &[
    ["180", "85.05112878"],
    ["-180", "-85.05112878"],
    ["180", "-12.5"],
    ["-180", "66.1"],
    ["-0", "85.05112878"],
    ["0", "-0.0"],
    ["1e-300", "81"],
    ["180.00001", "0"],
    ["0", "85.05112879"],
    ["-inf", "1e20"],
    ["nan", "1"],
    ["1", ""],
];
const GEO_SCORES: &[&str] = &[
    "0",
    "1",
    "-5",
    "1.5",
    "3479099956230698",
    "3479447370796909",
    "13510798882111488",
    "9007199254740993",
    "4503599627370495",
    "4503599627370496",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775808",
    "1e300",
    "-1e300",
    "inf",
    "-inf",
];

const ENTRIES: &[&str] = &["0", "1", "2", "3", "5", "8", "20", "100", "512"];
const LENGTHS: &[&str] = &["0", "1", "2", "4", "8", "64", "300"];
const LIST_SIZES: &[&str] = &["-1", "-2", "-2", "-3", "-5", "1", "3", "8", "100"];

/// Values as a Redis 7.0 dumps them: each type, small and large, and what is none.
const DUMPS: &[&[u8]] = &[
    b"\x00\xc0\x0c\x0a\x00<*\xf8Q\x5c\x04\xbc\xd5",
    b"\x00\xc3\x0b@x\x03abca\xe0i\x02\x01bc\x0a\x00\xc4\x94\xa1p*\xe2>\x06",
    b"\x04\x02\x01b\xc3\x09@F\x01xx\xe09\x00\x01xx\x01a\xc0\x01\x0a\x00\xf1d\xdd\x00Bm\x8d\xf6",
    b"\x10\x14\x14\x00\x00\x00\x04\x00\x82f1\x03\x05\x01\x82f2\x03\x81v\x02\xff\x0a\x00\x87\x06\xac\xf1\x09\
      \xfd\x1d\xf5",
    b"\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\x01\x00\x02\x00,\x01\x0a\x00\xe5\x10\xb2\x8e{\x95)\xaa",
    b"\x12\x01\x02\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x05\x01\x81c\x02\xff\x0a\x00\x9e\x8f\xb8\xf27kk\xc9",
    b"\x02\x02\x01b\x01a\x0a\x00u\xd9\x9d\x83^\xf8_e",
    b"\x11\x16\x16\x00\x00\x00\x04\x00\x82f1\x03\x01\x01\x82f2\x03\x832.5\x04\xff\x0a\x00\xde\xcf\x01\x1a\
      \x9f\xc6u\x82",
    b"\x05\x02\x01f\x00\x00\x00\x00\x00\x00\x08@\xc3\x09@A\x01xx\xe04\x00\x01xx\x00\x00\x00\x00\x00\x00\xf0?\
      \x0a\x00\x95\xe6\xf3\xe8?\x11\xd1\xe7",
    b"",
    b"abc",
    b"\0\x03abc\x0a\0",
];

/// From here on a crowd is of long words.
const LARGE_CROWD: u64 = 1000;

/// Words for one connection: it has two databases to itself.
pub struct Vocabulary {
    /// The database it works in.
    pub db: usize,
    /// The one that it moves and copies to.
    pub other_db: usize,
    /// How many elements the big groups have, about.
    pub crowd: u64,
}

impl Vocabulary {
    /// Says a word, or several, of a kind.
    pub fn say(&self, kind: &str, random: &mut Random, words: &mut Words) {
        let word = match kind {
            "string" => self.key(b's', random),
            "hash" => self.key(b'h', random),
            "list" => self.key(b'l', random),
            "set" => self.key(b't', random),
            "zset" => self.key(b'z', random),
            "stream" => self.key(b'x', random),
            "streams-behind" | "streams-new" => return self.streams(kind, random, words),
            "lexset" => numbered(b'y', random),
            "any" => self.any_key(random),
            "weight-key" => format!("w_{}", random.below(8)).into_bytes(),
            "db" => self.db.to_string().into_bytes(),
            "other-db" => self.other_db.to_string().into_bytes(),
            "zset-pair" => {
                words.push(b"2".to_vec());
                words.push(self.key(b'z', random));
                self.key(b'z', random)
            }
            "lists" | "sets" | "zsets" | "set-or-zsets" => {
                return self.counted(kind, random, words);
            }
            "crowd" | "text-crowd" | "pairs-crowd" | "scores-crowd" => {
                return self.crowd(kind, random, words);
            }
            "short-crowd" => return self.short_crowd(random, words),
            "place" => return words.extend(place(random)),
            "places-crowd" => return self.places_crowd(random, words),
            kind => scalar(kind, random),
        };
        words.push(word);
    }

    /// A key of any type.
    pub fn any_key(&self, random: &mut Random) -> Vec<u8> {
        numbered(TYPES[random.below(TYPES.len() as u64) as usize], random)
    }

    /// A word that is out of place nearly anywhere.
    pub fn odd(&self, random: &mut Random) -> Vec<u8> {
        one_of(ODD, random)
    }

    fn key(&self, letter: u8, random: &mut Random) -> Vec<u8> {
        match random.below(STRAY_ONE_IN) {
            0 => self.any_key(random),
            _ => numbered(letter, random),
        }
    }

    /// A number of keys, mostly the right one, and the keys.
    fn counted(&self, kind: &str, random: &mut Random, words: &mut Words) {
        let count = 1 + random.below(3);
        words.push(match random.below(20) {
            0 => one_of(&["0", "-1", "abc", "99", "9223372036854775807", "1.5"], random),
            _ => count.to_string().into_bytes(),
        });
        for _ in 0..count {
            words.push(match kind {
                "lists" => self.key(b'l', random),
                "sets" => self.key(b't', random),
                "set-or-zsets" if random.below(3) == 0 => self.key(b't', random),
                _ => self.key(b'z', random),
            });
        }
    }

    /// The word STREAMS, keys, and an id for each.
    fn streams(&self, kind: &str, random: &mut Random, words: &mut Words) {
        let count = 1 + random.below(3);
        words.push(b"STREAMS".to_vec());
        words.extend((0..count).map(|_| self.key(b'x', random)));
        for _ in 0..count {
            words.push(match kind {
                "streams-new" if random.below(3) != 0 => b">".to_vec(),
                // What Valkey has made of `+` is newer.
                _ => Some(scalar("id", random)).filter(|it| it != b"+").unwrap_or_default(),
            });
        }
    }

    /// Many elements at once, to get past the thresholds of encodings.
    fn crowd(&self, kind: &str, random: &mut Random, words: &mut Words) {
        let first = random.below(self.crowd);
        let are_ints = kind != "text-crowd" && random.below(2) == 0;
        for number in first..first + 1 + random.below(self.crowd) {
            if kind == "scores-crowd" {
                words.push(format!("{}", number % 50).into_bytes());
            }
            words.push(match are_ints {
                true => format!("{number}").into(),
                false if self.crowd < LARGE_CROWD => format!("m{number}").into(),
                false => format!("member-{number:013}").into(),
            });
            if kind == "pairs-crowd" {
                words.push(scalar("value", random));
            }
        }
    }

    /// Many places, of members that a crowd may have, too; some share a place.
    fn places_crowd(&self, random: &mut Random, words: &mut Words) {
        let first = random.below(self.crowd);
        for number in first..first + 1 + random.below(self.crowd) {
            words.extend(one_place(random));
            words.push(format!("m{number}").into_bytes());
        }
    }

    fn short_crowd(&self, random: &mut Random, words: &mut Words) {
        words.extend((0..1 + random.below(8)).map(|_| scalar("value", random)));
    }
}

fn scalar(kind: &str, random: &mut Random) -> Vec<u8> {
    match kind {
        "value" => value(random),
        "member" | "field" => member(random),
        "plain" => format!("f{}", random.below(12)).into_bytes(),
        "int" => mixed(INTS, EDGE_INTS, NO_INTS, random),
        "float" | "score" => mixed(FLOATS, EDGE_FLOATS, NO_FLOATS, random),
        "index" | "count" => mixed(INTS, EDGE_INTS, NO_INTS, random),
        "random-count" => mixed(INTS, &["1000", "-1000", "-9223372036854775808"], NO_INTS, random),
        "offset" => {
            mixed(&["0", "1", "5", "44", "64", "200"], &["536870912", "-1"], NO_INTS, random)
        }
        "bit" => mixed(&["0", "1"], &["2", "-1"], NO_INTS, random),
        "bit-at" => match random.below(8) {
            0 => format!("#{}", random.below(12)).into_bytes(),
            1..4 => random.below(300).to_string().into_bytes(),
            _ => mixed(
                &["0", "1", "7", "8", "9", "63", "64", "100"],
                &["4294967296", "-1"],
                &["9223372036854775808", "abc", "", "#", "#-1", "#x"],
                random,
            ),
        },
        "encoding" => match random.below(10) {
            0 => one_of(&["u64", "i65", "u0", "i0", "x8", "u", "", "I8", "u-1", "i1x"], random),
            1..4 => one_of(&["u8", "i8", "u1", "i1", "i64", "u63", "u16", "i5"], random),
            _ => {
                let bits = 1 + random.below(63);
                format!("{}{bits}", if random.below(2) == 0 { "i" } else { "u" }).into_bytes()
            }
        },
        "few" => mixed(&["1", "2", "3", "5", "8", "20", "100"], &["0", "-1"], NO_INTS, random),
        "unit" => match random.below(40) {
            0 => one_of(&["", "x", "mm", "kms"], random),
            _ => one_of(&["m", "M", "km", "km", "km", "KM", "ft", "mi", "Mi"], random),
        },
        "distance" => match random.below(4) {
            0 => mixed(&["0", "1", "5000", "20000"], &["1e9", "inf", "5e-324"], NO_FLOATS, random),
            1 => mixed(&["0.5", "10", "300"], &["20037726.37", "-1"], NO_FLOATS, random),
            _ => {
                let most = 10_u64.pow(1 + random.below(7) as u32);
                format!("{}.{}", random.below(most), random.below(100)).into_bytes()
            }
        },
        "geo-score" => one_of(GEO_SCORES, random),
        "secs" => {
            mixed(&["100", "1000", "99999"], &["0", "-1", "9223372036854775"], NO_INTS, random)
        }
        "millis" => mixed(&["100000", "5000000"], &["0", "-9223372036854775808"], NO_INTS, random),
        "at" => at(1, &["9223372036854775807"], random),
        "at-ms" => at(1000, &["9223372036854775807"], random),
        "at-any" => at(1, &["0", "1", "-1", "1000000000", "9223372036854775807"], random),
        "at-ms-any" => at(1000, &["0", "1", "-1", "1000000000000"], random),
        "score-bound" => bound(random),
        "lex-bound" => lex_bound(random),
        "id" => id(random),
        "id-bound" => match random.below(4) {
            0 => b"-".to_vec(),
            1 => b"+".to_vec(),
            2 => [b"(".to_vec(), id(random)].concat(),
            _ => id(random),
        },
        "new-id" => match random.below(8) {
            0 => id(random),
            1 => b"5".to_vec(),
            _ => b"92-*".to_vec(),
        },
        "end-id" => Some(id(random)).filter(|_| random.below(3) != 0).unwrap_or(b"$".to_vec()),
        "group" => one_of(&["g", "g", "g", "h", "none"], random),
        "consumer" => match random.below(5) {
            0 => format!("c{}", random.below(30)).into_bytes(),
            _ => one_of(&["alice", "bob"], random),
        },
        "idle" => mixed(&["0"], &["1000000000", "-1"], NO_INTS, random),
        "length" => random.below(60).to_string().into_bytes(),
        "pattern" => one_of(PATTERNS, random),
        "cursor" => mixed(&["0"], &["1", "17"], &["abc", "-1", "18446744073709551616", ""], random),
        "rank" => mixed(&["1", "-1", "2", "-2"], &["0", "9223372036854775807"], NO_INTS, random),
        "weight" => mixed(&["1", "2", "0.5", "-1", "0"], &["inf", "-inf"], NO_FLOATS, random),
        "by-pattern" => one_of(&["w_*", "w_*", "w_*->f1", "x*", "*_*"], random),
        "get-pattern" => one_of(&["#", "w_*", "w_*->f1", "#x", "nostar", "w_*->"], random),
        "dump" => DUMPS[random.below(DUMPS.len() as u64) as usize].to_vec(),
        "small" => random.below(50).to_string().into_bytes(),
        "large" => text(&[2_000, 4_000, 4_090, 9_000, 20_000, 70_000], random),
        "entries" => one_of(ENTRIES, random),
        "lengths" => one_of(LENGTHS, random),
        "list-sizes" => one_of(LIST_SIZES, random),
        other => panic!("the vocabulary has no kind {other}"),
    }
}

fn numbered(letter: u8, random: &mut Random) -> Vec<u8> {
    match random.below(KEYS_PER_TYPE) {
        0 => vec![letter, b'\r', b'\n', 0, 0xff],
        number => vec![letter, b'0' + number as u8],
    }
}

/// A longitude and a latitude; seldom some that are none.
fn place(random: &mut Random) -> Vec<Vec<u8>> {
    match random.below(16) {
        0 => two_of(EDGE_PLACES, random),
        _ => one_place(random),
    }
}

/// A longitude and a latitude: of one of a few places, near one of them, or anywhere.
fn one_place(random: &mut Random) -> Vec<Vec<u8>> {
    let (most_aside, most_up) = match random.below(6) {
        0 => return two_of(PLACES, random),
        1 => (180, 85),
        2 => (20, 10),
        3 => return at_an_edge(random),
        _ => (2, 2),
    };
    let mut degrees = |most: i64| {
        let sixth = random.below(2 * most as u64 * 1_000_000) as i64 - most * 1_000_000;
        format!("{}", sixth as f64 / 1e6).into_bytes()
    };
    vec![degrees(most_aside), degrees(most_up)]
}

/// Near the ends of the map.
fn at_an_edge(random: &mut Random) -> Vec<Vec<u8>> {
    let mut near = |end: f64| {
        let from_end = random.below(5_000_000) as f64 / 1e6;
        let sign = if random.below(2) == 0 { 1.0 } else { -1.0 };
        format!("{}", sign * (end - from_end)).into_bytes()
    };
    vec![near(180.0), near(85.0)]
}

fn two_of(pairs: &[[&str; 2]], random: &mut Random) -> Vec<Vec<u8>> {
    pairs[random.below(pairs.len() as u64) as usize].map(|it| it.as_bytes().to_vec()).to_vec()
}

fn one_of(words: &[&str], random: &mut Random) -> Vec<u8> {
    words[random.below(words.len() as u64) as usize].as_bytes().to_vec()
}

/// Mostly common words, sometimes edges, seldom mistakes.
fn mixed(common: &[&str], edges: &[&str], mistakes: &[&str], random: &mut Random) -> Vec<u8> {
    match random.below(40) {
        0 => one_of(mistakes, random),
        1..4 => one_of(edges, random),
        _ => one_of(common, random),
    }
}

fn value(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0..4 => one_of(INTS, random),
        4 => one_of(EDGE_INTS, random),
        5 => one_of(NO_INTS, random),
        6 => one_of(FLOATS, random),
        7 => one_of(EDGE_FLOATS, random),
        8 => b"\0\xff\r\n\x80".to_vec(),
        9 => text(&[0, 1, 8, 9, 10, 11], random),
        10 => text(&[43, 44, 45, 63, 64, 65], random),
        _ => text(&[127, 128, 300, 1000], random),
    }
}

fn member(random: &mut Random) -> Vec<u8> {
    match random.below(16) {
        0 => b"\0\xff\r\n\x80".to_vec(),
        1 => text(&[0, 8, 9, 10, 63, 64, 65], random),
        2 => one_of(EDGE_INTS, random),
        3..6 => random.below(12).to_string().into_bytes(),
        6..8 => format!("m{}", random.below(300)).into_bytes(),
        _ => format!("f{}", random.below(12)).into_bytes(),
    }
}

fn text(lengths: &[usize], random: &mut Random) -> Vec<u8> {
    let letter = b'a' + random.below(3) as u8;
    vec![letter; lengths[random.below(lengths.len() as u64) as usize]]
}

fn at(scale: u64, edges: &[&str], random: &mut Random) -> Vec<u8> {
    match random.below(30) {
        0 => one_of(NO_INTS, random),
        1..4 => one_of(edges, random),
        _ => ((FAR + 1000 * random.below(20)) * scale).to_string().into_bytes(),
    }
}

fn bound(random: &mut Random) -> Vec<u8> {
    let mut word = if random.below(3) == 0 { b"(".to_vec() } else { vec![] };
    word.extend(match random.below(3) {
        0 => one_of(&["-inf", "+inf", "inf"], random),
        _ => mixed(FLOATS, EDGE_FLOATS, NO_FLOATS, random),
    });
    word
}

/// An id of an entry, or of none.
fn id(random: &mut Random) -> Vec<u8> {
    const ODD_IDS: &[&str] = &[
        "",
        "abc",
        "1-1-1",
        "18446744073709551615-18446744073709551615",
        "18446744073709551616",
        "0-0",
        "5-*",
        "-",
        "$",
        "92-",
    ];
    match random.below(20) {
        0 => one_of(ODD_IDS, random),
        1..4 => one_of(&["0", "5", "92", "93", "1-1"], random),
        _ => format!("92-{}", random.below(90)).into_bytes(),
    }
}

fn lex_bound(random: &mut Random) -> Vec<u8> {
    let sign = match random.below(24) {
        0..5 => return b"-".to_vec(),
        5..10 => return b"+".to_vec(),
        10 => b"".as_slice(),
        11..18 => b"[",
        _ => b"(",
    };
    [sign, &member(random)].concat()
}
