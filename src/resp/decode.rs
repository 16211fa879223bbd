//! The request decoder: finds requests in bytes that arrive piece by piece.

use crate::base::limits::{BULK_BYTES_MAX, INLINE_BYTES_MAX, REQUEST_ARGS_MAX};
use crate::base::number::parse_i64;
use crate::resp::{Malformed, Request, Span, inline};

/// Spans and scratch bytes kept from one request to the next; more is given back.
const SPANS_KEPT: usize = 1024;
const SCRATCH_BYTES_KEPT: usize = 4 << 10;
/// Most arguments for which spans are laid out before they have arrived.
const QUICK_ARGS_MAX: usize = 64;

/// Whether a client has still to authenticate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthState {
    /// It has, or need not.
    Known,
    /// It has not: Redis' small limits apply.
    Unauthenticated,
}

/// How much one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument.
    pub bulk_bytes_max: usize,
    /// Most arguments.
    pub args_max: usize,
    /// Longest inline request or header line. Redis lets a longer line pass when it arrives in one
    /// piece; here the same bytes are refused however they arrive.
    pub inline_bytes_max: usize,
    /// Whose requests these are.
    pub standing: AuthState,
}

impl Limits {
    /// Most arguments of a stranger's request.
    pub const STRANGER_ARGS_MAX: usize = 10;
    /// A stranger's longest argument.
    pub const STRANGER_BULK_BYTES_MAX: usize = 16 << 10;

    /// The server's limits for a client of this standing.
    pub const fn of(standing: AuthState) -> Limits {
        Limits {
            bulk_bytes_max: BULK_BYTES_MAX,
            args_max: REQUEST_ARGS_MAX,
            inline_bytes_max: INLINE_BYTES_MAX,
            standing,
        }
    }

    fn check_args(&self, args: usize) -> Result<(), Malformed> {
        let stranger = self.standing == AuthState::Unauthenticated;
        match args {
            args if self.args_max < args => Err(Malformed::MultibulkLength),
            args if stranger && Limits::STRANGER_ARGS_MAX < args => {
                Err(Malformed::StrangerMultibulkLength)
            }
            _ => Ok(()),
        }
    }

    /// Longest argument that needs no other check.
    #[inline]
    fn quick_bulk_bytes_max(&self) -> usize {
        match self.standing {
            AuthState::Known => self.bulk_bytes_max,
            AuthState::Unauthenticated => self.bulk_bytes_max.min(Limits::STRANGER_BULK_BYTES_MAX),
        }
    }

    #[inline]
    fn check_bulk(&self, len: usize) -> Result<(), Malformed> {
        let stranger = self.standing == AuthState::Unauthenticated;
        match len {
            len if self.bulk_bytes_max < len => Err(Malformed::BulkLength),
            len if stranger && Limits::STRANGER_BULK_BYTES_MAX < len => {
                Err(Malformed::StrangerBulkLength)
            }
            _ => Ok(()),
        }
    }
}

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

    /// Holds whatever has not been decoded yet to these limits.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
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

    /// Looks for `byte` from where the last look ended.
    fn line_end(
        &mut self,
        bytes: &[u8],
        byte: u8,
        endless: Malformed,
    ) -> Result<Option<usize>, Malformed> {
        let most = bytes.len().min(self.at + self.limits.inline_bytes_max + 1);
        let unseen = bytes.get(self.seen..most).unwrap_or_default();
        if let Some(index) = unseen.iter().position(|it| *it == byte) {
            self.seen += index;
            return Ok(Some(self.seen));
        }
        self.seen = most;
        match bytes.len() - self.at {
            len if self.limits.inline_bytes_max < len => Err(endless),
            _ => Ok(None),
        }
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resp::encode_command;

    type Found = Result<Vec<Vec<u8>>, Malformed>;

    /// Everything found in `bytes`, arriving in pieces of these sizes, over and over.
    fn found(limits: Limits, bytes: &[u8], pieces: &[usize]) -> Vec<Found> {
        let mut decoder = Decoder::new(limits);
        let (mut found, mut start, mut end) = (Vec::new(), 0, 0);
        for piece in pieces.iter().cycle() {
            end = bytes.len().min(end + piece);
            loop {
                match decoder.poll(&bytes[start..end]) {
                    Ok(Step::More { want }) => {
                        assert!(want <= BULK_BYTES_MAX + 2);
                        break;
                    }
                    Ok(Step::Ready { consumed }) => {
                        let request = decoder.request(&bytes[start..end]);
                        found.push(Ok(request.iter().map(<[u8]>::to_vec).collect()));
                        if let (Some(wire), false) = (request.wire(), request.is_empty()) {
                            let mut again = Vec::new();
                            encode_command(&mut again, request.iter());
                            assert_eq!(wire, again);
                            assert_eq!(wire, &bytes[start..start + consumed]);
                        }
                        assert_ne!(consumed, 0);
                        start += consumed;
                    }
                    Err(malformed) => {
                        found.push(Err(malformed));
                        return found;
                    }
                }
            }
            assert!(decoder.spans.capacity() <= SPANS_KEPT.max(end));
            if end == bytes.len() {
                break;
            }
        }
        found
    }

    fn known(bytes: &[u8]) -> Vec<Found> {
        found(Limits::of(AuthState::Known), bytes, &[usize::MAX >> 1])
    }

    fn words(text: &str) -> Found {
        Ok(text.split_whitespace().map(|it| it.as_bytes().to_vec()).collect())
    }

    #[test]
    fn requests_end_where_redis_ends_them() {
        let ping = words("PING");
        assert_eq!(known(b"*1\r\n$4\r\nPINGxx*1\rx$4\rxPINGyy"), [ping.clone(), ping.clone()]);
        assert_eq!(known(b"*-1\r\n*0\r\n\r\n\nPING\r\n"), {
            let empty = words("");
            [empty.clone(), empty.clone(), empty.clone(), empty, ping.clone()]
        });
        assert_eq!(known(b"PING\r\r\nECHO \"a\"\n"), [ping, words("ECHO a")]);
        assert_eq!(known(b"*1\n$4\nPING\n*1\r\nx"), [Err(Malformed::MultibulkLength)]);
        assert_eq!(known(b"*1\r\nx"), []);
    }

    #[test]
    fn malformed_bytes_are_named_as_redis_names_them() {
        let long = |head: &str, len| head.to_owned() + &"1".repeat(len);
        let facts = [
            ("*x\r\n".to_owned(), "invalid multibulk length"),
            ("*01\r\n".to_owned(), "invalid multibulk length"),
            ("*-0\r\n".to_owned(), "invalid multibulk length"),
            ("*\r\n".to_owned(), "invalid multibulk length"),
            ("*2147483648\r\n".to_owned(), "invalid multibulk length"),
            ("*1\r\nx3\r\n".to_owned(), "expected '$', got 'x'"),
            ("*1\r\n\r\n".to_owned(), "expected '$', got '\r'"),
            ("*1\r\n$-1\r\n".to_owned(), "invalid bulk length"),
            ("*1\r\n$04\r\n".to_owned(), "invalid bulk length"),
            ("*1\r\n$536870913\r\n".to_owned(), "invalid bulk length"),
            (long("*", 65_536), "too big mbulk count string"),
            (long("*1\r\n$", 65_536), "too big bulk count string"),
            (long("a", 65_536), "too big inline request"),
            ("SET a \"x\r\n".to_owned(), "unbalanced quotes in request"),
        ];
        for (bytes, text) in facts {
            let malformed = known(bytes.as_bytes()).pop().unwrap().unwrap_err();
            assert_eq!(malformed.to_string(), format!("Protocol error: {text}"));
        }
        assert_eq!(known(long("a", 65_535).as_bytes()), []);
    }

    #[test]
    fn a_stranger_may_send_little() {
        let strange = |bytes: &[u8]| found(Limits::of(AuthState::Unauthenticated), bytes, &[1000]);
        assert_eq!(strange(b"*10\r\n$16384\r\n"), []);
        assert_eq!(strange(b"*11\r\n"), [Err(Malformed::StrangerMultibulkLength)]);
        assert_eq!(strange(b"*1\r\n$16385\r\n"), [Err(Malformed::StrangerBulkLength)]);
        assert_eq!(strange(b"*1\r\n$536870913\r\n"), [Err(Malformed::BulkLength)]);
    }

    #[test]
    fn memory_follows_what_arrived_and_is_given_back() {
        let mut decoder = Decoder::new(Limits::of(AuthState::Known));
        assert_eq!(
            decoder.poll(b"*1000000\r\n$500000000\r\n"),
            Ok(Step::More { want: 500_000_002 })
        );
        assert_eq!(decoder.spans.capacity(), 0);
        let many = known(&[b"*100000\r\n".as_slice(), &b"$0\r\n\r\n".repeat(100_000)].concat());
        assert_eq!(many[0].as_ref().unwrap().len(), 100_000);
        let mut decoder = Decoder::new(Limits::of(AuthState::Known));
        decoder
            .poll(&[b"*100000\r\n".as_slice(), &b"$0\r\n\r\n".repeat(100_000)].concat())
            .unwrap();
        decoder.poll(b"PING\r\n").unwrap();
        assert!(decoder.spans.capacity() <= SPANS_KEPT);
    }

    fn part() -> impl Strategy<Value = Vec<u8>> {
        let args = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..5);
        let command = args.prop_map(|args| {
            let mut out = Vec::new();
            encode_command(&mut out, args.iter().map(Vec::as_slice));
            out
        });
        prop_oneof![
            6 => command,
            2 => "[a-c \"'\\\\x0\t]{0,12}\r?\n".prop_map(String::into_bytes),
            1 => "[*$][-0-9]{0,6}\r\n?".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..8),
        ]
    }

    proptest! {
        #[test]
        fn pieces_do_not_change_what_is_found(
            parts in prop::collection::vec(part(), 0..8),
            pieces in prop::collection::vec(1..40_usize, 1..8),
            tight: bool,
        ) {
            let mut limits = Limits::of(AuthState::Known);
            if tight {
                (limits.bulk_bytes_max, limits.args_max, limits.inline_bytes_max) = (10, 3, 12);
            }
            let bytes = parts.concat();
            let whole = found(limits, &bytes, &[bytes.len().max(1)]);
            prop_assert_eq!(found(limits, &bytes, &pieces), whole);
        }

        #[test]
        fn an_encoded_command_decodes_to_itself(args: Vec<Vec<u8>>) {
            prop_assume!(!args.is_empty());
            let mut bytes = Vec::new();
            encode_command(&mut bytes, args.iter().map(Vec::as_slice));
            let mut decoder = Decoder::new(Limits::of(AuthState::Known));
            prop_assert_eq!(decoder.poll(&bytes), Ok(Step::Ready { consumed: bytes.len() }));
            let request = decoder.request(&bytes);
            prop_assert!(request.iter().eq(args.iter().map(Vec::as_slice)));
            prop_assert_eq!(request.wire(), Some(bytes.as_slice()));
        }
    }
}
