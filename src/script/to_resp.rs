//! What a script returned, as a reply in the protocol's bytes.

use super::limits::{REPLY_BYTES_MAX, REPLY_DEPTH_MAX};
use super::number_text::number_text;
use super::stack::{Kind, Stack, cast_i64};
use crate::resp::Protocol;

/// A table whose elements are being written; it lies on the stack.
enum Open {
    Array { next: usize, len: usize },
    Map(NextPart),
    Set,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NextPart {
    Key,
    Value,
}

/// Takes the top value away and appends it as a reply for a client of `protocol`. `of_script` is
/// the protocol that the script itself has chosen.
pub fn write_top(stack: &mut Stack, protocol: Protocol, of_script: Protocol, out: &mut Vec<u8>) {
    let bottom = stack.len() - 1;
    let mut writer = Writer { protocol, of_script, out, open: Vec::new() };
    let start = writer.out.len();
    writer.value(stack);
    while writer.push_next(stack) {
        writer.value(stack);
        let why: Option<&[u8]> = if REPLY_BYTES_MAX < writer.out.len() - start {
            Some(b"-ERR the reply of the script is too long\r\n")
        } else if stack.step(1).is_err() {
            Some(b"-ERR Script killed by user with SCRIPT KILL...\r\n")
        } else {
            None
        };
        if let Some(why) = why {
            out.truncate(start);
            out.extend_from_slice(why);
            break;
        }
    }
    stack.set_len(bottom);
}

struct Writer<'o> {
    protocol: Protocol,
    of_script: Protocol,
    out: &'o mut Vec<u8>,
    open: Vec<Open>,
}

impl Writer<'_> {
    /// Pushes what is to be written next; nothing at the end.
    fn push_next(&mut self, stack: &mut Stack) -> bool {
        while let Some(open) = self.open.last_mut() {
            let has_more = match open {
                Open::Array { next, len } => {
                    *next += 1;
                    if *next <= *len {
                        stack.get_at(-1, *next);
                    }
                    *next <= *len
                }
                Open::Map(part @ NextPart::Value) => {
                    *part = NextPart::Key;
                    true
                }
                Open::Map(part) => {
                    *part = NextPart::Value;
                    let has_more = stack.next(-2);
                    if has_more {
                        stack.push_copy(-2);
                    }
                    has_more
                }
                Open::Set => {
                    let has_more = stack.next(-2);
                    if has_more {
                        stack.pop(1);
                        stack.push_copy(-1);
                    }
                    has_more
                }
            };
            if has_more {
                return true;
            }
            stack.pop(1);
            self.open.pop();
        }
        false
    }

    /// Writes the top and takes it away, or opens it.
    fn value(&mut self, stack: &mut Stack) {
        if REPLY_DEPTH_MAX <= self.open.len() || !stack.has_room(4) {
            self.line(b'-', b"ERR reached lua stack limit");
            return stack.pop(1);
        }
        match stack.kind(-1) {
            Kind::String => self.bulk(stack.bytes(-1).unwrap_or_default()),
            Kind::Boolean => self.boolean(stack.is_true(-1)),
            Kind::Number => self.integer(cast_i64(stack.number(-1))),
            Kind::Table => return self.table(stack),
            _ => self.null(),
        }
        stack.pop(1);
    }

    fn table(&mut self, stack: &mut Stack) {
        for (field, kind) in [(b"err".as_slice(), b'-'), (b"ok", b'+')] {
            stack.get(-1, field);
            if let Some(text) = stack.string(-1) {
                self.line(kind, text);
                return stack.pop(2);
            }
            stack.pop(1);
        }
        stack.get(-1, b"double");
        if stack.kind(-1) == Kind::Number {
            self.double(stack.number(-1));
            return stack.pop(2);
        }
        stack.pop(1);
        for (field, open) in [(b"map", Open::Map(NextPart::Key)), (b"set", Open::Set)] {
            stack.get(-1, field);
            if stack.kind(-1) == Kind::Table {
                stack.remove(-2);
                return self.open_pairs(stack, open);
            }
            stack.pop(1);
        }
        stack.get(-1, b"big_number");
        if let Some(text) = stack.string(-1) {
            let line: Vec<u8> = text.iter().map(plain).collect();
            match self.protocol {
                Protocol::Resp3 => {
                    self.out.push(b'(');
                    self.out.extend_from_slice(&line);
                    self.out.extend_from_slice(b"\r\n");
                }
                Protocol::Resp2 => self.bulk(&line),
            }
            return stack.pop(2);
        }
        stack.pop(1);
        if self.verbatim(stack) {
            return stack.pop(1);
        }
        let mut len = 0;
        loop {
            stack.get_at(-1, len + 1);
            let is_end = stack.kind(-1) == Kind::Nil;
            stack.pop(1);
            if is_end {
                break;
            }
            len += 1;
        }
        self.header(b'*', len);
        self.open.push(Open::Array { next: 0, len });
    }

    fn open_pairs(&mut self, stack: &mut Stack, open: Open) {
        let mut len = 0;
        stack.push_nil();
        while stack.next(-2) {
            stack.pop(1);
            len += 1;
        }
        match (&open, self.protocol) {
            (Open::Set, Protocol::Resp3) => self.header(b'~', len),
            (Open::Map(_), Protocol::Resp3) => self.header(b'%', len),
            (Open::Map(_), Protocol::Resp2) => self.header(b'*', 2 * len),
            _ => self.header(b'*', len),
        }
        stack.push_nil();
        self.open.push(open);
    }

    fn verbatim(&mut self, stack: &mut Stack) -> bool {
        let len = stack.len();
        stack.get(-1, b"verbatim_string");
        if stack.kind(-1) == Kind::Table {
            stack.get(-1, b"format");
            stack.get(-2, b"string");
        }
        let is_one = stack.len() == len + 3;
        let found = if is_one { stack.string(-2).zip(stack.string(-1)) } else { None };
        if let Some((format, text)) = found {
            if self.protocol == Protocol::Resp3 {
                let mut three = [b' '; 3];
                three.iter_mut().zip(format).for_each(|(to, from)| *to = *from);
                self.header(b'=', text.len() + 4);
                self.out.extend_from_slice(&three);
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            } else {
                self.bulk(text);
            }
        }
        stack.set_len(len);
        found.is_some()
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        // A line ends where C would end it.
        let mut text = text.split(|it| *it == 0).next().unwrap_or_default();
        while let (b'-', [rest @ .., b'\r' | b'\n']) = (kind, text) {
            text = rest;
        }
        self.out.extend(text.iter().map(plain));
        self.out.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, kind: u8, len: usize) {
        self.out.push(kind);
        self.out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    fn integer(&mut self, number: i64) {
        self.line(b':', itoa::Buffer::new().format(number).as_bytes());
    }

    fn double(&mut self, number: f64) {
        let text = number_text(number);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    fn boolean(&mut self, truth: bool) {
        match (self.of_script, self.protocol, truth) {
            (Protocol::Resp2, _, true) => self.integer(1),
            (Protocol::Resp2, _, false) => self.null(),
            (Protocol::Resp3, Protocol::Resp2, _) => self.integer(i64::from(truth)),
            (Protocol::Resp3, Protocol::Resp3, true) => self.line(b'#', b"t"),
            (Protocol::Resp3, Protocol::Resp3, false) => self.line(b'#', b"f"),
        }
    }

    fn null(&mut self) {
        let null: &[u8] = if self.protocol == Protocol::Resp3 { b"_\r\n" } else { b"$-1\r\n" };
        self.out.extend_from_slice(null);
    }
}

/// A byte of a reply that is one line.
fn plain(byte: &u8) -> u8 {
    if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }
}
