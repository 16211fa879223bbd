//! Runs for tests of what keeps them.

use crate::node::upstream::{Run, RunKind};
use crate::resp::Protocol;
use std::collections::VecDeque;

/// One whose requests have so many bytes.
pub fn run_of(bytes: usize) -> Run {
    let kind = RunKind::Master { written: 0, wants_place: false };
    Run { replies: VecDeque::new(), ..Run::one(kind, Protocol::Resp2, vec![0; bytes]) }
}
