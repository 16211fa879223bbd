//! Clients that have come in and are not served yet: each has a place, and places are bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// How many are under way.
#[derive(Default)]
pub struct Handshakes(Arc<AtomicUsize>);

/// A place among them.
pub struct HandshakePlace(Arc<AtomicUsize>);

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

impl Handshakes {
    /// A place among `most`; `None` when they are taken.
    pub fn begin(&self, most: usize) -> Option<HandshakePlace> {
        let place = HandshakePlace(self.0.clone());
        if self.0.fetch_add(1, AcqRel) < most { Some(place) } else { None }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded_and_give_their_places_back() {
        const MOST: usize = 3;
        let handshakes = Handshakes::default();
        let places: Vec<_> = (0..MOST).map(|_| handshakes.begin(MOST)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(handshakes.begin(MOST).is_none());
        assert_eq!(handshakes.count(), MOST);
        drop(places);
        assert_eq!(handshakes.count(), 0);
        assert!(handshakes.begin(MOST).is_some());
    }
}
