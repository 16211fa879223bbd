//! Commands of streams at a bare engine.
