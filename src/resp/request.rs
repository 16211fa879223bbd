//! One request as spans over the bytes it arrived in.

/// Where one argument lies in the bytes of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A request: its arguments, borrowed from the read buffer, a log block or a test.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    wire: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Arguments at `spans` of `bytes`. `wire` is the request's own canonical multi-bulk encoding
    /// when it arrived as such, so that the log can repeat it without encoding it again.
    pub fn new(bytes: &'a [u8], spans: &'a [Span], wire: Option<&'a [u8]>) -> Request<'a> {
        Request { bytes, spans, wire }
    }

    /// Number of arguments, the command's name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// No arguments at all: an empty line, which Redis ignores.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument number `index`; 0 is the command's name.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|it| &self.bytes[it.start as usize..it.end as usize])
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |it| &bytes[it.start as usize..it.end as usize])
    }

    /// The request that begins at argument `first`.
    pub fn behind(&self, first: usize) -> Request<'a> {
        Request { spans: self.spans.get(first..).unwrap_or_default(), wire: None, ..*self }
    }

    /// A copy that owns its bytes, and takes no more room than they need.
    pub fn to_owned(&self) -> OwnedRequest {
        let mut owned = OwnedRequest {
            bytes: Vec::with_capacity(self.iter().map(<[u8]>::len).sum()),
            spans: Vec::with_capacity(self.len()),
        };
        self.iter().for_each(|it| owned.push(it));
        owned
    }

    /// The request as it came over the wire, when that is its canonical encoding.
    pub fn wire(&self) -> Option<&'a [u8]> {
        self.wire
    }
}

/// A request that owns its bytes: queued in MULTI, held while it waits, or written by a test.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OwnedRequest {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedRequest {
    /// Copies these arguments.
    pub fn of<I: IntoIterator<Item: AsRef<[u8]>>>(args: I) -> OwnedRequest {
        let mut owned = OwnedRequest::default();
        args.into_iter().for_each(|it| owned.push(it.as_ref()));
        owned
    }

    fn push(&mut self, arg: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(arg);
        self.spans.push(Span { start, end: self.bytes.len() as u32 });
    }

    /// Memory it takes, in bytes.
    pub fn footprint(&self) -> usize {
        size_of::<OwnedRequest>()
            + self.bytes.capacity()
            + self.spans.capacity() * size_of::<Span>()
    }

    /// Its arguments.
    pub fn borrow(&self) -> Request<'_> {
        Request::new(&self.bytes, &self.spans, None)
    }
}

/// Appends a command in the encoding of the replication stream: a multi-bulk array.
pub fn encode_command<'a>(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    encode_header(out, args.len());
    args.for_each(|it| encode_word(out, it));
}

/// Appends the header of a request of `words` words.
#[inline]
pub fn encode_header(out: &mut Vec<u8>, words: usize) {
    encode_number(out, b'*', words);
}

/// Appends one word of a request.
#[inline]
pub fn encode_word(out: &mut Vec<u8>, word: &[u8]) {
    encode_length(out, word.len());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands in front of a word of this length. A line end follows the word.
#[inline]
pub fn encode_length(out: &mut Vec<u8>, word: usize) {
    encode_number(out, b'$', word);
}

#[inline]
fn encode_number(out: &mut Vec<u8>, kind: u8, number: usize) {
    // Most are short, and then all of it is one word of memory.
    if number < 10 {
        return out.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']);
    }
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_holds_the_arguments_and_nothing_else() {
        let original = OwnedRequest::of(["MSET", "a", "", "b", "12345"]);
        let copy = original.borrow().behind(1).to_owned();
        assert!(copy.borrow().iter().eq(original.borrow().iter().skip(1)));
        let bytes = "a".len() + "b12345".len();
        assert_eq!(copy.footprint(), size_of::<OwnedRequest>() + bytes + 4 * size_of::<Span>());
    }
}
