//! Cursors of SCAN and its kin, which mean something to one server alone: what a client gets names
//! the server that gave it.
//!
//! ```text
//!    63 ───────────────────── 10 9 ── 7 6 ───── 0
//!   the server's own cursor      life   place of the member
//! ```

use crate::base::ids::MemberId;
use crate::base::limits::REPLICAS_MAX;
use crate::base::number::parse_u64;

const PLACE_BITS: u32 = 7;
const LIFE_BITS: u32 = 3;
const SHIFT: u32 = PLACE_BITS + LIFE_BITS;

const _: () = assert!(REPLICAS_MAX < 1 << PLACE_BITS);

/// A cursor with whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanCursor {
    /// The server that gave it.
    pub member: MemberId,
    /// Which of its lives: another has another table.
    pub life: u8,
    /// What it calls the place.
    pub cursor: u64,
}

impl ScanCursor {
    /// Which life this is, of all there have been.
    pub fn life_of(lives: u64) -> u8 {
        (lives % (1 << LIFE_BITS)) as u8
    }

    /// Reads what a client says; `None` of one that begins, or that nobody has given.
    pub fn read(text: &[u8]) -> Option<ScanCursor> {
        let number = parse_u64(text).filter(|it| *it != 0)?;
        let member = MemberId((number & ((1 << PLACE_BITS) - 1)) as u16);
        let life = ((number >> PLACE_BITS) & ((1 << LIFE_BITS) - 1)) as u8;
        Some(ScanCursor { member, life, cursor: number >> SHIFT })
    }

    /// What the client is told; `None` when the server's own is too long for that.
    fn told(self) -> Option<u64> {
        let cursor = self.cursor.checked_shl(SHIFT).filter(|it| it >> SHIFT == self.cursor)?;
        Some(cursor | u64::from(self.life) << PLACE_BITS | u64::from(self.member.0))
    }
}

/// The reply of a SCAN with its cursor named after the server that has given it. One that has come
/// to its end, or is an error, is as it came. `None` when the cursor is too long.
pub fn name_cursor(reply: Vec<u8>, member: MemberId, life: u8) -> Option<Vec<u8>> {
    let Some((cursor, rest)) = cursor_in(&reply) else { return Some(reply) };
    if cursor == 0 {
        return Some(reply);
    }
    let told = ScanCursor { member, life, cursor }.told()?.to_string();
    let head = format!("*2\r\n${}\r\n{told}\r\n", told.len());
    Some([head.as_bytes(), rest].concat())
}

/// The cursor in the reply of a SCAN, and what is behind it.
fn cursor_in(reply: &[u8]) -> Option<(u64, &[u8])> {
    let rest = reply.strip_prefix(b"*2\r\n$")?;
    let end = rest.windows(2).position(|it| it == b"\r\n")?;
    let len = usize::try_from(parse_u64(&rest[..end])?).ok()?;
    let text = rest.get(end + 2..end + 2 + len)?;
    Some((parse_u64(text)?, rest.get(end + 2 + len + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(reply: &str, member: u16) -> Option<String> {
        let reply = name_cursor(reply.as_bytes().to_vec(), MemberId(member), 5)?;
        Some(String::from_utf8(reply).unwrap())
    }

    #[test]
    fn a_cursor_comes_back_to_the_server_that_gave_it() {
        let reply = named("*2\r\n$2\r\n17\r\n*1\r\n$1\r\nk\r\n", 3).unwrap();
        let told = reply.split("\r\n").nth(2).unwrap();
        let cursor = ScanCursor { member: MemberId(3), life: 5, cursor: 17 };
        assert_eq!(ScanCursor::read(told.as_bytes()), Some(cursor));
        assert!(reply.ends_with("\r\n*1\r\n$1\r\nk\r\n"));
        assert!(reply.starts_with(&format!("*2\r\n${}\r\n", told.len())));
    }

    #[test]
    fn an_end_and_an_error_are_as_they_came() {
        for reply in ["*2\r\n$1\r\n0\r\n*0\r\n", "-ERR invalid cursor\r\n", "*0\r\n"] {
            assert_eq!(named(reply, 3).as_deref(), Some(reply));
        }
        assert_eq!(ScanCursor::read(b"0"), None);
        assert_eq!(ScanCursor::read(b"x"), None);
        let long = format!("*2\r\n$20\r\n{}\r\n*0\r\n", u64::MAX);
        assert_eq!(named(&long, 3), None);
        assert_eq!(ScanCursor::life_of(8), 0);
    }

    #[test]
    fn a_reply_is_the_same_but_for_its_cursor_and_lives_come_round() {
        let reply = named("*2\r\n$2\r\n17\r\n*0\r\n", 3).unwrap();
        let told = reply.split("\r\n").nth(2).unwrap();
        assert_eq!(reply, format!("*2\r\n${}\r\n{told}\r\n*0\r\n", told.len()));
        assert_eq!([1, 7, 9].map(ScanCursor::life_of), [1, 7, 1]);
    }
}
