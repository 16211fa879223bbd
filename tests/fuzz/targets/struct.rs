//! Any format and any bytes: no panic, no memory for what was only announced, and what is unpacked
//! can be packed, and is the same when it has been unpacked again.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz struct`.

#![no_main]

mod scripted;
mod watched;

use libfuzzer_sys::fuzz_target;
use scripted::Scripted;
use std::cell::RefCell;

const TEXT: &str = "
local format, bytes, place = ARGV[1], ARGV[2], tonumber(ARGV[3])
pcall(struct.size, format)
pcall(struct.pack, format, bytes, place, place / 7, bytes, -place)
pcall(struct.unpack, format, bytes, place)
local function all(...) return select('#', ...), {...} end
local is_read, count, first = pcall(function() return all(struct.unpack(format, bytes)) end)
-- The length of `c0` is a value before it, which is not handed out.
if not is_read or string.find(format, 'c0') then return redis.status_reply('OK') end
local is_said, packed = pcall(struct.pack, format, unpack(first, 1, count - 1))
if not is_said then return redis.status_reply('OK') end
-- A number that a double does not hold is rounded, in Redis too, and the largest of eight bytes
-- come to be ones that these do not hold.
local is_whole = string.find(format, '[lLTiI]')
for at = 1, count - 1 do
  local it = first[at]
  if is_whole and type(it) == 'number' and math.abs(it) >= 2 ^ 53 then
    return redis.status_reply('OK')
  end
end
local again, second = all(struct.unpack(format, packed))
first[count], second[count] = nil, nil
if again ~= count or not same(first, second) then return 'differs' end
return redis.status_reply('OK')
";

thread_local! {
    static SCRIPTED: RefCell<Scripted> = RefCell::new(Scripted::new(TEXT));
}

fuzz_target!(|input: (i32, Vec<u8>, Vec<u8>)| {
    let (place, format, bytes) = input;
    let place = place.to_string();
    SCRIPTED.with_borrow_mut(|it| it.must_be_well(&[&format, &bytes, place.as_bytes()]));
});
