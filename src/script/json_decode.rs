//! JSON as Lua's values.

use super::json_settings::Settings;
use super::json_token::{Token, Tokens};
use super::stack::Stack;
use super::thrown::Thrown;

/// However deep a script allows it to be: what a small thread has room for.
const DEPTH_MAX: usize = 1_200;

/// Pushes the value of this text.
pub fn push_decoded(stack: &mut Stack, text: &[u8], settings: &Settings) -> Result<(), Thrown> {
    if matches!(text, [0, _, ..] | [_, 0, ..]) {
        return Err(Thrown::error("JSON parser does not support UTF-16 or UTF-32"));
    }
    stack.step_bytes(text.len(), 1)?;
    let depth_max = DEPTH_MAX.min(settings.decode_depth_max as usize);
    let tokens = Tokens::new(text, settings.decodes_invalid);
    let mut decoder = Decoder { tokens, depth: 0, depth_max };
    let token = decoder.tokens.next();
    decoder.value(stack, token)?;
    match decoder.tokens.next() {
        Token::End => Ok(()),
        other => Err(decoder.unexpected("the end", &other)),
    }
}

struct Decoder<'t> {
    tokens: Tokens<'t>,
    depth: usize,
    depth_max: usize,
}

impl Decoder<'_> {
    fn unexpected(&self, wanted: &str, found: &Token<'_>) -> Thrown {
        let (name, at) = (found.name(), self.tokens.place() + 1);
        Thrown::error(format!("Expected {wanted} but found {name} at character {at}"))
    }

    fn value(&mut self, stack: &mut Stack, token: Token<'_>) -> Result<(), Thrown> {
        stack.step(1)?;
        match token {
            Token::Text => stack.push_bytes(self.tokens.text()),
            Token::Number(number) => stack.push_number(number),
            Token::Boolean(truth) => stack.push_boolean(truth),
            Token::Null => stack.push_pointer(std::ptr::null_mut()),
            Token::ObjectBegin => return self.object(stack),
            Token::ArrayBegin => return self.array(stack),
            other => return Err(self.unexpected("value", &other)),
        }
        Ok(())
    }

    fn descend(&mut self, stack: &mut Stack) -> Result<(), Thrown> {
        self.depth += 1;
        if self.depth_max < self.depth || !stack.has_room(6) {
            let (depth, at) = (self.depth, self.tokens.offset());
            let text = format!("Found too many nested data structures ({depth}) at character {at}");
            return Err(Thrown::error(text));
        }
        Ok(())
    }

    fn object(&mut self, stack: &mut Stack) -> Result<(), Thrown> {
        self.descend(stack)?;
        stack.push_table(0, 0);
        let mut token = self.tokens.next();
        if token != Token::ObjectEnd {
            loop {
                if token != Token::Text {
                    return Err(self.unexpected("object key string", &token));
                }
                stack.push_bytes(self.tokens.text());
                match self.tokens.next() {
                    Token::Colon => {}
                    other => return Err(self.unexpected("colon", &other)),
                }
                let value = self.tokens.next();
                self.value(stack, value)?;
                stack.set_top(-3);
                match self.tokens.next() {
                    Token::ObjectEnd => break,
                    Token::Comma => token = self.tokens.next(),
                    other => return Err(self.unexpected("comma or object end", &other)),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self, stack: &mut Stack) -> Result<(), Thrown> {
        self.descend(stack)?;
        stack.push_table(0, 0);
        let mut token = self.tokens.next();
        if token != Token::ArrayEnd {
            for index in 1.. {
                self.value(stack, token)?;
                stack.set_at(-2, index);
                match self.tokens.next() {
                    Token::ArrayEnd => break,
                    Token::Comma => token = self.tokens.next(),
                    other => return Err(self.unexpected("comma or array end", &other)),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }
}
