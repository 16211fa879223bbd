//! How many nodes Redis' radix tree has for some ids: XINFO STREAM tells it.
//!
//! There is one for the root, one for each key where it ends, and one for each run of bytes on
//! which keys agree until some of them end or part.

use super::StreamId;

/// Of these ids, which come in order.
pub fn nodes(ids: impl Iterator<Item = StreamId>) -> usize {
    let (mut path, mut previous) = (Path::default(), None::<[u8; StreamId::BYTES]>);
    for id in ids {
        let bytes = id.to_bytes();
        if let Some(previous) = previous {
            let common = previous.iter().zip(&bytes).take_while(|(one, other)| one == other);
            path.part(common.count());
        }
        previous = Some(bytes);
    }
    if previous.is_none() { 1 } else { path.finish() }
}

/// The way from the root to the last key.
#[derive(Default)]
struct Path {
    /// How many bytes precede each node on it at which keys part.
    partings: Vec<usize>,
    nodes: usize,
}

impl Path {
    /// The next key parts from the last one behind so many bytes.
    fn part(&mut self, at: usize) {
        let below = self.leave(at);
        if self.partings.last() != Some(&at) {
            self.partings.push(at);
        }
        self.run(at + 1, below);
    }

    fn finish(mut self) -> usize {
        let below = self.leave(0);
        match self.partings.pop() {
            Some(root) => {
                self.nodes += 1;
                self.run(root + 1, below);
                self.run(0, root);
            }
            None => self.run(0, below),
        }
        self.nodes
    }

    /// Counts the last key and the partings behind `at`. Answers how many bytes precede the highest
    /// of them.
    fn leave(&mut self, at: usize) -> usize {
        self.nodes += 1;
        let mut below = StreamId::BYTES;
        while let Some(&parting) = self.partings.last().filter(|it| at < **it) {
            self.partings.pop();
            self.nodes += 1;
            self.run(parting + 1, below);
            below = parting;
        }
        below
    }

    /// The bytes between two nodes are one more, if there are any.
    fn run(&mut self, from: usize, to: usize) {
        self.nodes += usize::from(from < to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_redis() {
        let of = |ids: &[(u64, u64)]| nodes(ids.iter().map(|it| StreamId::new(it.0, it.1)));
        assert_eq!(of(&[]), 1);
        assert_eq!(of(&[(5, 1)]), 2);
        // A run of 7 bytes, where they part, two runs of 8 bytes, two ends.
        assert_eq!(of(&[(1, 0), (2, 0)]), 6);
        // A run of 15 bytes, where they part, three ends.
        assert_eq!(of(&[(1, 0), (1, 1), (1, 2)]), 5);
        assert_eq!(of(&[(0, 0), (1 << 56, 0)]), 5);
    }
}
