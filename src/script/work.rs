//! What a script has done since its host was last asked, in steps.
//!
//! **Invariant:** whatever a script may do many times over is counted before it adds up to a stall:
//! instructions by the hook, native functions by their own steps, what instructions build by its
//! memory. What an instruction only looks at, as a comparison of strings does, leaves no trace: so
//! the larger what a script has made, the fewer instructions stand between two looks.

use super::limits::{
    BYTES_PER_STEP, COLLECTED_PER_STEP, INSTRUCTIONS_IN_COROUTINE, INSTRUCTIONS_MIN,
    INSTRUCTIONS_PER_TICK, LARGE, STEPS_PER_INSTRUCTION, STEPS_PER_TICK,
};

/// The work of one state.
pub struct Work {
    steps: u64,
    /// What the longest instruction may have to look at: bytes of a string, elements of a table.
    largest: usize,
    /// Instructions between two looks.
    instructions: i32,
}

impl Default for Work {
    fn default() -> Work {
        Work { steps: 0, largest: 0, instructions: INSTRUCTIONS_PER_TICK }
    }
}

/// Bytes of a table's element, and of its field.
const ELEMENT: usize = 16;
const FIELD: usize = 40;

impl Work {
    /// A script begins in a state of this size, which earlier ones have made.
    pub fn begin(&mut self, used: usize) {
        self.steps = 0;
        if self.largest != 0 {
            self.largest = self.largest.min(used);
            self.instructions = instructions_amid(self.largest);
        }
    }

    /// Counts. Answers whether it is time to look.
    #[inline]
    pub fn step(&mut self, steps: u64) -> bool {
        self.steps = self.steps.saturating_add(steps);
        u64::from(STEPS_PER_TICK) <= self.steps
    }

    /// So many instructions were executed.
    pub fn execute(&mut self, instructions: i32) {
        self.step(u64::from(instructions.unsigned_abs() * STEPS_PER_INSTRUCTION));
    }

    /// Memory grows from `old` bytes, 0 for new memory, to `new`. Answers whether the hook is to be
    /// set anew.
    pub fn allocate(&mut self, old: usize, new: usize) -> bool {
        let is_due = self.step((new / BYTES_PER_STEP) as u64);
        // Fields are always new memory, and a power of two of them.
        let are_fields = new.is_multiple_of(FIELD) && (new / FIELD).is_power_of_two();
        let large = if old == 0 && !are_fields { new } else { new / ELEMENT };
        if large <= LARGE || large <= self.largest {
            return is_due;
        }
        self.largest = large;
        self.instructions = instructions_amid(large);
        true
    }

    /// All of so much memory has been looked through. Answers whether it is time to look.
    pub fn collect(&mut self, used: usize) -> bool {
        self.step((used / COLLECTED_PER_STEP) as u64)
    }

    /// Instructions until the hook is called next, in the main thread or in a coroutine.
    pub fn instructions(&self, is_main: bool) -> i32 {
        if is_main { self.instructions } else { self.instructions.min(INSTRUCTIONS_IN_COROUTINE) }
    }

    /// Whether it is time to look, among instructions.
    pub fn is_due(&self) -> bool {
        u64::from(self.instructions.unsigned_abs() * STEPS_PER_INSTRUCTION) <= self.steps
    }

    /// The steps since this was last asked.
    pub fn take(&mut self) -> u64 {
        std::mem::take(&mut self.steps)
    }
}

fn instructions_amid(large: usize) -> i32 {
    let most = INSTRUCTIONS_PER_TICK as usize;
    let count = (most * LARGE).checked_div(large).map_or(most, |it| it.min(most));
    (count as i32).max(INSTRUCTIONS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_what_there_is_the_fewer_instructions_stand_between_two_looks() {
        let mut work = Work::default();
        assert!(!work.allocate(0, LARGE));
        assert_eq!(work.instructions(true), INSTRUCTIONS_PER_TICK);
        assert!(work.allocate(0, 16 * LARGE));
        assert_eq!(work.instructions(true), INSTRUCTIONS_PER_TICK / 16);
        work.allocate(0, usize::MAX);
        assert_eq!(work.instructions(true), INSTRUCTIONS_MIN);
        work.begin(LARGE);
        assert_eq!(work.instructions(true), INSTRUCTIONS_PER_TICK);
        assert_eq!(work.instructions(false), INSTRUCTIONS_IN_COROUTINE);
    }

    #[test]
    fn elements_and_fields_weigh_less_than_bytes() {
        for (old, new) in [(8 * LARGE, 16 * LARGE), (0, FIELD << 12)] {
            let mut work = Work::default();
            work.allocate(old, new);
            assert_eq!(work.instructions(true), INSTRUCTIONS_PER_TICK);
        }
    }
}
