//! Long brackets within long brackets, which Redis' Lua takes for text and ours refuses.

/// The same text with other brackets around those that have `[[` in them. Lines stay where they
/// are.
pub fn without_nesting(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let len = match rest[0] {
            quote @ (b'"' | b'\'') => short_string(rest, quote),
            b'-' if rest.starts_with(b"--") && opening(&rest[2..]).is_none() => {
                rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len())
            }
            b'[' => match opening(rest) {
                Some(level) => {
                    at += long_bracket(rest, level, &mut out);
                    continue;
                }
                None => 1,
            },
            _ => 1,
        };
        out.extend_from_slice(&rest[..len]);
        at += len;
    }
    out
}

/// How many `=` a long bracket that begins here has.
fn opening(text: &[u8]) -> Option<usize> {
    let behind = text.strip_prefix(b"[")?;
    let level = behind.iter().take_while(|it| **it == b'=').count();
    (behind.get(level) == Some(&b'[')).then_some(level)
}

/// The length of a string in quotes, or of what there is of it.
fn short_string(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == quote || byte == b'\n' {
            break;
        }
    }
    at.min(text.len())
}

/// Appends a long bracket, in others if there is need, and returns the length it had.
fn long_bracket(text: &[u8], level: usize, out: &mut Vec<u8>) -> usize {
    let inner = &text[level + 2..];
    let closing = place_of_closing(inner, level);
    let content = &inner[..closing.unwrap_or(inner.len())];
    let other = (1..).find(|it| place_of_closing(content, *it).is_none());
    let is_nested = level == 0 && content.windows(2).any(|it| it == b"[[");
    let signs = vec![b'='; if is_nested { other.unwrap_or(level) } else { level }];
    for part in [b"[", signs.as_slice(), b"[", content] {
        out.extend_from_slice(part);
    }
    let Some(len) = closing else { return text.len() };
    for part in [b"]", signs.as_slice(), b"]"] {
        out.extend_from_slice(part);
    }
    len + 2 * (level + 2)
}

fn place_of_closing(text: &[u8], level: usize) -> Option<usize> {
    let closing = [b"]", vec![b'='; level].as_slice(), b"]"].concat();
    text.windows(closing.len()).position(|it| it == closing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nested_brackets_are_changed() {
        for (text, expected) in [
            ("return [[a]]", "return [[a]]"),
            ("return [[a[[b]]", "return [=[a[[b]=]"),
            ("--[[ a [[ b ]=] ]] x", "--[==[ a [[ b ]=] ]==] x"),
            ("-- [[a[[b]]", "-- [[a[[b]]"),
            ("\"[[ [[\" .. '\\'[[ [[' .. [=[ [[ ]=]", "\"[[ [[\" .. '\\'[[ [[' .. [=[ [[ ]=]"),
            ("t[t[1]] = [[ [[", "t[t[1]] = [=[ [["),
        ] {
            let found = without_nesting(text.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        }
    }
}
