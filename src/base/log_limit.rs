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
        state.tell(now)
    }

    /// How often it has happened since its last line, if it has and may be logged at `now`: it may
    /// never happen again, and then nothing else tells of it.
    pub fn held_back(&self, now: MonoUs) -> Option<u64> {
        self.state.lock().tell(now).filter(|it| *it != 0)
    }
}

impl State {
    fn tell(&mut self, now: MonoUs) -> Option<u64> {
        if self.logged.is_some_and(|it| now.since(it) < BETWEEN_LINES_US) {
            return None;
        }
        // Nothing to tell is no line.
        if self.unlogged != 0 {
            self.logged = Some(now);
        }
        Some(std::mem::take(&mut self.unlogged))
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

    #[test]
    fn what_was_held_back_is_told_once_when_the_second_is_over() {
        let limit = LogLimit::default();
        assert_eq!(limit.held_back(MonoUs(0)), None, "nothing has happened");
        let noted = [0, 1, 2].map(|at| limit.note(MonoUs(at)));
        assert_eq!(noted, [Some(1), None, None]);
        let told = [999_999, 1_000_000, 2_500_000].map(|at| limit.held_back(MonoUs(at)));
        assert_eq!(told, [None, Some(2), None]);
        assert_eq!(limit.note(MonoUs(2_500_001)), Some(1), "a look is no line");
    }
}
