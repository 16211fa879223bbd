//! What a remote master says of its history: a part of its INFO.

use super::master_connection::{Fault, MasterConnection, Replies};
use crate::base::position::{Offset, Position, ReplId};
use crate::resp::encode_command;

/// Where its stream stands, and the history that it went on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MasterInfo {
    /// The end of its stream.
    pub at: Position,
    /// The history before, up to where this one shares it.
    pub before: Option<Position>,
}

impl MasterInfo {
    /// Asks for it.
    pub async fn ask(
        connection: &MasterConnection,
        replies: &mut Replies,
    ) -> Result<MasterInfo, Fault> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, [&b"INFO"[..], b"replication"].into_iter());
        connection.send(&bytes).await?;
        let reply = replies.next(connection).await?;
        MasterInfo::read(&String::from_utf8_lossy(&reply)).ok_or(Fault::Broken)
    }

    /// Reads INFO's lines. `second_repl_offset` is one past the last byte that is shared.
    fn read(told: &str) -> Option<MasterInfo> {
        let field = |name: &str| {
            told.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let replid = |name| ReplId::parse(field(name)?.as_bytes());
        let offset = |name| Some(Offset::new(field(name)?.parse().ok()?));
        let at =
            Position { replid: replid("master_replid")?, offset: offset("master_repl_offset")? };
        let before = || {
            let shared: i64 = field("second_repl_offset")?.parse().ok()?;
            let offset = Offset::new(u64::try_from(shared - 1).ok()?);
            Some(Position { replid: replid("master_replid2")?, offset })
        };
        Some(MasterInfo { at, before: before() })
    }

    /// How many bytes of a history that stands at `here` this one does not share; `None` when it
    /// does not know that history.
    pub fn lacks(&self, here: Position) -> Option<u64> {
        let shared = [Some(self.at), self.before].into_iter().flatten();
        let shared = shared.into_iter().find(|it| it.replid == here.replid)?;
        Some(here.offset.bytes().saturating_sub(shared.offset.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_the_place_where_the_histories_part_is_not_shared() {
        let [ours, theirs] = [[0xab; 20], [0xcd; 20]].map(ReplId::new);
        let here = Position { replid: ours, offset: Offset::new(150) };
        let told = |first: ReplId, second: ReplId, shared: i64| {
            let text = format!(
                "role:master\r\nmaster_replid:{first}\r\nmaster_replid2:{second}\r\n\
                 master_repl_offset:170\r\nsecond_repl_offset:{shared}\r\n"
            );
            MasterInfo::read(&text).unwrap()
        };
        assert_eq!(told(theirs, ours, 101).lacks(here), Some(50));
        assert_eq!(told(ours, theirs, 101).lacks(here), Some(0));
        assert_eq!(told(theirs, theirs, 101).lacks(here), None);
        assert_eq!(told(theirs, ReplId::new([0; 20]), -1).before, None);
        assert_eq!(MasterInfo::read("role:master\r\n"), None);
    }
}
