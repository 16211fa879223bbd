//! Where lines of the log go: to stderr, or to a file that can be opened anew.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Stderr, or a file that grows at its end. Its copies write to the same place.
#[derive(Clone)]
pub struct LogOutput {
    path: Option<PathBuf>,
    file: Arc<Mutex<Option<File>>>,
}

impl LogOutput {
    /// The file at this path, or stderr where it is empty.
    pub fn open(path: &str) -> io::Result<LogOutput> {
        let path = (!path.is_empty()).then(|| PathBuf::from(path));
        let file = path.as_ref().map(appended).transpose()?;
        Ok(LogOutput { path, file: Arc::new(Mutex::new(file)) })
    }

    /// Opens the file again: somebody has renamed it. When that fails the old one is kept.
    pub fn reopen(&self) -> io::Result<()> {
        if let Some(path) = &self.path {
            let file = appended(path)?;
            *self.file.lock() = Some(file);
        }
        Ok(())
    }
}

fn appended(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl Write for LogOutput {
    /// Takes a whole line. One that the file does not take is not lost: it goes to stderr.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let in_file = self.file.lock().as_mut().map(|it| it.write_all(line));
        match in_file {
            Some(Ok(())) => {}
            // Nobody is there to be told of a stderr that is closed.
            Some(Err(_)) | None => drop(io::stderr().write_all(line)),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
