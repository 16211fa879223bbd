//! Where lines of the log go: to stderr, or to a file that can be opened anew.
//!
//! **Invariant:** who logs waits for no reader. A line is written at once where the output has
//! room; where it has none, as a pipe whose reader has stopped, lines wait for a thread that writes
//! them when there is room again. Those that too many wait before are lost, and counted in a line.

use super::tasks;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of lines that wait at most.
const WAITING_MAX: usize = 1 << 20;

/// A pipe that has room has room for so much: PIPE_BUF of pipe(7).
const PIECE_BYTES: usize = 4096;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Then it is looked whether another file has been opened.
const A_WHILE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Stderr, or a file that grows at its end. Its copies write to the same place.
#[derive(Clone)]
pub struct LogOutput {
    path: Option<PathBuf>,
    shared: Arc<Shared>,
}

struct Shared {
    lines: Mutex<Lines>,
    came: Condvar,
}

struct Lines {
    place: Place,
    /// What there was no room for.
    waiting: VecDeque<u8>,
    /// Lines for which there was no room even here, since it was empty last.
    lost: u64,
    /// A thread writes what waits.
    has_thread: bool,
}

#[derive(Clone)]
enum Place {
    Stderr,
    File(Arc<File>),
}

impl LogOutput {
    /// The file at this path, or stderr where it is empty.
    pub fn open(path: &str) -> io::Result<LogOutput> {
        let path = (!path.is_empty()).then(|| PathBuf::from(path));
        let place = path.as_ref().map_or(Ok(Place::Stderr), appended)?;
        Ok(LogOutput::to(path, place))
    }

    fn to(path: Option<PathBuf>, place: Place) -> LogOutput {
        let lines = Lines { place, waiting: VecDeque::new(), lost: 0, has_thread: false };
        let shared = Shared { lines: Mutex::new(lines), came: Condvar::new() };
        LogOutput { path, shared: Arc::new(shared) }
    }

    /// Opens the file again: somebody has renamed it. When that fails the old one is kept.
    pub fn reopen(&self) -> io::Result<()> {
        if let Some(path) = &self.path {
            let place = appended(path)?;
            self.shared.lines.lock().place = place;
        }
        Ok(())
    }
}

fn appended(path: &PathBuf) -> io::Result<Place> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    Ok(Place::File(Arc::new(file)))
}

impl Write for LogOutput {
    /// Takes a whole line. One that the file does not take is not lost: it goes to stderr.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.shared.lines.lock();
        if lines.waiting.is_empty() {
            let written = lines.place.write_some(line);
            lines.waiting.extend(&line[written..]);
        } else if lines.lost != 0 || WAITING_MAX < lines.waiting.len() + line.len() {
            lines.lost += 1;
        } else {
            lines.waiting.extend(line);
        }
        if !lines.waiting.is_empty() {
            if !lines.has_thread {
                let shared = self.shared.clone();
                lines.has_thread = tasks::thread("log", move || write_waiting(&shared)).is_ok();
            }
            self.shared.came.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what waits, as there is room, for as long as the process lives.
fn write_waiting(shared: &Shared) {
    let mut lines = shared.lines.lock();
    loop {
        while lines.waiting.is_empty() {
            shared.came.wait(&mut lines);
        }
        let place = lines.place.clone();
        let written = place.write_some(lines.waiting.make_contiguous());
        lines.waiting.drain(..written);
        if !lines.waiting.is_empty() {
            MutexGuard::unlocked(&mut lines, || place.has_room(&A_WHILE));
            continue;
        }
        lines.waiting.shrink_to(0);
        let lost = std::mem::take(&mut lines.lost);
        if lost != 0 {
            MutexGuard::unlocked(&mut lines, || {
                log::warn!("event=log-lines-lost count={lost} why=the log was not read");
            });
        }
    }
}

impl Place {
    /// Writes as much as there is room for. Answers how much that is, with what nobody takes.
    fn write_some(&self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() && self.has_room(&AT_ONCE) {
            let piece = &bytes[written..bytes.len().min(written + PIECE_BYTES)];
            match self.write_piece(piece) {
                Ok(count) if count != 0 => written += count,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {
                    if let Place::File(_) = self
                        && Place::Stderr.has_room(&AT_ONCE)
                    {
                        // Nobody is there to be told of a stderr that is closed.
                        let _ = io::stderr().write_all(piece);
                    }
                    written += piece.len();
                }
            }
        }
        written
    }

    fn write_piece(&self, piece: &[u8]) -> io::Result<usize> {
        match self {
            Place::Stderr => io::stderr().write(piece),
            Place::File(file) => (&**file).write(piece),
        }
    }

    /// Whether a piece can be written, as it is or comes to be within this time.
    fn has_room(&self, within: &Timespec) -> bool {
        let stderr = io::stderr();
        let descriptor: BorrowedFd<'_> = match self {
            Place::Stderr => stderr.as_fd(),
            Place::File(file) => file.as_fd(),
        };
        // What cannot be asked is written to, and then says why.
        poll(&mut [PollFd::new(&descriptor, PollFlags::OUT)], Some(within)) != Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, PipeReader};
    use std::os::fd::OwnedFd;

    /// One that writes to a pipe, and the pipe's other end.
    fn piped() -> (LogOutput, BufReader<PipeReader>) {
        let (read, write) = io::pipe().unwrap();
        let place = Place::File(Arc::new(File::from(OwnedFd::from(write))));
        (LogOutput::to(None, place), BufReader::new(read))
    }

    fn line(number: usize) -> String {
        format!("{number:06} {}\n", "x".repeat(number * 97 % 9000))
    }

    #[test]
    fn who_logs_to_a_pipe_that_nobody_reads_does_not_wait() {
        let (mut output, mut reader) = piped();
        let all = (0..100).map(line).collect::<String>();
        assert!(1 << 16 < all.len() && all.len() < WAITING_MAX, "more than a pipe holds");
        (0..100).for_each(|it| output.write_all(line(it).as_bytes()).unwrap());
        for number in 0..100 {
            let mut read = String::new();
            reader.read_line(&mut read).unwrap();
            assert_eq!(read, line(number), "each line once, whole, in its order");
        }
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_counted() {
        let (mut output, mut reader) = piped();
        let count = 2 * WAITING_MAX / line(1).len();
        (0..count).for_each(|_| output.write_all(line(1).as_bytes()).unwrap());
        let lost = {
            let lines = output.shared.lines.lock();
            assert!(lines.waiting.len() <= WAITING_MAX);
            lines.lost as usize
        };
        assert!(count / 3 < lost && lost < count, "{lost} of {count}");
        let mut read = String::new();
        for _ in 0..count - lost {
            reader.read_line(&mut read).unwrap();
        }
        assert_eq!(read.len(), (count - lost) * line(1).len());
        // It is empty again, and takes lines.
        while output.shared.lines.lock().lost != 0 {
            std::thread::yield_now();
        }
        output.write_all(b"more\n").unwrap();
        read.clear();
        reader.read_line(&mut read).unwrap();
        assert_eq!(read, "more\n");
    }

    #[test]
    fn a_pipe_without_a_reader_takes_everything() {
        let (mut output, reader) = piped();
        drop(reader);
        (0..100).for_each(|it| output.write_all(line(it).as_bytes()).unwrap());
        assert!(output.shared.lines.lock().waiting.is_empty());
    }
}
