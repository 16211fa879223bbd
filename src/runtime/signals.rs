//! The system's requests: to end, to read the config file again, and to start the process that
//! takes our place.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::io;

/// SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 from now on.
pub struct Requests(Signals);

/// What the system asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// To end, by the signal of this name.
    End(&'static str),
    /// To read the config file again.
    Reload,
    /// To start another process, which takes our place.
    Upgrade,
    /// Nothing that is known here, by the signal of this name. Untaken, it would end the process
    /// without a line.
    Unknown(&'static str),
}

impl Requests {
    /// Takes these signals from the system.
    pub fn take() -> io::Result<Requests> {
        Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]).map(Requests)
    }

    /// Blocks the calling thread, never a worker, until the next one.
    pub fn wait(&mut self) -> Request {
        match self.0.forever().next() {
            Some(SIGHUP) => Request::Reload,
            Some(SIGUSR1) => Request::Unknown("SIGUSR1"),
            Some(SIGUSR2) => Request::Upgrade,
            Some(SIGINT) => Request::End("SIGINT"),
            _ => Request::End("SIGTERM"),
        }
    }
}
