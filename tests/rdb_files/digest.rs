//! DEBUG DIGEST as Redis computes it, over an engine: SHA-1 sums of keys and values.

use entourage::base::limits::DATABASES;
use entourage::base::time::WallMs;
use entourage::engine::stream::StreamId;
use entourage::engine::{Engine, KeySlot, Value, table::Slot};
use std::ffi::{c_char, c_int};

unsafe extern "C" {
    fn snprintf(to: *mut c_char, size: usize, format: *const c_char, ...) -> c_int;
}

type Sum = [u8; 20];

/// Of all keys that have not expired at `now`, in 40 hexadecimal digits.
pub fn redis_digest(engine: &Engine, now: WallMs) -> String {
    let mut all = [0; 20];
    for db in 0..DATABASES {
        let live = |it: &&KeySlot| it.deadline().is_none_or(|at| now <= at);
        let mut keys = engine.space(db).table().iter().filter(live).peekable();
        if keys.peek().is_none() {
            continue;
        }
        mix(&mut all, &(db as u32).to_be_bytes());
        keys.for_each(|it| xor(&mut all, &of_key(it)));
    }
    all.iter().map(|it| format!("{it:02x}")).collect()
}

fn of_key(slot: &KeySlot) -> Sum {
    let mut sum = [0; 20];
    mix(&mut sum, slot.key());
    let kind = |kind: u32| kind.to_be_bytes();
    match slot.value() {
        Some(Value::List(list)) => {
            mix(&mut sum, &kind(1));
            list.onward(0).for_each(|it| it.with_text(|it| mix(&mut sum, it)));
        }
        Some(Value::Set(set)) => {
            mix(&mut sum, &kind(2));
            set.iter().for_each(|it| it.with_text(|it| xor(&mut sum, it)));
        }
        Some(Value::Zset(zset)) => {
            mix(&mut sum, &kind(3));
            for (member, score) in zset.iter() {
                xor(&mut sum, &pair(&member.text(), &score_text(score)));
            }
        }
        Some(Value::Hash(hash)) => {
            mix(&mut sum, &kind(4));
            hash.iter().for_each(|(field, it)| xor(&mut sum, &pair(&field.text(), &it.text())));
        }
        Some(Value::Stream(stream)) => {
            mix(&mut sum, &kind(6));
            for entry in stream.entries.range(StreamId::MIN, StreamId::MAX) {
                mix(&mut sum, format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                for (name, value) in entry.fields() {
                    mix(&mut sum, &name.text());
                    mix(&mut sum, &value.text());
                }
            }
        }
        _ => {
            mix(&mut sum, &kind(0));
            mix(&mut sum, slot.as_string().expect("a string"));
        }
    }
    if slot.deadline().is_some() {
        xor(&mut sum, b"!!expire!!");
    }
    sum
}

fn pair(one: &[u8], other: &[u8]) -> Sum {
    let mut sum = [0; 20];
    mix(&mut sum, one);
    mix(&mut sum, other);
    sum
}

fn score_text(score: f64) -> Vec<u8> {
    let mut text = [0_u8; 64];
    // SAFETY: the format takes one double, and what it writes is bounded by the size.
    let len = unsafe { snprintf(text.as_mut_ptr().cast(), text.len(), c"%.17g".as_ptr(), score) };
    text[..len as usize].to_vec()
}

fn xor(sum: &mut Sum, bytes: &[u8]) {
    sum.iter_mut().zip(sha1(bytes)).for_each(|(to, it)| *to ^= it);
}

fn mix(sum: &mut Sum, bytes: &[u8]) {
    xor(sum, bytes);
    *sum = sha1(sum.as_slice());
}

fn sha1(bytes: &[u8]) -> Sum {
    let mut state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut chunks = bytes.chunks_exact(64);
    chunks.by_ref().for_each(|it| sha1_block(&mut state, it));
    let mut last = chunks.remainder().to_vec();
    last.push(0x80);
    while last.len() % 64 != 56 {
        last.push(0);
    }
    last.extend_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    last.chunks_exact(64).for_each(|it| sha1_block(&mut state, it));
    let mut sum = [0; 20];
    sum.chunks_exact_mut(4).zip(state).for_each(|(to, it)| to.copy_from_slice(&it.to_be_bytes()));
    sum
}

fn sha1_block(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
    }
    for at in 16..80 {
        let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
        words[at] = mixed.rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, word) in words.into_iter().enumerate() {
        let (f, k) = match at {
            ..20 => ((b & c) | (!b & d), 0x5A82_7999_u32),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6),
        };
        let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e);
        let next = next.wrapping_add(k).wrapping_add(word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (to, it) in state.iter_mut().zip([a, b, c, d, e]) {
        *to = to.wrapping_add(it);
    }
}

#[test]
fn the_sum_is_that_of_the_standard() {
    let hex = |it: &[u8]| sha1(it).iter().map(|it| format!("{it:02x}")).collect::<String>();
    assert_eq!(hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(hex(&[b'a'; 1000]), "291e9a6c66994949b57ba5e650361e98fc36b1ba");
}
