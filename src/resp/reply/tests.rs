//! Tests of the reply writer: what it writes, and that it holds no more than it may.

use proptest::prelude::*;

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
fn numbers_of_every_length_are_written() {
    for number in (-1100..1100).chain([12_345, i64::MIN, i64::MAX]) {
        assert_eq!(written(Protocol::Resp2, |it| it.int(number)), format!(":{number}\r\n"));
    }
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

const LIMIT: usize = 1 << 20;

fn limited(limit: usize) -> Reply {
    let mut reply = Reply::default();
    reply.set_limit(limit);
    reply
}

#[test]
fn what_would_pass_the_limit_is_dropped_without_a_place_for_it() {
    let mut reply = limited(LIMIT);
    reply.ok();
    let (before, value) = (reply.mark(), vec![b'x'; LIMIT / 3]);
    reply.array(600);
    for _ in 0..600 {
        reply.bulk(&value);
        assert!(reply.capacity() <= LIMIT);
    }
    assert!(reply.is_overflowing());
    reply.bulk(&vec![b'x'; 100 * LIMIT]);
    assert!(reply.capacity() <= LIMIT);
    reply.cut(before);
    assert!(!reply.is_overflowing(), "as if it had never been");
    assert_eq!(reply.bytes(), b"+OK\r\n");
}

#[test]
fn the_limit_itself_may_be_reached() {
    const LEN: usize = "$90\r\n\r\n".len() + 90 + "+OK\r\n:1\r\n".len();
    for (limit, is_passed) in [(LEN, false), (LEN - 1, true)] {
        let mut reply = limited(limit);
        reply.bulk(&[b'x'; 90]);
        reply.ok();
        reply.int(1);
        assert_eq!(reply.is_overflowing(), is_passed);
        assert!(reply.bytes().len() <= limit);
    }
}

#[test]
fn a_loss_is_not_made_good_behind_it_or_by_sending() {
    let lost = || {
        let mut reply = limited(100);
        reply.ok();
        reply.bulk(&[b'x'; 200]);
        reply
    };
    let mut reply = lost();
    let behind = reply.mark();
    reply.error("ERR what the next request came to");
    reply.cut(behind);
    assert!(reply.is_overflowing(), "the reply before it is not whole");
    let mut reply = lost();
    reply.clear();
    assert!(reply.is_overflowing(), "what was sent was not whole");
    let mut reply = lost();
    let start = Mark(0);
    reply.take(start);
    reply.cut(start);
    assert!(reply.is_overflowing(), "what was taken is not whole");
    let mut reply = limited(0);
    reply.ok();
    let behind = reply.mark();
    reply.cut(behind);
    assert!(reply.is_overflowing(), "nothing has found room yet");
}

#[test]
fn a_reply_that_stops_because_it_is_long_is_as_if_it_had_never_been() {
    let value = vec![b'x'; LONG_REPLY_BYTES];
    // Also where the buffer is full to the last byte.
    for filled in 0..300 {
        let mut reply = Reply::default();
        (0..filled).for_each(|_| reply.ok());
        let (mark, before) = (reply.mark(), reply.bytes().to_vec());
        reply.stop_when_long();
        reply.array(2);
        reply.bulk(&value);
        reply.bulk(b"short");
        assert!(reply.has_stopped(mark) && !reply.is_overflowing());
        assert_eq!(reply.bytes(), before);
        reply.bulk(&value);
        assert!(!reply.has_stopped(mark) && !reply.is_overflowing(), "whole, the second time");
        assert!(value.len() < reply.since(mark).len());
    }
}

#[test]
fn what_is_past_the_limit_anyway_does_not_begin_again() {
    let mut reply = limited(100);
    let mark = reply.mark();
    reply.stop_when_long();
    reply.bulk(&[b'x'; 200]);
    assert!(!reply.has_stopped(mark) && reply.is_overflowing());
    let mut reply = Reply::default();
    reply.set_limit(LONG_REPLY_BYTES);
    reply.bulk(&vec![b'x'; LONG_REPLY_BYTES]);
    reply.set_limit(usize::MAX);
    let mark = reply.mark();
    reply.stop_when_long();
    reply.ok();
    assert!(!reply.has_stopped(mark) && reply.is_overflowing(), "the loss is an older one");
}

#[test]
fn a_header_in_front_of_what_overflows_harms_nothing() {
    let mut reply = limited(64);
    let mark = reply.mark();
    reply.bulk(&[b'x'; 40]);
    reply.bulk(&[b'x'; 40]);
    reply.close_array(mark, 1_234_567_890);
    reply.close(mark, |it| it.bulk(&[b'y'; 100]));
    assert!(reply.is_overflowing() && reply.capacity() <= 64);
}

/// A value is copied into a place of its own size; a long reply is not doubled.
#[test]
fn a_buffer_grows_by_what_it_needs_and_a_long_one_by_a_quarter() {
    let mut reply = Reply::default();
    let value = vec![b'x'; 128 << 20];
    reply.bulk(&value);
    assert_eq!(reply.capacity(), "$134217728\r\n\r\n".len() + value.len());
    let before = reply.capacity();
    reply.ok();
    assert!(reply.capacity() <= before + before / 4);
    let mut reply = Reply::default();
    let mut places = 0;
    for _ in 0..1_000_000 {
        let before = reply.capacity();
        reply.bulk(b"twelve bytes");
        places += usize::from(before != reply.capacity());
    }
    assert!(places < 25, "{places} places for a reply of 19 MB");
}

#[test]
fn what_was_taken_is_appended_as_it_was() {
    let mut reply = Reply::default();
    let start = reply.mark();
    reply.bulk(&vec![b'x'; 1000]);
    let (taken, len) = (reply.take(start), reply.bytes().len());
    assert_eq!((taken.len(), len), (1009, 0));
    let at = taken.as_ptr();
    reply.append_owned(taken);
    assert_eq!(reply.bytes().as_ptr(), at, "not copied");
    let mark = reply.mark();
    reply.ok();
    let taken = reply.take(mark);
    reply.int(1);
    reply.append_owned(taken);
    assert_eq!(&reply.bytes()[1009..], b":1\r\n+OK\r\n");
    reply.set_limit(2000);
    reply.append_owned(vec![0; 5000]);
    assert!(reply.is_overflowing());
}

#[test]
fn errors_cut_off_behind_a_long_reply_do_not_move_it() {
    let mut reply = Reply::default();
    reply.bulk(&vec![b'x'; 4 * REPLY_BYTES_KEPT]);
    let mut places = 0;
    for _ in 0..100 {
        let (mark, before) = (reply.mark(), reply.capacity());
        reply.bulk(b"half of a reply");
        reply.cut(mark);
        places += usize::from(before != reply.capacity());
    }
    assert!(places <= 1);
}

#[derive(Clone, Debug)]
enum Write {
    Bulk(usize),
    Int(i64),
    Error(usize),
    Mark,
    Cut,
    Close,
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (0..40usize).prop_map(Write::Bulk),
        1 => (0..600usize).prop_map(Write::Bulk),
        3 => any::<i64>().prop_map(Write::Int),
        1 => (0..30usize).prop_map(Write::Error),
        2 => Just(Write::Mark),
        2 => Just(Write::Cut),
        2 => Just(Write::Close),
    ]
}

proptest! {
    /// Beside a writer without a limit: the same bytes or an overflow, an overflow only when the
    /// limit was passed, and never more room than the limit.
    #[test]
    fn a_limited_reply_is_whole_or_overflows(
        writes in prop::collection::vec(write(), 0..60),
        limit in 0..1500usize,
    ) {
        let (mut free, mut held) = (Reply::default(), limited(limit));
        let (mut marks, mut longest) = (Vec::new(), 0);
        for write in writes {
            let mut both = |write: &dyn Fn(&mut Reply)| [&mut free, &mut held].map(write);
            match write {
                Write::Bulk(len) => _ = both(&|it| it.bulk(&vec![b'x'; len])),
                Write::Int(number) => _ = both(&|it| it.int(number)),
                Write::Error(len) => _ = both(&|it| it.error(&"e\r".repeat(len))),
                Write::Mark => marks.push((free.mark(), held.mark())),
                Write::Cut => {
                    let Some((mark, its)) = marks.pop() else { continue };
                    free.cut(mark);
                    held.cut(its);
                }
                Write::Close => {
                    let Some((mark, its)) = marks.pop() else { continue };
                    free.close_array(mark, 100);
                    held.close_array(its, 100);
                }
            }
            longest = longest.max(free.bytes().len());
            // A first byte has to find a place, and a vector's first place is of eight.
            prop_assert!(held.out.capacity() <= limit.max(8));
            if held.is_overflowing() {
                prop_assert!(limit < longest);
            } else {
                prop_assert_eq!(free.bytes(), held.bytes());
            }
        }
    }
}
