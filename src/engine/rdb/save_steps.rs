//! Writes a value that is not small in steps, so that what is written at a time has a bound.

use super::listpack::Listpack;
use super::save::{field_time, hash_form};
use super::stream::{Out, StreamPlace, write_unit};
use super::{Writer, form};
use crate::engine::{Hash, KeySlot, List, Set, Stream, Value, Zset};

/// A value that takes more bytes here is written in steps, if it can be.
const SMALL_BYTES_MAX: usize = 16 << 10;
/// An element that has a block of its own and as many bytes is a node without a listpack: it need
/// not be copied to be written, and some of these sizes are told otherwise by other servers.
const ALONE_BYTES_MIN: usize = 4 << 10;
/// A length takes no more.
const HEAD_BYTES_MAX: usize = 9;
/// Entries of a table that are walked over together.
const BATCH: usize = 64;

/// Is shown the strings of a unit, and what is behind them as it is.
type VisitUnit<'v> = dyn FnMut(&[&[u8]], &[u8]) + 'v;

/// How far a value has been written.
#[derive(Clone, Copy, Default, Debug)]
pub struct Place {
    /// Elements that are written.
    done: usize,
    /// The hash to go on from in a table, and how many entries from there on are written.
    from: u32,
    batched: usize,
    /// Bytes of the element at hand that are written.
    bytes: usize,
    has_begun: bool,
    stream: StreamPlace,
}

/// Whether the value is to be written with [`write`] and not whole.
pub fn is_large(slot: &KeySlot) -> bool {
    match slot.value() {
        None => false,
        Some(Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_)) => {
            slot.as_string().is_ok_and(|it| SMALL_BYTES_MAX < it.len())
        }
        Some(Value::List(List::Packed(_)) | Value::Hash(Hash::Packed(_))) => false,
        Some(Value::Set(Set::Small(_)) | Value::Zset(Zset::Packed(_))) => false,
        Some(Value::List(list)) => SMALL_BYTES_MAX < list.bytes(),
        Some(Value::Stream(stream)) => SMALL_BYTES_MAX < stream.bytes(),
        Some(Value::Hash(_) | Value::Set(_) | Value::Zset(_)) => true,
    }
}

/// Goes on with a value behind `place`: without its form, but for what [`form_of`] says of it.
/// Stops as soon as `out` has `full` bytes. Answers whether the value is whole.
pub fn write(slot: &KeySlot, place: &mut Place, out: &mut Writer, full: usize) -> bool {
    if let Ok(text) = slot.as_string() {
        let mut window = Window::new(out, place.bytes, full);
        window.string(text);
        return window.end(&mut place.bytes);
    }
    match slot.value() {
        Some(Value::List(list)) => write_list(list, place, out, full),
        Some(Value::Set(set)) => {
            begin(place, set.len(), out);
            let scan = |from, visit: &mut VisitUnit<'_>| {
                set.scan(Some(from), BATCH, |it| it.with_text(|it| visit(&[it], &[])))
            };
            write_table(set.len(), scan, place, out, full)
        }
        Some(Value::Hash(hash)) => {
            begin(place, hash.len(), out);
            let is_timed = hash_form(hash) == form::HASH_TTL_VALKEY;
            let scan = |from, visit: &mut VisitUnit<'_>| {
                hash.scan_timed(Some(from), BATCH, |(field, value), at| {
                    let at = field_time(at).to_le_bytes();
                    let behind: &[u8] = if is_timed { &at } else { &[] };
                    field.with_text(|field| value.with_text(|it| visit(&[field, it], behind)));
                })
            };
            write_table(hash.len(), scan, place, out, full)
        }
        Some(Value::Zset(zset)) => write_zset(zset, place, out, full),
        Some(Value::Stream(stream)) => write_stream(stream, place, out, full),
        None
        | Some(Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_)) => {
            true
        }
    }
}

/// The form in which [`write`] writes a value.
pub fn form_of(slot: &KeySlot) -> u8 {
    match slot.value() {
        Some(Value::List(_)) => form::LIST_LISTPACKS,
        Some(Value::Set(_)) => form::SET,
        Some(Value::Hash(hash)) => hash_form(hash),
        Some(Value::Zset(_)) => form::ZSET_BINARY,
        Some(Value::Stream(_)) => form::STREAM_2,
        _ => form::STRING,
    }
}

fn begin(place: &mut Place, units: usize, out: &mut Writer) {
    if !place.has_begun {
        place.has_begun = true;
        out.length(units);
    }
}

/// A node for each block: the place is the number of elements before it.
fn write_list(list: &List, place: &mut Place, out: &mut Writer, full: usize) -> bool {
    begin(place, list.sequences().count(), out);
    for sequence in list.sequences_from(place.done) {
        if full <= out.len() {
            return false;
        }
        let mut window = Window::new(out, place.bytes, full);
        let mut elements = sequence.iter();
        match (elements.next(), elements.next()) {
            (Some(only), None) if ALONE_BYTES_MIN <= only.text_len() => {
                window.length(form::NODE_PLAIN as usize);
                only.with_text(|it| window.string(it));
            }
            _ => {
                let mut node = Listpack::default();
                node.push_sequence(sequence);
                window.length(form::NODE_PACKED as usize);
                window.string(&node.into_bytes());
            }
        }
        if !window.end(&mut place.bytes) {
            return false;
        }
        place.done += sequence.len();
    }
    true
}

/// Sets and hashes: each unit is one string or two, and what is behind them as it is.
fn write_table(
    len: usize,
    scan: impl Fn(u32, &mut VisitUnit<'_>) -> Option<u32>,
    place: &mut Place,
    out: &mut Writer,
    full: usize,
) -> bool {
    while place.done < len && out.len() < full {
        let (mut nth, batched) = (0, place.batched);
        let mut is_full = false;
        let next = scan(place.from, &mut |texts, behind| {
            nth += 1;
            is_full |= full <= out.len();
            if is_full || nth <= batched {
                return;
            }
            let mut window = Window::new(out, place.bytes, full);
            texts.iter().for_each(|it| window.string(it));
            window.bytes(behind);
            is_full = !window.end(&mut place.bytes);
            if !is_full {
                (place.done, place.batched) = (place.done + 1, nth);
            }
        });
        if is_full {
            return false;
        }
        match next {
            Some(next) => (place.from, place.batched) = (next, 0),
            None => break,
        }
    }
    len <= place.done
}

fn write_zset(zset: &Zset, place: &mut Place, out: &mut Writer, full: usize) -> bool {
    begin(place, zset.len(), out);
    // The highest first, as Redis does: each next one then goes to the front.
    for (member, score) in zset.walk_back(0..zset.len() - place.done) {
        if full <= out.len() {
            return false;
        }
        let mut window = Window::new(out, place.bytes, full);
        member.with_text(|it| window.string(it));
        window.bytes(&score.to_le_bytes());
        if !window.end(&mut place.bytes) {
            return false;
        }
        place.done += 1;
    }
    true
}

fn write_stream(stream: &Stream, place: &mut Place, out: &mut Writer, full: usize) -> bool {
    loop {
        if full <= out.len() {
            return false;
        }
        let mut next = place.stream;
        let mut window = Window::new(out, place.bytes, full);
        let is_whole = write_unit(stream, form::STREAM_2, &mut next, &mut window);
        if !window.end(&mut place.bytes) {
            return false;
        }
        place.stream = next;
        if is_whole {
            return true;
        }
    }
}

/// Lets through what comes of one element behind what has been let through before.
struct Window<'w> {
    out: &'w mut Writer,
    full: usize,
    /// Bytes of the element that were written before, and those of them that have come again.
    before: usize,
    skipped: usize,
    start: usize,
    is_cut: bool,
}

impl<'w> Window<'w> {
    fn new(out: &'w mut Writer, before: usize, full: usize) -> Window<'w> {
        let start = out.len();
        Window { out, full, before, skipped: 0, start, is_cut: false }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().min(self.before - self.skipped);
        self.skipped += skipped;
        let rest = &bytes[skipped..];
        let room = self.full.saturating_sub(self.out.len());
        self.is_cut |= room < rest.len();
        self.out.raw(&rest[..rest.len().min(room)]);
    }

    fn length(&mut self, len: usize) {
        let mut head = Writer::default();
        head.length(len);
        self.bytes(head.bytes());
    }

    /// A string as it is.
    fn string(&mut self, text: &[u8]) {
        if self.before == 0 && self.out.len() + text.len() + HEAD_BYTES_MAX <= self.full {
            return self.out.blob(text);
        }
        self.length(text.len());
        self.bytes(text);
    }

    /// Notes how many bytes of the element are written, 0 if all of it is. Answers whether it is.
    fn end(self, written: &mut usize) -> bool {
        *written = match self.is_cut {
            true => self.before + self.out.len() - self.start,
            false => 0,
        };
        !self.is_cut
    }
}

impl Out for Window<'_> {
    fn raw(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
    }

    fn length(&mut self, len: u64) {
        Window::length(self, len as usize);
    }

    fn string(&mut self, text: &[u8]) {
        let mut whole = Writer::default();
        whole.string(text);
        self.bytes(whole.bytes());
    }

    fn blob(&mut self, bytes: &[u8]) {
        Window::string(self, bytes);
    }
}
