//! Runs for tests of what keeps them.

use crate::base::time::MonoUs;
use crate::node::upstream::{Run, RunKind};
use crate::resp::Protocol;
use std::collections::VecDeque;

/// One whose requests have so many bytes.
pub fn run_of(bytes: usize) -> Run {
    Run {
        db: 0,
        selects: false,
        protocol: Protocol::Resp2,
        bytes: vec![0; bytes],
        replies: VecDeque::new(),
        kind: RunKind::Master { written: 0, wants_place: false },
        unsent_until: MonoUs::default(),
        acks: None,
        gate: None,
        floor: None,
        scan: None,
        script: None,
        is_hedge: false,
        is_check: false,
    }
}
