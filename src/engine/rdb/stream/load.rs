//! Puts a stream together from the units of an RDB file, which nobody has checked.

use super::{NEVER, UNKNOWN};
use crate::engine::rdb::layout::Part;
use crate::engine::rdb::{Broken, Reader, form};
use crate::engine::stream::{ConsumerId, Group, Node, Rules, Stream, StreamId};

const ID: Part = Part::Fixed(StreamId::BYTES);
const TIME: Part = Part::Fixed(8);

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Nodes,
    Node,
    Ids,
    Groups,
    Group,
    Pending,
    Consumers,
    Consumer,
    Owned(ConsumerId),
    Done,
}

/// A stream that is being read. It holds what has been read, and nothing for what was announced.
pub struct StreamLoader {
    form: u8,
    stage: Stage,
    stream: Stream,
    /// Nodes, groups, consumers of the group, ids of the group or the consumer that are still to
    /// come.
    nodes: u64,
    groups: u64,
    consumers: u64,
    ids: u64,
    /// The id of the last entry so far that is there, or of a node behind it.
    last: StreamId,
    name: Vec<u8>,
    group: Group,
    owned: usize,
}

impl StreamLoader {
    /// Of one of the three forms of a stream.
    pub fn new(form: u8) -> StreamLoader {
        StreamLoader {
            form,
            stage: Stage::Nodes,
            stream: Stream::default(),
            nodes: 0,
            groups: 0,
            consumers: 0,
            ids: 0,
            last: StreamId::MIN,
            name: Vec::new(),
            group: Group::default(),
            owned: 0,
        }
    }

    /// Reads a whole stream.
    pub fn load(form: u8, input: &mut Reader<'_>) -> Result<Stream, Broken> {
        let mut loader = StreamLoader::new(form);
        while loader.parts().is_some() {
            loader.push(input)?;
        }
        Ok(loader.stream)
    }

    /// What the next unit consists of; `None` when the stream is whole.
    pub fn parts(&self) -> Option<&'static [Part]> {
        use Part::{Length, String};
        let (is_old, is_new) = (self.form == form::STREAM, self.form == form::STREAM_3);
        Some(match self.stage {
            Stage::Nodes | Stage::Groups | Stage::Consumers => &[Length],
            Stage::Node => &[String, String],
            Stage::Ids if is_old => &[Length; 3],
            Stage::Ids => &[Length; 8],
            Stage::Group if is_old => &[String, Length, Length, Length],
            Stage::Group => &[String, Length, Length, Length, Length],
            Stage::Pending => &[ID, TIME, Length],
            Stage::Consumer if is_new => &[String, TIME, TIME, Length],
            Stage::Consumer => &[String, TIME, Length],
            Stage::Owned(_) => &[ID],
            Stage::Done => return None,
        })
    }

    /// Takes the next unit.
    pub fn push(&mut self, input: &mut Reader<'_>) -> Result<(), Broken> {
        match self.stage {
            Stage::Nodes => self.nodes = input.length()?,
            Stage::Node => self.push_node(input)?,
            Stage::Ids => self.push_ids(input)?,
            Stage::Groups => self.groups = input.length()?,
            Stage::Group => self.push_group(input)?,
            Stage::Pending => {
                self.ids -= 1;
                let (id, delivered_ms) = (read_id(input)?, input.int::<8>()?);
                sound(self.group.load_pending(id, delivered_ms, input.length()?))?;
            }
            Stage::Consumers => self.consumers = input.length()?,
            Stage::Consumer => return self.push_consumer(input),
            Stage::Owned(owner) => {
                self.ids -= 1;
                self.owned += 1;
                sound(self.group.load_owner(read_id(input)?, owner))?;
            }
            Stage::Done => return Err(Broken),
        }
        self.go_on()
    }

    /// The stream, once it is whole.
    pub fn build(self) -> Result<Stream, Broken> {
        if self.stage == Stage::Done { Ok(self.stream) } else { Err(Broken) }
    }

    fn push_node(&mut self, input: &mut Reader<'_>) -> Result<(), Broken> {
        self.nodes -= 1;
        let key = <[u8; StreamId::BYTES]>::try_from(&*input.string()?).map_err(|_| Broken)?;
        let key = StreamId::from_bytes(key);
        let is_first = self.stream.entries.node_count() == 0;
        let (node, last) = Node::load(&input.string()?, key)?;
        sound(is_first || self.last < key)?;
        self.last = last;
        self.stream.entries.load_node(key, node);
        Ok(())
    }

    fn push_ids(&mut self, input: &mut Reader<'_>) -> Result<(), Broken> {
        let entries = &mut self.stream.entries;
        sound(input.length()? == entries.len())?;
        let last_id = length_id(input)?;
        sound(entries.last().is_none_or(|it| it.id <= last_id))?;
        let known = match self.form {
            form::STREAM => None,
            _ => Some((length_id(input)?, length_id(input)?, input.length()?)),
        };
        entries.load_ids(last_id, known);
        Ok(())
    }

    fn push_group(&mut self, input: &mut Reader<'_>) -> Result<(), Broken> {
        self.groups -= 1;
        self.name = input.string()?.into_owned();
        let last_id = length_id(input)?;
        let entries_read = match self.form {
            form::STREAM => self.stream.entries.estimate_read(last_id, Rules::Redis70),
            _ => Some(input.length()?).filter(|it| *it != UNKNOWN),
        };
        self.group = Group::new(last_id, entries_read);
        self.ids = input.length()?;
        self.owned = 0;
        Ok(())
    }

    fn push_consumer(&mut self, input: &mut Reader<'_>) -> Result<(), Broken> {
        self.consumers -= 1;
        let (name, seen_ms) = (input.string()?, input.int::<8>()?);
        let active_ms = match self.form {
            form::STREAM_3 => Some(input.int::<8>()?).filter(|it| *it != NEVER),
            _ => Some(seen_ms),
        };
        self.ids = input.length()?;
        let owner = self.group.load_consumer(&name, seen_ms, active_ms).ok_or(Broken)?;
        self.stage = Stage::Owned(owner);
        if self.ids == 0 { self.go_on() } else { Ok(()) }
    }

    /// After a unit: to the stage of the next one.
    fn go_on(&mut self) -> Result<(), Broken> {
        self.stage = match self.stage {
            Stage::Nodes | Stage::Node if self.nodes != 0 => Stage::Node,
            Stage::Nodes | Stage::Node => Stage::Ids,
            Stage::Ids => Stage::Groups,
            Stage::Group | Stage::Pending if self.ids != 0 => Stage::Pending,
            Stage::Group | Stage::Pending => Stage::Consumers,
            Stage::Owned(owner) if self.ids != 0 => Stage::Owned(owner),
            Stage::Consumers | Stage::Consumer | Stage::Owned(_) if self.consumers != 0 => {
                Stage::Consumer
            }
            Stage::Consumers | Stage::Consumer | Stage::Owned(_) => {
                // What is pending is pending for somebody.
                sound(self.owned == self.group.pending())?;
                let group = std::mem::take(&mut self.group);
                sound(self.stream.groups.add(&self.name, group))?;
                if self.groups == 0 { Stage::Done } else { Stage::Group }
            }
            Stage::Groups if self.groups == 0 => Stage::Done,
            Stage::Groups => Stage::Group,
            Stage::Done => Stage::Done,
        };
        Ok(())
    }
}

fn read_id(input: &mut Reader<'_>) -> Result<StreamId, Broken> {
    input.chunk().map(StreamId::from_bytes)
}

fn length_id(input: &mut Reader<'_>) -> Result<StreamId, Broken> {
    Ok(StreamId { ms: input.length()?, seq: input.length()? })
}

fn sound(is_sound: bool) -> Result<(), Broken> {
    if is_sound { Ok(()) } else { Err(Broken) }
}
