//! Replaces a file as a whole, so that whoever reads it finds the old text or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Replaces the text of a file; a symbolic link stays, and what it leads to is replaced. Keeps the
/// file's permissions, and its owner where the system lets us. Refuses when the file does not hold
/// `before` any more.
pub fn replace_text(path: &Path, before: &str, after: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::IsADirectory.into());
    };
    let temporary = dir.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let replaced = write_beside(&temporary, &path, after)
        .and_then(|()| holds(&path, before))
        .and_then(|()| fs::rename(&temporary, &path));
    if replaced.is_err() {
        // What could not be written cannot be in anybody's way, either.
        let _ = fs::remove_file(&temporary);
    }
    replaced?;
    // The new name must outlive a crash of the machine, too.
    File::open(dir)?.sync_all()
}

/// Writes a whole file, in place of one that is there, whatever that holds: who reads it finds the
/// old bytes or the new. A new one is for nobody but its owner to read.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays, and what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let Some(name) = path.file_name() else { return Err(ErrorKind::IsADirectory.into()) };
    let dir = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = dir.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    // What a process has left that died at this place is nobody's.
    let _ = fs::remove_file(&temporary);
    let replaced = write_private(&temporary, fs::metadata(&path).ok(), bytes)
        .and_then(|()| fs::rename(&temporary, &path));
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    replaced?;
    File::open(dir)?.sync_all()
}

fn holds(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path)? == text.as_bytes() {
        return Ok(());
    }
    Err(io::Error::other("somebody else is writing it: try again"))
}

/// Writes a new file with the permissions of one that there is.
fn write_beside(path: &Path, like: &Path, text: &str) -> io::Result<()> {
    write_private(path, Some(fs::metadata(like)?), text.as_bytes())
}

/// Writes a new file, with the permissions of another if there is one, else for its owner alone.
fn write_private(path: &Path, like: Option<fs::Metadata>, bytes: &[u8]) -> io::Result<()> {
    // Nobody may read it before its permissions say who may.
    const PRIVATE: u32 = 0o600;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    if let Some(like) = like {
        // Only root can give a file away.
        let _ = fchown(&file, Some(like.uid()), Some(like.gid()));
        file.set_permissions(like.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    fn own_dir(name: &str) -> PathBuf {
        let prefix = format!("entourage-replace-{name}-");
        tempfile::Builder::new().prefix(&prefix).tempdir().unwrap().keep()
    }

    #[test]
    fn a_file_keeps_its_permissions_and_a_link_leads_where_it_led() {
        let dir = own_dir("link");
        let (file, link) = (dir.join("real.toml"), dir.join("link.toml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real.toml", &link).unwrap();
        replace_text(&link, "old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "nothing else is left");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_is_written_whether_it_was_there_or_not() {
        let dir = own_dir("whole");
        let file = dir.join("users.acl");
        let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
        replace_file(&file, b"one\xff").unwrap();
        assert_eq!((fs::read(&file).unwrap(), mode()), (b"one\xff".to_vec(), 0o600));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        replace_file(&file, b"two").unwrap();
        assert_eq!((fs::read(&file).unwrap(), mode()), (b"two".to_vec(), 0o640));
        assert!(replace_file(&dir.join("none/users.acl"), b"").is_err());
        assert!(replace_file(&dir, b"").is_err());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing else is left");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_somebody_else_has_written_meanwhile_stays() {
        let dir = own_dir("raced");
        let file = dir.join("a.toml");
        fs::write(&file, "theirs").unwrap();
        assert!(replace_text(&file, "old", "new").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing else is left");
        assert!(replace_text(&dir.join("none"), "", "new").is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
