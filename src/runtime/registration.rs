//! A socket's place among those of the worker that watches it.

use super::local::LOCAL;
use super::sockets::Readiness;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::rc::Rc;

/// A socket's place with its worker, where it stays; given up when dropped. It says what is known
/// of the socket.
pub struct Registration {
    readiness: Rc<Readiness>,
    number: u64,
}

impl Registration {
    /// Has the calling worker watch a non-blocking socket until this and the socket are dropped.
    /// `Err` too on a thread that is no worker.
    pub fn new(socket: impl AsFd) -> io::Result<Registration> {
        LOCAL.with(|local| {
            let sockets = local.sockets().ok_or(io::ErrorKind::Unsupported)?;
            let (readiness, number) = sockets.watch(socket)?;
            Ok(Registration { readiness, number })
        })
    }

    /// Gives the place up while the socket lives on: another worker is to watch it.
    pub fn end(self, socket: impl AsFd) -> io::Result<()> {
        LOCAL.with(|local| local.sockets().ok_or(io::ErrorKind::Unsupported)?.take_out(socket))
    }
}

impl Deref for Registration {
    type Target = Readiness;

    fn deref(&self) -> &Readiness {
        &self.readiness
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Closing the descriptor takes it out of the epoll; only the place is ours to free. A
        // thread that ends has none left.
        let _ = LOCAL.try_with(|local| {
            if let Some(sockets) = local.sockets() {
                sockets.leave(self.number);
            }
        });
    }
}
