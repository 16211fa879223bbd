//! Lines of MONITOR, as redis-cli shows them: `1339518083.107412 [0 127.0.0.1:60866] "GET" "k"`.

use std::io::{self, BufRead, Read};

/// Bytes of a line at most. A longer one is told and passed over.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Lines that are told one by one, of those that cannot be read.
const NAMED_MAX: usize = 5;

/// A command of a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// When it was called: microseconds of the epoch.
    pub at_us: u64,
    /// In which database.
    pub database: u32,
    /// By whom.
    pub client: String,
    /// Its words.
    pub words: Vec<Vec<u8>>,
}

/// Reads one command after the other, so that a capture may be longer than memory.
pub struct Capture<R> {
    from: R,
    line: Vec<u8>,
    number: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// Where the first of them are, and what is wrong with each.
    pub named: Vec<String>,
    /// Commands that scripts called: the script's own call stands for them.
    pub of_scripts: u64,
}

impl<R: BufRead> Capture<R> {
    /// From its first line.
    pub fn new(from: R) -> Capture<R> {
        let (line, named) = (Vec::new(), Vec::new());
        Capture { from, line, number: 0, bad: 0, named, of_scripts: 0 }
    }

    /// The next command; `None` at the end.
    pub fn next_command(&mut self) -> io::Result<Option<Captured>> {
        loop {
            self.line.clear();
            let mut limited = self.from.by_ref().take(LINE_BYTES_MAX);
            if limited.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.line.len() as u64 == LINE_BYTES_MAX && !self.line.ends_with(b"\n") {
                self.pass_over()?;
                self.tell("it is too long");
                continue;
            }
            let line = self.line.trim_ascii();
            // redis-cli begins with the answer to MONITOR itself.
            if line.is_empty() || line == b"OK" {
                continue;
            }
            match parse(line) {
                Ok(it) if it.client == "lua" => self.of_scripts += 1,
                Ok(it) => return Ok(Some(it)),
                Err(why) => self.tell(why),
            }
        }
    }

    /// Passes over the rest of a line.
    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.from.fill_buf()?;
            let end = bytes.iter().position(|it| *it == b'\n');
            let count = end.map_or(bytes.len(), |it| it + 1);
            self.from.consume(count);
            if end.is_some() || count == 0 {
                return Ok(());
            }
        }
    }

    fn tell(&mut self, why: &str) {
        self.bad += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(format!("line {}: {why}", self.number));
        }
    }
}

/// Reads a line without its end.
pub fn parse(line: &[u8]) -> Result<Captured, &'static str> {
    let (at, rest) = cut(line, b" [").ok_or("no time with a [ behind it")?;
    let at_us = microseconds(at).ok_or("no time such as 1339518083.107412")?;
    let (database, rest) = cut(rest, b" ").ok_or("no database behind [")?;
    let database = std::str::from_utf8(database).ok().and_then(|it| it.parse().ok());
    let database = database.ok_or("the database is no number")?;
    let (client, mut rest) = cut(rest, b"] ").ok_or("no ] behind the client")?;
    let mut words = Vec::new();
    loop {
        let (word, behind) = unquote(rest)?;
        words.push(word);
        if behind.is_empty() {
            break;
        }
        rest = behind.strip_prefix(b" ").ok_or("no space between two words")?;
    }
    let client = String::from_utf8_lossy(client).into_owned();
    Ok(Captured { at_us, database, client, words })
}

/// What is before the first of these bytes, and behind them.
fn cut<'l>(line: &'l [u8], by: &[u8]) -> Option<(&'l [u8], &'l [u8])> {
    let at = line.windows(by.len()).position(|it| it == by)?;
    Some((&line[..at], &line[at + by.len()..]))
}

/// Seconds with a fraction of six digits at most.
fn microseconds(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !is_number(seconds) || !is_number(fraction) || 6 < fraction.len() {
        return None;
    }
    let fraction = format!("{fraction:0<6}").parse::<u64>().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction)
}

/// Reads a word in quotes. Answers also what is behind it.
fn unquote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut rest = text.strip_prefix(b"\"").ok_or("a word without a quote")?;
    let mut word = Vec::new();
    loop {
        let (first, behind) = rest.split_first().ok_or("a quote is not closed")?;
        rest = behind;
        match first {
            b'"' => return Ok((word, rest)),
            b'\\' => {}
            other => {
                word.push(*other);
                continue;
            }
        }
        let (kind, behind) = rest.split_first().ok_or("a quote is not closed")?;
        rest = behind;
        let byte = match kind {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'"' | b'\\' => *kind,
            b'x' => {
                let digit = |at: usize| (*rest.get(at)? as char).to_digit(16);
                let (high, low) = digit(0).zip(digit(1)).ok_or("\\x without two digits")?;
                rest = &rest[2..];
                (high * 16 + low) as u8
            }
            _ => return Err("an unknown escape"),
        };
        word.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::monitor_line::write_line;

    #[test]
    fn a_line_is_read_back_as_it_was_written() {
        let all: Vec<u8> = (0..=255).collect();
        let words = vec![b"SET".to_vec(), all, Vec::new(), b"] \"".to_vec()];
        for client in ["127.0.0.1:60866", "[::1]:6379", "unix:/tmp/s"] {
            let (client, words) = (client.to_owned(), words.clone());
            let it = Captured { at_us: 1_339_518_083_007_412, database: 3, client, words };
            let mut line = Vec::new();
            let words = it.words.iter().map(Vec::as_slice);
            write_line(&mut line, it.at_us, it.database as usize, &it.client, words);
            assert_eq!(parse(&line), Ok(it));
        }
    }

    #[test]
    fn bad_lines_are_named_and_passed_over() {
        let text = "OK\n1.5 [0 a:1] \"GET\" \"k\"\nodd\n1.5 [0 a:1] \"GET\n1.5 [x a:1] \"GET\"\n\
                    1.5 [0 a:1] \"\\q\"\n1.5 [0 a:1] \"\\x1\"\n1.5 [0 a:1] \"a\"\"b\"\n\
                    1.5 [0 lua] \"GET\" \"k\"\r\n2.000001 [1 [::1]:5] \"DEL\" \"\\x00\\r\"";
        let mut capture = Capture::new(text.as_bytes());
        let first = capture.next_command().unwrap().unwrap();
        assert_eq!((first.at_us, first.words.len()), (1_500_000, 2));
        let second = capture.next_command().unwrap().unwrap();
        assert_eq!((second.at_us, second.database), (2_000_001, 1));
        assert_eq!((second.client.as_str(), &second.words[1][..]), ("[::1]:5", &b"\0\r"[..]));
        assert!(capture.next_command().unwrap().is_none());
        assert_eq!((capture.bad, capture.of_scripts), (6, 1));
        assert_eq!(capture.named[0], "line 3: no time with a [ behind it");
        assert_eq!(capture.named.len(), 5);
    }
}
