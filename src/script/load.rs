//! Loads a library apart from all data, to see what it registers.

use super::host::{Host, SHORT_CALL, Tick};
use super::interpreter::{ErrorText, Interpreter};
use super::libraries::Library;
use super::limits::LOAD_STEPS_MAX;
use super::sandbox::{About, Purpose};
use crate::resp::Protocol;

/// What a library finds while it is loaded: nothing to call, and little time.
struct LoadHost {
    steps_left: u64,
}

impl Host for LoadHost {
    fn call(&mut self, _: &[&[u8]], _: Protocol, reply: &mut Vec<u8>) -> u32 {
        reply.extend_from_slice(b"-ERR a library that is loaded calls nothing\r\n");
        SHORT_CALL
    }

    fn may_call(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }

    fn log(&mut self, _: u8, _: &[u8]) {}

    fn set_replication(&mut self, _: u8) {}

    fn tick(&mut self, steps: u64) -> Tick {
        match self.steps_left.checked_sub(steps) {
            None => Tick::Stop,
            Some(left) => {
                self.steps_left = left;
                Tick::Continue
            }
        }
    }
}

/// The library of this text. It is the same wherever it is loaded: its time is counted in steps.
pub fn load_library(text: &[u8]) -> Result<Library, ErrorText> {
    let mut interpreter = Interpreter::new(Purpose::Functions, About::default());
    let registered = interpreter.load(text, &mut LoadHost { steps_left: LOAD_STEPS_MAX })?;
    Library::new(text, registered).map_err(String::into_bytes)
}
