//! Writes a value in forms that Redis 7.0 reads, but for a hash whose fields have deadlines, which
//! is as Valkey 9 has it.

use super::listpack::{DISPUTED_MIN, Listpack, is_disputed_element};
use super::{Writer, form, intset, stream};
use crate::base::number::format_f64;
use crate::base::time::WallMs;
use crate::engine::packed::{Element, Packed};
use crate::engine::{Hash, KeySlot, List, Set, Value, Zset};

/// A node of a list grows no larger, unless it has one element only.
const NODE_BYTES_MAX: usize = 8 << 10;

/// The type and the value of an entry, which is not empty.
pub fn save(slot: &KeySlot, out: &mut Writer) {
    save_behind(slot, out, |form, out| out.byte(form));
}

/// The value of an entry, which is not empty, behind what `head` writes of its form.
pub fn save_behind(slot: &KeySlot, out: &mut Writer, head: impl FnOnce(u8, &mut Writer)) {
    if let Ok(text) = slot.as_string() {
        head(form::STRING, out);
        out.string(text);
        return;
    }
    match slot.value() {
        None
        | Some(Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_)) => {
            unreachable!("not a string")
        }
        Some(Value::List(list)) => save_list(list, out, head),
        Some(Value::Set(set)) => save_set(set, out, head),
        Some(Value::Hash(hash)) => save_hash(hash, out, head),
        Some(Value::Zset(zset)) => save_zset(zset, out, head),
        Some(Value::Stream(it)) => {
            head(form::STREAM_2, out);
            stream::write(it, form::STREAM_2, out);
        }
    }
}

fn save_list(list: &List, out: &mut Writer, head: impl FnOnce(u8, &mut Writer)) {
    let mut nodes = vec![];
    let mut node = Listpack::default();
    for sequence in list.sequences() {
        let is_full = NODE_BYTES_MAX < node.size() + sequence.elements_bytes();
        if !node.is_empty() && is_full {
            nodes.push((form::NODE_PACKED, std::mem::take(&mut node).into_bytes()));
        }
        if sequence.elements_bytes() <= NODE_BYTES_MAX {
            node.push_sequence(sequence);
            continue;
        }
        for element in sequence.iter() {
            if !node.is_empty() && NODE_BYTES_MAX < node.size() + element.text_len() {
                nodes.push((form::NODE_PACKED, std::mem::take(&mut node).into_bytes()));
            }
            if is_disputed_element(element) {
                nodes.push((form::NODE_PLAIN, element.text().into_owned()));
                continue;
            }
            node.push(element);
        }
    }
    if !node.is_empty() {
        nodes.push((form::NODE_PACKED, node.into_bytes()));
    }

    head(form::LIST_LISTPACKS, out);
    out.length(nodes.len());
    for (kind, node) in nodes {
        out.length(kind as usize);
        out.blob(&node);
    }
}

fn save_hash(hash: &Hash, out: &mut Writer, head: impl FnOnce(u8, &mut Writer)) {
    if let Hash::Packed(packed) = hash
        && is_undisputed(packed)
    {
        head(form::HASH_LISTPACK, out);
        out.blob(&Listpack::of(packed.iter()).into_bytes());
        return;
    }
    let form = hash_form(hash);
    head(form, out);
    out.length(hash.len());
    for ((field, value), at) in hash.iter_timed() {
        field.with_text(|it| out.string(it));
        value.with_text(|it| out.string(it));
        if form == form::HASH_TTL_VALKEY {
            out.raw(&field_time(at).to_le_bytes());
        }
    }
}

/// The form of a hash that is written field by field.
pub fn hash_form(hash: &Hash) -> u8 {
    if hash.next_deadline().is_some() { form::HASH_TTL_VALKEY } else { form::HASH }
}

/// A field's deadline as [`form::HASH_TTL_VALKEY`] has it.
pub fn field_time(at: Option<WallMs>) -> i64 {
    at.map_or(form::NO_DEADLINE, |it| i64::try_from(it.0).unwrap_or(i64::MAX))
}

fn save_set(set: &Set, out: &mut Writer, head: impl FnOnce(u8, &mut Writer)) {
    if let Some(ints) = set.ints() {
        head(form::SET_INTSET, out);
        out.blob(&intset::of(&ints.collect::<Vec<_>>()));
        return;
    }
    head(form::SET, out);
    out.length(set.len());
    set.iter().for_each(|member| member.with_text(|it| out.string(it)));
}

fn save_zset(zset: &Zset, out: &mut Writer, head: impl FnOnce(u8, &mut Writer)) {
    if let Zset::Packed(packed) = zset
        && is_undisputed(packed)
    {
        let mut pack = Listpack::default();
        for (member, score) in zset.iter() {
            pack.push(member);
            pack.push(Element::of(format_f64(score).as_bytes()));
        }
        head(form::ZSET_LISTPACK, out);
        out.blob(&pack.into_bytes());
        return;
    }
    head(form::ZSET_BINARY, out);
    out.length(zset.len());
    // The highest first, as Redis does: each next one then goes to the front.
    for (member, score) in zset.walk_back(0..zset.len()) {
        member.with_text(|it| out.string(it));
        out.double(score);
    }
}

/// Whether a listpack of these elements is one to every server.
fn is_undisputed(packed: &Packed) -> bool {
    packed.bytes() < DISPUTED_MIN || !packed.iter().any(is_disputed_element)
}
