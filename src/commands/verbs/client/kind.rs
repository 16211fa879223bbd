//! Kinds of connections.

use crate::command::Fault;
use crate::state::Client;
use std::sync::atomic::Ordering::Relaxed;

/// Kinds of connections, as CLIENT LIST and CLIENT KILL tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Normal,
    Replica,
    Pubsub,
    Master,
}

impl Kind {
    pub fn parse(word: &[u8]) -> Result<Kind, Fault> {
        let kinds = [
            ("normal", Kind::Normal),
            ("slave", Kind::Replica),
            ("replica", Kind::Replica),
            ("pubsub", Kind::Pubsub),
            ("master", Kind::Master),
        ];
        let found = kinds.iter().find(|it| word.eq_ignore_ascii_case(it.0.as_bytes()));
        found.map(|it| it.1).ok_or_else(|| {
            let word = String::from_utf8_lossy(word);
            Fault::Message(format!("ERR Unknown client type '{word}'"))
        })
    }

    pub fn is_of(self, client: &Client) -> bool {
        let (is_replica, subscribes) =
            (client.flags.is_replica.load(Relaxed), client.subscribed.is_any());
        match self {
            Kind::Normal => !is_replica && !subscribes,
            Kind::Replica => is_replica,
            Kind::Pubsub => !is_replica && subscribes,
            // We call it, so it is no client.
            Kind::Master => false,
        }
    }
}
