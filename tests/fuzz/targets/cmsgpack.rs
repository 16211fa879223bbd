//! Any bytes as MessagePack, from any place on: no panic, no memory for what was only announced, and
//! what is unpacked can be packed, and is the same when it has been unpacked again.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz cmsgpack`.

#![no_main]

mod scripted;
mod watched;

use libfuzzer_sys::fuzz_target;
use scripted::Scripted;
use std::cell::RefCell;

const TEXT: &str = "
local bytes, offset, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
pcall(cmsgpack.unpack_limit, bytes, limit, offset)
pcall(cmsgpack.unpack_one, bytes, offset)
local function all(...) return select('#', ...), {...} end
local is_read, count, first = pcall(function() return all(cmsgpack.unpack(bytes)) end)
if not is_read or count == 0 then return redis.status_reply('OK') end
-- What is too deep to be packed has become nil: what was packed once stays the same.
local packed = cmsgpack.pack(unpack(first, 1, count))
local is_kept, again, second = pcall(function() return all(cmsgpack.unpack(packed)) end)
-- A key that was too deep is nil, and no table has that: Redis says so, too.
if not is_kept then return redis.status_reply('OK') end
if again ~= count then return 'there are ' .. again .. ' of ' .. count end
local third = select(2, all(cmsgpack.unpack(cmsgpack.pack(unpack(second, 1, count)))))
if not same(second, third) then return 'differs' end
return redis.status_reply('OK')
";

thread_local! {
    static SCRIPTED: RefCell<Scripted> = RefCell::new(Scripted::new(TEXT));
}

fuzz_target!(|input: (i32, i32, Vec<u8>)| {
    let (offset, limit, bytes) = input;
    let (offset, limit) = (offset.to_string(), limit.to_string());
    SCRIPTED.with_borrow_mut(|it| it.must_be_well(&[&bytes, offset.as_bytes(), limit.as_bytes()]));
});
