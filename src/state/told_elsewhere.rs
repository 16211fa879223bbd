//! What others were told in a client's place, before its own connection has come to it.

use crate::base::position::Position;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// How far the reads of a client must have come for what another was told in its place.
#[derive(Default)]
pub struct ToldElsewhere {
    is_any: AtomicBool,
    at: Mutex<Option<Position>>,
}

impl ToldElsewhere {
    /// Another was told in its place of a change before `at`.
    pub fn raise(&self, at: Position) {
        let mut told = self.at.lock();
        // Whoever tells does so in the order of the stream.
        if told.is_none_or(|it| it.replid != at.replid || it.offset < at.offset) {
            *told = Some(at);
        }
        self.is_any.store(true, Release);
    }

    /// Takes it, if there is any.
    #[inline]
    pub fn take(&self) -> Option<Position> {
        if !self.is_any.load(Acquire) {
            return None;
        }
        let mut told = self.at.lock();
        self.is_any.store(false, Release);
        told.take()
    }
}
