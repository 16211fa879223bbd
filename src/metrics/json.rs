//! JSON as it grows: what PROXY STATS JSON needs of it.

use std::fmt::{Display, Write};

/// The text. Whoever writes a name writes its value next, and closes what is open.
#[derive(Default)]
pub struct Json {
    text: String,
    needs_comma: bool,
}

impl Json {
    /// All that was written.
    pub fn into_text(self) -> String {
        self.text
    }

    /// An object, with what `tell` writes in it.
    pub fn object(&mut self, tell: impl FnOnce(&mut Json)) {
        self.enclosed(['{', '}'], tell);
    }

    /// An array, with what `tell` writes of each of `items`.
    pub fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut tell: impl FnMut(&mut Json, T),
    ) {
        self.enclosed(['[', ']'], |it| items.into_iter().for_each(|item| tell(it, item)));
    }

    /// The name of the value that is written next.
    pub fn name(&mut self, name: &str) -> &mut Json {
        self.string(name);
        self.text.push(':');
        self.needs_comma = false;
        self
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.begin_value();
        self.text.push('"');
        for it in text.chars() {
            match it {
                '"' | '\\' => self.text.extend(['\\', it]),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                it if it.is_control() => self.push(format_args!("\\u{:04x}", u32::from(it))),
                it => self.text.push(it),
            }
        }
        self.text.push('"');
    }

    /// A number, as it displays itself.
    pub fn number(&mut self, number: impl Display) {
        self.begin_value();
        self.push(number);
    }

    /// A string, or null.
    pub fn string_or_null(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.number("null"),
        }
    }

    fn enclosed(&mut self, marks: [char; 2], tell: impl FnOnce(&mut Json)) {
        self.begin_value();
        self.text.push(marks[0]);
        self.needs_comma = false;
        tell(self);
        self.text.push(marks[1]);
        self.needs_comma = true;
    }

    fn begin_value(&mut self) {
        if self.needs_comma {
            self.text.push(',');
        }
        self.needs_comma = true;
    }

    fn push(&mut self, it: impl Display) {
        write!(self.text, "{it}").expect("a String takes all that is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_between_values_and_nowhere_else() {
        let mut json = Json::default();
        json.object(|it| {
            it.name("none").array([0; 0], |it, n| it.number(n));
            it.name("some").array([1, 2], |it, n| it.number(n));
            it.name("in").object(|it| it.name("a").string("b"));
            it.name("null").string_or_null(None);
        });
        let text = r#"{"none":[],"some":[1,2],"in":{"a":"b"},"null":null}"#;
        assert_eq!(json.into_text(), text);
    }

    #[test]
    fn whatever_a_string_holds_it_stays_one() {
        let mut json = Json::default();
        json.string("a\"b\\c\n\r\t\u{1}\u{7f}\u{85}é\u{fffd}");
        let text = r#""a\"b\\c\n\r\t\u0001\u007f\u0085é"#.to_owned() + "\u{fffd}\"";
        assert_eq!(json.into_text(), text);
    }
}
