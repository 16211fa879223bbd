//! The machine that a run was made on.

use crate::runtime::process;

/// Its system, processor, cores and memory, in a line.
pub fn machine() -> String {
    let gb = process::machine_bytes() as f64 / f64::from(1 << 30);
    format!(
        "{}, {}, {} cores, {gb:.1} GB",
        process::system_name(),
        process::processor_name(),
        process::cores()
    )
}
