//! Listening sockets on their way from one process to another, which takes its place.

use super::acceptor::listen_with_mode;
use super::passed_sockets::{PassedSocket, SOCKETS_MAX};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::fs;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of the names of all sockets that are sent at most.
const NAMES_BYTES_MAX: usize = 16 << 10;
/// How long the other process may take to send them.
const SENT_WITHIN: Duration = Duration::from_secs(5);
/// What stands in front of the name of a socket whose path goes with it, and of any other.
const OWN: char = '+';
const OTHER: char = '-';

/// Sends these sockets to the process that waits at a path, in one message: their names are its
/// lines.
pub fn send_sockets(path: &Path, sockets: &[PassedSocket]) -> io::Result<()> {
    let line = |it: &PassedSocket| {
        let kind = if it.owns_path { OWN } else { OTHER };
        format!("{kind}{}\t{}\n", it.name, it.configured)
    };
    let names: String = sockets.iter().map(line).collect();
    if SOCKETS_MAX < sockets.len() || NAMES_BYTES_MAX < names.len() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "they are too many"));
    }
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(SENT_WITHIN))?;
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(|it| it.descriptor.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    // An empty message would be taken for the end.
    let names = format!("{names}\n");
    let bytes = [IoSlice::new(names.as_bytes())];
    let sent = sendmsg(&stream, &bytes, &mut ancillary, SendFlags::NOSIGNAL)?;
    match sent == names.len() {
        true => Ok(()),
        false => Err(ErrorKind::WriteZero.into()),
    }
}

/// Only our own user sends any.
const PRIVATE: u32 = 0o600;

/// Where sockets are received.
pub struct SocketsInbox {
    listener: UnixListener,
    path: PathBuf,
}

impl SocketsInbox {
    /// At this path.
    pub fn at(path: &Path) -> io::Result<SocketsInbox> {
        let _ = fs::remove_file(path);
        let listener = listen_with_mode(path, PRIVATE)?;
        Ok(SocketsInbox { listener, path: path.to_owned() })
    }

    /// What was sent there, by whoever has come first. To be asked once it has been sent: nobody is
    /// waited for.
    pub fn take(self) -> io::Result<Vec<PassedSocket>> {
        self.listener.set_nonblocking(true)?;
        let (stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(SENT_WITHIN))?;
        let mut names = vec![0; NAMES_BYTES_MAX + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut names)];
        let count = recvmsg(&stream, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let descriptors: Vec<OwnedFd> = ancillary
            .drain()
            .filter_map(|it| match it {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let wrong = || io::Error::new(ErrorKind::InvalidData, "what came are no sockets");
        let text = std::str::from_utf8(&names[..count]).map_err(|_| wrong())?;
        let names = text.strip_suffix('\n').ok_or_else(wrong)?.lines();
        let names: Vec<(&str, &str, bool)> = names
            .map(|it| {
                let (name, configured) = it.split_once('\t')?;
                match (name.strip_prefix(OWN), name.strip_prefix(OTHER)) {
                    (Some(name), _) => Some((name, configured, true)),
                    (_, name) => Some((name?, configured, false)),
                }
            })
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        if names.len() != descriptors.len() {
            return Err(wrong());
        }
        let sockets = names.into_iter().zip(descriptors);
        let sockets = sockets.map(|((name, configured, owns_path), descriptor)| PassedSocket {
            name: name.to_owned(),
            configured: configured.to_owned(),
            owns_path,
            descriptor,
        });
        Ok(sockets.collect())
    }
}

impl Drop for SocketsInbox {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn sockets_that_are_sent_arrive_with_their_names_and_listen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(dir.path().join("own")).unwrap();
        let sent = [
            PassedSocket {
                name: "a b".into(),
                configured: "127.0.0.1:0".into(),
                owns_path: false,
                descriptor: tcp.into(),
            },
            PassedSocket {
                name: "/own".into(),
                configured: String::new(),
                owns_path: true,
                descriptor: unix.into(),
            },
        ];
        for sockets in [&sent[..], &[]] {
            let inbox = SocketsInbox::at(&path).unwrap();
            assert!(inbox.listener.local_addr().is_ok());
            send_sockets(&path, sockets).unwrap();
            let taken = inbox.take().unwrap();
            assert!(!path.exists());
            let names = |of: &[PassedSocket]| -> Vec<_> {
                of.iter()
                    .map(|it| format!("{} {} {}", it.name, it.configured, it.owns_path))
                    .collect()
            };
            assert_eq!(names(&taken), names(sockets));
            let Some(first) = taken.into_iter().next() else { continue };
            let _client = std::net::TcpStream::connect(address).unwrap();
            TcpListener::from(first.descriptor).accept().unwrap();
        }
    }

    #[test]
    fn what_is_no_list_of_sockets_is_refused() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        for text in ["", "x", "-a\tb\n\n", "-a\n\n", "a\tb\n\n"] {
            let inbox = SocketsInbox::at(&path).unwrap();
            UnixStream::connect(&path).unwrap().write_all(text.as_bytes()).unwrap();
            assert!(inbox.take().is_err(), "{text:?}");
        }
        let nobody = SocketsInbox::at(&path).unwrap();
        assert_eq!(nobody.take().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
