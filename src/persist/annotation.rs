//! Annotations: lines of an append-only file that are no commands, and that Redis passes over.

use crate::base::limits::DATABASES;
use crate::base::position::Position;

/// Longest line.
pub const LINE_BYTES_MAX: usize = 1 << 10;
const TIME: &[u8] = b"#TS:";
const POSITION: &[u8] = b"#REPL:";

/// What an annotation says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Annotation {
    /// What follows was written at this time, in s since 1970, or later.
    Time(u64),
    /// What follows stands in the stream at this position.
    Position(Position),
    /// Nothing that is known here.
    Other,
}

/// Reads a line, which begins with `#`.
pub fn annotation(line: &[u8]) -> Annotation {
    let line = line.trim_ascii_end();
    if let Some(digits) = line.strip_prefix(TIME) {
        let digits = std::str::from_utf8(digits).ok();
        return digits.and_then(|it| it.parse().ok()).map_or(Annotation::Other, Annotation::Time);
    }
    let position = line.strip_prefix(POSITION).and_then(Position::parse);
    position.map_or(Annotation::Other, Annotation::Position)
}

/// The line that says when what follows was written, in s since 1970: Redis' own.
pub fn time_note(at_s: u64) -> String {
    format!("#TS:{at_s}\r\n")
}

/// The line that says where in the stream what follows stands.
pub fn position_note(at: Position) -> String {
    format!("#REPL:{at}\r\n")
}

/// The lines behind all that was written, where another process goes on with the file: where in the
/// stream it ends, and which database is selected there, unless the stream says that next.
pub fn end_note(at: Position, db: Option<usize>) -> String {
    let db = db.map_or_else(String::new, |it| it.to_string());
    format!("{DATABASE}{db}\r\n{}", position_note(at))
}

const DATABASE: &str = "#DB:";

/// What [`end_note`] has said, if the last bytes of a file are one.
pub fn read_end_note(last: &[u8]) -> Option<(Position, Option<usize>)> {
    let text = last.strip_suffix(b"\r\n")?;
    let mut lines = text.rsplit(|it| *it == b'\n');
    let (at, db) = (annotation(lines.next()?), lines.next()?.trim_ascii_end());
    let Annotation::Position(at) = at else { return None };
    let db = db.strip_prefix(DATABASE.as_bytes())?;
    if db.is_empty() {
        return Some((at, None));
    }
    let db = std::str::from_utf8(db).ok()?.parse().ok()?;
    (db < DATABASES).then_some((at, Some(db)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Offset, ReplId};

    #[test]
    fn what_is_noted_is_read_and_what_is_not_known_is_passed_over() {
        let at = Position { replid: ReplId::new([7; 20]), offset: Offset::new(99) };
        assert_eq!(annotation(position_note(at).as_bytes()), Annotation::Position(at));
        assert_eq!(annotation(time_note(5).as_bytes()), Annotation::Time(5));
        let end = format!("*1\r\n$4\r\nPING\r\n{}", end_note(at, Some(3)));
        assert_eq!(read_end_note(end.as_bytes()), Some((at, Some(3))));
        assert_eq!(read_end_note(end_note(at, None).as_bytes()), Some((at, None)));
        let cut = &end.as_bytes()[..end.len() - 1];
        for other in [cut, b"", b"\r\n", position_note(at).as_bytes()] {
            assert_eq!(read_end_note(other), None);
        }
        assert_eq!(read_end_note(end_note(at, Some(99)).as_bytes()), None);
        for other in ["#", "#TS:", "#TS:x\r\n", "#REPL:1:2\r\n", "# hello"] {
            assert_eq!(annotation(other.as_bytes()), Annotation::Other, "{other}");
        }
    }
}
