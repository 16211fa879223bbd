//! Collections of a million elements, and how a server is filled with them.

use crate::wire::{Wire, encode};
use std::collections::HashMap;

/// Words of one command that fills a collection.
const FILL_WORDS: usize = 1000;

/// What a collection is filled with, and by which command.
pub struct Filling {
    pub key: &'static str,
    pub command: &'static str,
    /// The words for the element of this number.
    pub words: fn(usize) -> Vec<String>,
    /// The number of the first element, in parts of a hundred of all there are.
    from: usize,
}

const fn filling(
    key: &'static str,
    command: &'static str,
    from: usize,
    words: fn(usize) -> Vec<String>,
) -> Filling {
    Filling { key, command, words, from }
}

fn member(at: usize) -> Vec<String> {
    vec![format!("member:{at:09}")]
}

fn number(at: usize) -> Vec<String> {
    vec![(at * 7).to_string()]
}

fn pair(at: usize) -> Vec<String> {
    vec![format!("field:{at:09}"), format!("value:{at:09}")]
}

fn scored(at: usize) -> Vec<String> {
    vec![(at * 7919 % 1_000_003).to_string(), format!("member:{at:09}")]
}

/// A set of texts and another that has half of it, the same of sorted sets, and one of each other
/// kind.
pub const FILLINGS: &[Filling] = &[
    filling("set", "SADD", 0, member),
    filling("half", "SADD", 50, member),
    filling("ints", "SADD", 0, number),
    filling("hash", "HSET", 0, pair),
    filling("zset", "ZADD", 0, scored),
    filling("zhalf", "ZADD", 50, scored),
    filling("list", "RPUSH", 0, member),
    filling("numbers", "RPUSH", 0, number),
];

impl Filling {
    pub fn of(key: &str) -> &'static Filling {
        FILLINGS.iter().find(|it| it.key == key).expect("rows name collections that there are")
    }

    /// Numbers of all elements, well mixed.
    pub fn numbers(&self, elements: usize) -> impl Iterator<Item = usize> {
        const STRIDE: usize = 611_953;
        let from = elements * self.from / 100;
        // A list is in order; elsewhere each comes as if by chance.
        let stride = if self.command == "RPUSH" { 1 } else { STRIDE };
        (0..elements).map(move |it| from + it * stride % elements)
    }

    pub fn commands(&self, elements: usize) -> impl Iterator<Item = Vec<u8>> {
        let numbers: Vec<usize> = self.numbers(elements).collect();
        let chunks: Vec<Vec<usize>> = numbers.chunks(FILL_WORDS).map(<[usize]>::to_vec).collect();
        chunks.into_iter().map(|chunk| {
            let words = chunk.into_iter().flat_map(self.words);
            let head = [self.command.to_owned(), self.key.to_owned()];
            encode(&head.into_iter().chain(words).collect::<Vec<_>>())
        })
    }
}

/// What RESTORE makes a filled collection of again, in memory of its own.
#[derive(Default)]
pub struct Payloads(HashMap<&'static str, Vec<u8>>);

impl Payloads {
    /// Fills this collection unless that has been done.
    pub fn fill(
        &mut self,
        wire: &mut Wire,
        key: &'static str,
        elements: usize,
    ) -> Result<(), String> {
        if self.0.contains_key(key) {
            return Ok(());
        }
        wire.fill(Filling::of(key).commands(elements))?;
        let reply = wire.ask_long_kept(&encode(&["DUMP", key]))?;
        let start = 2 + reply.windows(2).position(|it| it == b"\r\n").ok_or("no payload")?;
        self.0.insert(key, reply[start..reply.len() - 2].to_vec());
        Ok(())
    }

    /// The command that makes `to` of what `from` was filled with.
    pub fn restore(&self, to: &str, from: &str) -> Vec<u8> {
        let payload = &self.0[from];
        let mut out = format!("*4\r\n$7\r\nRESTORE\r\n${}\r\n{to}\r\n", to.len()).into_bytes();
        out.extend_from_slice(format!("$1\r\n0\r\n${}\r\n", payload.len()).as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        out
    }
}
