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

    /// The request as it came over the wire, when that is its canonical encoding.
    pub fn wire(&self) -> Option<&'a [u8]> {
        self.wire
    }
}

/// A request that owns its bytes: queued in MULTI, held while it waits, or written by a test.
#[derive(Clone, Debug, Default)]
pub struct OwnedRequest {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedRequest {
    /// Copies these arguments.
    pub fn of<I: IntoIterator<Item: AsRef<[u8]>>>(args: I) -> OwnedRequest {
        let mut owned = OwnedRequest::default();
        for arg in args {
            let start = owned.bytes.len() as u32;
            owned.bytes.extend_from_slice(arg.as_ref());
            owned.spans.push(Span { start, end: owned.bytes.len() as u32 });
        }
        owned
    }

    /// Its arguments.
    pub fn borrow(&self) -> Request<'_> {
        Request::new(&self.bytes, &self.spans, None)
    }
}

/// Appends a command in the encoding of the replication stream: a multi-bulk array.
pub fn encode_command<'a>(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(args.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for arg in args {
        out.push(b'$');
        out.extend_from_slice(digits.format(arg.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
