//! A list that has outgrown one allocation: blocks of packed elements on shelves.
//!
//! ```text
//! shelves:  [12,000 elements] [11,800] [12,100] …           a count for each
//! blocks:    [90] [100] [95] … up to 128                    a count for each, up to 4 KiB
//! elements:   packed
//! ```
//!
//! An end is always at hand. A place in the middle is found by adding up the counts of the shelves,
//! of the blocks of one shelf, and walking one block, each from its nearer end: at ten million
//! elements a few hundred additions.
//!
//! **Invariant:** no shelf and no block is empty; two neighbours on a shelf from which something
//! was taken would not fit one block.

use super::block::{BLOCK_BYTES_MAX, Block, End};
use crate::engine::packed::{BothWays, Element, Packed};
use std::collections::VecDeque;

/// Most blocks of a shelf.
const SHELF_BLOCKS_MAX: usize = 128;

/// The list. It may be empty between two steps of a change.
#[derive(Clone, Default)]
pub struct Long {
    len: usize,
    shelves: VecDeque<Shelf>,
}

#[derive(Clone, Default)]
struct Shelf {
    len: usize,
    blocks: VecDeque<Block>,
}

/// What has a length, and stands in a row.
trait Part {
    fn len(&self) -> usize;
}

impl Part for Shelf {
    fn len(&self) -> usize {
        self.len
    }
}

impl Part for Block {
    fn len(&self) -> usize {
        self.len
    }
}

/// Which of the parts holds the element number `index` of all `len`, and as which of its own.
fn find(parts: &VecDeque<impl Part>, len: usize, index: usize) -> (usize, usize) {
    let (mut before, mut behind) = (index, len - index);
    if before < behind {
        for (number, part) in parts.iter().enumerate() {
            match before.checked_sub(part.len()) {
                Some(rest) => before = rest,
                None => return (number, before),
            }
        }
    }
    for (number, part) in parts.iter().enumerate().rev() {
        if behind <= part.len() {
            return (number, part.len() - behind);
        }
        behind -= part.len();
    }
    unreachable!("an index below the length")
}

fn nearest<T>(parts: &mut VecDeque<T>, end: End) -> Option<&mut T> {
    match end {
        End::Front => parts.front_mut(),
        End::Back => parts.back_mut(),
    }
}

fn put<T>(parts: &mut VecDeque<T>, end: End, part: T) {
    match end {
        End::Front => parts.push_front(part),
        End::Back => parts.push_back(part),
    }
}

/// Takes away whole parts at one end, as far as `count` elements reach, and gives them to `gone`.
/// Answers how many elements remain to be taken from the part that is then nearest.
fn cut_parts<T: Part>(
    parts: &mut VecDeque<T>,
    end: End,
    mut count: usize,
    mut gone: impl FnMut(T),
) -> usize {
    while let Some(part) = nearest(parts, end) {
        if count < part.len() {
            break;
        }
        count -= part.len();
        let part = match end {
            End::Front => parts.pop_front(),
            End::Back => parts.pop_back(),
        };
        part.into_iter().for_each(&mut gone);
    }
    count
}

/// Numbers below `count`, from one end.
fn numbers(count: usize, end: End) -> impl Iterator<Item = usize> {
    (0..count).map(move |it| match end {
        End::Front => it,
        End::Back => count - 1 - it,
    })
}

/// Looking.
impl Long {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.shelves.iter().map(|it| it.blocks.len()).sum()
    }

    /// Heap bytes it holds.
    pub fn bytes(&self) -> usize {
        let shelf = |it: &Shelf| it.blocks.capacity() * size_of::<Block>() + it.bytes();
        let shelves: usize = self.shelves.iter().map(shelf).sum();
        size_of::<Long>() + self.shelves.capacity() * size_of::<Shelf>() + shelves
    }

    /// All elements in one allocation, if they take at most `bytes_max` and are in no more blocks
    /// than that needs.
    pub fn packed(&self, bytes_max: usize) -> Option<Packed<BothWays>> {
        let blocks_max = match bytes_max.div_ceil(BLOCK_BYTES_MAX) {
            0 | 1 => 1,
            full => full + 1,
        };
        let few = match self.shelves.len() {
            0 => return Some(Packed::default()),
            1 if self.shelves[0].blocks.len() <= blocks_max => &self.shelves[0],
            _ => return None,
        };
        let mut all = Packed::default();
        let bytes: usize = few.blocks.iter().map(|it| it.elements.elements_bytes()).sum();
        if bytes <= bytes_max {
            few.blocks.iter().for_each(|it| all.append(&it.elements));
        }
        (!all.is_empty()).then_some(all)
    }

    /// The elements, as many together as stand in one allocation.
    pub fn sequences(&self) -> impl Iterator<Item = &Packed<BothWays>> {
        self.shelves.iter().flat_map(|it| &it.blocks).map(|it| &it.elements)
    }

    /// As [`Long::sequences`], from that on which has the element number `index`, which is below
    /// the length.
    pub fn sequences_from(&self, index: usize) -> impl Iterator<Item = &Packed<BothWays>> {
        let (shelf, block, _) = self.locate(index);
        let others = self.shelves.range(shelf + 1..).flat_map(|it| &it.blocks);
        self.shelves[shelf].blocks.range(block..).chain(others).map(|it| &it.elements)
    }

    /// The element number `index`, which is below the length.
    pub fn get(&self, index: usize) -> Element<'_> {
        let (shelf, block, within) = self.locate(index);
        self.shelves[shelf].blocks[block].get(within)
    }

    /// The elements from number `index` on, which is below the length.
    pub fn onward(&self, index: usize) -> impl Iterator<Item = Element<'_>> {
        let (shelf, block, within) = self.locate(index);
        let here = &self.shelves[shelf].blocks;
        let first = &here[block];
        let first = first.elements.walk(first.place(within)).map(|(_, it)| it);
        let others = self.shelves.range(shelf + 1..).flat_map(|it| &it.blocks);
        let others = here.range(block + 1..).chain(others);
        first.chain(others.flat_map(|it| it.elements.iter()))
    }

    /// The elements from number `index`, which is below the length, back to the first.
    pub fn backward(&self, index: usize) -> impl Iterator<Item = Element<'_>> {
        let (shelf, block, within) = self.locate(index);
        let here = &self.shelves[shelf].blocks;
        let first = &here[block].elements;
        let first = first.walk_back(first.after(here[block].place(within)));
        let others = self.shelves.range(..shelf).rev().flat_map(|it| it.blocks.iter().rev());
        let others = here.range(..block).rev().chain(others);
        let others = others.flat_map(|it| it.elements.walk_back(it.elements.end()));
        first.chain(others).map(|(_, it)| it)
    }

    fn locate(&self, index: usize) -> (usize, usize, usize) {
        let (shelf, within) = find(&self.shelves, self.len, index);
        let (block, within) = find(&self.shelves[shelf].blocks, self.shelves[shelf].len, within);
        (shelf, block, within)
    }
}

/// Changing.
impl Long {
    /// Puts an element at one end.
    pub fn push(&mut self, end: End, element: Element<'_>) {
        let has_room = nearest(&mut self.shelves, end).is_some_and(|it| it.takes(end, element));
        if !has_room {
            put(&mut self.shelves, end, Shelf::default());
        }
        self.len += 1;
        nearest(&mut self.shelves, end).expect("a shelf with room").push(end, element);
    }

    /// Puts a whole block behind all others, unless it is empty.
    pub fn push_block(&mut self, elements: Packed<BothWays>) {
        let len = elements.len();
        if len == 0 {
            return;
        }
        if self.shelves.back().is_none_or(|it| SHELF_BLOCKS_MAX <= it.blocks.len()) {
            self.shelves.push_back(Shelf::default());
        }
        let shelf = self.shelves.back_mut().expect("a shelf with room");
        shelf.blocks.push_back(Block { len, elements });
        shelf.len += len;
        self.len += len;
    }

    /// Puts another list behind the last element.
    pub fn append(&mut self, other: Long) {
        self.len += other.len;
        self.shelves.extend(other.shelves);
    }

    /// Takes the last block away; an empty sequence if there is none.
    pub fn pop_block(&mut self) -> Packed<BothWays> {
        let Some(shelf) = self.shelves.back_mut() else { return Packed::default() };
        let Block { len, elements } = shelf.blocks.pop_back().unwrap_or_default();
        shelf.len -= len;
        self.len -= len;
        if shelf.len == 0 {
            self.shelves.pop_back();
        }
        elements
    }

    /// Takes `count` elements away at one end, or all. Answers the whole shelves among them, in no
    /// order: they may be many to free.
    pub fn cut(&mut self, end: End, count: usize) -> Long {
        self.len = self.len.saturating_sub(count);
        let mut gone = Long::default();
        let rest = cut_parts(&mut self.shelves, end, count, |shelf: Shelf| {
            gone.len += shelf.len;
            gone.shelves.push_back(shelf);
        });
        if let Some(shelf) = nearest(&mut self.shelves, end) {
            shelf.cut(end, rest);
        }
        gone
    }

    /// Puts an element before the one number `index`, or behind all.
    pub fn insert(&mut self, index: usize, element: Element<'_>) {
        if index == self.len {
            return self.push(End::Back, element);
        }
        let (number, within) = find(&self.shelves, self.len, index);
        self.len += 1;
        let shelf = &mut self.shelves[number];
        shelf.insert(within, element);
        if SHELF_BLOCKS_MAX < shelf.blocks.len() {
            let rest = shelf.split();
            self.shelves.insert(number + 1, rest);
        }
    }

    /// Takes one element out.
    pub fn remove(&mut self, index: usize) {
        let (shelf, block, within) = self.locate(index);
        self.shelves[shelf].remove(block, within);
        self.len -= 1;
        self.drop_empty();
    }

    /// Puts an element in the place of the one number `index`.
    pub fn set(&mut self, index: usize, element: Element<'_>) {
        let (shelf, block, within) = self.locate(index);
        let block = &mut self.shelves[shelf].blocks[block];
        if block.takes(element) || block.len == 1 {
            return block.elements.replace(block.place(within), element);
        }
        self.remove(index);
        self.insert(index, element);
    }

    /// Takes out up to `most` elements equal to `wanted`, the nearest to one end first. Answers how
    /// many.
    pub fn remove_equal(&mut self, end: End, wanted: Element<'_>, most: usize) -> usize {
        let mut left = most;
        for number in numbers(self.shelves.len(), end) {
            left -= self.shelves[number].remove_equal(end, wanted, left);
            if left == 0 {
                break;
            }
        }
        self.len -= most - left;
        if left < most {
            self.drop_empty();
        }
        most - left
    }

    fn drop_empty(&mut self) {
        self.shelves.retain(|it| it.len != 0);
    }
}

#[cfg(test)]
impl Long {
    /// Checks every count.
    pub fn assert_sound(&self) {
        let sum = |parts: &mut dyn Iterator<Item = usize>| parts.sum::<usize>();
        assert_eq!(self.len, sum(&mut self.shelves.iter().map(Part::len)));
        for shelf in &self.shelves {
            assert_eq!(shelf.len, sum(&mut shelf.blocks.iter().map(Part::len)));
            assert!((1..=SHELF_BLOCKS_MAX).contains(&shelf.blocks.len()));
            for block in &shelf.blocks {
                assert_eq!(block.len, block.elements.len());
                assert!(block.len == 1 || block.bytes() <= BLOCK_BYTES_MAX && block.len != 0);
            }
        }
    }
}

impl Shelf {
    fn bytes(&self) -> usize {
        self.blocks.iter().map(|it| it.elements.bytes()).sum()
    }

    fn takes(&mut self, end: End, element: Element<'_>) -> bool {
        self.blocks.len() < SHELF_BLOCKS_MAX
            || nearest(&mut self.blocks, end).is_some_and(|it| it.takes(element))
    }

    fn push(&mut self, end: End, element: Element<'_>) {
        self.len += 1;
        match nearest(&mut self.blocks, end) {
            Some(block) if block.takes(element) => block.push(end, element),
            _ => put(&mut self.blocks, end, Block::of(element)),
        }
    }

    fn cut(&mut self, end: End, count: usize) {
        self.len -= count;
        let rest = cut_parts(&mut self.blocks, end, count, drop);
        if let Some(block) = nearest(&mut self.blocks, end) {
            block.cut(end, rest);
        }
    }

    fn insert(&mut self, index: usize, element: Element<'_>) {
        let (number, within) = find(&self.blocks, self.len, index);
        self.len += 1;
        if self.blocks[number].takes(element) {
            return self.blocks[number].insert(within, element);
        }
        let mut before = number;
        if within != 0 {
            let rest = self.blocks[number].split(within);
            self.blocks.insert(number + 1, rest);
            before = number + 1;
        }
        // Between two blocks now: the first with room takes it.
        match before.checked_sub(1) {
            Some(it) if self.blocks[it].takes(element) => self.blocks[it].push(End::Back, element),
            _ if self.blocks[before].takes(element) => {
                self.blocks[before].push(End::Front, element);
            }
            _ => self.blocks.insert(before, Block::of(element)),
        }
    }

    fn remove(&mut self, block: usize, within: usize) {
        self.len -= 1;
        self.blocks[block].remove(within);
        self.tidy();
    }

    fn remove_equal(&mut self, end: End, wanted: Element<'_>, most: usize) -> usize {
        let mut left = most;
        for number in numbers(self.blocks.len(), end) {
            left -= self.blocks[number].remove_equal(end, wanted, left);
            if left == 0 {
                break;
            }
        }
        self.len -= most - left;
        if left < most {
            self.tidy();
        }
        most - left
    }

    /// Lets go of empty blocks, and brings neighbours together that fit one block.
    fn tidy(&mut self) {
        let mut tidy: VecDeque<Block> = VecDeque::with_capacity(self.blocks.len());
        for block in self.blocks.drain(..) {
            match tidy.back_mut() {
                _ if block.len == 0 => {}
                Some(last) if last.bytes() + block.bytes() <= BLOCK_BYTES_MAX => {
                    last.append(&block)
                }
                _ => tidy.push_back(block),
            }
        }
        self.blocks = tidy;
    }

    /// Takes the second half of its blocks away.
    fn split(&mut self) -> Shelf {
        let blocks = self.blocks.split_off(self.blocks.len() / 2);
        let len = blocks.iter().map(Part::len).sum();
        self.len -= len;
        Shelf { len, blocks }
    }
}
