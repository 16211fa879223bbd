//! The reply writer: RESP2 or RESP3, into the connection's output buffer.

use crate::base::limits::{LONG_REPLY_BYTES, REPLY_BYTES_KEPT, REPLY_GROWTH_BYTES};

/// Longest header: a kind, twenty characters of a number, a line end.
const HEADER_BYTES_MAX: usize = 23;

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
///
/// What has been written is bounded by the limit wherever the buffer would have to grow: bytes that
/// find room in it are not counted, so that a short reply pays nothing for its bound. Whoever hands
/// in a buffer of its own exceeds the limit by no more than that buffer has room.
#[derive(Debug)]
pub struct Reply {
    out: Vec<u8>,
    protocol: Protocol,
    /// Most bytes that `out` is grown to.
    limit: usize,
    /// It grows to [`LONG_REPLY_BYTES`] and no further, for now.
    stops_when_long: bool,
    overflow: Overflow,
}

/// Whether bytes are missing because they would have passed the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Overflow {
    /// None are.
    No,
    /// The first of them belongs here; whoever cuts back to this place or before it misses none.
    Since(usize),
    /// Some are missing of what has been taken away meanwhile.
    ForGood,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply::new(Protocol::default())
    }
}

impl Reply {
    /// An empty writer that speaks `protocol`, without a limit.
    pub fn new(protocol: Protocol) -> Reply {
        let (limit, overflow) = (usize::MAX, Overflow::No);
        Reply { out: Vec::new(), protocol, limit, stops_when_long: false, overflow }
    }

    /// Grows to this many bytes and no further from now on. What would need more is dropped, and
    /// so is everything behind it that needs room.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// From here on what would make the replies longer than [`LONG_REPLY_BYTES`] is dropped, until
    /// [`Reply::has_stopped`] is asked.
    #[inline]
    pub fn stop_when_long(&mut self) {
        self.stops_when_long = !self.is_overflowing();
    }

    /// Whether bytes were dropped since [`Reply::stop_when_long`] that a client may well have: then
    /// everything since `mark` is forgotten, and whoever wrote it begins again.
    #[inline]
    pub fn has_stopped(&mut self, mark: Mark) -> bool {
        std::mem::take(&mut self.stops_when_long)
            && self.is_overflowing()
            && self.is_made_good(mark)
    }

    #[cold]
    fn is_made_good(&mut self, mark: Mark) -> bool {
        let is_allowed = LONG_REPLY_BYTES < self.limit;
        if is_allowed {
            self.overflow = Overflow::No;
            self.truncate(mark.0);
        }
        is_allowed
    }

    /// Whether bytes were dropped. What [`Reply::bytes`] shows is then no sequence of replies, and
    /// must not be sent: the connection closes. Cutting back to before the loss makes it good.
    #[inline]
    pub fn is_overflowing(&self) -> bool {
        self.overflow != Overflow::No
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

    /// What has been written, for good.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Bytes for which there is room, those written included.
    pub fn capacity(&self) -> usize {
        self.out.capacity()
    }

    /// Writes into this empty buffer, in place of one without room.
    pub fn lend_buffer(&mut self, buffer: Vec<u8>) {
        assert!(self.out.is_empty() && buffer.is_empty(), "replies would be lost or invented");
        self.out = buffer;
    }

    /// Returns the buffer once everything in it has been sent.
    pub fn return_buffer(&mut self) -> Vec<u8> {
        self.clear();
        std::mem::take(&mut self.out)
    }

    /// Everything, which has been sent, with all its room: freeing that is the caller's.
    pub fn take_sent(&mut self) -> Vec<u8> {
        self.keep_overflow();
        std::mem::take(&mut self.out)
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
        self.keep_overflow();
        if mark.0 == 0 { std::mem::take(&mut self.out) } else { self.out.split_off(mark.0) }
    }

    /// Writes replies that are encoded already.
    pub fn append(&mut self, replies: &[u8]) {
        self.put(replies);
    }

    /// As [`Reply::append`], without a copy where nothing has been written.
    pub fn append_owned(&mut self, replies: Vec<u8>) {
        let is_first = self.out.is_empty() && !self.is_overflowing();
        if is_first && self.out.capacity() < replies.len() && replies.len() <= self.limit {
            self.out = replies;
            return;
        }
        self.put(&replies);
    }

    /// Forgets everything written since `mark`, and the room it took if that is much.
    pub fn cut(&mut self, mark: Mark) {
        if let Overflow::Since(at) = self.overflow
            && mark.0 <= at
        {
            self.overflow = Overflow::No;
        }
        self.truncate(mark.0);
    }

    /// Forgets everything, as [`Reply::cut`] does: it has been sent.
    pub fn clear(&mut self) {
        self.keep_overflow();
        self.truncate(0);
    }

    /// Room that the rest may soon need is kept: one reply cut off behind a long one is no reason
    /// to copy that, and to copy it again for the next.
    fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
        if REPLY_BYTES_KEPT.max(4 * len) < self.out.capacity() {
            self.out.shrink_to(REPLY_BYTES_KEPT);
        }
    }

    /// Bytes that are missing of what leaves stay missing.
    fn keep_overflow(&mut self) {
        if self.is_overflowing() {
            self.overflow = Overflow::ForGood;
        }
    }

    /// `+text`. The text must not hold a line break.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.put(b"+OK\r\n");
    }

    /// `-text`, where text begins with its code (`ERR …`). Line breaks become spaces, as in Redis.
    pub fn error(&mut self, text: &str) {
        self.put(b"-");
        let start = self.out.len();
        self.put(text.trim_end_matches(['\r', '\n']).as_bytes());
        for byte in &mut self.out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.put(b"\r\n");
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
        if self.room() < bytes.len() + HEADER_BYTES_MAX + 2 && !self.grow_for_bulk(bytes.len()) {
            return;
        }
        if let len @ 10..=99 = bytes.len() {
            // As long as most values are: a header of a length that the compiler knows.
            let [tens, ones] = [len as u8 / 10, len as u8 % 10];
            self.put(&[b'$', b'0' + tens, b'0' + ones, b'\r', b'\n']);
        } else {
            self.header(b'$', bytes.len() as i64);
        }
        self.put(bytes);
        self.put(b"\r\n");
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
            Protocol::Resp2 => self.put(b"$-1\r\n"),
            Protocol::Resp3 => self.put(b"_\r\n"),
        }
    }

    /// No array there: a null array, or RESP3's null.
    pub fn null_array(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.put(b"*-1\r\n"),
            Protocol::Resp3 => self.put(b"_\r\n"),
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
            Protocol::Resp3 => self.put(if truth { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// A double, already written as text: a bulk string in RESP2.
    pub fn double_text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// An integer of any length, as text: a bulk string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits.as_bytes()),
            Protocol::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// Plain text with line breaks (INFO, LOLWUT): a verbatim string in RESP3.
    pub fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.put(b"txt:");
                self.put(text.as_bytes());
                self.put(b"\r\n");
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
        self.put(&[kind]);
        self.put(text);
        self.put(b"\r\n");
    }

    #[inline]
    fn header(&mut self, kind: u8, number: i64) {
        if let 0..=9 = number {
            return self.put(&[kind, b'0' + number as u8, b'\r', b'\n']);
        }
        self.line(kind, itoa::Buffer::new().format(number).as_bytes());
    }

    /// Bytes that fit without growing.
    #[inline]
    fn room(&self) -> usize {
        self.out.capacity() - self.out.len()
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.room() < bytes.len() {
            return self.grow_and_put(bytes);
        }
        self.out.extend_from_slice(bytes);
    }

    #[cold]
    #[inline(never)]
    fn grow_and_put(&mut self, bytes: &[u8]) {
        if self.grow(bytes.len()) {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Forgets the first bytes, which have been sent. No mark that is still used lies before them.
    pub fn forget(&mut self, count: usize) {
        self.out.drain(..count);
        if let Overflow::Since(at) = &mut self.overflow {
            *at = at.saturating_sub(count);
        }
    }

    /// Makes room for a whole bulk string: none is written in part, or copied while it grows.
    #[cold]
    #[inline(never)]
    fn grow_for_bulk(&mut self, len: usize) -> bool {
        let header = 1 + itoa::Buffer::new().format(len).len() + 2;
        self.grow(header + len + 2)
    }

    /// Makes room for `more` bytes, or drops them.
    fn grow(&mut self, more: usize) -> bool {
        let (len, capacity) = (self.out.len(), self.out.capacity());
        let needed = len.saturating_add(more);
        if needed <= capacity {
            return true;
        }
        let most = if self.stops_when_long { LONG_REPLY_BYTES } else { usize::MAX };
        let limit = self.limit.min(most);
        if limit < needed || self.is_overflowing() {
            self.overflow();
            return false;
        }
        // Doubled while that is little: a long reply is copied less often than it would take to
        // matter, and its peak is not three times its length.
        let step = capacity.min(REPLY_GROWTH_BYTES.max(capacity / 4));
        let grown = capacity.saturating_add(step).min(limit).max(needed);
        self.out.reserve_exact(grown - len);
        true
    }

    /// Notes the first loss. A byte takes its place, so that marks set from now on lie behind it; a
    /// full buffer has none to spare, and then what begins at its very end counts as lost.
    fn overflow(&mut self) {
        if self.is_overflowing() {
            return;
        }
        let at = self.out.len();
        if at != 0 && self.room() == 0 {
            self.overflow = Overflow::Since(at - 1);
            return;
        }
        self.overflow = Overflow::Since(at);
        self.out.push(b'!');
    }
}

#[cfg(test)]
mod tests;
