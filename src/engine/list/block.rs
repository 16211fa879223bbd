//! A block of a long list: packed elements, and what is done to them at one place or one end.

use crate::engine::packed::{BothWays, Element, Packed, Place};

/// A block grows no larger, unless it has one element only.
pub const BLOCK_BYTES_MAX: usize = 4 << 10;

/// One of a list's two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The left, the head.
    Front,
    /// The right, the tail.
    Back,
}

/// Knows its own length, which its elements know too, so that adding up need not follow a pointer.
#[derive(Clone, Default)]
pub struct Block {
    /// Number of elements.
    pub len: usize,
    /// They themselves.
    pub elements: Packed<BothWays>,
}

impl Block {
    /// A block of one element.
    pub fn of(element: Element<'_>) -> Block {
        let mut block = Block::default();
        block.push(End::Back, element);
        block
    }

    /// Heap bytes that its elements take.
    pub fn bytes(&self) -> usize {
        self.elements.bytes()
    }

    /// Whether it has room for another element.
    #[inline]
    pub fn takes(&self, element: Element<'_>) -> bool {
        self.elements.bytes_with(element) <= BLOCK_BYTES_MAX
    }

    /// The element number `index`, which is below the length.
    pub fn get(&self, index: usize) -> Element<'_> {
        self.elements.get(self.place(index))
    }

    /// Where that element begins.
    pub fn place(&self, index: usize) -> Place {
        place(&self.elements, self.len, index)
    }

    /// Puts an element at one end.
    pub fn push(&mut self, end: End, element: Element<'_>) {
        self.len += 1;
        push(&mut self.elements, end, element);
    }

    /// Puts an element before the one number `index`.
    pub fn insert(&mut self, index: usize, element: Element<'_>) {
        self.elements.insert(self.place(index), &[element]);
        self.len += 1;
    }

    /// Takes one element out.
    pub fn remove(&mut self, index: usize) {
        self.elements.remove(self.place(index), 1);
        self.len -= 1;
    }

    /// Takes `count` elements away at one end, of which there are at least as many.
    pub fn cut(&mut self, end: End, count: usize) {
        cut(&mut self.elements, end, count);
        self.len -= count;
    }

    /// Takes the elements from number `index` on away.
    pub fn split(&mut self, index: usize) -> Block {
        let elements = self.elements.split_off(self.place(index), index);
        let rest = Block { len: self.len - index, elements };
        self.len = index;
        rest
    }

    /// Puts the elements of another block behind its own.
    pub fn append(&mut self, other: &Block) {
        self.elements.append(&other.elements);
        self.len += other.len;
    }

    /// Takes out up to `most` elements equal to `wanted`, the nearest to one end first. Answers how
    /// many.
    pub fn remove_equal(&mut self, end: End, wanted: Element<'_>, most: usize) -> usize {
        let removed = remove_equal(&mut self.elements, end, wanted, most);
        self.len -= removed;
        removed
    }
}

/// Where the element number `index` of `len` begins, walked to from the nearer end.
#[inline]
pub(super) fn place(elements: &Packed<BothWays>, len: usize, index: usize) -> Place {
    let back = if len / 2 < index { elements.nth_back(len - 1 - index) } else { None };
    back.unwrap_or_else(|| elements.nth(index))
}

/// Puts an element at one end.
pub(super) fn push(elements: &mut Packed<BothWays>, end: End, element: Element<'_>) {
    match end {
        End::Front => elements.insert(elements.start(), &[element]),
        End::Back => elements.push(&[element]),
    }
}

/// Takes `count` elements away at one end, of which there are at least as many.
pub(super) fn cut(elements: &mut Packed<BothWays>, end: End, count: usize) {
    let from = match (end, count) {
        (_, 0) => return,
        (End::Front, _) => elements.start(),
        (End::Back, _) => elements.nth_back(count - 1).unwrap_or(elements.start()),
    };
    elements.remove(from, count);
}

/// Takes out up to `most` elements equal to `wanted`, the nearest to one end first. Answers how
/// many.
pub(super) fn remove_equal(
    elements: &mut Packed<BothWays>,
    end: End,
    wanted: Element<'_>,
    most: usize,
) -> usize {
    let find = |from| elements.find(wanted, from, 1);
    let met = std::iter::successors(find(elements.start()), |it| find(elements.after(*it))).count();
    let removed = met.min(most);
    if removed == 0 {
        return 0;
    }
    let first = match end {
        End::Front => 0,
        End::Back => met - removed,
    };
    let (gone, mut at) = (first..first + removed, 0);
    elements.retain(|it| {
        let is_wanted = it == wanted;
        let keep = !is_wanted || !gone.contains(&at);
        at += usize::from(is_wanted);
        keep
    });
    removed
}
