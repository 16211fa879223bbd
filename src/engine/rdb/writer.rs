//! Lengths and strings as an RDB file has them.

use crate::base::number;

/// Only what is so short may be an integer of 32 bits.
const INT_TEXT_BYTES_MAX: usize = 11;
const LEN_14_MAX: usize = (1 << 14) - 1;
const LEN_14: u8 = 0x40;
const LEN_32: u8 = 0x80;
const LEN_64: u8 = 0x81;
const INT_8: u8 = 0xC0;
const INT_16: u8 = 0xC1;
const INT_32: u8 = 0xC2;

/// Writes one behind the other.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what has been written, and keeps up to `room` bytes of its room.
    pub fn clear(&mut self, room: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(room);
    }

    /// These bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A byte.
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// A double in binary.
    pub fn double(&mut self, number: f64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// A length or a count.
    pub fn length(&mut self, len: usize) {
        match len {
            0..=0x3F => self.byte(len as u8),
            0x40..=LEN_14_MAX => {
                self.bytes.extend_from_slice(&[LEN_14 | (len >> 8) as u8, len as u8]);
            }
            _ => match u32::try_from(len) {
                Ok(len) => self.tagged(LEN_32, &len.to_be_bytes()),
                Err(_) => self.tagged(LEN_64, &(len as u64).to_be_bytes()),
            },
        }
    }

    /// A string, as an integer if it spells a short one.
    pub fn string(&mut self, text: &[u8]) {
        let int = (text.len() <= INT_TEXT_BYTES_MAX).then(|| number::parse_i64(text)).flatten();
        match int.and_then(|it| i32::try_from(it).ok()) {
            Some(int) => self.int(int),
            None => self.blob(text),
        }
    }

    /// A string that is no integer.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    fn int(&mut self, int: i32) {
        if let Ok(int) = i8::try_from(int) {
            self.tagged(INT_8, &int.to_le_bytes());
        } else if let Ok(int) = i16::try_from(int) {
            self.tagged(INT_16, &int.to_le_bytes());
        } else {
            self.tagged(INT_32, &int.to_le_bytes());
        }
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.byte(tag);
        self.bytes.extend_from_slice(bytes);
    }
}
