//! The allocator: mimalloc, counting what it gives. INFO's `used_memory` is that sum.
//!
//! A block counts as what it takes: mimalloc keeps blocks of four sizes between one power of two
//! and the next, and gives the smallest that fits. What was asked for would be up to a quarter
//! less.
//!
//! Each worker counts in a balance that nobody else writes, so counting costs a load and a store.
//! Other threads share one. What they free was allocated by workers, which must take it back: after
//! as many frees as one of them can take back at a time, they are told so.
//!
//! What is very large is a map of its own: it grows without being copied, and is the system's again
//! as soon as it is freed. A value of 256 MB costs 1.0 times its size while it arrives; mimalloc
//! took 2.5 times, and kept half of it.

use super::maps;
use crate::base::block::block_bytes;
use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{c_int, c_long};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};

/// mimalloc that counts.
pub struct Counting;

/// Workers with a balance of their own.
const LONERS: usize = 63;

/// Bytes allocated less bytes freed by one thread: below zero where it frees what others brought.
/// Alone on its cache lines.
#[repr(align(128))]
struct Balance(AtomicIsize);

/// Frees of a thread that is no worker between two pauses.
const FREES_PER_PAUSE: u32 = 8 << 10;

/// `mi_option_arena_purge_mult` of mimalloc 2.
const ARENA_PURGE_MULT: c_int = 24;
/// `mi_option_purge_extend_delay` of mimalloc 2.
const PURGE_EXTEND_DELAY: c_int = 25;

// What the mimalloc crate does not show of the library that it brings along.
unsafe extern "C" {
    fn mi_collect(force: bool);
    fn mi_option_set(option: c_int, value: c_long);
    #[cfg(test)]
    fn mi_good_size(size: usize) -> usize;
}

static BALANCES: [Balance; LONERS + 1] = [const { Balance(AtomicIsize::new(0)) }; LONERS + 1];
static WORKERS: AtomicUsize = AtomicUsize::new(0);

/// The pause of threads that have none of their own.
static PAUSE: OnceLock<fn()> = OnceLock::new();

/// Frees that are left before the next pause, and a thread's own pause.
type PausesAfter = (u32, Option<fn()>);

thread_local! {
    static OWN: Cell<&'static Balance> = const { Cell::new(&BALANCES[LONERS]) };
    static PACE: Cell<PausesAfter> = const { Cell::new((FREES_PER_PAUSE, None)) };
}

/// The calling thread is a worker.
pub fn begin_worker() {
    OWN.set(&BALANCES[WORKERS.fetch_add(1, Relaxed).min(LONERS)]);
}

/// Leaves it to [`give_back`] to return memory to the system. Otherwise whoever frees next, ten
/// times a second, returns what others have freed, while clients wait. Free pages among pages in
/// use are returned 10 ms after the first of them, not after the last: a burst of frees would put
/// that off until somebody frees again.
pub fn return_only_when_asked() {
    const SELDOM: c_long = 100_000;
    // SAFETY: they set numbers that every thread may read at any time.
    unsafe {
        mi_option_set(ARENA_PURGE_MULT, SELDOM);
        mi_option_set(PURGE_EXTEND_DELAY, 0);
    }
}

/// Takes back what other threads have freed of the calling thread's memory.
pub fn take_back() {
    // SAFETY: it works on the calling thread's own heap.
    unsafe { mi_collect(false) };
}

/// Returns to the system what no thread has a use for. It may take long.
pub fn give_back() {
    // SAFETY: as above; what belongs to all threads has a lock.
    unsafe { mi_collect(true) };
}

/// The calling thread, which is no worker, frees so much that workers must keep up: its pauses are
/// calls of `pause`, which must not panic.
pub fn pace_frees(pause: fn()) {
    PACE.set((FREES_PER_PAUSE, Some(pause)));
}

/// The pauses of other threads that are no workers, from now on. They must not panic, nor wait.
pub fn pause_others(pause: fn()) {
    // Whoever is second says the same.
    let _ = PAUSE.set(pause);
}

#[cold]
fn paced() {
    let (left, pause) = PACE.get();
    PACE.set((left.checked_sub(1).unwrap_or(FREES_PER_PAUSE), pause));
    if left == 0
        && let Some(pause) = pause.or_else(|| PAUSE.get().copied())
    {
        pause();
    }
}

/// Bytes that are allocated now; 0 where another allocator is at work. It costs a load for each
/// worker.
pub fn allocated_bytes() -> u64 {
    let workers = WORKERS.load(Relaxed).min(LONERS);
    let of_workers = BALANCES[..workers].iter().map(|it| it.0.load(Relaxed)).sum::<isize>();
    (of_workers + BALANCES[LONERS].0.load(Relaxed)).max(0) as u64
}

#[inline]
fn count_new(layout: Layout) {
    count(block_bytes(layout.size()) as isize);
}

#[inline]
fn count_freed(layout: Layout) {
    count(-(block_bytes(layout.size()) as isize));
}

#[inline]
fn count_changed(layout: Layout, size: usize) {
    count(block_bytes(size) as isize - block_bytes(layout.size()) as isize);
}

#[inline]
fn count(bytes: isize) {
    let balance = OWN.get();
    if std::ptr::eq(balance, &BALANCES[LONERS]) {
        balance.0.fetch_add(bytes, Relaxed);
        if bytes < 0 {
            paced();
        }
    } else {
        balance.0.store(balance.0.load(Relaxed).wrapping_add(bytes), Relaxed);
    }
}

/// Whether this is a map of its own.
#[inline]
fn is_mapped(layout: Layout) -> bool {
    maps::BYTES_MIN <= layout.size() && layout.align() <= maps::ALIGN_MAX
}

// SAFETY: every call goes to mimalloc as it came, or to the system: which of the two is told by the
// layout, which is the same when a block is freed. Counting allocates nothing and cannot panic.
// There is no other way to learn what is allocated: mimalloc's own statistics are per thread and
// cannot be read from another.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_new(layout);
        if is_mapped(layout) {
            return maps::map(layout.size());
        }
        // SAFETY: the caller keeps what `alloc` asks of it.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_new(layout);
        if is_mapped(layout) {
            return maps::map(layout.size());
        }
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count_freed(layout);
        if is_mapped(layout) {
            // SAFETY: `alloc` has mapped it, since its layout was the same.
            return unsafe { maps::unmap(place, layout.size()) };
        }
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(place, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_small = !is_mapped(layout) && size < maps::BYTES_MIN;
        if is_small || maps::ALIGN_MAX < layout.align() {
            count_changed(layout, size);
            // SAFETY: as above.
            return unsafe { MiMalloc.realloc(place, layout, size) };
        }
        // SAFETY: as above.
        unsafe { self.realloc_large(place, layout, size) }
    }
}

impl Counting {
    /// Where one of the two sizes at least is a map's.
    ///
    /// # Safety
    /// As for `realloc`.
    #[cold]
    unsafe fn realloc_large(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_mapped(layout) && maps::BYTES_MIN <= size {
            count_changed(layout, size);
            // SAFETY: it was mapped with this size.
            return unsafe { maps::resize(place, layout.size(), size) };
        }
        // SAFETY: the caller keeps what `realloc` asks of it; the two blocks are apart.
        unsafe {
            let other = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !other.is_null() {
                place.copy_to_nonoverlapping(other, layout.size().min(size));
                self.dealloc(place, layout);
            }
            other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static PAUSES: Cell<u32> = const { Cell::new(0) };
    }

    /// The counts are the process': one test at a time.
    static COUNTING: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

    #[test]
    fn a_thread_that_frees_much_pauses_in_between_unless_it_is_a_worker() {
        let _alone = COUNTING.lock();
        std::thread::scope(|scope| {
            let paced = scope.spawn(|| {
                pace_frees(|| PAUSES.set(PAUSES.get() + 1));
                (0..10 * FREES_PER_PAUSE + 100).for_each(|_| {
                    count(1);
                    count(-1);
                });
                PAUSES.get()
            });
            assert_eq!(paced.join().expect("it counts"), 10);
            let worker = scope.spawn(|| {
                // Not `begin_worker`: other tests may have taken all the balances there are.
                OWN.set(&BALANCES[0]);
                pace_frees(|| PAUSES.set(PAUSES.get() + 1));
                (0..FREES_PER_PAUSE + 1).for_each(|_| count(-1));
                count(FREES_PER_PAUSE as isize + 1);
                PAUSES.get()
            });
            assert_eq!(worker.join().expect("it counts"), 0);
        });
    }

    #[test]
    fn a_block_counts_as_what_mimalloc_gives() {
        let told = |asked| {
            // SAFETY: it is a function of a number.
            unsafe { mi_good_size(asked) }
        };
        let sizes = (1..20_000).chain((20_000..4 << 20).step_by(997));
        sizes.for_each(|it| assert_eq!(block_bytes(it), told(it), "{it} bytes"));
    }

    /// The library's tests run on another allocator, so nothing else counts here.
    #[test]
    fn what_one_thread_brings_and_another_takes_away_balances() {
        let _alone = COUNTING.lock();
        let before = allocated_bytes();
        let threads = LONERS + 8;
        std::thread::scope(|scope| {
            let brings = || {
                begin_worker();
                count(1000);
            };
            (0..threads).for_each(|_| drop(scope.spawn(brings)));
        });
        assert_eq!(allocated_bytes() - before, 1000 * threads as u64);
        std::thread::scope(|scope| {
            (0..threads).for_each(|_| drop(scope.spawn(|| count(-1000))));
        });
        assert_eq!(allocated_bytes(), before);
    }
}
