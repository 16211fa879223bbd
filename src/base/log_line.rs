//! A line of the log, taken apart: `event=login-failed client=7 user="a b" why=it is too long`.

use std::borrow::Cow;

/// One `name=value` of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'t> {
    /// Its name.
    pub name: &'t str,
    /// What it says, without quotes.
    pub value: Cow<'t, str>,
    /// Whether it stood in quotes: then it is a text, whatever it looks like.
    pub is_quoted: bool,
}

/// The event that a line is about; `None` where it names none.
pub fn event_of(line: &str) -> Option<&str> {
    let name = line.strip_prefix("event=")?;
    Some(name.split(' ').next().unwrap_or_default())
}

/// What a log says of each line beside its fields: no field has such a name.
const RESERVED: &[&str] = &["message", "severity", "target", "time"];

/// The fields of a line, each name once. A value goes on up to the next name that is not taken, so
/// that what a peer has said cannot pass for a field that stands before it, nor for what the log
/// says itself. What stands in front of the first name is no field.
pub fn fields(line: &str) -> Vec<Field<'_>> {
    let mut found: Vec<Field<'_>> = Vec::new();
    let mut at = 0;
    while let Some((name, begin)) = next_name(line, at, &found) {
        let (value, end) = match quoted(&line[begin..]) {
            Some((text, length)) => ((Cow::Owned(text), true), begin + length),
            None => {
                let mut names = found.clone();
                names.push(Field { name, value: Cow::Borrowed(""), is_quoted: false });
                let next = next_name(line, begin, &names).map(|it| it.1 - it.0.len() - 1);
                let end = next.unwrap_or(line.len());
                ((Cow::Borrowed(line[begin..end].trim_end()), false), end)
            }
        };
        found.push(Field { name, value: value.0, is_quoted: value.1 });
        at = end;
    }
    found
}

/// The first name behind `at` that no field has, and where its value begins.
fn next_name<'t>(line: &'t str, at: usize, found: &[Field<'_>]) -> Option<(&'t str, usize)> {
    let mut from = at;
    while let Some(equals) = line.get(from..)?.find('=').map(|it| from + it) {
        let begin = line[at..equals].rfind(' ').map_or(at, |it| at + it + 1);
        let name = &line[begin..equals];
        let is_begun = begin == 0 || line[..begin].ends_with(' ');
        let is_taken = RESERVED.contains(&name) || found.iter().any(|it| it.name == name);
        if is_begun && is_name(name) && !is_taken {
            return Some((name, equals + 1));
        }
        from = equals + 1;
    }
    None
}

fn is_name(text: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-_".contains(&it);
    text.bytes().all(is_plain) && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
}

/// The text of a value that begins with a quotation mark, as `{:?}` writes it, and its length with
/// the marks.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut letters = text.strip_prefix('"')?.char_indices();
    let mut out = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((out, at + 2)),
            '\\' => match letters.next()?.1 {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                '0' => out.push('\0'),
                'u' => {
                    let rest = letters.as_str().strip_prefix('{')?;
                    let (code, _) = rest.split_once('}')?;
                    out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                    letters.nth(code.len() + 1)?;
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    None
}

/// The line as one line: what would end it, or steer a terminal, stands as an escape.
pub fn plain(line: &str) -> Cow<'_, str> {
    if !line.chars().any(char::is_control) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 8);
    for letter in line.chars() {
        match letter.is_control() {
            true => out.extend(letter.escape_default()),
            false => out.push(letter),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(line: &str) -> Vec<(&str, String)> {
        fields(line).into_iter().map(|it| (it.name, it.value.into_owned())).collect()
    }

    #[test]
    fn a_line_is_names_and_values_which_may_have_blanks() {
        let line = "event=replica-left replica=127.0.0.1:7 why=it was cut off: 1 = 1 count=3";
        let told = [
            ("event", "replica-left"),
            ("replica", "127.0.0.1:7"),
            ("why", "it was cut off: 1 = 1"),
            ("count", "3"),
        ];
        assert_eq!(pairs(line), told.map(|it| (it.0, it.1.to_owned())));
        assert_eq!(event_of(line), Some("replica-left"));
        assert_eq!((event_of("hello event=x"), event_of("")), (None, None));
        assert_eq!(pairs("event=x why="), [("event", "x".into()), ("why", String::new())]);
        assert_eq!(pairs("nothing of this kind"), []);
    }

    #[test]
    fn what_is_quoted_is_a_text_and_ends_with_its_quotation_mark() {
        let name = "a \"b\" =\\ user=x\n\u{1b}";
        let line = format!("event=login-failed user={name:?} count=1");
        let found = fields(&line);
        assert_eq!(found[1].value, name);
        assert_eq!(found.iter().map(|it| it.is_quoted).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(pairs("event=x why=\"open")[1].1, "\"open");
    }

    #[test]
    fn what_somebody_else_has_said_is_no_field_of_ours() {
        let line = "event=x addr=1.2.3.4 why=bad event=y addr=9 count=2";
        let told =
            [("event", "x"), ("addr", "1.2.3.4"), ("why", "bad event=y addr=9"), ("count", "2")];
        assert_eq!(pairs(line), told.map(|it| (it.0, it.1.to_owned())));
    }

    #[test]
    fn what_the_log_says_of_each_line_is_no_field() {
        let line = "event=x why=no severity=debug time=1 message= target=y count=2";
        let told =
            [("event", "x"), ("why", "no severity=debug time=1 message= target=y"), ("count", "2")];
        assert_eq!(pairs(line), told.map(|it| (it.0, it.1.to_owned())));
        assert_eq!(pairs("severity=debug"), []);
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(plain("event=x why=a b"), "event=x why=a b");
        assert_eq!(plain("a\r\nevent=y\u{1b}[2J"), "a\\r\\nevent=y\\u{1b}[2J");
    }

    proptest! {
        #[test]
        fn no_text_can_break_it(text in ".{0,80}") {
            let line = format!("event=x why={text}");
            let found = fields(&line);
            prop_assert_eq!(found[0].value.as_ref(), "x");
            prop_assert!(!plain(&text).chars().any(char::is_control));
        }

        #[test]
        fn what_is_quoted_comes_back(text in any::<String>()) {
            let line = format!("event=x why={text:?} count=1");
            let found = fields(&line);
            prop_assert_eq!(found[1].value.as_ref(), text.as_str());
            prop_assert_eq!(found.len(), 3);
        }
    }
}
