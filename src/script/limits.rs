//! Every bound of a script.

/// Instructions between two looks at the host, at most: some tens of microseconds.
pub const INSTRUCTIONS_PER_TICK: i32 = 10_000;
/// The same within coroutines, whose instructions are counted one coroutine at a time.
pub const INSTRUCTIONS_IN_COROUTINE: i32 = 100;
/// The same where every instruction may work on something huge.
pub const INSTRUCTIONS_MIN: i32 = 10;
/// Steps of a pattern match, or of any other long native work, between two looks at the host. A
/// step is about a nanosecond, and an instruction ten.
pub const STEPS_PER_TICK: u32 = 100_000;
/// Steps of an instruction.
pub const STEPS_PER_INSTRUCTION: u32 = STEPS_PER_TICK / INSTRUCTIONS_PER_TICK as u32;
/// Steps of a library that is loaded before it is stopped: about half a second.
pub const LOAD_STEPS_MAX: u64 = 10_000 * STEPS_PER_TICK as u64;
/// Bytes that are copied or compared in one step.
pub const BYTES_PER_STEP: usize = 16;
/// Bytes of the heap that are collected in one step.
pub const COLLECTED_PER_STEP: usize = 4;
/// Allocations from here on count as work: that of filling them.
pub const COUNTED_BYTES: usize = 4 << 10;
/// What an instruction may work on without being a long one: a string of so many bytes, or so many
/// elements of a table.
pub const LARGE: usize = 32 << 10;
/// How deep a pattern match may call itself; a level is some 200 bytes of stack.
pub const MATCH_DEPTH_MAX: u32 = 1_000;
/// Captures of one pattern, as Lua has them.
pub const CAPTURES_MAX: usize = 32;
/// Memory of one interpreter where nobody says otherwise.
pub const MEMORY_BYTES: usize = 256 << 20;
/// Scripts that only EVAL has brought and that are known all the same, as many as in Redis 7.4.
pub const EVALUATED_MAX: usize = 500;
/// Compiled scripts that an interpreter keeps; what is older is compiled anew.
pub const COMPILED_MAX: usize = 4_096;
/// Below this a state is small, and garbage is collected less often.
pub const SMALL_STATE_BYTES: usize = 1 << 20;
/// How large a small state may grow before it is collected, in per cent.
pub const SMALL_STATE_PAUSE: i32 = 800;
/// The same for others: Lua's own value.
pub const PAUSE: i32 = 200;
/// The longest answer of a script, and of a command that it calls: a table that holds itself many
/// times is short, and its answer is not.
pub const REPLY_BYTES_MAX: usize = 512 << 20;
/// Nesting of a script's answer: beyond it stands an error instead of a value.
pub const REPLY_DEPTH_MAX: usize = 7_995;
/// Nesting of what MessagePack encodes; deeper tables become nil.
pub const MSGPACK_DEPTH_MAX: usize = 16;
/// Nesting of what is read from MessagePack.
pub const MSGPACK_READ_DEPTH_MAX: usize = 1_000;
/// Values that MessagePack reads from one text onto the stack.
pub const MSGPACK_VALUES_MAX: usize = 7_000;

const _: () = {
    // A list of unpacked values must fit Lua's own stack of 8,000.
    assert!(MSGPACK_VALUES_MAX < 8_000);
};
