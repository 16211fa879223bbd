//! The file within a replication stream: how its end is told from what follows.
//!
//! ```text
//! $<length>\r\n  file                            from a file of the peer
//! $EOF:<mark>\r\n  file  <mark>                  while the peer is making it; 40 bytes each
//! ```

use super::{FileFault, Loader, Why};

const MARK_BYTES: usize = 40;
const MARKED: &[u8] = b"EOF:";
/// A line that announces a file is not longer; an error may be.
const LINE_BYTES_MAX: usize = 1 << 10;

enum Stage {
    /// The line that announces it, as far as it has come.
    Line(Vec<u8>),
    /// So many bytes of the file are still to come.
    Sized(u64),
    /// A mark stands behind the file; so many of its bytes have come.
    Marked([u8; MARK_BYTES], usize),
    Done,
}

/// A file that a peer sends, from the line that announces it to the end of the file.
pub struct Transfer(Stage);

impl Default for Transfer {
    fn default() -> Transfer {
        Transfer(Stage::Line(Vec::new()))
    }
}

impl Transfer {
    /// Takes the next bytes and gives the loader what belongs to the file. Answers how many of them
    /// belong to the transfer: all, unless it has come to its end. Offsets in faults count from the
    /// beginning of the file. Nothing can be taken after a fault.
    pub fn feed(&mut self, bytes: &[u8], loader: &mut Loader) -> Result<usize, FileFault> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_done() {
            let taken = match &mut self.0 {
                Stage::Line(line) => {
                    let taken = take_line(line, rest);
                    if let Some(announced) = announced(line)? {
                        self.0 = announced;
                    }
                    taken
                }
                Stage::Sized(left) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let taken = loader.feed(&rest[..rest.len().min(most)])?;
                    *left -= taken as u64;
                    if (*left == 0) != loader.is_done() {
                        let is_over = *left == 0 || loader.is_done();
                        if is_over {
                            return Err(fault(Why::Length, loader.at()));
                        }
                    }
                    if *left == 0 {
                        self.0 = Stage::Done;
                    }
                    taken
                }
                Stage::Marked(..) if !loader.is_done() => loader.feed(rest)?,
                Stage::Marked(mark, seen) => {
                    let taken = rest.len().min(MARK_BYTES - *seen);
                    if mark[*seen..*seen + taken] != rest[..taken] {
                        return Err(fault(Why::Mark, loader.at()));
                    }
                    *seen += taken;
                    if *seen == MARK_BYTES {
                        self.0 = Stage::Done;
                    }
                    taken
                }
                Stage::Done => 0,
            };
            rest = &rest[taken..];
        }
        Ok(bytes.len() - rest.len())
    }

    /// Whether the file and what ends it have come.
    pub fn is_done(&self) -> bool {
        matches!(self.0, Stage::Done)
    }

    /// Bytes of the file that are still to come, if that is known.
    pub fn left(&self) -> Option<u64> {
        match self.0 {
            Stage::Sized(left) => Some(left),
            Stage::Done => Some(0),
            _ => None,
        }
    }
}

fn fault(why: Why, at: u64) -> FileFault {
    FileFault { why, at, key: None }
}

/// Adds to a line up to its end. Answers how many bytes that were.
fn take_line(line: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|it| *it == b'\n').map_or(bytes.len(), |it| it + 1);
    let taken = end.min(LINE_BYTES_MAX - line.len());
    line.extend_from_slice(&bytes[..taken]);
    // A peer that has nothing to say yet sends empty lines.
    if matches!(line.as_slice(), b"\n" | b"\r\n") {
        line.clear();
    }
    taken
}

/// What a whole line announces.
fn announced(line: &[u8]) -> Result<Option<Stage>, FileFault> {
    if !line.ends_with(b"\n") && line.len() < LINE_BYTES_MAX {
        return Ok(None);
    }
    let text = line.trim_ascii_end();
    let stage = || {
        let announced = text.strip_prefix(b"$")?;
        if let Some(mark) = announced.strip_prefix(MARKED) {
            return Some(Stage::Marked(mark.try_into().ok()?, 0));
        }
        let digits = announced.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(announced).ok().filter(|_| digits)?;
        number.parse().ok().filter(|it| *it != 0).map(Stage::Sized)
    };
    let said = || Why::NotAnnounced(text.escape_ascii().to_string());
    stage().map(Some).ok_or_else(|| fault(said(), 0))
}
