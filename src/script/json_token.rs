//! The words of JSON, read from the left.

/// One of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Token<'t> {
    /// `{`
    ObjectBegin,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayBegin,
    /// `]`
    ArrayEnd,
    /// A string; [`Tokens::text`] has it.
    Text,
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`
    Null,
    /// `:`
    Colon,
    /// `,`
    Comma,
    /// No more text, or a zero byte.
    End,
    /// None of these, and why.
    Wrong(&'t str),
}

impl Token<'_> {
    /// What an error calls it.
    pub fn name(&self) -> &str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Text => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Wrong(why) => why,
        }
    }
}

/// A text that is read.
pub struct Tokens<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Where the last token began, or went wrong.
    place: usize,
    text: Vec<u8>,
    takes_invalid: bool,
}

impl<'t> Tokens<'t> {
    /// Reads this text.
    pub fn new(bytes: &'t [u8], takes_invalid: bool) -> Tokens<'t> {
        Tokens { bytes, at: 0, place: 0, text: Vec::new(), takes_invalid }
    }

    /// Where the last token began, or went wrong.
    pub fn place(&self) -> usize {
        self.place
    }

    /// How far has been read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The last string.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn wrong(&mut self, why: &'t str) -> Token<'t> {
        self.place = self.at;
        Token::Wrong(why)
    }

    /// The next one.
    pub fn next(&mut self) -> Token<'t> {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.place = self.at;
        let token = match self.peek(0) {
            0 => return Token::End,
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                if !self.takes_invalid && self.is_invalid_number() {
                    return self.wrong("invalid number");
                }
                return self.number();
            }
            _ => return self.word(),
        };
        self.at += 1;
        token
    }

    fn word(&mut self) -> Token<'t> {
        let rest = &self.bytes[self.at..];
        for (word, token) in [
            ("true", Token::Boolean(true)),
            ("false", Token::Boolean(false)),
            ("null", Token::Null),
        ] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        if self.takes_invalid && self.is_invalid_number() {
            return self.number();
        }
        self.wrong("invalid token")
    }

    /// Whether `strtod` would take what JSON does not allow.
    fn is_invalid_number(&self) -> bool {
        let mut ahead = 0;
        match self.peek(0) {
            b'+' => return true,
            b'-' => ahead = 1,
            _ => {}
        }
        match self.peek(ahead) {
            b'0' => matches!(self.peek(ahead + 1), b'x' | b'X' | b'0'..=b'9'),
            b'1'..=b'9' => false,
            _ => {
                let rest = &self.bytes[(self.at + ahead).min(self.bytes.len())..];
                let word = rest.get(..3).unwrap_or_default();
                word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
            }
        }
    }

    fn number(&mut self) -> Token<'t> {
        let (number, len) = super::strtod::strtod(&self.bytes[self.at..]);
        if len == 0 {
            return self.wrong("invalid number");
        }
        self.at += len;
        Token::Number(number)
    }

    fn string(&mut self) -> Token<'t> {
        self.text.clear();
        self.at += 1;
        loop {
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return Token::Text;
                }
                0 => return self.wrong("unexpected end of string"),
                b'\\' => {
                    if let Err(why) = self.escape() {
                        return self.wrong(why);
                    }
                }
                byte => {
                    self.text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let plain = match self.peek(1) {
            b'u' => return self.unicode().ok_or("invalid unicode escape code"),
            it @ (b'"' | b'\\' | b'/') => it,
            b'b' => 8,
            b't' => 9,
            b'n' => 10,
            b'f' => 12,
            b'r' => 13,
            _ => return Err("invalid escape code"),
        };
        self.text.push(plain);
        self.at += 2;
        Ok(())
    }

    fn hex4(&self, ahead: usize) -> Option<u32> {
        let digits = self.bytes.get(self.at + ahead..self.at + ahead + 4)?;
        digits.iter().try_fold(0, |sum, it| Some(sum << 4 | char::from(*it).to_digit(16)?))
    }

    fn unicode(&mut self) -> Option<()> {
        let first = self.hex4(2)?;
        let (code, len) = if first & 0xF800 != 0xD800 {
            (first, 6)
        } else {
            // A pair of surrogates, the high one first.
            let is_pair = first & 0x400 == 0 && self.peek(6) == b'\\' && self.peek(7) == b'u';
            let second = if is_pair { self.hex4(8)? } else { return None };
            if second & 0xFC00 != 0xDC00 {
                return None;
            }
            (0x1_0000 + ((first & 0x3FF) << 10 | second & 0x3FF), 12)
        };
        let letter = char::from_u32(code)?;
        self.text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += len;
        Some(())
    }
}
