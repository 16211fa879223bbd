//! Where a reply ends, for who passes replies on without reading them.

use crate::base::number::parse_i64;

/// Deepest nesting of a reply that is passed on.
const DEPTH_MAX: usize = 128;
/// Longest line of a reply.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Bytes that are no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenReply;

/// Finds the end of replies in bytes that arrive piece by piece, in RESP2 and RESP3.
#[derive(Default)]
pub struct ReplyScanner {
    /// Where to go on.
    at: usize,
    /// Elements that are still to come, of each collection that is open.
    open: Vec<u64>,
}

impl ReplyScanner {
    /// Looks at `bytes`, which begin with the reply's first byte. Answers how long the reply is, or
    /// `None` when more of it must come; nothing is looked at twice.
    pub fn poll(&mut self, bytes: &[u8]) -> Result<Option<usize>, BrokenReply> {
        loop {
            let Some(line) = line_at(&bytes[self.at.min(bytes.len())..])? else { return Ok(None) };
            let (kind, text) = line.split_first().ok_or(BrokenReply)?;
            let behind = self.at + line.len() + 2;
            let mut elements = 0;
            match kind {
                b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => self.at = behind,
                b'$' | b'=' | b'!' => {
                    let len = parse_i64(text).ok_or(BrokenReply)?;
                    let body = usize::try_from(len).map_or(0, |it| it.saturating_add(2));
                    let end = behind.checked_add(body).ok_or(BrokenReply)?;
                    if bytes.len() < end {
                        return Ok(None);
                    }
                    self.at = end;
                }
                b'*' | b'~' | b'>' | b'%' | b'|' => {
                    let count = parse_i64(text).ok_or(BrokenReply)?;
                    let count = u64::try_from(count).unwrap_or(0);
                    elements = match kind {
                        b'%' => count.saturating_mul(2),
                        // What it is an attribute of stands behind it.
                        b'|' => count.saturating_mul(2).saturating_add(1),
                        _ => count,
                    };
                    self.at = behind;
                }
                _ => return Err(BrokenReply),
            }
            if self.close(elements)? {
                let len = std::mem::take(&mut self.at);
                return Ok(Some(len));
            }
        }
    }

    /// An element has come, or the head of a collection of so many. Answers whether the reply is
    /// whole.
    fn close(&mut self, elements: u64) -> Result<bool, BrokenReply> {
        if elements != 0 {
            self.open.push(elements);
            return if DEPTH_MAX < self.open.len() { Err(BrokenReply) } else { Ok(false) };
        }
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left != 0 {
                return Ok(false);
            }
            self.open.pop();
        }
        Ok(true)
    }
}

/// The line that begins here, without its end.
fn line_at(bytes: &[u8]) -> Result<Option<&[u8]>, BrokenReply> {
    let looked = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    match looked.iter().position(|it| *it == b'\n') {
        Some(end) if end != 0 && bytes[end - 1] == b'\r' => Ok(Some(&bytes[..end - 1])),
        Some(_) => Err(BrokenReply),
        None if looked.len() == LINE_BYTES_MAX => Err(BrokenReply),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply() -> impl Strategy<Value = Vec<u8>> {
        let text = || prop::collection::vec(any::<u8>(), 0..40);
        let leaf = prop_oneof![
            "[a-z ]{0,20}".prop_map(|it| format!("+{it}\r\n").into_bytes()),
            any::<i64>().prop_map(|it| format!(":{it}\r\n").into_bytes()),
            Just(b"_\r\n".to_vec()),
            Just(b"$-1\r\n".to_vec()),
            Just(b"*-1\r\n".to_vec()),
            Just(b"*0\r\n".to_vec()),
            Just(b",1.5\r\n".to_vec()),
            text().prop_map(|it| [format!("${}\r\n", it.len()).as_bytes(), &it, b"\r\n"].concat()),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let many = |kind: &'static str, width: usize| {
                prop::collection::vec(inner.clone(), 0..5).prop_map(move |it| {
                    let count = it.len() / width * width;
                    let head = format!("{kind}{}\r\n", count / width).into_bytes();
                    [head, it[..count].concat()].concat()
                })
            };
            let noted = (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| [&b"|1\r\n"[..], &a, &b, &c].concat());
            prop_oneof![many("*", 1), many("~", 1), many("%", 2), noted]
        })
    }

    proptest! {
        #[test]
        fn the_end_is_found_however_the_bytes_come(
            replies in prop::collection::vec(reply(), 1..6),
            step in 1..50usize,
        ) {
            let all = replies.concat();
            let (mut scanner, mut from, mut lens) = (ReplyScanner::default(), 0, vec![]);
            for to in (0..all.len()).step_by(step).chain([all.len()]) {
                while let Some(len) = scanner.poll(&all[from..to]).unwrap() {
                    lens.push(len);
                    from += len;
                }
            }
            prop_assert_eq!(lens, replies.iter().map(Vec::len).collect::<Vec<_>>());
        }

        #[test]
        fn garbage_is_broken_or_waits_for_more(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = ReplyScanner::default().poll(&bytes);
        }
    }
}
