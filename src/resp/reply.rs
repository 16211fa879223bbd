//! The reply writer: RESP2 or RESP3, into the connection's output buffer.

use crate::base::limits::REPLY_BYTES_KEPT;

/// What HELLO agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// The protocol every client starts with.
    #[default]
    Resp2,
    /// Maps, sets, doubles, booleans, nulls and pushes as types of their own.
    Resp3,
}

/// Where a reply of unknown length began; see [`Reply::mark`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// Writes replies one behind the other. Verbs see only this, never a client.
#[derive(Debug, Default)]
pub struct Reply {
    out: Vec<u8>,
    protocol: Protocol,
}

impl Reply {
    /// An empty writer that speaks `protocol`.
    pub fn new(protocol: Protocol) -> Reply {
        Reply { out: Vec::new(), protocol }
    }

    /// The protocol in use.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Switches the protocol from the next reply on.
    pub fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// The buffer itself, for the connection that sends it.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Remembers this place, to cut back to it or to put a header in front of what follows.
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    /// Bytes written since `mark`.
    pub fn since(&self, mark: Mark) -> &[u8] {
        &self.out[mark.0..]
    }

    /// Takes back everything written since `mark`, to send it later.
    pub fn take(&mut self, mark: Mark) -> Vec<u8> {
        self.out.split_off(mark.0)
    }

    /// Forgets everything written since `mark`, and the room it took if that is much.
    pub fn cut(&mut self, mark: Mark) {
        self.out.truncate(mark.0);
        if REPLY_BYTES_KEPT < self.out.capacity() {
            self.out.shrink_to(REPLY_BYTES_KEPT);
        }
    }

    /// Forgets everything, as [`Reply::cut`] does: it has been sent.
    pub fn clear(&mut self) {
        self.cut(Mark(0));
    }

    /// `+text`. The text must not hold a line break.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `-text`, where text begins with its code (`ERR …`). Line breaks become spaces, as in Redis.
    pub fn error(&mut self, text: &str) {
        self.out.push(b'-');
        let text = text.trim_end_matches(['\r', '\n']);
        self.out.extend(text.bytes().map(|it| if it == b'\r' || it == b'\n' { b' ' } else { it }));
        self.out.extend_from_slice(b"\r\n");
    }

    /// `:number`.
    pub fn int(&mut self, number: i64) {
        self.header(b':', number);
    }

    /// A count or a length.
    pub fn count(&mut self, number: usize) {
        self.header(b':', number as i64);
    }

    /// A bulk string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A bulk string or a null.
    pub fn maybe(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// An integer as a bulk string.
    pub fn bulk_int(&mut self, number: i64) {
        self.bulk(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Nothing there: a null bulk string, or RESP3's null.
    pub fn null(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.out.extend_from_slice(b"$-1\r\n"),
            Protocol::Resp3 => self.out.extend_from_slice(b"_\r\n"),
        }
    }

    /// No array there: a null array, or RESP3's null.
    pub fn null_array(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.out.extend_from_slice(b"*-1\r\n"),
            Protocol::Resp3 => self.out.extend_from_slice(b"_\r\n"),
        }
    }

    /// The header of an array; `len` replies must follow.
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// The header of a map of `len` pairs; a flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * len as i64),
            Protocol::Resp3 => self.header(b'%', len as i64),
        }
    }

    /// The header of a set; an array in RESP2.
    pub fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len as i64),
            Protocol::Resp3 => self.header(b'~', len as i64),
        }
    }

    /// The header of an attribute of `len` pairs, which tells something of the reply behind it.
    /// There is none in RESP2.
    pub fn attribute(&mut self, len: usize) {
        assert_eq!(self.protocol, Protocol::Resp3, "only who speaks RESP3 asks for attributes");
        self.header(b'|', len as i64);
    }

    /// The header of a push message; an array in RESP2.
    pub fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len as i64),
            Protocol::Resp3 => self.header(b'>', len as i64),
        }
    }

    /// A truth: 1 or 0 in RESP2.
    pub fn boolean(&mut self, truth: bool) {
        match self.protocol {
            Protocol::Resp2 => self.int(i64::from(truth)),
            Protocol::Resp3 => {
                self.out.extend_from_slice(if truth { b"#t\r\n" } else { b"#f\r\n" })
            }
        }
    }

    /// A double, already written as text: a bulk string in RESP2.
    pub fn double_text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Plain text with line breaks (INFO, LOLWUT): a verbatim string in RESP3.
    pub fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Puts an array header of `len` in front of everything since `mark`, for replies whose length
    /// is known only at their end.
    pub fn close_array(&mut self, mark: Mark, len: usize) {
        self.close(mark, |it| it.array(len));
    }

    /// As [`Reply::close_array`], with a set's header.
    pub fn close_set(&mut self, mark: Mark, len: usize) {
        self.close(mark, |it| it.set(len));
    }

    /// Puts what `header` writes in front of everything since `mark`.
    pub fn close(&mut self, mark: Mark, header: impl FnOnce(&mut Reply)) {
        let end = self.out.len();
        header(self);
        let header_len = self.out.len() - end;
        self.out[mark.0..].rotate_right(header_len);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn header(&mut self, kind: u8, number: i64) {
        if let 0..=9 = number {
            self.out.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']);
            return;
        }
        self.line(kind, itoa::Buffer::new().format(number).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Reply)) -> String {
        let mut reply = Reply::new(protocol);
        write(&mut reply);
        String::from_utf8(reply.out).unwrap()
    }

    #[test]
    fn types_that_resp2_lacks_become_what_it_has() {
        let all = |it: &mut Reply| {
            it.null();
            it.null_array();
            it.map(2);
            it.set(12);
            it.boolean(true);
            it.double_text("1.5");
            it.verbatim("a");
        };
        let two = written(Protocol::Resp2, all);
        assert_eq!(two, "$-1\r\n*-1\r\n*4\r\n*12\r\n:1\r\n$3\r\n1.5\r\n$1\r\na\r\n");
        let three = written(Protocol::Resp3, all);
        assert_eq!(three, "_\r\n_\r\n%2\r\n~12\r\n#t\r\n,1.5\r\n=5\r\ntxt:a\r\n");
    }

    #[test]
    fn a_header_can_be_put_in_front_of_what_was_written() {
        let text = written(Protocol::Resp2, |it| {
            it.ok();
            let mark = it.mark();
            it.int(-1);
            it.bulk(b"ab");
            it.close_array(mark, 2);
        });
        assert_eq!(text, "+OK\r\n*2\r\n:-1\r\n$2\r\nab\r\n");
    }

    #[test]
    fn the_room_of_a_long_reply_is_given_back() {
        let mut reply = Reply::default();
        reply.ok();
        let mark = reply.mark();
        reply.bulk(&vec![b'x'; 8 * REPLY_BYTES_KEPT]);
        reply.cut(mark);
        assert_eq!(reply.bytes(), b"+OK\r\n");
        assert!(reply.out.capacity() <= REPLY_BYTES_KEPT);
        reply.bulk(&vec![b'x'; 8 * REPLY_BYTES_KEPT]);
        reply.clear();
        assert!(reply.bytes().is_empty() && reply.out.capacity() <= REPLY_BYTES_KEPT);
    }

    #[test]
    fn an_error_stays_on_one_line() {
        assert_eq!(written(Protocol::Resp2, |it| it.error("ERR a\r\nb")), "-ERR a  b\r\n");
    }
}
