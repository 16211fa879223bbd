//! What stands between the keys of a file.

use super::layout::Part;

/// What follows is in slots of a cluster that are being moved.
pub const SLOT_IMPORT: u8 = 243;
/// How many keys a slot of a cluster has.
pub const SLOT_INFO: u8 = 244;
/// A library of functions.
pub const FUNCTIONS: u8 = 245;
/// The same, as a candidate for Redis 7.0 wrote it.
pub const FUNCTIONS_CANDIDATE: u8 = 246;
/// What a module stores beside the keys.
pub const MODULE_AUX: u8 = 247;
/// Seconds since the next key was used.
pub const IDLE: u8 = 248;
/// How often the next key was used.
pub const FREQ: u8 = 249;
/// A name with a text.
pub const AUX: u8 = 250;
/// How many keys the database has, and how many of them expire.
pub const RESIZE_DB: u8 = 251;
/// When the next key expires, in ms.
pub const EXPIRE_MS: u8 = 252;
/// The same in s.
pub const EXPIRE_S: u8 = 253;
/// The database of the next keys.
pub const SELECT_DB: u8 = 254;
/// The end.
pub const EOF: u8 = 255;

/// What stands behind an opcode; `None` of what is a value's form.
pub fn parts(opcode: u8) -> Option<&'static [Part]> {
    Some(match opcode {
        SLOT_INFO => &[Part::Length, Part::Length, Part::Length],
        AUX => &[Part::String, Part::String],
        FUNCTIONS => &[Part::String],
        RESIZE_DB => &[Part::Length, Part::Length],
        MODULE_AUX | IDLE | SELECT_DB => &[Part::Length],
        FREQ => &[Part::Fixed(1)],
        EXPIRE_MS => &[Part::Fixed(8)],
        EXPIRE_S => &[Part::Fixed(4)],
        SLOT_IMPORT | FUNCTIONS_CANDIDATE | EOF => &[],
        _ => return None,
    })
}

/// Letters of a module's type, of which each takes six bits.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NAME_LETTERS: u32 = 9;
const VERSION_BITS: u32 = 10;

/// The name and version of a module's type.
pub fn module_name(id: u64) -> String {
    let letter = |nth: u32| {
        let six = id >> (VERSION_BITS + 6 * (NAME_LETTERS - 1 - nth)) & 0x3F;
        char::from(LETTERS[six as usize])
    };
    let name: String = (0..NAME_LETTERS).map(letter).collect();
    format!("{name} version {}", id & ((1 << VERSION_BITS) - 1))
}
