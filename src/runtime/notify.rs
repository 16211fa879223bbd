//! What a service manager is told over the socket that it names in the environment, as systemd has
//! it: lines of `NAME=value` in one datagram.

use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What of the environment is for this process alone: programs that it runs get none of it.
pub const VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// The socket of a service manager.
pub struct NotifySocket(UnixDatagram);

/// Whether a service manager wants to hear of this process.
pub fn is_supervised() -> bool {
    named().is_some()
}

fn named() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|it| !it.is_empty())
}

impl NotifySocket {
    /// The one that the environment names, if it names one.
    pub fn of_environment() -> Option<io::Result<NotifySocket>> {
        Some(NotifySocket::open(named()?.as_bytes()))
    }

    /// The one at a path, or behind an `@` in the abstract name space.
    fn open(name: &[u8]) -> io::Result<NotifySocket> {
        let address = match name {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
            _ => return Err(ErrorKind::InvalidInput.into()),
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // Nobody is kept waiting by a manager that does not listen.
        socket.set_nonblocking(true)?;
        Ok(NotifySocket(socket))
    }

    /// Tells it something. Answers whether it has taken it.
    pub fn tell(&self, lines: &str) -> bool {
        self.0.send(lines.as_bytes()).is_ok()
    }

    /// That the configuration is read again, from now on.
    pub fn tell_reloading(&self) -> bool {
        let now = clock_gettime(ClockId::Monotonic);
        let us = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={us}\n"))
    }
}

/// Within which time the manager wants to hear that we live, again and again, if it does.
pub fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(std::process::id().into());
    number("WATCHDOG_USEC").filter(|it| *it != 0 && is_ours).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_at_a_path_or_at_a_name_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("entourage-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (bound, name) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str().as_bytes().to_vec()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}").into_bytes()),
        ] {
            let socket = NotifySocket::open(&name).unwrap();
            assert!(socket.tell("READY=1\n") && socket.tell_reloading());
            let mut bytes = [0; 100];
            assert_eq!(bound.recv(&mut bytes).unwrap(), 8);
            let count = bound.recv(&mut bytes).unwrap();
            let text = std::str::from_utf8(&bytes[..count]).unwrap();
            assert!(text.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{text}");
        }
        assert!(NotifySocket::open(b"here").is_err());
        assert!(NotifySocket::open(b"/no/such/socket").is_err());
    }

    #[test]
    fn nobody_waits_for_a_manager_that_does_not_listen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let bound = UnixDatagram::bind(&path).unwrap();
        let socket = NotifySocket::open(path.as_os_str().as_bytes()).unwrap();
        let mut taken = 0;
        while socket.tell("STATUS=x\n") {
            taken += 1;
        }
        assert!(0 < taken);
        drop(bound);
        assert!(!socket.tell("STATUS=x\n"));
    }
}
