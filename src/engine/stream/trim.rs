//! XTRIM: entries go from the front, whole nodes at once.

use super::node::{Entry, Master, Node};
use super::tree::Gone;
use super::{Entries, StreamId, pack};

/// What shall be left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trim {
    /// No more than so many entries: MAXLEN.
    Length(u64),
    /// No entry before this id: MINID.
    From(StreamId),
}

/// Nodes that are to be freed elsewhere.
pub type GoneNodes = Gone<Node>;

/// What has gone.
pub struct Trimmed {
    /// Number of entries that were there.
    pub entries: u64,
    /// To be freed elsewhere.
    pub gone: GoneNodes,
}

impl Entries {
    /// Takes all entries away that need not be left: XTRIM and XADD with `=` or no sign.
    ///
    /// Effect: as it was sent, if any entry has gone or been added.
    pub fn trim(&mut self, trim: Trim) -> Trimmed {
        let mut trimmed = self.trim_nodes(trim, u64::MAX);
        if let Some(places) = self.places_to_trim(trim) {
            let (key, places) = places;
            self.nodes.change(key, |node| node.delete(&places));
            trimmed.entries += places.len() as u64;
        }
        self.settle(&trimmed);
        trimmed
    }

    /// Takes away whole nodes, with no entry that must be left, up to `limit` entries; 0 is no
    /// limit. XTRIM and XADD with `~`; without LIMIT it is [`super::NodeLimits::trim_limit`].
    ///
    /// Effect: the same with `=`, and for the number [`Entries::len`], for the id
    /// [`Entries::edge_id`]: XADD always, XTRIM if an entry has gone.
    pub fn trim_about(&mut self, trim: Trim, limit: u64) -> Trimmed {
        let trimmed = self.trim_nodes(trim, if limit == 0 { u64::MAX } else { limit });
        self.settle(&trimmed);
        trimmed
    }

    fn settle(&mut self, trimmed: &Trimmed) {
        if self.is_empty() || trimmed.entries != 0 {
            self.find_first_id();
        }
    }

    fn trim_nodes(&mut self, trim: Trim, most: u64) -> Trimmed {
        let before = self.len();
        let count = match trim {
            Trim::Length(length) => self.nodes.prefix(before.saturating_sub(length), most),
            Trim::From(id) => {
                let limited =
                    if most == u64::MAX { usize::MAX } else { self.nodes.prefix(u64::MAX, most) };
                self.nodes_before(id).min(limited)
            }
        };
        let gone = self.nodes.take_front(count);
        Trimmed { entries: before - self.len(), gone }
    }

    /// How many nodes have no entry from this id on, not even a deleted one.
    fn nodes_before(&self, id: StreamId) -> usize {
        let Some((key, node)) = self.nodes.floor(id) else { return 0 };
        self.nodes.rank(key) + usize::from(node.last_id(key) < id)
    }

    /// The first node, and where the entries begin that must go from it.
    fn places_to_trim(&self, trim: Trim) -> Option<(StreamId, Vec<usize>)> {
        let (key, node) = self.nodes.at(0)?;
        let (pack, master) = (node.pack(), Master::of(node.pack()));
        let most = match trim {
            Trim::Length(length) => self.len().saturating_sub(length),
            Trim::From(_) => u64::MAX,
        };
        let (mut places, mut at) = (Vec::new(), master.entries_at);
        while (places.len() as u64) < most && !pack::is_end(pack, at) {
            let entry = Entry::read(pack, key, &master, at);
            if matches!(trim, Trim::From(id) if id <= entry.id) {
                break;
            }
            if !entry.is_deleted() {
                places.push(at);
            }
            at = entry.end();
        }
        (!places.is_empty()).then_some((key, places))
    }
}
