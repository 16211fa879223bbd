//! Inline requests: a line of words, which may be quoted.

use crate::resp::{Malformed, Span};

/// The words of a line, as those of an inline request are told apart.
pub fn words_of_line(line: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let (mut scratch, mut spans) = (Vec::new(), Vec::new());
    unquote(line, &mut scratch, &mut spans)?;
    let word = |it: &Span| scratch[it.start as usize..it.end as usize].to_vec();
    Ok(spans.iter().map(word).collect())
}

/// Whether a line needs [`unquote`]; one that does not is read where it lies.
pub(super) fn has_quotes(line: &[u8]) -> bool {
    line.iter().any(|it| matches!(it, b'"' | b'\''))
}

/// Finds the words of a line without quotes.
pub(super) fn split(line: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|it| is_blank(**it)).count();
        if at == line.len() {
            return;
        }
        let start = at;
        at += line[at..].iter().take_while(|it| !ends_word(**it)).count();
        spans.push(span(start, at));
    }
}

/// Writes the words of a line into `scratch`, without their quotes and escapes.
pub(super) fn unquote(
    line: &[u8],
    scratch: &mut Vec<u8>,
    spans: &mut Vec<Span>,
) -> Result<(), Malformed> {
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|it| is_blank(**it)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Ok(());
        }
        let start = scratch.len();
        rest = word(rest, scratch)?;
        spans.push(span(start, scratch.len()));
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

/// What may stand between words.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends a word that is not quoted: fewer bytes than may stand between words. To Redis a NUL
/// hides the rest of the input, the line's end with it; here it is a byte like any other.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Takes one word and returns what follows it. A quote may open in mid-word, but ends the word.
fn word<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let mut rest = text;
    loop {
        rest = match rest {
            [b'"', quoted @ ..] => return double_quoted(quoted, out).and_then(closed),
            [b'\'', quoted @ ..] => return single_quoted(quoted, out).and_then(closed),
            [byte, ..] if ends_word(*byte) => return Ok(rest),
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
            [] => return Ok(rest),
        }
    }
}

/// Behind a closing quote comes a blank or the end.
fn closed(rest: &[u8]) -> Result<&[u8], Malformed> {
    match rest {
        [byte, ..] if !is_blank(*byte) => Err(Malformed::Quotes),
        _ => Ok(rest),
    }
}

fn double_quoted<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let mut rest = text;
    loop {
        let (byte, after) = match rest {
            [b'\\', b'x', high, low, after @ ..] if is_hex(*high) && is_hex(*low) => {
                (hex(*high) << 4 | hex(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescaped(*escaped), after),
            [b'"', after @ ..] => return Ok(after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(Malformed::Quotes),
        };
        out.push(byte);
        rest = after;
    }
}

fn single_quoted<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let mut rest = text;
    loop {
        let (byte, after) = match rest {
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [b'\'', after @ ..] => return Ok(after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(Malformed::Quotes),
        };
        out.push(byte);
        rest = after;
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, Malformed> {
        let (mut scratch, mut spans) = (Vec::new(), Vec::new());
        unquote(line.as_bytes(), &mut scratch, &mut spans)?;
        let text = |it: &Span| &scratch[it.start as usize..it.end as usize];
        let words: Vec<_> = spans.iter().map(|it| text(it).escape_ascii().to_string()).collect();
        if !has_quotes(line.as_bytes()) {
            let mut plain = Vec::new();
            split(line.as_bytes(), &mut plain);
            let word = |it: &Span| &line.as_bytes()[it.start as usize..it.end as usize];
            let plain = plain.iter().map(|it| word(it).escape_ascii().to_string());
            assert!(plain.eq(words.iter().cloned()));
        }
        Ok(words)
    }

    #[test]
    fn words_split_as_in_redis() {
        let facts: &[(&str, &[&str])] = &[
            ("SET a 1", &["SET", "a", "1"]),
            ("  a\t b\r ", &["a", "b"]),
            ("", &[]),
            (r#""\x41\n\q\"""#, &["A\\nq\\\""]),
            (r"'a\'b\n'", &["a\\'b\\\\n"]),
            (r#"fo"o b""#, &["foo b"]),
            ("\u{b}\u{c}a\u{b}b", &["a\\x0bb"]),
            (r#""""#, &[""]),
            (r#""\x4""#, &["x4"]),
            ("a\0b \0", &["a\\x00b", "\\x00"]),
        ];
        for (line, expected) in facts {
            assert_eq!(words(line).unwrap(), *expected, "{line}");
        }
        for bad in [r#"a "x"#, "a 'x", r#"a "x"y"#, r#"""""#, r#""\"#, "'\\'"] {
            assert_eq!(words(bad), Err(Malformed::Quotes), "{bad}");
        }
    }
}
