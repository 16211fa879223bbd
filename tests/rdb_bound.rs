//! What a 1 GB RDB file takes beside its data, while it is loaded and while it is written.

use entourage::base::time::WallMs;
use entourage::engine::rdb::{FileInfo, Loader, SnapshotWriter};
use entourage::engine::{Engine, Thresholds};
use entourage::runtime::allocation::{Counting, allocated_bytes};
use std::fs;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MB: u64 = 1 << 20;
const BOUND: u64 = 16 * MB;
const NOW: WallMs = WallMs(0);
/// As much as is read from a socket at a time.
const READ_BYTES: usize = 256 << 10;

/// The most that was allocated at any time, as far as was looked.
struct Peak(u64);

impl Peak {
    fn look(&mut self) {
        self.0 = self.0.max(allocated_bytes());
    }
}

/// A line of the kernel's account of this process, in bytes.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("it is there");
    let line = text.lines().find_map(|it| it.strip_prefix(name)).expect("the line");
    let kb = line.trim_matches(|it: char| !it.is_ascii_digit());
    kb.parse::<u64>().expect("a number") * 1024
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.push(0x80);
    out.extend_from_slice(&(len as u32).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_len(out, text.len());
    out.extend_from_slice(text);
}

/// One key of the file: strings of 1 KB, and every so often a set, a hash or a list of 10,000.
fn put_key(out: &mut Vec<u8>, number: usize, value: &[u8]) {
    const ELEMENTS: usize = 10_000;
    let kind = match number % 1200 {
        300 => 1,
        600 => 2,
        900 => 4,
        _ => 0,
    };
    out.push(kind);
    put_text(out, format!("key {number:09}").as_bytes());
    if kind == 0 {
        return put_text(out, value);
    }
    put_len(out, ELEMENTS);
    for it in 0..ELEMENTS {
        put_text(out, format!("element {it:09} of {number:09} {}", "x".repeat(24)).as_bytes());
        if kind == 4 {
            put_text(out, &value[..40]);
        }
    }
}

fn feed(loader: &mut Loader, bytes: &[u8], peak: &mut Peak) {
    for piece in bytes.chunks(READ_BYTES) {
        loader.feed(piece).expect("the file is sound");
        peak.look();
    }
}

/// Loads a file of this many bytes that is never there as a whole. Answers what it holds, and how
/// long the file was.
fn load(bytes: u64) -> (Engine, u64) {
    let before = allocated_bytes();
    let mut peak = Peak(before);
    let mut loader = Loader::new(Engine::new(1, Thresholds::default()), NOW);
    let value: Vec<u8> = (0..1024).map(|it| (it % 251) as u8).collect();
    let mut piece = Vec::with_capacity(2 * MB as usize);
    let (mut total, mut number) = (0, 0);
    piece.extend_from_slice(b"REDIS0010\xFE\0");
    while total < bytes {
        while piece.len() < MB as usize {
            put_key(&mut piece, number, &value);
            number += 1;
        }
        total += piece.len() as u64;
        feed(&mut loader, &piece, &mut peak);
        piece.clear();
    }
    feed(&mut loader, b"\xFF\0\0\0\0\0\0\0\0", &mut peak);
    drop(piece);
    let engine = loader.finish().expect("the file is sound").engine;
    let data = allocated_bytes() - before;
    let beside = (peak.0 - before).saturating_sub(data);
    let resident = status("VmHWM:").saturating_sub(status("VmRSS:"));
    println!(
        "loading {} MB, {number} keys: data {} MB, beside it {} KB, resident beside it {} KB",
        total / MB,
        data / MB,
        beside / 1024,
        resident / 1024
    );
    assert!(beside < BOUND, "{beside} bytes beside the data");
    assert!(resident < BOUND, "{resident} bytes were resident and are not");
    (engine, total)
}

/// Writes what there is to nowhere. Answers how many bytes that were.
fn write(engine: &Engine) -> u64 {
    let (before, resident) = (allocated_bytes(), status("VmRSS:"));
    let (redis_version, made_s, used_bytes) = ("7.0.15", 0, 0);
    let info =
        FileInfo { redis_version, made_s, used_bytes, replication: None, is_aof_base: false };
    let (mut writer, mut peak, mut total) = (SnapshotWriter::new(info), Peak(before), 0);
    let (mut resident_max, mut pieces) = (resident, 0);
    while let Some(piece) = writer.next_piece(engine) {
        total += piece.len() as u64;
        peak.look();
        pieces += 1;
        if pieces % 256 == 0 {
            resident_max = resident_max.max(status("VmRSS:"));
        }
    }
    resident_max = resident_max.max(status("VmRSS:"));
    let (beside, resident) = (peak.0 - before, resident_max.saturating_sub(resident));
    println!(
        "writing {} MB: beside the data {} KB, resident {} KB",
        total / MB,
        beside / 1024,
        resident / 1024
    );
    assert!(beside < BOUND, "{beside} bytes beside the data");
    assert!(resident < BOUND, "{resident} bytes more were resident");
    total
}

#[test]
#[ignore = "loads 1 GB"]
fn a_file_of_1_gb_takes_less_than_16_mb_beside_the_data() {
    let (engine, read) = load(1024 * MB);
    let written = write(&engine);
    assert!(read / 2 < written, "{written} bytes of {read}");
}
