//! Scripts that turn what the fuzzer says over in a library of Lua's, and say what they found.

use super::watched;
use entourage::resp::Protocol;
use entourage::script::{About, Host, Interpreter, Invocation, Purpose, SHORT_CALL, Tick, sha1hex};

/// A script that uses more than this has run away.
const MEMORY_BYTES: usize = 64 << 20;
/// How often a script may be looked at: it is bounded in time, too.
const TICKS_MAX: u32 = 20_000;
/// A table that grows has up to four fields of 40 bytes for each byte that it was read from.
const BYTES_PER_BYTE: usize = 160;
const BYTES_SPARE: usize = 64 << 10;

/// Compares tables by what is in them. A number that is none equals itself.
const SAME: &str = "
local function same(one, other)
  if type(one) ~= type(other) then return false end
  if type(one) ~= 'table' then return one == other or (one ~= one and other ~= other) end
  for field, value in pairs(one) do
    if type(field) ~= 'table' and not same(value, other[field]) then return false end
  end
  for field in pairs(other) do
    if type(field) ~= 'table' and one[field] == nil then return false end
  end
  return true
end
";

/// Nobody calls anything.
struct Nobody {
    ticks_left: u32,
}

impl Host for Nobody {
    fn call(&mut self, _: &[&[u8]], _: Protocol, reply: &mut Vec<u8>) -> u32 {
        reply.extend_from_slice(b"-ERR nothing is called\r\n");
        SHORT_CALL
    }

    fn may_call(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }

    fn log(&mut self, _: u8, _: &[u8]) {}

    fn set_replication(&mut self, _: u8) {}

    fn tick(&mut self, _: u64) -> Tick {
        self.ticks_left = self.ticks_left.saturating_sub(1);
        if self.ticks_left == 0 { Tick::Stop } else { Tick::Continue }
    }
}

/// Runs scripts, one after the other, in one state of Lua.
pub struct Scripted {
    interpreter: Interpreter,
    text: Vec<u8>,
}

impl Scripted {
    /// Runs this text, which knows `same`.
    pub fn new(text: &str) -> Scripted {
        let about = About::default();
        Scripted {
            interpreter: Interpreter::bounded(Purpose::Scripts, about, MEMORY_BYTES),
            text: [SAME, text].concat().into_bytes(),
        }
    }

    /// The script says that all is well. It has allocated nothing that is long beside its arguments.
    pub fn must_be_well(&mut self, args: &[&[u8]]) {
        let invocation = Invocation { keys: &[], args, protocol: Protocol::Resp3 };
        let (mut host, mut out) = (Nobody { ticks_left: TICKS_MAX }, Vec::new());
        let text = &self.text;
        watched::reset();
        self.interpreter.run(&sha1hex(text), text, &invocation, &mut host, &mut out);
        let bytes: usize = args.iter().map(|it| it.len()).sum();
        let largest = watched::largest();
        assert!(largest <= bytes * BYTES_PER_BYTE + BYTES_SPARE, "{largest} for {bytes}");
        assert_ne!(host.ticks_left, 0, "it runs on and on");
        assert_eq!(out, b"+OK\r\n", "{}", out.escape_ascii());
    }
}
