//! A read that was answered, kept to be checked: what was asked, where, and what was answered.

use super::run::{Run, RunKind};
use crate::base::ids::MemberId;
use crate::base::number::parse_u64;
use crate::base::time::MonoUs;
use crate::resp::{Protocol, ReplyScanner};

/// The longest request and the longest reply that are kept.
const REQUEST_BYTES_MAX: usize = 16 << 10;
const REPLY_BYTES_MAX: usize = 64 << 10;
/// What two servers with the same data answer alike, byte for byte: the order of sets and hashes is
/// each server's own.
const COMPARABLE: &[&str] = &[
    "BITCOUNT",
    "EXISTS",
    "GET",
    "GETBIT",
    "GETRANGE",
    "HEXISTS",
    "HGET",
    "HLEN",
    "HMGET",
    "HSTRLEN",
    "LINDEX",
    "LLEN",
    "LRANGE",
    "MGET",
    "SCARD",
    "SISMEMBER",
    "SMISMEMBER",
    "STRLEN",
    "SUBSTR",
    "TYPE",
    "XLEN",
    "XRANGE",
    "ZCARD",
    "ZCOUNT",
    "ZRANGE",
    "ZRANK",
    "ZSCORE",
];

/// A read that was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The database it was of.
    pub db: usize,
    /// The request, encoded.
    pub request: Vec<u8>,
    /// What was answered.
    pub reply: Vec<u8>,
    /// In which protocol.
    pub protocol: Protocol,
    /// Who has answered.
    pub member: MemberId,
}

impl Sample {
    /// The run that asks the same again, to be checked; `kind` says where it may go.
    pub fn again(&self, protocol: Protocol, kind: RunKind, now: MonoUs) -> Run {
        Run {
            db: self.db,
            unsent_until: now,
            is_check: true,
            ..Run::one(kind, protocol, self.request.clone())
        }
    }

    /// The first read of a run that this member has answered; `None` when it is none that can be
    /// compared.
    pub fn of(run: &Run, reply: &[u8], member: MemberId) -> Option<Sample> {
        let is_plain = !run.is_check && run.scan.is_none() && run.script.is_none();
        if !is_plain || !matches!(run.kind, RunKind::Read(_)) {
            return None;
        }
        let (words, len) = first_request(&run.bytes)?;
        let name = words.first()?;
        let is_comparable = COMPARABLE.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()));
        let end = ReplyScanner::default().poll(reply).ok()??;
        let is_short = len <= REQUEST_BYTES_MAX && end <= REPLY_BYTES_MAX;
        let is_answer = !reply.starts_with(b"-");
        (is_comparable && is_short && is_answer).then(|| Sample {
            db: run.db,
            request: run.bytes[..len].to_vec(),
            reply: reply[..end].to_vec(),
            protocol: run.protocol,
            member,
        })
    }

    /// Its words.
    pub fn words(&self) -> Vec<&[u8]> {
        first_request(&self.request).map_or_else(Vec::new, |it| it.0)
    }

    /// It in a line, cut short.
    pub fn told(&self) -> String {
        const WORD_BYTES_MAX: usize = 40;
        const WORDS_MAX: usize = 4;
        let words = self.words();
        let shown = words.iter().take(WORDS_MAX).map(|it| {
            let cut = &it[..it.len().min(WORD_BYTES_MAX)];
            String::from_utf8_lossy(cut).escape_debug().to_string()
        });
        let more = if WORDS_MAX < words.len() { " …" } else { "" };
        format!("db {} {}{more}", self.db, shown.collect::<Vec<_>>().join(" "))
    }
}

/// The words of the first of several encoded requests, and how long it is.
fn first_request(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let number = |at: usize, sign: u8| {
        let rest = bytes.get(at..)?.strip_prefix(&[sign])?;
        let len = rest.windows(2).position(|it| it == b"\r\n")?;
        Some((usize::try_from(parse_u64(&rest[..len])?).ok()?, at + 1 + len + 2))
    };
    let (count, mut at) = number(0, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (len, begin) = number(at, b'$')?;
        let end = begin.checked_add(len)?;
        words.push(bytes.get(begin..end)?);
        at = end.checked_add(2).filter(|it| *it <= bytes.len())?;
    }
    Some((words, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_requests_is_read() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n";
        assert_eq!(first_request(bytes), Some((vec![&b"GET"[..], b"k"], 20)));
        for bad in ["", "*", "*2\r\n$3\r\nGET\r\n", "*1\r\n$9\r\nGET\r\n", "GET k\r\n"] {
            assert_eq!(first_request(bad.as_bytes()), None, "{bad}");
        }
        for huge in ["*1\r\n$18446744073709551615\r\nGET\r\n", "*99999999999999999999\r\n"] {
            assert_eq!(first_request(huge.as_bytes()), None, "{huge}");
        }
    }
}
