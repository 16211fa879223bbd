//! A walk over all keys of an engine as they were at one moment, while writes go on.

use crate::script::Libraries;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// A walk, by name. What it has to find as it was is kept by the engine, in a `Cut` of each
/// database; [`super::rdb::SnapshotWriter`] and [`super::WalkCopy`] go it.
#[derive(Clone, Debug, Default)]
pub struct Walk(Arc<WalkState>);

#[derive(Debug, Default)]
struct WalkState {
    libraries: Arc<Libraries>,
    kept_bytes: AtomicUsize,
    is_ended: AtomicBool,
}

impl Walk {
    /// A walk that begins where these libraries are.
    pub(super) fn begin(libraries: Arc<Libraries>) -> Walk {
        Walk(Arc::new(WalkState { libraries, ..WalkState::default() }))
    }

    /// The libraries of functions as they were when it began.
    pub fn libraries(&self) -> &Arc<Libraries> {
        &self.0.libraries
    }

    /// Bytes that are kept for it, because what it has not come to yet has been changed.
    pub fn kept_bytes(&self) -> usize {
        self.0.kept_bytes.load(Relaxed)
    }

    /// Nobody goes it any more: nothing is kept for it from here on, and what was is freed by
    /// `Engine::end_walks`.
    pub fn end(&self) {
        self.0.is_ended.store(true, Relaxed);
    }

    /// Whether nobody goes it any more.
    pub fn is_ended(&self) -> bool {
        self.0.is_ended.load(Relaxed)
    }

    /// Whether both are the same walk.
    pub(super) fn is(&self, other: &Walk) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn add_kept(&self, bytes: usize) {
        self.0.kept_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn sub_kept(&self, bytes: usize) {
        self.0.kept_bytes.fetch_sub(bytes, Relaxed);
    }
}
