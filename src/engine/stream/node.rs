//! A node of a stream: a listpack of entries whose ids begin at its own.
//!
//! ```text
//! master  count, deleted, fields, field …, 0
//! entry   flags, ms, seq, [value …]                     the fields are those of the master
//!         flags, ms, seq, fields, [field, value] …      they are its own
//!         … and how many elements these are
//! ```
//!
//! `ms` and `seq` are differences to the id of the node, which stands outside of it. An entry that
//! is deleted stays, with a flag.

use super::pack::{self, Appending};
use super::tree::{Weighed, Weight};
use super::{NodeLimits, StreamId};
use crate::engine::packed::Element;
use crate::engine::rdb::Broken;
use triomphe::Arc;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// Redis' own bound on a node.
const NODE_BYTES_MAX: usize = 1 << 30;

/// The listpack, shared by copies of the stream until one of them changes it.
#[derive(Clone, Debug)]
pub struct Node(Arc<Vec<u8>>);

impl Weighed for Node {
    fn weight(&self) -> Weight {
        let (count, _) = pack::read_int(&self.0, pack::HEAD_BYTES);
        Weight { entries: count as u64, bytes: self.0.capacity() as u64 }
    }
}

/// What stands before the entries of a node.
#[derive(Clone, Copy)]
pub struct Master {
    /// Entries that are there.
    pub count: i64,
    /// Entries that are deleted.
    pub deleted: i64,
    /// How many fields, and where they begin.
    pub fields: usize,
    /// See [`Master::fields`].
    pub fields_at: usize,
    /// Where the first entry begins.
    pub entries_at: usize,
}

impl Master {
    /// Of this node.
    pub fn of(pack: &[u8]) -> Master {
        let (count, at) = pack::read_int(pack, pack::HEAD_BYTES);
        let (deleted, at) = pack::read_int(pack, at);
        let (fields, fields_at) = pack::read_int(pack, at);
        let fields = fields as usize;
        let entries_at = pack::skip(pack, pack::skip_many(pack, fields_at, fields));
        Master { count, deleted, fields, fields_at, entries_at }
    }
}

/// An entry, deleted ones too.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'s> {
    /// Its id.
    pub id: StreamId,
    pack: &'s [u8],
    flags_at: usize,
    is_deleted: bool,
    /// Where its fields begin, if not among its values.
    names_at: Option<usize>,
    values_at: usize,
    len: usize,
}

impl<'s> Entry<'s> {
    /// The one that begins at `at`.
    #[inline]
    pub fn read(pack: &'s [u8], key: StreamId, master: &Master, at: usize) -> Entry<'s> {
        let (flags, ms_at) = pack::read_int(pack, at);
        let (ms, seq_at) = pack::read_int(pack, ms_at);
        let (seq, rest) = pack::read_int(pack, seq_at);
        let ms = key.ms.wrapping_add(ms as u64);
        let id = StreamId { ms, seq: key.seq.wrapping_add(seq as u64) };
        let (is_deleted, is_same) = (flags & DELETED != 0, flags & SAME_FIELDS != 0);
        let (names_at, len, values_at) = if is_same {
            (Some(master.fields_at), master.fields, rest)
        } else {
            let (len, values_at) = pack::read_int(pack, rest);
            (None, len as usize, values_at)
        };
        Entry { id, pack, flags_at: at, is_deleted, names_at, values_at, len }
    }

    /// The one that ends at `end`.
    pub fn read_back(pack: &'s [u8], key: StreamId, master: &Master, end: usize) -> Entry<'s> {
        let mut at = pack::back(pack, end);
        let (elements, _) = pack::read_int(pack, at);
        for _ in 0..elements {
            at = pack::back(pack, at);
        }
        Entry::read(pack, key, master, at)
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no field, as no entry that a client has made.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it is deleted. Those that a stream shows never are.
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// Its fields with their values.
    pub fn fields(&self) -> Fields<'s> {
        let Entry { pack, names_at, values_at, len, .. } = *self;
        Fields { pack, names_at, values_at, left: len }
    }

    /// Where it begins.
    pub fn start(&self) -> usize {
        self.flags_at
    }

    /// Where the next entry begins.
    #[inline]
    pub fn end(&self) -> usize {
        let values = if self.names_at.is_some() { self.len } else { 2 * self.len };
        pack::skip(self.pack, pack::skip_many(self.pack, self.values_at, values))
    }
}

/// Fields with their values, as they are stored: nothing is allocated for them.
#[derive(Clone, Debug)]
pub struct Fields<'s> {
    pack: &'s [u8],
    names_at: Option<usize>,
    values_at: usize,
    left: usize,
}

impl<'s> Iterator for Fields<'s> {
    type Item = (Element<'s>, Element<'s>);

    #[inline]
    fn next(&mut self) -> Option<(Element<'s>, Element<'s>)> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names_at {
            Some(at) => {
                let (name, next) = pack::read(self.pack, *at);
                *at = next;
                name
            }
            None => {
                let (name, next) = pack::read(self.pack, self.values_at);
                self.values_at = next;
                name
            }
        };
        let (value, next) = pack::read(self.pack, self.values_at);
        self.values_at = next;
        Some((name, value))
    }
}

/// Looking.
impl Node {
    /// The listpack.
    pub fn pack(&self) -> &[u8] {
        &self.0
    }

    /// Whether an entry of so many bytes in fields and values belongs here, and not in a new node.
    pub fn takes(&self, bytes: usize, limits: &NodeLimits) -> bool {
        let most = match limits.bytes {
            0 => NODE_BYTES_MAX,
            bytes => bytes.min(NODE_BYTES_MAX),
        };
        if most <= self.0.len() + bytes {
            return false;
        }
        let (count, at) = pack::read_int(&self.0, pack::HEAD_BYTES);
        let (deleted, _) = pack::read_int(&self.0, at);
        limits.entries == 0 || ((count + deleted) as u64) < limits.entries as u64
    }

    /// The entry with this id.
    pub fn find(&self, key: StreamId, id: StreamId) -> Option<Entry<'_>> {
        let pack = self.pack();
        let master = Master::of(pack);
        let mut at = master.entries_at;
        while !pack::is_end(pack, at) {
            let entry = Entry::read(pack, key, &master, at);
            if !entry.is_deleted && id <= entry.id {
                return (entry.id == id).then_some(entry);
            }
            at = entry.end();
        }
        None
    }

    /// The id of the last entry, deleted or not.
    pub fn last_id(&self, key: StreamId) -> StreamId {
        let (pack, master) = (self.pack(), Master::of(self.pack()));
        if pack::is_end(pack, master.entries_at) {
            return key;
        }
        Entry::read_back(pack, key, &master, pack::end(pack)).id
    }
}

/// Changing.
impl Node {
    /// Without an entry yet; entries with these fields will not repeat them.
    pub fn new<'f>(fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])>) -> Node {
        let mut bytes = pack::empty();
        let mut out = Appending::new(&mut bytes);
        out.int(0);
        out.int(0);
        out.int(fields.len() as i64);
        fields.for_each(|(name, _)| out.text(name));
        out.int(0);
        out.finish();
        Node(Arc::new(bytes))
    }

    /// Puts an entry behind the last one. Its id is greater.
    pub fn append<'f>(
        &mut self,
        key: StreamId,
        id: StreamId,
        fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
    ) {
        let master = Master::of(self.pack());
        let is_same = self.has_fields(&master, fields.clone().map(|(name, _)| name));
        let bytes = Arc::make_mut(&mut self.0);
        pack::replace_int(bytes, pack::HEAD_BYTES, master.count + 1);
        let mut out = Appending::new(bytes);
        out.int(if is_same { SAME_FIELDS } else { 0 });
        out.int(id.ms.wrapping_sub(key.ms) as i64);
        out.int(id.seq.wrapping_sub(key.seq) as i64);
        let len = fields.len() as i64;
        if is_same {
            fields.for_each(|(_, value)| out.text(value));
            out.int(len + 3);
        } else {
            out.int(len);
            for (name, value) in fields {
                out.text(name);
                out.text(value);
            }
            out.int(2 * len + 4);
        }
        out.finish();
    }

    fn has_fields<'f>(
        &self,
        master: &Master,
        names: impl ExactSizeIterator<Item = &'f [u8]>,
    ) -> bool {
        let (mut at, pack) = (master.fields_at, self.pack());
        names.len() == master.fields
            && names.into_iter().all(|name| {
                let (field, next) = pack::read(pack, at);
                at = next;
                field.with_text(|it| it == name)
            })
    }

    /// Nothing will be put in any more: it takes no more memory than it needs.
    pub fn close(&mut self) {
        if self.0.capacity() != self.0.len() {
            // A new allocation: an allocator may leave one that shrinks as it is.
            self.0 = Arc::new(self.0.as_slice().to_vec());
        }
    }

    /// Marks entries that are there as deleted: those that begin at these places.
    pub fn delete(&mut self, places: &[usize]) {
        let bytes = Arc::make_mut(&mut self.0);
        for at in places {
            let (flags, _) = pack::read_int(bytes, *at);
            pack::replace_int(bytes, *at, flags | DELETED);
        }
        let (count, at) = pack::read_int(bytes, pack::HEAD_BYTES);
        let (deleted, _) = pack::read_int(bytes, at);
        pack::replace_int(bytes, at, deleted + places.len() as i64);
        pack::replace_int(bytes, pack::HEAD_BYTES, count - places.len() as i64);
    }
}

/// Coming in.
impl Node {
    /// Of bytes that nobody has checked, with the id of its last entry that is there, or its own.
    /// Entries are as many as the node says, and those that are there are in order. One that is
    /// deleted may be behind: until Redis 7.2, XSETID could set the last id before it.
    pub fn load(bytes: &[u8], key: StreamId) -> Result<(Node, StreamId), Broken> {
        let bytes = pack::check(bytes)?;
        let mut input = Checked { pack: &bytes, at: pack::HEAD_BYTES };
        let (count, deleted) = (input.int()?, input.int()?);
        let fields = input.count()?;
        input.skip(fields)?;
        if input.int()? != 0 {
            return Err(Broken);
        }
        let (mut last, mut live, mut dead) = (None::<StreamId>, 0, 0);
        while !pack::is_end(&bytes, input.at) {
            let flags = input.int()?;
            let (ms, seq) = (input.int()?, input.int()?);
            let elements = match flags & SAME_FIELDS {
                0 => {
                    let own = input.count()?;
                    input.skip(own.checked_mul(2).ok_or(Broken)?)?;
                    own * 2 + 4
                }
                _ => {
                    input.skip(fields)?;
                    fields + 3
                }
            };
            let ms = key.ms.wrapping_add(ms as u64);
            let id = StreamId { ms, seq: key.seq.wrapping_add(seq as u64) };
            let is_live = flags & DELETED == 0;
            let is_behind = last.map_or(key <= id, |it| it < id);
            if (is_live && !is_behind)
                || input.int()? != elements as i64
                || flags & !(DELETED | SAME_FIELDS) != 0
            {
                return Err(Broken);
            }
            if is_live {
                (live, last) = (live + 1, Some(id));
            } else {
                dead += 1;
            }
        }
        if (count, deleted) != (live, dead) || live + dead == 0 {
            return Err(Broken);
        }
        Ok((Node(Arc::new(bytes)), last.unwrap_or(key)))
    }
}

/// A listpack whose elements are sound, but not what they mean.
struct Checked<'p> {
    pack: &'p [u8],
    at: usize,
}

impl Checked<'_> {
    fn int(&mut self) -> Result<i64, Broken> {
        if pack::is_end(self.pack, self.at) {
            return Err(Broken);
        }
        let (element, next) = pack::read(self.pack, self.at);
        self.at = next;
        match element {
            Element::Int(number) => Ok(number),
            Element::Text(_) => Err(Broken),
        }
    }

    /// A number of elements, which cannot be more than there are bytes.
    fn count(&mut self) -> Result<usize, Broken> {
        let count = usize::try_from(self.int()?).map_err(|_| Broken)?;
        if count <= self.pack.len() { Ok(count) } else { Err(Broken) }
    }

    fn skip(&mut self, count: usize) -> Result<(), Broken> {
        for _ in 0..count {
            if pack::is_end(self.pack, self.at) {
                return Err(Broken);
            }
            self.at = pack::skip(self.pack, self.at);
        }
        Ok(())
    }
}
