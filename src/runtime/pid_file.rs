//! The file with the number of this process, for whoever wants to signal it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file with the number of this process.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes it, in place of one that a process has left behind.
    pub fn write(path: &Path) -> io::Result<PidFile> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(path)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(PidFile(path.to_owned()))
    }

    /// Takes it away, unless another process has written its own there meanwhile.
    pub fn remove(&self) {
        let own = std::process::id().to_string();
        if fs::read_to_string(&self.0).is_ok_and(|it| it.trim_end() == own) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_number_of_its_process_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, "1234567890\n").unwrap();
        let file = PidFile::write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        fs::write(&path, "1\n").unwrap();
        file.remove();
        assert!(path.exists(), "it is another's");
        PidFile::write(&path).unwrap().remove();
        assert!(!path.exists());
        assert!(PidFile::write(&dir.path().join("no/such")).is_err());
    }
}
