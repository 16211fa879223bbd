//! Tests of the decoder: whole, in pieces, and held to limits that move.

use proptest::prelude::*;

use super::*;
use crate::base::limits::{BULK_BYTES_MAX, INLINE_BYTES_MAX};
use crate::resp::{AuthState, encode_command};

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
        ("*2147483647\r\n*\r\n".to_owned(), "expected '$', got '*'"),
        ("*1\r\nx3\r\n".to_owned(), "expected '$', got 'x'"),
        ("*1\r\n\r\n".to_owned(), "expected '$', got '\r'"),
        ("*1\r\n$-1\r\n".to_owned(), "invalid bulk length"),
        ("*1\r\n$04\r\n".to_owned(), "invalid bulk length"),
        ("*1\r\n$536870913\r\n".to_owned(), "invalid bulk length"),
        (long("*", 65_536), "too big mbulk count string"),
        (long("*1\r\n$", 65_536), "too big bulk count string"),
        (long("a", 65_536), "too big inline request"),
        (long("*", 65_536) + "\r\n", "invalid multibulk length"),
        (long("*1\r\n$", 65_536) + "\r\n", "invalid bulk length"),
        (long("*1\r\n", 65_536) + "\r\n", "expected '$', got '1'"),
        ("SET a \"x\r\n".to_owned(), "unbalanced quotes in request"),
    ];
    for (bytes, text) in facts {
        let malformed = known(bytes.as_bytes()).pop().unwrap().unwrap_err();
        assert_eq!(malformed.to_string(), format!("Protocol error: {text}"));
    }
    assert_eq!(known(long("a", 65_535).as_bytes()), []);
}

#[test]
fn a_long_line_passes_when_its_end_is_there() {
    let line = [b"ECHO ".as_slice(), &b"x".repeat(2 * INLINE_BYTES_MAX), b"\n"].concat();
    assert_eq!(known(&line).pop().unwrap().unwrap()[1].len(), 2 * INLINE_BYTES_MAX);
    let pieces = found(Limits::of(AuthState::Known), &line, &[INLINE_BYTES_MAX, 1]);
    assert_eq!(pieces, [Err(Malformed::InlineLine)]);
}

#[test]
fn little_may_be_sent_before_auth() {
    let found = |bytes: &[u8]| found(Limits::of(AuthState::Unauthenticated), bytes, &[1000]);
    assert_eq!(found(b"*10\r\n$16384\r\n"), []);
    assert_eq!(found(b"*11\r\n"), [Err(Malformed::UnauthenticatedMultibulkLength)]);
    assert_eq!(found(b"*2147483647\r\n"), [Err(Malformed::UnauthenticatedMultibulkLength)]);
    assert_eq!(found(b"*2147483648\r\n"), [Err(Malformed::MultibulkLength)]);
    assert_eq!(found(b"*1\r\n$16385\r\n"), [Err(Malformed::UnauthenticatedBulkLength)]);
    assert_eq!(found(b"*1\r\n$536870913\r\n"), [Err(Malformed::BulkLength)]);
}

/// `AUTH pw` and what is sent behind it, wherever the bytes are cut.
#[test]
fn limits_that_auth_moves_hold_for_the_next_request_of_the_same_bytes() {
    let auth = b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n".as_slice();
    let many = [b"*13\r\n".as_slice(), &b"$1\r\na\r\n".repeat(13)].concat();
    let long = [b"*1\r\n$20000\r\n".as_slice(), &[b'x'; 20_000], b"\r\n"].concat();
    for behind in [many, long] {
        let bytes = [auth, &behind].concat();
        for cut in 0..bytes.len().min(auth.len() + 40) {
            let mut decoder = Decoder::new(Limits::of(AuthState::Unauthenticated));
            let first = match decoder.poll(&bytes[..cut]).unwrap() {
                Step::More { .. } => decoder.poll(&bytes).unwrap(),
                ready => ready,
            };
            assert_eq!(first, Step::Ready { consumed: auth.len() });
            let served = cut.max(auth.len());
            decoder.limit(Limits::of(AuthState::Known));
            assert!(matches!(decoder.poll(&bytes[auth.len()..served]), Ok(Step::More { .. })));
            decoder.limit(Limits::of(AuthState::Known));
            let consumed = behind.len();
            assert_eq!(decoder.poll(&behind), Ok(Step::Ready { consumed }), "cut at {cut}");
        }
    }
}

/// Redis looks at a header once, by the limits of that moment.
#[test]
fn a_header_that_has_been_read_is_not_held_to_later_limits() {
    let (known, unknown) = (AuthState::Known, AuthState::Unauthenticated);
    let many = [b"*13\r\n".as_slice(), &b"$1\r\na\r\n".repeat(13)].concat();
    let mut decoder = Decoder::new(Limits::of(known));
    assert!(matches!(decoder.poll(&many[..30]), Ok(Step::More { .. })));
    decoder.limit(Limits::of(unknown));
    assert_eq!(decoder.poll(&many), Ok(Step::Ready { consumed: many.len() }));
    assert_eq!(decoder.poll(&many), Err(Malformed::UnauthenticatedMultibulkLength));

    let long = [b"*2\r\n$3000\r\n".as_slice(), &[b'x'; 3000], b"\r\n$3000\r\n"].concat();
    let mut decoder = Decoder::new(Limits::of(known));
    assert!(matches!(decoder.poll(&long[..100]), Ok(Step::More { .. })));
    decoder.limit(Limits { bulk_bytes_max: 2999, ..Limits::of(known) });
    assert_eq!(decoder.poll(&long), Err(Malformed::BulkLength), "the next argument's header");

    let mut decoder = Decoder::new(Limits::of(unknown));
    assert_eq!(decoder.poll(b"*1"), Ok(Step::More { want: 0 }));
    decoder.limit(Limits::of(known));
    assert_eq!(decoder.poll(&many), Ok(Step::Ready { consumed: many.len() }), "half a header");
}

#[test]
fn memory_follows_what_arrived_and_is_given_back() {
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    assert_eq!(decoder.poll(b"*2000000000\r\n"), Ok(Step::More { want: 0 }));
    assert_eq!(
        decoder.poll(b"*2000000000\r\n$500000000\r\n"),
        Ok(Step::More { want: 500_000_002 })
    );
    assert_eq!(decoder.spans.capacity(), 0);
    let many = [b"*100000\r\n".as_slice(), &b"$0\r\n\r\n".repeat(100_000)].concat();
    assert_eq!(known(&many)[0].as_ref().unwrap().len(), 100_000);
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    decoder.poll(&many).unwrap();
    decoder.poll(b"PING\r\n").unwrap();
    assert!(decoder.spans.capacity() <= SPANS_KEPT);
}

/// A million and more arguments, of which every byte is looked at once however they arrive: were
/// the beginning read again at every piece, this would take minutes.
#[test]
fn a_request_of_more_than_a_million_arguments_is_found_in_pieces() {
    const ARGS: usize = 1_200_001;
    let bytes = [format!("*{ARGS}\r\n").as_bytes(), &b"$1\r\na\r\n".repeat(ARGS)].concat();
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    for end in (0..bytes.len()).step_by(97) {
        assert!(matches!(decoder.poll(&bytes[..end]), Ok(Step::More { .. })));
        assert!(decoder.spans.len() <= end / 7, "not before they arrive");
    }
    assert_eq!(decoder.poll(&bytes), Ok(Step::Ready { consumed: bytes.len() }));
    assert_eq!(decoder.request(&bytes).len(), ARGS);
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

fn is_endless(malformed: Malformed) -> bool {
    use Malformed::{BulkLine, InlineLine, MultibulkLine};
    matches!(malformed, InlineLine | MultibulkLine | BulkLine)
}

proptest! {
    #[test]
    fn pieces_do_not_change_what_is_found(
        parts in prop::collection::vec(part(), 0..8),
        pieces in prop::collection::vec(1..40_usize, 1..8),
        tight: bool,
        auth in prop_oneof![Just(AuthState::Known), Just(AuthState::Unauthenticated)],
    ) {
        let mut limits = Limits::of(auth);
        if tight {
            (limits.bulk_bytes_max, limits.inline_bytes_max) = (10, 12);
        }
        let bytes = parts.concat();
        let whole = found(limits, &bytes, &[bytes.len().max(1)]);
        let mut found = found(limits, &bytes, &pieces);
        // But for a line that is too long as long as its end is missing.
        if let Some(Err(endless)) = found.last() && is_endless(*endless) && found != whole {
            found.pop();
            prop_assert!(tight && whole.starts_with(&found) && found.len() < whole.len());
        } else {
            prop_assert_eq!(found, whole);
        }
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
