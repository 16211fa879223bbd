//! Replies that a client awaits of another server, in their order.

use std::collections::VecDeque;

/// What servers answer who do not know a script, whole, since scripts may answer what they like:
/// that of redis, and that of valkey.
pub const NOSCRIPT_REPLIES: [&[u8]; 2] =
    [b"-NOSCRIPT No matching script. Please use EVAL.\r\n", b"-NOSCRIPT No matching script.\r\n"];

/// A reply that is awaited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// It is known: the request was refused here.
    Known(Vec<u8>),
    /// The last of so many that the master sends.
    Last(usize),
    /// The last of so many that the master sends, or the first of them that is an error.
    LastUnlessError(usize),
}

impl Awaited {
    /// How many replies the server sends for it.
    pub fn count(&self) -> usize {
        match self {
            Awaited::Known(_) => 0,
            Awaited::Last(of) | Awaited::LastUnlessError(of) => *of,
        }
    }
}

/// Replies of which some have come.
#[derive(Debug)]
pub struct Answering {
    awaited: VecDeque<Awaited>,
    out: Vec<u8>,
    /// An error that is the answer once the others of its kind have come.
    error: Option<Vec<u8>>,
    /// Where each that has come ends in `out`.
    ends: Vec<usize>,
    /// The server has sent another reply than that it does not do such a thing now.
    has_done: bool,
}

impl Answering {
    /// Those of requests that are about to be sent.
    pub fn new(awaited: VecDeque<Awaited>) -> Answering {
        Answering { awaited, out: Vec::new(), error: None, ends: Vec::new(), has_done: false }
    }

    /// The master has sent a reply.
    pub fn take(&mut self, reply: &[u8]) {
        self.take_known();
        self.has_done |= !is_bounced(reply);
        match self.awaited.front_mut() {
            Some(Awaited::Last(left)) if 1 < *left => *left -= 1,
            Some(Awaited::LastUnlessError(left)) if 1 < *left => {
                *left -= 1;
                if reply.starts_with(b"-") && self.error.is_none() {
                    self.error = Some(reply.to_vec());
                }
            }
            _ => {
                self.awaited.pop_front();
                let error = self.error.take();
                self.out.extend_from_slice(error.as_deref().unwrap_or(reply));
                self.ends.push(self.out.len());
            }
        }
    }

    /// Whether all replies so far say that nothing was done, since the server is none that does it.
    pub fn is_bounced(&self) -> bool {
        !self.has_done && !self.ends.is_empty()
    }

    /// Whether the first that has come begins like this.
    pub fn begins_with(&self, text: &[u8]) -> bool {
        self.out.starts_with(text)
    }

    /// All of them.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.take_known();
        self.out
    }

    /// All of them, those that have not come being this error.
    pub fn failed(mut self, text: &str) -> Vec<u8> {
        for it in std::mem::take(&mut self.awaited) {
            match it {
                Awaited::Known(reply) => self.out.extend_from_slice(&reply),
                Awaited::Last(_) | Awaited::LastUnlessError(_) => {
                    self.out.extend_from_slice(format!("-{text}\r\n").as_bytes());
                }
            }
        }
        self.out
    }

    /// All of them, but this error in the place of each that says that something was done.
    pub fn each_done_is(mut self, text: &str) -> Vec<u8> {
        self.take_known();
        let (mut told, mut begin) = (Vec::new(), 0);
        for end in &self.ends {
            let reply = &self.out[begin..*end];
            begin = *end;
            match reply.starts_with(b"-") {
                true => told.extend_from_slice(reply),
                false => told.extend_from_slice(format!("-{text}\r\n").as_bytes()),
            }
        }
        told
    }

    /// All of them, of which nothing counts that was done: this error in the place of each that
    /// says that something was, and of each that has not come.
    pub fn all_lost(mut self, text: &str) -> Vec<u8> {
        let awaited = std::mem::take(&mut self.awaited);
        let mut told = self.each_done_is(text);
        told.append(&mut Answering::new(awaited).failed(text));
        told
    }

    /// All of them, of a server that turned out to be no master behind them. Of the first `written`
    /// the last is that of a write: what came behind it, or behind a write that was not done, may
    /// be old, and is this error instead.
    pub fn trusted_up_to(mut self, written: usize, text: &str) -> Vec<u8> {
        self.take_known();
        let (mut kept, mut begin, mut is_old) = (Vec::new(), 0, false);
        for (at, end) in self.ends.iter().enumerate() {
            let reply = &self.out[begin..*end];
            begin = *end;
            is_old |= is_bounced(reply);
            match (is_old || written <= at) && !reply.starts_with(b"-") {
                true => kept.extend_from_slice(format!("-{text}\r\n").as_bytes()),
                false => kept.extend_from_slice(reply),
            }
        }
        kept
    }

    fn take_known(&mut self) {
        while let Some(Awaited::Known(reply)) = self.awaited.front() {
            self.out.extend_from_slice(reply);
            self.ends.push(self.out.len());
            self.awaited.pop_front();
        }
    }
}

/// Whether a reply says that a server is none, or none yet, that does such a thing.
fn is_bounced(reply: &[u8]) -> bool {
    const BOUNCES: [&[u8]; 3] = [b"-READONLY ", b"-LOADING ", b"-MASTERDOWN "];
    reply.starts_with(b"-") && BOUNCES.iter().any(|it| reply.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(replies: &[&[u8]]) -> Answering {
        let mut answering = Answering::new(replies.iter().map(|_| Awaited::Last(1)).collect());
        replies.iter().for_each(|it| answering.take(it));
        answering
    }

    #[test]
    fn what_a_server_that_is_no_master_any_more_has_told_last_is_not_trusted() {
        let (ok, read, no) = (&b"+OK\r\n"[..], &b"$1\r\nx\r\n"[..], &b"-READONLY no\r\n"[..]);
        let told = |replies: &[&[u8]], written| {
            String::from_utf8(answering(replies).trusted_up_to(written, "OLD")).unwrap()
        };
        assert_eq!(told(&[read, ok, read], 2), "$1\r\nx\r\n+OK\r\n-OLD\r\n");
        assert_eq!(told(&[ok, no, read, no], 4), "+OK\r\n-READONLY no\r\n-OLD\r\n-READONLY no\r\n");
        assert_eq!(told(&[read], 0), "-OLD\r\n");
    }

    #[test]
    fn what_stands_on_a_reply_before_it_is_answered_by_the_error_of_that() {
        let (no, again) = (&b"-NOPERM no\r\n"[..], &b"-ERR too\r\n"[..]);
        let told = |replies: [&[u8]; 3]| {
            let mut answering = Answering::new([Awaited::LastUnlessError(3)].into());
            replies.iter().for_each(|it| answering.take(it));
            answering.take(b"+next\r\n");
            String::from_utf8(answering.into_bytes()).unwrap()
        };
        assert_eq!(told([b":0\r\n", b":1\r\n", b":2\r\n"]), ":2\r\n+next\r\n");
        assert_eq!(told([b":0\r\n", no, b":2\r\n"]), "-NOPERM no\r\n+next\r\n");
        assert_eq!(told([no, again, b":2\r\n"]), "-NOPERM no\r\n+next\r\n");
        assert_eq!(told([b":0\r\n", b":1\r\n", no]), "-NOPERM no\r\n+next\r\n");
    }

    #[test]
    fn only_requests_of_which_none_was_done_are_bounced() {
        let no = &b"-READONLY no\r\n"[..];
        assert!(answering(&[no, b"-LOADING\x20x\r\n"]).is_bounced());
        assert!(!answering(&[no, b"+OK\r\n"]).is_bounced());
        assert!(!answering(&[]).is_bounced());
    }

    #[test]
    fn an_error_that_says_something_of_the_request_says_that_it_was_done() {
        assert!(!answering(&[b"-ERR wrong type\r\n"]).is_bounced());
        assert!(answering(&[b"-ERR x\r\n", b"+OK\r\n"]).begins_with(b"-ERR "));
        assert!(!answering(&[b"+OK\r\n", b"-ERR x\r\n"]).begins_with(b"-ERR "));
    }

    #[test]
    fn what_has_not_come_or_may_not_count_is_an_error() {
        let text = |it: Vec<u8>| String::from_utf8(it).unwrap();
        let awaited = [Awaited::Last(1), Awaited::Known(b"+K\r\n".to_vec()), Awaited::Last(1)];
        let mut half = Answering::new(awaited.into());
        half.take(b"+OK\r\n");
        assert_eq!(text(half.failed("LOST")), "+OK\r\n+K\r\n-LOST\r\n");
        let known = Awaited::Known(b"-K\r\n".to_vec());
        let awaited = [Awaited::Last(1), Awaited::Last(1), known, Awaited::Last(1)];
        let mut overtaken = Answering::new(awaited.into());
        overtaken.take(b"+OK\r\n");
        overtaken.take(b"-ERR x\r\n");
        assert_eq!(text(overtaken.all_lost("LOST")), "-LOST\r\n-ERR x\r\n-K\r\n-LOST\r\n");
        let done = answering(&[b"+OK\r\n", b"-ERR x\r\n", b":1\r\n"]);
        assert_eq!(text(done.each_done_is("OLD")), "-OLD\r\n-ERR x\r\n-OLD\r\n");
    }
}
