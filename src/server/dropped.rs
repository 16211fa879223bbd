//! How many bytes of its own history a server drops when it takes another's data: what an old
//! master had written and nobody had taken over.

use super::master_connection::{Fault, MasterConnection};
use crate::base::position::Position;
use crate::resp::{Protocol, encode_command};
use crate::runtime::tasks;
use crate::state::Server;
use std::sync::Arc;
use std::time::Duration;

/// A report is worth no longer wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the master where it left the history that stands at `before` here. `None` when it does not
/// know that history, or does not answer.
pub async fn dropped_bytes(server: &Arc<Server>, before: Position) -> Option<u64> {
    let told = tasks::within(PATIENCE, ask(server)).await?;
    dropped(&told.ok()?, before)
}

async fn ask(server: &Arc<Server>) -> Result<String, Fault> {
    let connection = MasterConnection::open(server, Protocol::Resp2).await?;
    let mut bytes = Vec::new();
    encode_command(&mut bytes, [&b"INFO"[..], b"replication"].into_iter());
    connection.send(&bytes).await?;
    let reply = connection.replies().next(&connection).await?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

/// A history that the master has gone on with is left behind its end; one that it had before, where
/// it became the master: `second_repl_offset` is one past the last byte of that.
fn dropped(told: &str, before: Position) -> Option<u64> {
    let field = |name: &str| {
        told.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let number = |name| field(name)?.parse::<u64>().ok();
    let replid = before.replid.to_string();
    let shared = if field("master_replid")? == replid {
        number("master_repl_offset")?
    } else if field("master_replid2")? == replid {
        number("second_repl_offset")?.saturating_sub(1)
    } else {
        return None;
    };
    Some(before.offset.bytes().saturating_sub(shared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Offset, ReplId};

    #[test]
    fn what_lies_behind_the_place_where_the_histories_part_is_dropped() {
        let [ours, theirs] = [[0xab; 20], [0xcd; 20]].map(ReplId::new);
        let before = Position { replid: ours, offset: Offset::new(150) };
        let told = |first: ReplId, second: ReplId| {
            format!(
                "role:master\r\nmaster_replid:{first}\r\nmaster_replid2:{second}\r\n\
                 master_repl_offset:170\r\nsecond_repl_offset:101\r\n"
            )
        };
        assert_eq!(dropped(&told(theirs, ours), before), Some(50));
        assert_eq!(dropped(&told(ours, theirs), before), Some(0));
        assert_eq!(dropped(&told(theirs, theirs), before), None);
        assert_eq!(dropped("", before), None);
    }
}
