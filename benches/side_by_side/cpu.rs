//! What a process has cost: CPU time and resident memory.

use std::ffi::{c_int, c_long};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

#[repr(C)]
#[derive(Default)]
struct Timespec {
    seconds: c_long,
    nanos: c_long,
}

unsafe extern "C" {
    fn clock_getcpuclockid(pid: c_int, clock: *mut c_int) -> c_int;
    fn clock_gettime(clock: c_int, at: *mut Timespec) -> c_int;
}

const QUIET_LOOK: Duration = Duration::from_millis(50);
/// Below this a process is only keeping time: its cron, not work.
const QUIET_NANOS_MAX: u64 = 1_500_000;
const QUIET_LOOKS_MAX: u32 = 600;

/// CPU time the processes have used, user and system, ended threads included. The process clock
/// counts in nanoseconds where the ticks of `/proc/PID/stat` come in 10 ms.
pub fn nanos(pids: &[u32]) -> u64 {
    pids.iter().map(|it| nanos_of(*it)).sum()
}

fn nanos_of(pid: u32) -> u64 {
    let mut clock = 0;
    let mut at = Timespec::default();
    // SAFETY: both calls only write to the two locals behind the pointers.
    let failed = unsafe {
        clock_getcpuclockid(pid as c_int, &mut clock) != 0 || clock_gettime(clock, &mut at) != 0
    };
    if failed {
        return 0;
    }
    at.seconds as u64 * 1_000_000_000 + at.nanos as u64
}

/// Returns when the processes have stopped working: what a write leaves behind (a replica's share,
/// a lazy free) is part of its cost.
pub fn wait_until_quiet(pids: &[u32]) {
    let quiet = QUIET_NANOS_MAX * pids.len() as u64;
    let mut before = nanos(pids);
    for _ in 0..QUIET_LOOKS_MAX {
        sleep(QUIET_LOOK);
        let now = nanos(pids);
        if now - before <= quiet {
            return;
        }
        before = now;
    }
    eprintln!("side_by_side: {pids:?} did not come to rest; its CPU is counted short");
}

/// Resident memory of the processes in bytes.
pub fn resident(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|it| resident_of(*it)).sum()
}

fn resident_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|it| it.starts_with("VmRSS:"))?;
    let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb << 10)
}

/// Memory of the processes and of their children in bytes, what they share divided among them: a
/// peer's child shares with it what neither has changed.
pub fn proportional(pids: &[u32]) -> u64 {
    let with_children = pids.iter().flat_map(|it| [vec![*it], children(*it)].concat());
    with_children.filter_map(proportional_of).sum()
}

fn children(pid: u32) -> Vec<u32> {
    let told = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    told.split_whitespace().filter_map(|it| it.parse().ok()).collect()
}

fn proportional_of(pid: u32) -> Option<u64> {
    let told = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = told.lines().find(|it| it.starts_with("Pss:"))?;
    let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb << 10)
}
