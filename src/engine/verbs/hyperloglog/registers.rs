//! The registers of a HyperLogLog, in the bytes of Redis.
//!
//! ```text
//!   "HYLL"  encoding  0 0 0  count: 8 bytes, the lowest first; the highest bit: it is not known
//!   dense:  16,384 registers of 6 bits, the lowest bits of a byte first
//!   sparse: runs of registers, in their order
//!           00nnnnnn           n + 1 that are 0
//!           01nnnnnn nnnnnnnn  n + 1 that are 0
//!           1vvvvvnn           n + 1 that are v + 1
//! ```

use super::shape::{REGISTERS, VALUE_MAX};
use crate::engine::MAGIC;
use std::fmt;

const HEADER_BYTES: usize = 16;
const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * BITS / 8;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Bits of a register, and how many values that makes.
const BITS: usize = 6;
const VALUES: usize = 1 << BITS;
/// As many dense registers as fill whole bytes twice over, and these bytes: they fit a word.
const GROUP: usize = 8;
const GROUP_BYTES: usize = GROUP * BITS / 8;
/// Where the bit is that says that the count is not known.
const UNKNOWN_AT: usize = 15;
const UNKNOWN: u8 = 0x80;
/// The highest value and the longest run of those that are not 0, in a sparse one.
const SPARSE_VALUE_MAX: u8 = 32;
const VALUE_RUN_MAX: usize = 4;
/// The longest run of zeros that takes one byte.
const SHORT_RUN_MAX: usize = 64;
/// How many runs are looked at for neighbours of one value, from the one before that which has
/// changed.
const LOOKED_AT: usize = 5;

/// Its runs do not come to as many registers as there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupted;

/// A run of registers of one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SparseRun {
    value: u8,
    len: usize,
    /// In one byte, or in two.
    bytes: usize,
}

impl fmt::Display for SparseRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            SparseRun { value: 0, len, bytes: 1 } => write!(f, "z:{len}"),
            SparseRun { value: 0, len, .. } => write!(f, "Z:{len}"),
            SparseRun { value, len, .. } => write!(f, "v:{value},{len}"),
        }
    }
}

/// One that has seen nothing.
pub fn empty() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(SPARSE);
    bytes.resize(HEADER_BYTES, 0);
    push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// Whether a string begins like one, and is no longer than one can be.
pub fn is_valid(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_BYTES
        && bytes.starts_with(MAGIC)
        && match bytes[MAGIC.len()] {
            DENSE => bytes.len() == DENSE_BYTES,
            encoding => encoding == SPARSE && bytes.len() <= HEADER_BYTES + 2 * REGISTERS,
        }
}

/// Whether each register has bits of its own.
pub fn is_dense(bytes: &[u8]) -> bool {
    bytes[MAGIC.len()] == DENSE
}

/// The count that Redis has left in it, if it is still right.
pub fn known_count(bytes: &[u8]) -> Option<i64> {
    let count = bytes[8..HEADER_BYTES].try_into().map(u64::from_le_bytes).ok()?;
    (bytes[UNKNOWN_AT] & UNKNOWN == 0).then_some(count as i64)
}

/// The count is not that of before any more.
pub fn forget_count(bytes: &mut [u8]) {
    bytes[UNKNOWN_AT] |= UNKNOWN;
}

/// The runs of a sparse one.
pub fn runs(bytes: &[u8]) -> impl Iterator<Item = SparseRun> + '_ {
    let mut at = HEADER_BYTES;
    std::iter::from_fn(move || {
        let run = run_at(bytes, at)?;
        at += run.bytes;
        Some(run)
    })
}

fn run_at(bytes: &[u8], at: usize) -> Option<SparseRun> {
    let byte = *bytes.get(at)?;
    Some(match byte >> 6 {
        0 => SparseRun { value: 0, len: usize::from(byte & 63) + 1, bytes: 1 },
        1 => {
            let low = usize::from(*bytes.get(at + 1)?);
            SparseRun { value: 0, len: (usize::from(byte & 63) << 8 | low) + 1, bytes: 2 }
        }
        _ => SparseRun { value: (byte >> 2 & 31) + 1, len: usize::from(byte & 3) + 1, bytes: 1 },
    })
}

/// All registers, one by one.
pub struct Registers(Box<[u8; REGISTERS]>);

impl Registers {
    /// All 0.
    pub fn new() -> Registers {
        Registers(Box::new([0; REGISTERS]))
    }

    /// Takes the higher of each two.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupted> {
        if is_dense(bytes) {
            for (these, group) in self.0.chunks_exact_mut(GROUP).zip(groups(bytes)) {
                these.iter_mut().zip(group).for_each(|(it, value)| *it = (*it).max(value));
            }
            return Ok(());
        }
        let mut at = 0;
        for run in runs(bytes) {
            let these = self.0.get_mut(at..at + run.len).ok_or(Corrupted)?;
            if run.value != 0 {
                these.iter_mut().for_each(|it| *it = (*it).max(run.value));
            }
            at += run.len;
        }
        if at == REGISTERS { Ok(()) } else { Err(Corrupted) }
    }

    /// What each says.
    pub fn values(&self) -> &[u8] {
        &self.0[..]
    }

    /// Those that are not 0.
    pub fn set(&self) -> impl Iterator<Item = (usize, u8)> + '_ {
        self.0.iter().copied().enumerate().filter(|it| it.1 != 0)
    }

    /// How many have each value.
    pub fn histogram(&self) -> Histogram {
        let mut tally = Tally::default();
        for group in self.0.chunks_exact(GROUP) {
            tally.add(group.try_into().expect("each has as many"));
        }
        tally.histogram()
    }
}

/// How many registers have each value.
pub type Histogram = [u32; VALUE_MAX + 1];

/// How many registers of a HyperLogLog have each value.
pub fn histogram(bytes: &[u8]) -> Result<Histogram, Corrupted> {
    if is_dense(bytes) {
        let mut tally = Tally::default();
        groups(bytes).for_each(|it| tally.add(it));
        return Ok(tally.histogram());
    }
    let (mut histogram, mut all) = ([0; VALUE_MAX + 1], 0);
    for run in runs(bytes) {
        histogram[usize::from(run.value)] += run.len as u32;
        all += run.len;
    }
    if all == REGISTERS { Ok(histogram) } else { Err(Corrupted) }
}

/// Counts values in several rows, each of which is added to only now and then: registers that are
/// neighbours often have one value, and adding to what was just written waits for it.
struct Tally([[u32; VALUES]; Tally::ROWS]);

impl Default for Tally {
    fn default() -> Tally {
        Tally([[0; VALUES]; Tally::ROWS])
    }
}

impl Tally {
    const ROWS: usize = 4;

    #[inline]
    fn add(&mut self, group: [u8; GROUP]) {
        for (at, value) in group.into_iter().enumerate() {
            self.0[at % Tally::ROWS][usize::from(value) % VALUES] += 1;
        }
    }

    fn histogram(&self) -> Histogram {
        let mut histogram = [0; VALUE_MAX + 1];
        for row in &self.0 {
            // No hash says more than the highest; what somebody has written there may.
            for (value, count) in row.iter().enumerate() {
                histogram[value.min(VALUE_MAX)] += count;
            }
        }
        histogram
    }
}

/// The registers of a dense one, some at a time.
fn groups(bytes: &[u8]) -> impl Iterator<Item = [u8; GROUP]> + '_ {
    bytes[HEADER_BYTES..].chunks_exact(GROUP_BYTES).map(|it| {
        let mut word = [0; 8];
        word[..GROUP_BYTES].copy_from_slice(it);
        let word = u64::from_le_bytes(word);
        std::array::from_fn(|at| (word >> (at * BITS)) as u8 & (VALUES - 1) as u8)
    })
}

/// Whether a register says less than this.
pub fn is_below(bytes: &[u8], register: usize, value: u8) -> Result<bool, Corrupted> {
    if is_dense(bytes) {
        return Ok(dense_value(bytes, register) < value);
    }
    let mut behind = 0;
    let run = runs(bytes).find(|it| {
        behind += it.len;
        register < behind
    });
    Ok(run.ok_or(Corrupted)?.value < value)
}

/// Raises a register of a dense one to this value, unless it is as high. Answers whether it was
/// not.
pub fn raise_dense(bytes: &mut [u8], register: usize, value: u8) -> bool {
    let is_higher = dense_value(bytes, register) < value;
    if is_higher {
        set_dense(bytes, register, value);
    }
    is_higher
}

fn dense_value(bytes: &[u8], register: usize) -> u8 {
    let (at, shift) = (HEADER_BYTES + register * 6 / 8, register * 6 % 8);
    let high = bytes.get(at + 1).copied().unwrap_or(0);
    ((u16::from(high) << 8 | u16::from(bytes[at])) >> shift) as u8 & 63
}

fn set_dense(bytes: &mut [u8], register: usize, value: u8) {
    let (at, shift) = (HEADER_BYTES + register * 6 / 8, register * 6 % 8);
    let (mask, value) = (63u16 << shift, u16::from(value) << shift);
    bytes[at] = bytes[at] & !(mask as u8) | value as u8;
    if let Some(high) = bytes.get_mut(at + 1) {
        *high = *high & !((mask >> 8) as u8) | (value >> 8) as u8;
    }
}

/// The same with bits of its own for each register.
pub fn dense_of(bytes: &[u8]) -> Result<Vec<u8>, Corrupted> {
    if is_dense(bytes) {
        return Ok(bytes.to_vec());
    }
    let mut all = Registers::new();
    all.merge(bytes)?;
    let mut dense = bytes[..HEADER_BYTES].to_vec();
    dense[MAGIC.len()] = DENSE;
    dense.resize(DENSE_BYTES, 0);
    all.set().for_each(|(register, value)| set_dense(&mut dense, register, value));
    Ok(dense)
}

/// Raises a register to this value, unless it is as high. Answers whether it was not. A sparse one
/// that would get longer than `sparse_max`, with its header, becomes dense.
pub fn raise(
    bytes: &mut Vec<u8>,
    register: usize,
    value: u8,
    sparse_max: usize,
) -> Result<bool, Corrupted> {
    if !is_dense(bytes) {
        if value <= SPARSE_VALUE_MAX
            && let Some(has_changed) = raise_sparse(bytes, register, value, sparse_max)?
        {
            return Ok(has_changed);
        }
        *bytes = dense_of(bytes)?;
    }
    Ok(raise_dense(bytes, register, value))
}

/// `None` when it would become too long.
fn raise_sparse(
    bytes: &mut Vec<u8>,
    register: usize,
    value: u8,
    sparse_max: usize,
) -> Result<Option<bool>, Corrupted> {
    let (mut at, mut first, mut before) = (HEADER_BYTES, 0, HEADER_BYTES);
    let run = loop {
        let run = run_at(bytes, at).ok_or(Corrupted)?;
        if register < first + run.len {
            break run;
        }
        first += run.len;
        before = at;
        at += run.bytes;
    };
    if value <= run.value {
        return Ok(Some(false));
    }
    let mut instead = Vec::with_capacity(5);
    push_run(&mut instead, run.value, register - first);
    push_run(&mut instead, value, 1);
    push_run(&mut instead, run.value, first + run.len - 1 - register);
    if run.bytes < instead.len() && sparse_max < bytes.len() + instead.len() - run.bytes {
        return Ok(None);
    }
    bytes.splice(at..at + run.bytes, instead);
    join(bytes, before);
    Ok(Some(true))
}

fn push_run(bytes: &mut Vec<u8>, value: u8, len: usize) {
    match value {
        _ if len == 0 => {}
        0 => push_zeros(bytes, len),
        _ => bytes.push(of_values(value, len)),
    }
}

fn push_zeros(bytes: &mut Vec<u8>, len: usize) {
    let count = len - 1;
    if len <= SHORT_RUN_MAX {
        bytes.push(count as u8);
    } else {
        bytes.extend_from_slice(&[0x40 | (count >> 8) as u8, count as u8]);
    }
}

fn of_values(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// Joins neighbours of one value, from this run on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..LOOKED_AT {
        let Some(run) = run_at(bytes, at) else { return };
        let next = run_at(bytes, at + run.bytes);
        let same = next.filter(|it| run.value != 0 && it.value == run.value);
        match same.map(|it| it.len + run.len).filter(|len| *len <= VALUE_RUN_MAX) {
            Some(len) => {
                bytes[at + 1] = of_values(run.value, len);
                bytes.remove(at);
            }
            None => at += run.bytes,
        }
    }
}
