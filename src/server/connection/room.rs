//! Room in memory: who asks for it, who makes it, and what is refused without.

use super::batch::BatchContext;
use super::caller::Caller;
use super::script_call::ScriptCall;
use super::transaction::runs_at_once;
use crate::command::codes::OUT_OF_MEMORY;
use crate::command::{Fault, Flags};
use crate::commands::{Command, Handler, table};
use crate::node::Room;
use crate::script;

impl Caller {
    /// Whether there is nothing to ask: no limit, a command that asks for no room, or room.
    #[inline]
    pub fn has_room(&mut self, command: &Command) -> bool {
        if !self.limits_memory || !asks_alone(command) {
            return true;
        }
        self.lacks_memory = false;
        !self.server.set.eviction.is_tight()
    }

    /// Makes room for a request that asks for it, or refuses it. A script is told only when it
    /// writes.
    pub fn find_room(
        &mut self,
        command: &Command,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        if !self.limits_memory || !self.asks_for_room(command) {
            return Ok(());
        }
        self.lacks_memory = false;
        if !self.server.set.eviction.is_tight() {
            return Ok(());
        }
        // Where the master cannot be had now, the request waits for it, and for nothing else.
        let clock = context.clock;
        let room = context.master().map_or(Room::Soon, |it| it.make_room(clock));
        self.lacks_memory = room == Room::Lacking;
        let refused = self.lacks_memory && !self.only_runs_scripts(command);
        if refused { Err(OUT_OF_MEMORY) } else { Ok(()) }
    }

    /// Whether a request may grow what there is: by itself, by being queued, or by what was queued
    /// before it.
    fn asks_for_room(&self, command: &Command) -> bool {
        match &self.session.queue {
            None => asks_alone(command),
            Some(_) if !runs_at_once(command) => true,
            Some(queue) if command.spec.name == "EXEC" => {
                queue.commands.iter().any(|it| asks_alone(table().get(it.0)))
            }
            Some(_) => false,
        }
    }

    /// Whether it is scripts alone that may grow: they are told at their first such call.
    fn only_runs_scripts(&self, command: &Command) -> bool {
        let grows = |it: &Command| it.spec.flags.contains(Flags::DENYOOM);
        match &self.session.queue {
            None => !grows(command),
            Some(queue) if command.spec.name == "EXEC" => {
                !queue.commands.iter().any(|it| grows(table().get(it.0)))
            }
            Some(_) => false,
        }
    }

    /// Whether a script that says what it does may begin.
    pub fn may_script_begin(&self, script: &ScriptCall<'_>) -> Result<(), Fault> {
        let may = |it: script::Flags| it.has(script::Flags::ALLOW_OOM);
        let is_told = script.says_it_writes() && !script.flags.is_some_and(may);
        if self.lacks_memory && is_told { Err(OUT_OF_MEMORY) } else { Ok(()) }
    }

    /// Whether a script may call this, which has not written so far.
    pub fn may_script_grow(&self, command: &Command, script: &ScriptCall<'_>) -> Result<(), Fault> {
        let grows = command.spec.flags.contains(Flags::DENYOOM);
        let is_lacking = self.lacks_memory && script.flags.is_none();
        if is_lacking && grows { Err(OUT_OF_MEMORY) } else { Ok(()) }
    }
}

/// Whether a command may grow what there is, on its own.
#[inline]
fn asks_alone(command: &Command) -> bool {
    command.spec.flags.contains(Flags::DENYOOM) || matches!(command.handler, Handler::Script(_))
}
