//! Sockets that another process has opened for this one: whoever has started it, as systemd does
//! for a service with a socket unit, or the process whose place it takes.

use std::env;
use std::fs;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// More than these nobody passes.
pub(super) const SOCKETS_MAX: usize = 64;

/// A socket that was passed.
#[derive(Debug)]
pub struct PassedSocket {
    /// What it is called; empty where it has no name.
    pub name: String,
    /// The address that the configuration has for it at the process that has sent it; empty where
    /// none has.
    pub configured: String,
    /// It has a path, which is ours to take away in the end.
    pub owns_path: bool,
    /// It.
    pub descriptor: OwnedFd,
}

/// The sockets that this process was started with; none where they are another's, or there are
/// none. Called once, before anything else is opened.
pub fn take_passed_sockets() -> Result<Vec<PassedSocket>, String> {
    let text = |name| env::var(name).unwrap_or_default();
    if text("LISTEN_PID").parse() != Ok(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = text("LISTEN_FDS");
    let count: usize = count.parse().map_err(|_| format!("LISTEN_FDS={count} is no number"))?;
    if SOCKETS_MAX < count {
        return Err(format!("LISTEN_FDS={count}: more than {SOCKETS_MAX} sockets"));
    }
    let names = text("LISTEN_FDNAMES");
    let mut names = names.split(':').map(str::to_owned);
    (FIRST..).take(count).map(|number| take(number, names.next().unwrap_or_default())).collect()
}

fn take(number: RawFd, name: String) -> Result<PassedSocket, String> {
    let leads_to = fs::read_link(format!("/proc/self/fd/{number}"));
    if !leads_to.is_ok_and(|it| it.to_string_lossy().starts_with("socket:")) {
        return Err(format!("descriptor {number}, which LISTEN_FDS counts, is no socket"));
    }
    // SAFETY: it is open, as was just seen. LISTEN_PID says that it was opened for this process,
    // which has not opened it and takes it this once: nobody else has it. No safe function takes
    // over what a parent has opened.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(PassedSocket { name, configured: String::new(), owns_path: false, descriptor })
}
