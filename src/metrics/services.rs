//! Service times by label, found again at the price of one comparison.

use crate::base::ids::{MemberId, RouteId};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::metrics::Label;
use crate::metrics::batch::Run;
use crate::metrics::distribution::Distribution;

/// Histograms of service time that are kept apart by route and member. Beyond it, calls are counted
/// by command alone, so that no mix of routes, members and commands can eat the memory.
pub(super) const SERIES_MAX: usize = 1024;
/// Labels whose place in the list is remembered.
const RECENT: usize = 64;

/// Unkeyed, for no client chooses these keys.
pub(super) type Table<K, V> = HashMap<K, V, BuildHasherDefault<ahash::AHasher>>;

/// A histogram for each label that was ever called, in order of first appearance.
#[derive(Clone, Debug)]
pub(super) struct Services {
    list: Vec<(Label, Distribution)>,
    index: Table<Label, usize>,
    /// Where the last label of each hue was found: a guess, checked against the list.
    recent: [u16; RECENT],
}

impl Default for Services {
    fn default() -> Self {
        Services { list: Vec::new(), index: Table::default(), recent: [0; RECENT] }
    }
}

impl Services {
    pub(super) fn iter(&self) -> impl Iterator<Item = (Label, &Distribution)> {
        self.list.iter().map(|(label, it)| (*label, it))
    }

    #[inline]
    pub(super) fn record(&mut self, run: &Run) {
        let guess = usize::from(self.recent[slot_of(run.label)]);
        let place = match self.list.get(guess) {
            Some((label, _)) if *label == run.label => guess,
            _ => self.find(run.label),
        };
        self.list[place].1.record_run(run.nanos_each, run.calls, run.nanos);
    }

    pub(super) fn add(&mut self, other: &Services) {
        for (label, it) in other.iter() {
            let place = self.find(label);
            self.list[place].1.add(it);
        }
    }

    /// Where the histogram of `label` is in the list, from now on if it was not there.
    #[cold]
    fn find(&mut self, label: Label) -> usize {
        let place = match self.index.get(&label) {
            Some(place) => *place,
            None if self.list.len() < SERIES_MAX => self.append(label),
            None => self.find_any(label),
        };
        // Whatever does not fit is a wrong guess, and wrong guesses only cost time.
        self.recent[slot_of(label)] = place as u16;
        place
    }

    /// The histogram that stands for all routes and members of a command.
    fn find_any(&mut self, label: Label) -> usize {
        let any = Label::new(RouteId::NONE, MemberId::NONE, label.command());
        match self.index.get(&any) {
            Some(place) => *place,
            None => self.append(any),
        }
    }

    fn append(&mut self, label: Label) -> usize {
        let place = self.list.len();
        self.list.push((label, Distribution::default()));
        self.index.insert(label, place);
        place
    }
}

/// Neighbours among commands, members and routes fall on different hues.
fn slot_of(label: Label) -> usize {
    let Label(bits) = label;
    (bits ^ bits >> 12 ^ bits >> 27) as usize % RECENT
}
