//! Values of every type in every form and size class.

use super::wire::Wire;

/// Lengths around the borders of every way to write a length, in listpacks and without.
const LENGTHS: &[usize] =
    &[0, 1, 11, 12, 20, 21, 44, 45, 63, 64, 65, 127, 128, 4095, 4096, 16_370, 16_383, 16_384];
/// The sizes at which a listpack element's own size takes one byte more.
const ELEMENT_LENGTHS: std::ops::Range<usize> = 16_376..16_386;
const LONG: usize = 3 << 20;
const MANY: usize = 3_000;

fn texts() -> Vec<String> {
    let powers = (0..63).map(|it| 1_i64 << it);
    let numbers = powers.flat_map(|it| [it - 1, it, -it, -it - 1]).map(|it| it.to_string());
    let odd = ["-0", "012", "+1", "1.5", "9223372036854775808", "\r\n", "\0\u{ff}"];
    let patterns = LENGTHS.iter().flat_map(|len| [patterned(*len), scrambled(*len)]);
    numbers.chain(odd.map(str::to_owned)).chain(patterns).collect()
}

/// Easy to compress.
fn patterned(len: usize) -> String {
    "abcabcabd".chars().cycle().take(len).collect()
}

/// Hard to compress.
fn scrambled(len: usize) -> String {
    let step = |it: &u64| Some(it.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(len as u64));
    let bits = std::iter::successors(Some(len as u64 + 1), step);
    bits.take(len).map(|it| char::from(b'!' + (it >> 40) as u8 % 90)).collect()
}

/// Puts values of every type in every form and size class.
pub fn furnish(wire: &mut Wire) {
    for (number, text) in texts().iter().enumerate() {
        put_small(wire, number, text);
    }
    for len in ELEMENT_LENGTHS {
        let text = patterned(len);
        wire.cmd(&["RPUSH", "elements", "1", text.as_str(), "-5"]);
        wire.cmd(&["RPUSH", &format!("element:{len}"), text.as_str()]);
    }
    for text in [patterned(LONG), scrambled(LONG)] {
        wire.cmd(&["SET", &format!("long:{}", &text[..3]), &text]);
        wire.cmd(&["RPUSH", "long:list", "a", &text, "7"]);
        wire.cmd(&["HSET", "long:hash", "f", &text, &text[..100], "7"]);
    }
    for number in 0..MANY as i64 {
        let number = number.pow(5) * (1 - number % 2 * 2);
        let [number, text] = [number.to_string(), format!("text {number}")];
        wire.cmd(&["RPUSH", "many:list", &number, &text]);
        wire.cmd(&["SADD", "many:ints", &number]);
        wire.cmd(&["SADD", "many:texts", &text]);
        wire.cmd(&["HSET", "many:hash", &number, &text]);
        wire.cmd(&["ZADD", "many:zset", &number, &text, &format!("{number}.3"), &number]);
        wire.cmd(&["XADD", "many:stream", "1-*", "f", &number, "g", &text]);
    }
    for line in [
        "XDEL many:stream 1-3 1-4 1-500",
        "XTRIM many:stream MAXLEN 2900",
        "XGROUP CREATE many:stream g 0",
        "XGROUP CREATE many:stream later 1-1000",
        "XREADGROUP GROUP g alice COUNT 700 STREAMS many:stream >",
        "XREADGROUP GROUP g bob COUNT 70 STREAMS many:stream >",
        "XACK many:stream g 1-200 1-300",
        "XGROUP CREATE stream:empty g $ MKSTREAM",
    ] {
        wire.ask(line);
    }
}

fn put_small(wire: &mut Wire, number: usize, text: &str) {
    wire.cmd(&["SET", &format!("s:{number}"), text]);
    wire.cmd(&["APPEND", &format!("appended:{number}"), text]);
    wire.cmd(&["RPUSH", "list", text]);
    wire.cmd(&["XADD", "stream", &format!("{}-*", number / 3), text, "1", "f", text]);
    wire.cmd(&["RPUSH", &format!("list:{number}"), "a", text, "-7"]);
    wire.cmd(&["HSET", "hash", text, &number.to_string()]);
    wire.cmd(&["HSET", &format!("hash:{number}"), text, "f", "g", text]);
    wire.cmd(&["SADD", "set", text]);
    wire.cmd(&["SADD", &format!("set:{number}"), text, "7", "-300"]);
    wire.cmd(&["SADD", &format!("ints:{}", number / 12), text]);
    wire.cmd(&["ZADD", "zset", &format!("{number}.7"), text]);
    let scores = ["-inf", "a", "1e100", text, "0.1", "b", "3", "c", "+inf", "d", "-0", "e"];
    wire.cmd(&[&["ZADD", &format!("zset:{number}")][..], &scores].concat());
    if text.parse::<i64>().is_ok() {
        wire.cmd(&["ZADD", "scores", text, text]);
    }
}
