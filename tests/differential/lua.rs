//! Bodies of scripts and libraries, drawn: what `families/scripts.txt` names with an `@`.

mod phrases;

use super::classes::{Class, answers_coordinates, class};
use super::families::{BITMAPS, ENTRIES, HASHES, LISTS, SETS, STRINGS};
use super::grammar::{Grammar, SPOILT_ONE_IN};
use super::vocabulary::Vocabulary;
use crate::support::{Words, words};
use entourage::base::random::Random;
use entourage::script::sha1hex;
use phrases::{
    ARGUMENTS, DUMPS, EXPRESSIONS, JSON, MISTAKES, PACKED, REGISTERED, SHEBANGS, STATEMENTS, TEXTS,
    VALUES, ZSETS,
};
use std::sync::LazyLock;

/// Scripts that are called by their sum.
const KNOWN: u64 = 16;
/// Libraries, each with so many functions at most; functions of two libraries may share a name.
const LIBRARIES: u64 = 5;
const FUNCTIONS: u64 = 8;
/// Redis takes them for writes always.
const READS_HERE: [&[u8]; 3] = [b"BITFIELD", b"SORT", b"GETEX"];
/// Expressions within expressions.
const DEPTH_MAX: usize = 3;

/// What scripts call.
static CALLED: LazyLock<Grammar> = LazyLock::new(|| {
    let text = [STRINGS, HASHES, LISTS, SETS, BITMAPS, ENTRIES, ZSETS].join("\n");
    Grammar::read(&text, SPOILT_ONE_IN)
});

/// Puts bodies and their like in the places of the words that begin with `@`.
pub fn put_in(command: Words, random: &mut Random, vocabulary: &Vocabulary) -> Words {
    let mut draw = Draw { random, vocabulary };
    command.into_iter().flat_map(|it| draw.word(it)).collect()
}

/// Draws texts.
struct Draw<'a> {
    random: &'a mut Random,
    vocabulary: &'a Vocabulary,
}

impl Draw<'_> {
    fn word(&mut self, word: Vec<u8>) -> Words {
        let text = match &word[..] {
            b"@SCRIPT" => self.script(),
            b"@KNOWN" => self.known(),
            b"@SHA" => self.sha(),
            b"@LIBRARY" => self.library(),
            b"@LIBRARY-NAME" => format!("lib{}", self.random.below(LIBRARIES)),
            b"@LIBRARY-PATTERN" => self.one_of(&["lib*", "lib?", "LIB[0-2]", "lib1", "x"]).into(),
            b"@FUNCTION" => self.function(),
            b"@DUMP" => {
                let at = self.random.below(DUMPS.len() as u64) as usize;
                return vec![DUMPS[at].to_vec()];
            }
            b"@KEYS-AND-ARGUMENTS" => return self.keys_and_arguments(),
            _ => return vec![word],
        };
        vec![text.into_bytes()]
    }

    fn keys_and_arguments(&mut self) -> Words {
        let keys = self.random.below(4);
        let mut all = vec![match self.random.below(30) {
            0 => self.one_of(&["-1", "99", "abc", "1.5", "", "9223372036854775808"]).into(),
            _ => keys.to_string().into_bytes(),
        }];
        all.extend((0..keys).map(|_| self.vocabulary.any_key(self.random)));
        for _ in 0..self.random.below(4) {
            self.vocabulary.say("value", self.random, &mut all);
        }
        all
    }

    /// One of the scripts that are called by their sum, always the same.
    fn known(&mut self) -> String {
        let mut random = Random::new(1_000 + self.random.below(KNOWN));
        Draw { random: &mut random, vocabulary: self.vocabulary }.script()
    }

    fn sha(&mut self) -> String {
        let known = self.known();
        let sum = String::from_utf8_lossy(&sha1hex(known.as_bytes())[..]).into_owned();
        match self.random.below(24) {
            0 => sum.to_uppercase(),
            1 => sum[1..].to_owned(),
            2 => "f".repeat(40),
            _ => sum,
        }
    }

    fn function(&mut self) -> String {
        match self.random.below(30) {
            0 => self.one_of(&["F1", "none", "", "f 1"]).into(),
            _ => format!("f{}", self.random.below(FUNCTIONS)),
        }
    }

    fn library(&mut self) -> String {
        let name = match self.random.below(24) {
            0 => self.one_of(&["#!lua\n", "#!js name=lib1\n", "", "#!lua name=a-b\n"]).into(),
            1 => self.one_of(&["#!lua name=lib1 name=lib2\n", "#!lua name=lib1 x=1\n"]).into(),
            2 => "#!lua name=lib1".to_owned(),
            _ => format!("#!lua name=lib{}\n", self.random.below(LIBRARIES)),
        };
        let mut text = name;
        for _ in 0..=self.random.below(3) {
            if self.random.below(10) == 0 {
                text += self.one_of(MISTAKES);
                text += "\n";
            }
            let number = self.random.below(FUNCTIONS);
            let body = self.body("K", "A");
            text += &self.one_of(REGISTERED).replace("@number", &number.to_string());
            text = text.replace("@body", &body);
            text += "\n";
        }
        text
    }

    fn script(&mut self) -> String {
        let shebang = match self.random.below(8) {
            0 => self.one_of(SHEBANGS),
            _ => "",
        };
        format!("{shebang}{}", self.body("KEYS", "ARGV"))
    }

    /// Statements and what is returned.
    fn body(&mut self, keys: &str, arguments: &str) -> String {
        let mut text = match self.random.below(12) {
            0..3 => "redis.setresp(3) ".to_owned(),
            3 => "redis.setresp(2) ".to_owned(),
            _ => String::new(),
        };
        for _ in 0..self.random.below(4) {
            text += &match self.random.below(16) {
                0 => self.one_of(MISTAKES).to_owned(),
                1..4 => self.filled(STATEMENTS, DEPTH_MAX),
                4..10 => format!("redis.call({})", self.called()),
                _ => format!("local r = redis.pcall({})", self.called()),
            };
            text += self.one_of(&[" ", "\n", "; "]);
        }
        if self.random.below(20) != 0 {
            let value = self.expression(0);
            text += &format!("return {value}");
        }
        text.replace("KEYS", keys).replace("ARGV", arguments)
    }

    /// An expression; the deeper, the simpler.
    fn expression(&mut self, depth: usize) -> String {
        if depth == DEPTH_MAX || self.random.below(4) == 0 {
            return self.filled(VALUES, DEPTH_MAX);
        }
        match self.random.below(10) {
            0..3 => format!("redis.pcall({})", self.called()),
            3 => format!("redis.call({})", self.called()),
            4..6 => self.table(depth),
            _ => self.filled(EXPRESSIONS, depth + 1),
        }
    }

    fn table(&mut self, depth: usize) -> String {
        let items: Vec<String> =
            (0..self.random.below(5)).map(|_| self.expression(depth + 1)).collect();
        format!("{{{}}}", items.join(", "))
    }

    /// A phrase with its places filled.
    fn filled(&mut self, phrases: &[&str], depth: usize) -> String {
        let mut text = String::new();
        let phrase = self.one_of(phrases);
        let mut rest = phrase;
        while let Some(at) = rest.find('@') {
            text += &rest[..at];
            let end = rest[at + 1..].find(|it: char| !it.is_ascii_lowercase());
            let end = end.map_or(rest.len(), |it| at + 1 + it);
            text += &match &rest[at..end] {
                "@e" => self.expression(depth),
                "@value" => self.filled(VALUES, DEPTH_MAX),
                "@call" => self.called(),
                "@text" => quoted(self.one_of(TEXTS).as_bytes()),
                "@json" => quoted(self.one_of(JSON).as_bytes()),
                "@number" => self.one_of(&["0", "1", "-1", "3", "31", "2^31", "1.5"]).into(),
                "@packed" => {
                    let at = self.random.below(PACKED.len() as u64) as usize;
                    quoted(PACKED[at])
                }
                "@format" => {
                    let formats = ["I4", ">i2", "<H", "b", "s", "i8", "=I", "!4i1i4", "l", "d"];
                    quoted(self.one_of(&formats).as_bytes())
                }
                other => panic!("{other} in {phrase}"),
            };
            rest = &rest[end..];
        }
        text + rest
    }

    /// The arguments of a call: those of a command whose reply is the same to the last byte.
    fn called(&mut self) -> String {
        match self.random.below(40) {
            0 => return self.one_of(ARGUMENTS).to_owned(),
            1 => return format!("'GET', {}", self.filled(VALUES, DEPTH_MAX)),
            _ => {}
        }
        let command = loop {
            let command = CALLED.command(self.random, self.vocabulary);
            let is_zero = |it: &Vec<u8>| it.starts_with(b"-0");
            let has_long_score = command[0].to_ascii_uppercase().starts_with(b"Z")
                && command.iter().any(|it| is_long_double(it));
            let is_same = class(&command) == Class::Exact && !answers_coordinates(&command);
            let is_short = command.iter().map(Vec::len).sum::<usize>() < 400;
            // With some of their options they are reads here.
            let is_read_here = READS_HERE.contains(&&command[0].to_ascii_uppercase()[..]);
            let is_odd = is_read_here || has_long_score || command.iter().any(is_zero);
            if is_same && is_short && !is_odd {
                break command;
            }
        };
        // Redis echoes a wrong option of these, however long it is.
        let echoes = command[0].to_ascii_uppercase().windows(6).any(|it| it == b"EXPIRE");
        let written = |it: &Vec<u8>| if echoes { quoted(it) } else { self.argument(it) };
        let all: Vec<String> = command.iter().map(written).collect();
        all.join(", ")
    }

    fn argument(&mut self, word: &[u8]) -> String {
        let number = std::str::from_utf8(word).ok().filter(|it| it.parse::<i32>().is_ok());
        match (number, self.random.below(40)) {
            (Some(number), 0..20) if !number.starts_with(['+', '0']) => number.to_owned(),
            (_, 20) => "KEYS[1]".into(),
            (_, 21) => "ARGV[1]".into(),
            _ => quoted(word),
        }
    }

    fn one_of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.random.below(all.len() as u64) as usize]
    }
}

/// A number that is told as a double in RESP3, in more digits than 7.2 does.
fn is_long_double(word: &[u8]) -> bool {
    let number = std::str::from_utf8(word).ok().and_then(|it| it.parse::<f64>().ok());
    number.is_some_and(|it| it.is_finite() && (1e15 <= it.abs() || (it * 4.0).fract() != 0.0))
}

/// A literal of Lua.
fn quoted(text: &[u8]) -> String {
    let mut out = String::from("'");
    for byte in text {
        match byte {
            b'\'' | b'\\' => out += &format!("\\{}", *byte as char),
            b' '..=b'~' => out.push(*byte as char),
            _ => out += &format!("\\{byte:03}"),
        }
    }
    out + "'"
}

/// What empties a server of data, of scripts and of functions.
pub fn emptying() -> [Words; 3] {
    [words(&["FLUSHALL"]), words(&["FUNCTION", "FLUSH"]), words(&["SCRIPT", "FLUSH"])]
}
