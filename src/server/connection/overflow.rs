//! When the replies that wait for a client are too many, or have been too many for too long.

use crate::base::time::MonoUs;
use crate::config::OutputLimit;

/// Replies up to this many bytes count for nothing: Redis keeps them in a buffer that every client
/// has, and looks at its limits only beyond it.
pub const UNCOUNTED_BYTES: u64 = 16 << 10;

/// Whether this many bytes end a client at once.
#[inline]
pub fn is_too_much(limit: OutputLimit, waiting: u64) -> bool {
    limit.hard_bytes != 0 && limit.hard_bytes <= waiting && UNCOUNTED_BYTES < waiting
}

/// How long replies may get while they are built.
#[inline]
pub fn reply_bytes_max(limit: OutputLimit) -> usize {
    match limit.hard_bytes {
        0 => usize::MAX,
        most => most.max(UNCOUNTED_BYTES + 1) as usize,
    }
}

/// The time a client has spent above its soft limit.
#[derive(Default)]
pub struct SoftLimit {
    over_since: Option<MonoUs>,
}

impl SoftLimit {
    /// Whether the client is not above its soft limit.
    #[inline]
    pub fn is_unused(&self) -> bool {
        self.over_since.is_none()
    }

    /// When it is passed if nothing changes.
    pub fn ends(&self, limit: OutputLimit) -> Option<MonoUs> {
        self.over_since.map(|it| it.plus(limit.soft_for))
    }

    /// Whether it is passed with this many bytes waiting at `now`.
    pub fn is_over(&mut self, limit: OutputLimit, waiting: u64, now: MonoUs) -> bool {
        let counts = UNCOUNTED_BYTES < waiting;
        if limit.soft_bytes == 0 || waiting < limit.soft_bytes || !counts {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert(now);
        since.plus(limit.soft_for) <= now && since != now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMIT: OutputLimit =
        OutputLimit { hard_bytes: 1 << 20, soft_bytes: 1 << 18, soft_for: Duration::from_secs(2) };
    const NONE: OutputLimit =
        OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_for: Duration::ZERO };

    fn at(seconds: u64) -> MonoUs {
        MonoUs(seconds * 1_000_000)
    }

    #[test]
    fn the_hard_limit_is_passed_by_reaching_it() {
        assert!(!is_too_much(LIMIT, (1 << 20) - 1));
        assert!(is_too_much(LIMIT, 1 << 20));
        assert!(!is_too_much(NONE, u64::MAX));
    }

    #[test]
    fn what_every_client_s_buffer_holds_is_never_too_much() {
        let limit = OutputLimit { hard_bytes: 1, soft_bytes: 1, ..LIMIT };
        assert!(!is_too_much(limit, UNCOUNTED_BYTES));
        assert!(is_too_much(limit, UNCOUNTED_BYTES + 1));
        let mut soft_limit = SoftLimit::default();
        assert!((0..9).all(|it| !soft_limit.is_over(limit, UNCOUNTED_BYTES, at(it))));
    }

    #[test]
    fn the_soft_limit_is_passed_only_after_its_time_without_a_break() {
        let mut soft_limit = SoftLimit::default();
        assert!(!soft_limit.is_over(LIMIT, 1 << 18, at(0)));
        assert!(!soft_limit.is_over(LIMIT, 1 << 19, at(1)));
        assert!(!soft_limit.is_over(LIMIT, 1 << 17, at(2)), "below: it begins anew");
        assert!(!soft_limit.is_over(LIMIT, 1 << 18, at(3)));
        assert!(!soft_limit.is_over(LIMIT, 1 << 18, at(4)));
        assert!(soft_limit.is_over(LIMIT, 1 << 18, at(5)));
        assert!(!SoftLimit::default().is_over(NONE, u64::MAX, at(9)));
    }
}
