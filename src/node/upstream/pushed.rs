//! What a server pushes to a subscriber, and which of it is told on.
//!
//! A message on a channel comes once for the channel, if that is subscribed to, and once for each
//! pattern that it matches. Here it is told on once, to all who subscribe to any of these.

use crate::base::glob::{Case, matches};
use crate::base::number::parse_i64;
use crate::session::SubscriptionKind;
use bytes::Bytes;
use std::collections::BTreeSet;

/// What was pushed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// A name is subscribed to now.
    Subscribed(SubscriptionKind, Bytes),
    /// A name is subscribed to no more.
    Unsubscribed(SubscriptionKind, Bytes),
    /// A message.
    Message {
        /// What it was published with.
        kind: SubscriptionKind,
        /// The pattern for which it has come, if it has come for one.
        pattern: Option<Bytes>,
        /// Its channel.
        channel: Bytes,
        /// What it says.
        message: Bytes,
    },
    /// Something else.
    Other,
}

impl Pushed {
    /// Reads a push; `None` of what is none.
    pub fn read(push: &[u8]) -> Option<Pushed> {
        let words = words(push)?;
        let kept = Bytes::copy_from_slice;
        let message = |kind, channel, message| Pushed::Message {
            kind,
            pattern: None,
            channel: kept(channel),
            message: kept(message),
        };
        Some(match words.as_slice() {
            [b"message", channel, text] => message(SubscriptionKind::Channel, channel, text),
            [b"smessage", channel, text] => message(SubscriptionKind::ShardChannel, channel, text),
            [b"pmessage", pattern, channel, text] => Pushed::Message {
                kind: SubscriptionKind::Channel,
                pattern: Some(kept(pattern)),
                channel: kept(channel),
                message: kept(text),
            },
            [b"subscribe", name, ..] => Pushed::Subscribed(SubscriptionKind::Channel, kept(name)),
            [b"psubscribe", name, ..] => Pushed::Subscribed(SubscriptionKind::Pattern, kept(name)),
            [b"ssubscribe", name, ..] => {
                Pushed::Subscribed(SubscriptionKind::ShardChannel, kept(name))
            }
            [b"unsubscribe", name, ..] => {
                Pushed::Unsubscribed(SubscriptionKind::Channel, kept(name))
            }
            [b"punsubscribe", name, ..] => {
                Pushed::Unsubscribed(SubscriptionKind::Pattern, kept(name))
            }
            [b"sunsubscribe", name, ..] => {
                Pushed::Unsubscribed(SubscriptionKind::ShardChannel, kept(name))
            }
            _ => Pushed::Other,
        })
    }
}

/// Whether a message that has come for this pattern is the one that is told on, where these are
/// subscribed to.
pub fn is_first(
    pattern: Option<&Bytes>,
    channel: &[u8],
    channels: &BTreeSet<Bytes>,
    patterns: &BTreeSet<Bytes>,
) -> bool {
    let Some(pattern) = pattern else { return true };
    let fits = |it: &&Bytes| matches(it, channel, Case::Exact);
    !channels.contains(channel) && patterns.iter().find(fits) == Some(pattern)
}

/// The elements of a flat push.
fn words(push: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, mut left) = line(push)?;
    let count = parse_i64(head.strip_prefix(b">")?)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (head, behind) = line(left)?;
        let (kind, text) = head.split_first()?;
        left = behind;
        if *kind != b'$' {
            words.push(text);
            continue;
        }
        let len = usize::try_from(parse_i64(text)?).ok()?;
        words.push(behind.get(..len)?);
        left = behind.get(len + 2..)?;
    }
    Some(words)
}

/// A line, and what is behind it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|it| it == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&'static str]) -> BTreeSet<Bytes> {
        names.iter().map(|it| Bytes::from_static(it.as_bytes())).collect()
    }

    #[test]
    fn pushes_are_read_as_servers_write_them() {
        let push = b">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\n\r\n\r\n";
        let Some(Pushed::Message { pattern, channel, message, .. }) = Pushed::read(push) else {
            panic!("it is a message")
        };
        assert_eq!(pattern.as_deref(), Some(&b"n*"[..]));
        assert_eq!((&channel[..], &message[..]), (&b"news"[..], &b"\r\n"[..]));
        let push = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
        let name = Bytes::from_static(b"a");
        let wanted = Pushed::Subscribed(SubscriptionKind::Channel, name);
        assert_eq!(Pushed::read(push), Some(wanted));
        assert_eq!(Pushed::read(b">1\r\n$10\r\ninvalidate\r\n"), Some(Pushed::Other));
        for broken in [&b"+PONG\r\n"[..], b">2\r\n$1\r\na\r\n", b">1\r\n$9\r\na\r\n", b""] {
            assert_eq!(Pushed::read(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_message_is_told_on_once() {
        let (channels, patterns) = (names(&["news"]), names(&["n*", "ne*"]));
        let pattern = Bytes::from_static(b"n*");
        assert!(is_first(None, b"news", &channels, &patterns));
        assert!(!is_first(Some(&pattern), b"news", &channels, &patterns));
        assert!(is_first(Some(&pattern), b"nest", &channels, &patterns));
        let other = Bytes::from_static(b"ne*");
        assert!(!is_first(Some(&other), b"nest", &channels, &patterns));
    }

    #[test]
    fn each_kind_of_push_is_told_as_what_it_is() {
        let push = |words: &[&str]| {
            let mut bytes = format!(">{}\r\n", words.len());
            words.iter().for_each(|it| bytes.push_str(&format!("${}\r\n{it}\r\n", it.len())));
            Pushed::read(bytes.as_bytes()).unwrap()
        };
        let name = || Bytes::from_static(b"n");
        for (word, kind) in [
            ("subscribe", SubscriptionKind::Channel),
            ("psubscribe", SubscriptionKind::Pattern),
            ("ssubscribe", SubscriptionKind::ShardChannel),
        ] {
            assert_eq!(push(&[word, "n", "1"]), Pushed::Subscribed(kind, name()), "{word}");
        }
        for (word, kind) in
            [("message", SubscriptionKind::Channel), ("smessage", SubscriptionKind::ShardChannel)]
        {
            let message = Bytes::from_static(b"m");
            let wanted = Pushed::Message { kind, pattern: None, channel: name(), message };
            assert_eq!(push(&[word, "n", "m"]), wanted, "{word}");
        }
    }
}
