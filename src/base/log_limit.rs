//! Log events that anybody can cause as often as they like: at most one line a second of each.

use super::time::MonoUs;
use parking_lot::Mutex;

const BETWEEN_LINES_US: u64 = 1_000_000;

/// When such an event was last logged, and how often it has happened since.
#[derive(Default)]
pub struct LogLimit {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    logged: Option<MonoUs>,
    unlogged: u64,
}

impl LogLimit {
    /// It has happened at `now`. Answers how often since its last line, if it may be logged.
    pub fn note(&self, now: MonoUs) -> Option<u64> {
        let mut state = self.state.lock();
        state.unlogged += 1;
        if state.logged.is_some_and(|it| now.since(it) < BETWEEN_LINES_US) {
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_tells_of_all_that_have_happened_since_the_last() {
        let limit = LogLimit::default();
        let noted = [0, 1, 999_999, 1_000_000, 1_500_000, 9_000_000, 9_000_001];
        let told = noted.map(|at| limit.note(MonoUs(at)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2), None]);
    }
}
