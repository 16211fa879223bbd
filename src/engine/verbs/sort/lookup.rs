//! From an element to what another key holds: `weight_*`, `user_*->name`, `#`.

use crate::engine::{Db, Hash, KeySlot};
use std::borrow::Cow;

/// A pattern of BY or GET.
#[derive(Clone, Copy)]
pub struct Pattern<'a>(pub &'a [u8]);

/// A pattern taken apart: the key's two halves, and the hash's field.
struct Parts<'a> {
    before: &'a [u8],
    behind: &'a [u8],
    field: Option<&'a [u8]>,
}

impl<'a> Pattern<'a> {
    /// What the pattern leads to for `element`, if there is something of the right type.
    pub fn value<'e>(self, db: Db<'e>, element: &'e [u8]) -> Option<Cow<'e, [u8]>> {
        if self.0 == b"#" {
            return Some(Cow::Borrowed(element));
        }
        let field = self.parts()?.field;
        let slot = db.get(&self.key(element)?)?;
        match field {
            None => slot.as_string().ok().map(Cow::Borrowed),
            Some(field) => value_of(slot, field, db),
        }
    }

    /// Whether it leads to a field of a hash.
    pub fn has_field(self) -> bool {
        self.parts().is_some_and(|it| it.field.is_some())
    }

    /// The key that the pattern leads to.
    pub fn key(self, element: &[u8]) -> Option<Vec<u8>> {
        let Parts { before, behind, .. } = self.parts()?;
        Some([before, element, behind].concat())
    }

    /// `None` without a star. An arrow counts only behind the star, and only with a field behind
    /// it.
    fn parts(self) -> Option<Parts<'a>> {
        const ARROW: &[u8] = b"->";
        let star = self.0.iter().position(|it| *it == b'*')?;
        let (before, behind) = (&self.0[..star], &self.0[star + 1..]);
        let arrow = behind.windows(ARROW.len()).position(|it| it == ARROW);
        let field = arrow.map(|it| &behind[it + ARROW.len()..]).filter(|it| !it.is_empty());
        let behind = match (field, arrow) {
            (Some(_), Some(at)) => &behind[..at],
            _ => behind,
        };
        Some(Parts { before, behind, field })
    }
}

fn value_of<'e>(slot: &'e KeySlot, field: &[u8], db: Db<'e>) -> Option<Cow<'e, [u8]>> {
    let hash = slot.as_collection::<Hash>().ok()?;
    hash.get(field, db.shared(), db.now()).map(|it| it.text())
}
