//! Any bytes as JSON, with any settings: no panic, no memory for what was only announced, and what
//! is decoded can be encoded, and is the same when it has been decoded again.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz cjson`.

#![no_main]

mod scripted;
mod watched;

use libfuzzer_sys::fuzz_target;
use scripted::Scripted;
use std::cell::RefCell;

const TEXT: &str = "
local json = cjson.new()
local text, settings = ARGV[1], {string.byte(ARGV[2], 1, -1)}
if settings[1] then
  pcall(json.encode_sparse_array, settings[1] % 2 == 0, settings[1] % 5, settings[1] % 11)
end
if settings[2] then pcall(json.encode_number_precision, settings[2]) end
if settings[3] then pcall(json.decode_max_depth, settings[3]) end
if settings[4] then pcall(json.encode_invalid_numbers, ({true, false, 'null'})[settings[4]]) end
if settings[5] then pcall(json.decode_invalid_numbers, settings[5] % 2 == 0) end
local is_read, first = pcall(json.decode, text)
if not is_read then return redis.status_reply('OK') end
local is_said, said = pcall(json.encode, first)
if not is_said or settings[4] then return redis.status_reply('OK') end
-- Of a number, so many digits are said as were asked for: what was said once stays the same.
local second = json.decode(said)
if not same(second, json.decode(json.encode(second))) then return 'differs: ' .. said end
return redis.status_reply('OK')
";

thread_local! {
    static SCRIPTED: RefCell<Scripted> = RefCell::new(Scripted::new(TEXT));
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (settings, text) = input;
    SCRIPTED.with_borrow_mut(|it| it.must_be_well(&[&text, &settings]));
});
