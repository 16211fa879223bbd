//! The slow log: the last commands that took long, newest first.

use crate::base::time::WallMs;
use std::collections::VecDeque;

/// A command that took long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slow {
    /// Its number since the start.
    pub id: u64,
    /// When it ended.
    pub at: WallMs,
    /// How long it took.
    pub took_us: u64,
    /// Its words, shortened, and without passwords.
    pub words: Vec<Vec<u8>>,
    /// Who sent it.
    pub address: String,
    /// The same, as lines of the log say it.
    pub who: String,
    /// The name the client had given itself.
    pub name: String,
}

/// The last slow commands, newest first.
#[derive(Default)]
pub struct Slowlog {
    entries: VecDeque<Slow>,
    next: u64,
}

impl Slowlog {
    /// Keeps one more, and at most `most` of all. The number is given here.
    pub fn push(&mut self, slow: Slow, most: usize) {
        self.entries.push_front(Slow { id: self.next, ..slow });
        self.next += 1;
        self.entries.truncate(most);
    }

    /// The newest `count`.
    pub fn newest(&self, count: usize) -> Vec<Slow> {
        self.newest_within(count, usize::MAX)
    }

    /// As many of the newest as have these many bytes of words, at most `count`.
    pub fn newest_within(&self, count: usize, bytes: usize) -> Vec<Slow> {
        let mut left = bytes;
        let fits = |it: &&Slow| {
            let bytes = it.words.iter().map(|it| it.len()).sum();
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return false,
            }
            true
        };
        self.entries.iter().take(count).take_while(fits).cloned().collect()
    }

    /// How many there have been since number `next`, the slowest of them that is kept, and the
    /// number of the next.
    pub fn since(&self, next: u64) -> (u64, Option<&Slow>, u64) {
        let new = self.entries.iter().take_while(|it| next <= it.id);
        (self.next - next, new.max_by_key(|it| it.took_us), self.next)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// None is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets them. Numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_and_the_oldest_goes_first() {
        let mut log = Slowlog::default();
        let slow = Slow {
            id: 0,
            at: WallMs(1),
            took_us: 2,
            words: Vec::new(),
            address: String::new(),
            who: String::new(),
            name: String::new(),
        };
        (0..5).for_each(|_| log.push(slow.clone(), 3));
        let ids = |log: &Slowlog| log.newest(9).iter().map(|it| it.id).collect::<Vec<_>>();
        assert_eq!(ids(&log), [4, 3, 2]);
        let since =
            |next| (log.since(next).0, log.since(next).1.map(|it| it.id), log.since(next).2);
        assert_eq!(
            [since(0), since(4), since(5)],
            [(5, Some(2), 5), (1, Some(4), 5), (0, None, 5)]
        );
        log.clear();
        log.push(slow.clone(), 3);
        assert_eq!(ids(&log), [5]);
        log.push(slow, 0);
        assert!(log.is_empty());
    }
}
