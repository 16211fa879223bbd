//! A listpack as bytes that are looked at and changed in place: a node of a stream.
//!
//! ```text
//! [size: 4 bytes] [count: 2 bytes] [element|its size] … [FF]
//! ```
//!
//! [`crate::engine::rdb`] has the forms of the elements. Whatever comes from outside goes through
//! [`check`] first; everything else here takes its bytes for sound.

use crate::engine::packed::Element;
use crate::engine::rdb::Broken;

/// Bytes before the first element.
pub const HEAD_BYTES: usize = 6;
const END: u8 = 0xFF;
const UNCOUNTED: u16 = u16::MAX;
const TEXT_6: u8 = 0x80;
const INT_13: u8 = 0xC0;
const TEXT_12: u8 = 0xE0;
const TEXT_32: u8 = 0xF0;
const INT_16: u8 = 0xF1;
const INT_64: u8 = 0xF4;
/// A tag, eight bytes, and their number.
const INT_BYTES_MAX: usize = 10;

/// A listpack without elements.
pub fn empty() -> Vec<u8> {
    vec![HEAD_BYTES as u8 + 1, 0, 0, 0, 0, 0, END]
}

/// Puts elements behind the last one of a listpack.
pub struct Appending<'p> {
    pack: &'p mut Vec<u8>,
    count: usize,
}

impl<'p> Appending<'p> {
    /// To these. Without [`Appending::finish`] they are no listpack any more.
    pub fn new(pack: &'p mut Vec<u8>) -> Appending<'p> {
        pack.pop();
        Appending { pack, count: 0 }
    }

    /// An integer.
    pub fn int(&mut self, number: i64) {
        let (bytes, len) = spelled_int(number);
        self.pack.extend_from_slice(&bytes[..len]);
        self.count += 1;
    }

    /// A text, as an integer if it spells one.
    pub fn text(&mut self, text: &[u8]) {
        if let Element::Int(number) = Element::of(text) {
            return self.int(number);
        }
        let from = self.pack.len();
        put_text(self.pack, text);
        put_back_size(self.pack, self.pack.len() - from);
        self.count += 1;
    }

    /// The elements are in the listpack.
    pub fn finish(self) {
        self.pack.push(END);
        let count = u16::from_le_bytes([self.pack[4], self.pack[5]]);
        let added = u16::try_from(self.count).unwrap_or(UNCOUNTED);
        self.pack[4..HEAD_BYTES].copy_from_slice(&count.saturating_add(added).to_le_bytes());
        note_size(self.pack);
    }
}

fn note_size(pack: &mut [u8]) {
    let size = (pack.len() as u32).to_le_bytes();
    pack[..4].copy_from_slice(&size);
}

/// The element at `at`, and where the next one begins.
#[inline]
pub fn read(pack: &[u8], at: usize) -> (Element<'_>, usize) {
    let tag = pack[at];
    match tag {
        ..TEXT_6 => (Element::Int(tag.into()), at + 2),
        TEXT_6..INT_13 => {
            let end = at + 1 + usize::from(tag & 0x3F);
            (Element::Text(&pack[at + 1..end]), end + 1)
        }
        _ => read_wide(pack, at),
    }
}

fn read_wide(pack: &[u8], at: usize) -> (Element<'_>, usize) {
    let tag = pack[at];
    let (head, body) = extent(&pack[at..]);
    let (from, end) = (at + head, at + head + body);
    let element = match tag {
        INT_13..TEXT_12 => {
            let high = i64::from((tag << 3) as i8 >> 3);
            Element::Int(high << 8 | i64::from(pack[at + 1]))
        }
        INT_16..=INT_64 => {
            let mut padded = [0; 8];
            padded[8 - body..].copy_from_slice(&pack[from..end]);
            Element::Int(i64::from_le_bytes(padded) >> (64 - 8 * body))
        }
        _ => Element::Text(&pack[from..end]),
    };
    (element, end + back_bytes(head + body))
}

/// Where the element behind the one at `at` begins.
#[inline]
pub fn skip(pack: &[u8], at: usize) -> usize {
    let tag = pack[at];
    match tag {
        ..TEXT_6 => at + 2,
        TEXT_6..INT_13 => at + 2 + usize::from(tag & 0x3F),
        _ => {
            let (head, body) = extent(&pack[at..]);
            at + head + body + back_bytes(head + body)
        }
    }
}

/// Where the element behind so many from `at` on begins.
pub fn skip_many(pack: &[u8], at: usize, count: usize) -> usize {
    (0..count).fold(at, |at, _| skip(pack, at))
}

/// Where the element before `at` begins.
#[inline]
pub fn back(pack: &[u8], at: usize) -> usize {
    let (mut size, mut shift, mut last) = (0, 0, at - 1);
    loop {
        size |= usize::from(pack[last] & 0x7F) << shift;
        if pack[last] & 0x80 == 0 {
            return last - size;
        }
        (shift, last) = (shift + 7, last - 1);
    }
}

/// Whether there is no element at `at` any more.
#[inline]
pub fn is_end(pack: &[u8], at: usize) -> bool {
    pack.len() <= at + 1
}

/// Where the last element ends.
pub fn end(pack: &[u8]) -> usize {
    pack.len() - 1
}

/// The integer at `at`, and where the next element begins.
#[inline]
pub fn read_int(pack: &[u8], at: usize) -> (i64, usize) {
    match read(pack, at) {
        (Element::Int(number), next) => (number, next),
        (Element::Text(_), _) => panic!("a stream's node has a text for a number"),
    }
}

/// Puts an integer in the place of the element at `at`. What is behind it may move.
pub fn replace_int(pack: &mut Vec<u8>, at: usize, number: i64) {
    let (bytes, len) = spelled_int(number);
    let (new, next) = (&bytes[..len], skip(pack, at));
    if next - at == len {
        return pack[at..next].copy_from_slice(new);
    }
    pack.splice(at..next, new.iter().copied());
    note_size(pack);
}

/// An integer with its size behind it, and how many bytes these are.
fn spelled_int(number: i64) -> ([u8; INT_BYTES_MAX], usize) {
    let mut out = [0; INT_BYTES_MAX];
    let bytes = number.to_le_bytes();
    let (tag, len) = match number {
        0..=0x7F => (number as u8, 0),
        -0x1000..=0xFFF => {
            out[1] = number as u8;
            (INT_13 | (number >> 8) as u8 & 0x1F, 1)
        }
        -0x8000..=0x7FFF => (INT_16, 2),
        -0x80_0000..=0x7F_FFFF => (INT_16 + 1, 3),
        -0x8000_0000..=0x7FFF_FFFF => (INT_16 + 2, 4),
        _ => (INT_64, 8),
    };
    out[0] = tag;
    if INT_16 <= tag {
        out[1..=len].copy_from_slice(&bytes[..len]);
    }
    out[1 + len] = 1 + len as u8;
    (out, 2 + len)
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        len @ 0..=0x3F => out.push(TEXT_6 | len as u8),
        len @ 0x40..=0xFFF => out.extend_from_slice(&[TEXT_12 | (len >> 8) as u8, len as u8]),
        len => {
            out.push(TEXT_32);
            out.extend_from_slice(&(len as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// An element's size, to be read backwards, seven bits a byte.
fn put_back_size(out: &mut Vec<u8>, size: usize) {
    let len = back_bytes(size);
    for place in 0..len {
        let more = if place == 0 { 0 } else { 0x80 };
        out.push(more | (size >> (7 * (len - 1 - place))) as u8 & 0x7F);
    }
}

/// The borders are Redis': the largest size of each length takes one byte more than it needs, but
/// for the first.
#[inline]
fn back_bytes(size: usize) -> usize {
    match size {
        ..0x80 => 1,
        0x80..0x3FFF => 2,
        0x3FFF..0x1F_FFFF => 3,
        0x1F_FFFF..0xFFF_FFFF => 4,
        _ => 5,
    }
}

/// How long the head and the body of the element are that begins `bytes`.
#[inline]
fn extent(bytes: &[u8]) -> (usize, usize) {
    match bytes[0] {
        ..TEXT_6 => (1, 0),
        tag @ TEXT_6..INT_13 => (1, usize::from(tag & 0x3F)),
        INT_13..TEXT_12 => (2, 0),
        tag @ TEXT_12..TEXT_32 => (2, usize::from(tag & 0x0F) << 8 | usize::from(bytes[1])),
        TEXT_32 => {
            let len = bytes[1..].first_chunk::<4>().expect("a long text has its length");
            (5, u32::from_le_bytes(*len) as usize)
        }
        INT_64.. => (1, 8),
        tag => (1, usize::from(tag - INT_16) + 2),
    }
}

/// Whether these bytes are a listpack that can be looked at here. Answers it, with one way to tell
/// the size of an element: of some sizes Valkey 9 takes a byte less for it than Redis.
pub fn check(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    let (size, rest) = bytes.split_first_chunk::<4>().ok_or(Broken)?;
    let (announced, _) = rest.split_first_chunk::<2>().ok_or(Broken)?;
    if u32::from_le_bytes(*size) as usize != bytes.len() || bytes.last() != Some(&END) {
        return Err(Broken);
    }
    let elements = &bytes[..bytes.len() - 1];
    let (mut at, mut count, mut respelled) = (HEAD_BYTES, 0_usize, None::<Vec<u8>>);
    if elements.len() < HEAD_BYTES {
        return Err(Broken);
    }
    while at < elements.len() {
        let size = check_element(&elements[at..])?;
        let (from, behind) = (at, &elements[at + size..]);
        let mut spelled = Vec::with_capacity(5);
        put_back_size(&mut spelled, size);
        if behind.starts_with(&spelled) {
            at += size + spelled.len();
            if let Some(out) = &mut respelled {
                out.extend_from_slice(&elements[from..at]);
            }
        } else {
            let short = short_back_size(size).filter(|it| behind.starts_with(it)).ok_or(Broken)?;
            let out = respelled.get_or_insert_with(|| elements[..from].to_vec());
            out.extend_from_slice(&elements[from..from + size]);
            out.extend_from_slice(&spelled);
            at += size + short.len();
        }
        count += 1;
    }
    let announced = u16::from_le_bytes(*announced);
    if announced != UNCOUNTED && usize::from(announced) != count {
        return Err(Broken);
    }
    Ok(match respelled {
        None => bytes.to_vec(),
        Some(mut out) => {
            out.push(END);
            note_size(&mut out);
            out
        }
    })
}

/// The size of the element that begins `bytes`, if all of it is there.
fn check_element(bytes: &[u8]) -> Result<usize, Broken> {
    let head_bytes = match bytes[0] {
        TEXT_12..TEXT_32 => 2,
        TEXT_32 => 5,
        0xF5.. => return Err(Broken),
        _ => 1,
    };
    if bytes.len() < head_bytes {
        return Err(Broken);
    }
    let (head, body) = extent(bytes);
    if bytes.len() - head_bytes.min(bytes.len()) < (head - head_bytes) + body {
        return Err(Broken);
    }
    Ok(head + body)
}

/// The other way to tell some sizes, of a byte less.
fn short_back_size(size: usize) -> Option<Vec<u8>> {
    if !matches!(size, 0x3FFF | 0x1F_FFFF | 0xFFF_FFFF) {
        return None;
    }
    let len = back_bytes(size) - 1;
    let byte = |place: usize| {
        let more = if place == 0 { 0 } else { 0x80 };
        more | (size >> (7 * (len - 1 - place))) as u8 & 0x7F
    };
    Some((0..len).map(byte).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack_of(texts: &[Vec<u8>]) -> Vec<u8> {
        let mut pack = empty();
        let mut appending = Appending::new(&mut pack);
        texts.iter().for_each(|it| appending.text(it));
        appending.finish();
        pack
    }

    fn texts_of(pack: &[u8]) -> Vec<Vec<u8>> {
        let (mut at, mut texts) = (HEAD_BYTES, Vec::new());
        while !is_end(pack, at) {
            let (element, next) = read(pack, at);
            assert_eq!((skip(pack, at), back(pack, next)), (next, at));
            texts.push(element.text().into_owned());
            at = next;
        }
        texts
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<i64>().prop_map(|it| it.to_string().into_bytes()),
            (-5000..5000_i64).prop_map(|it| it.to_string().into_bytes()),
            (0..300_usize).prop_map(|it| vec![b'x'; it]),
            Just(vec![b'y'; 5000]),
            Just(vec![b'z'; 0x3FFF - 5]),
        ]
    }

    proptest! {
        #[test]
        fn elements_come_back_both_ways(texts in proptest::collection::vec(text(), 0..20)) {
            let pack = pack_of(&texts);
            prop_assert_eq!(texts_of(&pack), texts);
            prop_assert_eq!(check(&pack).expect("sound"), pack);
        }

        #[test]
        fn an_integer_replaces_another(
            texts in proptest::collection::vec(text(), 1..10), at: usize, number: i64,
        ) {
            let (mut pack, mut texts) = (pack_of(&texts), texts);
            let at = at % texts.len();
            let place = skip_many(&pack, HEAD_BYTES, at);
            replace_int(&mut pack, place, number);
            texts[at] = number.to_string().into_bytes();
            prop_assert_eq!(&pack, &pack_of(&texts));
        }

        #[test]
        fn anything_may_be_checked(
            mut bytes: Vec<u8>,
            texts in proptest::collection::vec(text(), 0..4),
            at: usize,
            byte: u8,
        ) {
            drop(check(&bytes));
            bytes = pack_of(&texts);
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(sound) = check(&bytes) {
                texts_of(&sound);
            }
        }
    }

    #[test]
    fn a_size_that_is_told_with_a_byte_less_is_respelled() {
        let long = pack_of(&[b"a".to_vec(), vec![b'z'; 0x3FFF - 5], b"b".to_vec()]);
        let at = skip(&long, HEAD_BYTES) + 0x3FFF;
        let mut short = long.clone();
        short.splice(at..at + 3, short_back_size(0x3FFF).expect("disputed"));
        note_size(&mut short);
        assert_eq!(check(&short), Ok(long));
    }
}
