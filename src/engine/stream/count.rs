//! How many entries a group has read, and how many it has not: the first is counted where that can
//! be done, and estimated where it cannot.

use super::{Entries, Group, Rules, StreamId};

impl Entries {
    /// How many entries were ever added up to this id, if that can be told.
    pub fn estimate_read(&self, id: StreamId, rules: Rules) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.is_empty() && id <= self.last_id {
            return Some(self.added);
        }
        let is_behind_gap = id == StreamId::MIN || self.max_deleted_id <= id;
        if rules == Rules::Redis72 && !is_behind_gap {
            return None;
        }
        if id == self.last_id {
            return Some(self.added);
        }
        if self.last_id < id {
            return None;
        }
        let has_gap = self.max_deleted_id != StreamId::MIN && self.first_id <= self.max_deleted_id;
        if has_gap || self.first_id < id {
            return None;
        }
        let before = self.added.wrapping_sub(self.len());
        Some(before.wrapping_add(u64::from(id == self.first_id)))
    }

    /// Whether an entry that is not before this id was deleted.
    fn has_gap_from(&self, id: StreamId, rules: Rules) -> bool {
        let has_any = !self.is_empty() && self.max_deleted_id != StreamId::MIN;
        let may_count = rules == Rules::Redis72 || self.first_id <= self.max_deleted_id;
        has_any && may_count && id <= self.max_deleted_id
    }
}

impl Group {
    /// How many entries it has not read yet, if that can be told.
    pub fn lag(&self, entries: &Entries, rules: Rules) -> Option<i64> {
        if entries.added == 0 {
            return Some(0);
        }
        let is_counted = !entries.has_gap_from(self.last_id, rules);
        let read = match self.entries_read {
            Some(read) if is_counted => Some(read),
            _ => entries.estimate_read(self.last_id, rules),
        };
        Some(entries.added.wrapping_sub(read?) as i64)
    }

    /// The entry with this id, behind the last one that was, is delivered.
    pub(super) fn count_read(&mut self, id: StreamId, entries: &Entries, rules: Rules) {
        let is_counted = match rules {
            Rules::Redis70 => !entries.has_gap_from(id, rules),
            Rules::Redis72 => {
                entries.first_id <= self.last_id && !entries.has_gap_from(self.last_id, rules)
            }
        };
        self.entries_read = match self.entries_read {
            Some(read) if is_counted => Some(read.wrapping_add(1)),
            _ if entries.added != 0 => entries.estimate_read(id, rules),
            read => read,
        };
        self.last_id = id;
    }
}
