//! How the remote master is asked where its stream stands.

use crate::base::position::{Offset, ReplId};
use crate::node::{FoundMaster, Told};
use crate::replication::{ASK_MASTER_INFO, MasterInfo};
use crate::resp::encode_command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How to ask where the master's stream stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// ROLE: this master's history is known.
    Role(FoundMaster),
    /// INFO, which names the history, too: it may be another by now.
    Info,
}

/// What a connection has found now.
pub fn found(replid: Option<ReplId>) -> FoundMaster {
    static FOUND: AtomicU64 = AtomicU64::new(0);
    FoundMaster { number: FOUND.fetch_add(1, Relaxed), replid }
}

impl Question {
    /// Adds it to what is about to be sent.
    pub fn encode(self, bytes: &mut Vec<u8>) {
        match self {
            Question::Role(_) => encode_command(bytes, [&b"ROLE"[..]].into_iter()),
            Question::Info => encode_command(bytes, ASK_MASTER_INFO.into_iter()),
        }
    }

    /// What the reply says; `None` from one that is no master.
    pub fn answer(self, reply: &[u8]) -> Option<Told> {
        match self {
            Question::Role(by) => Some(Told { offset: role_offset(reply)?, by }),
            Question::Info => {
                let info = MasterInfo::read(reply).filter(|it| it.is_master)?;
                Some(Told { offset: info.at.offset, by: found(Some(info.at.replid)) })
            }
        }
    }
}

/// The offset in the reply of ROLE, of one that is a master.
fn role_offset(reply: &[u8]) -> Option<Offset> {
    let rest = reply.strip_prefix(b"*3\r\n$6\r\nmaster\r\n:")?;
    let end = rest.iter().position(|it| *it == b'\r')?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some(Offset::new(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_names_the_history_of_a_master() {
        let replid = ReplId::new([7; 20]);
        let told =
            format!("$9\r\nrole:master\r\nmaster_replid:{replid}\r\nmaster_repl_offset:50\r\n");
        let question = Question::Info;
        let [one, two] = [(); 2].map(|()| question.answer(told.as_bytes()).unwrap());
        assert_eq!((one.offset, one.by.replid), (Offset::new(50), Some(replid)));
        assert!(one.by.number < two.by.number);
        assert_eq!(question.answer(told.replace("master\r", "slave\r").as_bytes()), None);
        assert_eq!(question.answer(b"-NOPERM\r\n"), None);
    }

    #[test]
    fn the_offset_of_a_replica_is_no_floor() {
        assert_eq!(role_offset(b"*5\r\n$5\r\nslave\r\n"), None);
        assert_eq!(role_offset(b"-ERR\r\n"), None);
    }
}
