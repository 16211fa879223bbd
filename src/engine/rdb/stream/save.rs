//! Writes a stream in units, so that what is written at a time has a bound.

use super::{NEVER, UNKNOWN};
use crate::engine::rdb::{Writer, form};
use crate::engine::stream::{Group, Stream, StreamId};

/// Ids that are written together.
const BATCH: usize = 64;

/// Takes what is written.
pub trait Out {
    /// These bytes.
    fn raw(&mut self, bytes: &[u8]);
    /// A length or a count.
    fn length(&mut self, len: u64);
    /// A string, as an integer if it spells a short one.
    fn string(&mut self, text: &[u8]);
    /// A string that is no integer.
    fn blob(&mut self, bytes: &[u8]);
}

impl Out for Writer {
    fn raw(&mut self, bytes: &[u8]) {
        Writer::raw(self, bytes);
    }

    fn length(&mut self, len: u64) {
        Writer::length(self, len as usize);
    }

    fn string(&mut self, text: &[u8]) {
        Writer::string(self, text);
    }

    fn blob(&mut self, bytes: &[u8]) {
        Writer::blob(self, bytes);
    }
}

/// How far a stream has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StreamPlace {
    stage: Stage,
    /// Groups and consumers that are written, and nodes or ids.
    group: usize,
    consumer: usize,
    done: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    #[default]
    Start,
    Nodes,
    Ids,
    Group,
    Pending,
    Consumers,
    Owned,
    End,
}

/// Writes all of it, without its form.
pub fn write(stream: &Stream, form: u8, out: &mut impl Out) {
    let mut place = StreamPlace::default();
    while !write_unit(stream, form, &mut place, out) {}
}

/// Writes the next unit behind `place`: a node, or what else takes no more bytes than some names
/// and 64 ids. Answers whether the stream is whole.
pub fn write_unit(stream: &Stream, form: u8, place: &mut StreamPlace, out: &mut impl Out) -> bool {
    match place.stage {
        Stage::Start => {
            out.length(stream.entries.node_count() as u64);
            place.stage = Stage::Nodes;
        }
        Stage::Nodes => match stream.entries.nodes().at(place.done) {
            Some((key, node)) => {
                out.blob(&key.to_bytes());
                out.blob(node.pack());
                place.done += 1;
            }
            None => *place = StreamPlace { stage: Stage::Ids, ..StreamPlace::default() },
        },
        Stage::Ids => {
            write_ids(stream, form, out);
            out.length(stream.groups.len() as u64);
            place.stage = Stage::Group;
        }
        Stage::Group | Stage::Pending | Stage::Consumers | Stage::Owned => {
            match stream.groups.at(place.group) {
                Some((name, group)) => write_group(name, group, form, place, out),
                None => place.stage = Stage::End,
            }
        }
        Stage::End => {}
    }
    place.stage == Stage::End
}

fn write_ids(stream: &Stream, form: u8, out: &mut impl Out) {
    let entries = &stream.entries;
    out.length(entries.len());
    length_id(entries.last_id(), out);
    if form != form::STREAM {
        length_id(entries.first_id(), out);
        length_id(entries.max_deleted_id(), out);
        out.length(entries.added());
    }
}

fn write_group(name: &[u8], group: &Group, form: u8, place: &mut StreamPlace, out: &mut impl Out) {
    match place.stage {
        Stage::Pending => {
            let pending = group.pending_tree();
            let until = pending.len().min(place.done + BATCH);
            for (id, it) in pending.walk(place.done..until) {
                out.raw(&id.to_bytes());
                out.raw(&it.delivered_ms.to_le_bytes());
                out.length(it.deliveries);
            }
            place.done = until;
            if until == pending.len() {
                out.length(group.consumers().len() as u64);
                (place.stage, place.consumer, place.done) = (Stage::Consumers, 0, 0);
            }
        }
        Stage::Consumers => match group.consumers().iter_from(place.consumer).next() {
            Some((_, consumer)) => {
                out.string(consumer.name());
                out.raw(&consumer.seen_ms.to_le_bytes());
                if form == form::STREAM_3 {
                    out.raw(&consumer.active_ms.unwrap_or(NEVER).to_le_bytes());
                }
                out.length(consumer.pending() as u64);
                place.stage = Stage::Owned;
            }
            None => {
                let group = place.group + 1;
                *place = StreamPlace { stage: Stage::Group, group, ..StreamPlace::default() };
            }
        },
        Stage::Owned => {
            let consumer = group.consumers().iter_from(place.consumer).next();
            let left = consumer.map_or(0, |(_, it)| it.pending() - place.done);
            for id in consumer.into_iter().flat_map(|(_, it)| it.ids_from(place.done)).take(BATCH) {
                out.raw(&id.to_bytes());
            }
            place.done += BATCH;
            if left <= BATCH {
                (place.stage, place.consumer, place.done) =
                    (Stage::Consumers, place.consumer + 1, 0);
            }
        }
        _ => {
            out.string(name);
            length_id(group.last_id, out);
            if form != form::STREAM {
                out.length(group.entries_read.unwrap_or(UNKNOWN));
            }
            out.length(group.pending() as u64);
            place.stage = Stage::Pending;
        }
    }
}

fn length_id(id: StreamId, out: &mut impl Out) {
    out.length(id.ms);
    out.length(id.seq);
}
