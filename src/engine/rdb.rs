//! Values as Redis keeps them at rest: what DUMP answers, what RESTORE takes, and what the entries
//! of an RDB file are made of.
//!
//! **Invariant:** whatever the bytes, reading them ends with a value or with [`Broken`], and never
//! allocates by a length that the bytes only announce.

mod version;
mod broken;
mod fault;
mod checksum;
mod form;
mod reader;
mod compressed;
mod intset;
mod listpack;
mod ziplist;
mod zipmap;
mod load;
mod layout;
mod extent;
mod long_text;
mod stream;
mod partial;
mod opcode;
pub mod functions;
mod loader;
mod transfer;
mod writer;
mod save;
mod save_steps;
mod snapshot;
#[cfg(test)]
mod tests;

pub use broken::Broken;
pub use checksum::{Checksum, checksum};
pub use fault::{FileFault, Why};
pub use load::{Loaded, load};
pub use loader::{LoadedFile, Loader};
pub use reader::Reader;
pub use save::save;
pub use snapshot::{FileInfo, PIECE_BYTES, ReplicationInfo, SnapshotWriter};
pub use transfer::Transfer;
pub use version::{FILE_VERSION_MAX, VALKEY_VERSION, VERSION, VERSION_MAX};
pub use writer::Writer;

use super::{EngineShared, KeySlot};
use crate::command::Fault;

const VERSION_BYTES: usize = size_of::<u16>();
const CHECKSUM_BYTES: usize = size_of::<u64>();

/// Nothing of a payload can be trusted.
const UNTRUSTED: Fault = Fault::Static("ERR DUMP payload version or checksum are wrong");
/// A payload arrived as it was written, but it is no value.
const NO_VALUE: Fault = Fault::Static("ERR Bad data format");

/// The value of an entry as DUMP answers it: `[type][value][version: 2 bytes][checksum: 8 bytes]`.
/// Its version is [`VERSION`], but for a hash whose fields have deadlines.
pub fn dump(slot: &KeySlot) -> Vec<u8> {
    let mut out = Writer::default();
    save(slot, &mut out);
    let mut bytes = out.into_bytes();
    let version = if slot.field_deadline().is_some() { VALKEY_VERSION } else { VERSION };
    bytes.extend_from_slice(&version.to_le_bytes());
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// A payload of DUMP whose checksum is right.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    value: &'a [u8],
    version: u16,
}

impl<'a> Payload<'a> {
    /// Checks the footer.
    pub fn check(bytes: &'a [u8]) -> Result<Payload<'a>, Fault> {
        let footer = || {
            let (summed, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
            let (value, version) = summed.split_last_chunk::<VERSION_BYTES>()?;
            let payload = Payload { value, version: u16::from_le_bytes(*version) };
            let is_known = payload.version <= VERSION_MAX || payload.version == VALKEY_VERSION;
            (is_known && checksum(summed) == u64::from_le_bytes(*sum)).then_some(payload)
        };
        footer().ok_or(UNTRUSTED)
    }

    /// Reads the value. What follows it is ignored, as Redis does.
    pub fn load(&self, shared: &EngineShared) -> Result<Loaded<'a>, Fault> {
        load(&mut Reader::new(self.value), shared).map_err(|_| NO_VALUE)
    }

    /// Whether it is in a version that peers of [`VERSION`] refuse.
    pub fn is_newer(&self) -> bool {
        VERSION < self.version
    }
}
