//! Which commands of a capture are sent again, and how.

use super::capture::Captured;
use super::control::write_request;
use std::collections::HashMap;

/// How long a command may block, in ms.
const BLOCK_MS_MAX: u64 = 1_000;
/// Bytes of a transaction that are kept until its end is read, and transactions at a time.
const TRANSACTION_BYTES_MAX: usize = 16 << 20;
const TRANSACTIONS_MAX: usize = 10_000;
/// What makes no sense to send again: it is of a connection, of the server itself, or changes what
/// replies look like.
const NOT_REPEATED: &str = "\
    MONITOR AUTH HELLO QUIT RESET SELECT CLIENT SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE \
    PUNSUBSCRIBE SUNSUBSCRIBE SYNC PSYNC REPLCONF REPLICAOF SLAVEOF FAILOVER SHUTDOWN DEBUG \
    CONFIG CLUSTER MODULE ACL SAVE BGSAVE BGREWRITEAOF";

/// Requests that are sent one right behind the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repeated {
    /// When the last was called: microseconds of the epoch.
    pub at_us: u64,
    /// In which database.
    pub database: u32,
    /// By whom.
    pub client: String,
    /// The name of each.
    pub names: Vec<String>,
    /// All of them, as they are sent.
    pub bytes: Vec<u8>,
}

/// Makes requests of what was captured. A transaction is sent whole when its end is read, so that
/// nothing of another client comes between.
#[derive(Default)]
pub struct Repeater {
    open: HashMap<String, Repeated>,
    /// Commands that are not sent again.
    pub skipped: u64,
}

impl Repeater {
    /// Takes one in. Answers what is to be sent now, if anything.
    pub fn take(&mut self, it: Captured) -> Option<Repeated> {
        let Captured { at_us, database, client, mut words } = it;
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        if NOT_REPEATED.split_whitespace().any(|it| it == name) {
            self.skipped += 1;
            return None;
        }
        bound(&name, &mut words);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let is_end = name == "EXEC" || name == "DISCARD";
        let begins = name == "MULTI" && self.open.len() < TRANSACTIONS_MAX;
        if begins || self.open.contains_key(&client) {
            let new = || {
                let (names, bytes) = (Vec::new(), Vec::new());
                Repeated { at_us, database, client: client.clone(), names, bytes }
            };
            let open = self.open.entry(client.clone()).or_insert_with(new);
            open.at_us = at_us;
            open.names.push(name);
            write_request(&mut open.bytes, &words);
            let is_whole = is_end || TRANSACTION_BYTES_MAX < open.bytes.len();
            return if is_whole { self.open.remove(&client) } else { None };
        }
        if is_end {
            // Its beginning is not in the capture.
            self.skipped += 1;
            return None;
        }
        let mut bytes = Vec::new();
        write_request(&mut bytes, &words);
        Some(Repeated { at_us, database, client, names: vec![name], bytes })
    }

    /// Commands of transactions whose end is not in the capture.
    pub fn unfinished(&self) -> u64 {
        self.open.values().map(|it| it.names.len() as u64).sum()
    }
}

/// Has a command that blocks do so no longer than the bound: whoever ended it may not come again.
fn bound(name: &str, words: &mut [Vec<u8>]) {
    let (at, is_ms) = match name {
        "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BLMOVE" | "BZPOPMIN" | "BZPOPMAX" => {
            (words.len() - 1, false)
        }
        "BLMPOP" | "BZMPOP" => (1, false),
        "WAIT" | "WAITAOF" => (words.len() - 1, true),
        "XREAD" | "XREADGROUP" => {
            let block = words.iter().position(|it| it.eq_ignore_ascii_case(b"BLOCK"));
            (block.map_or(0, |it| it + 1), true)
        }
        _ => return,
    };
    let Some(word) = words.get_mut(at).filter(|_| at != 0) else { return };
    let Some(time) = std::str::from_utf8(word).ok().and_then(|it| it.parse::<f64>().ok()) else {
        return;
    };
    let ms = if is_ms { time } else { time * 1_000.0 };
    // 0 is no end at all.
    if ms <= 0.0 || BLOCK_MS_MAX as f64 <= ms {
        let most = if is_ms { BLOCK_MS_MAX } else { BLOCK_MS_MAX / 1_000 };
        *word = most.to_string().into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(client: &str, text: &str) -> Captured {
        let words = text.split_whitespace().map(|it| it.as_bytes().to_vec()).collect();
        Captured { at_us: 1, database: 0, client: client.to_owned(), words }
    }

    #[test]
    fn a_transaction_is_sent_whole() {
        let mut repeater = Repeater::default();
        assert_eq!(repeater.take(captured("a", "EXEC")), None);
        assert_eq!(repeater.take(captured("a", "multi")), None);
        assert_eq!(repeater.take(captured("a", "INCR n")), None);
        let other = repeater.take(captured("b", "GET n")).unwrap();
        assert_eq!(other.names, ["GET"]);
        let whole = repeater.take(captured("a", "exec")).unwrap();
        assert_eq!(whole.names, ["MULTI", "INCR", "EXEC"]);
        assert_eq!(repeater.take(captured("a", "AUTH x")), None);
        assert_eq!(repeater.take(captured("a", "MULTI")), None);
        assert_eq!((repeater.skipped, repeater.unfinished()), (2, 1));
    }

    #[test]
    fn nothing_blocks_without_end() {
        for (text, expected) in [
            ("BLPOP a b 0", "BLPOP a b 1"),
            ("BLPOP a 0.5", "BLPOP a 0.5"),
            ("BZMPOP 60 1 z MIN", "BZMPOP 1 1 z MIN"),
            ("WAIT 2 0", "WAIT 2 1000"),
            ("XREAD COUNT 1 BLOCK 0 STREAMS s $", "XREAD COUNT 1 BLOCK 1000 STREAMS s $"),
            ("XREAD STREAMS s 0", "XREAD STREAMS s 0"),
        ] {
            let mut words = captured("a", text).words;
            bound(text.split(' ').next().unwrap(), &mut words);
            assert_eq!(words.join(&b' '), expected.as_bytes());
        }
    }
}
