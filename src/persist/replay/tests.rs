//! An append-only file read in pieces, cut and damaged in all places.

use super::*;
use crate::base::random::Random;
use crate::engine::Thresholds;
use crate::persist::{position_note, time_note};

const AT: Position = Position { replid: ReplId::new([9; 20]), offset: Offset::new(1000) };

fn engine() -> Engine {
    Engine::new(1, Thresholds::default())
}

fn encode(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        encode_command(&mut bytes, words.into_iter());
    }
    bytes
}

/// A small file, and how much of it is stream.
fn file() -> (Vec<u8>, usize) {
    let first = encode(&["SELECT 0", "SET a 1", "PING", "RPUSH l x y"]);
    let second = encode(&["MULTI", "SET b 2", "SELECT 3", "SADD s m", "EXEC", "INCR n"]);
    let notes = [position_note(AT), time_note(5)];
    let all = [notes[0].as_bytes(), &first, notes[1].as_bytes(), &second].concat();
    (all, first.len() + second.len())
}

fn read(pieces: &[&[u8]]) -> Result<(AofEnd, Replayed), AofFault> {
    let mut replay = Replay::new(engine(), WallMs(1), 1 << 20);
    replay.begin_file();
    for piece in pieces {
        replay.feed(piece)?;
    }
    Ok((replay.end_file()?, replay.finish()))
}

fn keys(replayed: &Replayed) -> usize {
    (0..DATABASES).map(|it| replayed.engine.space(it).len()).sum()
}

#[test]
fn a_file_is_read_the_same_however_it_comes_and_every_byte_has_a_position() {
    let (bytes, stream) = file();
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let pieces = random.pieces(&bytes, 40);
        let (end, replayed) = read(&pieces).unwrap();
        assert_eq!(
            (end, keys(&replayed), replayed.db, replayed.commands),
            (AofEnd::Whole, 5, 3, 5)
        );
        let position = Position { offset: AT.offset.after(stream), ..AT };
        assert_eq!(replayed.position, Some(position), "seed {seed}");
        assert_eq!((replayed.tail.0, replayed.tail.1.len()), (AT.offset, stream));
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_torn_behind_its_last_whole_write() {
    let (bytes, _) = file();
    let mut torn_at = Vec::new();
    for end in 0..=bytes.len() {
        match read(&[&bytes[..end]]).unwrap() {
            (AofEnd::Whole, _) => torn_at.push(end as u64),
            (AofEnd::Torn(at), replayed) => {
                assert_eq!(torn_at.last(), Some(&at), "cut at {end}");
                let (whole, again) = read(&[&bytes[..at as usize]]).unwrap();
                assert_eq!((whole, keys(&again)), (AofEnd::Whole, keys(&replayed)));
            }
            (AofEnd::Until(_), _) => panic!("nobody asked for a time"),
        }
    }
    assert_eq!(torn_at.len(), 9, "{torn_at:?}");
    let zeros = [&bytes[..], &[0; 99]].concat();
    assert_eq!(
        read(&[&zeros[..500.min(zeros.len())], &zeros[500.min(zeros.len())..]]).unwrap().0,
        AofEnd::Torn(bytes.len() as u64)
    );
    let odd = [&bytes[..], &[0; 9], b"*1"].concat();
    assert_eq!(read(&[&odd]).err().unwrap().at, bytes.len() as u64);
    assert_eq!(read(&[&odd[..odd.len() - 2], b"*1"]).err().unwrap().at, bytes.len() as u64);
}

#[test]
fn an_end_that_a_crash_has_left_as_zeros_is_torn() {
    let (bytes, _) = file();
    let mut torn = 0;
    for from in 0..bytes.len() {
        let mut zeroed = bytes.clone();
        zeroed[from..].fill(0);
        zeroed.extend([0; 50]);
        for split in [from, zeroed.len() - 10] {
            let (end, replayed) = read(&[&zeroed[..split], &zeroed[split..]]).unwrap();
            let AofEnd::Torn(at) = end else { panic!("zeros from {from} on: {end:?}") };
            let (whole, again) = read(&[&bytes[..at as usize]]).unwrap();
            assert_eq!((whole, keys(&again)), (AofEnd::Whole, keys(&replayed)), "from {from}");
            assert!(at <= from as u64);
            torn += 1;
        }
    }
    assert_eq!(torn, 2 * bytes.len());
}

#[test]
fn a_byte_that_is_another_loads_or_has_a_place_and_nothing_panics() {
    let (bytes, _) = file();
    let mut refused = 0;
    for at in 0..bytes.len() {
        for change in [1_u8, 0x20, 0x80, 0xff] {
            let mut other = bytes.clone();
            other[at] ^= change;
            match read(&[&other]) {
                Err(fault) => {
                    assert!(fault.at <= at as u64 + 64, "{fault} for a change at {at}");
                    refused += 1;
                }
                Ok((AofEnd::Torn(torn), _)) => assert!(torn <= at as u64),
                Ok((_, replayed)) => assert!(3 <= keys(&replayed), "{at}"),
            }
        }
    }
    assert!(500 < refused, "{refused}");
}

#[test]
fn what_cannot_be_done_is_refused_with_its_place() {
    let why = |lines: &[&str]| read(&[&encode(lines)]).err().unwrap().to_string();
    assert_eq!(why(&["SET a 1", "XNONSENSE"]), "the command XNONSENSE is not known at byte 27");
    assert!(why(&["SET a x", "INCR a"]).starts_with("INCR cannot be done: ERR value is not an"));
    assert_eq!(why(&["EXEC"]), "EXEC has no meaning here at byte 0");
    assert_eq!(why(&["MULTI", "MULTI"]), "MULTI has no meaning here at byte 15");
    assert_eq!(why(&["SELECT 99"]), "there is no database 99 at byte 0");
    let inline = read(&[b"SET a 1\r\n"]).err().unwrap().to_string();
    assert_eq!(inline, "these bytes are no command: expected '*', got 'S' at byte 0");
}

#[test]
fn a_time_is_where_to_stop() {
    let (bytes, _) = file();
    let look = |until| {
        let mut replay = Replay::looking(engine(), until);
        replay.feed(&bytes).unwrap();
        replay.end_file().unwrap()
    };
    assert_eq!((look(None), look(Some(5))), (AofEnd::Whole, AofEnd::Whole));
    let AofEnd::Until(at) = look(Some(4)) else { panic!("it was written later") };
    assert!(bytes[at as usize..].starts_with(b"#TS:5\r\n"));
}
