//! How a server's stream stands, as ROLE tells it.

use crate::base::number::{parse_i64, parse_u64};
use crate::base::position::Offset;

/// What asks for it.
pub const ROLE: [&[u8]; 1] = [b"ROLE"];

/// What a server has told of itself by ROLE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stand<'r> {
    /// It is a master, whose stream ends here.
    Master(Offset),
    /// It is a replica.
    Replica {
        /// Where its master is.
        master: (&'r [u8], u16),
        /// Whether the stream comes.
        is_linked: bool,
        /// What it has applied; `None` while it has nothing.
        applied: Option<Offset>,
    },
}

impl<'r> Stand<'r> {
    /// Reads the reply of ROLE; `None` when it is none.
    pub fn read(reply: &'r [u8]) -> Option<Stand<'r>> {
        let mut lines = Lines(reply);
        match lines.next()? {
            b"*3" => {
                let is_master = lines.bulk()? == b"master";
                let offset = number(lines.next()?)?;
                is_master.then_some(Stand::Master(offset))
            }
            b"*5" => {
                let is_replica = lines.bulk()? == b"slave";
                let host = lines.bulk()?;
                let port = parse_u64(lines.next()?.strip_prefix(b":")?)?;
                let is_linked = lines.bulk()? == b"connected";
                let applied = number(lines.next()?);
                let master = (host, u16::try_from(port).ok()?);
                is_replica.then_some(Stand::Replica { master, is_linked, applied })
            }
            _ => None,
        }
    }
}

/// An offset; none when it is negative.
fn number(line: &[u8]) -> Option<Offset> {
    let number = parse_i64(line.strip_prefix(b":")?)?;
    u64::try_from(number).ok().map(Offset::new)
}

struct Lines<'r>(&'r [u8]);

impl<'r> Lines<'r> {
    fn next(&mut self) -> Option<&'r [u8]> {
        let end = self.0.windows(2).position(|it| it == b"\r\n")?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        Some(line)
    }

    fn bulk(&mut self) -> Option<&'r [u8]> {
        let len = parse_u64(self.next()?.strip_prefix(b"$")?)?;
        let text = self.next()?;
        (text.len() as u64 == len).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_is_read_as_servers_write_it() {
        let master = b"*3\r\n$6\r\nmaster\r\n:77\r\n*0\r\n";
        assert_eq!(Stand::read(master), Some(Stand::Master(Offset::new(77))));
        let replica = |state: &str, offset: i64| {
            let len = state.len();
            format!("*5\r\n$5\r\nslave\r\n$2\r\nh1\r\n:6379\r\n${len}\r\n{state}\r\n:{offset}\r\n")
        };
        let read = |text: String| match Stand::read(text.as_bytes()) {
            Some(Stand::Replica { master: (b"h1", 6379), is_linked, applied }) => {
                (is_linked, applied.map(Offset::bytes))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(read(replica("connected", 5)), (true, Some(5)));
        assert_eq!(read(replica("connect", -1)), (false, None));
        for broken in ["", "-NOPERM no\r\n", "*3\r\n$8\r\nsentinel\r\n", "*1\r\n$8\r\nsentinel\r\n"]
        {
            assert_eq!(Stand::read(broken.as_bytes()), None, "{broken}");
        }
    }
}
