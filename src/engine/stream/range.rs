//! Entries between two ids, in both directions.

use super::StreamId;
use super::node::{Entry, Master, Node};
use super::pack;
use super::tree::{Tree, Walk, WalkBack};

/// A node that is being walked over, and where.
struct Open<'s> {
    key: StreamId,
    pack: &'s [u8],
    master: Master,
    at: usize,
}

/// The lowest first. What is deleted is not among them.
pub struct Range<'s> {
    nodes: Walk<'s, Node>,
    open: Option<Open<'s>>,
    from: StreamId,
    to: StreamId,
}

impl<'s> Range<'s> {
    /// From one id to another, both included.
    pub(super) fn new(nodes: &'s Tree<Node>, from: StreamId, to: StreamId) -> Range<'s> {
        Range { nodes: nodes.walk(ranks(nodes, from, to)), open: None, from, to }
    }
}

/// Those of the nodes that may have entries between two ids.
fn ranks(nodes: &Tree<Node>, from: StreamId, to: StreamId) -> std::ops::Range<usize> {
    let start = match nodes.floor(from) {
        Some((key, _)) => nodes.rank(key),
        None => 0,
    };
    let end = if to == StreamId::MAX { nodes.len() } else { nodes.ranks(from, to).end };
    start..if from <= to { end } else { start }
}

impl<'s> Iterator for Range<'s> {
    type Item = Entry<'s>;

    fn next(&mut self) -> Option<Entry<'s>> {
        loop {
            let open = match &mut self.open {
                Some(open) if !pack::is_end(open.pack, open.at) => open,
                _ => {
                    let (key, node) = self.nodes.next()?;
                    let (pack, master) = (node.pack(), Master::of(node.pack()));
                    self.open = Some(Open { key, pack, master, at: master.entries_at });
                    continue;
                }
            };
            let entry = Entry::read(open.pack, open.key, &open.master, open.at);
            open.at = entry.end();
            if entry.is_deleted() || entry.id < self.from {
                continue;
            }
            if entry.id <= self.to {
                return Some(entry);
            }
            // Only the last node of a range has entries behind it.
            open.at = pack::end(open.pack);
        }
    }
}

/// The highest first. What is deleted is not among them.
pub struct RangeBack<'s> {
    nodes: WalkBack<'s, Node>,
    open: Option<Open<'s>>,
    from: StreamId,
    to: StreamId,
}

impl<'s> RangeBack<'s> {
    /// From one id back to another, both included.
    pub(super) fn new(nodes: &'s Tree<Node>, from: StreamId, to: StreamId) -> RangeBack<'s> {
        RangeBack { nodes: nodes.walk_back(ranks(nodes, from, to)), open: None, from, to }
    }
}

impl<'s> Iterator for RangeBack<'s> {
    type Item = Entry<'s>;

    fn next(&mut self) -> Option<Entry<'s>> {
        loop {
            let open = match &mut self.open {
                Some(open) if open.master.entries_at < open.at => open,
                _ => {
                    let (key, node) = self.nodes.next()?;
                    let (pack, master) = (node.pack(), Master::of(node.pack()));
                    self.open = Some(Open { key, pack, master, at: pack::end(pack) });
                    continue;
                }
            };
            let entry = Entry::read_back(open.pack, open.key, &open.master, open.at);
            open.at = entry.start();
            if entry.is_deleted() || self.to < entry.id {
                continue;
            }
            if self.from <= entry.id {
                return Some(entry);
            }
            // Only the first node of a range has entries before it.
            open.at = open.master.entries_at;
        }
    }
}
