//! How many lines of each kind the log may have in a second, whoever writes them.

use super::time::MonoUs;
use std::collections::BTreeMap;

/// Lines of one kind in a second.
pub const LINES_PER_KIND_MAX: u32 = 100;
/// Kinds that are told apart; the events of this program are fewer.
const KINDS_MAX: usize = 512;
const WINDOW_US: u64 = 1_000_000;

/// What was written of each kind lately.
#[derive(Default)]
pub struct LogKinds(BTreeMap<String, Written>);

#[derive(Default)]
struct Written {
    began: MonoUs,
    lines: u32,
    left_out: u64,
}

impl LogKinds {
    /// Whether a line of this kind may be written at `now`. One that may not is counted.
    pub fn allows(&mut self, kind: &str, now: MonoUs) -> bool {
        if !self.0.contains_key(kind) && KINDS_MAX <= self.0.len() {
            return self.allows_known("", now);
        }
        if !self.0.contains_key(kind) {
            self.0.insert(kind.to_owned(), Written::default());
        }
        self.allows_known(kind, now)
    }

    fn allows_known(&mut self, kind: &str, now: MonoUs) -> bool {
        let written = match self.0.get_mut(kind) {
            Some(written) => written,
            None => self.0.entry(kind.to_owned()).or_default(),
        };
        if WINDOW_US <= now.since(written.began) {
            (written.began, written.lines) = (now, 0);
        }
        let may = written.lines < LINES_PER_KIND_MAX;
        written.lines += u32::from(may);
        written.left_out += u64::from(!may);
        may
    }

    /// Each kind of which lines were left out, and how many, once its second is over. They are told
    /// once.
    pub fn left_out(&mut self, now: MonoUs) -> Vec<(String, u64)> {
        let is_over = |it: &Written| it.left_out != 0 && WINDOW_US <= now.since(it.began);
        let over = self.0.iter_mut().filter(|it| is_over(it.1));
        over.map(|(kind, it)| (kind.clone(), std::mem::take(&mut it.left_out))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_so_many_lines_a_second_and_the_others_are_counted() {
        let mut kinds = LogKinds::default();
        let mut write = |kind: &str, at| kinds.allows(kind, MonoUs(at));
        let written = (0..150).filter(|_| write("a", 5_000_000)).count();
        assert_eq!(written, 100);
        assert!(write("b", 5_000_000), "another kind has a limit of its own");
        assert!(!write("a", 5_999_999));
        assert!(write("a", 6_000_000), "another second");
        assert_eq!(kinds.left_out(MonoUs(6_500_000)), [], "its second is not over");
        assert_eq!(kinds.left_out(MonoUs(7_000_000)), [("a".to_owned(), 51)]);
        assert_eq!(kinds.left_out(MonoUs(8_000_000)), [], "told once");
    }

    #[test]
    fn kinds_that_nobody_knows_of_share_one_place() {
        let mut kinds = LogKinds::default();
        (0..2000).for_each(|it| {
            kinds.allows(&format!("kind-{it}"), MonoUs(1));
        });
        assert_eq!(kinds.0.len(), KINDS_MAX + 1);
    }
}
