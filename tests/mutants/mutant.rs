//! Which mutant this process runs: `MUTANT=17` switches one on, and `MUTANTS_REACHED=FILE` writes the
//! number of each that is come by into a file, once. Only in the scratch tree of tests/mutants.sh.

use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const MOST: usize = 1 << 14;
/// Above every number: nothing is known yet; and numbers are written down.
const UNKNOWN: u32 = u32::MAX;
const WRITES: u32 = u32::MAX - 1;

static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);
static REACHED: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];
static FILE: OnceLock<File> = OnceLock::new();

/// Whether this mutant is the one.
#[inline]
pub fn on(number: u32) -> bool {
    let active = ACTIVE.load(Ordering::Relaxed);
    active == number || (WRITES <= active && look(number))
}

#[cold]
fn look(number: u32) -> bool {
    if ACTIVE.load(Ordering::Relaxed) == UNKNOWN {
        let active = match std::env::var("MUTANTS_REACHED") {
            Ok(_) => WRITES,
            Err(_) => std::env::var("MUTANT").map_or(0, |it| it.parse().expect("a number")),
        };
        ACTIVE.store(active, Ordering::Relaxed);
        return on(number);
    }
    if !REACHED[number as usize].swap(true, Ordering::Relaxed) {
        let path = || std::env::var("MUTANTS_REACHED").expect("it was there");
        let open = || File::options().append(true).create(true).open(path()).expect("it opens");
        FILE.get_or_init(open).write_all(format!("{number}\n").as_bytes()).expect("it is written");
    }
    false
}

/// What a function returns that answers some iterator: its own, or the mutant's.
#[derive(Clone)]
pub enum Either<M, R> {
    Mutant(M),
    Real(R),
}

impl<R: Iterator, M: Iterator<Item = R::Item>> Iterator for Either<M, R> {
    type Item = R::Item;

    fn next(&mut self) -> Option<R::Item> {
        match self {
            Either::Mutant(it) => it.next(),
            Either::Real(it) => it.next(),
        }
    }
}
