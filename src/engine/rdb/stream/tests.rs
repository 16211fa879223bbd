//! Streams that are written, read and broken.

use super::*;
use crate::base::time::WallMs;
use crate::engine::rdb::layout::Part;
use crate::engine::rdb::{Reader, Writer, form};
use crate::engine::stream::{Acks, NodeLimits, Rules, Stream, StreamId};
use proptest::prelude::*;

/// With everything that a stream can have.
fn full() -> Stream {
    let mut stream = Stream::default();
    let limits = NodeLimits { bytes: 0, entries: 4 };
    for ms in 1..=10 {
        let value = ms.to_string().repeat(ms as usize);
        let fields = [(&b"f"[..], value.as_bytes()), (b"12", b"x")];
        let id = StreamId::new(ms, 1);
        stream
            .entries
            .add(
                id,
                fields.into_iter().take(1 + ms as usize % 2).collect::<Vec<_>>().into_iter(),
                &limits,
            )
            .expect("small");
    }
    stream.entries.delete(StreamId::new(3, 1));
    stream.groups.create(b"g", StreamId::MIN, Some(0));
    stream.groups.create(b"12", StreamId::new(5, 1), None);
    let Stream { entries, groups } = &mut stream;
    let group = groups.get_mut(b"g").expect("there");
    for name in [&b"alice"[..], b"7", b"idle"] {
        let consumer = group.create_consumer(name, WallMs(77)).expect("new");
        if name != b"idle" {
            group.deliver(entries, consumer, 3, Acks::Wanted, WallMs(99), Rules::Redis72);
        }
    }
    stream
}

fn bytes_of(stream: &Stream, form: u8) -> Vec<u8> {
    let mut out = Writer::default();
    write(stream, form, &mut out);
    out.into_bytes()
}

#[test]
fn a_stream_is_read_as_it_was_written_and_in_units() {
    for form in [form::STREAM, form::STREAM_2, form::STREAM_3] {
        let bytes = bytes_of(&full(), form);
        let mut input = Reader::new(&bytes);
        let loaded = StreamLoader::load(form, &mut input).expect("sound");
        assert!(input.rest().is_empty());
        assert_eq!(bytes_of(&loaded, form), bytes);
        let group = loaded.groups.get(b"g").expect("there");
        let alice = group.consumer(group.find_consumer(b"alice").expect("there"));
        assert_eq!((group.pending(), alice.pending(), alice.seen_ms), (6, 3, 77));
        let active_ms = if form == form::STREAM_3 { 99 } else { 77 };
        assert_eq!(alice.active_ms, Some(active_ms));
        // Every unit consists of the parts that are told before.
        let (mut loader, mut input) = (StreamLoader::new(form), Reader::new(&bytes));
        while let Some(parts) = loader.parts() {
            let mut measured = Reader::new(input.rest());
            for part in parts {
                match part {
                    Part::Fixed(len) => drop(measured.take(*len).expect("there")),
                    Part::Length => drop(measured.length().expect("there")),
                    Part::String => drop(measured.string().expect("there")),
                    Part::Score => unreachable!("a stream has no scores"),
                }
            }
            loader.push(&mut input).expect("sound");
            assert_eq!(input.rest(), measured.rest());
        }
        assert_eq!(bytes_of(&loader.build().expect("whole"), form), bytes);
    }
}

#[test]
fn a_part_of_a_stream_is_none() {
    let bytes = bytes_of(&full(), form::STREAM_3);
    for len in 0..bytes.len() {
        assert!(StreamLoader::load(form::STREAM_3, &mut Reader::new(&bytes[..len])).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn broken_bytes_are_refused_or_are_a_stream(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        which in 0..3_usize,
    ) {
        let form = [form::STREAM, form::STREAM_2, form::STREAM_3][which];
        let mut bytes = bytes_of(&full(), form);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(mut stream) = StreamLoader::load(form, &mut Reader::new(&bytes)) {
            // Whatever it is, it can be used.
            let ids: Vec<_> = stream.entries.range_back(StreamId::MIN, StreamId::MAX).map(|it| {
                (it.id, it.fields().count())
            }).collect();
            prop_assert_eq!(ids.len(), stream.len());
            for (id, _) in &ids {
                prop_assert!(stream.entries.delete(*id));
            }
            prop_assert_eq!(stream.len(), 0);
            for (_, group) in stream.groups.iter() {
                let each = group.waiting_consumers().map(|it| it.pending());
                prop_assert_eq!(each.sum::<usize>(), group.pending());
            }
        }
    }

    #[test]
    fn any_bytes_may_be_read(bytes: Vec<u8>, which in 0..3_usize) {
        let form = [form::STREAM, form::STREAM_2, form::STREAM_3][which];
        drop(StreamLoader::load(form, &mut Reader::new(&bytes)));
    }
}
