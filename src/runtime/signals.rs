//! The system's requests to end.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;

/// SIGTERM and SIGINT from now on.
pub struct Requests(Signals);

impl Requests {
    /// Takes these signals from the system.
    pub fn take() -> io::Result<Requests> {
        Signals::new([SIGTERM, SIGINT]).map(Requests)
    }

    /// Blocks the calling thread, never a worker, until the next one; answers its name.
    pub fn wait(&mut self) -> &'static str {
        match self.0.forever().next() {
            Some(SIGINT) => "SIGINT",
            _ => "SIGTERM",
        }
    }
}
