//! Sizes and durations as people write them: `1mb`, `500ms`.
