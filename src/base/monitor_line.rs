//! A line of MONITOR, as Redis writes it and redis-cli shows it:
//! `1339518083.107412 [0 127.0.0.1:60866] "GET" "k"`.

use std::io::Write;

/// Bytes of a command's words that are shown: nobody waits for more to be written.
const SHOWN_BYTES_MAX: usize = 256 << 10;

/// Appends a line without its end: when (microseconds of the epoch), in which database, who
/// (an address, `unix:` with a path, or `lua`), and the words of the command. Of a very long one
/// the beginning is shown, and how much there is behind it.
pub fn write_line<'w>(
    into: &mut Vec<u8>,
    at_us: u64,
    db: usize,
    who: &str,
    mut words: impl Iterator<Item = &'w [u8]>,
) {
    // Writing to memory does not fail.
    let _ = write!(into, "{}.{:06} [{db} {who}]", at_us / 1_000_000, at_us % 1_000_000);
    let mut left = SHOWN_BYTES_MAX;
    while let Some(word) = words.next() {
        into.extend_from_slice(b" \"");
        let (shown, cut) = word.split_at(word.len().min(left));
        shown.iter().for_each(|it| write_byte(into, *it));
        if !cut.is_empty() {
            let _ = write!(into, "... ({} more bytes)", cut.len());
        }
        into.push(b'"');
        left -= shown.len();
        if left == 0 {
            let more = words.count();
            if more != 0 {
                let _ = write!(into, " \"... ({more} more arguments)\"");
            }
            return;
        }
    }
}

fn write_byte(into: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
        b'\n' => into.extend_from_slice(b"\\n"),
        b'\r' => into.extend_from_slice(b"\\r"),
        b'\t' => into.extend_from_slice(b"\\t"),
        0x07 => into.extend_from_slice(b"\\a"),
        0x08 => into.extend_from_slice(b"\\b"),
        b' '..=b'~' => into.push(byte),
        _ => {
            let _ = write!(into, "\\x{byte:02x}");
        }
    }
}
