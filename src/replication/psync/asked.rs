//! What a replica asks for, and the line that answers it.

use super::hello::ReplicaHello;
use crate::base::number::parse_i64;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::{Offset, Position, ReplId};

/// What a replica asks for, with all it has said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it has said of itself.
    pub hello: ReplicaHello,
    /// From where on it lacks the stream, if it knows: the place behind the last byte that it has.
    pub from: Option<Position>,
    /// Whether it understands an answer that names the stream: PSYNC. SYNC is answered by the file
    /// alone.
    pub is_named: bool,
    /// Whether the asked one is to become the master first.
    pub takes_over: bool,
}

/// How a replica begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// With the stream, from the place it asked for; this is the history's name now.
    Resumed { replid: ReplId },
    /// With a file that holds everything up to this place.
    Full { at: Position },
}

impl Asked {
    /// SYNC.
    pub fn sync(hello: ReplicaHello) -> Asked {
        Asked { hello, from: None, is_named: false, takes_over: false }
    }

    /// `PSYNC <replid> <number of the next byte>`; `? -1` from one that has nothing. What makes no
    /// sense asks for everything, as Redis takes it.
    pub fn psync(hello: ReplicaHello, replid: &[u8], next: &[u8]) -> Asked {
        let before = match () {
            () if is_planted(Planted::ResumesLate) => 0,
            () if is_planted(Planted::ResumesEarly) => 2,
            () => 1,
        };
        let offset = parse_i64(next).and_then(|it| u64::try_from(it.checked_sub(before)?).ok());
        let position = |offset| Some(Position { replid: ReplId::parse(replid)?, offset });
        let from = offset.map(Offset::new).and_then(position);
        Asked { hello, from, is_named: true, takes_over: false }
    }

    /// The line that tells the replica how it begins. A file that is all it wanted, or that it
    /// asked for by SYNC, needs none.
    pub fn answer(&self, started: Started) -> String {
        match started {
            Started::Full { at } if self.is_named => {
                format!("+FULLRESYNC {} {}\r\n", at.replid, at.offset)
            }
            Started::Full { .. } => String::new(),
            Started::Resumed { replid } if self.hello.follows_renamed => {
                format!("+CONTINUE {replid}\r\n")
            }
            Started::Resumed { .. } => "+CONTINUE\r\n".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn from(replid: &str, next: &str) -> Option<u64> {
        let asked = Asked::psync(ReplicaHello::default(), replid.as_bytes(), next.as_bytes());
        asked.from.map(|it| it.offset.bytes())
    }

    #[test]
    fn the_next_byte_is_the_one_behind_the_offset() {
        assert_eq!(from(REPLID, "1"), Some(0));
        assert_eq!(from(REPLID, "101"), Some(100));
    }

    #[test]
    fn what_makes_no_sense_asks_for_everything() {
        for (replid, next) in [("?", "-1"), (REPLID, "0"), (REPLID, "x"), ("short", "5")] {
            assert_eq!(from(replid, next), None, "{replid} {next}");
        }
        assert_eq!(from(REPLID, &i64::MIN.to_string()), None);
    }

    #[test]
    fn the_answer_is_what_the_replica_can_read() {
        let replid = ReplId::parse(REPLID.as_bytes()).unwrap();
        let at = Position { replid, offset: Offset::new(7) };
        let mut asked = Asked::psync(ReplicaHello::default(), b"?", b"-1");
        let full = Started::Full { at };
        assert_eq!(asked.answer(full), format!("+FULLRESYNC {REPLID} 7\r\n"));
        assert_eq!(asked.answer(Started::Resumed { replid }), "+CONTINUE\r\n");
        asked.hello.follows_renamed = true;
        assert_eq!(asked.answer(Started::Resumed { replid }), format!("+CONTINUE {REPLID}\r\n"));
        assert_eq!(Asked::sync(ReplicaHello::default()).answer(full), "");
    }
}
