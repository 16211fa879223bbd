//! The request decoder: finds requests in bytes that arrive piece by piece.

use crate::base::number::parse_i64;
use crate::resp::{Limits, Malformed, Request, Span, inline};

/// Spans and scratch bytes kept from one request to the next; more is given back.
const SPANS_KEPT: usize = 1024;
const SCRATCH_BYTES_KEPT: usize = 4 << 10;
/// Most arguments for which spans are laid out before they have arrived.
const QUICK_ARGS_MAX: usize = 64;

/// How every handshake of TLS begins: a record of that kind, in any version.
const TLS_HANDSHAKE: &[u8] = &[22, 3];

/// What [`Decoder::poll`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A request is complete; the next one begins `consumed` bytes on.
    Ready {
        /// Length of the request, never 0.
        consumed: usize,
    },
    /// The request is not complete yet.
    More {
        /// Bytes it needs at least, or 0 when not known. The client says so: a hint for the size of
        /// a read, not for an allocation.
        want: usize,
    },
}

/// Where the decoder stands in the request's bytes.
///
/// ```text
///           '*'           count          length
///  Start ────────▶ Count ───────▶ Length ───────▶ Payload
///    │                              ▲───────────────┘  until no argument is left
///    └───────────▶ Inline                                         ⇒ Ready ⇒ Start
/// ```
#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    Count,
    Length,
    Payload { len: usize },
    Inline,
}

/// Finds requests in bytes, remembering how far it has come when they stop in the middle of one.
///
/// Memory grows with the arguments that have arrived (8 bytes for each, before the vector's slack),
/// never with what a header announces.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    stage: Stage,
    /// Where the part that `stage` names begins.
    at: usize,
    /// Up to where a line's end has been looked for.
    seen: usize,
    /// Arguments not yet found.
    left: usize,
    spans: Vec<Span>,
    /// The words of an inline request with quotes; otherwise empty.
    scratch: Vec<u8>,
    encoding: Encoding,
}

/// How the request found is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    /// As the log would write it.
    Canonical { len: usize },
    /// Some other way; arguments lie in the input.
    Loose,
    /// Quoted; arguments lie in the scratch.
    Quoted,
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: Limits) -> Decoder {
        Decoder {
            limits,
            stage: Stage::Start,
            at: 0,
            seen: 0,
            left: 0,
            spans: Vec::new(),
            scratch: Vec::new(),
            encoding: Encoding::Loose,
        }
    }

    /// Holds every header that has not been read yet to these limits, as Redis does: what AUTH or
    /// CONFIG SET has changed counts for the request behind it in the same bytes. An argument whose
    /// header has been read arrives, however long it is.
    #[inline]
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether more may be found once `len` bytes are there: not while an argument is longer than
    /// what has arrived of it.
    pub fn may_go_on(&self, len: usize) -> bool {
        match self.stage {
            Stage::Payload { len: argument } => self.at + argument + 2 <= len,
            _ => true,
        }
    }

    /// Looks at `bytes`, which begin with the request's first byte, and either finds the request's
    /// end or remembers where to go on. Nothing before that place is looked at again.
    #[inline]
    pub fn poll(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        if let Stage::Start = self.stage {
            let Some(first) = bytes.first() else { return Ok(Step::More { want: 0 }) };
            self.begin(*first);
            if self.quick(bytes) {
                return Ok(self.ready(self.at));
            }
        }
        match self.stage {
            Stage::Inline => self.poll_inline(bytes),
            _ => self.poll_array(bytes),
        }
    }

    /// The request that `poll` has just found in the same bytes; an empty line has no arguments.
    #[inline]
    pub fn request<'a>(&'a self, bytes: &'a [u8]) -> Request<'a> {
        match self.encoding {
            Encoding::Canonical { len } => Request::new(bytes, &self.spans, bytes.get(..len)),
            Encoding::Loose => Request::new(bytes, &self.spans, None),
            Encoding::Quoted => Request::new(&self.scratch, &self.spans, None),
        }
    }

    #[inline]
    fn begin(&mut self, first: u8) {
        self.spans.clear();
        if SPANS_KEPT < self.spans.capacity() || SCRATCH_BYTES_KEPT < self.scratch.capacity() {
            self.give_back();
        }
        (self.at, self.seen) = (0, 0);
        (self.stage, self.encoding) = match first {
            b'*' => (Stage::Count, Encoding::Canonical { len: 0 }),
            _ => (Stage::Inline, Encoding::Loose),
        };
    }

    #[cold]
    fn give_back(&mut self) {
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
        self.spans.shrink_to(SPANS_KEPT);
    }

    /// Finds a small array with short arguments that is all there, as nearly every request is.
    /// Otherwise leaves the decoder behind what was like that, and the rest to the other stages.
    #[inline]
    fn quick(&mut self, bytes: &[u8]) -> bool {
        let Some((args, mut at)) = quick_number(bytes, 0, b'*') else { return false };
        if args == 0 || QUICK_ARGS_MAX < args || self.limits.check_args(args).is_err() {
            return false;
        }
        self.spans.resize(args, Span::default());
        let len_max = self.limits.quick_bulk_bytes_max();
        let mut found = 0;
        for span in &mut self.spans {
            let Some((len, start)) = quick_number(bytes, at, b'$') else { break };
            let end = start + len;
            if len_max < len || bytes.get(end..end + 2) != Some(b"\r\n") {
                break;
            }
            *span = Span { start: start as u32, end: end as u32 };
            (at, found) = (end + 2, found + 1);
        }
        self.spans.truncate(found);
        self.next(at, Stage::Length);
        self.left = args - found;
        self.left == 0
    }

    #[inline]
    fn poll_array(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        if let Stage::Count = self.stage {
            let Some(count) = self.number(bytes, Malformed::MultibulkLine)? else {
                return Ok(Step::More { want: 0 });
            };
            self.left = usize::try_from(count.ok_or(Malformed::MultibulkLength)?).unwrap_or(0);
            self.limits.check_args(self.left)?;
            self.stage = Stage::Length;
        }
        while self.left != 0 {
            if let Some(want) = self.argument(bytes)? {
                return Ok(Step::More { want });
            }
        }
        Ok(self.ready(self.at))
    }

    /// Finds one argument, or returns how many bytes it wants.
    #[inline]
    fn argument(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let len = match self.stage {
            Stage::Payload { len } => len,
            _ => match self.length(bytes)? {
                Some(len) => len,
                None => return Ok(Some(0)),
            },
        };
        let end = self.at + len;
        // Spans are 32-bit.
        let span_end = u32::try_from(end).map_err(|_| Malformed::BulkLength)?;
        let Some(tail) = bytes.get(end..end + 2) else {
            self.stage = Stage::Payload { len };
            return Ok(Some(end + 2 - bytes.len()));
        };
        // Redis steps over these two bytes without a look, so that some clients may depend on it.
        if tail != b"\r\n" {
            self.encoding = Encoding::Loose;
        }
        self.spans.push(Span { start: self.at as u32, end: span_end });
        self.next(end + 2, Stage::Length);
        self.left -= 1;
        Ok(None)
    }

    #[inline]
    fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        match quick_number(bytes, self.at, b'$') {
            Some((len, at)) if len <= self.limits.quick_bulk_bytes_max() => {
                self.next(at, Stage::Length);
                return Ok(Some(len));
            }
            _ => {}
        }
        // The first byte is looked at only when its line is complete: Redis waits for that too.
        let start = self.at;
        let Some(number) = self.number(bytes, Malformed::BulkLine)? else { return Ok(None) };
        if bytes[start] != b'$' {
            return Err(Malformed::NoBulk(bytes[start]));
        }
        let len = number.and_then(|it| usize::try_from(it).ok()).ok_or(Malformed::BulkLength)?;
        self.limits.check_bulk(len)?;
        Ok(Some(len))
    }

    /// Reads the line at `at`: a kind byte, a number, a line end. `None` when the line is not
    /// complete; `Some(None)` when it holds no number.
    fn number(
        &mut self,
        bytes: &[u8],
        endless: Malformed,
    ) -> Result<Option<Option<i64>>, Malformed> {
        let Some(end) = self.line_end(bytes, b'\r', endless)? else { return Ok(None) };
        let Some(newline) = bytes.get(end + 1) else { return Ok(None) };
        if *newline != b'\n' {
            self.encoding = Encoding::Loose;
        }
        // An empty line where an argument should begin ends at its own first byte.
        let number = bytes.get(self.at + 1..end).and_then(parse_i64);
        self.next(end + 2, self.stage);
        Ok(Some(number))
    }

    fn poll_inline(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        // A handshake has no line's end, and whoever sends it waits for an answer.
        if bytes.starts_with(TLS_HANDSHAKE) {
            return Err(Malformed::Tls);
        }
        let Some(end) = self.line_end(bytes, b'\n', Malformed::InlineLine)? else {
            return Ok(Step::More { want: 0 });
        };
        let line = &bytes[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if inline::has_quotes(line) {
            self.scratch.clear();
            self.encoding = Encoding::Quoted;
            inline::unquote(line, &mut self.scratch, &mut self.spans)?;
        } else {
            inline::split(line, &mut self.spans);
        }
        Ok(self.ready(end + 1))
    }

    /// Looks for `byte` from where the last look ended. A line is too long when its end is not
    /// there: Redis looks through whatever has arrived before it measures.
    fn line_end(
        &mut self,
        bytes: &[u8],
        byte: u8,
        endless: Malformed,
    ) -> Result<Option<usize>, Malformed> {
        let unseen = bytes.get(self.seen..).unwrap_or_default();
        if let Some(index) = unseen.iter().position(|it| *it == byte) {
            self.seen += index;
            return Ok(Some(self.seen));
        }
        self.seen = bytes.len();
        if self.limits.inline_bytes_max < bytes.len() - self.at { Err(endless) } else { Ok(None) }
    }

    #[inline]
    fn next(&mut self, at: usize, stage: Stage) {
        (self.at, self.seen, self.stage) = (at, at, stage);
    }

    #[inline]
    fn ready(&mut self, consumed: usize) -> Step {
        if let Encoding::Canonical { len } = &mut self.encoding {
            *len = consumed;
        }
        self.stage = Stage::Start;
        Step::Ready { consumed }
    }
}

/// Reads a header line of up to three digits from the eight bytes at `at`. Returns the number, and
/// where the line after it begins; `None` for any other line, good or bad.
#[inline]
fn quick_number(bytes: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let line: &[u8; 8] = bytes.get(at..)?.first_chunk()?;
    let digit = |it: u8| usize::from(it - b'0');
    match *line {
        [it, ..] if it != kind => None,
        [_, a @ b'0'..=b'9', b'\r', b'\n', ..] => Some((digit(a), at + 4)),
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] => {
            Some((digit(a) * 10 + digit(b), at + 5))
        }
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', ..] => {
            Some((digit(a) * 100 + digit(b) * 10 + digit(c), at + 6))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
