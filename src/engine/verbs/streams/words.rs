//! What the commands of streams have in common in their words: ids, and names in faults.

use crate::command::Fault;
use crate::engine::stream::{BadBound, StreamId};

const INVALID_ID: Fault =
    Fault::Static("ERR Invalid stream ID specified as stream command argument");

/// Reads an id whose sequence number is 0 unless it says one.
pub fn id_of(text: &[u8]) -> Result<StreamId, Fault> {
    StreamId::parse(text, 0).ok_or(INVALID_ID)
}

/// Reads ids; one that is none spoils them all.
pub fn ids_of<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<StreamId>, Fault> {
    texts.map(id_of).collect()
}

/// Reads the id with which a range begins.
pub fn first_bound(text: &[u8]) -> Result<StreamId, Fault> {
    StreamId::parse_start(text).map_err(bad_bound)
}

/// Reads the id with which a range ends.
pub fn end_bound(text: &[u8]) -> Result<StreamId, Fault> {
    StreamId::parse_end(text).map_err(bad_bound)
}

fn bad_bound(bad: BadBound) -> Fault {
    Fault::Message(format!("ERR {}", bad.text()))
}

/// A name as faults show it: up to its first zero byte.
fn shown(name: &[u8]) -> String {
    let end = name.iter().position(|it| *it == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// There is no such key, or no such group of it.
pub fn no_key_or_group(key: &[u8], group: &[u8], behind: &str) -> Fault {
    let (key, group) = (shown(key), shown(group));
    Fault::Message(format!("NOGROUP No such key '{key}' or consumer group '{group}'{behind}"))
}

/// There is no such group.
pub fn no_group(key: &[u8], group: &[u8]) -> Fault {
    let (key, group) = (shown(key), shown(group));
    Fault::Message(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}
