//! A set of many members, made at once.

use super::member::Member;
use super::{Set, algebra};
use crate::engine::EngineShared;

/// A set of many members that is a table from the start, and laid out once.
pub struct Builder<'e> {
    members: Vec<Member>,
    shared: &'e EngineShared,
}

impl<'e> Builder<'e> {
    /// For so many members; `None` if that does not tell their form.
    pub fn new(count: usize, shared: &'e EngineShared) -> Option<Builder<'e>> {
        let is_table = algebra::is_surely_table(count, shared);
        is_table.then(|| Builder { members: Vec::new(), shared })
    }

    /// Takes one more.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.members.push(Member::new(self.shared.hash(text), text));
    }

    /// The set; shorter than what was put in if something came twice.
    pub fn build(self) -> Set {
        Set::of(self.members)
    }
}
